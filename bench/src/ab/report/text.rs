//! For people.

use std::fmt::Write as _;

use super::{AbReport, Change, Compared, ScenarioReport};
use crate::ab::{decide::Verdict, metric::Metric};

/// All of it.
pub fn whole(report: &AbReport) -> String {
    let mut text = String::new();
    let (base, head) = (&report.base, &report.head);
    let _ = writeln!(
        text,
        "{} ({}) beside {} ({}), {}",
        head.name,
        &head.commit[..12],
        base.name,
        &base.commit[..12],
        report.host
    );
    if let Some(why) = &report.cut_short {
        let _ = writeln!(text, "{}", cut_short(why));
    }
    for found in &report.scenarios {
        text += &scenario(found);
    }
    let _ = writeln!(text, "verdict: {}", words(report.verdict));
    text
}

/// One scenario.
pub fn scenario(found: &ScenarioReport) -> String {
    let mut text = String::new();
    let verdict = found.verdict.name();
    let (scenario, rounds) = (&found.name, found.rounds);
    let _ = writeln!(
        text,
        "{scenario}: {verdict} after {rounds} rounds ({})",
        found.description
    );
    for compared in &found.metrics {
        let control = compared
            .control
            .map_or("–".to_owned(), |control| percent(control.mean));
        let _ = writeln!(
            text,
            "  {:<22} {:<30} margin {:>2.0} %  control {control:<9} base {:<10} {}",
            compared.metric.name(),
            compared.head.map_or("not measured".to_owned(), interval),
            compared.margin * 100.0,
            base(compared),
            compared.verdict.name(),
        );
    }
    for (doubt, rounds) in &found.doubts {
        let _ = writeln!(text, "  loadgen: {doubt} in {rounds} rounds");
    }
    text
}

/// That there is less than was asked for.
pub fn cut_short(why: &str) -> String {
    format!("CUT SHORT ({why}): scenarios without all their rounds are INCONCLUSIVE")
}

/// The verdict, and what it means.
pub fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS: no scenario is worse by more than its margin",
        Verdict::Fail => "FAIL: at least one scenario is worse by more than its margin",
        Verdict::Inconclusive => {
            "INCONCLUSIVE: it could not be told in so many rounds; a quieter machine or --max-rounds helps"
        }
        Verdict::Unproven => {
            "UNPROVEN: the copy of base differs from base, so this machine proves nothing now"
        }
    }
}

/// `+5.1 % (+4.4 % to +5.8 %)`.
pub fn interval(change: Change) -> String {
    let Change { mean, from, to } = change;
    format!("{} ({} to {})", percent(mean), percent(from), percent(to))
}

fn percent(share: f64) -> String {
    // Adding zero takes the sign from a zero.
    let percent = (share * 1000.0).round() / 10.0 + 0.0;
    format!("{percent:+.1} %")
}

/// Base itself, with its unit.
pub fn base(compared: &Compared) -> String {
    let Some(value) = compared.base else {
        return "–".to_owned();
    };
    match compared.metric {
        Metric::CpuPerOperation | Metric::ServiceP50 | Metric::ServiceP99 => {
            format!("{:.1} µs", value / 1e3)
        }
        Metric::Throughput => format!("{value:.0}/s"),
        Metric::MemoryPerConnection => format!("{value:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{cut_short, sample},
        *,
    };

    #[test]
    fn a_regression_is_said_with_its_interval_margin_and_control() {
        let text = whole(&sample([0.05, 0.051, 0.049]));
        for said in [
            "HEAD (0123456789ab) beside main",
            "a<b: FAIL after 3 rounds",
            "+5.1 % (+5.0 % to +5.3 %)",
            "margin  2 %",
            "control +0.0 %",
            "base 20.0 µs",
            "base 20000/s",
            "not measured",
            "loadgen: stolen in 2 rounds",
            "verdict: FAIL",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!text.contains("CUT SHORT"), "{text}");
        let text = whole(&cut_short());
        assert!(text.contains("\nCUT SHORT (interrupted): "), "{text}");
    }
}
