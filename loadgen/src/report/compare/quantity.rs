//! What of two runs is compared.

use super::Noise;
use crate::{
    report::{
        model::{Latency, Report, Second},
        time::Time,
    },
    schedule::Loop,
};

/// What a number is, for printing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nanoseconds.
    Time,
    /// Per second.
    Rate,
    /// Bytes per second.
    Bytes,
}

/// Which way is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Of times and costs.
    LessIsBetter,
    /// Of throughput.
    MoreIsBetter,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    TargetCpu,
    Rate,
    Payload,
    Latency(Time, &'static str),
}

/// The most telling first.
const SUBJECTS: [Subject; 9] = [
    Subject::TargetCpu,
    Subject::Rate,
    Subject::Payload,
    Subject::Latency(Time::Response, "p50"),
    Subject::Latency(Time::Response, "p90"),
    Subject::Latency(Time::Response, "p99"),
    Subject::Latency(Time::Response, "p99.9"),
    Subject::Latency(Time::Service, "p50"),
    Subject::Latency(Time::Service, "p99"),
];

/// Whether a quantity decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It does.
    Judged,
    /// It follows from another one, or from what was planned.
    Shown,
}

/// A number that both runs have.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Which way is up.
    pub direction: Direction,
    /// Of the whole first run; more than 0.
    pub base: f64,
    /// Of the whole second run; more than 0.
    pub head: f64,
    /// Of the whole seconds of the first run; all more than 0.
    pub base_seconds: Vec<f64>,
    /// Of the whole seconds of the second run; all more than 0.
    pub head_seconds: Vec<f64>,
    /// Root mean square of ln(second/first) between runs of the same program.
    pub noise: f64,
    /// Whether it decides anything.
    pub weight: Weight,
}

/// What can be compared of two runs. A quantity that a run does not have, or has as zero, is left
/// out: there is no ratio.
pub fn quantities(base: &Report, head: &Report, noise: Noise) -> Vec<Quantity> {
    let closed = base.looped == Loop::Closed && head.looped == Loop::Closed;
    let looped = if closed { Loop::Closed } else { Loop::Open };
    let compared = SUBJECTS.into_iter().filter_map(|subject| {
        Some(Quantity {
            name: subject.name(),
            kind: subject.kind(),
            direction: subject.direction(),
            base: subject.of_run(base).filter(is_positive)?,
            head: subject.of_run(head).filter(is_positive)?,
            base_seconds: seconds(base, subject),
            head_seconds: seconds(head, subject),
            noise: subject.noise(noise),
            weight: subject.weight(looped),
        })
    });
    compared.collect()
}

impl Subject {
    fn name(self) -> String {
        match self {
            Subject::TargetCpu => "target CPU per operation".to_owned(),
            Subject::Rate => "operations per second".to_owned(),
            Subject::Payload => "payload per second".to_owned(),
            Subject::Latency(time, percentile) => format!("{} {percentile}", time.name()),
        }
    }

    fn kind(self) -> Kind {
        match self {
            Subject::TargetCpu | Subject::Latency(..) => Kind::Time,
            Subject::Rate => Kind::Rate,
            Subject::Payload => Kind::Bytes,
        }
    }

    fn direction(self) -> Direction {
        match self {
            Subject::TargetCpu | Subject::Latency(..) => Direction::LessIsBetter,
            Subject::Rate | Subject::Payload => Direction::MoreIsBetter,
        }
    }

    fn noise(self, noise: Noise) -> f64 {
        match self {
            Subject::TargetCpu => noise.cpu,
            Subject::Rate | Subject::Payload => noise.throughput,
            Subject::Latency(..) => noise.latency,
        }
    }

    fn weight(self, looped: Loop) -> Weight {
        match (self, looped) {
            (Subject::TargetCpu, _) => Weight::Judged,
            (Subject::Latency(Time::Response, "p50" | "p99"), _) => Weight::Judged,
            (Subject::Rate, Loop::Closed) => Weight::Judged,
            // An open loop's rate is what was planned.
            (Subject::Rate, Loop::Open) => Weight::Shown,
            (Subject::Payload | Subject::Latency(..), _) => Weight::Shown,
        }
    }

    fn of_run(self, report: &Report) -> Option<f64> {
        match self {
            Subject::TargetCpu => report.target.as_ref()?.cpu_ns_per_operation,
            Subject::Rate => Some(report.achieved.achieved_per_s),
            Subject::Payload => {
                let rates = &report.totals.rates;
                Some(rates.sent_bytes_per_s + rates.received_bytes_per_s)
            }
            Subject::Latency(time, name) => percentile(&report.totals.latency, time, name),
        }
    }

    fn of_second(self, second: &Second) -> Option<f64> {
        match self {
            Subject::TargetCpu => Some(second.target_cpu_s? * 1e9 / second.succeeded as f64),
            Subject::Rate => Some(second.succeeded as f64),
            Subject::Payload => Some(second.bytes.sent as f64 + second.bytes.received as f64),
            Subject::Latency(time, name) => percentile(&second.latency, time, name),
        }
    }
}

/// The values of the seconds that were whole: the first and the last may not be.
fn seconds(report: &Report, subject: Subject) -> Vec<f64> {
    let whole = match &report.series[..] {
        [_, whole @ .., _] => whole,
        _ => &[],
    };
    let values = whole.iter().filter_map(|second| subject.of_second(second));
    values.filter(is_positive).collect()
}

fn percentile(latency: &Latency, time: Time, name: &str) -> Option<f64> {
    let ns = time.of(latency).percentiles_ns.get(name)?;
    Some(*ns as f64)
}

fn is_positive(value: &f64) -> bool {
    value.is_finite() && *value > 0.0
}
