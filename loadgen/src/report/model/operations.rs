//! Operations: how they ended, how much they moved, and how long they took.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Planned against achieved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Achieved {
    /// Operations planned; in a closed loop those that were started.
    pub planned: u64,
    /// Operations done that were sent in time.
    pub achieved: u64,
    /// Planned operations per second, over the measured time; absent in a closed loop.
    pub planned_per_s: Option<f64>,
    /// Operations per second that succeeded.
    pub achieved_per_s: f64,
    /// Most operations that waited for a connection at one time, on one thread.
    pub backlog_max: u64,
    /// Operations that found the backlog full.
    pub backlog_overflowed: u64,
}

/// Operations of one kind, of one tenant, or all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Which.
    pub name: String,
    /// How they ended.
    pub operations: Operations,
    /// Payload of those that succeeded.
    pub bytes: Bytes,
    /// Per second of the measured time.
    pub rates: Rates,
    /// Times of those that succeeded.
    pub latency: Latency,
}

/// Operations by how they ended: `planned = succeeded + failed + unsent`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operations {
    /// Measured operations that were planned.
    pub planned: u64,
    /// Those that were sent.
    pub sent: u64,
    /// As they should be.
    pub succeeded: u64,
    /// Sent, and failed.
    pub failed: u64,
    /// Never sent: the backlog was full, or the run over.
    pub unsent: u64,
    /// Of the wrong kind, among the failed.
    pub wrong_kind: u64,
    /// Damaged, among the failed.
    pub corrupt: u64,
    /// Done before measuring began; in no other count.
    pub warmup: u64,
}

/// Payload, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bytes {
    /// From us.
    pub sent: u64,
    /// To us.
    pub received: u64,
}

/// Per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Operations that succeeded.
    pub operations_per_s: f64,
    /// Payload sent.
    pub sent_bytes_per_s: f64,
    /// Payload received.
    pub received_bytes_per_s: f64,
}

/// The three times of every operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Done − planned.
    pub response: Distribution,
    /// Done − sent.
    pub service: Distribution,
    /// Sent − planned.
    pub lag: Distribution,
}

/// Times of one kind, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Recorded times.
    pub count: u64,
    /// The shortest; 0 when there is none.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: f64,
    /// The standard deviation.
    pub stdev_ns: f64,
    /// The longest.
    pub max_ns: u64,
    /// `p50`, `p75`, `p90`, `p95`, `p99`, `p99.9`, `p99.99`, `p99.999`.
    pub percentiles_ns: BTreeMap<String, u64>,
    /// Everything, exactly: HdrHistogram V2, deflated, base64; values are nanoseconds.
    pub hdr_v2_deflate: String,
}
