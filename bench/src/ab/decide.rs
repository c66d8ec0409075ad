//! The verdict on one scenario, after each round. Pure.
//!
//! ```text
//! rounds: how much worse head and the control copy of base are -> interval -> verdict of each metric
//!                                                                  -> one more round, or the verdict
//! ```
//!
//! A round is one number: its slices share processes, ports and memory layout, so they say nothing
//! of how much those matter. Rounds do.

use serde::{Deserialize, Serialize};

use super::{
    metric::Metric,
    statistics::{Interval, interval},
};

/// What was found of a metric, or of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Head is worse by no more than the margin.
    Pass,
    /// Head is worse by more than the margin.
    Fail,
    /// It could not be told in so many rounds. Never red.
    Inconclusive,
    /// The copy of base differs from base by more than the margin: this machine proves nothing now.
    Unproven,
}

impl Verdict {
    /// In a word, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Unproven => "UNPROVEN",
        }
    }
}

/// How many rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Before anything is concluded.
    pub least: usize,
    /// Before it is given up.
    pub most: usize,
}

/// The rounds of one metric: how much worse than base, as logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounds {
    /// Of what.
    pub metric: Metric,
    /// Head.
    pub head: Vec<f64>,
    /// The copy of base.
    pub control: Vec<f64>,
}

/// What was found of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Of what.
    pub metric: Metric,
    /// How much worse head is; none of fewer than two rounds.
    pub head: Option<Interval>,
    /// How much worse the copy of base is.
    pub control: Option<Interval>,
    /// What that says.
    pub verdict: Verdict,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another round.
    Round,
    /// Nothing: it is decided.
    Done(Verdict),
}

impl Rounds {
    /// No round yet.
    pub fn of(metric: Metric) -> Self {
        Self {
            metric,
            head: Vec::new(),
            control: Vec::new(),
        }
    }

    /// What the rounds say so far, once there are `least`.
    pub fn finding(&self, least: usize) -> Finding {
        let enough = |rounds: &[f64]| {
            let found = interval(rounds);
            found.filter(|_| rounds.len() >= least)
        };
        let limit = self.metric.limit();
        let verdict = match (enough(&self.head), enough(&self.control)) {
            (Some(_), Some(control)) if control.mean.abs() > limit => Verdict::Unproven,
            (Some(head), Some(_)) if head.lower > limit => Verdict::Fail,
            (Some(head), Some(_)) if head.upper < limit => Verdict::Pass,
            _ => Verdict::Inconclusive,
        };
        Finding {
            metric: self.metric,
            head: interval(&self.head),
            control: interval(&self.control),
            verdict,
        }
    }
}

/// The verdict on all metrics together. The first one decides whether head passes; any may fail it,
/// but only where the control differs in none: a machine that does one thing to the control may do
/// another to head.
pub fn verdict(findings: &[Finding]) -> Verdict {
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    match findings.first().map(|first| first.verdict) {
        _ if any(Verdict::Fail) && any(Verdict::Unproven) => Verdict::Unproven,
        _ if any(Verdict::Fail) => Verdict::Fail,
        Some(first) => first,
        None => Verdict::Inconclusive,
    }
}

/// Whether to go on after `rounds` rounds, of which `findings` are what they say.
pub fn next(findings: &[Finding], rounds: usize, bounds: Bounds) -> Next {
    if rounds < bounds.least {
        return Next::Round;
    }
    let verdict = verdict(findings);
    let open = |finding: &Finding| {
        matches!(finding.verdict, Verdict::Inconclusive | Verdict::Unproven)
            // What no round has measured, no further one will.
            && finding.head.is_some()
    };
    match verdict {
        Verdict::Fail => Next::Done(verdict),
        // More rounds may show that the control differed by chance.
        _ if rounds < bounds.most && findings.iter().any(open) => Next::Round,
        _ => Next::Done(verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { least: 3, most: 6 };

    fn rounds(metric: Metric, head: &[f64], control: &[f64]) -> Rounds {
        Rounds {
            metric,
            head: head.to_vec(),
            control: control.to_vec(),
        }
    }

    fn cpu(head: &[f64]) -> Finding {
        rounds(Metric::CpuPerOperation, head, &[0.001, -0.001, 0.0]).finding(3)
    }

    #[test]
    fn a_metric_has_three_verdicts_and_a_control() {
        assert_eq!(cpu(&[0.05, 0.051, 0.049]).verdict, Verdict::Fail);
        assert_eq!(cpu(&[0.0, 0.001, -0.001]).verdict, Verdict::Pass);
        assert_eq!(
            cpu(&[-0.05, -0.051, -0.049]).verdict,
            Verdict::Pass,
            "it is better"
        );
        assert_eq!(cpu(&[0.05, -0.05, 0.0]).verdict, Verdict::Inconclusive);
        assert_eq!(
            cpu(&[0.05, 0.051]).verdict,
            Verdict::Inconclusive,
            "two rounds"
        );
        for control in [[0.03, 0.031, 0.029], [-0.03, -0.031, -0.029]] {
            let noisy = rounds(Metric::CpuPerOperation, &[0.05, 0.051, 0.049], &control);
            assert_eq!(noisy.finding(3).verdict, Verdict::Unproven);
        }
        let uncontrolled = rounds(Metric::CpuPerOperation, &[0.05, 0.051, 0.049], &[]);
        assert_eq!(uncontrolled.finding(3).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn the_first_metric_decides_whether_head_passes_and_any_whether_it_fails() {
        let p99 = |head: &[f64]| rounds(Metric::ServiceP99, head, &[0.0, 0.01, -0.01]).finding(3);
        let (fine, wide) = ([0.0, 0.001, -0.001], [0.3, -0.3, 0.0]);
        assert_eq!(verdict(&[cpu(&fine), p99(&wide)]), Verdict::Pass);
        assert_eq!(verdict(&[cpu(&wide), p99(&fine)]), Verdict::Inconclusive);
        assert_eq!(
            verdict(&[cpu(&fine), p99(&[0.2, 0.21, 0.19])]),
            Verdict::Fail
        );
        let differing = rounds(Metric::Throughput, &fine, &[0.1, 0.11, 0.09]).finding(3);
        assert_eq!(
            verdict(&[cpu(&[0.05, 0.051, 0.049]), differing]),
            Verdict::Unproven
        );
        assert_eq!(verdict(&[cpu(&fine), differing]), Verdict::Pass);
        assert_eq!(verdict(&[differing, cpu(&fine)]), Verdict::Unproven);
        assert_eq!(verdict(&[]), Verdict::Inconclusive);
    }

    #[test]
    fn rounds_go_on_while_anything_is_open_and_no_longer_than_allowed() {
        let fine = cpu(&[0.0, 0.001, -0.001]);
        let bad = cpu(&[0.05, 0.051, 0.049]);
        let open = cpu(&[0.05, -0.05, 0.0]);
        let unmeasured = Rounds::of(Metric::ServiceP99).finding(3);
        assert_eq!(next(&[bad], 2, BOUNDS), Next::Round, "too few");
        assert_eq!(next(&[bad, open], 3, BOUNDS), Next::Done(Verdict::Fail));
        assert_eq!(next(&[fine, open], 3, BOUNDS), Next::Round);
        assert_eq!(next(&[fine, open], 6, BOUNDS), Next::Done(Verdict::Pass));
        assert_eq!(
            next(&[open, fine], 6, BOUNDS),
            Next::Done(Verdict::Inconclusive)
        );
        assert_eq!(
            next(&[fine, unmeasured], 3, BOUNDS),
            Next::Done(Verdict::Pass)
        );
        assert_eq!(
            next(&[unmeasured], 6, BOUNDS),
            Next::Done(Verdict::Inconclusive)
        );
    }
}
