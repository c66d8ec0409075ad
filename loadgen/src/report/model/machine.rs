//! Machines: where the generator ran, and what it and the target took of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Distribution;

/// Where the generator ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine type, such as `x86_64`.
    pub machine: String,
    /// Processor, as the kernel calls it; on ARM, where it has no name for it, the numbers of implementer and part, such as
    /// `ARM 0x41 0xd49`; empty where it does not say.
    pub cpu: String,
    /// Cores the generator may use.
    pub cores: u64,
    /// Memory, in bytes; 0 where the kernel does not say.
    pub memory_bytes: u64,
}

/// CPU of the generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Worker threads.
    pub threads: u64,
    /// CPU time of all threads, spinning included.
    pub cpu_s: f64,
    /// Of that, time spent waiting for the next start without sleep.
    pub spun_s: f64,
    /// Share of the measured time in which the busiest thread worked, or wanted to and had no core.
    pub busiest_share: f64,
    /// Time ready to run without a core, all threads.
    pub waited_s: f64,
    /// CPU time per operation that succeeded, without spinning.
    pub cpu_ns_per_operation: Option<f64>,
    /// Sent − the later of planned and the moment a connection was free: what the generator itself
    /// adds to the send lag. Of all operations that were sent.
    pub lag: Distribution,
}

/// CPU and memory of the target; ksoftirqd is not included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Process.
    pub pid: u32,
    /// Its name; empty when it had ended.
    pub name: String,
    /// CPU time of all its threads; absent when it could not be read at the end.
    pub cpu_s: Option<f64>,
    /// Per operation that succeeded.
    pub cpu_ns_per_operation: Option<f64>,
    /// Per 10^9 bytes of payload, both directions.
    pub cpu_s_per_gigabyte: Option<f64>,
    /// Largest resident memory that was seen.
    pub rss_max_bytes: Option<u64>,
}
