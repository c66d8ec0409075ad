//! Intervals: what a few rounds say of a mean, and what k of n say of a share. Pure.

use statrs::distribution::{Beta, ContinuousCDF, StudentsT};

/// One-sided confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// The mean of some rounds, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The true mean is above, with [`CONFIDENCE`].
    pub lower: f64,
    /// The true mean is below, with [`CONFIDENCE`].
    pub upper: f64,
}

/// Student's interval of the mean of `values`; none of fewer than two, which say nothing of their
/// spread.
pub fn interval(values: &[f64]) -> Option<Interval> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    let deviation = (squares.sum::<f64>() / (n - 1.0)).sqrt();
    let half = t_quantile(CONFIDENCE, n - 1.0) * deviation / n.sqrt();
    Some(Interval {
        mean,
        lower: mean - half,
        upper: mean + half,
    })
}

/// What Student's t with so many degrees of freedom does not exceed with probability `p`.
pub fn t_quantile(p: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom)
        .expect("the degrees of freedom are positive")
        .inverse_cdf(p)
}

/// The bounds of the share behind `k` of `n` (Clopper and Pearson), each with [`CONFIDENCE`].
pub fn share_bounds(k: u32, n: u32) -> (f64, f64) {
    let (k, n) = (f64::from(k.min(n)), f64::from(n));
    let beta = |a, b, p| {
        Beta::new(a, b)
            .expect("both shapes are positive")
            .inverse_cdf(p)
    };
    let lower = match k > 0.0 {
        true => beta(k, n - k + 1.0, 1.0 - CONFIDENCE),
        false => 0.0,
    };
    let upper = match k < n {
        true => beta(k + 1.0, n - k, CONFIDENCE),
        false => 1.0,
    };
    (lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_of_t_are_those_of_the_tables() {
        for (freedom, quantile) in [
            (1.0, 6.313_752),
            (4.0, 2.131_847),
            (9.0, 1.833_113),
            (14.0, 1.761_310),
            (29.0, 1.699_127),
            (100.0, 1.660_234),
        ] {
            let found = t_quantile(0.95, freedom);
            assert!((found - quantile).abs() < 2e-6, "{freedom}: {found}");
        }
        assert!((t_quantile(0.975, 4.0) - 2.776_445).abs() < 2e-6);
    }

    #[test]
    fn an_interval_is_as_computed_by_hand() {
        // Mean 3, deviation sqrt(2.5), half 2.131847 * sqrt(2.5 / 5).
        let found = interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("five values");
        assert_eq!(found.mean, 3.0);
        assert!((found.upper - 4.507_443).abs() < 1e-5, "{found:?}");
        assert!((found.lower - 1.492_557).abs() < 1e-5, "{found:?}");
        let still = interval(&[0.5, 0.5]).expect("two values");
        assert_eq!((still.lower, still.upper), (0.5, 0.5));
        assert_eq!(interval(&[1.0]), None);
        assert_eq!(interval(&[]), None);
    }

    #[test]
    fn shares_have_the_bounds_of_clopper_and_pearson() {
        for (k, n, lower, upper) in [
            (0, 20, 0.0, 0.139_108),
            (1, 20, 0.002_561, 0.216_106),
            (18, 20, 0.717_38, 0.981_93),
            (20, 20, 0.860_892, 1.0),
        ] {
            let found = share_bounds(k, n);
            assert!((found.0 - lower).abs() < 1e-4, "{k} of {n}: {found:?}");
            assert!((found.1 - upper).abs() < 1e-4, "{k} of {n}: {found:?}");
        }
    }
}
