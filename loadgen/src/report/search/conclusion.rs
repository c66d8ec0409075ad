//! What a search came to, in words and numbers.

use super::{Ending, Outcome, Step};
use crate::{
    report::quantity,
    search::{Above, Conclusion, Finding, Phase},
};

/// What a search concluded that came to its end.
pub fn concluded(conclusion: Conclusion, steps: &[Step]) -> Outcome {
    match conclusion {
        Conclusion::Found {
            rate,
            achieved_per_s,
            above,
        } => found(rate.per_s(), achieved_per_s, above, steps),
        Conclusion::Nothing { above } => nothing(above, steps),
        Conclusion::Unconfirmed { rate } => Outcome {
            ending: Ending::Unconfirmed,
            rate_per_s: None,
            achieved_per_s: None,
            above: None,
            message: format!(
                "inconclusive: rates that had held did not hold again, down to {}/s; the target is not the same from step to step, so raise -d, or let it rest",
                quantity::number(rate.per_s())
            ),
        },
    }
}

fn found(rate_per_s: f64, achieved_per_s: f64, above: Above, steps: &[Step]) -> Outcome {
    let confirmed = steps.iter().filter(|step| {
        step.phase == Phase::Confirmation && step.rate_per_s == rate_per_s && held(step)
    });
    let mut message = format!(
        "{}/s, confirmed {} times, at {}/s the lowest",
        quantity::number(rate_per_s),
        confirmed.count(),
        quantity::number(achieved_per_s)
    );
    let higher = steps
        .iter()
        .filter(|step| step.rate_per_s > rate_per_s && !held(step));
    let missed = higher
        .clone()
        .filter(|step| step.finding == Finding::Missed);
    let (higher, missed) = (lowest(higher), lowest(missed));
    let unheld = missed.map_or(String::new(), |step| {
        let rate = quantity::number(step.rate_per_s);
        format!("; the objectives do not hold at {rate}/s")
    });
    let ending = match above {
        Above::Missed => {
            message.push_str(&unheld);
            Ending::Found
        }
        Above::Generator => {
            let why = higher.map_or(
                "no more was calibrated for this generator; give it more threads".to_owned(),
                ground,
            );
            message = format!(">= {message} (generator-limited){unheld}: {why}");
            Ending::AtLeast
        }
        Above::Noise => {
            let why = higher.map_or(String::new(), ground);
            message = format!(">= {message} (noisy){unheld}: {why}");
            Ending::AtLeast
        }
        Above::Unasked => {
            message = format!(">= {message}; no higher rate was to be tried (--to)");
            Ending::AtLeast
        }
    };
    Outcome {
        ending,
        rate_per_s: Some(rate_per_s),
        achieved_per_s: Some(achieved_per_s),
        above: Some(above),
        message,
    }
}

/// The one at the lowest rate.
fn lowest<'a>(steps: impl Iterator<Item = &'a Step>) -> Option<&'a Step> {
    steps.min_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s))
}

fn nothing(above: Above, steps: &[Step]) -> Outcome {
    let lowest = steps.last();
    let rate = lowest.map_or(0.0, |step| step.rate_per_s);
    let why = lowest.map_or(String::new(), ground);
    let rate = quantity::number(rate);
    let (ending, message) = match above {
        Above::Missed => (
            Ending::Nothing,
            format!(
                "none: not even the lowest rate, {rate}/s, holds: {why}; try lower ones with --from, or ask for less with --slo"
            ),
        ),
        Above::Generator | Above::Noise | Above::Unasked => (
            Ending::Undecided,
            format!("inconclusive: not even the lowest rate, {rate}/s, could be judged: {why}"),
        ),
    };
    Outcome {
        ending,
        rate_per_s: None,
        achieved_per_s: None,
        above: Some(above),
        message,
    }
}

/// What ends a search before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A target that fails altogether.
    TargetFailed,
    /// Somebody.
    Interrupted,
    /// An agent that is gone.
    AgentLost,
}

/// What is known of a search that was ended.
pub fn broken_off(steps: &[Step], broken: Broken) -> Outcome {
    let best = steps.iter().filter(|step| held(step));
    let best = best.map(|step| step.rate_per_s).reduce(f64::max);
    let so_far = best.map_or("no rate held".to_owned(), |rate| {
        format!("{}/s is the highest that held once", quantity::number(rate))
    });
    let (ending, why) = match broken {
        Broken::TargetFailed => (Ending::Nothing, "the target failed"),
        Broken::Interrupted => (Ending::Interrupted, "the search was interrupted"),
        Broken::AgentLost => (Ending::AgentLost, "an agent was lost"),
    };
    Outcome {
        ending,
        rate_per_s: best,
        achieved_per_s: None,
        above: None,
        message: format!("{why}; so far {so_far}"),
    }
}

fn held(step: &Step) -> bool {
    matches!(step.finding, Finding::Held { .. })
}

/// Why a step did not hold: the first ground of its verdict, or the objective that was missed.
fn ground(step: &Step) -> String {
    let report = &step.report;
    let reason = report.verdict.reasons.first();
    let missed = report.objectives.iter().find(|objective| !objective.met);
    match (missed, reason) {
        (Some(missed), _) if step.finding == Finding::Missed => {
            let measured = missed.measured.map_or(String::new(), |measured| {
                format!(" (measured {})", in_unit(&missed.text, measured))
            });
            format!("{}{measured}", missed.text)
        }
        (_, Some(reason)) => reason.message.clone(),
        _ => "its numbers do not hold".to_owned(),
    }
}

/// What an objective measured, in the unit of what it names.
fn in_unit(objective: &str, measured: f64) -> String {
    if objective.starts_with("errors") {
        quantity::share(measured)
    } else if objective.starts_with("rate") {
        format!("{}/s", quantity::number(measured))
    } else {
        quantity::time(measured * 1e9)
    }
}
