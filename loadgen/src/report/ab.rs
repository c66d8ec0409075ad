//! The report of `loadgen ab`: every slice, every pair, and their medians.
//!
//! The schema in `loadgen/schema/ab-1.json` is made from these types. Within one format version
//! fields are only added.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model::{ErrorClass, Host, Negotiated, Part, Tool, Verdict},
    quantity,
};
use crate::ab::pairs::Pair;

/// Name and version of the format.
pub const FORMAT: &str = "loadgen.ab/1";

/// Names of the targets, in their order.
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AbReport {
    /// Name and version of the format: `loadgen.ab/1`.
    pub format: String,
    /// What wrote it.
    pub tool: Tool,
    /// Where the generator ran.
    pub host: Host,
    /// `request`, `echo`, `handshake` or `bulk`.
    pub operation: String,
    /// How it was compared.
    pub settings: Settings,
    /// Whether somebody ended it before its time.
    pub interrupted: bool,
    /// Whether the numbers of all targets hold.
    pub verdict: Verdict,
    /// The targets, in the order of the command line.
    pub targets: Vec<Target>,
    /// Each target but the first, beside the first.
    pub comparisons: Vec<Comparison>,
    /// Every slice, in the order in which they were.
    pub slices: Vec<Slice>,
}

/// How it was compared, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// How long a target has the load at a time.
    pub slice_s: f64,
    /// Blocks in which every target has two slices.
    pub blocks: u64,
    /// Load on each target before the first block.
    pub warmup_s: f64,
    /// Connections to each target.
    pub connections: u64,
    /// Threads of the generator for each target.
    pub threads: u64,
    /// `closed`, `constant`, `poisson` or `burst:N/TIME`.
    pub arrival: String,
    /// Planned operations per second; absent in a closed loop.
    pub rate_per_s: Option<f64>,
    /// Where chance comes from.
    pub seed: u64,
}

/// One target, all its slices together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// `a`, `b` or `c`.
    pub name: String,
    /// URL.
    pub url: String,
    /// Address that was connected to.
    pub address: String,
    /// Process whose CPU time was read.
    pub pid: Option<u32>,
    /// Length of its slices.
    pub elapsed_s: f64,
    /// CPU time of the process in its slices; absent unless it was asked for and could be read.
    pub cpu_s: Option<f64>,
    /// The same per operation that succeeded.
    pub cpu_ns_per_operation: Option<f64>,
    /// Operations and their times.
    pub totals: Part,
    /// What handshakes negotiated, those before the slices too; absent for plain TCP.
    pub tls: Option<Negotiated>,
    /// Failures by phase and class; their times count from the start of a slice.
    pub errors: Vec<ErrorClass>,
    /// Whether its numbers hold.
    pub verdict: Verdict,
}

/// One target beside the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Which.
    pub target: String,
    /// Beside which: `a`.
    pub against: String,
    /// Medians over the pairs that have the number.
    pub median: Ratios,
    /// One for each block.
    pub pairs: Vec<Ratios>,
}

/// Natural logarithms of ratios, target / first; absent where a block has too few operations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratios {
    /// CPU time of the process per operation.
    pub cpu_per_operation: Option<f64>,
    /// Operations per second.
    pub throughput: Option<f64>,
    /// Median service time.
    pub service_p50: Option<f64>,
    /// 99th percentile of the service time.
    pub service_p99: Option<f64>,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Slice {
    /// Which block, from 0.
    pub block: u64,
    /// Whose.
    pub target: String,
    /// From its start until its last operation was done.
    pub elapsed_s: f64,
    /// Operations that succeeded.
    pub succeeded: u64,
    /// Operations that did not.
    pub failed: u64,
    /// CPU time of the target's process.
    pub cpu_ns: Option<u64>,
    /// Median service time; absent without operations.
    pub service_p50_ns: Option<u64>,
    /// 99th percentile of the service time; absent without operations.
    pub service_p99_ns: Option<u64>,
}

impl From<Pair> for Ratios {
    fn from(pair: Pair) -> Self {
        Self {
            cpu_per_operation: pair.cpu_per_op,
            throughput: pair.throughput,
            service_p50: pair.service_p50,
            service_p99: pair.service_p99,
        }
    }
}

impl fmt::Display for AbReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            slice_s,
            blocks,
            connections,
            ..
        } = self.settings;
        let slices = 2 * self.targets.len() as u64 * blocks;
        write!(
            f,
            "{} beside each other: {slices} slices of ",
            self.operation
        )?;
        write!(f, "{} in {blocks} blocks", quantity::stretch(slice_s))?;
        writeln!(f, ", {connections} connections to each target")?;
        writeln!(
            f,
            "target           ok    failed       /s    CPU/op       p50       p99"
        )?;
        for target in &self.targets {
            line(f, target)?;
        }
        for comparison in &self.comparisons {
            compared(f, comparison)?;
        }
        for target in &self.targets {
            for error in &target.errors {
                let samples = error.samples.join("; ");
                let (phase, class) = (error.phase, error.class);
                writeln!(
                    f,
                    "error       {}: {} x {phase}/{class}: {samples}",
                    target.name, error.count
                )?;
            }
        }
        writeln!(f, "verdict     {}", state(&self.verdict))?;
        for reason in &self.verdict.reasons {
            writeln!(f, "            {}", reason.message)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
    let times = &target.totals.latency.service;
    let at = |name: &str| match times.percentiles_ns.get(name) {
        Some(ns) if times.count > 0 => quantity::time(*ns as f64),
        _ => "–".to_owned(),
    };
    let operations = &target.totals.operations;
    writeln!(
        f,
        "{:<6} {:>12} {:>9} {:>8} {:>9} {:>9} {:>9}  {}",
        target.name,
        operations.succeeded,
        operations.failed,
        quantity::number(target.totals.rates.operations_per_s),
        target
            .cpu_ns_per_operation
            .map_or("–".to_owned(), quantity::time),
        at("p50"),
        at("p99"),
        target.url,
    )
}

fn compared(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let change = |ln: Option<f64>| match ln {
        Some(ln) => format!("{:+.2} %", ln.exp_m1() * 100.0),
        None => "–".to_owned(),
    };
    let Ratios {
        cpu_per_operation,
        throughput,
        service_p50,
        service_p99,
    } = comparison.median;
    let (target, against) = (&comparison.target, &comparison.against);
    write!(
        f,
        "{target} / {against}       CPU/op {}",
        change(cpu_per_operation)
    )?;
    write!(f, ", throughput {}", change(throughput))?;
    write!(
        f,
        ", p50 {}, p99 {}",
        change(service_p50),
        change(service_p99)
    )?;
    writeln!(f, " (median of {} blocks)", comparison.pairs.len())
}

fn state(verdict: &Verdict) -> &'static str {
    match verdict.state {
        super::model::State::Valid => "valid",
        super::model::State::Degraded => "DEGRADED",
        super::model::State::Invalid => "INVALID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_types() {
        crate::report::schema::assert_stored::<AbReport>("ab-1.json");
    }
}
