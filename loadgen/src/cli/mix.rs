//! Flags of `loadgen mix`.

use std::path::PathBuf;

use clap::{Args, Parser};

use super::LoadArgs;

/// `loadgen mix`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MixArgs {
    /// Print what would be run, by operation and tenant, and run nothing.
    #[arg(long)]
    pub check: bool,
    /// The scenario: target, a table `load` with flags by name, and a table for each `operation`.
    pub scenario: PathBuf,
    /// Flags of every load (see `loadgen request --help`), before those of the scenario.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAGS"
    )]
    pub flags: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  loadgen mix --check loadgen/examples/mix.toml
      what would be run: planned operations by kind and tenant, exactly where the seed fixes them
  loadgen mix loadgen/examples/mix.toml --json mix.json
      the scenario; the example explains every key
  loadgen mix loadgen/examples/mix.toml -d 60s --tenants '100:zipf(1.2)'
      the same for longer, and for other tenants";

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
