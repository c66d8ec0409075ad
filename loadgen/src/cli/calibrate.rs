//! Flags of `loadgen calibrate`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::units;

const EXAMPLES: &str = "\
Examples:
  loadgen calibrate
      what one generator thread can do here, in about a minute
  loadgen calibrate --json host.json
      and keep it, for `loadgen search --calibration host.json`
  loadgen calibrate -t 2 -d 5s --rounds 5 --json host.json
      two threads, and more patience

The target is a TLS server in this process, on the cores that the generator threads leave free. What
is reported are the generator's ceilings: operations per CPU second of its own, whoever was the
bottleneck. A target that comes near to them measures the generator.";

/// `loadgen calibrate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CalibrateArgs {
    /// Generator threads, each pinned to a core.
    #[arg(short = 't', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// How long each measurement takes.
    #[arg(short = 'd', long, value_name = "TIME", default_value = "2s", value_parser = units::duration)]
    pub duration: Duration,
    /// How often each is made, in turns; medians are reported.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Write the result as JSON; `-` is standard output, instead of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
