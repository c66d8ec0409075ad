//! Flags of the subcommands that work on stored reports.

use std::path::PathBuf;

use clap::Args;

use crate::report::{html::MAX_RUNS, render::Format};

/// `loadgen report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loadgen report run.json                      a screenful of text
  loadgen report run.json -o run.html          a page with plots, in one file
  loadgen report a.json b.json -o both.html    two runs in the same plots
  loadgen report run.json -o run.csv           one line for each second
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
