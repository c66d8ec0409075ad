//! `loadgen conns`.

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::json;

use super::{
    CommandError,
    load::{self, Job},
    request::{Wanted, template},
};
use crate::{
    cli::{ConnsArgs, LoadArgs, Probe},
    descriptors,
    exit::Exit,
    operation::{
        Operation,
        conns::{
            Settings,
            conductor::{self, Conductor, Course},
            prober::Prober,
            stage::Stage,
        },
        echo, handshake,
        http1::check::Check,
        reuse::Reuse,
    },
    report::{
        build::{self, Frame},
        conns as report,
        evidence::Lag,
        model,
        summary::Summary,
        verdict,
    },
    run::{Outcome, RunError, Session},
    schedule::{
        Extent, Loop,
        arrivals::Process,
        curve::{self, Rate},
        mix::Mix,
        timeline::{ENDLESS, OpenLoad},
    },
    target::{client_certificate::Shown, url::Target},
    worker::{Load, Loads, Plan},
};

/// Handshakes of a probe that may be under way at one time: they come from many, so one that is slow
/// holds none up.
const PROBED_HANDSHAKES: u32 = 16;

/// Bytes of an echoed probe.
const ECHO_BYTES: usize = 100;

/// A probe before it is started.
struct Probing<'a> {
    job: Job<'a>,
    plan: Plan,
    loads: conductor::Probe,
    rate: Rate,
}

/// Holds connections, and reports what they cost.
///
/// # Errors
///
/// When flags are of no use, or the result cannot be written.
pub fn conns(args: &ConnsArgs) -> Result<Exit, CommandError> {
    // Where the kernel gives 2 MiB at a time, memory of ours says nothing about connections. Refused,
    // it is a little more.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let mut load = args.load()?;
    let at_once = u64::from(args.at_once.max(args.threads)).min(args.connections.max(1));
    load.connections = u32::try_from(at_once).ok();
    let mut probe_load = load.clone();
    (probe_load.target_pid, probe_load.threads) = (None, 1);
    let probe = probing(args, &mut probe_load)?;
    let probes = probe
        .as_ref()
        .map_or(0, |probe| probe.plan.connections as u64);
    let all = args.connections.saturating_add(at_once + probes);
    descriptors::check(all, u64::from(args.threads) + 1)?;
    let stage = Stage::new(args.threads.min(u32::try_from(at_once).unwrap_or(u32::MAX)) as usize);
    let settings = Arc::new(settings(args, stage));
    let job = Job {
        name: "conns",
        target: load::effective(&args.target, &load),
        operation: Operation::Conns(Arc::clone(&settings)),
        mix: Mix::default(),
        load: &load,
        others: Vec::new(),
        particulars: particulars(args),
    };
    let plan = load::plan(&job)?;
    let frame = frame(args, &job, &plan);
    let (outcome, mut course) = run(plan, probe.as_ref(), settings, args.target_pid)?;
    let probed = std::mem::take(&mut course.probed);
    let mut measured = judged(&job, outcome, frame, &course);
    if let Some(probe) = probe {
        add_probe(&mut measured, probe, probed);
    }
    let report = &measured.report;
    load::publish(report, Summary(report), load.json.as_deref())?;
    if measured.exit == Exit::Target {
        writeln!(io::stderr(), "loadgen: {}", measured.advice)?;
    }
    Ok(measured.exit)
}

fn settings(args: &ConnsArgs, stage: Arc<Stage>) -> Settings {
    Settings {
        stage,
        connections: args.connections,
        warmup: warmup(args),
        rate: args.rate,
        churn: args.churn,
        hold: args.hold,
        settle: args.settle,
        close: args.close,
    }
}

/// As many as are set up at one time: each of those places then has what it needs.
fn warmup(args: &ConnsArgs) -> u64 {
    args.warmup.unwrap_or(args.at_once.into())
}

fn particulars(args: &ConnsArgs) -> serde_json::Value {
    use clap::ValueEnum;
    let close = args.close.to_possible_value();
    json!({
        "at_once": args.at_once,
        "warmup": warmup(args),
        "hold_s": args.hold.as_secs_f64(),
        "churn_per_s": args.churn.map(Rate::per_s),
        "settle_s": args.settle.as_secs_f64(),
        "close": close.as_ref().map(|close| close.get_name()),
        "aside_s": args.probe.as_ref().map(|_| args.aside.as_secs_f64()),
    })
}

/// The probe that was asked for, with its plan.
fn probing<'a>(
    args: &ConnsArgs,
    load: &'a mut LoadArgs,
) -> Result<Option<Probing<'a>>, CommandError> {
    let (name, target, rate) = match &args.probe {
        None => return Ok(None),
        Some(Probe::Handshakes(rate)) => ("handshake", &args.target, *rate),
        Some(Probe::Operations(target)) if target.scheme.is_http() => {
            ("request", target, args.probe_rate)
        }
        Some(Probe::Operations(target)) => ("echo", target, args.probe_rate),
    };
    load.connections = Some(if name == "handshake" {
        PROBED_HANDSHAKES
    } else {
        1
    });
    let load = &*load;
    let target = load::effective(target, load);
    let job = Job {
        name,
        operation: probed_operation(name, &target, load)?,
        target,
        mix: Mix::default(),
        load,
        others: Vec::new(),
        particulars: json!({}),
    };
    let loads = conductor::Probe {
        aside: (!args.aside.is_zero()).then(|| lasting(rate, args.aside)),
        during: lasting(rate, ENDLESS),
    };
    let mut plan = load::plan(&job)?;
    let first = loads.first().clone();
    (plan.extent, plan.open, plan.loads) = (first.extent, first.open, Loads::Many);
    Ok(Some(Probing {
        job,
        plan,
        loads,
        rate,
    }))
}

fn probed_operation(
    name: &str,
    target: &Target,
    load: &LoadArgs,
) -> Result<Operation, CommandError> {
    Ok(match name {
        "handshake" => Operation::Handshake(handshake::Settings {
            resumes: false,
            close: handshake::Close::Rst,
            certificate: Shown::Always,
        }),
        "request" => {
            let wanted = Wanted {
                method: "GET",
                size: None,
                check: Check::Status,
                reuse: Reuse::default(),
            };
            Operation::Request(Box::new(template(target, load, &[], wanted)?))
        }
        _ => Operation::Echo(echo::Settings { size: ECHO_BYTES }),
    })
}

/// An open loop at `rate` for so long.
fn lasting(rate: Rate, length: Duration) -> Load {
    let open = OpenLoad {
        process: Process::Constant,
        stages: vec![curve::Stage::hold(rate, length)],
        seed: 1,
    };
    Load {
        extent: Extent {
            duration: open.length(),
            operations: None,
            warmup: Duration::ZERO,
        },
        open: Some(open),
    }
}

/// What the report has to know: of the connections that are held, and not of those that are set up
/// at one time.
fn frame(args: &ConnsArgs, job: &Job<'_>, plan: &Plan) -> Frame {
    let mut frame = load::frame(job, plan);
    let asked = &mut frame.configuration;
    (asked.connections, asked.duration_s, asked.count) = (args.connections, None, None);
    if let Some(rate) = args.rate {
        frame.looped = Loop::Open;
        asked.arrival = Process::Constant.to_string();
        asked.stages = vec![model::Stage {
            from_per_s: rate.per_s(),
            to_per_s: rate.per_s(),
            duration_s: None,
        }];
    }
    frame
}

/// Runs the connections and the probe, and takes both through their steps.
fn run(
    plan: Plan,
    probe: Option<&Probing<'_>>,
    settings: Arc<Settings>,
    target: Option<u32>,
) -> Result<(Outcome, Course), CommandError> {
    let probe = match probe {
        None => None,
        Some(Probing { plan, loads, .. }) => {
            let session = Session::start(plan.clone(), None)?;
            Some((
                Prober::start(session).map_err(RunError::Thread)?,
                loads.clone(),
            ))
        }
    };
    // Behind the probe's, so that signals come here; the conductor stops the probe.
    let mut session = Session::start(plan, target)?;
    let conductor = Conductor {
        settings,
        target,
        probe,
    };
    let conducting = thread::Builder::new()
        .name("conductor".to_owned())
        .spawn(move || conductor.conduct())
        .map_err(RunError::Thread)?;
    let outcome = session.first()?;
    let course = conducting.join().unwrap_or(Err(RunError::WorkerDied))?;
    Ok((outcome, course))
}

/// The report without the probe. What opening takes the generator is in it, and not judged: the
/// memory of the target does not depend on it.
fn judged(job: &Job<'_>, outcome: Outcome, frame: Frame, course: &Course) -> load::Measured {
    let mut evidence = build::evidence(&outcome, &frame);
    evidence.lag = Lag::default();
    (evidence.conditions.busy, evidence.conditions.waited) = (0.0, 0.0);
    // Those that were never started are missing too.
    let asked = frame.configuration.connections;
    if !outcome.interrupted {
        evidence.counts.planned = evidence.counts.planned.max(asked);
    }
    let judgement = verdict::judge(&evidence, verdict::Objectives::Met);
    let (exit, reasons) = (judgement.exit, judgement.reasons.clone());
    let advice = load::advice_for(job, &outcome);
    let held = report::Held::of(&outcome, course, asked);
    let mut report = build::report(outcome, judgement, Vec::new(), frame);
    // Over the whole run, in which most of the time nothing is opened, it would mean nothing.
    report.achieved.planned_per_s = None;
    report.conns = Some(held);
    load::Measured {
        report,
        exit,
        advice,
        reasons,
        objectives: Vec::new(),
    }
}

/// Adds what the probe found, its verdict and its objectives.
fn add_probe(measured: &mut load::Measured, probe: Probing<'_>, outcomes: Vec<Outcome>) {
    let Probing {
        job,
        plan,
        loads,
        rate,
    } = probe;
    let names: &[&str] = match loads.aside {
        Some(_) => &["before", "during", "after"],
        None => &["during"],
    };
    let mut parts = Vec::new();
    for (name, outcome) in names.iter().zip(outcomes) {
        let (frame, all) = (load::frame(&job, &plan), build::totals(&outcome));
        let elapsed_s = outcome.elapsed.as_secs_f64();
        if *name == "during" {
            let objectives = job.load.slo.iter();
            let judged = objectives.map(|slo| slo.judge(&all, elapsed_s).stored);
            measured.report.objectives = judged.collect();
        }
        let mut evidence = build::evidence(&outcome, &frame);
        // It was to last until now.
        evidence.interrupted = false;
        let met = build::objectives_met(&measured.report.objectives);
        let judgement = verdict::judge(&evidence, met);
        measured.exit = worse(measured.exit, judgement.exit);
        report::join(&mut measured.report.verdict, judgement.verdict, name);
        parts.push(report::probed(name, &outcome, &frame));
    }
    if let Some(held) = &mut measured.report.conns {
        held.probe = Some(report::Probe {
            operation: job.name.to_owned(),
            target: job.target.to_string(),
            rate_per_s: rate.per_s(),
            phases: parts,
        });
    }
}

/// Numbers that do not hold decide no objective; what the target broke is said first.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: &Exit| match exit {
        Exit::Ok => 0,
        Exit::Missed => 1,
        Exit::Invalid => 2,
        Exit::Usage | Exit::Target => 3,
    };
    [one, other].into_iter().max_by_key(rank).unwrap_or(one)
}
