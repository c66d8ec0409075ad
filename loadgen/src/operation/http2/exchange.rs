//! One request and its answer on a stream.

use std::{cell::Cell, future::poll_fn};

use bytes::Bytes;
use futures_util::future::join;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use hyper::{HeaderMap, header::HeaderName};

use super::{Settings, fault, link::Live};
use crate::{
    operation::{
        failure::{Cause, Class, Failure, Phase},
        http1::{
            check::{self, BodyCheck},
            response::Head,
            template::{Lens, Template},
        },
    },
    placeholder::Filling,
    worker::slot::Slot,
};

/// The digest of a body on the wire (RFC 9530).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The digest of an object, whatever part of it is sent (RFC 9530).
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Payload of an exchange that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// From us.
    pub sent_bytes: u64,
    /// To us.
    pub received_bytes: u64,
}

/// What an exchange that failed left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The failure was the stream's.
    Usable,
    /// It takes no more requests.
    Broken,
}

/// How an exchange failed.
#[derive(Debug)]
pub struct Broken {
    /// What to count.
    pub failure: Failure,
    /// Whether the connection takes further requests.
    pub connection: Connection,
    /// Whether the target did not take the request, so that it may be sent again.
    pub again: bool,
}

/// The answer as far as it is needed, and how much of the request's body was sent for it.
struct Answer {
    sent_bytes: u64,
    head: Head,
    body: BodyCheck,
}

/// Where an exchange is.
struct Progress<'a> {
    slot: &'a Slot,
    phase: Cell<Phase>,
    /// Whether anything of the answer has come.
    answered: Cell<bool>,
}

/// Sends a request with a body of so many bytes and reads the answer to its end.
///
/// # Errors
///
/// When the stream or its connection breaks, or the answer does not count.
pub async fn exchange(
    slot: &Slot,
    live: &Live,
    settings: &Settings,
    lens: Lens,
) -> Result<Moved, Broken> {
    let body_len = lens.sent;
    slot.guard_stream(&live.meter);
    let before = live.received_bytes();
    let progress = Progress {
        slot,
        phase: Cell::new(Phase::Send),
        answered: Cell::new(false),
    };
    // What is dropped here resets its stream (CANCEL) and nothing else: the ring's operations
    // belong to the connection's own tasks.
    let done = tokio::select! {
        biased;
        done = run(&progress, live, settings, lens) => done,
        () = slot.broken_off() => {
            let failure = slot.blame(progress.phase.get(), Cause::Timeout);
            // Nothing at all came on the connection meanwhile: it is dead, and not one stream.
            let connection = match live.received_bytes() == before {
                true => {
                    live.give_up();
                    Connection::Broken
                }
                false => Connection::Usable,
            };
            return Err(Broken { failure, connection, again: false });
        }
    };
    slot.disarm();
    let answer = done.map_err(|error| {
        let stale =
            live.used.get() && settings.template.is_idempotent() && !progress.answered.get();
        broken(slot, live, error, progress.phase.get(), stale)
    })?;
    live.used.set(true);
    if answer.sent_bytes < body_len {
        // It answered, and wanted no more of the body: no failure, and not a whole upload either.
        live.note(&slot.worker, &Cause::StreamReset(Reason::NO_ERROR));
    }
    slot.worker.recorder.borrow_mut().status(answer.head.status);
    let expected = settings.template.expected(lens);
    let received = answer.body.finish(answer.head, expected);
    let received_bytes = received.map_err(|failure| Broken {
        failure,
        connection: Connection::Usable,
        again: false,
    })?;
    Ok(Moved {
        sent_bytes: answer.sent_bytes,
        received_bytes,
    })
}

/// An error, and how far the request was.
enum Error {
    /// There is no stream for it.
    Unsent(h2::Error),
    /// On its stream.
    Sent(h2::Error),
    /// The target took no more of its body.
    Stopped(Reason),
}

/// `stale` says whether a connection that broke off may have been closed by the target before the
/// request reached it, as it may at any time.
fn broken(slot: &Slot, live: &Live, error: Error, phase: Phase, stale: bool) -> Broken {
    let (error, unsent) = match error {
        Error::Unsent(error) => (error, true),
        Error::Sent(error) => (error, false),
        Error::Stopped(code) => {
            let cause = Cause::StreamReset(code);
            live.note(&slot.worker, &cause);
            return Broken {
                failure: slot.blame(phase, cause),
                connection: Connection::Usable,
                again: false,
            };
        }
    };
    let connection = match fault::ends_connection(&error) {
        true => Connection::Broken,
        false => Connection::Usable,
    };
    let not_taken = fault::is_not_taken(&error);
    let cause = match fault::cause(error) {
        // We reset the connection for another stream's sake, so this is no deed of the target.
        Cause::Closed | Cause::Io(_) if live.is_given_up() => Cause::Timeout,
        cause => cause,
    };
    live.note(&slot.worker, &cause);
    let failure = slot.blame(phase, cause);
    let closed = matches!(
        failure.class(),
        Class::Closed | Class::Reset | Class::Truncated
    );
    Broken {
        // A connection that was dead before has taken nothing, however it died.
        again: not_taken || unsent && connection == Connection::Broken || stale && closed,
        failure,
        connection,
    }
}

async fn run(
    progress: &Progress<'_>,
    live: &Live,
    settings: &Settings,
    lens: Lens,
) -> Result<Answer, Error> {
    let body_len = lens.sent;
    let filling = Filling {
        tenants: progress.slot.tenants(),
        tenant: progress.slot.tenant(),
        object: 0,
    };
    let template = &settings.template;
    let request = settings.heads.with_body(template, filling, lens);
    let mut requests = live.requests();
    let sent = requests.send_request(request, body_len == 0);
    let (response, stream) = sent.map_err(Error::Unsent)?;
    let body = template.body_check(lens);
    let receiving = receive(progress, response, body);
    if body_len == 0 {
        progress.phase.set(Phase::Receive);
        return receiving.await.map_err(Error::Sent);
    }
    // Both at once: the target may answer before it has all, or not read on until its answer is
    // taken.
    let (sending, answer) = join(send(progress, stream, template, lens), receiving).await;
    let mut answer = answer.map_err(Error::Sent)?;
    answer.sent_bytes = sending?;
    Ok(answer)
}

async fn send(
    progress: &Progress<'_>,
    mut stream: SendStream<Bytes>,
    template: &Template,
    lens: Lens,
) -> Result<u64, Error> {
    let body_len = lens.sent;
    let mut left = body_len;
    while left > 0 {
        let mut chunk = template.shared_part(lens, body_len - left);
        while !chunk.is_empty() {
            stream.reserve_capacity(chunk.len());
            let Some(room) = room(&mut stream).await.map_err(Error::Sent)? else {
                return stopped(&mut stream).await.map(|()| body_len - left);
            };
            let part = chunk.split_to(room.min(chunk.len()));
            left -= part.len() as u64;
            stream.send_data(part, left == 0).map_err(Error::Sent)?;
            progress.slot.progress();
        }
    }
    progress.phase.set(Phase::Receive);
    Ok(body_len)
}

/// How much the target takes now, once that is something; none when it takes no more of this body.
async fn room(stream: &mut SendStream<Bytes>) -> Result<Option<usize>, h2::Error> {
    loop {
        match stream.capacity() {
            0 => match poll_fn(|context| stream.poll_capacity(context)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            },
            room => return Ok(Some(room)),
        }
    }
}

/// Why the target takes no more. That it needs no more, and has answered, is no error (RFC 9113
/// §8.1); whether it has answered is seen by who reads the answer.
async fn stopped(stream: &mut SendStream<Bytes>) -> Result<(), Error> {
    match poll_fn(|context| stream.poll_reset(context)).await {
        Ok(Reason::NO_ERROR) => Ok(()),
        Ok(code) => Err(Error::Stopped(code)),
        Err(error) => Err(Error::Sent(error)),
    }
}

async fn receive(
    progress: &Progress<'_>,
    response: ResponseFuture,
    mut body: BodyCheck,
) -> Result<Answer, h2::Error> {
    let response = response.await?;
    progress.answered.set(true);
    progress.slot.progress();
    let head = Head {
        status: response.status().as_u16(),
        keep_alive: true,
        digest: digest(response.status().as_u16(), response.headers()),
    };
    let mut stream: RecvStream = response.into_body();
    while let Some(bytes) = stream.data().await {
        let bytes = bytes?;
        progress.slot.progress();
        body.take(&bytes);
        stream.flow_control().release_capacity(bytes.len())?;
    }
    stream.trailers().await?;
    Ok(Answer {
        sent_bytes: 0,
        head,
        body,
    })
}

fn digest(status: u16, headers: &HeaderMap) -> Option<[u8; 32]> {
    let content = headers.get(CONTENT_DIGEST);
    let whole = headers.get(REPR_DIGEST).filter(|_| status == 200);
    check::parse_digest(content.or(whole)?.as_bytes())
}
