//! `loadgen search`: the highest rate under objectives.
//!
//! ```text
//! flags -> closed loop (how fast at all) -> limits -> Search <-> steps on one session -> report
//! ```

use std::{
    io::{self, Write},
    time::Duration,
};

use thiserror::Error;

use super::{
    CommandError, bulk,
    calibrate::{self, Force},
    handshake,
    load::{self, Job, Measured},
    mix, request,
};
use crate::{
    cli::{LoadArgs, SearchArgs, SearchFlags, SearchOperation},
    exit::Exit,
    host,
    report::{
        build,
        model::Distribution,
        objective::Objective,
        reason::Reason,
        search::{
            self as model, Capacity, Ending, HEAD, Row, SearchReport,
            conclusion::{broken_off, concluded},
        },
    },
    run::Session,
    schedule::{
        Extent,
        arrivals::Process,
        curve::{Rate, Stage},
        timeline::OpenLoad,
    },
    search::{
        Above, Conclusion, Finding, Limits, Next, Search, Step,
        finding::{Seen, finding},
    },
    worker::{Load, Loads, Plan},
};

/// The share of the closed loop's rate at which the search begins.
const FIRST: f64 = 0.05;
/// The share by which what is found may differ from the true highest rate.
const PRECISION: f64 = 0.03;
/// Times that the best rate has to hold once more.
const CONFIRMATIONS: u32 = 3;
/// How long a step is measured.
const STEP: Duration = Duration::from_secs(10);
/// Shorter steps are too short for rates, and would prove nothing.
const SHORTEST: Duration = Duration::from_secs(2);
/// How long the closed loop is measured, and warmed up.
const CLOSED_LOOP: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(500));
/// Connections, unless -c says otherwise.
const CONNECTIONS: u32 = 64;
/// The highest rate there is on the command line.
const HIGHEST: Rate = Rate(100_000_000_000);

/// Flags of a search that do not fit together. The operator's fault.
#[derive(Debug, Error)]
pub enum SearchError {
    /// Nothing says what is to hold.
    #[error("a search needs an objective that is to hold: add --slo 'p99<5ms,errors<0.1%'")]
    NoObjective,
    /// The rate is what is searched.
    #[error(
        "{0} does not go with a search, which chooses rates itself: drop it; --from and --to bound the rates, and -d is the time of a step"
    )]
    Chosen(&'static str),
    /// Bursts have a rate of their own.
    #[error("a search needs arrivals at any rate: --arrival poisson (the default) or constant")]
    Burst,
    /// Steps that are too short for rates.
    #[error("a step of less than {} s proves no rate: raise -d", SHORTEST.as_secs())]
    Short,
    /// A ceiling of other work.
    #[error(
        "a calibration knows requests over HTTP/1.1 and handshakes, and no ceiling of {0}: drop --calibration"
    )]
    NoCeiling(&'static str),
    /// A range that is none.
    #[error("--from {} is above --to {}: exchange them", .0.per_s(), .1.per_s())]
    Reversed(Rate, Rate),
}

/// Searches the highest rate.
///
/// # Errors
///
/// When flags are of no use, a run cannot start, or the result cannot be written.
pub fn search(args: &SearchArgs) -> Result<Exit, CommandError> {
    match &args.operation {
        SearchOperation::Request(args) => {
            let mut operation = args.operation.clone();
            open(&mut operation.load, &args.search, 0)?;
            find(request::job(&operation)?, &args.search)
        }
        SearchOperation::Handshake(args) => {
            let mut operation = args.operation.clone();
            open(&mut operation.load, &args.search, 0)?;
            find(handshake::job(&operation)?, &args.search)
        }
        SearchOperation::Bulk(args) => {
            let mut operation = args.operation.clone();
            open(&mut operation.load, &args.search, 0)?;
            find(bulk::job(&operation)?, &args.search)
        }
        SearchOperation::Mix(args) => {
            let ready = mix::Ready::read(&args.scenario, &args.flags)?;
            if ready.rate.is_some() {
                return Err(SearchError::Chosen("a rate for each operation (give shares)").into());
            }
            let mut load = ready.load.clone();
            open(&mut load, &args.search, ready.objectives())?;
            let job = ready.job(&load);
            ready.prepare(&job)?;
            find(job, &args.search)
        }
    }
}

/// Checks the flags of the load, and fills in what a step needs. There may be further objectives than
/// those of the flags.
fn open(load: &mut LoadArgs, flags: &SearchFlags, further: usize) -> Result<(), SearchError> {
    let schedule = &mut load.schedule;
    if load.slo.is_empty() && further == 0 {
        return Err(SearchError::NoObjective);
    }
    for (given, name) in [
        (schedule.rate.is_some(), "-R"),
        (schedule.stages.is_some(), "--stages"),
        (load.count.is_some(), "-n"),
        (
            !schedule.warmup.is_zero(),
            "--warmup (--settle is the search's)",
        ),
    ] {
        if given {
            return Err(SearchError::Chosen(name));
        }
    }
    if matches!(schedule.arrival, Some(Process::Burst(_))) {
        return Err(SearchError::Burst);
    }
    if let (Some(from), Some(to)) = (flags.from, flags.to)
        && from > to
    {
        return Err(SearchError::Reversed(from, to));
    }
    let step = *load.duration.get_or_insert(STEP);
    load.connections
        .get_or_insert(CONNECTIONS.max(load.threads));
    match step < SHORTEST {
        true => Err(SearchError::Short),
        false => Ok(()),
    }
}

/// Searches with the operation of `job`.
fn find(job: Job<'_>, flags: &SearchFlags) -> Result<Exit, CommandError> {
    let process = job.load.schedule.arrival.unwrap_or(Process::Poisson);
    let force = match flags.force {
        true => Force::Yes,
        false => Force::No,
    };
    let calibrated_per_s = match &flags.calibration {
        Some(path) => {
            let ceiling = calibrate::ceiling(path, force, &job)?;
            Some(ceiling.ok_or(SearchError::NoCeiling(job.name))?)
        }
        None => None,
    };
    let mut capacity = Capacity {
        closed_loop_per_s: None,
        calibrated_per_s,
    };
    let lowest = match flags.from {
        Some(from) => from,
        None => {
            let measured = closed_loop(&job)?;
            if measured.exit == Exit::Target {
                writeln!(io::stderr(), "loadgen: {}", measured.advice)?;
                return Ok(Exit::Target);
            }
            let per_s = measured.report.achieved.achieved_per_s;
            capacity.closed_loop_per_s = Some(per_s);
            rate(calibrated_per_s.map_or(per_s, |most| per_s.min(most)) * FIRST)
        }
    };
    let asked = flags.to.unwrap_or(HIGHEST);
    let highest = calibrated_per_s.map_or(asked, |per_s| asked.min(rate(per_s)));
    let limits = Limits {
        lowest: lowest.min(highest),
        highest,
        precision: PRECISION,
        attempts: flags.attempts,
        confirmations: CONFIRMATIONS,
    };
    let mut steps = Steps::begin(&job, process, flags.settle, limits.lowest)?;
    let mut search = Search::new(limits);
    let conclusion = steps.take(&mut search)?;
    // The end of what was calibrated is the generator's.
    let capped = limits.highest < asked;
    let conclusion = conclusion.map(|conclusion| match conclusion {
        Conclusion::Found {
            rate,
            achieved_per_s,
            above: Above::Unasked,
        } if capped => Conclusion::Found {
            rate,
            achieved_per_s,
            above: Above::Generator,
        },
        other => other,
    });
    let report = steps.report(limits, capacity, conclusion);
    load::publish(&report, &report, job.load.json.as_deref())?;
    if let Some(advice) = steps.advice {
        writeln!(io::stderr(), "loadgen: {advice}")?;
        return Ok(Exit::Target);
    }
    Ok(match report.result.ending {
        Ending::Found | Ending::AtLeast => Exit::Ok,
        Ending::Nothing => Exit::Missed,
        Ending::Undecided | Ending::Unconfirmed | Ending::Interrupted => Exit::Invalid,
    })
}

/// The next rate of the command line's thousandths.
fn rate(per_s: f64) -> Rate {
    Rate((per_s * 1e3).round().max(1.0) as u64).min(HIGHEST)
}

/// How fast the connections go when each waits for its answers.
fn closed_loop(job: &Job<'_>) -> Result<Measured, CommandError> {
    let mut args = job.load.clone();
    (args.duration, args.schedule.warmup) = (Some(CLOSED_LOOP.0), CLOSED_LOOP.1);
    args.schedule.arrival = None;
    writeln!(io::stderr(), "measuring how fast it goes at all")?;
    load::measure(&job.with(&args))
}

/// The steps of a search, on connections that are kept.
struct Steps<'a> {
    job: &'a Job<'a>,
    process: Process,
    /// What each step's report says was asked for, but for its rate.
    plan: Plan,
    session: Session,
    taken: Vec<model::Step>,
    /// What to do about a target that failed altogether.
    advice: Option<String>,
    interrupted: bool,
}

impl<'a> Steps<'a> {
    fn begin(
        job: &'a Job<'a>,
        process: Process,
        settle: Duration,
        lowest: Rate,
    ) -> Result<Self, CommandError> {
        let mut args = job.load.clone();
        args.schedule.arrival = Some(process);
        args.schedule.rate = Some(lowest);
        args.schedule.warmup = settle;
        args.schedule.seed = seed(job, 1);
        let mut plan = load::plan(&job.with(&args))?;
        plan.loads = Loads::Many;
        let session = Session::start(plan.clone(), job.load.target_pid)?;
        Ok(Self {
            job,
            process,
            plan,
            session,
            taken: Vec::new(),
            advice: None,
            interrupted: false,
        })
    }

    /// Takes steps until the search is over; none when somebody ended it, or the target failed.
    fn take(&mut self, search: &mut Search) -> Result<Option<Conclusion>, CommandError> {
        let mut err = io::stderr();
        writeln!(err, "{HEAD}")?;
        loop {
            let step = match search.next() {
                Next::Done(conclusion) => return Ok(Some(conclusion)),
                Next::Step(step) => step,
            };
            let finding = self.step(step)?;
            if let Some(taken) = self.taken.last() {
                writeln!(err, "{}", Row(taken))?;
            }
            if self.interrupted || self.advice.is_some() {
                return Ok(None);
            }
            search.observe(finding);
        }
    }

    fn step(&mut self, step: Step) -> Result<Finding, CommandError> {
        let number = self.taken.len() as u32 + 1;
        let open = OpenLoad {
            process: self.process,
            stages: vec![Stage::hold(
                step.rate,
                self.plan.extent.duration.unwrap_or(STEP),
            )],
            seed: seed(self.job, number),
        };
        let extent = Extent {
            duration: open.length(),
            ..self.plan.extent
        };
        self.plan.open = Some(open.clone());
        let outcome = match number {
            // It is the load of the session's plan.
            1 => self.session.first()?,
            _ => self.session.again(Load {
                extent,
                open: Some(open),
            })?,
        };
        let frame = load::frame(self.job, &self.plan);
        let measured = load::judged(self.job, outcome, frame);
        self.interrupted = measured.report.timing.interrupted;
        let finding = finding(seen(&measured, self.job.load));
        let damaged = |reason: &Reason| matches!(reason, Reason::Corrupt(_) | Reason::WrongKind(_));
        let dead = self.taken.is_empty() && measured.exit == Exit::Target;
        // A target that fails at a rate it cannot hold is what is looked for; damage is not.
        if dead || measured.reasons.iter().any(damaged) {
            self.advice = Some(measured.advice);
        }
        self.taken.push(model::Step {
            number,
            phase: step.phase,
            attempt: step.attempt,
            rate_per_s: step.rate.per_s(),
            finding,
            report: measured.report,
        });
        Ok(finding)
    }

    fn report(
        &mut self,
        limits: Limits,
        capacity: Capacity,
        conclusion: Option<Conclusion>,
    ) -> SearchReport {
        let steps = std::mem::take(&mut self.taken);
        let result = match conclusion {
            Some(conclusion) => concluded(conclusion, &steps),
            None => broken_off(&steps, self.advice.is_some()),
        };
        let step = self.plan.extent.duration.unwrap_or(STEP);
        SearchReport {
            format: model::FORMAT.to_owned(),
            tool: build::tool(),
            host: host::describe(),
            operation: self.job.name.to_owned(),
            target: self.job.target.to_string(),
            slo: self.job.load.slo.iter().map(ToString::to_string).collect(),
            settings: model::Settings {
                lowest_per_s: limits.lowest.per_s(),
                highest_per_s: (limits.highest < HIGHEST).then_some(limits.highest.per_s()),
                precision: limits.precision,
                attempts: limits.attempts,
                confirmations: limits.confirmations,
                step_s: step.as_secs_f64(),
                settle_s: self.plan.extent.warmup.as_secs_f64(),
            },
            capacity,
            result,
            steps,
        }
    }
}

/// Steps at one rate are to tell of chance, so they do not repeat each other.
fn seed(job: &Job<'_>, step: u32) -> u64 {
    job.load.schedule.seed.wrapping_add(u64::from(step))
}

/// What is known of a step, for its finding.
fn seen<'a>(measured: &'a Measured, load: &LoadArgs) -> Seen<'a> {
    let report = &measured.report;
    let p99 = |times: &Distribution| {
        let ns = times.percentiles_ns.get("p99").copied();
        Duration::from_nanos(ns.unwrap_or(0))
    };
    Seen {
        met: report.objectives.iter().all(|objective| objective.met),
        errors_bounded: load.slo.iter().any(Objective::bounds_errors),
        reasons: &measured.reasons,
        generator_lag: p99(&report.generator.lag),
        response: p99(&report.totals.latency.response),
        achieved_per_s: report.achieved.achieved_per_s,
    }
}
