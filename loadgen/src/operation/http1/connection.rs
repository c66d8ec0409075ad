//! One HTTP/1.1 connection of the generator, and one exchange on it.

use std::rc::Rc;

use futures_util::future::join;
use sealgate_stream::{ReadHalf, WriteHalf};

use super::{
    check::BodyCheck,
    response::{Progress, ResponseReader},
    template::{Lens, SMALL_BODY, Template},
};
use crate::{
    operation::failure::{Cause, Class, Failure, Phase},
    pattern::PATTERN_LEN_BYTES,
    target::key_update::Meter,
    worker::{dial::Connection, slot::Slot},
};

/// A connection that speaks HTTP/1.1, one request at a time.
pub struct HttpConnection {
    read: ReadHalf,
    write: WriteHalf,
    reader: ResponseReader,
    meter: Option<Rc<Meter>>,
    /// Exchanges that it may still have.
    left: u64,
    /// Whether it has had one.
    used: bool,
}

/// How an exchange failed.
#[derive(Debug)]
pub struct Broken {
    /// What to count.
    pub failure: Failure,
    /// Whether the connection may be used again.
    pub usable: bool,
    /// Whether the target closed a kept connection before it said anything: as it may at any time,
    /// and no failure of the request (RFC 9112 §9.5).
    pub stale: bool,
}

impl HttpConnection {
    /// Speaks HTTP on `connection`, for so many exchanges.
    pub fn new(connection: Connection, exchanges: u64) -> Self {
        let (read, write) = connection.stream.split();
        Self {
            read,
            write,
            meter: connection.meter,
            reader: ResponseReader::default(),
            left: exchanges,
            used: false,
        }
    }

    /// Has `slot` use it.
    pub fn adopt_by(&self, slot: &Slot) {
        slot.adopt(self.write.socket(), &self.meter);
    }

    /// Whether it takes another request.
    pub fn is_reusable(&self) -> bool {
        self.left > 0 && self.reader.head().keep_alive
    }

    /// Sends the request in `out`, which may have a body of its own after that, and reads the answer
    /// to its end; gives the bytes of the answer's body. Nothing is in `out` where the request went as
    /// early data.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the answer does not count.
    pub async fn exchange(
        &mut self,
        slot: &Slot,
        template: &Template,
        out: &[u8],
        lens: Lens,
    ) -> Result<u64, Broken> {
        let body_len = lens.sent;
        self.reader.expect();
        self.left -= 1;
        let was_used = std::mem::replace(&mut self.used, true);
        let mut body = template.body_check(lens);
        let done = match body_len <= SMALL_BODY {
            true => match self.write.write_slice(out).await {
                Ok(()) => {
                    receive(slot, &mut self.read, &mut self.reader, template, &mut body).await
                }
                Err(error) => Err(slot.blame(Phase::Send, Cause::Write(error))),
            },
            false => {
                let receive = receive(slot, &mut self.read, &mut self.reader, template, &mut body);
                let send = send(slot, &mut self.write, template, (out, lens));
                // Both at once: the target may answer before it has all, or not read on until its
                // answer is taken.
                let (sending, receiving) = join(send, receive).await;
                receiving.and(sending)
            }
        };
        if let Err(failure) = done {
            let class = failure.class();
            let closed = matches!(class, Class::Closed | Class::Reset | Class::Truncated);
            return Err(Broken {
                stale: was_used && closed && !self.reader.has_begun(),
                usable: false,
                failure,
            });
        }
        let head = self.reader.head();
        slot.worker.recorder.borrow_mut().status(head.status);
        body.finish(head, template.expected(lens))
            .map_err(|failure| Broken {
                usable: matches!(failure.cause, Cause::Status(_)),
                stale: false,
                failure,
            })
    }

    /// Ends the connection as a client does that has no more requests. Does not wait for the
    /// target's own end.
    pub async fn close(mut self, slot: &Slot) {
        // A target that is gone already needs no goodbye.
        let _ = self.write.finish().await;
        slot.disarm();
    }
}

async fn send(
    slot: &Slot,
    write: &mut WriteHalf,
    template: &Template,
    (head, lens): (&[u8], Lens),
) -> Result<(), Failure> {
    let failed = |error| slot.blame(Phase::Send, Cause::Write(error));
    write.write_slice(head).await.map_err(failed)?;
    let mut sent = 0;
    while sent < lens.sent {
        let part = template.part(lens, sent);
        // A piece at a time, so that a large message that moves is seen to move.
        let part = &part[..part.len().min(PATTERN_LEN_BYTES)];
        write.write_slice(part).await.map_err(failed)?;
        slot.progress();
        sent += part.len() as u64;
    }
    Ok(())
}

async fn receive(
    slot: &Slot,
    read: &mut ReadHalf,
    reader: &mut ResponseReader,
    template: &Template,
    body: &mut BodyCheck,
) -> Result<(), Failure> {
    loop {
        match read.read().await {
            Ok(Some(bytes)) => {
                slot.progress();
                let progress = reader
                    .read(&bytes, template.asked(), &mut |bytes| body.take(bytes))
                    .map_err(|error| slot.blame(Phase::Receive, Cause::Http(error)))?;
                read.expect(reader.remaining());
                if progress == Progress::Complete {
                    return Ok(());
                }
            }
            Ok(None) if reader.ended() => return Ok(()),
            Ok(None) => return Err(slot.blame(Phase::Receive, Cause::Closed)),
            Err(error) => return Err(slot.blame(Phase::Receive, Cause::Read(error))),
        }
    }
}
