//! When operations start.
//!
//! For now a closed loop: each connection starts its next operation when the one before it is
//! done. Such a loop waits with the target when the target is slow, so its latencies are those of
//! a patient client and the report says so.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What makes an operation start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loop {
    /// A schedule that does not wait for the target.
    Open,
    /// The end of the operation before it on the same connection: a slow target is asked less.
    Closed,
}

/// How much to do: until the first bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How long measured operations are started.
    pub duration: Option<Duration>,
    /// How many measured operations are started.
    pub operations: Option<u64>,
    /// How long operations are started before that, which do not count.
    pub warmup: Duration,
}

impl Extent {
    /// The part of worker `index` of `workers`: all of the time, a share of the operations.
    pub fn share(self, index: u64, workers: u64) -> Self {
        let operations = self
            .operations
            .map(|all| all / workers + u64::from(index < all % workers));
        Self { operations, ..self }
    }
}

/// An operation that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it should start.
    pub planned: Instant,
    /// Whether it counts, or is warm-up.
    pub measured: bool,
    /// Its number among the measured operations of this worker, from 0.
    pub number: u64,
}

/// The closed loop of one worker: all its connections draw from it.
#[derive(Debug)]
pub struct ClosedLoop {
    measure_from: Instant,
    end: Option<Instant>,
    operations: Option<u64>,
    started: Cell<u64>,
}

impl ClosedLoop {
    /// A loop that begins now and measures from `measure_from` on.
    pub fn new(extent: Extent, measure_from: Instant) -> Self {
        Self {
            measure_from,
            end: extent.duration.map(|duration| measure_from + duration),
            operations: extent.operations,
            started: Cell::new(0),
        }
    }

    /// The next operation of a connection that is free at `now`; none when the run is over.
    pub fn next(&self, now: Instant) -> Option<Arrival> {
        let number = self.started.get();
        if now < self.measure_from {
            return Some(Arrival {
                planned: now,
                measured: false,
                number,
            });
        }
        if self.end.is_some_and(|end| now >= end) || self.operations.is_some_and(|n| number >= n) {
            return None;
        }
        self.started.set(number + 1);
        Some(Arrival {
            planned: now,
            measured: true,
            number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_ends_at_the_first_bound() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let extent = Extent {
            duration: Some(Duration::from_millis(10)),
            operations: Some(2),
            warmup: Duration::from_millis(5),
        };
        let run = ClosedLoop::new(extent, at(5));
        assert!(!run.next(at(4)).unwrap().measured);
        assert_eq!(run.next(at(5)).unwrap().number, 0);
        assert_eq!(run.next(at(6)).unwrap().number, 1);
        assert_eq!(run.next(at(7)), None, "two were started");
        let run = ClosedLoop::new(
            Extent {
                operations: None,
                ..extent
            },
            at(5),
        );
        assert!(run.next(at(14)).unwrap().measured);
        assert_eq!(run.next(at(15)), None, "the time is up");
    }

    #[test]
    fn shares_add_up() {
        let extent = Extent {
            duration: None,
            operations: Some(10),
            warmup: Duration::ZERO,
        };
        let shares: Vec<_> = (0..4)
            .map(|i| extent.share(i, 4).operations.unwrap())
            .collect();
        assert_eq!(shares, [3, 3, 2, 2]);
    }
}
