//! What counts as grown.

use std::collections::{BTreeMap, BTreeSet};

use super::baseline::{Baseline, Scenario};
use super::count::Counts;
use super::profile::Profile;

/// Growth that is never called growth.
const LEAST_GROWTH: f64 = 0.005;
/// Fences of an outlier: so many interquartile ranges beyond the quartile.
const FENCE: f64 = 3.0;

/// One scenario beside the baseline's.
#[derive(Debug)]
pub struct Comparison {
    /// The scenario.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
}

/// How a scenario stands to the baseline.
#[derive(Debug)]
pub enum Standing {
    /// Both have it.
    Compared {
        /// Instructions outside aws-lc.
        own: Change,
        /// All instructions.
        total: Change,
        /// What differs most, the largest growth first.
        functions: Vec<FunctionChange>,
    },
    /// The baseline has not got it yet.
    New {
        /// Instructions outside aws-lc.
        own: u64,
        /// All instructions.
        total: u64,
    },
    /// It is not counted any more.
    Missing,
}

/// A count beside the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The baseline's median.
    pub before: u64,
    /// The median now.
    pub here: u64,
    /// Growth that is still chance, as a ratio of `before`.
    pub limit: f64,
}

/// A function's own instructions beside the baseline's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionChange {
    /// Its name.
    pub name: String,
    /// `None`: it was too small to be listed, or was not there.
    pub before: Option<u64>,
    /// Now.
    pub here: u64,
}

/// What a change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within chance.
    Held,
    /// More than chance.
    Grew,
    /// Less, by more than chance: the baseline should follow.
    Shrank,
}

/// Compares every scenario that the baseline or `counts` has.
pub fn compare(baseline: &Baseline, counts: &Counts) -> Vec<Comparison> {
    let names: BTreeSet<&String> = baseline.scenarios.keys().chain(counts.keys()).collect();
    let comparison = |name: &String| Comparison {
        name: name.clone(),
        standing: match (baseline.scenarios.get(name), counts.get(name)) {
            (Some(before), Some(here)) => compared(before, here),
            (None, Some(here)) => Standing::New {
                own: median(here.iter().map(Profile::own)),
                total: median(here.iter().map(Profile::total)),
            },
            (_, None) => Standing::Missing,
        },
    };
    names.into_iter().map(comparison).collect()
}

fn compared(before: &Scenario, here: &[Profile]) -> Standing {
    let functions = here.first().map(|profile| {
        let (mut functions, large) = (profile.functions(), profile.large_functions());
        // The baseline lists no small ones, so nothing is known of how those were.
        functions.retain(|name, _| large.contains_key(name) || before.functions.contains_key(name));
        changes(&before.functions, &functions)
    });
    Standing::Compared {
        own: Change::of(&before.own, here.iter().map(Profile::own)),
        total: Change::of(&before.total, here.iter().map(Profile::total)),
        functions: functions.unwrap_or_default(),
    }
}

/// All functions that differ, the largest growth first. Those that the baseline does not list grew by less than all of what they take.
fn changes(before: &BTreeMap<String, u64>, here: &BTreeMap<String, u64>) -> Vec<FunctionChange> {
    let names: BTreeSet<&String> = before.keys().chain(here.keys()).collect();
    let change = |name: &String| FunctionChange {
        name: name.clone(),
        before: before.get(name).copied(),
        here: here.get(name).copied().unwrap_or_default(),
    };
    let mut changes: Vec<_> = names
        .into_iter()
        .map(change)
        .filter(|change| change.growth() != 0)
        .collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.growth()));
    changes
}

impl Comparison {
    /// What it comes to: the worse of both counts.
    pub fn verdict(&self) -> Verdict {
        match &self.standing {
            Standing::Missing => Verdict::Grew,
            Standing::New { .. } => Verdict::Held,
            Standing::Compared { own, total, .. } => match (own.verdict(), total.verdict()) {
                (Verdict::Grew, _) | (_, Verdict::Grew) => Verdict::Grew,
                (Verdict::Shrank, _) | (_, Verdict::Shrank) => Verdict::Shrank,
                (Verdict::Held, Verdict::Held) => Verdict::Held,
            },
        }
    }
}

impl Change {
    fn of(before: &[u64], here: impl Iterator<Item = u64>) -> Self {
        Self {
            before: median(before.iter().copied()),
            here: median(here),
            limit: limit(before),
        }
    }

    /// Growth as a ratio of the baseline's; negative where it shrank.
    pub fn growth(&self) -> f64 {
        self.here as f64 / (self.before as f64).max(1.0) - 1.0
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match self.growth() {
            growth if growth > self.limit => Verdict::Grew,
            growth if growth < -self.limit => Verdict::Shrank,
            _ => Verdict::Held,
        }
    }
}

impl FunctionChange {
    /// Instructions more than before; negative where it shrank.
    pub fn growth(&self) -> i128 {
        i128::from(self.here) - i128::from(self.before.unwrap_or_default())
    }
}

/// `max(0.5 %, Q3 + 3 IQR)` of the counts that the baseline rests on, as a ratio of their median.
fn limit(counts: &[u64]) -> f64 {
    let median = quantile(counts, 0.5);
    let (q1, q3) = (quantile(counts, 0.25), quantile(counts, 0.75));
    let fence = (q3 + FENCE * (q3 - q1)) / median.max(1.0) - 1.0;
    fence.max(LEAST_GROWTH)
}

fn median(counts: impl Iterator<Item = u64>) -> u64 {
    let counts: Vec<u64> = counts.collect();
    quantile(&counts, 0.5).round() as u64
}

/// Between the two nearest, where it falls between.
fn quantile(counts: &[u64], q: f64) -> f64 {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let at = q * last as f64;
    let (low, high) = (
        sorted[at.floor() as usize] as f64,
        sorted[at.ceil() as usize] as f64,
    );
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: &[u64], here: u64) -> Change {
        Change::of(before, std::iter::once(here))
    }

    #[test]
    fn half_a_percent_is_the_least_growth() {
        let steady = [100_000; 5];
        assert_eq!(change(&steady, 100_500).verdict(), Verdict::Held);
        assert_eq!(change(&steady, 100_501).verdict(), Verdict::Grew);
        assert_eq!(change(&steady, 99_499).verdict(), Verdict::Shrank);
    }

    #[test]
    fn what_varied_before_may_vary_as_much() {
        // Quartiles 99,000 and 101,000: the fence is at 107,000.
        let noisy = [98_000, 99_000, 100_000, 101_000, 102_000];
        assert_eq!(change(&noisy, 106_900).verdict(), Verdict::Held);
        assert_eq!(change(&noisy, 107_100).verdict(), Verdict::Grew);
    }

    #[test]
    fn a_scenario_that_is_gone_is_growth_and_a_new_one_is_not() {
        let comparison = |standing| Comparison {
            name: "a".to_owned(),
            standing,
        };
        assert_eq!(comparison(Standing::Missing).verdict(), Verdict::Grew);
        assert_eq!(
            comparison(Standing::New { own: 1, total: 2 }).verdict(),
            Verdict::Held
        );
        let (same, more) = (change(&[1000], 1000), change(&[1000], 1010));
        let compared = |own, total| {
            comparison(Standing::Compared {
                own,
                total,
                functions: Vec::new(),
            })
        };
        assert_eq!(compared(same, same).verdict(), Verdict::Held);
        assert_eq!(compared(more, same).verdict(), Verdict::Grew);
        assert_eq!(compared(same, more).verdict(), Verdict::Grew);
    }

    #[test]
    fn functions_stand_by_growth() {
        let of = |costs: &[(&str, u64)]| {
            costs
                .iter()
                .map(|(name, cost)| ((*name).to_owned(), *cost))
                .collect()
        };
        let changes = changes(
            &of(&[("a", 10), ("b", 10), ("gone", 5)]),
            &of(&[("a", 11), ("b", 10), ("new", 7)]),
        );
        let names: Vec<_> = changes
            .iter()
            .map(|change| (&*change.name, change.growth()))
            .collect();
        assert_eq!(names, [("new", 7), ("a", 1), ("gone", -5)]);
    }
}
