//! What a slot waits on, and breaking it off when nothing moves on it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use sealgate_uring::Socket;
use tokio::sync::Notify;

use super::slot::Slot;
use crate::{
    operation::failure::{Cause, Failure, Phase},
    target::key_update::Meter,
};

/// What is watched over for one slot.
pub struct Guard {
    /// What to break off when nothing moves; none while nothing is awaited.
    guarded: RefCell<Option<Guarded>>,
    /// The guarded stream is to be broken off.
    broken_off: Notify,
    waiting: Cell<bool>,
    moved: Cell<Instant>,
    expired: Cell<Option<Expiry>>,
}

/// What an operation waits on.
#[derive(Clone)]
enum Guarded {
    /// A connection of its own, to be reset.
    Connection(Socket),
    /// A stream of a connection that others share: whoever waits for it is told.
    Stream,
}

/// Why a connection was reset, or a stream broken off, by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// Nothing moved on it.
    Timeout,
    /// The time to drain was over.
    Unfinished,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            guarded: RefCell::new(None),
            broken_off: Notify::new(),
            waiting: Cell::new(false),
            moved: Cell::new(Instant::now()),
            expired: Cell::new(None),
        }
    }
}

impl Guard {
    /// Nothing is awaited from now on.
    pub fn rest(&self) {
        self.waiting.set(false);
    }

    /// From now on something is.
    pub fn watch(&self) {
        self.waiting.set(true);
    }
}

impl Slot {
    /// Takes a connection that stands for its own, to reset it when nothing moves. What is done is
    /// done on that connection from now on.
    pub fn adopt(&self, socket: &Socket, meter: &Option<Rc<Meter>>) {
        self.guard_connection(socket);
        self.meter.replace(meter.clone());
    }

    /// A failure with its true cause: what a reset by the time limit breaks is a timeout.
    pub fn blame(&self, phase: Phase, cause: Cause) -> Failure {
        let cause = match self.guard.expired.get() {
            Some(Expiry::Timeout) => Cause::Timeout,
            Some(Expiry::Unfinished) => Cause::Unfinished,
            None => cause,
        };
        Failure::new(phase, cause)
    }

    /// Notes that bytes moved.
    pub fn progress(&self) {
        self.worker.moved.set(true);
        self.guard.moved.set(Instant::now());
    }

    /// Resets the connection, or has the stream broken off.
    pub fn reset(&self) {
        match self.guard.guarded.take() {
            Some(Guarded::Connection(socket)) => socket.reset(),
            Some(Guarded::Stream) => self.guard.broken_off.notify_one(),
            None => {}
        }
    }

    /// Waits until the stream that is guarded is to be broken off.
    pub async fn broken_off(&self) {
        // What was said of an earlier stream, too late, is not meant.
        while self.guard.expired.get().is_none() {
            self.guard.broken_off.notified().await;
        }
    }

    /// Lets go of the connection, or of the stream.
    pub fn disarm(&self) {
        self.guard.guarded.replace(None);
    }

    /// Guards a connection of its own.
    pub(super) fn guard_connection(&self, socket: &Socket) {
        self.guard_either(Guarded::Connection(socket.clone()));
    }

    /// Guards a stream of a connection that others share.
    pub fn guard_stream(&self, meter: &Option<Rc<Meter>>) {
        self.guard_either(Guarded::Stream);
        self.meter.replace(meter.clone());
    }

    fn guard_either(&self, guarded: Guarded) {
        self.guard.guarded.replace(Some(guarded));
        self.guard.expired.set(None);
        self.guard.watch();
        self.progress();
    }

    /// Resets the connection, or the stream, when nothing has moved on it for `timeout`.
    pub fn expire(&self, now: Instant, timeout: Duration) {
        if self.guard.waiting.get()
            && now.saturating_duration_since(self.guard.moved.get()) > timeout
        {
            self.reset_for(Expiry::Timeout);
        }
    }

    /// Resets the connection if an operation is under way: the time to drain is over.
    pub fn give_up(&self) {
        if self.guard.waiting.get() {
            self.reset_for(Expiry::Unfinished);
        }
    }

    fn reset_for(&self, why: Expiry) {
        if self.guard.guarded.borrow().is_some() {
            self.guard.expired.set(Some(why));
            self.reset();
        }
    }
}
