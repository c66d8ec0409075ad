//! How large the bodies of requests are.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{schedule::random::Random, units};

/// No body is larger: a log-normal distribution has no end of its own.
pub const MAX: u64 = 1_000_000_000_000;

/// A distribution of sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// Always this.
    Fixed(u64),
    /// Evenly between these, both included.
    Uniform(u64, u64),
    /// Log-normal, with this median and this standard deviation of the logarithm.
    LogNormal(u64, f64),
}

/// A size that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a size: write 8k, uniform:1k,64KiB, or lognorm:8k,1.2 (median, sigma)")]
pub struct SizeError;

impl Size {
    /// One size.
    pub fn draw(self, random: &mut Random) -> u64 {
        match self {
            Size::Fixed(size) => size,
            Size::Uniform(low, high) => random.between(low, high),
            Size::LogNormal(median, sigma) => {
                let size = median as f64 * (sigma * random.normal()).exp();
                // Casting saturates.
                (size.round() as u64).min(MAX)
            }
        }
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let size = |text: &str| {
            units::size(text)
                .ok()
                .filter(|size| *size <= MAX)
                .ok_or(SizeError)
        };
        let Some((name, arguments)) = text.split_once(':') else {
            return Ok(Size::Fixed(size(text)?));
        };
        let (first, second) = arguments.split_once(',').ok_or(SizeError)?;
        match name {
            "uniform" => match (size(first)?, size(second)?) {
                (low, high) if low <= high => Ok(Size::Uniform(low, high)),
                _ => Err(SizeError),
            },
            "lognorm" => {
                let sigma = second
                    .parse()
                    .ok()
                    .filter(|sigma| (0.0..=10.0).contains(sigma));
                Ok(Size::LogNormal(size(first)?, sigma.ok_or(SizeError)?))
            }
            _ => Err(SizeError),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Fixed(size) => write!(f, "{size}"),
            Size::Uniform(low, high) => write!(f, "uniform:{low},{high}"),
            Size::LogNormal(median, sigma) => write!(f, "lognorm:{median},{sigma}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_read_and_keep_their_median() {
        let mut random = Random::new(1, 0);
        for (text, median, tolerance) in [
            ("8k", 8_000.0, 0.0),
            ("uniform:1k,3k", 2_000.0, 0.03),
            ("lognorm:8k,1.2", 8_000.0, 0.06),
        ] {
            let size: Size = text.parse().unwrap();
            let mut drawn: Vec<_> = (0..10_001).map(|_| size.draw(&mut random)).collect();
            drawn.sort_unstable();
            let found = drawn[5_000] as f64;
            assert!(
                (found - median).abs() <= median * tolerance,
                "{text}: {found}"
            );
            assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
        for text in [
            "",
            "x",
            "uniform:1k",
            "uniform:3k,1k",
            "lognorm:8k,-1",
            "lognorm:8k",
            "pareto:1,2",
        ] {
            assert_eq!(text.parse::<Size>(), Err(SizeError), "{text}");
        }
    }
}
