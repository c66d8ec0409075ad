//! The pump: one direction of a relayed connection, instantiated twice.
//!
//! A clean end of one direction is passed on and the other goes on. Anything else ends both sides
//! with a reset: what was cut short must not look complete.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use sealgate_stream::{ReadError, ReadHalf, Stream, WriteError, WriteHalf};
use sealgate_uring::{Half, Socket};
use tokio::time::Instant;

use crate::error::Cause;
use crate::metrics::{Class, Counters};

/// What a relay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Payload bytes from the client.
    pub bytes_in: u64,
    /// Payload bytes to the client.
    pub bytes_out: u64,
    /// Why it ended, where it did not end cleanly.
    pub failed: Option<Cause>,
}

/// Whether a client that has ended its direction still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClose {
    /// TLS 1.3, TCP: it does.
    Passes,
    /// TLS 1.2: `close_notify` ends both directions (RFC 5246 §7.2.1).
    EndsBoth,
}

/// What both directions share.
struct Shared<'a> {
    downstream: Socket,
    upstream: Socket,
    counters: &'a Counters,
    class: Class,
    last_move: Cell<Instant>,
    /// Sends under way: a slow reader may take longer for one than the idle limit, and still read.
    sending: Cell<u8>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    failed: Cell<Option<Cause>>,
    /// We are ending both sides: what the directions then report is not news.
    ending: Cell<bool>,
    half_close: HalfClose,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From client to service.
    Up,
    /// From service to client.
    Down,
}

/// Relays between client and service until both directions have ended, or no byte has moved for
/// `idle`.
pub async fn relay(
    downstream: Stream,
    upstream: Stream,
    half_close: HalfClose,
    idle: Duration,
    class: Class,
    counters: &Counters,
) -> Relayed {
    let shared = Shared {
        downstream: downstream.socket().clone(),
        upstream: upstream.socket().clone(),
        counters,
        class,
        last_move: Cell::new(Instant::now()),
        sending: Cell::new(0),
        bytes_in: Cell::new(0),
        bytes_out: Cell::new(0),
        failed: Cell::new(None),
        ending: Cell::new(false),
        half_close,
    };
    let (from_client, to_client) = downstream.split();
    let (from_service, to_service) = upstream.split();
    {
        let both = async {
            tokio::join!(
                shared.pump(Way::Up, from_client, to_service),
                shared.pump(Way::Down, from_service, to_client),
            )
        };
        let mut both = std::pin::pin!(both);
        // The directions are never dropped in the middle of a read: the watch resets, they end.
        tokio::select! {
            biased;
            _ = &mut both => {}
            () = shared.watch(idle) => {
                shared.fail(Cause::IdleTimeout);
                both.await;
            }
        }
    }
    Relayed {
        bytes_in: shared.bytes_in.get(),
        bytes_out: shared.bytes_out.get(),
        failed: shared.failed.get(),
    }
}

impl Shared<'_> {
    async fn pump(&self, way: Way, mut from: ReadHalf, mut to: WriteHalf) {
        loop {
            match from.read().await {
                Ok(Some(bytes)) => {
                    self.moved(way, bytes.len() as u64);
                    self.sending.set(self.sending.get() + 1);
                    let written = to.write(bytes).await;
                    self.sending.set(self.sending.get() - 1);
                    if let Err(error) = written {
                        return self.write_failed(way, &error);
                    }
                    self.last_move.set(Instant::now());
                }
                Ok(None) => return self.ended(way, &mut to).await,
                Err(error) => {
                    self.fail(read_cause(way, &error));
                    return;
                }
            }
        }
    }

    fn moved(&self, way: Way, n: u64) {
        self.last_move.set(Instant::now());
        match way {
            Way::Up => {
                self.bytes_in.set(self.bytes_in.get() + n);
                self.counters.bytes_in(self.class, n);
            }
            Way::Down => {
                self.bytes_out.set(self.bytes_out.get() + n);
                self.counters.bytes_out(self.class, n);
            }
        }
    }

    /// One direction has ended cleanly: pass it on.
    async fn ended(&self, way: Way, to: &mut WriteHalf) {
        if way == Way::Up && self.half_close == HalfClose::EndsBoth {
            self.ending.set(true);
            // Ends the other direction's read, whose end then tells the client.
            self.upstream.shutdown(Half::Read);
        }
        // A peer that is gone shows in the other direction, or does not matter any more.
        let _ = to.finish().await;
        self.last_move.set(Instant::now());
    }

    /// The receiver takes no more. What it sent may still be on its way to the other side, so that
    /// direction goes on to its own end.
    fn write_failed(&self, way: Way, error: &WriteError) {
        let cause = match (way, error) {
            (Way::Up, _) => Cause::UpstreamReset,
            (Way::Down, _) => Cause::ClientReset,
        };
        self.note(cause);
        match way {
            Way::Up => self.upstream.shutdown(Half::Write),
            // A client that is gone takes nothing any more: nothing is left to do for it.
            Way::Down => self.fail(cause),
        }
    }

    fn note(&self, cause: Cause) {
        if self.failed.get().is_none() && !self.ending.get() {
            self.failed.set(Some(cause));
        }
    }

    /// Ends both sides at once, visibly cut short.
    fn fail(&self, cause: Cause) {
        self.note(cause);
        self.ending.set(true);
        self.upstream.reset();
        self.downstream.reset();
    }

    /// Ends when no byte has moved for `idle`; where a send is under way and the kernel has to be
    /// asked whether it moves, for twice that at most.
    async fn watch(&self, idle: Duration) {
        let mut acked = None;
        loop {
            let due = self.last_move.get() + idle;
            if due > Instant::now() {
                acked = None;
                tokio::time::sleep_until(due).await;
                continue;
            }
            let now = (self.downstream.bytes_acked(), self.upstream.bytes_acked());
            if self.sending.get() == 0 || acked == Some(now) {
                return;
            }
            acked = Some(now);
            tokio::time::sleep(idle).await;
        }
    }
}

fn read_cause(way: Way, error: &ReadError) -> Cause {
    match (way, error) {
        (Way::Up, ReadError::Truncated) => Cause::ClientTruncated,
        (Way::Up, ReadError::Tls(_)) => Cause::ClientTls,
        (Way::Up, ReadError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
            Cause::IdleTimeout
        }
        (Way::Up, ReadError::Io(_)) => Cause::ClientReset,
        (Way::Down, ReadError::Truncated) => Cause::UpstreamTruncated,
        (Way::Down, ReadError::Tls(_)) => Cause::UpstreamTls,
        (Way::Down, ReadError::Io(_)) => Cause::UpstreamReset,
    }
}
