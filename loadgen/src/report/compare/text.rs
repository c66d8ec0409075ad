//! The comparison for people.

use std::fmt;

use super::{
    Comparison, Finding, Noise, Row,
    quantity::{Direction, Kind},
    sameness::Difference,
};
use crate::report::{model::State, quantity};

/// Prints a comparison.
#[derive(Debug)]
pub struct Text<'a> {
    /// What was found.
    pub comparison: &'a Comparison,
    /// Where the runs differ although they should not.
    pub differences: &'a [Difference],
    /// What was taken for the spread between runs.
    pub noise: Noise,
    /// By how much head may be worse.
    pub margin: Option<f64>,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in self.differences {
            writeln!(f, "not the same  {difference}")?;
        }
        writeln!(
            f,
            "{:<26}{:>12}{:>12}{:>10}  {:<20}  finding",
            "", "base", "head", "change", "may be"
        )?;
        for row in &self.comparison.rows {
            line(f, row)?;
        }
        self.explain(f)?;
        self.conclude(f)
    }
}

impl Text<'_> {
    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Noise {
            throughput,
            cpu,
            latency,
        } = self.noise;
        let share = |ln: f64| quantity::share(ln.exp_m1());
        if self.noise == Noise::OF_A_NOISY_MACHINE {
            writeln!(
                f,
                "\nTwo runs, one after the other, differ without any cause: on a noisy virtual machine of\n\
                 2 cores by 20 % in throughput, 9.7 % in CPU per operation and 19 % in p99 (rms; p99 stands\n\
                 for the other percentiles). `may be` holds that, and the spread within the runs. Smaller\n\
                 differences cannot be shown this way: run both in turns, or, if two runs of the same\n\
                 program differ by less on your machine, say by how much with --noise."
            )
        } else {
            writeln!(
                f,
                "\n`may be` holds the spread within the runs, and between runs what --noise says: {}, {}, {}\n\
                 in throughput, CPU per operation, latency.",
                share(throughput),
                share(cpu),
                share(latency)
            )
        }
    }

    fn conclude(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |finding| {
            let rows = self.comparison.rows.iter();
            let rows = rows.filter(move |row| row.finding == finding);
            let names: Vec<_> = rows.map(|row| row.quantity.name.as_str()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        f.write_str("verdict     ")?;
        if self.comparison.state == State::Invalid {
            return writeln!(
                f,
                "INVALID: a run says that its own numbers do not hold; nothing is concluded"
            );
        }
        let margin = self.margin.map(quantity::share).unwrap_or_default();
        if let Some(names) = of(Finding::Regression) {
            return writeln!(f, "REGRESSION by more than {margin}: {names}");
        }
        if let Some(names) = of(Finding::Undecided) {
            return writeln!(
                f,
                "INCONCLUSIVE: it may or may not be worse by {margin}: {names}"
            );
        }
        if let Some(names) = of(Finding::WithinMargin) {
            return writeln!(f, "not worse by {margin}: {names}");
        }
        match (of(Finding::Worse), of(Finding::Better)) {
            (None, None) => writeln!(f, "no difference is shown"),
            (Some(worse), None) => writeln!(f, "worse: {worse}"),
            (None, Some(better)) => writeln!(f, "better: {better}"),
            (Some(worse), Some(better)) => writeln!(f, "worse: {worse}; better: {better}"),
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let Row {
        quantity: of,
        interval,
        finding,
    } = row;
    let number = |value: f64| match of.kind {
        Kind::Time => quantity::time(value),
        Kind::Rate => quantity::number(value),
        Kind::Bytes => quantity::bytes(value),
    };
    let change = |ln: f64| format!("{:+.1} %", ln.exp_m1() * 100.0);
    let (low, high) = (change(interval.low), change(interval.high));
    let range = match finding {
        Finding::NotJudged => String::new(),
        _ => format!("{low} to {high}"),
    };
    writeln!(
        f,
        "{:<26}{:>12}{:>12}{:>10}  {:<20}  {}",
        of.name,
        number(of.base),
        number(of.head),
        change(interval.middle),
        range,
        word(*finding, of.direction)
    )
}

fn word(finding: Finding, direction: Direction) -> &'static str {
    match (finding, direction) {
        (Finding::Better, Direction::LessIsBetter) => "better (less)",
        (Finding::Better, Direction::MoreIsBetter) => "better (more)",
        (Finding::Worse, Direction::LessIsBetter) => "worse (more)",
        (Finding::Worse, Direction::MoreIsBetter) => "worse (less)",
        (Finding::NotShown, _) => "no difference shown",
        (Finding::Regression, _) => "REGRESSION",
        (Finding::WithinMargin, _) => "within the margin",
        (Finding::Undecided, _) => "undecided",
        (Finding::NotJudged, _) => "shown only",
    }
}
