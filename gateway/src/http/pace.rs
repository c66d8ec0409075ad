//! What a client connection is doing, and when something last moved: what its time limits look at.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sealgate_stream::AbortHandle;
use tokio::time::Instant;

use crate::error::Cause;
use crate::settings::TimeoutSettings;

/// The pace of one client connection.
pub(crate) struct Pace {
    io: AbortHandle,
    /// Exchanges that are not over: request body, answer body and service included.
    in_flight: Cell<u32>,
    /// Exchanges begun so far.
    begun: Cell<u64>,
    /// When the last exchange ended, and what the client had sent by then.
    idle_since: Cell<(Instant, u64)>,
    /// When a service's bytes last moved.
    service_moved: Cell<Instant>,
    /// Why we end the connection, where we do.
    cut_by: Cell<Option<Cause>>,
}

/// An exchange that is not over.
pub(crate) struct Busy {
    pace: Rc<Pace>,
}

/// Which time limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// No next request: an ordinary end.
    KeepAlive,
    /// Something worth counting.
    Cause(Cause),
}

impl Pace {
    pub(crate) fn new(io: AbortHandle) -> Rc<Pace> {
        let now = Instant::now();
        let idle_since = Cell::new((now, io.received_bytes()));
        Rc::new(Pace {
            io,
            in_flight: Cell::new(0),
            begun: Cell::new(0),
            idle_since,
            service_moved: Cell::new(now),
            cut_by: Cell::new(None),
        })
    }

    /// Begins an exchange.
    pub(crate) fn begin(self: &Rc<Self>) -> Busy {
        self.in_flight.set(self.in_flight.get() + 1);
        self.begun.set(self.begun.get() + 1);
        self.service_moved.set(Instant::now());
        Busy {
            pace: Rc::clone(self),
        }
    }

    /// Whether an exchange is not over.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Notes why the connection is being ended.
    pub(crate) fn cut(&self, cause: Cause) {
        self.cut_by.set(Some(cause));
    }

    /// Ends when a time limit is reached. It looks only when a limit could have been reached, so
    /// that an idle connection costs nothing.
    pub(crate) async fn watch(&self, timeouts: &TimeoutSettings) -> Late {
        // The head under way: after how many exchanges, and since when.
        let mut head: Option<(u64, Instant)> = None;
        let mut client_moved = (Instant::now(), self.io.moved_bytes());
        loop {
            let now = Instant::now();
            let moved = self.io.moved_bytes();
            if moved != client_moved.1 {
                client_moved = (now, moved);
            }
            let (since, received) = self.idle_since.get();
            let begun = self.begun.get();
            head = head.filter(|(after, _)| *after == begun);
            let wake = if self.is_busy() || self.io.has_unsent() {
                let moved = client_moved.0.max(self.service_moved.get());
                match left(moved, timeouts.idle, now) {
                    Some(wake) => wake,
                    None => return Late::Cause(Cause::IdleTimeout),
                }
            } else if head.is_some() || self.io.received_bytes() != received {
                match left(head.get_or_insert((begun, now)).1, timeouts.head, now) {
                    Some(wake) => wake,
                    None => return Late::Cause(Cause::HeadTimeout),
                }
            } else {
                match left(since, timeouts.keep_alive, now) {
                    Some(wake) => wake,
                    None => return Late::KeepAlive,
                }
            };
            // What begins later must not wait for a longer limit to be looked at.
            let soon = timeouts.head.min(timeouts.idle);
            tokio::time::sleep_until(wake.min(now + soon)).await;
        }
    }
}

impl Busy {
    /// Notes that bytes of the service moved.
    pub(crate) fn service_moved(&self) {
        self.pace.service_moved.set(Instant::now());
    }

    /// Why we ended the connection, where we did.
    pub(crate) fn cut_by(&self) -> Option<Cause> {
        self.pace.cut_by.get()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let pace = &self.pace;
        pace.in_flight.set(pace.in_flight.get() - 1);
        pace.idle_since
            .set((Instant::now(), pace.io.received_bytes()));
    }
}

/// When `limit` after `since` is, unless it is over.
fn left(since: Instant, limit: Duration, now: Instant) -> Option<Instant> {
    let due = since + limit;
    (due > now).then_some(due)
}
