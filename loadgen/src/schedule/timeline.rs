//! The open loop of one thread: warm-up, measured operations, and where they end.

use std::time::Duration;

use super::{
    Arrival, Extent, Share,
    arrivals::{Arrivals, Process},
    curve::Stage,
    mix::Mix,
};

/// How long stages without an end last: ten years.
pub const ENDLESS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A load whose operations start at planned times.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenLoad {
    /// How operations are spaced.
    pub process: Process,
    /// The rate over the measured time; at least one stage.
    pub stages: Vec<Stage>,
    /// Where chance comes from.
    pub seed: u64,
}

impl OpenLoad {
    /// The length of all stages; none when they have no end.
    pub fn length(&self) -> Option<Duration> {
        let length = self.stages.iter().map(|stage| stage.length).sum();
        (length < ENDLESS).then_some(length)
    }
}

/// The planned operations of one thread, in their order.
#[derive(Debug, Clone)]
pub struct Timeline {
    warmup: Arrivals,
    measured: Arrivals,
    warmup_length: Duration,
    share: Share,
    mix: Mix,
    /// Measured operations that may still be planned.
    left: u64,
    number: u64,
    phase: Phase,
    next: Option<Arrival>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Warmup,
    Measured,
}

impl Timeline {
    /// The thread's share of `load`. Warming up is done at the rate of the first stage.
    pub fn new(load: &OpenLoad, extent: Extent, share: Share, mix: Mix) -> Self {
        let first = load.stages.first().map(|stage| stage.from);
        let warm: Vec<_> = first
            .map(|rate| Stage::hold(rate, extent.warmup))
            .into_iter()
            .collect();
        let mut timeline = Self {
            // Another seed, or the measured part would begin as the warm-up did.
            warmup: Arrivals::new(load.process, &warm, share, !load.seed),
            measured: Arrivals::new(load.process, &load.stages, share, load.seed),
            warmup_length: extent.warmup,
            share,
            mix,
            left: extent
                .operations
                .map_or(u64::MAX, |operations| share.part(operations)),
            number: 0,
            phase: Phase::Warmup,
            next: None,
        };
        timeline.next = timeline.plan();
        timeline
    }

    /// When the next operation is due; none when there is none.
    pub fn due(&self) -> Option<Duration> {
        self.next.map(|arrival| arrival.planned)
    }

    /// Takes the next operation if it is due at `now`.
    pub fn take(&mut self, now: Duration) -> Option<Arrival> {
        let due = self.next.filter(|arrival| arrival.planned <= now)?;
        self.next = self.plan();
        Some(due)
    }

    /// Plans nothing more.
    pub fn stop(&mut self) {
        self.next = None;
        self.left = 0;
        self.phase = Phase::Measured;
    }

    fn plan(&mut self) -> Option<Arrival> {
        if self.phase == Phase::Warmup {
            match self.warmup.next() {
                Some(planned) => return Some(self.arrival(planned)),
                None => {
                    self.phase = Phase::Measured;
                    self.number = 0;
                }
            }
        }
        self.left = self.left.checked_sub(1)?;
        let planned = self.warmup_length + self.measured.next()?;
        Some(self.arrival(planned))
    }

    fn arrival(&mut self, planned: Duration) -> Arrival {
        let number = self.number;
        self.number += 1;
        Arrival {
            planned,
            measured: self.phase == Phase::Measured,
            number,
            kind: self.mix.kind(number),
            tenant: self.mix.tenant(self.share.number(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::curve::Rate;

    fn load(process: Process) -> OpenLoad {
        OpenLoad {
            process,
            stages: vec![Stage::hold(Rate(1_000_000), Duration::from_secs(2))],
            seed: 5,
        }
    }

    fn planned(load: &OpenLoad, extent: Extent, threads: u64) -> Vec<Arrival> {
        let mut all: Vec<Arrival> = (0..threads)
            .flat_map(|index| {
                let share = Share { index, of: threads };
                let mut timeline = Timeline::new(load, extent, share, Mix::default());
                std::iter::from_fn(move || timeline.take(ENDLESS))
            })
            .collect();
        all.sort_by_key(|arrival| arrival.planned);
        all
    }

    #[test]
    fn warm_up_comes_first_and_does_not_count() {
        let extent = Extent {
            duration: None,
            operations: None,
            warmup: Duration::from_millis(500),
        };
        for threads in [1, 3] {
            let all = planned(&load(Process::Constant), extent, threads);
            let (measured, warm): (Vec<Arrival>, Vec<Arrival>) =
                all.iter().partition(|arrival| arrival.measured);
            assert_eq!((warm.len(), measured.len()), (500, 2_000));
            assert!(warm.iter().all(|arrival| arrival.planned < extent.warmup));
            assert_eq!(measured[0].planned, extent.warmup);
            let last = Duration::from_millis(2_499);
            assert_eq!(measured[1_999].planned, last);
        }
    }

    #[test]
    fn a_count_bounds_the_measured_operations_of_all_threads() {
        let extent = Extent {
            duration: None,
            operations: Some(1_001),
            warmup: Duration::from_millis(100),
        };
        for process in [Process::Constant, Process::Poisson] {
            for threads in [1, 2, 7] {
                let all = planned(&load(process), extent, threads);
                let measured = all.iter().filter(|arrival| arrival.measured).count();
                assert_eq!(measured, 1_001, "{process} on {threads}");
            }
        }
        let constant = planned(&load(Process::Constant), extent, 7);
        assert_eq!(
            constant.last().unwrap().planned,
            Duration::from_millis(1_100)
        );
    }

    #[test]
    fn nothing_is_due_before_its_time_or_behind_the_stop() {
        let extent = Extent {
            duration: None,
            operations: None,
            warmup: Duration::ZERO,
        };
        let share = Share { index: 0, of: 1 };
        let mut timeline = Timeline::new(&load(Process::Constant), extent, share, Mix::default());
        assert!(timeline.take(Duration::ZERO).is_some());
        assert_eq!(timeline.due(), Some(Duration::from_millis(1)));
        assert_eq!(timeline.take(Duration::from_micros(999)), None);
        assert_eq!(timeline.take(Duration::from_millis(5)).unwrap().number, 1);
        timeline.stop();
        assert_eq!(timeline.due(), None);
        assert_eq!(timeline.take(ENDLESS), None);
    }
}
