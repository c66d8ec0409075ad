//! The report of a sweep: every run of every cell, and what they come to.
//!
//! The schema in `loadgen/schema/sweep-1.json` is made from these types. Within one format version
//! fields are only added.

pub mod summary;
pub mod table;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Host, Report, Tool};
use crate::sweep::{Dimension, Order};

/// Name and version of the format.
pub const FORMAT: &str = "loadgen.sweep/1";

/// A sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepReport {
    /// Name and version of the format: `loadgen.sweep/1`.
    pub format: String,
    /// What wrote it.
    pub tool: Tool,
    /// Where the generator ran.
    pub host: Host,
    /// What all runs have in common, as a command line.
    pub command: Vec<String>,
    /// What was varied.
    pub dimensions: Vec<Dimension>,
    /// How often each cell was to be run.
    pub rounds: u32,
    /// In which order.
    pub order: Order,
    /// Where the order came from.
    pub seed: u64,
    /// Whether somebody ended it before all was run.
    pub interrupted: bool,
    /// The cells, the last dimension changing fastest.
    pub cells: Vec<Cell>,
}

/// One combination of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// A value for each dimension.
    pub values: Vec<String>,
    /// What its runs come to.
    pub summary: Summary,
    /// Its runs.
    pub runs: Vec<CellRun>,
}

/// One run of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellRun {
    /// The round, from 1.
    pub round: u32,
    /// Its place among all runs of the sweep, from 1.
    pub number: u32,
    /// Its report.
    #[schemars(schema_with = "crate::report::parse::schema")]
    pub report: Report,
}

/// Medians and ranges of a cell's runs: of those whose numbers hold, or, where there is none, of
/// all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Runs whose numbers hold, some with a grain of salt.
    pub holding: u32,
    /// Runs in all.
    pub runs: u32,
    /// Runs that missed an objective.
    pub missed: u32,
    /// Operations per second that succeeded.
    pub achieved_per_s: Option<Range>,
    /// Payload of both directions, bytes per second.
    pub payload_bytes_per_s: Option<Range>,
    /// Response time, median.
    pub p50_ns: Option<Range>,
    /// Response time, 99th percentile.
    pub p99_ns: Option<Range>,
    /// Response time, 99.9th percentile.
    pub p999_ns: Option<Range>,
    /// Share of the operations that failed or were never sent.
    pub errors: Option<Range>,
    /// CPU time of the target per operation; absent without `--target-pid`.
    pub target_cpu_ns: Option<Range>,
}

/// A number over the runs of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// The middle one; of two in the middle the mean.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_types() {
        crate::report::schema::assert_stored::<SweepReport>("sweep-1.json");
    }
}
