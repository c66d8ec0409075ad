//! Bulk transfers through the origin's source, sink and echo: one connection, one transfer.
//!
//! The time of a transfer begins when it is asked for, with the connection established.

use std::cell::OnceCell;

use futures_util::future::join;
use sealgate_stream::{ReadHalf, WriteHalf};
use sealgate_uring::Socket;

use super::failure::{Cause, Failure, Phase};
use crate::{
    measure::recorder::Done,
    pattern::Pattern,
    schedule::Arrival,
    worker::{dial::Connection, slot::Slot},
};

/// Where the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the target to us.
    Down,
    /// From us to the target.
    Up,
    /// From us to the target and back, both at once.
    Duplex,
}

/// Settings of `loadgen bulk` without HTTP.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Source, sink or echo.
    pub direction: Direction,
    /// Bytes in one transfer.
    pub bytes: u64,
}

/// Transfers until the schedule ends.
pub async fn drive(slot: &Slot, settings: &Settings) {
    let mut ready = match slot.belongs_to_tenant() {
        true => None,
        false => slot.establish().await.map(Ok),
    };
    slot.start().await;
    loop {
        // Connecting is not the transfer's time, so it comes before the next one is taken.
        let connection = match ready.take() {
            Some(connection) => Some(connection),
            None if slot.belongs_to_tenant() => None,
            None => Some(slot.redial().await),
        };
        let Some(arrival) = slot.next().await else {
            if let Some(Ok(unused)) = connection {
                unused.socket.reset();
            }
            return;
        };
        let connection = match connection {
            Some(connection) => connection,
            // Only now is it known whose it is.
            None => slot.redial().await,
        };
        serve(slot, settings, arrival, connection).await;
    }
}

/// One transfer on `connection`, counted.
pub async fn serve(
    slot: &Slot,
    settings: &Settings,
    arrival: Arrival,
    connection: Result<Connection, Failure>,
) {
    let sent = slot.begin(arrival);
    let moved = match connection {
        Ok(connection) => transfer(slot, settings, connection).await,
        Err(failure) => Err(failure),
    };
    let (sent_bytes, received_bytes) = match settings.direction {
        Direction::Down => (0, settings.bytes),
        Direction::Up => (settings.bytes, 0),
        Direction::Duplex => (settings.bytes, settings.bytes),
    };
    match moved {
        Ok(()) => slot.succeed(&Done {
            arrival,
            sent,
            done: slot.now(),
            sent_bytes,
            received_bytes,
        }),
        Err(failure) => slot.fail(arrival, &failure).await,
    }
}

async fn transfer(slot: &Slot, settings: &Settings, connection: Connection) -> Result<(), Failure> {
    let socket = connection.socket.clone();
    let (mut read, mut write) = connection.stream.split();
    let moved = match settings.direction {
        Direction::Down => down(slot, &mut read, &mut write, settings.bytes).await,
        Direction::Up => up(slot, &mut read, &mut write, settings.bytes).await,
        Direction::Duplex => duplex(slot, &mut read, &mut write, settings.bytes).await,
    };
    if moved.is_err() {
        socket.reset();
    }
    moved
}

async fn down(
    slot: &Slot,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    bytes: u64,
) -> Result<(), Failure> {
    let sending = |error| slot.blame(Phase::Send, Cause::Write(error));
    write
        .write_slice(&bytes.to_be_bytes())
        .await
        .map_err(sending)?;
    let mut found = 0;
    read.expect(bytes);
    while let Some(chunk) = next_chunk(slot, read).await? {
        found += chunk;
        read.expect(bytes.saturating_sub(found));
    }
    length(bytes, found)?;
    // Only now: a relay may take an early end of ours for the end of everything.
    write.finish().await.map_err(sending)
}

async fn up(
    slot: &Slot,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    bytes: u64,
) -> Result<(), Failure> {
    let send = async {
        let sent = send(slot, write, bytes).await;
        if sent.is_err() {
            // Else the receiving side would wait for what never left.
            write.socket().reset();
        }
        sent
    };
    // Both at once: the target answers our KeyUpdates meanwhile.
    let (sent, answer) = join(send, receive(slot, read)).await;
    sent?;
    match <[u8; 8]>::try_from(answer?) {
        Ok(count) => length(bytes, u64::from_be_bytes(count)),
        // No count: the target cannot have been a sink, or it died.
        Err(_) => Err(Failure::new(Phase::Receive, Cause::Closed)),
    }
}

async fn duplex(
    slot: &Slot,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    bytes: u64,
) -> Result<(), Failure> {
    let socket = write.socket().clone();
    let first = OnceCell::new();
    // Neither is dropped half way: where one fails, the reset ends the other.
    join(
        or_reset(&socket, &first, send(slot, write, bytes)),
        or_reset(&socket, &first, compare(slot, read, bytes)),
    )
    .await;
    first.into_inner().map_or(Ok(()), Err)
}

/// Awaits `moves`; where it fails, keeps the failure if it is the first, and resets the connection.
async fn or_reset(
    socket: &Socket,
    first: &OnceCell<Failure>,
    moves: impl Future<Output = Result<(), Failure>>,
) {
    if let Err(failure) = moves.await {
        // The second one is of our own making.
        let _ = first.set(failure);
        socket.reset();
    }
}

/// Receives what [`send`] has sent, and no more.
async fn compare(slot: &Slot, read: &mut ReadHalf, bytes: u64) -> Result<(), Failure> {
    let pattern = Pattern::new();
    let mut found = 0;
    loop {
        let chunk = match read.read().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return length(bytes, found),
            Err(error) => return Err(slot.blame(Phase::Receive, Cause::Read(error))),
        };
        slot.progress();
        if let Some(at) = pattern.first_difference(found, &chunk) {
            let offset = found + at as u64;
            return Err(Failure::new(Phase::Check, Cause::Mismatch { offset }));
        }
        found += chunk.len() as u64;
        if found > bytes {
            return length(bytes, found);
        }
    }
}

async fn send(slot: &Slot, write: &mut WriteHalf, bytes: u64) -> Result<(), Failure> {
    let sending = |error| slot.blame(Phase::Send, Cause::Write(error));
    let pattern = Pattern::new();
    let mut left = bytes;
    while left > 0 {
        let chunk = pattern.chunk(left);
        write.write_slice(chunk).await.map_err(sending)?;
        slot.progress();
        left -= chunk.len() as u64;
    }
    write.finish().await.map_err(sending)
}

/// The count of a sink; of anything else, so much that it is none.
async fn receive(slot: &Slot, read: &mut ReadHalf) -> Result<Vec<u8>, Failure> {
    let mut answer = Vec::with_capacity(8);
    loop {
        match read.read().await {
            Ok(Some(chunk)) if answer.len() <= 8 => {
                answer.extend_from_slice(&chunk[..chunk.len().min(9)]);
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(answer),
            Err(error) => return Err(slot.blame(Phase::Receive, Cause::Read(error))),
        }
    }
}

async fn next_chunk(slot: &Slot, read: &mut ReadHalf) -> Result<Option<u64>, Failure> {
    match read.read().await {
        Ok(chunk) => {
            slot.progress();
            Ok(chunk.map(|chunk| chunk.len() as u64))
        }
        Err(error) => Err(slot.blame(Phase::Receive, Cause::Read(error))),
    }
}

fn length(expected: u64, found: u64) -> Result<(), Failure> {
    match expected == found {
        true => Ok(()),
        false => Err(Failure::new(
            Phase::Check,
            Cause::WrongLength { expected, found },
        )),
    }
}
