//! Flags of what is compared in turn, in rounds.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::{BenchError, in_one_line},
    output,
};

/// Rounds of a short run.
const QUICK_ROUNDS: u32 = 3;

/// How much was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Effort {
    /// As many as were asked for.
    rounds: u32,
    /// Why it is less than was asked for.
    cut_short: Option<String>,
}

impl Effort {
    /// All of so many rounds, unless it is cut short.
    pub fn of(rounds: u32) -> Self {
        Self {
            rounds,
            cut_short: None,
        }
    }

    /// Not all: this came between.
    pub fn cut_short(&mut self, by: &BenchError) {
        self.cut_short = Some(in_one_line(by));
    }

    /// For people.
    pub fn words(&self) -> String {
        let rounds = self.rounds;
        match &self.cut_short {
            None => format!("Median of {rounds} rounds"),
            Some(why) => format!("CUT SHORT ({why}): median of what there is of {rounds} rounds"),
        }
    }

    /// For programs: the rounds that were asked for, and why there are fewer.
    pub fn json(&self) -> (u32, Option<&str>) {
        (self.rounds, self.cut_short.as_deref())
    }
}

/// Flags of what is compared in turn.
#[derive(Debug, Args)]
pub struct Turns {
    /// Rounds; everybody does every kind of work once in each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(3..=50))]
    rounds: u32,
    /// A part of the work and three rounds: to see that it runs, not for numbers
    #[arg(long, conflicts_with = "rounds")]
    pub quick: bool,
    /// Write the result as JSON too; `-` is standard output, instead of the table
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    json: Option<PathBuf>,
    /// Print each configuration and command line as well
    #[arg(long)]
    pub configs: bool,
}

impl Turns {
    /// How many rounds.
    pub fn rounds(&self) -> u32 {
        match self.quick {
            true => QUICK_ROUNDS,
            false => self.rounds,
        }
    }

    /// Prints the table, and writes the JSON where it was asked for.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`].
    pub fn publish(&self, table: &str, json: &Value) -> Result<(), BenchError> {
        output::publish(self.json.as_deref(), table, json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_short_says_so_and_by_what_in_one_line() {
        let mut effort = Effort::of(5);
        assert_eq!(effort.words(), "Median of 5 rounds");
        assert_eq!(effort.json(), (5, None));
        effort.cut_short(&BenchError::Command {
            name: "wrk".to_owned(),
            output: "no such host\n".to_owned(),
        });
        let words = "CUT SHORT (wrk failed): median of what there is of 5 rounds";
        assert_eq!(effort.words(), words);
        assert_eq!(effort.json(), (5, Some("wrk failed")));
    }
}
