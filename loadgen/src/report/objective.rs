//! Objectives of `--slo`: `p99<5ms`, `errors<0.1%`, `rate>=4.9k`.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

use super::model;
use crate::{
    measure::{
        histogram::Times,
        interval::{Counts, Part},
    },
    schedule::parse,
    units,
};

/// A condition on a run's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    text: String,
    measure: Measure,
    comparison: Comparison,
    /// Seconds, a share, or operations per second.
    limit: f64,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    Time(Kind, Statistic),
    Errors,
    Rate,
}

/// Which of the three times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Response,
    Service,
    Lag,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Statistic {
    Percentile(f64),
    Mean,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// An objective that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "not an objective: write p99<5ms, p99.9<=20ms, mean<1ms, max<1s (of the response time; service.p99 and lag.p99 for the others), errors<0.1%, or rate>=4.9k"
)]
pub struct ObjectiveError;

impl FromStr for Objective {
    type Err = ObjectiveError;

    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        let at = text.find(['<', '>']).ok_or(ObjectiveError)?;
        let (name, rest) = text.split_at(at);
        let (comparison, limit) = if let Some(limit) = rest.strip_prefix("<=") {
            (Comparison::AtMost, limit)
        } else if let Some(limit) = rest.strip_prefix(">=") {
            (Comparison::AtLeast, limit)
        } else if let Some(limit) = rest.strip_prefix('<') {
            (Comparison::Less, limit)
        } else {
            (Comparison::More, &rest[1..])
        };
        let measure = measure(name.trim()).ok_or(ObjectiveError)?;
        let limit = limit.trim();
        let limit = match measure {
            Measure::Time(..) => units::duration(limit).ok().map(|time| time.as_secs_f64()),
            Measure::Errors => units::percent(limit).ok().map(|percent| percent / 100.0),
            Measure::Rate => parse::rate(limit).ok().map(|rate| rate.per_s()),
        };
        Ok(Self {
            text: text.to_owned(),
            measure,
            comparison,
            limit: limit.ok_or(ObjectiveError)?,
        })
    }
}

fn measure(name: &str) -> Option<Measure> {
    let (kind, statistic) = match name.split_once('.') {
        Some(("response", statistic)) => (Kind::Response, statistic),
        Some(("service", statistic)) => (Kind::Service, statistic),
        Some(("lag", statistic)) => (Kind::Lag, statistic),
        // `p99.9` has a point of its own.
        _ => (Kind::Response, name),
    };
    let statistic = match statistic {
        "errors" if statistic == name => return Some(Measure::Errors),
        "rate" if statistic == name => return Some(Measure::Rate),
        "mean" => Statistic::Mean,
        "max" => Statistic::Max,
        percentile => {
            let number = percentile.strip_prefix('p')?.parse::<f64>().ok()?;
            Statistic::Percentile(Some(number).filter(|n| (0.0..=100.0).contains(n))?)
        }
    };
    Some(Measure::Time(kind, statistic))
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Objective {
    /// Whether it says how many operations may fail.
    pub fn bounds_errors(&self) -> bool {
        self.measure == Measure::Errors
    }

    /// Compares the objective with a run. Without operations none is met.
    pub fn judge(&self, all: &Part, elapsed_s: f64) -> Judged {
        let measured = self.measured(all, elapsed_s);
        Judged {
            stored: model::Objective {
                text: self.text.clone(),
                measured,
                met: measured.is_some_and(|measured| self.holds(measured)),
            },
            objective: self.clone(),
            counts: all.counts,
            elapsed_s,
        }
    }

    fn holds(&self, measured: f64) -> bool {
        match self.comparison {
            Comparison::Less => measured < self.limit,
            Comparison::AtMost => measured <= self.limit,
            Comparison::More => measured > self.limit,
            Comparison::AtLeast => measured >= self.limit,
        }
    }

    fn measured(&self, all: &Part, elapsed_s: f64) -> Option<f64> {
        let Counts {
            succeeded,
            failed,
            unsent,
            ..
        } = all.counts;
        // An operation that was never sent is one that failed for its user.
        let ended = succeeded + failed + unsent;
        if ended == 0 {
            return None;
        }
        let latency = &all.latency;
        match self.measure {
            Measure::Errors => Some((failed + unsent) as f64 / ended as f64),
            Measure::Rate => (elapsed_s > 0.0).then(|| succeeded as f64 / elapsed_s),
            Measure::Time(Kind::Response, statistic) => statistic.of(&latency.response),
            Measure::Time(Kind::Service, statistic) => statistic.of(&latency.service),
            Measure::Time(Kind::Lag, statistic) => statistic.of(&latency.lag),
        }
    }
}

/// An objective beside what a run measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// For the report.
    pub stored: model::Objective,
    objective: Objective,
    counts: Counts,
    elapsed_s: f64,
}

/// What a generator that sends late does to what an objective bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// It is in the times that are bounded, and can only spoil them.
    Within,
    /// It is left out, and what is sent later than planned may meet the target at a better moment.
    LeftOut,
    /// Nothing that is a time is bounded.
    NoTime,
}

impl Judged {
    /// Whether it was met.
    pub fn met(&self) -> bool {
        self.stored.met
    }

    /// What it makes of lateness.
    pub fn lateness(&self) -> Lateness {
        let at_most = matches!(
            self.objective.comparison,
            Comparison::Less | Comparison::AtMost
        );
        match self.objective.measure {
            Measure::Time(Kind::Response | Kind::Lag, _) if at_most => Lateness::Within,
            Measure::Time(..) => Lateness::LeftOut,
            Measure::Errors | Measure::Rate => Lateness::NoTime,
        }
    }

    /// Whether it would be met at best: with every operation done `sooner` by that much, and with
    /// those that were never sent as they should be.
    pub fn met_at_best(&self, sooner: Duration) -> bool {
        let Counts {
            succeeded,
            failed,
            unsent,
            ..
        } = self.counts;
        let Some(measured) = self.stored.measured else {
            return false;
        };
        let sooner_s = sooner.as_secs_f64();
        self.objective.holds(match self.objective.measure {
            Measure::Time(..) => (measured - sooner_s).max(0.0),
            Measure::Errors => failed as f64 / (succeeded + failed + unsent) as f64,
            Measure::Rate => {
                // Divided by nothing, it is more than any rate.
                (succeeded + unsent) as f64 / (self.elapsed_s - sooner_s).max(0.0)
            }
        })
    }
}

impl Statistic {
    fn of(self, times: &Times) -> Option<f64> {
        let time = match self {
            Statistic::Percentile(percent) => times.percentile(percent),
            Statistic::Mean => times.mean(),
            Statistic::Max => times.max(),
        };
        (times.count() > 0).then_some(time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_met_or_missed_by_their_numbers() {
        let mut all = Part::default();
        for ms in 1..=100 {
            all.latency.response.record(Duration::from_millis(ms));
            all.latency.service.record(Duration::from_millis(1));
        }
        (all.counts.succeeded, all.counts.failed) = (100, 1);
        for (text, met) in [
            ("p99<5ms", false),
            ("p99<101ms", true),
            ("p50 <= 51ms", true),
            ("p99.9<100ms", false),
            ("service.p99.9<2ms", true),
            ("max<200ms", true),
            ("mean<51ms", true),
            ("errors<0.1%", false),
            ("errors<1%", true),
            ("rate>=10", true),
            ("rate>10", false),
            ("lag.p99<1s", false),
        ] {
            let objective: Objective = text.parse().unwrap();
            assert_eq!(objective.judge(&all, 10.0).met(), met, "{text}");
            assert!(
                !objective.judge(&Part::default(), 10.0).met(),
                "{text} of nothing"
            );
        }
        for text in [
            "",
            "p99",
            "p99=5ms",
            "p101<5ms",
            "p99<soon",
            "x<5ms",
            "errors<5ms",
            "service.rate>5",
        ] {
            assert_eq!(text.parse::<Objective>(), Err(ObjectiveError), "{text}");
        }
    }

    #[test]
    fn what_an_objective_makes_of_lateness_is_that_of_its_measure() {
        for (text, lateness) in [
            ("p99<5ms", Lateness::Within),
            ("mean<=5ms", Lateness::Within),
            ("lag.max<5ms", Lateness::Within),
            ("p99>5ms", Lateness::LeftOut),
            ("service.p99<5ms", Lateness::LeftOut),
            ("errors<1%", Lateness::NoTime),
            ("rate>=5", Lateness::NoTime),
        ] {
            let objective: Objective = text.parse().unwrap();
            let judged = objective.judge(&Part::default(), 1.0);
            assert_eq!(judged.lateness(), lateness, "{text}");
        }
    }

    #[test]
    fn at_best_is_without_lateness_and_with_what_was_never_sent() {
        let mut all = Part::default();
        for _ in 0..100 {
            all.latency.response.record(Duration::from_millis(20));
            all.latency.service.record(Duration::from_millis(15));
        }
        let counts = &mut all.counts;
        (counts.succeeded, counts.failed, counts.unsent) = (100, 1, 9);
        let met_at_best = |text: &str, sooner_ms| {
            let objective: Objective = text.parse().unwrap();
            let judged = objective.judge(&all, 10.0);
            assert!(!judged.met(), "{text}");
            assert!(
                !objective
                    .judge(&Part::default(), 10.0)
                    .met_at_best(Duration::from_secs(1)),
                "{text} of nothing"
            );
            judged.met_at_best(Duration::from_millis(sooner_ms))
        };
        assert!(!met_at_best("p99<5ms", 14));
        assert!(met_at_best("p99<5ms", 16));
        assert!(met_at_best("p99<5ms", 1000), "no time is less than none");
        assert!(!met_at_best("service.p99<5ms", 9));
        assert!(met_at_best("service.p99<5ms", 11));
        // What is not long enough is not longer without lateness.
        assert!(!met_at_best("p99>25ms", 16));
        // One of 110 failed, and nine were never sent.
        assert!(met_at_best("errors<1%", 0));
        assert!(!met_at_best("errors<0.9%", 1000));
        // 100 in 10 s, and 109 at best.
        assert!(!met_at_best("rate>=11", 0));
        assert!(met_at_best("rate>=11", 100));
        assert!(met_at_best("rate>=11", 20_000));
    }
}
