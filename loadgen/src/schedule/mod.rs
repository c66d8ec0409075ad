//! When operations start: a pure state machine, without clock and I/O.
//!
//! ```text
//! --stages, -R -> Curve (rate over time) --+
//! --arrival, --seed, share of a thread ----+-> Arrivals -> Timeline (warm-up, bounds) -> Arrival
//! no -R -----------------------------------------------> ClosedLoop ------------------^
//! ```
//!
//! Times are since the load began, warm-up included. Every planned start is computed from its
//! number and not from the one before it, so nothing drifts.

pub mod arrivals;
pub mod choice;
pub mod closed;
pub mod curve;
pub mod mix;
pub mod parse;
pub mod random;
pub mod timeline;

use std::time::Duration;

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

/// One thread among those that share a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which, from 0.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

impl Share {
    /// The part of `all` that is this thread's: those whose number modulo the threads is its index.
    pub fn part(self, all: u64) -> u64 {
        all / self.of + u64::from(self.index < all % self.of)
    }

    /// The number among those of all threads of this thread's operation `number`.
    pub fn number(self, number: u64) -> u64 {
        number * self.of + self.index
    }
}

/// One machine among those that share a load. All have as many threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Which, from 0.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

impl Machine {
    /// The only one.
    pub const ALONE: Self = Self { index: 0, of: 1 };

    /// The share of a thread of this machine, of `threads` on each. Neighbours are on different
    /// machines, so that what is left over when connections or operations are divided is spread over
    /// all of them.
    pub fn share(self, thread: usize, threads: usize) -> Share {
        Share {
            index: thread as u64 * self.of + self.index,
            of: threads as u64 * self.of,
        }
    }
}

/// An operation that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it should start.
    pub planned: Duration,
    /// Whether it counts, or is warm-up.
    pub measured: bool,
    /// Its number on this thread, from 0, warm-up counted apart.
    pub number: u64,
    /// Its kind, an index into those of the run.
    pub kind: usize,
    /// Its tenant, an index into those of the run.
    pub tenant: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let parts: Vec<_> = (0..4)
            .map(|index| Share { index, of: 4 }.part(10))
            .collect();
        assert_eq!(parts, [3, 3, 2, 2]);
    }

    #[test]
    fn threads_of_all_machines_have_all_shares_once() {
        let machines = (0..3).map(|index| Machine { index, of: 3 });
        let shares = machines.flat_map(|machine| [0, 1].map(|thread| machine.share(thread, 2)));
        let mut shares: Vec<_> = shares.collect();
        assert!(shares.iter().all(|share| share.of == 6));
        assert_eq!(shares.iter().map(|share| share.part(100)).sum::<u64>(), 100);
        // With three of four left over, each machine has one more.
        let of_machines = shares
            .chunks(2)
            .map(|two| two.iter().map(|s| s.part(9)).sum());
        assert_eq!(of_machines.collect::<Vec<u64>>(), [3, 3, 3]);
        shares.sort_by_key(|share| share.index);
        let numbers = shares.iter().map(|share| share.index);
        assert!(numbers.eq(0..6));
        let alone = Machine::ALONE.share(1, 2);
        assert_eq!(alone, Share { index: 1, of: 2 });
    }
}
