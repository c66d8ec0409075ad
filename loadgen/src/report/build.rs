//! From what was measured to the report.

use std::time::{Duration, UNIX_EPOCH};

use super::{
    evidence::{Conditions, Counts, Evidence, Exhausted, FewStreams, Lag, TargetCpu},
    model::{
        Achieved, Bytes, Configuration, Connections, ErrorClass, Generator, Host, Http, KeyUpdates,
        Objective, Operations, Part, Rates, Report, Second, Target, Timing, Tool,
    },
    parse,
    verdict::{self, Judgement},
};
use crate::{
    measure::{cpu, interval},
    operation::failure::Class,
    run::{Moment, Outcome},
    schedule::Loop,
};

/// What the report has to know besides the outcome.
#[derive(Debug)]
pub struct Frame {
    /// Name of the operation.
    pub operation: &'static str,
    /// Names of its kinds.
    pub kinds: Vec<String>,
    /// Names of the rows of tenants; none where there is only one, without a name.
    pub tenants: Vec<String>,
    /// Whether the loop was open.
    pub looped: Loop,
    /// What was asked for.
    pub configuration: Configuration,
    /// Operations that could be under way at once on a connection.
    pub streams: u64,
    /// Where it ran.
    pub host: Host,
    /// Process whose CPU time was asked for.
    pub target_pid: Option<u32>,
}

/// All operations, whatever their kind.
pub fn totals(outcome: &Outcome) -> interval::Part {
    let mut sum = interval::Part::default();
    for part in &outcome.collected.totals.kinds {
        sum.add(part);
    }
    sum
}

/// What the verdict rests on.
pub fn evidence(outcome: &Outcome, frame: &Frame) -> Evidence {
    let all = totals(outcome);
    let sums = &outcome.collected.totals;
    let counts = &all.counts;
    let of_class = |class| -> u64 {
        let failures = sums.failures.iter();
        let of_it = failures.filter(|((_, seen), _)| *seen == class);
        of_it.map(|(_, failures)| failures.count).sum()
    };
    let started_too_few = match (frame.looped, frame.configuration.duration_s) {
        // Whoever asks for a count wants all of it.
        (_, None) => frame.configuration.count,
        _ => None,
    };
    Evidence {
        elapsed: outcome.elapsed,
        interrupted: outcome.interrupted,
        counts: Counts {
            planned: match outcome.interrupted {
                true => counts.planned,
                false => counts.planned.max(started_too_few.unwrap_or(0)),
            },
            achieved: achieved(counts),
            succeeded: counts.succeeded,
            failed: counts.failed,
            wrong_kind: counts.wrong_kind,
            corrupt: counts.corrupt,
            died: sums.connections.died,
        },
        lag: Lag {
            p99: all.latency.lag.percentile(99.0),
            generator_p99: sums.effort.lag.percentile(99.0),
            service_p50: all.latency.service.percentile(50.0),
        },
        dropped: sums.connections.dropped,
        exhausted: Exhausted {
            backlog: sums.effort.overflowed,
            ports: of_class(Class::PortsExhausted),
            descriptors: of_class(Class::DescriptorsExhausted),
        },
        conditions: conditions(outcome),
        target: target_cpu(outcome, frame.target_pid),
        few_streams: sums
            .connections
            .http
            .streams_allowed
            .map(|allowed| FewStreams {
                allowed,
                wanted: frame.streams,
            }),
    }
}

/// Operations done that were sent in time.
pub fn achieved(counts: &interval::Counts) -> u64 {
    (counts.succeeded + counts.failed).saturating_sub(counts.late)
}

/// The first and the last moment; there is always a last one.
fn ends(outcome: &Outcome) -> Option<(&Moment, &Moment)> {
    Some((outcome.moments.first()?, outcome.moments.last()?))
}

fn conditions(outcome: &Outcome) -> Conditions {
    let Some((first, last)) = ends(outcome) else {
        return Conditions::default();
    };
    let seconds = (last.at - first.at).as_secs_f64().max(1e-9);
    let threads = outcome.threads.iter();
    let waited = threads.map(|thread| {
        let spent = last.generator.thread_since(&first.generator, *thread);
        spent.waited.as_secs_f64() / seconds
    });
    Conditions {
        busy: busiest(outcome, first, last, &outcome.collected.spun),
        waited: waited.fold(0.0, f64::max),
        stolen: last.host.stolen_since(&first.host),
    }
}

/// The share of the time in which the busiest worker worked, or wanted to and had no core. What it
/// spun is no work.
fn busiest(outcome: &Outcome, from: &Moment, to: &Moment, spun: &[Duration]) -> f64 {
    let seconds = (to.at - from.at).as_secs_f64().max(1e-9);
    let workers = outcome.threads.iter().enumerate();
    let shares = workers.map(|(worker, thread)| {
        let spent = to.generator.thread_since(&from.generator, *thread);
        let spun = spun.get(worker).copied().unwrap_or_default();
        (spent.ran + spent.waited)
            .saturating_sub(spun)
            .as_secs_f64()
            / seconds
    });
    // The kernel tells of a wait when it is over, so a short look may see more than its own time.
    shares.fold(0.0, f64::max).min(1.0)
}

fn target_cpu(outcome: &Outcome, pid: Option<u32>) -> TargetCpu {
    if pid.is_none() {
        return TargetCpu::NotAsked;
    }
    match ends(outcome).map(|(first, last)| (&first.target, &last.target)) {
        Some((Some(first), Some(last))) => TargetCpu::Measured {
            ended: last.since(first).ended,
        },
        _ => TargetCpu::Lost,
    }
}

/// This program.
pub fn tool() -> Tool {
    Tool {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The report of a run.
pub fn report(
    outcome: Outcome,
    judgement: Judgement,
    objectives: Vec<Objective>,
    frame: Frame,
) -> Report {
    let elapsed_s = outcome.elapsed.as_secs_f64();
    let all = totals(&outcome);
    let totals = part("all", &all, elapsed_s);
    let sums = &outcome.collected.totals;
    let began = outcome.began.duration_since(UNIX_EPOCH);
    let warmup_s = frame.configuration.warmup_s;
    let kinds = frame.kinds.iter().zip(&sums.kinds);
    let tenants = tenants(&frame, sums, &totals, elapsed_s);
    Report {
        format: parse::format(),
        tool: tool(),
        operation: frame.operation.to_owned(),
        looped: frame.looped,
        host: frame.host,
        timing: Timing {
            began_unix_s: began.map_or(0.0, |t| t.as_secs_f64()),
            elapsed_s,
            interrupted: outcome.interrupted,
        },
        verdict: judgement.verdict,
        objectives,
        achieved: Achieved {
            planned: all.counts.planned,
            achieved: achieved(&all.counts),
            planned_per_s: planned_per_s(&frame.configuration, frame.looped, all.counts.planned),
            achieved_per_s: totals.rates.operations_per_s,
            backlog_max: sums.effort.backlog_max,
            backlog_overflowed: sums.effort.overflowed,
        },
        kinds: kinds
            .filter(|(_, part)| frame.kinds.len() == 1 || part.counts.planned > 0)
            .map(|(name, sum)| part(name, sum, elapsed_s))
            .collect(),
        tenants,
        connections: Connections {
            established: sums.connections.established,
            priming: sums.connections.priming,
            died: sums.connections.died,
            connect: sums.connections.connect.distribution(),
            handshake: sums.connections.handshake.distribution(),
        },
        errors: errors(sums, warmup_s),
        statuses: sums.statuses.clone(),
        tls: frame
            .configuration
            .tls
            .is_some()
            .then(|| sums.connections.negotiated.clone()),
        key_updates: key_updates(&frame.configuration, sums.connections.key_updates),
        http: http(&sums.connections.http),
        generator: generator(&outcome, totals.operations.succeeded),
        target: frame.target_pid.map(|pid| target(&outcome, pid, &totals)),
        series: series(&outcome),
        conns: None,
        agents: Vec::new(),
        configuration: frame.configuration,
        totals,
    }
}

fn key_updates(
    configuration: &Configuration,
    counted: sealgate_tls::KeyUpdates,
) -> Option<KeyUpdates> {
    configuration.tls.as_ref()?.key_update.as_ref()?;
    Some(KeyUpdates {
        sent: counted.sent,
        received: counted.received,
    })
}

/// Over the time of the stages; where only a count bounds the run, the rate itself.
fn planned_per_s(configuration: &Configuration, looped: Loop, planned: u64) -> Option<f64> {
    if looped == Loop::Closed {
        return None;
    }
    match configuration.duration_s {
        Some(duration_s) if configuration.count.is_none() => Some(planned as f64 / duration_s),
        _ => configuration.stages.first().map(|stage| stage.from_per_s),
    }
}

/// The tenants. Without `--tenants` there is one, whose operations are all operations; its name is
/// the one that was asked for.
fn tenants(frame: &Frame, sums: &interval::Interval, totals: &Part, elapsed_s: f64) -> Vec<Part> {
    if frame.tenants.is_empty() {
        let tenant = |tls: &super::model::TlsConfiguration| Part {
            name: tls.server_name.clone(),
            ..totals.clone()
        };
        let tls = frame.configuration.tls.as_ref();
        return tls.map(tenant).into_iter().collect();
    }
    let rows = frame.tenants.iter().zip(&sums.tenants);
    rows.map(|(name, sum)| part(name, sum, elapsed_s)).collect()
}

/// Operations of one kind, of one tenant, or all.
pub fn part(name: &str, part: &interval::Part, elapsed_s: f64) -> Part {
    let counts = &part.counts;
    let per_s = |n: u64| match elapsed_s > 0.0 {
        true => n as f64 / elapsed_s,
        false => 0.0,
    };
    Part {
        name: name.to_owned(),
        operations: Operations {
            planned: counts.planned,
            sent: counts.sent,
            succeeded: counts.succeeded,
            failed: counts.failed,
            unsent: counts.unsent,
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
        latency: part.latency.to_model(),
    }
}

fn http(spoken: &Http) -> Option<Http> {
    (!spoken.version.is_empty()).then(|| spoken.clone())
}

/// Failures by phase and class.
pub fn errors(sums: &interval::Interval, warmup_s: f64) -> Vec<ErrorClass> {
    let failures = sums.failures.iter();
    failures
        .map(|((phase, class), failures)| ErrorClass {
            phase: *phase,
            class: *class,
            count: failures.count,
            first_s: failures.first.as_secs_f64() - warmup_s,
            last_s: failures.last.as_secs_f64() - warmup_s,
            samples: failures.samples.clone(),
        })
        .collect()
}

fn generator(outcome: &Outcome, succeeded: u64) -> Generator {
    let spent = ends(outcome).map(|(first, last)| last.generator.since(&first.generator));
    let spent = spent.unwrap_or_default();
    let spun: Duration = outcome.collected.spun.iter().sum();
    let worked = spent.ran.saturating_sub(spun).as_nanos() as f64;
    Generator {
        threads: outcome.threads.len() as u64,
        cpu_s: spent.ran.as_secs_f64(),
        spun_s: spun.as_secs_f64(),
        busiest_share: conditions(outcome).busy,
        waited_s: spent.waited.as_secs_f64(),
        cpu_ns_per_operation: per(worked, succeeded as f64),
        lag: outcome.collected.totals.effort.lag.distribution(),
    }
}

fn target(outcome: &Outcome, pid: u32, totals: &Part) -> Target {
    let ran = ends(outcome).and_then(|(first, last)| {
        let spent = last.target.as_ref()?.since(first.target.as_ref()?);
        Some(spent.ran)
    });
    let gigabytes = (totals.bytes.sent + totals.bytes.received) as f64 / 1e9;
    let succeeded = totals.operations.succeeded as f64;
    let resident = outcome.moments.iter().map(|moment| moment.resident_bytes);
    Target {
        pid,
        name: cpu::process_name(pid),
        cpu_s: ran.map(|ran| ran.as_secs_f64()),
        cpu_ns_per_operation: ran.and_then(|ran| per(ran.as_nanos() as f64, succeeded)),
        cpu_s_per_gigabyte: ran.and_then(|ran| per(ran.as_secs_f64(), gigabytes)),
        rss_max_bytes: resident.flatten().max(),
    }
}

/// The seconds with what was sampled at their ends.
fn series(outcome: &Outcome) -> Vec<Second> {
    let mut series = outcome.collected.series.clone();
    for pair in outcome.moments.windows(2) {
        let [from, to] = pair else { continue };
        // The look that ends a second may come late, and the last one comes early.
        let second = from.at.as_secs();
        let Some(row) = series.get_mut(second as usize) else {
            continue;
        };
        let spun = outcome.collected.spun_by_second.get(&second);
        let spun = spun.map_or(&[][..], Vec::as_slice);
        row.generator_busy_share = busiest(outcome, from, to, spun);
        row.generator_cpu_s = to.generator.since(&from.generator).ran.as_secs_f64();
        row.target_cpu_s = match (&from.target, &to.target) {
            (Some(from), Some(to)) => Some(to.since(from).ran.as_secs_f64()),
            _ => None,
        };
        row.target_rss_bytes = to.resident_bytes;
        row.stolen_share = to.host.stolen_since(&from.host);
    }
    series
}

fn per(amount: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| amount / of)
}

/// Whether all objectives were met.
pub fn objectives_met(objectives: &[Objective]) -> verdict::Objectives {
    match objectives.iter().all(|objective| objective.met) {
        true => verdict::Objectives::Met,
        false => verdict::Objectives::Missed,
    }
}
