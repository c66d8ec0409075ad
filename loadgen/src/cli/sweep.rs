//! Flags of `loadgen sweep`.

use std::path::PathBuf;

use clap::Args;

use crate::sweep::{Dimension, Order};

const EXAMPLES: &str = "\
Examples:
  loadgen sweep --vary connections=1,8,64 request https://127.0.0.1:8443/path -d 5s
      how throughput grows with connections, in three rounds (closed loop)
  loadgen sweep --vary rate=1k,2k,4k --vary size=100,16k -o sweep.html -o sweep.csv \\
      request https://127.0.0.1:8443/o --check echo -d 10s
      six cells: latency over the rate, one line for each size, as a page and as a table
  loadgen sweep --vary groups=X25519,X25519MLKEM768 --rounds 5 --json sweep.json \\
      handshake 127.0.0.1:8443 -R 200 -d 10s
      what the key exchange costs, with every run stored
  loadgen sweep --vary rate=20k,40k,80k request https://app.example/path -d 30s \\
      --agents load1.example:7500,load2.example:7500 --agents-cert certs/coordinator.pem \\
      --agents-key certs/coordinator.key --agents-ca certs/ca.pem
      every run by two machines (see `loadgen agent --help`)

Any flag with a value can be varied that the operation has. Flags of the sweep stand before the
operation, flags of the runs behind it. The first --vary is the axis of the plots.

Exit codes: 0 ok, 1 usage, 2 no run reached the target, 3 an objective was missed, 4 a cell without
a run whose numbers hold, or interrupted.";

/// `loadgen sweep`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SweepArgs {
    /// A flag of the runs and its values, NAME=VALUE,VALUE: may be repeated, for every combination.
    #[arg(long, required = true, value_name = "NAME=VALUE,...")]
    pub vary: Vec<Dimension>,
    /// How often each combination is run.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// In which order combinations are run.
    #[arg(long, value_enum, default_value = "random")]
    pub order: Order,
    /// Where that order comes from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the result to this file too, its form by its ending: .html, .csv, .md, .json, .txt; may
    /// be repeated.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Write all runs as JSON; `-` is standard output, instead of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What to run: request, handshake or bulk, and its flags.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "OPERATION"
    )]
    pub operation: Vec<String>,
}
