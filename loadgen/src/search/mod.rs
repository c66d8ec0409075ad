//! The highest rate at which objectives hold: which rate is tried next, without clock, target and
//! I/O.
//!
//! ```text
//! doubling --held--> doubling --missed--> bisection --narrow--> confirmation --held thrice--> found
//!    | missed at the lowest rate: none                               | missed: a little lower
//! ```
//!
//! A step that proves nothing is repeated a bounded number of times, and is never taken for one that
//! held. Then the range is narrowed below it; what was found is still the highest rate where the target
//! missed one that is as near as was asked for. The number of steps is bounded whatever they find.

pub mod finding;

#[cfg(test)]
mod simulation;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::finding::Finding;
use crate::schedule::curve::Rate;

/// Doublings: beyond, the first rate was not chosen with any knowledge of the target.
const MAX_DOUBLINGS: u32 = 16;
/// Halvings of the range between a rate that held and one that did not.
const MAX_BISECTIONS: u32 = 16;
/// Times that the rate is lowered when it did not hold again.
const MAX_DESCENTS: u32 = 8;

/// What bounds a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The first rate.
    pub lowest: Rate,
    /// The highest rate that is tried.
    pub highest: Rate,
    /// The share by which what is found may differ from the true highest rate.
    pub precision: f64,
    /// Attempts at a rate whose steps prove nothing.
    pub attempts: u32,
    /// Times that the best rate has to hold once more.
    pub confirmations: u32,
}

impl Limits {
    /// The most steps a search takes.
    pub fn most_steps(&self) -> u32 {
        let confirming = self.confirmations * (MAX_DESCENTS + 1);
        (1 + MAX_DOUBLINGS + MAX_BISECTIONS + confirming) * self.attempts
    }
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// To find a rate that does not hold.
    Doubling,
    /// To narrow the range.
    Bisection,
    /// To see whether the best rate holds again.
    Confirmation,
}

/// A step to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it is for.
    pub phase: Phase,
    /// At which rate.
    pub rate: Rate,
    /// Which attempt at it, from 1.
    pub attempt: u32,
}

/// A load that a search asks for: whoever makes it is told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// As fast as the connections go, to know where to begin.
    ClosedLoop,
    /// A step.
    Step {
        /// At which rate.
        rate: Rate,
        /// Which of all, from 1.
        number: u32,
    },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Take a step.
    Step(Step),
    /// Nothing: the search is over.
    Done(Conclusion),
}

/// Why a higher rate is not the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Above {
    /// The target missed an objective.
    Missed,
    /// The generator could not make it.
    Generator,
    /// Steps proved nothing.
    Noise,
    /// It was not to be tried.
    Unasked,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Conclusion {
    /// This rate held as often as asked.
    Found {
        /// As it was planned.
        rate: Rate,
        /// The lowest that was achieved when it was confirmed, per second.
        achieved_per_s: f64,
        /// What is above.
        above: Above,
    },
    /// Not even the lowest rate held.
    Nothing {
        /// Why.
        above: Above,
    },
    /// Rates that had held did not hold again, down to this one.
    Unconfirmed {
        /// The last one that was tried.
        rate: Rate,
    },
}

/// A search while it lasts.
#[derive(Debug, Clone)]
pub struct Search {
    limits: Limits,
    phase: Phase,
    rate: Rate,
    attempt: u32,
    /// The highest rate that held.
    low: Option<Rate>,
    /// The lowest rate above that did not.
    high: Option<Rate>,
    above: Above,
    /// The lowest rate that the target missed.
    missed: Option<Rate>,
    doublings: u32,
    bisections: u32,
    descents: u32,
    /// Rates that were achieved when the best one was confirmed.
    confirmed: Vec<f64>,
    conclusion: Option<Conclusion>,
}

impl Search {
    /// A search within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Doubling,
            rate: limits.lowest.min(limits.highest),
            attempt: 1,
            low: None,
            high: None,
            above: Above::Unasked,
            missed: None,
            doublings: 0,
            bisections: 0,
            descents: 0,
            confirmed: Vec::new(),
            conclusion: None,
        }
    }

    /// What is to be done.
    pub fn next(&self) -> Next {
        match self.conclusion {
            Some(conclusion) => Next::Done(conclusion),
            None => Next::Step(Step {
                phase: self.phase,
                rate: self.rate,
                attempt: self.attempt,
            }),
        }
    }

    /// Takes what the step found that [`next`](Self::next) gave.
    pub fn observe(&mut self, finding: Finding) {
        let above = match finding {
            Finding::Held { achieved_per_s } => {
                self.attempt = 1;
                return self.held(achieved_per_s);
            }
            Finding::Missed => Above::Missed,
            Finding::Limited => Above::Generator,
            Finding::Noisy => Above::Noise,
        };
        if above != Above::Missed && self.attempt < self.limits.attempts {
            self.attempt += 1;
            return;
        }
        self.attempt = 1;
        self.not_held(above);
    }

    fn held(&mut self, achieved_per_s: f64) {
        match self.phase {
            Phase::Doubling => {
                self.low = Some(self.rate);
                let doubled = Rate(self.rate.0.saturating_mul(2)).min(self.limits.highest);
                match doubled > self.rate && self.doublings < MAX_DOUBLINGS {
                    true => {
                        self.doublings += 1;
                        self.rate = doubled;
                    }
                    false => self.confirm(self.rate),
                }
            }
            Phase::Bisection => {
                self.low = Some(self.rate);
                self.narrow();
            }
            Phase::Confirmation => {
                self.confirmed.push(achieved_per_s);
                if self.confirmed.len() >= self.limits.confirmations as usize {
                    self.conclusion = Some(Conclusion::Found {
                        rate: self.rate,
                        achieved_per_s: self.confirmed.iter().copied().fold(f64::MAX, f64::min),
                        above: self.above(),
                    });
                }
            }
        }
    }

    /// Why no rate above this one is the answer.
    fn above(&self) -> Above {
        let near = self.rate.0 as f64 * (1.0 + self.limits.precision);
        match self.missed {
            Some(missed) if missed.0 as f64 <= near => Above::Missed,
            Some(_) | None => self.above,
        }
    }

    fn not_held(&mut self, above: Above) {
        (self.high, self.above) = (Some(self.rate), above);
        if above == Above::Missed {
            self.missed = Some(self.rate);
        }
        match (self.phase, self.low) {
            (Phase::Confirmation, _) => self.descend(),
            (Phase::Doubling | Phase::Bisection, Some(_)) => self.narrow(),
            (Phase::Doubling | Phase::Bisection, None) => {
                self.conclusion = Some(Conclusion::Nothing { above });
            }
        }
    }

    /// Tries the middle between what held and what did not, unless these are near enough.
    fn narrow(&mut self) {
        let (Some(low), Some(high)) = (self.low, self.high) else {
            return;
        };
        // Half of what is asked for: the other half is for the chance in each decision.
        let near = low.0 as f64 * (1.0 + self.limits.precision / 2.0);
        let wide = high.0 as f64 > near;
        let middle = Rate(low.0 + (high.0 - low.0) / 2);
        match wide && middle > low && self.bisections < MAX_BISECTIONS {
            true => {
                self.bisections += 1;
                (self.phase, self.rate) = (Phase::Bisection, middle);
            }
            false => self.confirm(low),
        }
    }

    fn confirm(&mut self, rate: Rate) {
        (self.phase, self.rate) = (Phase::Confirmation, rate);
        self.confirmed.clear();
    }

    /// The best rate held by chance: a lower one, by half of the precision, has to hold as often.
    fn descend(&mut self) {
        let lower = Rate((self.rate.0 as f64 * (1.0 - self.limits.precision / 2.0)) as u64);
        if self.descents >= MAX_DESCENTS || lower < self.limits.lowest {
            self.conclusion = Some(Conclusion::Unconfirmed { rate: self.rate });
            return;
        }
        self.descents += 1;
        self.confirm(lower);
    }
}
