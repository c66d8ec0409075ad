//! From what was measured to the report.

use std::{collections::BTreeMap, time::UNIX_EPOCH};

use super::{
    model::{
        Achieved, Bytes, Configuration, Connections, ErrorClass, Generator, Host, Latency,
        Negotiated, Operations, Part, Rates, Report, Target, Timing, Tool,
    },
    parse,
    verdict::{Conditions, Counts, Evidence, Exhausted, Judgement, Lag, TargetCpu},
};
use crate::{measure::tally::Tally, operation::failure::Class, run::Outcome, schedule::Loop};

/// What the report has to know besides the outcome.
#[derive(Debug)]
pub struct Frame {
    /// Name of the operation.
    pub operation: &'static str,
    /// What was asked for.
    pub configuration: Configuration,
    /// Where it ran.
    pub host: Host,
    /// Process whose CPU time was asked for.
    pub target_pid: Option<u32>,
}

/// The report of a run.
pub fn report(outcome: &Outcome, judgement: Judgement, frame: Frame) -> Report {
    let Outcome { tally, elapsed, .. } = outcome;
    let elapsed_s = elapsed.as_secs_f64();
    let totals = part("all", tally, elapsed_s);
    let tls = frame.configuration.tls.is_some().then(|| negotiated(tally));
    let began = outcome.began.duration_since(UNIX_EPOCH);
    Report {
        format: parse::format(),
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        operation: frame.operation.to_owned(),
        looped: Loop::Closed,
        host: frame.host,
        timing: Timing {
            began_unix_s: began.map_or(0.0, |t| t.as_secs_f64()),
            elapsed_s,
            interrupted: false,
        },
        verdict: judgement.verdict,
        objectives: Vec::new(),
        achieved: Achieved {
            planned: totals.operations.planned,
            achieved: totals.operations.sent,
            planned_per_s: None,
            achieved_per_s: totals.rates.operations_per_s,
            backlog_max: 0,
            backlog_overflowed: 0,
        },
        kinds: vec![Part {
            name: frame.operation.to_owned(),
            ..totals.clone()
        }],
        tenants: Vec::new(),
        connections: Connections {
            established: tally.counts.connections,
            priming: tally.counts.priming,
            died: tally.counts.died,
            connect: tally.latency.connect.distribution(),
            handshake: tally.latency.handshake.distribution(),
        },
        errors: errors(tally),
        statuses: tally.statuses.clone(),
        tls,
        series: Vec::new(),
        generator: generator(outcome, frame.configuration.threads),
        target: frame.target_pid.map(|pid| target(outcome, pid, &totals)),
        configuration: frame.configuration,
        totals,
    }
}

/// What the verdict rests on.
pub fn evidence(outcome: &Outcome, frame: &Frame) -> Evidence {
    let counts = &outcome.tally.counts;
    let (latency, failures) = (&outcome.tally.latency, &outcome.tally.failures);
    let seconds = outcome.elapsed.as_secs_f64().max(1e-9);
    let done = counts.succeeded + counts.failed;
    let lag_p99 = latency.lag.percentile(99.0);
    let of_class = |class| -> u64 {
        let of_it = failures.iter().filter(|((_, seen), _)| *seen == class);
        of_it.map(|(_, failure)| failure.count).sum()
    };
    let threads = frame.configuration.threads.max(1) as f64;
    Evidence {
        elapsed: outcome.elapsed,
        interrupted: false,
        counts: Counts {
            planned: match (frame.configuration.count, frame.configuration.duration_s) {
                (Some(count), None) => count,
                _ => done,
            },
            achieved: done,
            succeeded: counts.succeeded,
            failed: counts.failed,
            wrong_kind: counts.wrong_kind,
            corrupt: counts.corrupt,
            died: counts.died,
        },
        lag: Lag {
            p99: lag_p99,
            generator_p99: lag_p99,
            service_p50: latency.service.percentile(50.0),
        },
        exhausted: Exhausted {
            backlog: 0,
            ports: of_class(Class::PortsExhausted),
            descriptors: of_class(Class::DescriptorsExhausted),
        },
        conditions: Conditions {
            busy: outcome.generator.busiest.as_secs_f64() / seconds,
            waited: outcome.generator.waited.as_secs_f64() / seconds / threads,
            stolen: outcome.stolen,
        },
        target: match (&outcome.target, frame.target_pid) {
            (_, None) => TargetCpu::NotAsked,
            (Some(spent), Some(_)) => TargetCpu::Measured { ended: spent.ended },
            (None, Some(_)) => TargetCpu::Lost,
        },
    }
}

fn part(name: &str, tally: &Tally, elapsed_s: f64) -> Part {
    let counts = &tally.counts;
    let per_s = |n: u64| {
        if elapsed_s > 0.0 {
            n as f64 / elapsed_s
        } else {
            0.0
        }
    };
    let done = counts.succeeded + counts.failed;
    Part {
        name: name.to_owned(),
        operations: Operations {
            planned: done,
            sent: done,
            succeeded: counts.succeeded,
            failed: counts.failed,
            unsent: 0,
            wrong_kind: counts.wrong_kind,
            corrupt: counts.corrupt,
            warmup: counts.warmup,
        },
        bytes: Bytes {
            sent: counts.sent_bytes,
            received: counts.received_bytes,
        },
        rates: Rates {
            operations_per_s: per_s(counts.succeeded),
            sent_bytes_per_s: per_s(counts.sent_bytes),
            received_bytes_per_s: per_s(counts.received_bytes),
        },
        latency: Latency {
            response: tally.latency.response.distribution(),
            service: tally.latency.service.distribution(),
            lag: tally.latency.lag.distribution(),
        },
    }
}

fn errors(tally: &Tally) -> Vec<ErrorClass> {
    let failures = tally.failures.iter();
    failures
        .map(|((phase, class), failure)| ErrorClass {
            phase: *phase,
            class: *class,
            count: failure.count,
            first_s: 0.0,
            last_s: 0.0,
            samples: vec![failure.example.clone()],
        })
        .collect()
}

fn negotiated(tally: &Tally) -> Negotiated {
    let negotiated = tally.negotiated.clone();
    Negotiated {
        version: negotiated.version,
        suite: negotiated.suite,
        group: negotiated.group,
        kind: negotiated.kind,
        alpn: negotiated.alpn,
        server_name: BTreeMap::new(),
    }
}

fn generator(outcome: &Outcome, threads: u64) -> Generator {
    let spent = outcome.generator;
    let elapsed_s = outcome.elapsed.as_secs_f64();
    let succeeded = outcome.tally.counts.succeeded;
    Generator {
        threads,
        cpu_s: spent.ran.as_secs_f64(),
        spun_s: 0.0,
        busiest_share: match elapsed_s > 0.0 {
            true => spent.busiest.as_secs_f64() / elapsed_s,
            false => 0.0,
        },
        waited_s: spent.waited.as_secs_f64(),
        cpu_ns_per_operation: per(spent.ran.as_nanos() as f64, succeeded as f64),
    }
}

fn target(outcome: &Outcome, pid: u32, totals: &Part) -> Target {
    let ran = outcome.target.map(|spent| spent.ran);
    let gigabytes = (totals.bytes.sent + totals.bytes.received) as f64 / 1e9;
    let succeeded = totals.operations.succeeded as f64;
    Target {
        pid,
        name: String::new(),
        cpu_s: ran.map(|ran| ran.as_secs_f64()),
        cpu_ns_per_operation: ran.and_then(|ran| per(ran.as_nanos() as f64, succeeded)),
        cpu_s_per_gigabyte: ran.and_then(|ran| per(ran.as_secs_f64(), gigabytes)),
        rss_max_bytes: None,
    }
}

fn per(amount: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| amount / of)
}
