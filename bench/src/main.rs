//! Whole-system measurements of Sealgate: real programs, real sockets, this machine.
//!
//! ```text
//! peers: proxy configurations -> load through each in turn -> CPU per unit of work -> table, JSON
//! ```
//!
//! It measures and compares within one run. It does not judge regressions, and it never compares
//! with a number from another day.

mod cpu;
mod error;
mod host;
mod peers;
mod process;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Sealgate as a whole, beside other programs for the same job.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// CPU per GB and per echo of sealgate, haproxy and stunnel, in the same run, in turn.
    Peers(peers::PeersArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Peers(args) => peers::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
