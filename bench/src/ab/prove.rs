//! Whether the gate works on this machine: how often it calls no change a regression, and how often
//! it sees one that was put in.
//!
//! One program serves for all: the gateway with a feature that spins for a share of its CPU time, as
//! its environment says. Comparisons without and with it take turns, so that both see all of the
//! machine's moods.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    Course, Procedure, Venue,
    chance::Chance,
    decide::Verdict,
    error::AbError,
    report::{Change, ScenarioReport, Settings, markdown, now},
    revision::{Recipe, Workshop},
    scenario::{self, Scenario},
    stage::Programs,
    statistics::share_bounds,
};
use crate::{error::in_one_line, host, output, units};

/// Name and version of the format.
const FORMAT: &str = "bench.prove/1";
/// The feature of the gateway that spins.
const FEATURE: &str = "injected-slowdown";
/// What tells it for which share of its time.
const VARIABLE: &str = "SEALGATE_INJECTED_SLOWDOWN";
/// No-ops that may fail: one of twenty.
const FALSE_ALARMS: f64 = 0.05;
/// Injections that have to fail: eighteen of twenty.
const SEEN: f64 = 0.9;

const EXIT_CODES: &str = "\
Exit codes: 0 it cries wolf at most once in twenty, and sees at least eighteen of twenty; 3 it does
not; 1 usage; 2 something does not build or start; 4 the run was interrupted, so nothing is proven.";

/// Arguments of `bench ab prove`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ProveArgs {
    /// The revision that is built, with the feature that slows it down
    #[arg(default_value = "HEAD")]
    revision: String,
    /// The scenario, by name or path
    #[arg(long, default_value = "echo")]
    scenario: String,
    /// Comparisons in which nothing differs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    noops: u32,
    /// Comparisons in which head is slower
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    injections: u32,
    /// How much CPU time head spins, of what it uses otherwise: 0.1% to 100%
    #[arg(long, value_name = "N%", default_value = "5%", value_parser = units::percent)]
    slowdown: f64,
    #[command(flatten)]
    procedure: Procedure,
    /// Write the result as JSON too; `-` is standard output, instead of the table
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    json: Option<PathBuf>,
    /// Write the table to a file too
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    markdown: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
struct Proof {
    /// `bench.prove/1`.
    format: &'static str,
    /// The machine, in words.
    host: String,
    /// Seconds since 1970 when it began.
    began_unix_s: u64,
    /// Seconds since 1970 when it was done.
    done_unix_s: u64,
    /// The commit that was built.
    commit: String,
    /// The scenario.
    scenario: String,
    /// Percent of its CPU time that head spun in injections.
    slowdown_percent: f64,
    /// How each comparison was made.
    settings: Settings,
    /// Where nothing differed.
    noops: Tally,
    /// Where head was slower.
    injections: Tally,
    /// Whether no-ops fail rarely enough and injections often enough. Never of a proof that is cut short.
    holds: bool,
    /// Why there are fewer comparisons than were asked for.
    cut_short: Option<String>,
    /// Every comparison, in the order in which they were.
    comparisons: Vec<Comparison>,
}

/// One comparison.
#[derive(Debug, Clone, Serialize)]
struct Comparison {
    /// Percent of its CPU time that head spun.
    slowdown_percent: f64,
    /// What was found.
    verdict: Verdict,
    /// In so many rounds.
    rounds: usize,
    /// How the first metric changed.
    head: Option<Change>,
    /// And how it differed between base and its copy.
    control: Option<Change>,
}

/// Comparisons by their verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Tally {
    /// All.
    of: u32,
    /// A regression was found.
    fail: u32,
    /// None was found.
    pass: u32,
    /// It could not be told.
    inconclusive: u32,
    /// The control differed.
    unproven: u32,
    /// The share that fails is above, with 95 % (Clopper and Pearson).
    fail_share_above: f64,
    /// The share that fails is below, with 95 %.
    fail_share_below: f64,
}

impl Comparison {
    fn new(slowdown_percent: f64, report: &ScenarioReport) -> Self {
        let first = report.metrics.first();
        Self {
            slowdown_percent,
            verdict: report.verdict,
            rounds: report.rounds,
            head: first.and_then(|metric| metric.head),
            control: first.and_then(|metric| metric.control),
        }
    }
}

impl Tally {
    fn add(&mut self, verdict: Verdict) {
        self.of += 1;
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Fail => &mut self.fail,
            Verdict::Inconclusive => &mut self.inconclusive,
            Verdict::Unproven => &mut self.unproven,
        } += 1;
        (self.fail_share_above, self.fail_share_below) = share_bounds(self.fail, self.of);
    }

    fn fail_share(&self) -> f64 {
        f64::from(self.fail) / f64::from(self.of.max(1))
    }
}

/// Whether the gate works with these shares.
fn holds(noops: &Tally, injections: &Tally) -> bool {
    noops.fail_share() <= FALSE_ALARMS && injections.fail_share() >= SEEN
}

/// Proves it, or not: exit code 0 or 3.
///
/// # Errors
///
/// [`AbError`]: nothing was proven.
pub fn run(args: &ProveArgs) -> Result<u8, AbError> {
    let began_unix_s = now();
    let scenario = scenario::find(&args.scenario)?;
    let settings = args.procedure.settings()?;
    let workshop = Workshop::enter()?;
    let revision = workshop.resolve(&args.revision)?;
    eprintln!("building {} with {FEATURE}", revision.name);
    let recipe = Recipe {
        profile: &settings.profile,
        feature: Some(FEATURE),
    };
    let program = workshop.build(&revision, recipe)?;
    let programs = Programs::place(workshop.folder(), &program, &program)?;
    let mut proof = Proof {
        format: FORMAT,
        host: host::describe(),
        began_unix_s,
        done_unix_s: now(),
        commit: revision.commit,
        scenario: scenario.name.clone(),
        slowdown_percent: args.slowdown,
        settings,
        noops: Tally::default(),
        injections: Tally::default(),
        holds: false,
        cut_short: None,
        comparisons: Vec::new(),
    };
    let ended = compare(args, &scenario, &programs, &mut proof);
    if proof.comparisons.is_empty() {
        return ended.map(|()| 3);
    }
    proof.done_unix_s = now();
    proof.cut_short = ended.as_ref().err().map(in_one_line);
    proof.holds = ended.is_ok() && holds(&proof.noops, &proof.injections);
    publish(&proof, args)?;
    ended?;
    Ok(if proof.holds { 0 } else { 3 })
}

/// All comparisons, in turn. Those from before something came between stay.
fn compare(
    args: &ProveArgs,
    scenario: &Scenario,
    programs: &Programs,
    proof: &mut Proof,
) -> Result<(), AbError> {
    let rounds = proof.settings.rounds;
    let venue = Venue::open(&proof.settings)?;
    let mut chance = Chance::new(proof.settings.seed);
    for number in 0..args.noops.max(args.injections) {
        for (slowdown, asked, tally) in [
            (0.0, args.noops, &mut proof.noops),
            (args.slowdown, args.injections, &mut proof.injections),
        ] {
            if number >= asked {
                continue;
            }
            let programs = programs.with(VARIABLE, environment(args.slowdown, slowdown));
            let mut course = Course::of(scenario);
            let stage = venue.stage(scenario, &programs)?;
            course.run(&stage, rounds, &mut chance)?;
            let report = course.report(scenario, rounds);
            let (number, verdict) = (number + 1, report.verdict);
            eprintln!("{number} of {asked} with {slowdown} %: {verdict:?}");
            tally.add(verdict);
            proof.comparisons.push(Comparison::new(slowdown, &report));
        }
    }
    Ok(())
}

/// The variable of each arm: only head is slowed down. All have the same length.
fn environment(most: f64, head: f64) -> [String; 3] {
    let width = most.to_string().len();
    [0.0, head, 0.0].map(|percent| format!("{percent:0>width$}%"))
}

fn publish(proof: &Proof, args: &ProveArgs) -> Result<(), AbError> {
    let table = table(proof);
    output::publish(args.json.as_deref(), &table, proof)?;
    match &args.markdown {
        Some(path) => Ok(output::write(path, &table)?),
        None => Ok(()),
    }
}

/// Markdown, which people read too.
fn table(proof: &Proof) -> String {
    let row = |name: String, tally: &Tally| {
        format!(
            "| {name} | {} of {} | {:.0} % to {:.0} % | {} | {} | {} |\n",
            tally.fail,
            tally.of,
            tally.fail_share_above * 100.0,
            tally.fail_share_below * 100.0,
            tally.pass,
            tally.inconclusive,
            tally.unproven,
        )
    };
    let verdict = match (&proof.cut_short, proof.holds) {
        (Some(why), _) => format!("CUT SHORT ({why}), so nothing is proven"),
        (None, true) => "The gate works here".to_owned(),
        (None, false) => "The gate does NOT work here".to_owned(),
    };
    let minutes = proof.done_unix_s.saturating_sub(proof.began_unix_s) / 60;
    format!(
        "{verdict}: scenario {}, commit `{}`, {}, {minutes} minutes.\n\n\
         | | FAIL | share, each bound 95 % | PASS | INCONCLUSIVE | UNPROVEN |\n|---|---:|---|---:|---:|---:|\n{}{}",
        markdown::cell(&proof.scenario),
        &proof.commit[..12],
        markdown::cell(&proof.host),
        row("no change".into(), &proof.noops),
        row(
            format!("{} % more CPU", proof.slowdown_percent),
            &proof.injections
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(fail: u32, of: u32) -> Tally {
        let mut tally = Tally::default();
        (0..fail).for_each(|_| tally.add(Verdict::Fail));
        (fail..of).for_each(|_| tally.add(Verdict::Pass));
        tally
    }

    #[test]
    fn one_false_alarm_and_two_misses_of_twenty_are_allowed() {
        assert!(holds(&tally(1, 20), &tally(18, 20)));
        assert!(!holds(&tally(2, 20), &tally(18, 20)));
        assert!(!holds(&tally(1, 20), &tally(17, 20)));
        let eighteen = tally(18, 20);
        assert_eq!((eighteen.fail, eighteen.pass, eighteen.of), (18, 2, 20));
        assert!(
            (eighteen.fail_share_above - 0.717).abs() < 1e-3,
            "{eighteen:?}"
        );
    }

    #[test]
    fn only_head_is_slowed_down_and_no_environment_is_longer() {
        assert_eq!(environment(5.0, 5.0), ["0%", "5%", "0%"]);
        assert_eq!(environment(5.0, 0.0), ["0%", "0%", "0%"]);
        assert_eq!(environment(12.5, 12.5), ["0000%", "12.5%", "0000%"]);
    }

    #[test]
    fn the_table_has_shares_with_bounds() {
        let mut proof = Proof {
            format: FORMAT,
            host: "a | machine".into(),
            began_unix_s: 0,
            done_unix_s: 7200,
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            scenario: "echo".into(),
            slowdown_percent: 5.0,
            settings: Settings {
                rounds: crate::ab::decide::Bounds { least: 5, most: 15 },
                round_time: "6s".into(),
                seed: 1,
                profile: "release".into(),
            },
            holds: true,
            cut_short: None,
            noops: tally(0, 20),
            injections: tally(20, 20),
            comparisons: Vec::new(),
        };
        let text = table(&proof);
        assert!(text.starts_with("The gate works here"), "{text}");
        assert!(
            text.contains("| no change | 0 of 20 | 0 % to 14 % | 20 | 0 | 0 |"),
            "{text}"
        );
        assert!(
            text.contains("| 5 % more CPU | 20 of 20 | 86 % to 100 % |"),
            "{text}"
        );
        assert!(text.contains("a \\| machine, 120 minutes"), "{text}");
        proof.cut_short = Some("interrupted".into());
        let text = table(&proof);
        let cut = "CUT SHORT (interrupted), so nothing is proven: scenario echo";
        assert!(text.starts_with(cut), "{text}");
    }
}
