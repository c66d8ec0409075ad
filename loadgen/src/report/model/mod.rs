//! The report of one run: the source of every other rendering.
//!
//! Stored as JSON and read back by [`super::parse`]. The schema in `loadgen/schema/run-2.json` is
//! made from these types. Within one format version fields are only added.
//!
//! Times are nanoseconds where their name ends in `_ns` and seconds where it ends in `_s`. Moments
//! are seconds since measuring began, which `timing.began_unix_s` places in the day.

mod configuration;
mod connections;
mod machine;
mod operations;
mod series;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    configuration::{Configuration, Stage, TenantConfiguration, TlsConfiguration},
    connections::{Connections, Http, KeyUpdates, Negotiated},
    machine::{Generator, Host, Target},
    operations::{Achieved, Bytes, Distribution, Latency, Operations, Part, Rates},
    series::{ErrorClass, ErrorCount, Second},
};
use super::{agents::Agent, conns::Held};
use crate::schedule::Loop;

/// Names and how often each was seen.
pub type Names = BTreeMap<String, u64>;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Name and version of the format: `loadgen.run/2`.
    pub format: String,
    /// What wrote it.
    pub tool: Tool,
    /// `handshake`, `request`, `echo`, `bulk`, `mix` or `conns`.
    pub operation: String,
    /// Whether operations start on a schedule (open) or when the one before is done (closed).
    #[serde(rename = "loop")]
    pub looped: Loop,
    /// What was asked for, as it was run.
    pub configuration: Configuration,
    /// Where the generator ran.
    pub host: Host,
    /// When.
    pub timing: Timing,
    /// Whether the numbers hold.
    pub verdict: Verdict,
    /// Objectives of `--slo`, and whether they were met.
    pub objectives: Vec<Objective>,
    /// Planned against achieved.
    pub achieved: Achieved,
    /// All operations.
    pub totals: Part,
    /// The same by kind of operation.
    pub kinds: Vec<Part>,
    /// The same by tenant.
    pub tenants: Vec<Part>,
    /// Connections set up.
    pub connections: Connections,
    /// Failures by phase and class.
    pub errors: Vec<ErrorClass>,
    /// HTTP statuses, of failed operations too.
    pub statuses: BTreeMap<u16, u64>,
    /// What handshakes negotiated; absent for plain TCP.
    pub tls: Option<Negotiated>,
    /// KeyUpdates of the whole run, warm-up included; absent unless `--key-update` was given.
    #[serde(default)]
    pub key_updates: Option<KeyUpdates>,
    /// How HTTP was spoken; absent where it was not.
    pub http: Option<Http>,
    /// Each second of the run, without warm-up.
    pub series: Vec<Second>,
    /// CPU of the generator.
    pub generator: Generator,
    /// CPU and memory of the target; absent unless `--target-pid` was given.
    pub target: Option<Target>,
    /// Connections that were held; absent but for `conns`.
    #[serde(default)]
    pub conns: Option<Held>,
    /// The agents that ran the load, whose sum all the rest is; empty where this machine did.
    #[serde(default)]
    pub agents: Vec<Agent>,
}

/// What wrote a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `loadgen`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// When a run was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Seconds since 1970 when measuring began.
    pub began_unix_s: f64,
    /// From then until the last operation was done.
    pub elapsed_s: f64,
    /// Whether somebody ended it before its bounds.
    pub interrupted: bool,
}

/// Whether the numbers hold.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They do.
    Valid,
    /// With a grain of salt.
    Degraded,
    /// They do not.
    Invalid,
}

/// What a run says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The worst that was found.
    pub state: State,
    /// All that was found, the worst first.
    pub reasons: Vec<Reason>,
}

/// One ground of a verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// `degraded` or `invalid`.
    pub state: State,
    /// The agent that it was found of; absent when it is of the whole run.
    #[serde(default)]
    pub agent: Option<String>,
    /// A name that programs can rely on.
    pub code: String,
    /// What was found and what to do, for people.
    pub message: String,
    /// What was measured: a share, a count, or seconds.
    pub measured: Option<f64>,
    /// What it may be at most, or at least, in the same unit.
    pub limit: Option<f64>,
}

/// An objective of `--slo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Objective {
    /// As it was written: `p99<5ms`.
    pub text: String,
    /// What was measured: seconds, a share, or operations per second; absent without operations.
    pub measured: Option<f64>,
    /// Whether it was met.
    pub met: bool,
}
