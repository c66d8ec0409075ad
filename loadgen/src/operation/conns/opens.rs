//! When one worker opens connections: a pure state machine that the steps of a run drive.

use std::time::Duration;

use super::{
    OPEN, REOPEN,
    stage::{Phase, Step},
};
use crate::schedule::{Arrival, Share, curve::Rate};

/// What one worker has to open in the current step.
#[derive(Debug, Clone)]
pub struct Opens {
    share: Share,
    /// Rate of opening, of all workers; none for as fast as it goes.
    rate: Option<Rate>,
    /// Rate of replacing, of all workers.
    churn: Option<Rate>,
    step: Option<Queue>,
    number: u64,
    over: bool,
}

/// Operations of one step, numbered over all workers.
#[derive(Debug, Clone, Copy)]
struct Queue {
    kind: usize,
    from: u64,
    next: u64,
    to: u64,
    began: Duration,
    rate: Option<Rate>,
    measured: bool,
}

impl Queue {
    fn planned(&self) -> Option<Duration> {
        let rate = self.rate?;
        // The rate is in thousandths per second.
        let ns = u128::from(self.next - self.from) * 1_000_000_000_000 / u128::from(rate.0.max(1));
        Some(self.began + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)))
    }
}

impl Opens {
    /// The share of one worker.
    pub fn new(share: Share, rate: Option<Rate>, churn: Option<Rate>) -> Self {
        Self {
            share,
            rate,
            churn,
            step: None,
            number: 0,
            over: false,
        }
    }

    /// Begins a step. What the one before has left is dropped.
    pub fn enter(&mut self, step: Step) {
        let (kind, from, to, rate) = match step.phase {
            Phase::Warm { count } => (OPEN, 0, count, None),
            Phase::Open { from, to } => (OPEN, from, to, self.rate),
            Phase::Churn { count } => (REOPEN, 0, count, self.churn),
            Phase::Rest | Phase::Close | Phase::Over => {
                self.step = None;
                return;
            }
        };
        let Share { index, of } = self.share;
        // The first number from there on that is this worker's.
        let next = from + (index + of - from % of) % of;
        self.step = Some(Queue {
            kind,
            from,
            next,
            to,
            began: step.began,
            rate,
            measured: !matches!(step.phase, Phase::Warm { .. }),
        });
    }

    /// When the next one is due; none when nothing is planned.
    pub fn due(&self) -> Option<Duration> {
        self.left()?.planned()
    }

    fn left(&self) -> Option<&Queue> {
        self.step.as_ref().filter(|queue| queue.next < queue.to)
    }

    /// Takes the next one if it is due at `now`.
    pub fn take(&mut self, now: Duration) -> Option<Arrival> {
        let planned = self.due().filter(|due| *due <= now)?;
        self.pop(planned)
    }

    /// Takes the next one of those that have no time, for a connection that is free at `now`.
    pub fn pull(&mut self, now: Duration) -> Option<Arrival> {
        self.left().filter(|queue| queue.rate.is_none())?;
        self.pop(now)
    }

    fn pop(&mut self, planned: Duration) -> Option<Arrival> {
        let queue = self.step.as_mut()?;
        queue.next += self.share.of;
        let number = self.number;
        self.number += 1;
        Some(Arrival {
            planned,
            measured: queue.measured,
            number,
            kind: queue.kind,
            tenant: 0,
        })
    }

    /// Opens nothing more.
    pub fn stop(&mut self) {
        (self.step, self.over) = (None, true);
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn step(phase: Phase, began: Duration) -> Step {
        Step { phase, began }
    }

    #[test]
    fn the_workers_open_each_number_once_at_its_time() {
        for of in [1, 2, 3] {
            let mut planned: Vec<Duration> = Vec::new();
            for index in 0..of {
                let mut opens = Opens::new(Share { index, of }, Some(Rate(1_000_000)), None);
                for (from, to) in [(0, 5), (5, 6), (6, 10)] {
                    opens.enter(step(Phase::Open { from, to }, MS * 100 * from as u32));
                    while let Some(due) = opens.due() {
                        let early = due.checked_sub(Duration::from_nanos(1));
                        assert_eq!(early.and_then(|early| opens.take(early)), None);
                        planned.push(opens.take(due).unwrap().planned);
                    }
                    assert_eq!(opens.pull(MS), None, "they have their time");
                }
            }
            planned.sort();
            let expected = [0, 1, 2, 3, 4, 500, 600, 601, 602, 603].map(|ms| MS * ms);
            assert_eq!(planned, expected, "{of} workers");
        }
    }

    #[test]
    fn without_a_rate_they_are_pulled_and_churn_keeps_its_own() {
        let share = Share { index: 1, of: 2 };
        let mut opens = Opens::new(share, None, Some(Rate(500_000)));
        assert_eq!(opens.pull(MS), None, "no step has begun");
        opens.enter(step(Phase::Open { from: 3, to: 8 }, MS));
        assert_eq!((opens.due(), opens.take(MS * 9)), (None, None));
        let pulled: Vec<_> = std::iter::from_fn(|| opens.pull(MS * 7)).collect();
        assert_eq!(pulled.len(), 3, "3, 5 and 7");
        assert!(
            pulled
                .iter()
                .all(|arrival| arrival.planned == MS * 7 && arrival.kind == OPEN)
        );
        opens.enter(step(Phase::Churn { count: 4 }, MS * 10));
        let churned: Vec<_> = std::iter::from_fn(|| opens.take(MS * 99)).collect();
        let at: Vec<_> = churned.iter().map(|arrival| arrival.planned).collect();
        assert_eq!(at, [MS * 12, MS * 16]);
        assert!(churned.iter().all(|arrival| arrival.kind == REOPEN));
        assert!(!opens.is_over());
        opens.enter(step(Phase::Open { from: 0, to: 9 }, MS));
        opens.stop();
        assert!(opens.is_over() && opens.pull(MS).is_none());
    }
}
