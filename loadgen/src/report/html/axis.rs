//! Axes: where a value stands, and which values are written beside the line.

use super::super::quantity;

/// What the values of an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// A plain number.
    Number,
    /// Of 1.
    Share,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// A value for people.
    pub fn text(self, value: f64) -> String {
        match self {
            Unit::Time => quantity::time(value),
            Unit::Number => quantity::number(value),
            Unit::Share => quantity::share(value),
            Unit::Bytes => quantity::bytes(value),
        }
    }
}

/// How distances grow along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

/// A line with a first and a last value, and marks between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    scale: Scale,
    first: f64,
    last: f64,
    /// Values that are marked, with what stands beside them.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to at least `largest`, in some four round steps.
    pub fn from_zero(largest: f64, unit: Unit) -> Self {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let step = round_step(largest / 4.0);
        let count = (largest / step).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|n| f64::from(n) * step);
        Self {
            scale: Scale::Linear,
            first: 0.0,
            last: count * step,
            ticks: ticks.map(|value| (value, unit.text(value))).collect(),
        }
    }

    /// Names, side by side in equal steps.
    pub fn of_names(names: &[String]) -> Self {
        let ticks = names.iter().enumerate();
        Self {
            scale: Scale::Linear,
            first: 0.0,
            last: names.len().saturating_sub(1).max(1) as f64,
            ticks: ticks.map(|(n, name)| (n as f64, name.clone())).collect(),
        }
    }

    /// Seconds of a run, from zero to exactly `elapsed_s`.
    pub fn of_time(elapsed_s: f64) -> Self {
        let elapsed_s = elapsed_s.max(1.0);
        let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0];
        let fits = |step: &f64| elapsed_s / step <= 8.0;
        let step = steps.into_iter().find(fits);
        let step = step.unwrap_or_else(|| 3600.0 * (elapsed_s / 3600.0 / 8.0).ceil());
        let count = (elapsed_s / step).floor() as u32;
        let ticks = (0..=count).map(|n| f64::from(n) * step);
        Self {
            scale: Scale::Linear,
            first: 0.0,
            last: elapsed_s,
            ticks: ticks.map(|s| (s, clock(s))).collect(),
        }
    }

    /// Percentiles up to `1 − 10^−nines`, in nines: so the tail is drawn wide.
    pub fn of_nines(nines: f64) -> Self {
        let last = nines.max(1.0);
        let named = [
            (0.0, "0"),
            (std::f64::consts::LOG10_2, "50"),
            (1.0, "90"),
            (2.0, "99"),
            (3.0, "99.9"),
            (4.0, "99.99"),
            (5.0, "99.999"),
            (6.0, "99.9999"),
            (7.0, "99.99999"),
            (8.0, "99.999999"),
        ];
        let within = named.into_iter().filter(|(at, _)| *at <= last);
        Self {
            scale: Scale::Linear,
            first: 0.0,
            last,
            ticks: within.map(|(at, name)| (at, format!("{name} %"))).collect(),
        }
    }

    /// Logarithmic, around all of `least` to `largest`, with powers of ten; where these are few,
    /// with 2 and 5 times them too.
    pub fn log(least: f64, largest: f64, unit: Unit) -> Self {
        let least = if least > 0.0 { least } else { 1.0 };
        let largest = largest.max(least * 1.01);
        let steps = log_steps(least, largest);
        let first = steps.iter().rev().find(|step| **step <= least);
        let last = steps.iter().find(|step| **step >= largest);
        let (first, last) = (*first.unwrap_or(&least), *last.unwrap_or(&largest));
        let many = (last / first).log10() > 3.0;
        let is_power = |value: f64| (value.log10() - value.log10().round()).abs() < 1e-9;
        let within = steps
            .into_iter()
            .filter(|step| (first..=last).contains(step));
        let ticks = within.filter(|step| !many || is_power(*step));
        Self {
            scale: Scale::Log,
            first,
            last,
            ticks: ticks.map(|value| (value, unit.text(value))).collect(),
        }
    }

    /// Where a value stands, 0 at the first and 1 at the last one.
    pub fn position(&self, value: f64) -> f64 {
        let position = match self.scale {
            Scale::Linear => (value - self.first) / (self.last - self.first),
            Scale::Log => (value.max(self.first) / self.first).ln() / (self.last / self.first).ln(),
        };
        position.clamp(0.0, 1.0)
    }
}

/// 1, 2 and 5 times each power of ten around a range.
fn log_steps(least: f64, largest: f64) -> Vec<f64> {
    let decades = least.log10().floor() as i32..=largest.log10().ceil() as i32;
    let steps = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|n| n * 10f64.powi(decade)));
    steps.collect()
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is not under `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|n| n * power >= step * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// A moment of a run: `5 s`, `2:30`, `1:00:00`.
pub fn clock(s: f64) -> String {
    let whole = s.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_the_range() {
        let axis = Axis::from_zero(412.0, Unit::Number);
        assert_eq!(names(&axis), ["0", "200", "400", "600"]);
        assert!((axis.position(300.0) - 0.5).abs() < 1e-9);
        let axis = Axis::log(80_000.0, 3_000_000.0, Unit::Time);
        assert_eq!(names(&axis)[..3], ["50 µs", "100 µs", "200 µs"]);
        assert_eq!(axis.position(0.0), 0.0, "no time is at the bottom");
        assert_eq!(axis.position(1e12), 1.0);
        let axis = Axis::log(1e3, 2e9, Unit::Time);
        assert_eq!(names(&axis)[..2], ["1 µs", "10 µs"], "only powers of ten");
        assert_eq!(
            names(&Axis::of_time(29.5)),
            ["0 s", "5 s", "10 s", "15 s", "20 s", "25 s"]
        );
        assert_eq!(names(&Axis::of_nines(2.5)), ["0 %", "50 %", "90 %", "99 %"]);
        assert_eq!(
            names(&Axis::from_zero(0.0, Unit::Number)).len(),
            5,
            "nothing is drawn too"
        );
        assert_eq!(clock(3725.0), "1:02:05");
    }
}
