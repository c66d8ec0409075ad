//! `loadgen search`: the highest rate under objectives.
//!
//! ```text
//! flags -> closed loop (how fast at all) -> limits -> Search <-> steps on one session, or by agents -> report
//! ```

mod steps;

use std::{
    io::{self, Write},
    time::Duration,
};

use thiserror::Error;

use self::steps::{Ended, Steps};
use super::{
    CommandError, bulk,
    calibrate::{self, Force},
    handshake,
    load::{self, Job, Measured},
    mix, request,
};
use crate::{
    cli::{LoadArgs, Place, SearchArgs, SearchFlags, SearchOperation},
    exit::Exit,
    report::search::{Capacity, Ending},
    schedule::{arrivals::Process, curve::Rate},
    search::{Above, Asked, Conclusion, Limits, Search},
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
    /// A ceiling of one machine.
    #[error(
        "a calibration is the ceiling of one machine, and --agents are others: drop --calibration; agents that are too busy are told from the target by their own verdicts"
    )]
    CeilingOfOne,
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
    with_operation(args, find)
}

/// Does something with what is searched, when its flags fit a search.
///
/// # Errors
///
/// When they do not; or as `does`.
pub fn with_operation<T>(
    args: &SearchArgs,
    does: impl FnOnce(&Job<'_>, &SearchFlags) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    match &args.operation {
        SearchOperation::Request(args) => {
            let mut operation = args.operation.clone();
            open(&mut operation.load, &args.search, 0)?;
            does(&request::job(&operation)?, &args.search)
        }
        SearchOperation::Handshake(args) => {
            let mut operation = args.operation.clone();
            open(&mut operation.load, &args.search, 0)?;
            does(&handshake::job(&operation)?, &args.search)
        }
        SearchOperation::Bulk(args) => {
            let mut operation = args.operation.clone();
            open(&mut operation.load, &args.search, 0)?;
            does(&bulk::job(&operation)?, &args.search)
        }
        SearchOperation::Mix(args) => {
            let ready = mix::Ready::read(&args.scenario)?;
            if ready.rate.is_some() {
                return Err(SearchError::Chosen("a rate for each operation (give shares)").into());
            }
            let mut load = ready.load.clone();
            open(&mut load, &args.search, ready.objectives())?;
            let job = ready.job(&load);
            ready.prepare(&job)?;
            does(&job, &args.search)
        }
    }
}

/// The flags of one of the loads of a search.
pub fn flags_for(job: &Job<'_>, flags: &SearchFlags, asked: Asked) -> LoadArgs {
    let mut load = job.load.clone();
    let schedule = &mut load.schedule;
    match asked {
        Asked::ClosedLoop => {
            (load.duration, schedule.warmup) = (Some(CLOSED_LOOP.0), CLOSED_LOOP.1);
            schedule.arrival = None;
        }
        Asked::Step { rate, number } => {
            schedule.arrival = Some(process(job));
            schedule.rate = Some(rate);
            schedule.warmup = flags.settle;
            // Steps at one rate are to tell of chance, so they do not repeat each other.
            schedule.seed = schedule.seed.wrapping_add(u64::from(number));
        }
    }
    load.agents.asked = Some(asked);
    load
}

/// How the operations of a step are spaced.
fn process(job: &Job<'_>) -> Process {
    job.load.schedule.arrival.unwrap_or(Process::Poisson)
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
    if flags.calibration.is_some() && load.agents.place != Place::Alone {
        return Err(SearchError::CeilingOfOne);
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
fn find(job: &Job<'_>, flags: &SearchFlags) -> Result<Exit, CommandError> {
    let force = match flags.force {
        true => Force::Yes,
        false => Force::No,
    };
    let calibrated_per_s = match &flags.calibration {
        Some(path) => {
            let ceiling = calibrate::ceiling(path, force, job)?;
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
            let measured = closed_loop(job, flags)?;
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
    let mut steps = Steps::begin(job, flags, limits.lowest)?;
    let ended = steps.take(&mut Search::new(limits))?;
    // The end of what was calibrated is the generator's.
    let ended = match ended {
        Ended::Concluded(conclusion) if limits.highest < asked => {
            Ended::Concluded(of_the_generator(conclusion))
        }
        other => other,
    };
    let report = steps.report(limits, capacity, ended);
    load::publish(&report, &report, job.load.json.as_deref())?;
    if let Some(advice) = steps.advice {
        writeln!(io::stderr(), "loadgen: {advice}")?;
        return Ok(Exit::Target);
    }
    Ok(match report.result.ending {
        Ending::Found | Ending::AtLeast => Exit::Ok,
        Ending::Nothing => Exit::Missed,
        Ending::Undecided | Ending::Unconfirmed | Ending::Interrupted | Ending::AgentLost => {
            Exit::Invalid
        }
    })
}

/// What was found below a bound that is the generator's.
fn of_the_generator(conclusion: Conclusion) -> Conclusion {
    match conclusion {
        Conclusion::Found {
            rate,
            achieved_per_s,
            above: Above::Unasked,
        } => Conclusion::Found {
            rate,
            achieved_per_s,
            above: Above::Generator,
        },
        other => other,
    }
}

/// The next rate of the command line's thousandths.
fn rate(per_s: f64) -> Rate {
    Rate((per_s * 1e3).round().max(1.0) as u64).min(HIGHEST)
}

/// How fast the connections go when each waits for its answers.
fn closed_loop(job: &Job<'_>, flags: &SearchFlags) -> Result<Measured, CommandError> {
    writeln!(io::stderr(), "measuring how fast it goes at all")?;
    load::measure(&job.with(&flags_for(job, flags, Asked::ClosedLoop)))
}
