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

/// What [`Pace::watch`] remembers between two looks.
struct Looked {
    /// The head under way: after how many exchanges, and since when.
    head: Option<(u64, Instant)>,
    /// When bytes of the client were last found to have moved, and how many they were.
    client_moved: (Instant, (u64, Option<u64>)),
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
    /// Of a connection that has been idle since then.
    pub(crate) fn new(io: AbortHandle, idle_since: Instant) -> Rc<Pace> {
        Rc::new(Pace {
            idle_since: Cell::new((idle_since, io.received_bytes())),
            io,
            in_flight: Cell::new(0),
            begun: Cell::new(0),
            service_moved: Cell::new(idle_since),
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
        let mut looked = self.first_look(Instant::now());
        loop {
            match self.look(&mut looked, timeouts, Instant::now()) {
                Ok(wake) => tokio::time::sleep_until(wake).await,
                Err(late) => return late,
            }
        }
    }

    fn first_look(&self, now: Instant) -> Looked {
        Looked {
            head: None,
            client_moved: (now, self.io.moved_bytes()),
        }
    }

    /// When to look again.
    ///
    /// # Errors
    /// The limit that was reached.
    fn look(
        &self,
        looked: &mut Looked,
        timeouts: &TimeoutSettings,
        now: Instant,
    ) -> Result<Instant, Late> {
        let moved = self.io.moved_bytes();
        if moved != looked.client_moved.1 {
            looked.client_moved = (now, moved);
        }
        let (since, received) = self.idle_since.get();
        let begun = self.begun.get();
        looked.head = looked.head.filter(|(after, _)| *after == begun);
        let wake = if self.is_busy() || self.io.has_unsent() {
            let moved = looked.client_moved.0.max(self.service_moved.get());
            left(moved, timeouts.idle, now).ok_or(Late::Cause(Cause::IdleTimeout))?
        } else if looked.head.is_some() || self.io.received_bytes() != received {
            let head = looked.head.get_or_insert((begun, now)).1;
            left(head, timeouts.head, now).ok_or(Late::Cause(Cause::HeadTimeout))?
        } else {
            left(since, timeouts.keep_alive, now).ok_or(Late::KeepAlive)?
        };
        // What begins later must not wait for a longer limit to be looked at.
        let soon = timeouts.head.min(timeouts.idle);
        Ok(wake.min(now + soon))
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;

    use sealgate_stream::{HyperIo, Stream};
    use sealgate_uring::{Listener, Pool, run};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TIMEOUTS: TimeoutSettings = TimeoutSettings {
        handshake: SECOND,
        connect: SECOND,
        idle: Duration::from_secs(300),
        head: Duration::from_secs(10),
        keep_alive: Duration::from_secs(75),
        response: SECOND,
        drain: SECOND,
    };

    /// A connection, and its client's end.
    async fn connection() -> (HyperIo, TcpStream) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        (Stream::plain(socket, Pool::new(1)).into_hyper(), client)
    }

    #[test]
    fn silence_before_the_first_byte_counts_and_what_says_nothing_does_not_end_it() {
        run(async {
            let (io, _client) = connection().await;
            let opened = Instant::now();
            let pace = Pace::new(io.abort_handle(), opened);
            // It was found readable just before the end, for a part of a record: no byte of a request.
            let late = opened + TIMEOUTS.keep_alive - SECOND;
            let mut looked = pace.first_look(late);
            let end = opened + TIMEOUTS.keep_alive;
            assert_eq!(pace.look(&mut looked, &TIMEOUTS, late), Ok(end));
            assert_eq!(pace.look(&mut looked, &TIMEOUTS, end), Err(Late::KeepAlive));
        })
        .unwrap();
    }

    #[test]
    fn a_head_that_begins_at_the_end_has_a_heads_time_and_no_more() {
        run(async {
            let (io, mut client) = connection().await;
            let opened = Instant::now();
            let pace = Pace::new(io.abort_handle(), opened);
            client.write_all(b"G").unwrap();
            while pace.io.received_bytes() == 0 {
                tokio::task::yield_now().await;
                sealgate_uring::turn().await;
            }
            let late = opened + TIMEOUTS.keep_alive - SECOND;
            let mut looked = pace.first_look(late);
            let end = late + TIMEOUTS.head;
            assert_eq!(pace.look(&mut looked, &TIMEOUTS, late), Ok(end));
            // Another byte moves nothing: it is the same head.
            client.write_all(b"E").unwrap();
            let cause = Late::Cause(Cause::HeadTimeout);
            assert_eq!(pace.look(&mut looked, &TIMEOUTS, end), Err(cause));
        })
        .unwrap();
    }
}
