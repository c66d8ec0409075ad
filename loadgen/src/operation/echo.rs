//! Echo: a message there and back, compared byte for byte.

use std::rc::Rc;

use futures_util::future::join;
use sealgate_stream::{ReadHalf, WriteHalf};

use super::failure::{Cause, Failure, Phase};
use crate::{
    measure::recorder::Done,
    pattern::Pattern,
    schedule::Arrival,
    target::key_update::Meter,
    worker::{dial::Connection, slot::Slot},
};

/// Settings of `loadgen request --echo`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes in a message, at least one.
    pub size: usize,
}

/// A connection that is kept.
struct Halves {
    read: ReadHalf,
    write: WriteHalf,
    meter: Option<Rc<Meter>>,
}

/// A slot that echoes.
pub struct Echoer<'a> {
    slot: &'a Slot,
    connection: Option<Halves>,
    /// Whose connection it is, and where to.
    owner: Option<usize>,
    message: Message,
}

/// Echoes until the schedule ends.
pub async fn drive(slot: &Slot, settings: &Settings) {
    let mut echoer = Echoer::new(slot, settings);
    echoer.owner = slot.connection_key();
    echoer.connection = slot.establish().await.map(split);
    slot.start().await;
    while let Some(arrival) = slot.next().await {
        echoer.serve(arrival).await;
    }
    echoer.finish().await;
}

impl<'a> Echoer<'a> {
    /// A slot that echoes messages of the size that `settings` say.
    pub fn new(slot: &'a Slot, settings: &Settings) -> Self {
        Self {
            slot,
            connection: None,
            owner: None,
            message: Message::new(settings.size),
        }
    }

    /// One operation, counted.
    pub async fn serve(&mut self, arrival: Arrival) {
        let slot = self.slot;
        self.take_for(slot.connection_key());
        // A connection that has to be set up first is part of the time.
        let sent = slot.begin(arrival);
        let Halves { read, write, .. } = match &mut self.connection {
            Some(halves) => halves,
            None => match slot.redial().await {
                Ok(fresh) => self.connection.insert(split(fresh)),
                Err(failure) => {
                    slot.fail(arrival, &failure).await;
                    return;
                }
            },
        };
        self.message.renumber();
        let bytes = &self.message.bytes;
        let send = async {
            let result = write.write_slice(bytes).await;
            if result.is_err() {
                // Else the receiving side would wait for what never left.
                write.socket().reset();
            }
            result.map_err(|error| slot.blame(Phase::Send, Cause::Write(error)))
        };
        // Both at once: a message larger than all buffers between would stop both sides.
        let (sending, receiving) = join(send, receive(slot, read, bytes)).await;
        match sending.and(receiving) {
            Ok(()) => {
                let len = bytes.len() as u64;
                slot.succeed(&Done {
                    arrival,
                    sent,
                    done: slot.now(),
                    sent_bytes: len,
                    received_bytes: len,
                });
            }
            Err(failure) => {
                slot.fail(arrival, &failure).await;
                write.socket().reset();
                self.connection = None;
            }
        }
    }

    /// Gives the connection up if it is another one's.
    fn take_for(&mut self, owner: Option<usize>) {
        let kept = self.connection.take_if(|_| self.owner != owner);
        if let Some(Halves { write, .. }) = kept {
            write.socket().reset();
        }
        self.owner = owner;
        if let Some(Halves { write, meter, .. }) = &self.connection {
            self.slot.adopt(write.socket(), meter);
        }
    }

    /// Closes its connection.
    pub async fn finish(self) {
        if let Some(Halves {
            mut read,
            mut write,
            meter,
        }) = self.connection
        {
            self.slot.adopt(write.socket(), &meter);
            if write.finish().await.is_ok() {
                // The target's own end, so that nothing is cut off.
                while let Ok(Some(_)) = read.read().await {}
            }
        }
        self.slot.disarm();
    }
}

fn split(connection: Connection) -> Halves {
    let (read, write) = connection.stream.split();
    Halves {
        read,
        write,
        meter: connection.meter,
    }
}

async fn receive(slot: &Slot, read: &mut ReadHalf, expected: &[u8]) -> Result<(), Failure> {
    let mut received = 0;
    while received < expected.len() {
        let chunk = match read.read().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err(Failure::new(Phase::Receive, Cause::Closed)),
            Err(error) => return Err(slot.blame(Phase::Receive, Cause::Read(error))),
        };
        slot.progress();
        let left = &expected[received..];
        let len = chunk.len().min(left.len());
        if let Some(at) = first_difference(&chunk[..len], &left[..len]) {
            let offset = (received + at) as u64;
            return Err(Failure::new(Phase::Check, Cause::Mismatch { offset }));
        }
        received += len;
        if chunk.len() > len {
            let found = (received + chunk.len() - len) as u64;
            let expected = expected.len() as u64;
            return Err(Failure::new(
                Phase::Check,
                Cause::WrongLength { expected, found },
            ));
        }
    }
    Ok(())
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    // The comparison of slices is vectorised; the search runs only where they differ.
    if a == b {
        None
    } else {
        a.iter().zip(b).position(|(a, b)| a != b)
    }
}

/// A message whose start differs every time, so that an old answer is no right one.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    number: u64,
}

impl Message {
    fn new(size: usize) -> Self {
        let pattern = Pattern::new();
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            bytes.extend_from_slice(pattern.chunk((size - bytes.len()) as u64));
        }
        Self { bytes, number: 0 }
    }

    fn renumber(&mut self) {
        self.number += 1;
        let stamp = self.number.to_le_bytes();
        let len = stamp.len().min(self.bytes.len());
        self.bytes[..len].copy_from_slice(&stamp[..len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_differ_and_keep_their_size() {
        for size in [1, 7, 8, 100, 300_000] {
            let mut message = Message::new(size);
            message.renumber();
            let first = message.bytes.clone();
            message.renumber();
            assert_eq!(message.bytes.len(), size);
            assert_eq!(first_difference(&first, &message.bytes), Some(0));
        }
    }
}
