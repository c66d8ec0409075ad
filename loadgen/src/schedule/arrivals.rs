//! Arrival processes: how operations are spaced around the planned rate.

use std::{fmt, time::Duration};

use super::{
    Share,
    curve::{Curve, Rate, SCALE, Stage},
    random::Random,
};

/// How operations are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Evenly.
    Constant,
    /// With exponential gaps, as many independent users ask.
    Poisson,
    /// Several at once, and then a pause.
    Burst(Burst),
}

/// So many at once, so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// Operations at once.
    pub size: u64,
    /// From one burst to the next.
    pub every: Duration,
}

impl Burst {
    /// The rate that it comes to.
    pub fn rate(self) -> Rate {
        let thousandths = u128::from(self.size) * 1_000_000_000_000 / self.every.as_nanos().max(1);
        Rate(u64::try_from(thousandths).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Constant => f.write_str("constant"),
            Process::Poisson => f.write_str("poisson"),
            Process::Burst(Burst { size, every }) => write!(f, "burst:{size}/{every:?}"),
        }
    }
}

/// The planned starts of one thread, in their order.
#[derive(Debug, Clone)]
pub struct Arrivals(Spaced);

#[derive(Debug, Clone)]
enum Spaced {
    Constant {
        curve: Curve,
        number: u64,
        step: u64,
    },
    Poisson {
        curve: Curve,
        /// Operations of all threads so far, as whole ones and a rest: a sum of fractions that has
        /// grown large would lose the small ones.
        whole: u64,
        rest: f64,
        threads: f64,
        random: Random,
    },
    Burst {
        burst: Burst,
        length: Duration,
        number: u64,
        step: u64,
    },
}

impl Arrivals {
    /// The thread's share of `stages`. A burst has its own rate and only takes their length.
    pub fn new(process: Process, stages: &[Stage], share: Share, seed: u64) -> Self {
        let curve = Curve::new(stages.to_vec());
        let Share { index, of } = share;
        Self(match process {
            Process::Constant => Spaced::Constant {
                curve,
                number: index,
                step: of,
            },
            // Independent Poisson processes add up to one.
            Process::Poisson => Spaced::Poisson {
                curve,
                whole: 0,
                rest: 0.0,
                threads: of as f64,
                random: Random::new(seed, index),
            },
            Process::Burst(burst) => Spaced::Burst {
                burst,
                length: stages.iter().map(|stage| stage.length).sum(),
                number: index,
                step: of,
            },
        })
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        match &mut self.0 {
            Spaced::Constant {
                curve,
                number,
                step,
            } => {
                let moment = curve.moment(u128::from(*number) * SCALE);
                *number += *step;
                moment
            }
            Spaced::Poisson {
                curve,
                whole,
                rest,
                threads,
                random,
            } => {
                *rest += random.exponential() * *threads;
                *whole += rest.trunc() as u64;
                *rest = rest.fract();
                let rest = (*rest * SCALE as f64) as u128;
                curve.moment(u128::from(*whole) * SCALE + rest)
            }
            Spaced::Burst {
                burst,
                length,
                number,
                step,
            } => {
                let bursts = *number / burst.size;
                *number += *step;
                let nanos = burst.every.as_nanos() * u128::from(bursts);
                let moment = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                (moment < *length).then_some(moment)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Share = Share { index: 0, of: 1 };

    fn hold(per_s: u64, seconds: u64) -> [Stage; 1] {
        [Stage::hold(
            Rate(per_s * 1000),
            Duration::from_secs(seconds),
        )]
    }

    fn all(process: Process, stages: &[Stage], threads: u64, seed: u64) -> Vec<Duration> {
        let shares = (0..threads).map(|index| Share { index, of: threads });
        let mut all: Vec<_> = shares
            .flat_map(|share| Arrivals::new(process, stages, share, seed))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn threads_together_plan_what_one_would() {
        let stages = hold(1_000, 7);
        let alone = all(Process::Constant, &stages, 1, 0);
        assert_eq!(alone.len(), 7_000);
        for threads in [2, 3, 16] {
            assert_eq!(
                all(Process::Constant, &stages, threads, 0),
                alone,
                "{threads}"
            );
        }
        let burst = Process::Burst(Burst {
            size: 100,
            every: Duration::from_millis(10),
        });
        let alone = all(burst, &stages, 1, 0);
        assert_eq!(alone.len(), 70_000);
        assert_eq!(
            (alone[99], alone[100]),
            (Duration::ZERO, Duration::from_millis(10))
        );
        assert_eq!(all(burst, &stages, 3, 0), alone);
    }

    #[test]
    fn a_seed_is_one_poisson_process_and_another_seed_another() {
        let stages = hold(1_000, 10);
        let once = all(Process::Poisson, &stages, 2, 42);
        assert_eq!(once, all(Process::Poisson, &stages, 2, 42));
        assert_ne!(once, all(Process::Poisson, &stages, 2, 43));
        assert!(once.is_sorted());
    }

    /// The largest distance between the distribution of `gaps` and the exponential one with `mean`.
    fn kolmogorov_smirnov(mut gaps: Vec<f64>, mean: f64) -> f64 {
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        let distances = gaps.iter().enumerate().map(|(i, gap)| {
            let expected = 1.0 - (-gap / mean).exp();
            let (below, above) = (i as f64 / n, (i + 1) as f64 / n);
            (expected - below).max(above - expected)
        });
        distances.fold(0.0, f64::max)
    }

    fn gaps(moments: &[Duration]) -> Vec<f64> {
        let pairs = moments.windows(2);
        pairs
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect()
    }

    #[test]
    fn poisson_gaps_are_exponential_on_one_thread_and_over_all() {
        for (threads, seed) in [(1, 1), (1, 2), (4, 1), (16, 9)] {
            let moments = all(Process::Poisson, &hold(5_000, 20), threads, seed);
            let n = moments.len() as f64;
            // Five standard deviations of a Poisson count.
            assert!((n - 100_000.0).abs() < 5.0 * 100_000f64.sqrt(), "{n}");
            let distance = kolmogorov_smirnov(gaps(&moments), 1.0 / 5_000.0);
            // 1.95 / sqrt(n) is exceeded by chance once in a thousand, and the seeds are fixed.
            assert!(distance < 1.95 / n.sqrt(), "{threads} threads: {distance}");
        }
        // The test would see the difference: even gaps are far away from it.
        let even = all(Process::Constant, &hold(5_000, 20), 1, 0);
        assert!(kolmogorov_smirnov(gaps(&even), 1.0 / 5_000.0) > 0.3);
    }

    #[test]
    fn poisson_follows_the_stages_and_does_not_drift() {
        let hour = 3_600;
        let stages = [hold(10, hour)[0], hold(50, hour)[0]];
        let moments: Vec<_> = Arrivals::new(Process::Poisson, &stages, ALONE, 3).collect();
        let boundary = Duration::from_secs(hour);
        let first = moments.iter().filter(|moment| **moment < boundary).count() as f64;
        let second = moments.len() as f64 - first;
        assert!((first - 36_000.0).abs() < 5.0 * 190.0, "{first}");
        assert!((second - 180_000.0).abs() < 5.0 * 425.0, "{second}");
        assert!(*moments.last().unwrap() < 2 * boundary);
    }
}
