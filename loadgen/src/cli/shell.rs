//! Flags of what helps at the command line.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  loadgen completions bash > /etc/bash_completion.d/loadgen
  loadgen completions zsh > /usr/local/share/zsh/site-functions/_loadgen
  loadgen completions fish > ~/.config/fish/completions/loadgen.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  loadgen man /usr/local/share/man/man1
      loadgen.1, loadgen-request.1 and so on
  loadgen man --page loadgen-request | man -l -
      one of them, to read";

/// `loadgen completions`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// For which shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `loadgen man`.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Where the pages go; files of the same names are replaced.
    #[arg(value_name = "DIR", required_unless_present = "page")]
    pub directory: Option<PathBuf>,
    /// One page, to standard output, such as loadgen-request.
    #[arg(long, value_name = "NAME", conflicts_with = "directory")]
    pub page: Option<String>,
}
