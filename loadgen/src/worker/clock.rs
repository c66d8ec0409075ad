//! The worker's clock: the one place of the worker that reads the time.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Time since the load began.
#[derive(Debug, Default)]
pub struct Clock(Cell<Option<Instant>>);

impl Clock {
    /// The load begins, or began, at `start`.
    pub fn start(&self, start: Instant) {
        self.0.set(Some(start));
    }

    /// When the load began; none before.
    pub fn started(&self) -> Option<Instant> {
        self.0.get()
    }

    /// Since the load began; zero before.
    pub fn now(&self) -> Duration {
        let since = |start| Instant::now().saturating_duration_since(start);
        self.0.get().map_or(Duration::ZERO, since)
    }
}
