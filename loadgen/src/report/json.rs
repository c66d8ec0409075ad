//! The result as JSON. Fields are only added within one format version.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::Value;

use super::verdict::Verdict;
use crate::{
    measure::{
        cpu::Spent,
        histogram::TimesJson,
        tally::{Names, Tally},
    },
    operation::failure::{Class, Phase},
    run::Outcome,
};

/// The name and version of the format.
pub const FORMAT: &str = "loadgen.run/1";

/// One run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: &'static str,
    /// Version of loadgen.
    pub version: &'static str,
    /// `handshake`, `request`, `echo` or `bulk`.
    pub operation: &'static str,
    /// How operations were planned.
    pub arrival: &'static str,
    /// Seconds since 1970 when measuring began.
    pub began_unix_s: f64,
    /// From then until the last operation was done.
    pub elapsed_s: f64,
    /// What was asked for.
    pub configuration: Value,
    /// Whether the numbers hold.
    pub verdict: Verdict,
    /// Operations by how they ended.
    pub operations: Operations,
    /// Failures by phase and class.
    pub errors: Vec<ErrorCount>,
    /// Operations and bytes per second.
    pub rates: Rates,
    /// Payload of operations that succeeded.
    pub bytes: Bytes,
    /// HTTP statuses.
    pub statuses: BTreeMap<u16, u64>,
    /// What handshakes negotiated; none for plain TCP.
    pub tls: Option<Tls>,
    /// Times, in microseconds and as histograms.
    pub latency: Latency,
    /// CPU of the generator.
    pub generator: Generator,
    /// CPU of the target; none unless `--target-pid` was given.
    pub target: Option<Target>,
    /// The host.
    pub host: Host,
}

/// Operations by how they ended.
#[derive(Debug, Serialize)]
pub struct Operations {
    /// Measured operations that were started.
    pub attempted: u64,
    /// As they should be.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
    /// Before measuring began.
    pub warmup: u64,
    /// Handshakes that only fetched a ticket.
    pub priming: u64,
    /// Of the wrong kind, among the failed.
    pub wrong_kind: u64,
    /// Damaged, among the failed.
    pub corrupt: u64,
    /// Connections that ended by a panic of the generator.
    pub died: u64,
    /// Connections that were established and noted.
    pub connections: u64,
}

/// Failures of one class in one phase.
#[derive(Debug, Serialize)]
pub struct ErrorCount {
    /// Where.
    pub phase: Phase,
    /// What.
    pub class: Class,
    /// How many.
    pub count: u64,
    /// The first one, in words.
    pub example: String,
}

/// Per second of the measured time.
#[derive(Debug, Serialize)]
pub struct Rates {
    /// Operations that succeeded.
    pub operations_per_s: f64,
    /// Payload sent.
    pub sent_bytes_per_s: f64,
    /// Payload received.
    pub received_bytes_per_s: f64,
}

/// Payload, in bytes.
#[derive(Debug, Serialize)]
pub struct Bytes {
    /// From us.
    pub sent: u64,
    /// To us.
    pub received: u64,
}

/// What handshakes negotiated, counted per connection that was noted.
#[derive(Debug, Serialize)]
pub struct Tls {
    /// What of the certificate was checked.
    pub verification: String,
    /// Protocol versions.
    pub version: Names,
    /// Cipher suites.
    pub suite: Names,
    /// Key exchange groups.
    pub group: Names,
    /// Full or resumed.
    pub kind: Names,
    /// Application protocols.
    pub alpn: Names,
}

/// Times; see the tally.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Done − planned.
    pub response: TimesJson,
    /// Done − sent.
    pub service: TimesJson,
    /// Sent − planned.
    pub lag: TimesJson,
    /// TCP connect.
    pub connect: TimesJson,
    /// TLS handshake.
    pub handshake: TimesJson,
}

/// CPU of the generator.
#[derive(Debug, Serialize)]
pub struct Generator {
    /// Worker threads.
    pub threads: usize,
    /// CPU time of all.
    pub cpu_s: f64,
    /// CPU time of the busiest as a share of the measured time.
    pub busiest_share: f64,
    /// Time ready to run without a core, all threads.
    pub waited_s: f64,
    /// CPU time per operation that succeeded.
    pub cpu_per_operation_us: Option<f64>,
}

/// CPU of the target, ksoftirqd not included.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Process.
    pub pid: u32,
    /// CPU time of all its threads; none when it could not be read at the end.
    pub cpu_s: Option<f64>,
    /// Per operation that succeeded.
    pub cpu_per_operation_us: Option<f64>,
    /// Per 10^9 bytes of payload, both directions.
    pub cpu_per_gigabyte_s: Option<f64>,
}

/// The host.
#[derive(Debug, Serialize)]
pub struct Host {
    /// Cores the generator may use.
    pub cores: usize,
    /// Share of the time that the hypervisor gave to others.
    pub stolen_share: f64,
}

/// What the report has to know besides the outcome.
#[derive(Debug)]
pub struct Frame {
    /// Name of the operation.
    pub operation: &'static str,
    /// What was asked for.
    pub configuration: Value,
    /// What of the certificate was checked; none for plain TCP.
    pub verification: Option<String>,
    /// Worker threads.
    pub threads: usize,
    /// Process whose CPU time was asked for.
    pub target_pid: Option<u32>,
}

impl Report {
    /// The report of a run.
    pub fn new(outcome: &Outcome, verdict: Verdict, frame: Frame) -> Self {
        let Outcome { tally, elapsed, .. } = outcome;
        let counts = &tally.counts;
        let per_s = |n: u64| match elapsed.is_zero() {
            true => 0.0,
            false => n as f64 / elapsed.as_secs_f64(),
        };
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            operation: frame.operation,
            arrival: "closed loop",
            began_unix_s: outcome
                .began
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |t| t.as_secs_f64()),
            elapsed_s: elapsed.as_secs_f64(),
            configuration: frame.configuration,
            verdict,
            operations: Operations {
                attempted: counts.succeeded + counts.failed,
                succeeded: counts.succeeded,
                failed: counts.failed,
                warmup: counts.warmup,
                priming: counts.priming,
                wrong_kind: counts.wrong_kind,
                corrupt: counts.corrupt,
                died: counts.died,
                connections: counts.connections,
            },
            errors: errors(tally),
            rates: Rates {
                operations_per_s: per_s(counts.succeeded),
                sent_bytes_per_s: per_s(counts.sent_bytes),
                received_bytes_per_s: per_s(counts.received_bytes),
            },
            bytes: Bytes {
                sent: counts.sent_bytes,
                received: counts.received_bytes,
            },
            statuses: tally.statuses.clone(),
            tls: frame
                .verification
                .map(|verification| tls(tally, verification)),
            latency: Latency {
                response: tally.latency.response.to_json(),
                service: tally.latency.service.to_json(),
                lag: tally.latency.lag.to_json(),
                connect: tally.latency.connect.to_json(),
                handshake: tally.latency.handshake.to_json(),
            },
            generator: generator(outcome, frame.threads),
            target: frame.target_pid.map(|pid| target(outcome, pid)),
            host: Host {
                cores: crate::affinity::cores(),
                stolen_share: outcome.stolen,
            },
        }
    }
}

fn errors(tally: &Tally) -> Vec<ErrorCount> {
    tally
        .failures
        .iter()
        .map(|((phase, class), failure)| ErrorCount {
            phase: *phase,
            class: *class,
            count: failure.count,
            example: failure.example.clone(),
        })
        .collect()
}

fn tls(tally: &Tally, verification: String) -> Tls {
    let negotiated = tally.negotiated.clone();
    Tls {
        verification,
        version: negotiated.version,
        suite: negotiated.suite,
        group: negotiated.group,
        kind: negotiated.kind,
        alpn: negotiated.alpn,
    }
}

fn generator(outcome: &Outcome, threads: usize) -> Generator {
    let Spent {
        ran,
        waited,
        busiest,
        ..
    } = outcome.generator;
    let elapsed = outcome.elapsed.as_secs_f64();
    Generator {
        threads,
        cpu_s: ran.as_secs_f64(),
        busiest_share: if elapsed > 0.0 {
            busiest.as_secs_f64() / elapsed
        } else {
            0.0
        },
        waited_s: waited.as_secs_f64(),
        cpu_per_operation_us: per_operation_us(ran, outcome.tally.counts.succeeded),
    }
}

fn target(outcome: &Outcome, pid: u32) -> Target {
    let counts = &outcome.tally.counts;
    let ran = outcome.target.map(|spent| spent.ran);
    let gigabytes = (counts.sent_bytes + counts.received_bytes) as f64 / 1e9;
    Target {
        pid,
        cpu_s: ran.map(|ran| ran.as_secs_f64()),
        cpu_per_operation_us: ran.and_then(|ran| per_operation_us(ran, counts.succeeded)),
        cpu_per_gigabyte_s: ran
            .filter(|_| gigabytes > 0.0)
            .map(|ran| ran.as_secs_f64() / gigabytes),
    }
}

fn per_operation_us(time: Duration, operations: u64) -> Option<f64> {
    (operations > 0).then(|| time.as_secs_f64() * 1e6 / operations as f64)
}
