//! The pump: one direction of a relayed connection, instantiated twice.
//!
//! A clean end of one direction is passed on and the other goes on. Anything else ends both sides
//! with a reset: what was cut short must not look complete.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use sealgate_stream::{ReadError, ReadHalf, Stream, WriteHalf, close_gently};
use sealgate_uring::{Half, SizeClass, Socket};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Cause;
use crate::limits::{PARK_AFTER, PARK_LOOK, QUICK, QUICK_WRITES, SEND_QUEUE_LOOK};
use crate::metrics::Class;
use crate::worker::Worker;

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

/// A relay between client and service. It is made before it runs, so that the future holds one copy of what it takes.
pub struct Relay {
    shared: Shared,
    up: Direction,
    down: Direction,
}

/// One direction's reader and writer.
struct Direction {
    way: Way,
    from: ReadHalf,
    to: WriteHalf,
}

/// What both directions share.
struct Shared {
    worker: Rc<Worker>,
    class: Class,
    last_move: Cell<Instant>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    failed: Cell<Option<Cause>>,
    /// The client has ended its direction cleanly: what it sent has to arrive, whatever else
    /// happens to the client.
    client_ended: Cell<bool>,
    /// The client takes nothing any more: what the service says is read, so that the service goes on
    /// reading, and dropped.
    discard: Cell<bool>,
    /// The client has ended both directions, and that was passed on.
    both_ended: Notify,
    /// The service takes nothing any more.
    service_full: Cell<bool>,
    to_client: WriteHalf,
    to_service: WriteHalf,
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

/// What a direction does after a failed write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterWrite {
    GoOn,
    Stop,
}

impl Relay {
    /// A relay between the client's stream and the service's.
    pub fn new(
        worker: Rc<Worker>,
        class: Class,
        downstream: Stream,
        upstream: Stream,
        half_close: HalfClose,
    ) -> Relay {
        let (from_client, to_client) = downstream.split();
        let (from_service, to_service) = upstream.split();
        let shared = Shared {
            worker,
            class,
            last_move: Cell::new(Instant::now()),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            failed: Cell::new(None),
            client_ended: Cell::new(false),
            discard: Cell::new(false),
            both_ended: Notify::new(),
            service_full: Cell::new(false),
            to_client: to_client.handle(),
            to_service: to_service.handle(),
            ending: Cell::new(false),
            half_close,
        };
        Relay {
            shared,
            up: Direction {
                way: Way::Up,
                from: from_client,
                to: to_service,
            },
            down: Direction {
                way: Way::Down,
                from: from_service,
                to: to_client,
            },
        }
    }

    /// So many bytes of the client's have gone to the service already.
    pub fn has_passed(&mut self, n: u64) {
        self.shared.moved(Way::Up, n);
    }

    /// Relays until both directions have ended, or no byte has moved for `idle`, or the worker's grace
    /// period is over.
    pub async fn run(&mut self, idle: Duration) -> Relayed {
        let Relay { shared, up, down } = self;
        let shared = &*shared;
        // A worker that dies must not make a cut stream look complete.
        shared.downstream().set_reset_on_close(true);
        shared.upstream().set_reset_on_close(true);
        {
            let both = async { tokio::join!(shared.pump(up), shared.pump(down)) };
            let mut both = std::pin::pin!(both);
            // The directions are never dropped in the middle of a read: the watch resets, they end.
            tokio::select! {
                biased;
                _ = &mut both => {}
                () = shared.watch(idle) => {
                    shared.fail(Cause::IdleTimeout);
                    both.await;
                }
                () = shared.service_has_all() => {
                    shared.ending.set(true);
                    shared.upstream().shutdown(Half::Both);
                    both.await;
                }
                () = shared.worker.drain.is_over() => {
                    shared.fail(Cause::Draining);
                    both.await;
                }
            }
        }
        if shared.service_full.get() && !shared.ending.get() {
            // The client may still be sending: the service's last words are not to be lost in a RST.
            Box::pin(close_gently(shared.downstream(), &shared.worker.pool)).await;
        }
        Relayed {
            bytes_in: shared.bytes_in.get(),
            bytes_out: shared.bytes_out.get(),
            failed: shared.failed.get(),
        }
    }
}

impl Shared {
    fn downstream(&self) -> &Socket {
        self.to_client.socket()
    }

    fn upstream(&self) -> &Socket {
        self.to_service.socket()
    }

    async fn pump(&self, direction: &mut Direction) {
        let Direction { way, from, to } = direction;
        let way = *way;
        // So many writes in a row were taken quickly: until there are some, and where one was not, little is read at once.
        let mut quick = 0;
        loop {
            // A receiver that does not keep up is waited for with nothing in hand, so that it costs no memory and
            // leaves the large buffers to others.
            if from.is_flowing() {
                // What fails here fails again in the write, which says why.
                let _ = to.ready().await;
            }
            from.limit(match quick >= QUICK_WRITES {
                true => SizeClass::Large,
                false => SizeClass::Small,
            });
            match from.read().await {
                Ok(Some(_)) if way == Way::Down && self.discard.get() => {
                    self.last_move.set(Instant::now());
                }
                Ok(Some(bytes)) => {
                    self.moved(way, bytes.len() as u64);
                    let began = self.last_move.get();
                    let written = to.write(bytes).await;
                    if written.is_err() && self.write_failed(way) == AfterWrite::Stop {
                        return;
                    }
                    let now = Instant::now();
                    self.last_move.set(now);
                    quick = match now - began < QUICK {
                        true => (quick + 1).min(QUICK_WRITES),
                        false => 0,
                    };
                }
                Ok(None) => return Box::pin(self.ended(way, to)).await,
                Err(_) if way == Way::Down && self.discard.get() => return,
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
                self.worker.counters.bytes_in(self.class, n);
            }
            Way::Down => {
                self.bytes_out.set(self.bytes_out.get() + n);
                self.worker.counters.bytes_out(self.class, n);
            }
        }
    }

    /// One direction has ended cleanly: pass it on. A peer that is gone by then shows in the other
    /// direction, or does not matter any more.
    async fn ended(&self, way: Way, to: &mut WriteHalf) {
        if way == Way::Up {
            self.client_ended.set(true);
            if self.half_close == HalfClose::EndsBoth {
                self.discard.set(true);
                finish(&mut self.to_client.handle()).await;
                finish(to).await;
                self.both_ended.notify_one();
                return;
            }
        }
        finish(to).await;
        self.last_move.set(Instant::now());
    }

    /// A receiver takes no more.
    fn write_failed(&self, way: Way) -> AfterWrite {
        match way {
            // What the service has said may still be on its way, so that direction goes on to its
            // own end.
            Way::Up => {
                self.note(Cause::UpstreamReset);
                self.service_full.set(true);
                self.upstream().shutdown(Half::Write);
                AfterWrite::Stop
            }
            // The client had said all it wanted: the service gets the whole of it.
            Way::Down if self.client_ended.get() => {
                if !self.discard.replace(true) {
                    self.note(Cause::ClientReset);
                }
                AfterWrite::GoOn
            }
            Way::Down => {
                self.fail(Cause::ClientReset);
                AfterWrite::Stop
            }
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
        self.upstream().reset();
        self.downstream().reset();
    }

    /// Ends when a client that has ended both directions, and all that it sent, is dealt with.
    async fn service_has_all(&self) {
        self.both_ended.notified().await;
        // The kernel tells no one when a send queue is empty. The idle limit bounds this.
        while self
            .upstream()
            .bytes_unacknowledged()
            .is_some_and(|queued| queued > 0)
        {
            tokio::time::sleep(SEND_QUEUE_LOOK).await;
        }
    }

    /// Ends when no byte has moved for `idle`. Where the kernel still has bytes of ours to deliver, it
    /// is asked whether they move: a slow reader may take longer than the limit for what is in there.
    ///
    /// Where it is quiet for less long than that, the sessions let go of what they can make anew.
    async fn watch(&self, idle: Duration) {
        let mut acked = None;
        loop {
            let (now, last_move) = (Instant::now(), self.last_move.get());
            let due = last_move + idle;
            if due > now {
                acked = None;
                let park_due = last_move + PARK_AFTER;
                let next = if park_due > now {
                    park_due
                } else {
                    self.to_client.park();
                    self.to_service.park();
                    now + PARK_LOOK
                };
                tokio::time::sleep_until(next.min(due)).await;
                continue;
            }
            let sockets = [self.downstream(), self.upstream()];
            let waiting = sockets.map(|socket| socket.bytes_unacknowledged().unwrap_or(0));
            let now = sockets.map(Socket::bytes_acked);
            // What was acknowledged since the last look has moved since then, also where it was the last of it.
            if acked.map_or(waiting == [0, 0], |before| before == now) {
                return;
            }
            acked = Some(now);
            tokio::time::sleep(idle).await;
        }
    }
}

/// Ends one direction as it should end; what is still in the kernel is then delivered after a close.
async fn finish(half: &mut WriteHalf) {
    // A peer that is gone shows in the other direction.
    let _ = half.finish().await;
    half.socket().set_reset_on_close(false);
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
