//! The percentiles at which a distribution is listed: the nearer to 100, the denser.
//!
//! These are the steps of HdrHistogram's `PercentileIterator` in Java, which the crate's iterator
//! does not take: tools that draw `.hgrm` files and people who compare them expect its rows.

use hdrhistogram::Histogram;

/// Steps in each half of the distance to 100 %; the tools of HdrHistogram use the same.
pub const STEPS_PER_HALF: u32 = 5;

/// One row of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// In percent, 0 to 100.
    pub percentile: f64,
    /// What that share does not exceed.
    pub value: u64,
    /// How many do not exceed it.
    pub count: u64,
}

/// The rows of `histogram`, rising; none when it is empty. A few hundred at most: the number grows
/// with the logarithm of the count.
pub fn levels(histogram: &Histogram<u64>, steps_per_half: u32) -> Vec<Level> {
    let total = histogram.len();
    let mut rows = Vec::new();
    let (mut percentile, mut count) = (0.0, 0);
    for recorded in histogram.iter_recorded() {
        let value = histogram.highest_equivalent(recorded.value_iterated_to());
        count += recorded.count_at_value();
        let reached = 100.0 * count as f64 / total as f64;
        while reached >= percentile {
            rows.push(Level {
                percentile,
                value,
                count,
            });
            if count == total {
                rows.push(Level {
                    percentile: 100.0,
                    value,
                    count,
                });
                break;
            }
            percentile = following(percentile, steps_per_half);
        }
    }
    rows
}

/// Each time the distance to 100 % has halved, so has the step.
fn following(percentile: f64, steps_per_half: u32) -> f64 {
    let halvings = ((100.0 / (100.0 - percentile)).ln() / std::f64::consts::LN_2) as i32;
    let steps = f64::from(steps_per_half) * 2f64.powi(halvings + 1);
    percentile + 100.0 / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_halve_with_the_distance_and_the_last_row_is_everything() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        assert_eq!(levels(&histogram, 5), []);
        for value in 1..=1000 {
            histogram.record(value).unwrap();
        }
        let rows = levels(&histogram, 5);
        let percentiles: Vec<_> = rows.iter().map(|row| row.percentile).collect();
        let first = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 55.0, 60.0];
        assert_eq!(percentiles[..8], first);
        assert_eq!(rows[5].value, 500);
        let last = rows.last().unwrap();
        assert_eq!((last.percentile, last.count), (100.0, 1000));
        assert!(rows.is_sorted_by(|a, b| a.percentile < b.percentile));
    }

    #[test]
    fn a_single_time_has_two_rows() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        histogram.record_n(7, 1_000_000).unwrap();
        assert_eq!(levels(&histogram, 5).len(), 2);
    }
}
