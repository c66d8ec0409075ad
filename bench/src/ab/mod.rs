//! Layer B of the gates: is HEAD slower than BASE, on a machine that is noisy?
//!
//! ```text
//! revision (build both at one path) -> stage: fresh gateways each round, in an order of chance
//!   -> loadgen ab: slices in turn -> reading: one number for each metric -> decide: interval over
//!   rounds against a margin -> another round, or the verdict -> report
//! ```
//!
//! It fails when head is worse by more than the margin, with 95 %, and a copy of base that runs
//! beside it is not. It never fails because it could not tell.

pub mod chance;
pub mod decide;
mod error;
mod metric;
mod prove;
mod reading;
mod report;
mod revision;
pub mod scenario;
#[cfg(test)]
mod simulation;
pub mod site;
mod stage;
pub mod statistics;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};

pub use error::AbError;
pub use report::now;

use self::{
    chance::Chance,
    decide::{Bounds, Next, Rounds, Verdict},
    prove::ProveArgs,
    reading::Reading,
    report::{AbReport, Compared, ScenarioReport, Settings},
    revision::{Recipe, Workshop},
    scenario::Scenario,
    stage::{Hall, Programs, Stage},
};
use crate::{
    certificate::self_signed,
    error::{BenchError, in_one_line},
    host, output, units,
    workplace::Workplace,
};

const EXAMPLES: &str = "\
Examples:
  scripts/bench ab main HEAD
      every scenario: two release builds, then 5 to 15 rounds of each
  scripts/bench ab HEAD~1 HEAD echo bulk --junit ab.xml --markdown ab.md
      two scenarios, with files for a CI job
  scripts/bench ab v1.2 HEAD mine.toml --max-rounds 10
      a scenario of your own; bench/scenarios has examples
  scripts/bench ab prove --noops 20 --injections 20 --slowdown 5%
      whether this machine sees 5 %, and whether it cries wolf

What is compared are commits: changes that are not committed are not in it.

Ctrl-C and SIGTERM end a run with what there is, and so does anything that fails on the way: a
scenario without all its rounds is INCONCLUSIVE then.

Exit codes: 0 no regression, or it could not be told; 3 a regression, also one found before a run
was cut short; 4 the control copy of BASE differs from BASE, so nothing is proven, or the run was
interrupted; 1 usage; 2 something does not build or start.";

/// Arguments of `bench ab`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct AbArgs {
    #[command(subcommand)]
    prove: Option<AbCommand>,
    /// The revision to compare with
    #[arg(required = true)]
    base: Option<String>,
    /// The revision to judge
    #[arg(required = true)]
    head: Option<String>,
    /// Scenarios by name, or paths of .toml files [default: all that come with bench]
    scenario: Vec<String>,
    #[command(flatten)]
    procedure: Procedure,
    /// Write the result as JSON too; `-` is standard output, instead of the text
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    json: Option<PathBuf>,
    /// Write it as Markdown too
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    markdown: Option<PathBuf>,
    /// Write it as JUnit's XML too
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    junit: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AbCommand {
    /// How often no change is called a regression here, and how often an injected one is seen.
    Prove(ProveArgs),
}

/// How it is measured.
#[derive(Debug, Clone, Args)]
struct Procedure {
    /// Rounds before anything is concluded
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1000))]
    rounds: u32,
    /// Rounds before it is given up
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=1000))]
    max_rounds: u32,
    /// How long the slices of a round take together
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = units::time)]
    round_time: String,
    /// Where the order of start and slices comes from [default: the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// cargo's profile for both revisions
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
}

impl Procedure {
    fn bounds(&self) -> Result<Bounds, AbError> {
        match self.rounds <= self.max_rounds {
            true => Ok(Bounds {
                least: self.rounds as usize,
                most: self.max_rounds as usize,
            }),
            false => Err(AbError::Rounds {
                least: self.rounds,
                most: self.max_rounds,
            }),
        }
    }

    fn settings(&self) -> Result<Settings, AbError> {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = || clock().map_or(1, |since| since.as_secs());
        Ok(Settings {
            rounds: self.bounds()?,
            round_time: self.round_time.clone(),
            seed: self.seed.unwrap_or_else(seed),
            profile: self.profile.clone(),
        })
    }
}

/// Compares, or proves.
///
/// # Errors
///
/// [`AbError`]: nothing was compared.
pub fn run(args: &AbArgs) -> Result<u8, AbError> {
    match (&args.prove, &args.base, &args.head) {
        (Some(AbCommand::Prove(args)), ..) => prove::run(args),
        (None, Some(base), Some(head)) => compare(args, base, head),
        // clap asks for both.
        (None, ..) => Ok(1),
    }
}

fn compare(args: &AbArgs, base: &str, head: &str) -> Result<u8, AbError> {
    let own = scenario::names();
    let names: Vec<&str> = match args.scenario.is_empty() {
        true => own,
        false => args.scenario.iter().map(String::as_str).collect(),
    };
    let scenarios = names.into_iter().map(scenario::find);
    let scenarios = scenarios.collect::<Result<Vec<Scenario>, _>>()?;
    let settings = args.procedure.settings()?;
    let workshop = Workshop::enter()?;
    let (base, head) = (workshop.resolve(base)?, workshop.resolve(head)?);
    if workshop.is_dirty()? {
        eprintln!("note: what is not committed is not measured");
    }
    let recipe = Recipe {
        profile: &settings.profile,
        feature: None,
    };
    let mut programs = Vec::new();
    for revision in [&base, &head] {
        eprintln!("building {} ({})", revision.name, &revision.commit[..12]);
        programs.push(workshop.build(revision, recipe)?);
    }
    let programs = Programs::place(workshop.folder(), &programs[0], &programs[1])?;
    let venue = Venue::open(&settings)?;
    let mut chance = Chance::new(settings.seed);
    let mut found = Vec::with_capacity(scenarios.len());
    let mut ended = Ok(());
    for scenario in &scenarios {
        // One that is not reached is in the report too: nobody shall take it for one that passed.
        let mut course = Course::of(scenario);
        if ended.is_ok() {
            let stage = venue.stage(scenario, &programs);
            ended = stage.and_then(|stage| course.run(&stage, settings.rounds, &mut chance));
        }
        let report = course.report(scenario, settings.rounds);
        if report.rounds > 0 {
            eprint!("{}", report::text::scenario(&report));
        }
        found.push(report);
    }
    if found.iter().all(|scenario| scenario.rounds == 0) {
        return ended.map(|()| 0);
    }
    let mut report = AbReport::new(base, head, settings, found);
    report.cut_short = ended.as_ref().err().map(in_one_line);
    report::write(&report, args)?;
    match ended {
        // What was found before stands.
        Err(error) if report.verdict != Verdict::Fail => Err(error),
        Err(error) => {
            eprintln!("bench: {error}");
            Ok(report.exit_code())
        }
        Ok(()) => Ok(report.exit_code()),
    }
}

/// Cores, files and certificate of a run. Its files go with it.
struct Venue {
    hall: Hall,
    certificate: crate::certificate::Certificate,
    _place: Workplace,
}

impl Venue {
    fn open(settings: &Settings) -> Result<Self, AbError> {
        let [gateway_core, load_core, ..] = host::cores()[..] else {
            return Err(BenchError::OneCore.into());
        };
        let place = Workplace::new()?;
        Ok(Self {
            certificate: self_signed(place.path())?,
            hall: Hall {
                gateway_core,
                load_core,
                place: place.path().to_owned(),
                round: settings.round_time.clone(),
            },
            _place: place,
        })
    }

    fn stage<'a>(
        &'a self,
        scenario: &'a Scenario,
        programs: &'a Programs,
    ) -> Result<Stage<'a>, AbError> {
        Stage::set_up(&self.hall, scenario, programs, &self.certificate)
    }
}

/// The rounds of one scenario.
#[derive(Debug, Clone)]
struct Course {
    metrics: Vec<(Rounds, Vec<f64>)>,
    rounds: usize,
    /// Rounds in which loadgen held this against its numbers.
    doubts: BTreeMap<String, usize>,
    /// None until it is decided.
    verdict: Option<Verdict>,
}

impl Course {
    fn of(scenario: &Scenario) -> Self {
        let metrics = scenario.load.operation.metrics().iter();
        Self {
            metrics: metrics
                .map(|metric| (Rounds::of(*metric), Vec::new()))
                .collect(),
            rounds: 0,
            doubts: BTreeMap::new(),
            verdict: None,
        }
    }

    /// Runs rounds until it is decided. Those from before something came between stay.
    fn run(
        &mut self,
        stage: &Stage<'_>,
        bounds: Bounds,
        chance: &mut Chance,
    ) -> Result<(), AbError> {
        while self.verdict.is_none() {
            eprintln!("{}: round {}", stage.name(), self.rounds + 1);
            self.add(stage.round(chance)?);
            if let Next::Done(verdict) = self.next(bounds) {
                self.verdict = Some(verdict);
            }
        }
        Ok(())
    }

    fn add(&mut self, reading: Reading) {
        self.rounds += 1;
        for measured in reading.metrics {
            let of_it = self.metrics.iter_mut();
            for (rounds, base) in of_it.filter(|(rounds, _)| rounds.metric == measured.metric) {
                rounds.head.push(measured.head);
                rounds.control.push(measured.control);
                base.push(measured.base);
            }
        }
        for doubt in reading.doubts {
            *self.doubts.entry(doubt).or_default() += 1;
        }
    }

    fn next(&self, bounds: Bounds) -> Next {
        let findings = self
            .metrics
            .iter()
            .map(|(rounds, _)| rounds.finding(bounds.least));
        decide::next(&findings.collect::<Vec<_>>(), self.rounds, bounds)
    }

    /// What there is. Nothing is concluded from a scenario that was not decided.
    fn report(self, scenario: &Scenario, bounds: Bounds) -> ScenarioReport {
        let metrics = self.metrics.into_iter().map(|(rounds, base)| {
            let mut compared = Compared::new(rounds, &base, bounds.least);
            if self.verdict.is_none() {
                compared.verdict = Verdict::Inconclusive;
            }
            compared
        });
        ScenarioReport {
            name: scenario.name.clone(),
            description: scenario.description.clone(),
            verdict: self.verdict.unwrap_or(Verdict::Inconclusive),
            rounds: self.rounds,
            metrics: metrics.collect(),
            doubts: self.doubts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{metric::Metric, reading::Measured, *};

    #[test]
    fn rounds_are_kept_by_metric_and_doubts_counted() {
        let scenario = scenario::find("echo").expect("it comes with bench");
        let mut course = Course::of(&scenario);
        let bounds = Bounds { least: 2, most: 3 };
        let round = |head: f64| Reading {
            metrics: vec![Measured {
                metric: Metric::CpuPerOperation,
                head,
                control: 0.0,
                base: 1000.0,
            }],
            doubts: vec!["stolen".into()],
        };
        course.add(round(0.10));
        assert_eq!(course.next(bounds), Next::Round);
        course.add(round(0.10));
        assert_eq!(course.next(bounds), Next::Done(Verdict::Fail));
        course.verdict = Some(Verdict::Fail);
        let report = course.report(&scenario, bounds);
        assert_eq!((report.rounds, report.doubts["stolen"]), (2, 2));
        let cpu = &report.metrics[0];
        assert_eq!((cpu.verdict, cpu.base), (Verdict::Fail, Some(1000.0)));
        assert_eq!(cpu.rounds.head, [0.10, 0.10]);
        assert_eq!(
            report.metrics[3].verdict,
            Verdict::Inconclusive,
            "no round had a p99"
        );
    }

    #[test]
    fn a_scenario_that_was_cut_short_never_passes_whatever_its_rounds_say() {
        let scenario = scenario::find("echo").expect("it comes with bench");
        let bounds = Bounds { least: 2, most: 9 };
        let mut course = Course::of(&scenario);
        for shift in [0.0, 0.001, -0.001] {
            let measured = [Metric::CpuPerOperation, Metric::Throughput].map(|metric| Measured {
                metric,
                // The second metric leaves the scenario open.
                head: if metric == Metric::Throughput {
                    shift * 100.0
                } else {
                    shift
                },
                control: shift,
                base: 1000.0,
            });
            course.add(Reading {
                metrics: measured.to_vec(),
                doubts: Vec::new(),
            });
        }
        assert_eq!(course.next(bounds), Next::Round);
        let mut decided = course.clone();
        decided.verdict = Some(Verdict::Pass);
        let decided = decided.report(&scenario, bounds);
        assert_eq!(decided.metrics[0].verdict, Verdict::Pass);
        let cut = course.report(&scenario, bounds);
        assert_eq!((cut.verdict, cut.rounds), (Verdict::Inconclusive, 3));
        assert_eq!(cut.metrics[0].rounds, decided.metrics[0].rounds);
        for compared in &cut.metrics {
            assert_eq!(compared.verdict, Verdict::Inconclusive);
        }
    }
}
