//! Rates, stages and arrival processes on the command line.

use std::{str::FromStr, time::Duration};

use thiserror::Error;

use super::{
    arrivals::{Burst, Process},
    curve::{Rate, Stage},
};
use crate::units;

/// A schedule that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// Not a rate.
    #[error(
        "not a rate: write operations per second, such as 500, 5k or 0.5 (thousandths at the finest)"
    )]
    Rate,
    /// Not a list of stages.
    #[error(
        "not a stage: write RATE:TIME to hold a rate (1k:30s), FROM..TO:TIME to ramp (1k..5k:60s), ..TO:TIME to ramp from the rate before, separated by commas"
    )]
    Stage,
    /// Not an arrival process.
    #[error("not an arrival process: write constant, poisson, or burst:N/TIME (burst:100/10ms)")]
    Process,
}

/// The largest rate: 100 million per second.
const MAX_PER_S: f64 = 1e8;

/// Reads a rate: `500`, `5k`, `0.5`, also `5k/s`.
///
/// # Errors
///
/// When it is none, zero, or finer than thousandths.
pub fn rate(text: &str) -> Result<Rate, ParseError> {
    match rate_or_pause(text)? {
        Rate(0) => Err(ParseError::Rate),
        rate => Ok(rate),
    }
}

fn rate_or_pause(text: &str) -> Result<Rate, ParseError> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    let (number, factor) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => match text.strip_suffix('M') {
            Some(number) => (number, 1e6),
            None => (text, 1.0),
        },
    };
    let digits = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let per_s = number.parse::<f64>().map_err(|_| ParseError::Rate)? * factor;
    let thousandths = (per_s * 1e3).round();
    // What is finer than thousandths would not be the rate that was asked for.
    let exact = (per_s * 1e3 - thousandths).abs() < 1e-6;
    match digits && exact && per_s <= MAX_PER_S {
        true => Ok(Rate(thousandths as u64)),
        false => Err(ParseError::Rate),
    }
}

/// Stages in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages(pub Vec<Stage>);

impl FromStr for Stages {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut stages: Vec<Stage> = Vec::new();
        for part in text.split(',') {
            let (rates, length) = part.split_once(':').ok_or(ParseError::Stage)?;
            let length = units::duration(length).map_err(|_| ParseError::Stage)?;
            let (from, to) = match rates.split_once("..") {
                None => {
                    let rate = rate_or_pause(rates)?;
                    (rate, rate)
                }
                Some(("", to)) => {
                    let before = stages.last().map_or(Rate(0), |stage| stage.to);
                    (before, rate_or_pause(to)?)
                }
                Some((from, to)) => (rate_or_pause(from)?, rate_or_pause(to)?),
            };
            if length.is_zero() {
                return Err(ParseError::Stage);
            }
            stages.push(Stage { from, to, length });
        }
        // Stages in which nothing is planned at all are a mistake.
        match stages
            .iter()
            .any(|stage| stage.from.max(stage.to) > Rate(0))
        {
            true => Ok(Self(stages)),
            false => Err(ParseError::Stage),
        }
    }
}

impl FromStr for Process {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "constant" => return Ok(Process::Constant),
            "poisson" => return Ok(Process::Poisson),
            _ => {}
        }
        let burst = text.strip_prefix("burst:").ok_or(ParseError::Process)?;
        let (size, every) = burst.split_once('/').ok_or(ParseError::Process)?;
        let size = units::count(size).map_err(|_| ParseError::Process)?;
        // `10ms`, and `s` for `1s`.
        let every = match every.starts_with(|c: char| c.is_ascii_digit()) {
            true => units::duration(every),
            false => units::duration(&format!("1{every}")),
        };
        let every = every.map_err(|_| ParseError::Process)?;
        match size > 0 && every >= Duration::from_micros(1) {
            true => Ok(Process::Burst(Burst { size, every })),
            false => Err(ParseError::Process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_take_their_units_and_nothing_else() {
        for (text, thousandths) in [
            ("1", 1_000),
            ("5k", 5_000_000),
            ("5k/s", 5_000_000),
            ("0.5", 500),
            ("0.1", 100),
            ("1.5M", 1_500_000_000),
            ("0.001", 1),
        ] {
            assert_eq!(rate(text), Ok(Rate(thousandths)), "{text}");
        }
        for text in [
            "", "k", "-1", "1e3", "inf", "0", "0.0001", "1 k", "200M", "5m",
        ] {
            assert_eq!(rate(text), Err(ParseError::Rate), "{text}");
        }
    }

    #[test]
    fn stages_hold_step_and_ramp() {
        let stages: Stages = "1k:30s,..5k:60s,500..0:1m,0:2s".parse().unwrap();
        let seen: Vec<_> = stages
            .0
            .iter()
            .map(|stage| (stage.from.per_s(), stage.to.per_s(), stage.length.as_secs()))
            .collect();
        let expected = [
            (1000.0, 1000.0, 30),
            (1000.0, 5000.0, 60),
            (500.0, 0.0, 60),
            (0.0, 0.0, 2),
        ];
        assert_eq!(seen, expected);
        for text in [
            "",
            "1k",
            "1k:",
            ":30s",
            "1k:30s,",
            "1k:0s",
            "0:30s",
            "1k:30s;5k:60s",
        ] {
            assert!(text.parse::<Stages>().is_err(), "{text}");
        }
    }

    #[test]
    fn processes_are_read_and_written() {
        for text in ["constant", "poisson", "burst:100/10ms"] {
            assert_eq!(text.parse::<Process>().unwrap().to_string(), text);
        }
        let Ok(Process::Burst(burst)) = "burst:50/s".parse() else {
            panic!("a burst");
        };
        assert_eq!(burst.rate(), Rate(50_000));
        for text in [
            "",
            "Constant",
            "burst",
            "burst:0/10ms",
            "burst:5",
            "burst:5/0s",
        ] {
            assert_eq!(text.parse::<Process>(), Err(ParseError::Process), "{text}");
        }
    }
}
