//! The planned rate over time, and the moment at which a number of operations is reached.
//!
//! Positions are counts of operations as integers of `1 / SCALE`, so that a constant rate is exact
//! for as long as a run may last.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Parts of one operation: twice 10^12, because rates are thousandths per second, times are
/// nanoseconds, and a ramp's area has a half in it.
pub const SCALE: u128 = 2_000_000_000_000;

/// Operations per second, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rate(pub u64);

impl Rate {
    /// Operations per second.
    pub fn per_s(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

/// A stretch of time in which the rate goes evenly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// At its start.
    pub from: Rate,
    /// At its end.
    pub to: Rate,
    /// How long.
    pub length: Duration,
}

impl Stage {
    /// A stage that holds one rate.
    pub fn hold(rate: Rate, length: Duration) -> Self {
        Self {
            from: rate,
            to: rate,
            length,
        }
    }

    /// Operations in it, scaled.
    fn area(&self) -> u128 {
        u128::from(self.from.0 + self.to.0) * self.length.as_nanos()
    }

    /// When `area` is reached, from the start of the stage.
    fn moment(&self, area: u128) -> Duration {
        if area == 0 {
            return Duration::ZERO;
        }
        if self.from == self.to {
            return nanos(area / (2 * u128::from(self.from.0)));
        }
        // a t² + b t = area, solved in the form that loses no digits.
        let length = self.length.as_nanos() as f64;
        let a = (self.to.0 as f64 - self.from.0 as f64) / length;
        let b = 2.0 * self.from.0 as f64;
        let area = area as f64;
        // Rounding may bring the end of a ramp to 0 below zero.
        let root = (b * b + 4.0 * a * area).max(0.0).sqrt();
        Duration::from_nanos((2.0 * area / (b + root)) as u64).min(self.length)
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Stages behind one another, walked forwards.
#[derive(Debug, Clone)]
pub struct Curve {
    stages: Vec<Stage>,
    /// The stage in which the last position was found.
    at: usize,
    /// Start of that stage, and operations planned before it, scaled.
    start: Duration,
    before: u128,
}

impl Curve {
    /// The curve of `stages`.
    pub fn new(stages: Vec<Stage>) -> Self {
        Self {
            stages,
            at: 0,
            start: Duration::ZERO,
            before: 0,
        }
    }

    /// When `position`, a scaled count of operations, is reached; none when it never is. Positions
    /// have to come in ascending order.
    pub fn moment(&mut self, position: u128) -> Option<Duration> {
        while let Some(stage) = self.stages.get(self.at) {
            let area = stage.area();
            // The end of a stage is the start of the next one.
            if position < self.before + area {
                return Some(self.start + stage.moment(position - self.before));
            }
            self.before += area;
            self.start += stage.length;
            self.at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn moments(stages: Vec<Stage>) -> Vec<Duration> {
        let mut curve = Curve::new(stages);
        let all = (0..).map_while(|n: u128| curve.moment(n * SCALE));
        all.collect()
    }

    #[test]
    fn steps_have_exact_counts_and_boundaries() {
        let stages = vec![
            Stage::hold(Rate(1_000_000), seconds(3)),
            Stage::hold(Rate(0), seconds(5)),
            Stage::hold(Rate(5_000_000), seconds(2)),
        ];
        let all = moments(stages);
        assert_eq!(all.len(), 3_000 + 10_000);
        assert_eq!(all[1], Duration::from_millis(1));
        assert_eq!(all[2_999], Duration::from_millis(2_999));
        assert_eq!(all[3_000], seconds(8), "nothing in the pause");
        assert_eq!(all[3_001], seconds(8) + Duration::from_micros(200));
        assert_eq!(all[12_999], seconds(10) - Duration::from_micros(200));
    }

    #[test]
    fn a_part_of_an_operation_carries_over_the_boundary() {
        // 1.5 operations, then 1 per second: the third is due when the second half has passed.
        let half = Duration::from_millis(1500);
        let all = moments(vec![
            Stage::hold(Rate(1000), half),
            Stage::hold(Rate(1000), half),
        ]);
        assert_eq!(all, [seconds(0), seconds(1), seconds(2)]);
    }

    #[test]
    fn ramps_follow_the_square_root() {
        // 0 to 1000/s in 10 s: 5000 operations, number n at sqrt(n / 50).
        let up = moments(vec![Stage {
            from: Rate(0),
            to: Rate(1_000_000),
            length: seconds(10),
        }]);
        assert_eq!(up.len(), 5_000);
        for (n, moment) in up.iter().enumerate() {
            let expected = (n as f64 / 50.0).sqrt();
            assert!(
                (moment.as_secs_f64() - expected).abs() < 2e-9,
                "{n}: {moment:?}"
            );
        }
        // The way down is the way up, backwards.
        let down = moments(vec![Stage {
            from: Rate(1_000_000),
            to: Rate(0),
            length: seconds(10),
        }]);
        assert_eq!(down.len(), 5_000);
        for n in 1..5_000 {
            let mirrored = 10.0 - up[5_000 - n].as_secs_f64();
            assert!(
                (down[n].as_secs_f64() - mirrored).abs() < 1e-7,
                "{n}: {:?}",
                down[n]
            );
        }
    }

    #[test]
    fn a_constant_rate_does_not_drift_over_hours() {
        // 100 hours at a rate that has no finite decimal period.
        let mut curve = Curve::new(vec![Stage::hold(Rate(7_777_000), seconds(360_000))]);
        let last = 7_777 * 360_000 - 1;
        for n in [1, 7_777, 7_777 * 3_600, last] {
            let moment = curve.moment(n * SCALE).unwrap();
            assert_eq!(moment.as_nanos(), n * 1_000_000_000 / 7_777, "{n}");
        }
        assert_eq!(curve.moment((last + 1) * SCALE), None);
    }
}
