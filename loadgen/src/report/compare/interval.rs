//! How far the ratio of two runs can be trusted.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::quantity::Quantity;

/// Seconds that are needed before a run says anything about its own spread.
const MIN_SECONDS: usize = 10;
/// Stretches into which a run is cut. Neighbouring seconds are alike, and so would look like more
/// evidence than they are; stretches of several are nearly independent.
const STRETCHES: usize = 10;

/// ln(head/base), with a bound on either side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// As measured.
    pub middle: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Variance of a mean, and the degrees of freedom it was estimated with.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    variance: f64,
    freedom: f64,
}

/// The interval of a quantity; beyond either bound lies the true value with probability `alpha`.
///
/// The spread within the runs and the spread between runs are added. The latter is taken as known.
pub fn interval(quantity: &Quantity, alpha: f64) -> Interval {
    let middle = (quantity.head / quantity.base).ln();
    let within = [&quantity.base_seconds, &quantity.head_seconds];
    let within: Vec<Spread> = within.into_iter().filter_map(|all| spread(all)).collect();
    let variances = within.iter().map(|spread| spread.variance);
    let variance = quantity.noise.powi(2) + variances.sum::<f64>();
    // Welch and Satterthwaite; what is taken as known has no uncertainty of its own.
    let uncertain = within.iter().map(|of| of.variance.powi(2) / of.freedom);
    let freedom = variance.powi(2) / uncertain.sum::<f64>().max(f64::MIN_POSITIVE);
    let width = quantile(1.0 - alpha, freedom) * variance.sqrt();
    Interval {
        middle,
        low: middle - width,
        high: middle + width,
    }
}

fn quantile(probability: f64, freedom: f64) -> f64 {
    // Beyond, the distribution is the normal one to all digits that are printed.
    let student = StudentsT::new(0.0, 1.0, freedom.clamp(1.0, 1e6));
    student.map_or(f64::INFINITY, |student| student.inverse_cdf(probability))
}

/// The spread of the mean logarithm of a run's seconds.
fn spread(seconds: &[f64]) -> Option<Spread> {
    if seconds.len() < MIN_SECONDS {
        return None;
    }
    let length = seconds.len().div_ceil(STRETCHES);
    let stretches = seconds.chunks_exact(length);
    let means: Vec<f64> = stretches
        .map(|stretch| stretch.iter().map(|value| value.ln()).sum::<f64>() / length as f64)
        .collect();
    let count = means.len() as f64;
    let mean = means.iter().sum::<f64>() / count;
    let squares = means.iter().map(|value| (value - mean).powi(2));
    Some(Spread {
        variance: squares.sum::<f64>() / (count - 1.0) / count,
        freedom: count - 1.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare::quantity::{Direction, Kind, Weight};

    fn quantity(noise: f64, base_seconds: Vec<f64>) -> Quantity {
        Quantity {
            name: "response p50".to_owned(),
            kind: Kind::Time,
            direction: Direction::LessIsBetter,
            base: 100.0,
            head: 110.0,
            base_seconds,
            head_seconds: Vec::new(),
            noise,
            weight: Weight::Judged,
        }
    }

    #[test]
    fn known_spread_alone_gives_the_normal_interval() {
        let Interval { middle, low, high } = interval(&quantity(0.1, Vec::new()), 0.025);
        assert!((middle - 1.1f64.ln()).abs() < 1e-12);
        assert!((high - middle - 0.196).abs() < 1e-3, "1.96 sigma");
        assert!((middle - low - 0.196).abs() < 1e-3);
    }

    #[test]
    fn estimated_spread_gives_students_interval() {
        // Ten seconds, +s and -s in turns: the mean's deviation is s / 3 by its definition.
        let seconds = (0..10).map(|n| f64::exp(if n % 2 == 0 { 0.03 } else { -0.03 }));
        let of = interval(&quantity(0.0, seconds.collect()), 0.025);
        let expected = 2.262 * 0.03 / 3.0;
        assert!((of.high - of.middle - expected).abs() < 1e-4, "{of:?}");
    }

    #[test]
    fn neighbours_that_are_alike_are_not_taken_for_more_evidence() {
        // The same ten values, each for six seconds.
        let alone = (0..10).map(|n| 1.0 + f64::from(n) / 100.0);
        let alone: Vec<f64> = alone.collect();
        let held: Vec<f64> = alone.iter().flat_map(|value| [*value; 6]).collect();
        let width = |seconds| {
            let of = interval(&quantity(0.0, seconds), 0.025);
            of.high - of.low
        };
        assert!((width(alone) - width(held)).abs() < 1e-9);
    }

    #[test]
    fn a_short_run_says_nothing_of_its_own_spread() {
        assert_eq!(spread(&[1.0; 9]), None);
    }
}
