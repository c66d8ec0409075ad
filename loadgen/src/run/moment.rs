//! Looks at CPU and memory while a run lasts.

use std::time::{Duration, Instant};

use crate::measure::cpu::{HostTicks, Process, Sample, resident_bytes};

/// CPU times and memory at one moment.
#[derive(Debug)]
pub struct Moment {
    /// Since measuring began.
    pub at: Duration,
    /// Threads of the generator.
    pub generator: Sample,
    /// Threads of the target; none when it was not asked for, or has ended.
    pub target: Option<Sample>,
    /// Memory of the target.
    pub resident_bytes: Option<u64>,
    /// The whole host.
    pub host: HostTicks,
}

impl Moment {
    pub(super) fn take(measured_from: Instant, target_pid: Option<u32>) -> Self {
        Self {
            at: Instant::now().saturating_duration_since(measured_from),
            // Reading of ourselves cannot fail where the first reading did not.
            generator: Sample::take(Process::Own).unwrap_or_default(),
            target: target_pid.and_then(|pid| Sample::take(Process::Other(pid)).ok()),
            resident_bytes: target_pid.and_then(resident_bytes),
            host: HostTicks::take(),
        }
    }
}

impl Moment {
    /// The same of the target alone, for a run whose generator is elsewhere.
    pub fn of_target(measured_from: Instant, pid: u32) -> Self {
        Self {
            generator: Sample::default(),
            host: HostTicks::default(),
            ..Self::take(measured_from, Some(pid))
        }
    }
}
