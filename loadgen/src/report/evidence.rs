//! What the verdict of a run rests on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a verdict rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Measured time.
    pub elapsed: Duration,
    /// Whether somebody ended the run before its bounds.
    pub interrupted: bool,
    /// Operations by how they ended.
    pub counts: Counts,
    /// Late sending.
    pub lag: Lag,
    /// Connections that the target ended while they were only held.
    pub dropped: u64,
    /// What was exhausted, or overflowed.
    pub exhausted: Exhausted,
    /// CPU of generator and host.
    pub conditions: Conditions,
    /// CPU of the target.
    pub target: TargetCpu,
    /// Streams that the target does not allow; none where it allows all that were wanted.
    pub few_streams: Option<FewStreams>,
}

/// Fewer streams at once on a connection than were wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FewStreams {
    /// What the target allows.
    pub allowed: u64,
    /// What was asked for.
    pub wanted: u64,
}

/// Operations by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Planned, with those that were never sent.
    pub planned: u64,
    /// Done, and sent in time.
    pub achieved: u64,
    /// As they should be.
    pub succeeded: u64,
    /// Sent, and failed.
    pub failed: u64,
    /// Of the wrong kind.
    pub wrong_kind: u64,
    /// Damaged.
    pub corrupt: u64,
    /// Connections that ended by a panic of ours.
    pub died: u64,
}

/// Late sending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Sent − planned, 99th percentile.
    pub p99: Duration,
    /// The same without the wait for a connection: what the generator itself adds.
    pub generator_p99: Duration,
    /// Done − sent, median.
    pub service_p50: Duration,
}

/// What was exhausted, or overflowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exhausted {
    /// Operations that found the backlog full.
    pub backlog: u64,
    /// Connections without a local port.
    pub ports: u64,
    /// Connections without a descriptor.
    pub descriptors: u64,
}

/// CPU of generator and host, as shares of the measured time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Conditions {
    /// The busiest thread, on its core without spinning, or waiting for it.
    pub busy: f64,
    /// The thread that waited most for a core.
    pub waited: f64,
    /// Taken by the hypervisor.
    pub stolen: f64,
}

/// What is known of the target's CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetCpu {
    /// It was not asked for.
    NotAsked,
    /// It was measured, but for this many threads that ended meanwhile.
    Measured {
        /// Threads that ended.
        ended: usize,
    },
    /// It could not be read at the end.
    Lost,
}
