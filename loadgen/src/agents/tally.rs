//! The sum of what agents tell while they work: a worker of another machine is one more worker.

use std::fmt;

use super::Absent;
use crate::{
    measure::{
        collect::{Collected, Collector},
        interval::{Interval, Part},
        weight::Weight,
    },
    report::agents::Said,
    run::{Seen, Watch},
};

/// What all agents count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Threads of each agent.
    pub threads: usize,
    /// Kinds of operations.
    pub kinds: usize,
    /// Rows of tenants.
    pub tenants: usize,
}

/// The sum.
pub struct Tally<'a, 'b> {
    shape: Shape,
    collector: Collector,
    /// By agent: all its operations.
    agents: Vec<Part>,
    /// Of all intervals.
    weight: Weight,
    watch: &'a mut Watch<'b>,
}

impl fmt::Debug for Tally<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").finish_non_exhaustive()
    }
}

impl<'a, 'b> Tally<'a, 'b> {
    /// Nothing yet of so many agents.
    pub fn new(agents: usize, shape: Shape, watch: &'a mut Watch<'b>) -> Self {
        let workers = agents * shape.threads;
        Self {
            shape,
            collector: Collector::new(workers, shape.kinds, shape.tenants),
            agents: vec![Part::default(); agents],
            weight: Weight::default(),
            watch,
        }
    }

    /// Adds what a worker of an agent counted in one interval.
    ///
    /// # Errors
    ///
    /// When that cannot be what it was to do, or is more than can be added up.
    pub fn add(&mut self, agent: usize, worker: u64, interval: &Interval) -> Result<(), Absent> {
        let shape = self.shape;
        let worker = usize::try_from(worker).unwrap_or(usize::MAX);
        let tenants = interval.tenants.len();
        if worker >= shape.threads
            || interval.kinds.len() != shape.kinds
            || tenants > 0 && tenants != shape.tenants
        {
            return Err(Absent::Unexpected);
        }
        self.weight = self.weight.with(interval).ok_or(Absent::Uncountable)?;
        let known = self.collector.seconds().len();
        self.collector.add(agent * shape.threads + worker, interval);
        for part in &interval.kinds {
            self.agents[agent].add(part);
        }
        for second in self.collector.seconds().range(known..) {
            (self.watch)(Seen::Second(second));
        }
        Ok(())
    }

    /// Checks what an agent says at its end.
    ///
    /// # Errors
    ///
    /// When that cannot be of this load.
    pub fn check(&self, said: &Said) -> Result<(), Absent> {
        match said.generator.threads == self.shape.threads as u64 {
            true => Ok(()),
            false => Err(Absent::Unexpected),
        }
    }

    /// What has come of an agent.
    pub fn of(&self, agent: usize) -> &Part {
        &self.agents[agent]
    }

    /// Everything, when no more comes.
    pub fn finish(self) -> Collected {
        self.collector.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHAPE: Shape = Shape {
        threads: 2,
        kinds: 1,
        tenants: 1,
    };

    fn interval(second: u64, done: u64) -> Interval {
        let mut interval = Interval::new(1, 0);
        interval.second = Some(second);
        interval.kinds[0].counts.succeeded = done;
        for n in 0..done {
            let time = Duration::from_micros(n * 37 + second);
            interval.kinds[0].latency.response.record(time);
        }
        interval
    }

    #[test]
    fn seconds_wait_for_all_agents_and_sums_are_exact() {
        let mut seen = Vec::new();
        let mut watch = |seen_now: Seen<'_>| {
            if let Seen::Second(second) = seen_now {
                seen.push((second.start_s, second.succeeded));
            }
        };
        let mut tally = Tally::new(2, SHAPE, &mut watch);
        for second in 0..3 {
            for agent in 0..2 {
                for worker in 0..2 {
                    let one = interval(second, 10 * agent as u64 + worker + 1);
                    tally.add(agent, worker, &one).unwrap();
                }
            }
        }
        let [one, other] = [0, 1].map(|agent| tally.of(agent).clone());
        let all = tally.finish();
        // 1 and 2, and 11 and 12, of each of three seconds.
        assert_eq!((one.counts.succeeded, other.counts.succeeded), (9, 69));
        let response = &all.totals.kinds[0].latency.response;
        assert_eq!(response.count(), 78);
        let mut sum = one.latency.response.clone();
        sum.merge(&other.latency.response);
        assert_eq!(&sum, response);
        assert_eq!(all.series.len(), 3);
        assert_eq!(seen, [(0, 26), (1, 26)], "the last one is not over");
    }

    #[test]
    fn what_does_not_fit_the_load_is_not_added() {
        let mut watch = |_: Seen<'_>| {};
        let mut tally = Tally::new(1, SHAPE, &mut watch);
        assert!(tally.add(0, 2, &interval(0, 1)).is_err(), "no such worker");
        assert!(tally.add(0, 0, &Interval::new(2, 0)).is_err(), "kinds");
        assert!(tally.add(0, 0, &Interval::new(1, 2)).is_err(), "tenants");
        let mut hostile = interval(0, 1);
        hostile.kinds[0].counts.failed = u64::MAX;
        let refused = tally.add(0, 0, &hostile).unwrap_err();
        assert!(matches!(refused, Absent::Uncountable), "{refused}");
        assert_eq!(tally.of(0).counts.succeeded, 0);
    }
}
