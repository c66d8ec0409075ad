//! What happened when: failures by class, and every second.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Latency};
use crate::operation::failure::{Class, Phase};

/// Failures of one class in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorClass {
    /// Where.
    pub phase: Phase,
    /// What.
    pub class: Class,
    /// How many.
    pub count: u64,
    /// When the first one was; negative before measuring began.
    pub first_s: f64,
    /// When the last one was.
    pub last_s: f64,
    /// Some of them in words, no two alike.
    pub samples: Vec<String>,
}

/// One second of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Its start.
    pub start_s: u64,
    /// Operations whose planned start is in it.
    pub planned: u64,
    /// Operations sent in it.
    pub sent: u64,
    /// Operations that succeeded in it.
    pub succeeded: u64,
    /// Operations that failed in it.
    pub failed: u64,
    /// Failures in it, of operations and of connections.
    pub errors: Vec<ErrorCount>,
    /// Payload of those that succeeded.
    pub bytes: Bytes,
    /// Times of those that succeeded.
    pub latency: Latency,
    /// Share of the second in which the busiest generator thread worked.
    pub generator_busy_share: f64,
    /// CPU time of all threads of the generator, spinning included.
    pub generator_cpu_s: f64,
    /// CPU time of the target; absent without `--target-pid`, or when it had ended.
    pub target_cpu_s: Option<f64>,
    /// Memory of the target at its end.
    pub target_rss_bytes: Option<u64>,
    /// Share of the host's time that the hypervisor gave to others.
    pub stolen_share: f64,
}

/// Failures of one class in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorCount {
    /// Where.
    pub phase: Phase,
    /// What.
    pub class: Class,
    /// How many.
    pub count: u64,
}
