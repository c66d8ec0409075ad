//! The exponent of a cost: a straight line through logarithms, by least squares. Pure.

use serde::Serialize;

use crate::ab::statistics::t_quantile;

/// A power of the size, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fit {
    /// The exponent.
    pub exponent: f64,
    /// It is above, with 95 %.
    pub from: f64,
    /// It is below, with 95 %.
    pub to: f64,
    /// The cost at size 1, which together with the exponent is the line.
    pub at_one: f64,
    /// Measurements it is fitted to.
    pub samples: usize,
}

impl Fit {
    /// The cost that the line has at a size.
    pub fn at(&self, size: f64) -> f64 {
        self.at_one * size.powf(self.exponent)
    }
}

/// Fits `(size, cost)`. None of fewer than three measurements, of one size alone, or of costs that are no
/// costs.
pub fn fit(samples: &[(f64, f64)]) -> Option<Fit> {
    let logarithms: Vec<(f64, f64)> = samples.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    if logarithms.len() < 3
        || logarithms
            .iter()
            .any(|(x, y)| !(x.is_finite() && y.is_finite()))
    {
        return None;
    }
    let n = logarithms.len() as f64;
    let mean_x = logarithms.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = logarithms.iter().map(|(_, y)| y).sum::<f64>() / n;
    let spread: f64 = logarithms.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if spread < 1e-9 {
        return None;
    }
    let both = logarithms.iter().map(|(x, y)| (x - mean_x) * (y - mean_y));
    let exponent = both.sum::<f64>() / spread;
    let start = mean_y - exponent * mean_x;
    let residuals = logarithms
        .iter()
        .map(|(x, y)| (y - start - exponent * x).powi(2));
    let deviation = (residuals.sum::<f64>() / (n - 2.0) / spread).sqrt();
    let half = t_quantile(0.95, n - 2.0) * deviation;
    Some(Fit {
        exponent,
        from: exponent - half,
        to: exponent + half,
        at_one: start.exp(),
        samples: samples.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_found_exactly() {
        for exponent in [0.0, 0.5, 1.0, 2.0] {
            let samples: Vec<_> = [1.0, 10.0, 100.0, 1000.0]
                .map(|size: f64| (size, 3.0 * size.powf(exponent)))
                .to_vec();
            let fit = fit(&samples).expect("four sizes");
            assert!((fit.exponent - exponent).abs() < 1e-9, "{fit:?}");
            assert!(
                (fit.to - fit.from).abs() < 1e-6 && fit.samples == 4,
                "{fit:?}"
            );
            assert!((fit.at(10.0) - samples[1].1).abs() < 1e-6, "{fit:?}");
        }
    }

    #[test]
    fn noise_widens_the_interval_as_computed_by_hand() {
        let e = std::f64::consts::E;
        // ln x = 0, 1, 2; ln y = 0, 1, 3: exponent 1.5, residuals 1/6, -1/3, 1/6, deviation sqrt(1/6/2),
        // t of one degree of freedom 6.313752.
        let found = fit(&[(1.0, 1.0), (e, e), (e * e, e * e * e)]).expect("three sizes");
        assert!((found.exponent - 1.5).abs() < 1e-9, "{found:?}");
        let half = 6.313_752 * (1.0_f64 / 12.0).sqrt();
        assert!((found.to - 1.5 - half).abs() < 1e-4, "{found:?}");
        assert!((found.from - 1.5 + half).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn what_cannot_be_fitted_is_not() {
        assert_eq!(fit(&[(1.0, 1.0), (2.0, 1.0)]), None, "too few");
        assert_eq!(fit(&[(2.0, 1.0), (2.0, 2.0), (2.0, 3.0)]), None, "one size");
        assert_eq!(fit(&[(1.0, 0.0), (2.0, 2.0), (3.0, 3.0)]), None, "no cost");
    }
}
