//! `loadgen ab`: two or three targets beside each other, in slices.
//!
//! ```text
//! flags -> a job for each target -> a session for each -> warm-up -> blocks of slices -> report
//! ```

mod arm;

use std::{
    io::{self, Write},
    ops::RangeInclusive,
    time::Duration,
};

use thiserror::Error;

use self::arm::Arm;
use super::{
    CommandError, bulk, handshake,
    load::{self, Job},
    request,
};
use crate::{
    ab::{
        self,
        pairs::{self, Half},
    },
    cli::{AbArgs, AbFlags, AbOperation, BulkArgs, HandshakeArgs, LoadArgs, RequestArgs},
    exit::Exit,
    host,
    measure::cpu::HostTicks,
    report::{
        ab::{AbReport, Comparison, FORMAT, NAMES, Ratios, Settings, Slice},
        build,
        model::{State, Verdict},
        verdict::Judgement,
    },
    schedule::{Extent, arrivals::Process, timeline::OpenLoad},
    signals,
    target::url::Target,
    worker::{Load, Plan},
};

/// How long all slices take together, unless -d says otherwise.
const DURATION: Duration = Duration::from_secs(10);
/// The load on each target before the first block, unless --warmup says otherwise.
const WARMUP: Duration = Duration::from_millis(500);
/// Connections to each target, unless -c says otherwise: enough to keep one core busy.
const CONNECTIONS: u32 = 8;
/// Shorter slices are mostly start and end; longer ones drift like runs.
const SLICE: RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_secs(1);
/// Slices are kept one by one, and no run needs more.
const MOST_BLOCKS: u64 = 100_000;

/// Flags of a comparison that do not fit together. The operator's fault.
#[derive(Debug, Error)]
pub enum AbError {
    /// A flag that a comparison has no use for.
    #[error("{0} does not go with a comparison: drop it{1}")]
    Chosen(&'static str, &'static str),
    /// Not one process for each target.
    #[error(
        "--target-pids has {found} processes and there are {wanted} targets: name one for each, in their order"
    )]
    Pids {
        /// Processes.
        found: usize,
        /// Targets.
        wanted: usize,
    },
    /// Not one address for each target.
    #[error(
        "--connect-to has {found} addresses and there are {wanted} targets: name one for each, as in HOST:PORT,HOST:PORT"
    )]
    Addresses {
        /// Addresses.
        found: usize,
        /// Targets.
        wanted: usize,
    },
    /// A slice that is too short or too long.
    #[error("a slice takes {:?} to {:?}: correct --slice", SLICE.start(), SLICE.end())]
    Slice,
    /// Too many slices.
    #[error("{0} blocks of slices are more than {MOST_BLOCKS}: lower -d, or raise --slice")]
    Blocks(u64),
    /// Slices are shorter than what machines agree on.
    #[error(
        "a comparison gives the load to one target and then to the other every {:?}, and clocks of agents are not known so well: drop --agents; or load each target with them in turn, store both reports with --json, and put them side by side with `loadgen compare`",
        .0
    )]
    Agents(Duration),
    /// Bursts have a rate of their own.
    #[error("a burst does not fit into slices: --arrival constant or poisson, with -R")]
    Burst,
}

/// An operation whose flags may be repeated for another target.
trait Operation: Clone {
    fn target(&mut self) -> &mut Target;
    fn load(&mut self) -> &mut LoadArgs;
    fn job(&self) -> Result<Job<'_>, CommandError>;
}

impl Operation for RequestArgs {
    fn target(&mut self) -> &mut Target {
        &mut self.target
    }
    fn load(&mut self) -> &mut LoadArgs {
        &mut self.load
    }
    fn job(&self) -> Result<Job<'_>, CommandError> {
        request::job(self)
    }
}

impl Operation for HandshakeArgs {
    fn target(&mut self) -> &mut Target {
        &mut self.target
    }
    fn load(&mut self) -> &mut LoadArgs {
        &mut self.load
    }
    fn job(&self) -> Result<Job<'_>, CommandError> {
        handshake::job(self)
    }
}

impl Operation for BulkArgs {
    fn target(&mut self) -> &mut Target {
        &mut self.target
    }
    fn load(&mut self) -> &mut LoadArgs {
        &mut self.load
    }
    fn job(&self) -> Result<Job<'_>, CommandError> {
        bulk::job(self)
    }
}

/// Compares targets.
///
/// # Errors
///
/// When flags are of no use, a session cannot start, or the result cannot be written.
pub fn ab(args: &AbArgs) -> Result<Exit, CommandError> {
    match &args.operation {
        AbOperation::Request(args) => {
            if args.operation.check_upstream.is_some() {
                return Err(AbError::Chosen("--check-upstream", "").into());
            }
            compare(&args.operation, &args.ab)
        }
        AbOperation::Handshake(args) => compare(&args.operation, &args.ab),
        AbOperation::Bulk(args) => compare(&args.operation, &args.ab),
    }
}

fn compare(operation: &impl Operation, flags: &AbFlags) -> Result<Exit, CommandError> {
    let each = for_each_target(operation, flags)?;
    let jobs = each.iter().map(Operation::job);
    let jobs: Vec<Job<'_>> = jobs.collect::<Result<_, CommandError>>()?;
    let mut comparison = Comparing::begin(&jobs, flags)?;
    comparison.run()?;
    let json = jobs.first().and_then(|job| job.load.json.clone());
    let (report, exit, advice) = comparison.report();
    load::publish(&report, &report, json.as_deref())?;
    if let Some(advice) = advice {
        writeln!(io::stderr(), "loadgen: {advice}")?;
    }
    Ok(exit)
}

/// The flags of each target's own load.
fn for_each_target<T: Operation>(operation: &T, flags: &AbFlags) -> Result<Vec<T>, AbError> {
    let mut common = operation.clone();
    let first = common.target().clone();
    let load = common.load();
    check(load, flags)?;
    load.connections
        .get_or_insert(CONNECTIONS.max(load.threads));
    let targets: Vec<_> = [first]
        .into_iter()
        .chain(flags.others.iter().cloned())
        .collect();
    let wanted = targets.len();
    let addresses: Vec<_> = match &load.reach.connect_to {
        Some(all) => all.split(',').map(|one| Some(one.to_owned())).collect(),
        None => vec![None; wanted],
    };
    let pids: Vec<_> = match flags.target_pids.is_empty() {
        true => vec![None; wanted],
        false => flags.target_pids.iter().copied().map(Some).collect(),
    };
    if addresses.len() != wanted {
        let found = addresses.len();
        return Err(AbError::Addresses { found, wanted });
    }
    if pids.len() != wanted {
        let found = pids.len();
        return Err(AbError::Pids { found, wanted });
    }
    let each = targets.into_iter().zip(addresses).zip(pids);
    Ok(each
        .map(|((target, address), pid)| {
            let mut own = common.clone();
            *own.target() = target;
            let load = own.load();
            (load.reach.connect_to, load.target_pid) = (address, pid);
            own
        })
        .collect())
}

fn check(load: &LoadArgs, flags: &AbFlags) -> Result<(), AbError> {
    let schedule = &load.schedule;
    for (given, name, instead) in [
        (load.count.is_some(), "-n", "; -d is the time of all slices"),
        (schedule.stages.is_some(), "--stages", "; -R is one rate"),
        (!load.slo.is_empty(), "--slo", ""),
        (
            load.target_pid.is_some(),
            "--target-pid",
            "; --target-pids has one for each",
        ),
    ] {
        if given {
            return Err(AbError::Chosen(name, instead));
        }
    }
    match schedule.arrival {
        _ if !load.agents.agents.is_empty() => Err(AbError::Agents(flags.slice)),
        Some(Process::Burst(_)) => Err(AbError::Burst),
        _ if !SLICE.contains(&flags.slice) => Err(AbError::Slice),
        _ => Ok(()),
    }
}

/// A comparison while it lasts.
struct Comparing<'a> {
    arms: Vec<Arm<'a>>,
    settings: Settings,
    slice: Duration,
    open: Option<OpenLoad>,
    quiet: bool,
    slices: Vec<Slice>,
    /// Pairs of each target but the first.
    pairs: Vec<Vec<pairs::Pair>>,
    host: HostTicks,
}

impl<'a> Comparing<'a> {
    fn begin(jobs: &'a [Job<'a>], flags: &AbFlags) -> Result<Self, CommandError> {
        let load = jobs[0].load;
        let in_a_block = flags.slice * (2 * jobs.len() as u32);
        let asked = load.duration.unwrap_or(DURATION);
        let blocks = (asked.as_nanos() / in_a_block.as_nanos()).max(1) as u64;
        // Then every target was in every place alike often.
        let blocks = blocks.next_multiple_of(ab::cycle(jobs.len()));
        if blocks > MOST_BLOCKS {
            return Err(AbError::Blocks(blocks).into());
        }
        let warmup = match load.schedule.warmup {
            Duration::ZERO => WARMUP,
            asked => asked,
        };
        let mut arms = Vec::with_capacity(jobs.len());
        for (job, name) in jobs.iter().zip(NAMES) {
            arms.push(Arm::begin(job, name, warmup)?);
        }
        let plan: &Plan = &arms[0].plan;
        let stages = plan.open.as_ref().map(|open| open.stages[0].from.per_s());
        let settings = Settings {
            slice_s: flags.slice.as_secs_f64(),
            blocks,
            warmup_s: warmup.as_secs_f64(),
            connections: plan.connections as u64,
            threads: plan.threads as u64,
            arrival: plan
                .open
                .as_ref()
                .map_or("closed".to_owned(), |open| open.process.to_string()),
            rate_per_s: stages,
            seed: load.schedule.seed,
        };
        Ok(Self {
            settings,
            slice: flags.slice,
            open: plan.open.clone(),
            quiet: load.quiet,
            slices: Vec::new(),
            pairs: vec![Vec::new(); jobs.len() - 1],
            host: HostTicks::take(),
            arms,
        })
    }

    /// Warms every target up, then runs block after block, until somebody ends it or a target
    /// never answered.
    fn run(&mut self) -> Result<(), CommandError> {
        let mut alive = true;
        for arm in &mut self.arms {
            alive &= arm.warm_up()?;
        }
        if !self.quiet {
            let blocks = self.settings.blocks;
            writeln!(
                io::stderr(),
                "{} targets are warm; {blocks} blocks of slices",
                self.arms.len()
            )?;
        }
        self.host = HostTicks::take();
        let mut block = 0;
        while alive && block < self.settings.blocks && !signals::interrupted() {
            self.block(block)?;
            block += 1;
        }
        Ok(())
    }

    fn block(&mut self, number: u64) -> Result<(), CommandError> {
        let load = self.load(number);
        let mut halves: Vec<_> = self.arms.iter().map(|_| Half::measured()).collect();
        for target in ab::block(number, self.arms.len()) {
            let arm = &mut self.arms[target];
            let half = arm.slice(load.clone())?;
            self.slices.push(row(number, arm.name, &half));
            halves[target].add(&half);
        }
        if let Some((first, others)) = halves.split_first() {
            for (pairs, other) in self.pairs.iter_mut().zip(others) {
                pairs.push(pairs::pair(first, other));
            }
        }
        Ok(())
    }

    /// The load of the slices of a block: the same for all targets, and another in each block.
    fn load(&self, block: u64) -> Load {
        let open = self.open.clone().map(|mut open| {
            open.seed = open.seed.wrapping_add(block);
            for stage in &mut open.stages {
                stage.length = self.slice;
            }
            open
        });
        Load {
            extent: Extent {
                duration: Some(self.slice),
                operations: None,
                warmup: Duration::ZERO,
            },
            open,
        }
    }

    fn report(self) -> (AbReport, Exit, Option<String>) {
        let interrupted = signals::interrupted();
        let stolen = HostTicks::take().stolen_since(&self.host);
        let operation = self.arms.first().map_or("", |arm| arm.job.name);
        let judged: Vec<_> = self
            .arms
            .iter()
            .map(|arm| arm.judge(stolen, interrupted))
            .collect();
        let exit = worst(&judged);
        let dead = judged
            .iter()
            .zip(&self.arms)
            .find(|(judged, _)| judged.exit == Exit::Target);
        let advice = dead.map(|(_, arm)| arm.advice());
        let comparisons = self.pairs.into_iter().zip(&NAMES[1..]);
        let report = AbReport {
            format: FORMAT.to_owned(),
            tool: build::tool(),
            host: host::describe(),
            operation: operation.to_owned(),
            settings: self.settings,
            interrupted,
            verdict: together(&judged),
            comparisons: comparisons
                .map(|(pairs, target)| Comparison {
                    target: (*target).to_owned(),
                    against: NAMES[0].to_owned(),
                    median: Ratios::from(pairs::medians(&pairs)),
                    pairs: pairs.into_iter().map(Ratios::from).collect(),
                })
                .collect(),
            targets: self
                .arms
                .into_iter()
                .zip(judged)
                .map(|(arm, judged)| arm.report(judged.verdict))
                .collect(),
            slices: self.slices,
        };
        (report, exit, advice)
    }
}

fn row(block: u64, target: &str, half: &Half) -> Slice {
    let percentile = |percent| {
        let time = || half.service.percentile(percent).as_nanos() as u64;
        (half.service.count() > 0).then(time)
    };
    Slice {
        block,
        target: target.to_owned(),
        elapsed_s: half.elapsed.as_secs_f64(),
        succeeded: half.succeeded,
        failed: half.failed,
        cpu_ns: half.cpu.map(|cpu| cpu.as_nanos() as u64),
        service_p50_ns: percentile(50.0),
        service_p99_ns: percentile(99.0),
    }
}

/// A target that fails outweighs numbers that do not hold.
fn worst(judged: &[Judgement]) -> Exit {
    let any = |exit| judged.iter().any(|judged| judged.exit == exit);
    [Exit::Target, Exit::Invalid]
        .into_iter()
        .find(|exit| any(*exit))
        .unwrap_or(Exit::Ok)
}

/// What is found of every target, each reason with the name of its target.
fn together(judged: &[Judgement]) -> Verdict {
    let named = judged.iter().zip(NAMES).flat_map(|(judged, name)| {
        let reasons = judged.verdict.reasons.iter().cloned();
        reasons.map(move |mut reason| {
            reason.message = format!("{name}: {}", reason.message);
            reason
        })
    });
    let mut reasons: Vec<_> = named.collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.state));
    let state = judged.iter().map(|judged| judged.verdict.state).max();
    Verdict {
        state: state.unwrap_or(State::Invalid),
        reasons,
    }
}
