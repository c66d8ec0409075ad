//! The report of a search: every step with its own report, and what was concluded.
//!
//! The schema in `loadgen/schema/search-1.json` is made from these types. Within one format version
//! fields are only added.

pub mod conclusion;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model::{Host, Report, Tool},
    quantity,
};
use crate::search::{Above, Finding, Phase};

/// Name and version of the format.
pub const FORMAT: &str = "loadgen.search/1";

/// A search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchReport {
    /// Name and version of the format: `loadgen.search/1`.
    pub format: String,
    /// What wrote it.
    pub tool: Tool,
    /// Where the generator ran.
    pub host: Host,
    /// `request`, `echo` or `handshake`.
    pub operation: String,
    /// URL of the target.
    pub target: String,
    /// Objectives as they were written.
    pub slo: Vec<String>,
    /// How it was searched.
    pub settings: Settings,
    /// What the first rate and the last one rest on.
    pub capacity: Capacity,
    /// What was found.
    pub result: Outcome,
    /// Every step, in the order in which they were taken.
    pub steps: Vec<Step>,
}

/// How it was searched, defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// The lowest rate that may be tried.
    pub lowest_per_s: f64,
    /// The highest rate that may be tried; absent when none was asked for.
    pub highest_per_s: Option<f64>,
    /// The share by which what is found may differ from the true highest rate.
    pub precision: f64,
    /// Attempts at a rate whose steps prove nothing.
    pub attempts: u32,
    /// Times that the best rate had to hold once more.
    pub confirmations: u32,
    /// Measured time of a step.
    pub step_s: f64,
    /// Time at each rate before it is measured.
    pub settle_s: f64,
}

/// What is known of target and generator before the first step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// What the connections made in a closed loop; absent when the lowest rate was given.
    pub closed_loop_per_s: Option<f64>,
    /// What the generator can make on this machine, as it was calibrated.
    pub calibrated_per_s: Option<f64>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The rate is the highest at which the objectives hold.
    Found,
    /// The objectives hold at the rate, and what is above could not be told.
    AtLeast,
    /// Not even the lowest rate holds.
    Nothing,
    /// Not even at the lowest rate could it be told.
    Undecided,
    /// Rates that had held did not hold again.
    Unconfirmed,
    /// Somebody ended it.
    Interrupted,
    /// One of the agents that made the steps was lost.
    AgentLost,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The best rate, as it was planned; when it was interrupted, the best that held so far.
    pub rate_per_s: Option<f64>,
    /// The lowest that was achieved when it was confirmed.
    pub achieved_per_s: Option<f64>,
    /// Why no higher rate is the answer.
    pub above: Option<Above>,
    /// All of it for people.
    pub message: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Which, from 1.
    pub number: u32,
    /// What it was for.
    pub phase: Phase,
    /// Which attempt at this rate, from 1.
    pub attempt: u32,
    /// Planned operations per second.
    pub rate_per_s: f64,
    /// What it found.
    pub finding: Finding,
    /// The run.
    #[schemars(schema_with = "crate::report::parse::schema")]
    pub report: Report,
}

impl fmt::Display for SearchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "search {} {}: {}",
            self.operation,
            self.target,
            self.slo.join(", ")
        )?;
        if let Some(per_s) = self.capacity.closed_loop_per_s {
            writeln!(
                f,
                "closed loop {}/s, as fast as the connections go",
                quantity::number(per_s)
            )?;
        }
        if let Some(per_s) = self.capacity.calibrated_per_s {
            writeln!(
                f,
                "calibrated  {}/s, as fast as the generator goes",
                quantity::number(per_s)
            )?;
        }
        writeln!(f, "{HEAD}")?;
        for step in &self.steps {
            writeln!(f, "{}", Row(step))?;
        }
        writeln!(f, "result      {}", self.result.message)
    }
}

/// The names of the columns of [`Row`].
pub const HEAD: &str =
    "step phase             rate/s    done/s       p50       p99     p99.9  finding";

/// A step on a line of its own.
#[derive(Debug)]
pub struct Row<'a>(pub &'a Step);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step {
            number,
            phase,
            attempt,
            rate_per_s,
            finding,
            report,
        } = self.0;
        let phase = match (phase, attempt) {
            (Phase::Doubling, 1) => "doubling".to_owned(),
            (Phase::Bisection, 1) => "bisection".to_owned(),
            (Phase::Confirmation, 1) => "confirmation".to_owned(),
            (_, attempt) => format!("  attempt {attempt}"),
        };
        let times = &report.totals.latency.response;
        let at = |name: &str| match times.percentiles_ns.get(name) {
            Some(ns) if times.count > 0 => quantity::time(*ns as f64),
            _ => "–".to_owned(),
        };
        write!(
            f,
            "{number:>4} {phase:<14} {:>9} {:>9} {:>9} {:>9} {:>9}  ",
            quantity::number(*rate_per_s),
            quantity::number(report.achieved.achieved_per_s),
            at("p50"),
            at("p99"),
            at("p99.9"),
        )?;
        f.write_str(match finding {
            Finding::Held { .. } => "held",
            Finding::Missed => "missed",
            Finding::Limited => "generator-limited",
            Finding::Noisy => "noisy",
        })?;
        let missed = report.objectives.iter().filter(|objective| !objective.met);
        let missed = missed.map(|objective| objective.text.as_str());
        let codes = report.verdict.reasons.iter();
        let grounds: Vec<_> = missed
            .chain(codes.map(|reason| reason.code.as_str()))
            .collect();
        match grounds.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", grounds.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_types() {
        crate::report::schema::assert_stored::<SearchReport>("search-1.json");
    }
}
