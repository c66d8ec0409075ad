//! What all loads have in common: from flags to a plan, from an outcome to a report.

use std::{
    fmt, fs,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;

use super::{CommandError, ScheduleError, coordinate, tenants};
use crate::{
    cli::{LoadArgs, Place},
    descriptors,
    exit::Exit,
    host,
    operation::{Operation, Owner},
    report::{
        advice::advice,
        build::{self, Frame},
        live::LiveView,
        model::{self, Configuration, Report},
        objective::Judged,
        reason::Reason,
        summary::Summary,
        verdict,
    },
    run,
    schedule::{
        Extent, Loop,
        arrivals::Process,
        curve::Stage,
        mix::Mix,
        timeline::{ENDLESS, OpenLoad},
    },
    target::{source::Sources, tls::Configs, url::Target},
    worker::{Endpoint, Loads, Plan, kept},
};

/// How long a run takes when nothing else bounds it.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Connections of an open loop: enough for a slow answer not to hold the others up.
const OPEN_CONNECTIONS: u64 = 64;

/// What a subcommand asks for, before it is bound to a plan.
pub struct Job<'a> {
    /// Name of the operation in the report.
    pub name: &'static str,
    /// Where.
    pub target: Target,
    /// What.
    pub operation: Operation,
    /// Shares of its kinds.
    pub mix: Mix,
    /// Where operations of a mix go that go elsewhere.
    pub others: Vec<Endpoint>,
    /// Common flags.
    pub load: &'a LoadArgs,
    /// What is particular to the subcommand in the reported configuration.
    pub particulars: Value,
}

impl<'a> Job<'a> {
    /// The same with other common flags.
    pub fn with<'b>(&self, load: &'b LoadArgs) -> Job<'b> {
        Job {
            name: self.name,
            target: self.target.clone(),
            operation: self.operation.clone(),
            mix: self.mix.clone(),
            others: self.others.clone(),
            load,
            particulars: self.particulars.clone(),
        }
    }
}

/// The target, without TLS if the flags say so.
pub fn effective(target: &Target, load: &LoadArgs) -> Target {
    let mut target = target.clone();
    if load.tls.plain {
        target.scheme = target.scheme.plain();
    }
    target
}

/// The bounds and the schedule that the flags ask for.
fn schedule(load: &LoadArgs) -> Result<(Extent, Option<OpenLoad>), ScheduleError> {
    let flags = &load.schedule;
    let mut extent = Extent {
        duration: match (load.duration, load.count) {
            (None, None) => Some(DEFAULT_DURATION),
            (duration, _) => duration,
        },
        operations: load.count,
        warmup: flags.warmup,
    };
    let length = extent.duration.unwrap_or(ENDLESS);
    let stages = match (flags.arrival, flags.rate, &flags.stages) {
        (Some(Process::Burst(burst)), None, None) => vec![Stage::hold(burst.rate(), length)],
        (Some(Process::Burst(burst)), ..) => return Err(ScheduleError::BurstHasRate(burst.rate())),
        (_, Some(rate), _) => vec![Stage::hold(rate, length)],
        (_, None, Some(stages)) => stages.0.clone(),
        (Some(process), None, None) => return Err(ScheduleError::NoRate(process)),
        (None, None, None) => return Ok((extent, None)),
    };
    let open = OpenLoad {
        process: flags.arrival.unwrap_or(Process::Constant),
        stages,
        seed: flags.seed,
    };
    extent.duration = open.length();
    Ok((extent, Some(open)))
}

/// The plan of a job.
///
/// # Errors
///
/// When flags are of no use, or the target has no address.
pub fn plan(job: &Job<'_>) -> Result<Plan, CommandError> {
    let load = job.load;
    let (extent, open) = schedule(load)?;
    tenants::check_placeholders(job)?;
    let tenants = tenants::tenants(load)?;
    if job.target.scheme.is_http() && load.tls.alpn.is_some() {
        return Err(CommandError::AlpnOfHttp);
    }
    let alpn: &[&[u8]] = match (&job.operation, job.target.scheme.is_http()) {
        // Alone: then the target cannot choose what was not asked for.
        (Operation::Http2(_), _) => &[b"h2"],
        (_, true) => &[b"http/1.1"],
        (_, false) => &[],
    };
    let tls = match job.target.scheme.encrypted() {
        true => Some(Configs::new(
            &load.tls,
            &job.target.host,
            alpn,
            tenants.as_ref(),
        )?),
        false => None,
    };
    let place = load.agents.place;
    if place == Place::Alone && !load.agents.agents.is_empty() {
        return Err(CommandError::NotForAgents(job.name));
    }
    let machines = place.machines();
    let connections = load.connections.map(u64::from).unwrap_or(match open {
        Some(_) => OPEN_CONNECTIONS.max(u64::from(load.threads) * machines),
        None => machines,
    });
    if connections < machines {
        return Err(CommandError::FewConnections {
            connections,
            machines,
        });
    }
    let address = job.target.resolve(load.reach.connect_to.as_deref())?;
    let own_connections = connections.div_ceil(machines);
    // A thread without a connection would only blur the numbers.
    let threads = u64::from(load.threads).min(connections / machines);
    let mix = match tenants {
        Some(tenants) => job.mix.clone().of(tenants),
        None => job.mix.clone(),
    };
    let own = tls.as_ref().is_some_and(Configs::belong_to_tenants);
    let kept = mix.tenants().filter(|_| own);
    let kept = kept.map_or(0, |all| {
        threads as usize * kept::bound(all.count(), threads as usize)
    });
    let owner = if own { Owner::Tenant } else { Owner::Nobody };
    let at_once = own_connections * job.operation.connections_at_once(owner) as u64;
    // A coordinator connects to no target, and has other addresses.
    let sources = match place {
        Place::Coordinator { .. } => &[][..],
        Place::Alone | Place::Agent(_) => {
            descriptors::check(kept as u64 + at_once, threads)?;
            &load.reach.source
        }
    };
    Ok(Plan {
        operation: job.operation.clone(),
        mix,
        address,
        sources: Sources::new(sources, address)?,
        tls,
        connections: connections as usize,
        threads: threads as usize,
        machine: place.machine(),
        extent,
        open,
        backlog: usize::try_from(load.schedule.backlog).unwrap_or(usize::MAX),
        spin: load.schedule.spin,
        timeout: load.timeout,
        drain: load.schedule.drain,
        others: job.others.clone(),
        loads: Loads::One,
    })
}

/// Runs a job and reports it.
///
/// # Errors
///
/// When flags are of no use, the run cannot start, or its result cannot be written.
pub fn execute(job: Job<'_>) -> Result<Exit, CommandError> {
    let measured = watched(&job, plan(&job)?)?;
    tell(&job, &measured)?;
    Ok(measured.exit)
}

/// Runs the plan of a job, and shows each second while it lasts, unless it is to be quiet.
///
/// # Errors
///
/// When the run cannot start.
pub fn watched(job: &Job<'_>, plan: Plan) -> Result<Measured, CommandError> {
    if job.load.quiet {
        return carried(job, plan, &mut |_| {});
    }
    let mut view = LiveView::begin(plan.extent.duration);
    carried(job, plan, &mut |seen| {
        if let run::Seen::Second(second) = seen {
            view.second(second);
        }
    })
}

/// Writes the report, and what to do about a target that fails.
///
/// # Errors
///
/// When they cannot be written.
pub fn tell(job: &Job<'_>, measured: &Measured) -> Result<(), CommandError> {
    let report = &measured.report;
    publish(report, Summary(report), job.load.json.as_deref())?;
    if measured.exit == Exit::Target {
        writeln!(io::stderr(), "loadgen: {}", measured.advice)?;
    }
    Ok(())
}

/// What came of a job.
#[derive(Debug)]
pub struct Measured {
    /// Its report.
    pub report: Report,
    /// The exit code that goes with it.
    pub exit: Exit,
    /// What to do about a target that fails.
    pub advice: String,
    /// The grounds of its verdict.
    pub reasons: Vec<Reason>,
    /// Its objectives.
    pub objectives: Vec<Judged>,
}

/// Runs a job.
///
/// # Errors
///
/// When flags are of no use, or the run cannot start.
pub fn measure(job: &Job<'_>) -> Result<Measured, CommandError> {
    carried(job, plan(job)?, &mut |_| {})
}

fn carried(
    job: &Job<'_>,
    plan: Plan,
    watch: &mut run::Watch<'_>,
) -> Result<Measured, CommandError> {
    let frame = frame(job, &plan);
    if let Place::Coordinator { .. } = job.load.agents.place {
        return coordinate::carried(job, &plan, frame, watch);
    }
    let outcome = run::run_watched(plan, job.load.target_pid, watch)?;
    Ok(judged(job, outcome, frame))
}

/// What the report of a run on `plan` has to know.
pub fn frame(job: &Job<'_>, plan: &Plan) -> Frame {
    Frame {
        operation: job.name,
        kinds: plan.operation.kinds(),
        tenants: tenant_rows(plan),
        looped: match plan.open {
            Some(_) => Loop::Open,
            None => Loop::Closed,
        },
        configuration: configuration(job, plan),
        streams: plan.streams() as u64,
        host: host::describe(),
        target_pid: job.load.target_pid,
    }
}

/// Judges the outcome of a run of `job`.
pub fn judged(job: &Job<'_>, outcome: run::Outcome, frame: Frame) -> Measured {
    let load = job.load;
    let all = build::totals(&outcome);
    let elapsed_s = outcome.elapsed.as_secs_f64();
    let objectives = load.slo.iter().map(|slo| slo.judge(&all, elapsed_s));
    let mut objectives: Vec<_> = objectives.collect();
    if let Operation::Mixed(mixed) = &job.operation {
        objectives.extend(mixed.judge(&outcome.collected.totals.kinds, elapsed_s));
    }
    let stored = objectives.iter().map(|judged| judged.stored.clone());
    let stored: Vec<_> = stored.collect();
    let evidence = build::evidence(&outcome, &frame);
    let judgement = verdict::judge(&evidence, build::objectives_met(&stored));
    let (exit, reasons) = (judgement.exit, judgement.reasons.clone());
    let advice = advice_for(job, &outcome);
    Measured {
        report: build::report(outcome, judgement, stored, frame),
        exit,
        advice,
        reasons,
        objectives,
    }
}

fn tenant_rows(plan: &Plan) -> Vec<String> {
    let all = plan.mix.tenants();
    all.map_or(Vec::new(), |all| {
        (0..all.rows()).map(|row| all.row_name(row)).collect()
    })
}

/// What to do about the target of `job` if it failed.
pub fn advice_for(job: &Job<'_>, outcome: &run::Outcome) -> String {
    advice(&outcome.collected.totals, &job.target.to_string())
}

fn configuration(job: &Job<'_>, plan: &Plan) -> Configuration {
    let particulars = match &job.particulars {
        Value::Object(all) => all.clone().into_iter().collect(),
        _ => Default::default(),
    };
    let open = plan.open.as_ref();
    let stages = open.map_or(&[][..], |open| &open.stages);
    Configuration {
        target: job.target.to_string(),
        address: plan.address.to_string(),
        connections: plan.connections as u64,
        threads: plan.threads as u64 * plan.machine.of,
        agents: job.load.agents.agents.clone(),
        arrival: open.map_or("closed".to_owned(), |open| open.process.to_string()),
        stages: stages
            .iter()
            .map(|stage| model::Stage {
                from_per_s: stage.from.per_s(),
                to_per_s: stage.to.per_s(),
                duration_s: (stage.length < ENDLESS).then_some(stage.length.as_secs_f64()),
            })
            .collect(),
        duration_s: plan.extent.duration.map(|duration| duration.as_secs_f64()),
        count: plan.extent.operations,
        warmup_s: plan.extent.warmup.as_secs_f64(),
        drain_s: plan.drain.as_secs_f64(),
        timeout_s: plan.timeout.as_secs_f64(),
        seed: open.map_or(job.load.schedule.seed, |open| open.seed),
        spin: plan.spin.to_string(),
        backlog: open.map(|_| plan.backlog as u64),
        tls: plan.tls.as_ref().map(Configs::describe),
        tenants: tenants::describe(job.load, plan.mix.tenants()),
        slo: job.load.slo.iter().map(ToString::to_string).collect(),
        sources: job
            .load
            .reach
            .source
            .iter()
            .map(ToString::to_string)
            .collect(),
        particulars,
    }
}

/// Prints `text`, and stores `report` as JSON; or prints that instead, where `json` is `-`.
///
/// # Errors
///
/// When either cannot be written.
pub fn publish(
    report: &impl Serialize,
    text: impl fmt::Display,
    json: Option<&Path>,
) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    let stored = || serde_json::to_string_pretty(report).map_err(io::Error::from);
    match json {
        Some(path) if path == Path::new("-") => writeln!(out, "{}", stored()?)?,
        Some(path) => {
            let error = |error| CommandError::Output {
                path: path.to_owned(),
                error,
            };
            fs::write(path, stored()? + "\n").map_err(error)?;
            write!(out, "{text}")?;
        }
        None => write!(out, "{text}")?,
    }
    Ok(out.flush()?)
}
