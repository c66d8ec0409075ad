//! What a block of slices says of two targets: the logarithms of their ratios.

use std::time::Duration;

use crate::measure::histogram::Times;

/// Operations of each side that a block needs, so that its median is one.
const FOR_P50: u64 = 10;
/// And so that its 99th percentile is more than its maximum.
const FOR_P99: u64 = 100;

/// What one target did in one block: both its slices.
#[derive(Debug, Default)]
pub struct Half {
    /// Operations that succeeded.
    pub succeeded: u64,
    /// Operations that did not.
    pub failed: u64,
    /// How long the slices lasted, until the last operation was done.
    pub elapsed: Duration,
    /// CPU time of the target; none when it is not known.
    pub cpu: Option<Duration>,
    /// Service times of those that succeeded.
    pub service: Times,
}

/// ln(other / first) of what a block measured; none of what it was too short for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pair {
    /// CPU time of the target per operation.
    pub cpu_per_op: Option<f64>,
    /// Operations per second.
    pub throughput: Option<f64>,
    /// Median service time.
    pub service_p50: Option<f64>,
    /// 99th percentile of the service time.
    pub service_p99: Option<f64>,
}

impl Half {
    /// Nothing yet, of a target whose CPU time is known.
    pub fn measured() -> Self {
        Self {
            cpu: Some(Duration::ZERO),
            ..Self::default()
        }
    }

    /// Adds a slice.
    pub fn add(&mut self, slice: &Half) {
        self.succeeded += slice.succeeded;
        self.failed += slice.failed;
        self.elapsed += slice.elapsed;
        // Of a part of the work it would be too little.
        self.cpu = self.cpu.zip(slice.cpu).map(|(sum, more)| sum + more);
        self.service.merge(&slice.service);
    }

    fn cpu_per_op(&self) -> Option<f64> {
        let cpu = self.cpu?.as_secs_f64();
        Some(cpu / self.succeeded as f64)
    }

    fn throughput(&self) -> f64 {
        self.succeeded as f64 / self.elapsed.as_secs_f64()
    }

    fn percentile(&self, percent: f64) -> f64 {
        self.service.percentile(percent).as_secs_f64()
    }
}

/// Compares `other` with `first` in one block.
pub fn pair(first: &Half, other: &Half) -> Pair {
    let fewest = first.succeeded.min(other.succeeded);
    if fewest == 0 {
        return Pair::default();
    }
    let percentile = |percent, needs| {
        let enough = fewest >= needs;
        enough.then(|| ln(first.percentile(percent), other.percentile(percent)))?
    };
    let cpu = first.cpu_per_op().zip(other.cpu_per_op());
    Pair {
        cpu_per_op: cpu.and_then(|(first, other)| ln(first, other)),
        throughput: ln(first.throughput(), other.throughput()),
        service_p50: percentile(50.0, FOR_P50),
        service_p99: percentile(99.0, FOR_P99),
    }
}

/// The medians of pairs, each of those pairs that have the number.
pub fn medians(pairs: &[Pair]) -> Pair {
    let of = |number: fn(&Pair) -> Option<f64>| median(pairs.iter().filter_map(number).collect());
    Pair {
        cpu_per_op: of(|pair| pair.cpu_per_op),
        throughput: of(|pair| pair.throughput),
        service_p50: of(|pair| pair.service_p50),
        service_p99: of(|pair| pair.service_p99),
    }
}

/// ln(other / first); none where a ratio says nothing.
fn ln(first: f64, other: f64) -> Option<f64> {
    let ln = (other / first).ln();
    ln.is_finite().then_some(ln)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ops` operations of so many microseconds, and as much CPU time of the target.
    fn half(ops: u64, us: u64) -> Half {
        let time = Duration::from_micros(us);
        let mut half = Half {
            succeeded: ops,
            elapsed: time * ops as u32,
            cpu: Some(time * ops as u32),
            ..Half::default()
        };
        (0..ops).for_each(|_| half.service.record(time));
        half
    }

    fn near(found: Option<f64>, ratio: f64) -> bool {
        // The histogram has three digits.
        found.is_some_and(|ln| (ln - ratio.ln()).abs() < 2e-3)
    }

    #[test]
    fn a_pair_is_the_ratio_per_operation() {
        let pair = pair(&half(200, 100), &half(100, 110));
        assert!(near(pair.cpu_per_op, 1.1), "{pair:?}");
        assert!(near(pair.throughput, 1.0 / 1.1), "{pair:?}");
        assert!(
            near(pair.service_p50, 1.1) && near(pair.service_p99, 1.1),
            "{pair:?}"
        );
    }

    #[test]
    fn too_few_operations_give_no_percentile_and_none_no_ratio() {
        let few = pair(&half(99, 100), &half(200, 100));
        assert!(few.service_p50.is_some() && few.service_p99.is_none());
        let fewer = pair(&half(9, 100), &half(200, 100));
        assert!(fewer.cpu_per_op.is_some() && fewer.service_p50.is_none());
        assert_eq!(pair(&half(0, 1), &half(5, 1)), Pair::default());
    }

    #[test]
    fn cpu_that_is_not_known_of_one_slice_is_not_known_of_the_block() {
        let mut sum = Half::measured();
        sum.add(&half(10, 100));
        assert_eq!(sum.cpu, Some(Duration::from_millis(1)));
        assert_eq!((sum.succeeded, sum.service.count()), (10, 10));
        sum.add(&Half::default());
        sum.add(&half(10, 100));
        assert_eq!(sum.cpu, None);
        assert_eq!(pair(&sum, &half(20, 100)).cpu_per_op, None);
    }

    #[test]
    fn medians_are_of_the_pairs_that_have_the_number() {
        let of = |cpu_per_op| Pair {
            cpu_per_op,
            ..Pair::default()
        };
        let all = [of(Some(3.0)), of(None), of(Some(1.0)), of(Some(2.0))];
        assert_eq!(medians(&all).cpu_per_op, Some(2.0));
        assert_eq!(medians(&all[..3]).cpu_per_op, Some(2.0), "between two");
        assert_eq!(medians(&[]), Pair::default());
    }
}
