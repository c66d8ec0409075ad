//! Flags of `loadgen mix`.

use std::path::PathBuf;

use clap::{Args, Parser};

use super::{LoadArgs, Standing};

/// `loadgen mix`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MixArgs {
    /// Print what would be run, by operation and tenant, and run nothing.
    #[arg(long)]
    pub check: bool,
    /// The scenario.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
}

/// A scenario, and the flags that go before its own.
#[derive(Debug, Args)]
pub struct ScenarioArgs {
    /// The scenario: target, a table `load` with flags by name, and a table for each `operation`.
    #[arg(value_name = "SCENARIO")]
    pub path: PathBuf,
    /// Flags of every load (see `loadgen request --help`), before those of the scenario.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAGS"
    )]
    pub flags: Vec<String>,
    /// On whose behalf.
    #[arg(skip)]
    pub standing: Standing,
}

const EXAMPLES: &str = "\
Examples:
  loadgen mix --check loadgen/examples/mix.toml
      what would be run: planned operations by kind and tenant, exactly where the seed fixes them
  loadgen mix loadgen/examples/mix.toml --json mix.json
      the scenario; the example explains every key
  loadgen mix loadgen/examples/mix.toml -d 60s --tenants '100:zipf(1.2)'
      the same for longer, and for other tenants
  loadgen mix loadgen/examples/mix.toml --agents load1.example:7500,load2.example:7500 \\
      --agents-cert certs/coordinator.pem --agents-key certs/coordinator.key --agents-ca certs/ca.pem
      by two machines (see `loadgen agent --help`), which are sent the scenario";

/// Flags of every load by themselves.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    args_override_self = true,
    name = "loadgen mix SCENARIO"
)]
pub struct MixFlags {
    /// Print what would be run, and run nothing.
    #[arg(long)]
    pub check: bool,
    /// Flags of every load.
    #[command(flatten)]
    pub load: LoadArgs,
}
