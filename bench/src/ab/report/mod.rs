//! The result of a comparison: the model that is stored, and its renderings.

pub mod junit;
pub mod markdown;
pub mod text;

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{
    AbArgs,
    decide::{Bounds, Rounds, Verdict},
    error::AbError,
    metric::Metric,
    revision::Revision,
    statistics::Interval,
};
use crate::{host, output, statistics::median};

/// Name and version of the format. Within one version fields are only added.
pub const FORMAT: &str = "bench.ab/1";

/// A comparison of two revisions.
#[derive(Debug, Clone, Serialize)]
pub struct AbReport {
    /// `bench.ab/1`.
    pub format: &'static str,
    /// The machine, in words.
    pub host: String,
    /// Seconds since 1970 when it was done.
    pub done_unix_s: u64,
    /// What was compared with.
    pub base: RevisionReport,
    /// What was judged.
    pub head: RevisionReport,
    /// How.
    pub settings: Settings,
    /// The worst verdict.
    pub verdict: Verdict,
    /// Why scenarios lack rounds; absent where each is decided.
    pub cut_short: Option<String>,
    /// Each scenario.
    pub scenarios: Vec<ScenarioReport>,
}

/// A revision.
#[derive(Debug, Clone, Serialize)]
pub struct RevisionReport {
    /// As it was written.
    pub name: String,
    /// Its full hash.
    pub commit: String,
}

/// How it was measured, defaults filled in.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// How many rounds.
    pub rounds: Bounds,
    /// How long the slices of a round take together.
    pub round_time: String,
    /// Where chance comes from.
    pub seed: u64,
    /// cargo's profile.
    pub profile: String,
}

/// One scenario.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioReport {
    /// Its name.
    pub name: String,
    /// What is done.
    pub description: String,
    /// What was found.
    pub verdict: Verdict,
    /// In so many rounds.
    pub rounds: usize,
    /// Each metric; the first one decides whether head passes.
    pub metrics: Vec<Compared>,
    /// What loadgen held against its own numbers, and in how many rounds.
    pub doubts: BTreeMap<String, usize>,
}

/// One metric.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Which.
    pub metric: Metric,
    /// The share by which head may be worse.
    pub margin: f64,
    /// What was found.
    pub verdict: Verdict,
    /// Base itself, the median over the rounds: nanoseconds, operations per second, or bytes.
    pub base: Option<f64>,
    /// Head over base.
    pub head: Option<Change>,
    /// The copy of base over base.
    pub control: Option<Change>,
    /// All rounds.
    pub rounds: EachRound,
}

/// How a number changed, as a share: 0.05 is five percent more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// The mean over the rounds (of logarithms).
    pub mean: f64,
    /// The least of the two one-sided 95 % bounds.
    pub from: f64,
    /// The greatest.
    pub to: f64,
}

/// How much worse than base each round was: logarithms, more is worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EachRound {
    /// Head.
    pub head: Vec<f64>,
    /// The copy of base.
    pub control: Vec<f64>,
}

impl AbReport {
    /// The report of these scenarios, done now, each of which is decided.
    pub fn new(
        base: Revision,
        head: Revision,
        settings: Settings,
        scenarios: Vec<ScenarioReport>,
    ) -> Self {
        let of = |revision: Revision| RevisionReport {
            name: revision.name,
            commit: revision.commit,
        };
        Self {
            format: FORMAT,
            host: host::describe(),
            done_unix_s: now(),
            base: of(base),
            head: of(head),
            settings,
            verdict: worst(&scenarios),
            cut_short: None,
            scenarios,
        }
    }

    /// What a CI job sees.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Pass | Verdict::Inconclusive => 0,
            Verdict::Fail => 3,
            Verdict::Unproven => 4,
        }
    }
}

/// A proven regression in one scenario stands, whatever the control did in another.
fn worst(scenarios: &[ScenarioReport]) -> Verdict {
    let order = [Verdict::Fail, Verdict::Unproven, Verdict::Inconclusive];
    let any = |verdict: &Verdict| scenarios.iter().any(|found| found.verdict == *verdict);
    order.into_iter().find(any).unwrap_or(Verdict::Pass)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Compared {
    /// The rounds of a metric, and base itself in them.
    pub fn new(rounds: Rounds, base: &[f64], least: usize) -> Self {
        let finding = rounds.finding(least);
        let change = |interval: Interval| Change::new(rounds.metric, interval);
        let mut base = base.to_vec();
        base.sort_by(f64::total_cmp);
        Self {
            metric: rounds.metric,
            margin: rounds.metric.margin(),
            verdict: finding.verdict,
            base: (!base.is_empty()).then(|| median(&base)),
            head: finding.head.map(change),
            control: finding.control.map(change),
            rounds: EachRound {
                head: rounds.head,
                control: rounds.control,
            },
        }
    }
}

impl Change {
    fn new(metric: Metric, interval: Interval) -> Self {
        let (one, other) = (metric.change(interval.lower), metric.change(interval.upper));
        Self {
            mean: metric.change(interval.mean),
            from: one.min(other),
            to: one.max(other),
        }
    }
}

/// Prints the report, and writes the files that were asked for.
///
/// # Errors
///
/// [`AbError`]: a file cannot be written.
pub fn write(report: &AbReport, args: &AbArgs) -> Result<(), AbError> {
    output::publish(args.json.as_deref(), &text::whole(report), report)?;
    if let Some(path) = &args.markdown {
        output::write(path, markdown::whole(report))?;
    }
    if let Some(path) = &args.junit {
        output::write(path, junit::whole(report)?)?;
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The same, of a run that was interrupted.
    pub fn cut_short() -> AbReport {
        let mut report = sample([0.3, -0.3, 0.0]);
        report.cut_short = Some("interrupted".into());
        report
    }

    /// A report of one scenario whose name and description would break what is not escaped.
    pub fn sample(head: [f64; 3]) -> AbReport {
        let rounds = Rounds {
            metric: Metric::CpuPerOperation,
            head: head.to_vec(),
            control: vec![0.0, 0.001, -0.001],
        };
        let slower = Rounds {
            metric: Metric::Throughput,
            head: vec![0.3, -0.3, 0.0],
            control: vec![0.0, 0.001, -0.001],
        };
        let unmeasured = Rounds::of(Metric::ServiceP99);
        let all = [rounds, slower, unmeasured];
        let metrics: Vec<_> = all
            .map(|rounds| Compared::new(rounds, &[2e4, 1e4, 3e4], 3))
            .into();
        let scenario = ScenarioReport {
            name: "a<b".into(),
            description: "GET & PUT | \"100 B\"".into(),
            verdict: metrics[0].verdict,
            rounds: 3,
            metrics,
            doubts: BTreeMap::from([("stolen".into(), 2)]),
        };
        let revision = |name: &str| Revision {
            name: name.into(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
        };
        let settings = Settings {
            rounds: Bounds { least: 3, most: 3 },
            round_time: "6s".into(),
            seed: 1,
            profile: "release".into(),
        };
        AbReport::new(revision("main"), revision("HEAD"), settings, vec![scenario])
    }

    #[test]
    fn the_exit_code_follows_the_worst_verdict() {
        let mut report = sample([0.05, 0.051, 0.049]);
        assert_eq!((report.verdict, report.exit_code()), (Verdict::Fail, 3));
        assert_eq!(sample([0.0, 0.001, -0.001]).exit_code(), 0);
        let inconclusive = sample([0.3, -0.3, 0.0]);
        assert_eq!(
            (inconclusive.verdict, inconclusive.exit_code()),
            (Verdict::Inconclusive, 0)
        );
        report.scenarios.push(ScenarioReport {
            verdict: Verdict::Unproven,
            ..report.scenarios[0].clone()
        });
        assert_eq!(worst(&report.scenarios), Verdict::Fail);
        assert_eq!(worst(&report.scenarios[1..]), Verdict::Unproven);
        report.verdict = Verdict::Unproven;
        assert_eq!(report.exit_code(), 4);
    }

    #[test]
    fn the_stored_form_has_its_version_and_shares_with_their_signs() {
        let json = serde_json::to_value(sample([0.05, 0.051, 0.049])).expect("it is plain data");
        assert_eq!(json["format"], FORMAT);
        assert_eq!(json["verdict"], "fail");
        let cpu = &json["scenarios"][0]["metrics"][0];
        assert_eq!(
            (&cpu["metric"], &cpu["base"]),
            (&"cpu_per_operation".into(), &2e4.into())
        );
        let mean = cpu["head"]["mean"].as_f64().expect("a number");
        assert!((mean - 0.05_f64.exp_m1()).abs() < 1e-9, "{mean}");
        let throughput = &json["scenarios"][0]["metrics"][1]["head"];
        assert!(throughput["from"].as_f64() < Some(-0.2), "{throughput}");
        assert!(throughput["to"].as_f64() > Some(0.2), "{throughput}");
        assert!(json["scenarios"][0]["metrics"][2]["head"].is_null());
        assert!(json["cut_short"].is_null());
    }
}
