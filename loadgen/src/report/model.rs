//! The report of one run: the source of every other rendering.
//!
//! Stored as JSON and read back by [`super::parse`]. The schema in `loadgen/schema/run-2.json` is
//! made from these types. Within one format version fields are only added.
//!
//! Times are nanoseconds where their name ends in `_ns` and seconds where it ends in `_s`. Moments
//! are seconds since measuring began, which `timing.began_unix_s` places in the day.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{agents::Agent, conns::Held};
use crate::{
    operation::failure::{Class, Phase},
    schedule::Loop,
};

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

/// A run as it was asked for, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// URL of the target.
    pub target: String,
    /// Address that was connected to.
    pub address: String,
    /// Connections.
    pub connections: u64,
    /// Threads of the generator, on all machines.
    pub threads: u64,
    /// `closed`, `constant`, `poisson` or `burst:N/TIME`.
    pub arrival: String,
    /// Planned rates in their order; empty in a closed loop.
    pub stages: Vec<Stage>,
    /// Bound of the measured time.
    pub duration_s: Option<f64>,
    /// Bound of the measured operations.
    pub count: Option<u64>,
    /// Time before measuring.
    pub warmup_s: f64,
    /// Longest time behind the last planned start.
    pub drain_s: f64,
    /// Longest time in which nothing moves.
    pub timeout_s: f64,
    /// Where chance comes from.
    pub seed: u64,
    /// `auto`, `on` or `off`.
    pub spin: String,
    /// Operations that may wait for a connection; absent in a closed loop.
    pub backlog: Option<u64>,
    /// How TLS was spoken; absent for plain TCP.
    pub tls: Option<TlsConfiguration>,
    /// How operations were spread over tenants; absent for one tenant without a name.
    #[serde(default)]
    pub tenants: Option<TenantConfiguration>,
    /// Objectives as they were written.
    pub slo: Vec<String>,
    /// Agents that ran the load, as they were named; empty where this machine did.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Addresses and networks to connect from; empty where the system chooses.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What is particular to the operation.
    pub particulars: BTreeMap<String, serde_json::Value>,
}

/// A stretch of time with a rate, or with a ramp from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Operations per second at its start.
    pub from_per_s: f64,
    /// And at its end.
    pub to_per_s: f64,
    /// How long; absent when only `count` bounds the run.
    pub duration_s: Option<f64>,
}

/// How TLS was spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsConfiguration {
    /// Name in the ClientHello.
    pub server_name: String,
    /// Versions offered.
    pub versions: Vec<String>,
    /// Groups offered, in their order.
    pub groups: Vec<String>,
    /// Whether a client certificate was shown when asked for.
    pub client_certificate: bool,
    /// What of the target's certificate was checked.
    pub verification: String,
    /// After how much a connection asked for new keys.
    #[serde(default)]
    pub key_update: Option<String>,
    /// Application protocols offered, in their order.
    #[serde(default)]
    pub alpn: Vec<String>,
}

/// How operations were spread over tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TenantConfiguration {
    /// How many.
    pub count: u64,
    /// `uniform`, `zipf(S)`, or a file of weights.
    pub spread: String,
    /// What they are called; absent when a file names them.
    pub name: Option<String>,
    /// Shares that were multiplied: `t3=10x`.
    pub noisy: Vec<String>,
}

/// Where the generator ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine type, such as `x86_64`.
    pub machine: String,
    /// Processor, as the kernel calls it; empty where it does not say.
    pub cpu: String,
    /// Cores the generator may use.
    pub cores: u64,
    /// Memory, in bytes; 0 where the kernel does not say.
    pub memory_bytes: u64,
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

/// Connections set up, those before the start included; where handshakes are the operation, the
/// measured ones that are as they should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// How many stood.
    pub established: u64,
    /// Handshakes that only fetched a ticket.
    pub priming: u64,
    /// Connections that ended by a panic of the generator.
    pub died: u64,
    /// TCP connect.
    pub connect: Distribution,
    /// TLS handshake.
    pub handshake: Distribution,
}

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

/// What handshakes negotiated, counted per connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Negotiated {
    /// Protocol versions.
    pub version: Names,
    /// Cipher suites.
    pub suite: Names,
    /// Key exchange groups.
    pub group: Names,
    /// `full`, `full_hello_retry`, `resumed`.
    pub kind: Names,
    /// Application protocols.
    pub alpn: Names,
    /// Names asked for.
    pub server_name: Names,
    /// What became of early data: `accepted`, `rejected`, or `not_allowed` by the ticket. Of all
    /// measured handshakes that were to send some, those of the wrong kind included.
    #[serde(default)]
    pub early_data: Names,
}

/// KeyUpdates (RFC 8446 §4.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyUpdates {
    /// Ours: those that ask the target for one, and answers to its own.
    pub sent: u64,
    /// The target's. An answer that comes when nobody reads any more is not in it.
    pub received: u64,
}

/// How HTTP was spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Http {
    /// Versions, counted per connection: `1.1`, `2`.
    pub version: Names,
    /// The fewest streams at once that the target allowed on a connection; absent where these were
    /// as many as were wanted.
    pub streams_allowed: Option<u64>,
    /// Streams that the target reset, by error code. With `NO_ERROR` some may have succeeded: it
    /// answered them without taking their bodies whole.
    pub resets: Names,
    /// Connections that the target ended with GOAWAY while they were in use, by error code.
    pub go_aways: Names,
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
