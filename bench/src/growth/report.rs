//! What was measured, what it grows with, and what of it grows too fast.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    axis::{Axis, Cost},
    fit::{Fit, fit},
};
use crate::{host::Split, statistics::median_of, turns::Effort, units::significant};

/// Name and version of the format. Within one version fields are only added.
const FORMAT: &str = "bench.growth/1";
/// What caches cost: an exponent is too high only beyond it. A fifteenth part of a power is a factor of
/// four over four decades; n log n is above it, n² far above.
const TOLERANCE: f64 = 0.15;
/// Sizes at the end, where what grows too fast shows first.
const TAIL: usize = 2;

/// What the numbers do not show by themselves.
const NOTES: [&str; 4] = [
    "CPU of the gateway, all threads, from /proc/PID/task/*/schedstat; ksoftirqd is outside it.",
    "A fresh gateway for each measurement, one worker unless workers grow. A download has a connection of its own; connecting is in its cost, and not in that of echoes.",
    "All tenants have one certificate file, which is read for each of them.",
    "Exponents are of the cost; \"linear\" is the one at which all the work together grows as its size does.",
];

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// `bench.growth/1`.
    pub format: &'static str,
    /// The machine, in words.
    pub host: String,
    /// Seconds since 1970 when it was done.
    pub done_unix_s: u64,
    /// The gateway's version.
    pub gateway: String,
    /// Who ran where.
    pub cores: Split,
    /// Whether it was a short run, which is for seeing that it runs.
    pub is_quick: bool,
    /// Measurements of each size.
    #[serde(flatten)]
    pub effort: Effort,
    /// Each cost.
    pub series: Vec<Series>,
    /// Whether one grows too fast.
    pub is_super_linear: bool,
    /// What the numbers do not show by themselves.
    pub notes: [&'static str; NOTES.len()],
}

/// A cost over what grows.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Which.
    pub cost: Cost,
    /// What grows.
    pub axis: Axis,
    /// What is counted.
    pub unit: &'static str,
    /// Each size.
    pub points: Vec<Point>,
    /// What bounds the range on this machine; absent where it is as wide as it was asked for.
    pub bounded_by: Option<String>,
    /// The exponent at which all the work together grows linearly.
    pub linear: f64,
    /// Over all sizes; absent where they are too few.
    pub whole: Option<Fit>,
    /// Over the largest two.
    pub tail: Option<Fit>,
    /// Whether either exponent is above the linear one, with 95 %, by more than caches explain.
    pub is_super_linear: bool,
}

/// One size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// It.
    pub size: u64,
    /// What it cost, in every round.
    pub costs: Vec<f64>,
}

impl Point {
    /// The median.
    pub fn cost(&self) -> f64 {
        median_of(&self.costs)
    }
}

impl Series {
    /// Fits the points, of which each has a measurement.
    pub fn new(cost: Cost, axis: Axis, points: Vec<Point>, bounded_by: Option<String>) -> Self {
        let samples = |points: &[Point]| {
            let each = points.iter().flat_map(|point| {
                let costs = point.costs.iter();
                costs.map(move |cost| (point.size as f64, *cost))
            });
            each.collect::<Vec<_>>()
        };
        let whole = fit(&samples(&points));
        let tail = match points.len() > TAIL {
            true => fit(&samples(&points[points.len() - TAIL..])),
            false => None,
        };
        let linear = cost.linear();
        let too_fast = |fit: &Fit| fit.from > linear + TOLERANCE;
        Self {
            cost,
            axis,
            unit: cost.unit(),
            is_super_linear: [whole, tail].iter().flatten().any(too_fast),
            points,
            bounded_by,
            linear,
            whole,
            tail,
        }
    }
}

impl Growth {
    /// Done now.
    pub fn new(
        host: String,
        gateway: String,
        cores: Split,
        effort: Effort,
        series: Vec<Series>,
    ) -> Self {
        Self {
            format: FORMAT,
            host,
            done_unix_s: crate::ab::now(),
            gateway,
            cores,
            is_quick: false,
            effort,
            is_super_linear: series.iter().any(|series| series.is_super_linear),
            series,
            notes: NOTES,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{}, {}\n", self.gateway, self.host);
        for series in &self.series {
            let _ = writeln!(text, "\n{}, {}:\n", series.cost.name(), series.unit);
            let _ = writeln!(
                text,
                "| {} | median | lowest–highest |\n|---:|---:|---:|",
                series.axis.name()
            );
            for point in &series.points {
                let (low, high) = ends(&point.costs);
                let _ = writeln!(
                    text,
                    "| {} | {} | {}–{} |",
                    point.size,
                    significant(point.cost()),
                    significant(low),
                    significant(high)
                );
            }
            let _ = writeln!(text, "\n{}", self::said(series));
            if let Some(bound) = &series.bounded_by {
                let _ = writeln!(text, "As far as this machine goes: {bound}.");
            }
        }
        let _ = writeln!(text, "\n{}.", self.effort.words());
        for note in NOTES {
            let _ = writeln!(text, "{note}");
        }
        if self.is_quick {
            text.push_str("A --quick run: too little work for numbers to be quoted.\n");
        }
        text
    }
}

/// The exponents, and what they mean.
pub fn said(series: &Series) -> String {
    let exponent = |fit: &Fit| {
        let Fit {
            exponent, from, to, ..
        } = fit;
        format!("{exponent:.2} ({from:.2} to {to:.2})")
    };
    let Some(whole) = &series.whole else {
        return "Too few sizes for an exponent.".to_owned();
    };
    let tail = series.tail.as_ref().map_or_else(String::new, |tail| {
        format!(", of the largest two sizes {}", exponent(tail))
    });
    let verdict = match series.is_super_linear {
        true => "SUPER-LINEAR",
        false => "not super-linear",
    };
    let linear = series.linear;
    format!(
        "Exponent {}{tail}; linear is {linear:.0}: {verdict}.",
        exponent(whole)
    )
}

/// The least and the most.
pub fn ends(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, high)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A cost that follows a law, three times with a little noise.
    pub fn series(cost: Cost, law: fn(f64) -> f64) -> Series {
        let points = [1_u64, 10, 100, 1000, 10_000].map(|size| Point {
            size,
            costs: [0.98, 1.0, 1.02]
                .map(|noise| noise * law(size as f64))
                .to_vec(),
        });
        Series::new(
            cost,
            Axis::Connections,
            points.to_vec(),
            Some("a limit".into()),
        )
    }

    #[test]
    fn what_grows_too_fast_is_called_so_and_nothing_else() {
        for (cost, law, is_super_linear) in [
            (Cost::EchoByConnections, (|_| 20.0) as fn(f64) -> f64, false),
            // Caches: three times as much over four decades.
            (
                Cost::EchoByConnections,
                |size| 20.0 * size.powf(0.12),
                false,
            ),
            (Cost::EchoByConnections, |size| 20.0 * size.sqrt(), true),
            (Cost::StartByTenants, |size| 100.0 + 5.0 * size, false),
            (Cost::StartByTenants, |size| size * size, true),
            // A quadratic part that shows at the end alone.
            (
                Cost::StartByTenants,
                |size| 10_000.0 + 0.01 * size * size,
                true,
            ),
            (Cost::DownloadBySize, |size| 50.0 + 0.001 * size, false),
        ] {
            let found = series(cost, law);
            assert_eq!(found.is_super_linear, is_super_linear, "{}", said(&found));
        }
    }

    #[test]
    fn the_text_has_sizes_exponents_and_bounds() {
        let split = Split {
            gateway: vec![0],
            load: vec![1],
        };
        let fast = series(Cost::EchoByConnections, |size| 20.0 * size);
        let (host, gateway) = ("a machine".into(), "sealgate".into());
        let mut growth = Growth::new(host, gateway, split, Effort::of(3), vec![fast]);
        assert!(growth.is_super_linear);
        growth.is_quick = true;
        let text = growth.text();
        for wanted in [
            "| 1000 | 20000 | 19600–20400 |",
            "Exponent 1.00 (",
            "linear is 0: SUPER-LINEAR.",
            "As far as this machine goes: a limit.",
            "--quick",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        let one = Series::new(
            Cost::EchoByWorkers,
            Axis::Workers,
            vec![Point {
                size: 1,
                costs: vec![1.0; 3],
            }],
            None,
        );
        assert_eq!(said(&one), "Too few sizes for an exponent.");
    }
}
