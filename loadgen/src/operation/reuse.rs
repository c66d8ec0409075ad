//! How many operations go over one connection before it is replaced.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::schedule::random::Random;

/// Evenly between these, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// At least, and at least one.
    pub least: u64,
    /// At most.
    pub most: u64,
}

impl Default for Reuse {
    /// For as long as the target keeps it.
    fn default() -> Self {
        Self {
            least: u64::MAX,
            most: u64::MAX,
        }
    }
}

/// A reuse that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "not a number of operations: write 1 for a new connection each time, or 10:30 for 10 to 30"
)]
pub struct ReuseError;

impl Reuse {
    /// Operations for one connection.
    pub fn draw(self, random: &mut Random) -> u64 {
        random.between(self.least, self.most)
    }
}

impl FromStr for Reuse {
    type Err = ReuseError;

    fn from_str(text: &str) -> Result<Self, ReuseError> {
        let (least, most) = text.split_once(':').unwrap_or((text, text));
        match (least.parse(), most.parse()) {
            (Ok(least), Ok(most)) if 0 < least && least <= most => Ok(Self { least, most }),
            _ => Err(ReuseError),
        }
    }
}

impl fmt::Display for Reuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            reuse if *reuse == Reuse::default() => f.write_str("always"),
            Reuse { least, most } if least == most => write!(f, "{least}"),
            Reuse { least, most } => write!(f, "{least}:{most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_kept() {
        let reuse: Reuse = "10:30".parse().unwrap();
        let mut random = Random::new(3, 0);
        let drawn: Vec<_> = (0..500).map(|_| reuse.draw(&mut random)).collect();
        assert_eq!(
            (drawn.iter().min(), drawn.iter().max()),
            (Some(&10), Some(&30))
        );
        assert_eq!(reuse.to_string(), "10:30");
        assert_eq!("1".parse::<Reuse>().unwrap().to_string(), "1");
        for text in ["", "0", "3:2", "x", "1:2:3"] {
            assert_eq!(text.parse::<Reuse>(), Err(ReuseError), "{text}");
        }
    }
}
