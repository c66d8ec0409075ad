//! Flags of the subcommands that work on stored reports.

use std::path::PathBuf;

use clap::Args;

use crate::{
    report::{html::MAX_RUNS, render::Format},
    units,
};

/// `loadgen report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loadgen report run.json                      a screenful of text
  loadgen report run.json -o run.html          a page with plots, in one file
  loadgen report a.json b.json -o both.html    two runs in the same plots
  loadgen report run.json -o run.csv           one line for each second
  loadgen report run.json -f csv-agents        one line for each agent of a run on several machines
  loadgen report run.json -f markdown          tables for a pull request
  loadgen report run.json -o run.hlog          for the tools of HdrHistogram
  loadgen report run.json -f hgrm-service      distribution of the service times")]
pub struct ReportArgs {
    /// Report that a load subcommand stored as JSON; `-` is standard input. Several, at most 6, for
    /// a page.
    #[arg(required = true, num_args = 1..=MAX_RUNS, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Form of the result [default: by the ending of --output, else summary].
    #[arg(short = 'f', long, value_enum)]
    pub format: Option<Format>,
    /// Write it to this file instead of standard output.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `loadgen compare`.
///
/// Exit codes: 0 ok, 1 usage or not comparable, 3 worse than the margin, 4 inconclusive, or a run
/// whose numbers do not hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loadgen compare before.json after.json
      what differs by more than two runs differ by themselves
  loadgen compare before.json after.json --margin 10%
      the same, and exit with 3 when after.json is worse by more than 10 %
  loadgen compare before.json after.json --margin 5% --noise 1%
      on a machine where two runs of the same program differ by 1 %")]
pub struct CompareArgs {
    /// Report of the run to compare with.
    pub base: PathBuf,
    /// Report of the run in question.
    pub head: PathBuf,
    /// Compare although configuration or host differ.
    #[arg(long)]
    pub force: bool,
    /// How much worse the second run may be.
    #[arg(long, value_name = "N%", value_parser = units::percent)]
    pub margin: Option<f64>,
    /// By how much two runs of the same program differ on this machine, as root mean square
    /// [default: that of a noisy virtual machine, 10 to 20 %].
    #[arg(long, value_name = "N%", value_parser = units::percent)]
    pub noise: Option<f64>,
}
