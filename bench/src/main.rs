//! Whole-system measurements of Sealgate: real programs, real sockets, this machine.
//!
//! ```text
//! peers: proxy configurations -> load through each in turn -> CPU per unit of work -> table, JSON
//! loadgen: loadgen and Debian's generators against one nginx, in turn -> CPU per operation -> table, JSON, verdict
//! files: sealgate seal and open beside cp and bare AES -> CPU -> table, JSON, verdict
//! capacity: a configuration -> its copy with an origin behind it -> loads -> JSON -> verdict beside a stored one
//! ab: two revisions beside each other and a copy of the first -> rounds of slices -> interval -> verdict
//! growth: gateways of growing size -> CPU per operation -> fitted exponents -> table, JSON, page, verdict
//! profile: a scenario's gateway under load -> perf -> flame graph
//! history: results by commit -> change points -> text, page
//! instructions: paths in memory under callgrind -> counts -> beside bench/baseline.json -> verdict
//! ```
//!
//! Time it compares within one run only, never with a number from another day. Instruction counts do
//! not vary with the day: those it holds to a baseline.

mod ab;
mod capacity;
mod certificate;
mod command;
mod cpu;
mod error;
mod files;
mod generators;
mod growth;
mod history;
mod host;
mod instructions;
mod interrupt;
mod loadgen;
mod output;
mod page;
mod peers;
mod process;
mod profile;
mod promise;
mod room;
mod statistics;
mod turns;
mod units;
mod workplace;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes, of every command: 0 all is as it should be, or that could not be told; 1 the command
line, or something that it names, is of no use; 2 something does not build, does not start or
fails; 3 something got worse, or is worse than promised; 4 there is no valid result, or the run
was interrupted.";

/// Measures Sealgate as a whole, beside other programs for the same job.
#[derive(Debug, Parser)]
#[command(name = "bench", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// CPU, time to answer and memory of sealgate, haproxy, nginx, hitch and stunnel, in the same run, in turn.
    Peers(peers::PeersArgs),
    /// CPU of loadgen beside wrk, h2load, ab, hey, openssl and curl, against the same nginx, in turn.
    Loadgen(generators::GeneratorsArgs),
    /// CPU of `sealgate seal` and `open` of a large file, beside cp and bare AES-256-GCM.
    Files(files::FilesArgs),
    /// Whether HEAD is slower than BASE: both built, in slices beside each other, with a control.
    Ab(Box<ab::AbArgs>),
    /// What this machine carries with your configuration, beside what it carried before.
    Capacity(Box<capacity::CapacityArgs>),
    /// How the gateway's costs grow with connections, tenants, bytes and workers.
    Growth(growth::GrowthArgs),
    /// Where the gateway's time goes under a scenario: a flame graph.
    Profile(profile::ProfileArgs),
    /// Results of `ab` by commit: append a line, show where they changed.
    History(history::HistoryArgs),
    /// Instructions of the paths in memory, against the baseline in the repository.
    Instructions(instructions::InstructionsArgs),
}

impl Command {
    /// Whether an end by a signal would leave anything behind, or take what was measured along.
    fn starts_programs(&self) -> bool {
        match self {
            Self::History(_) => false,
            Self::Peers(_)
            | Self::Loadgen(_)
            | Self::Files(_)
            | Self::Ab(_)
            | Self::Capacity(_)
            | Self::Growth(_)
            | Self::Profile(_)
            | Self::Instructions(_) => true,
        }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if cli.command.starts_programs()
        && let Err(error) = interrupt::watch()
    {
        return failed(&error, 2);
    }
    match cli.command {
        Command::Peers(args) => match peers::run(&args) {
            Ok(outcome) => ExitCode::from(outcome.exit_code()),
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::Loadgen(args) => match generators::run(&args) {
            Ok(outcome) => ExitCode::from(outcome.exit_code()),
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::Files(args) => match files::run(&args) {
            Ok(outcome) => ExitCode::from(outcome.exit_code()),
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::Ab(args) => match ab::run(&args) {
            Ok(code) => ExitCode::from(code),
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::Capacity(args) => match capacity::run(&args) {
            Ok(code) => ExitCode::from(code),
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::Growth(args) => match growth::run(&args) {
            Ok(code) => ExitCode::from(code),
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::Profile(args) => match profile::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::History(args) => match history::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error, 1),
        },
        Command::Instructions(args) => match instructions::run(&args) {
            Ok(outcome) => ExitCode::from(outcome.exit_code()),
            Err(error) => failed(&error, error.exit_code()),
        },
    }
}

/// A command line that is none.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe leaves nobody to tell.
    let _ = error.print();
    ExitCode::from(u8::from(error.use_stderr()))
}

fn failed(error: &dyn Error, exit_code: u8) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::from(exit_code)
}
