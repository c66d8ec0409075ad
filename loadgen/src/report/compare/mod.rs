//! Two stored runs side by side, and what may be concluded from them.
//!
//! Two runs that were made one after the other differ without any cause: the machine was busy with
//! something else, the memory was laid out differently. That spread is between runs, so no number of
//! seconds within one of them shows it. It has to be known from elsewhere, and [`Noise`] holds it;
//! what is left unsaid here is left to runs in turns.

pub mod interval;
pub mod quantity;
pub mod sameness;
pub mod text;

use self::{
    interval::{Interval, interval},
    quantity::{Direction, Quantity, Weight},
};
use super::model::{Report, State};
use crate::exit::Exit;

/// Error that an interval may have, in all quantities that are judged together.
const ALPHA: f64 = 0.05;

/// The root mean square of ln(second/first) when the same program is measured twice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Of the throughput.
    pub throughput: f64,
    /// Of CPU time per operation.
    pub cpu: f64,
    /// Of percentiles of latency.
    pub latency: f64,
}

impl Noise {
    /// Measured with sequential runs of 8 s on a noisy virtual machine of 2 cores, p99 for latency.
    /// A quieter machine does better, and its owner can say so.
    pub const OF_A_NOISY_MACHINE: Noise = Noise {
        throughput: 0.20,
        cpu: 0.097,
        latency: 0.19,
    };

    /// The same of everything.
    pub fn of_all(share: f64) -> Self {
        let ln = share.ln_1p();
        Noise {
            throughput: ln,
            cpu: ln,
            latency: ln,
        }
    }
}

/// What is said of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Better by more than runs differ by themselves.
    Better,
    /// Worse by more than that.
    Worse,
    /// The difference may be chance.
    NotShown,
    /// Worse by more than the margin.
    Regression,
    /// Worse by less than the margin, or better.
    WithinMargin,
    /// It may be either.
    Undecided,
    /// It follows from something else, and is shown only.
    NotJudged,
}

/// One line of the comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Of what.
    pub quantity: Quantity,
    /// Of head/base.
    pub interval: Interval,
    /// What is said of it.
    pub finding: Finding,
}

/// The comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// All lines.
    pub rows: Vec<Row>,
    /// The worst of the two runs' verdicts on themselves.
    pub state: State,
}

impl Comparison {
    /// The exit code: of the margin where one was given.
    pub fn exit(&self) -> Exit {
        let found = |finding| self.rows.iter().any(|row| row.finding == finding);
        let judged = self
            .rows
            .iter()
            .any(|row| row.finding != Finding::NotJudged);
        match self.state {
            // Numbers that do not hold show nothing.
            State::Invalid => Exit::Invalid,
            _ if found(Finding::Regression) => Exit::Missed,
            _ if found(Finding::Undecided) || !judged => Exit::Invalid,
            _ => Exit::Ok,
        }
    }
}

/// Compares two runs; `margin` is the share by which head may be worse.
pub fn compare(base: &Report, head: &Report, noise: Noise, margin: Option<f64>) -> Comparison {
    let quantities = quantity::quantities(base, head, noise);
    let judged = quantities
        .iter()
        .filter(|quantity| quantity.weight == Weight::Judged);
    // Each of several tests may err, so each gets its part of what all together may.
    let tests = judged.count().max(1) as f64;
    let rows = quantities.into_iter().map(|quantity| {
        let tails = if margin.is_some() { 1.0 } else { 2.0 };
        let interval = interval(&quantity, ALPHA / tests / tails);
        let finding = match quantity.weight {
            Weight::Judged => find(&quantity, interval, margin),
            Weight::Shown => Finding::NotJudged,
        };
        Row {
            quantity,
            interval,
            finding,
        }
    });
    Comparison {
        rows: rows.collect(),
        state: base.verdict.state.max(head.verdict.state),
    }
}

fn find(quantity: &Quantity, interval: Interval, margin: Option<f64>) -> Finding {
    // From here on more is worse.
    let (least, most) = match quantity.direction {
        Direction::LessIsBetter => (interval.low, interval.high),
        Direction::MoreIsBetter => (-interval.high, -interval.low),
    };
    match margin.map(f64::ln_1p) {
        Some(margin) if least > margin => Finding::Regression,
        Some(margin) if most < margin => Finding::WithinMargin,
        Some(_) => Finding::Undecided,
        None if least > 0.0 => Finding::Worse,
        None if most < 0.0 => Finding::Better,
        None => Finding::NotShown,
    }
}
