//! Flags of what is compared in turn, in rounds.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::{error::BenchError, output};

/// Rounds of a short run.
const QUICK_ROUNDS: u32 = 3;

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
    #[arg(long, value_name = "FILE")]
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
