//! Why a measurement has no result.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a measurement has no result. None of these leaves a process behind.
#[derive(Debug)]
pub enum BenchError {
    /// A program that takes part is not installed or not built.
    NoProgram {
        name: &'static str,
        remedy: &'static str,
    },
    /// The affinity mask has fewer than two cores: one is for the proxy, one for the load.
    OneCore,
    /// A file could not be read or written.
    File { path: PathBuf, source: io::Error },
    /// A program could not be started.
    Start { name: String, source: io::Error },
    /// A program ended before it took connections, or did not take any in time.
    NotReady { name: String, output: String },
    /// A command that is measured failed.
    Command { name: String, output: String },
    /// The load generator failed against this proxy.
    Load {
        proxy: &'static str,
        what: &'static str,
        output: String,
    },
    /// The load generator's result lacks a field or says something else than was asked for.
    Result {
        proxy: &'static str,
        field: &'static str,
        found: String,
    },
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl BenchError {
    /// Exit status in the scheme of `loadgen`: 1 usage, 2 target failed, 4 no valid result.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoProgram { .. } | Self::OneCore | Self::File { .. } => 1,
            Self::Start { .. }
            | Self::NotReady { .. }
            | Self::Command { .. }
            | Self::Load { .. } => 2,
            Self::Result { .. } | Self::Interrupted => 4,
        }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgram { name, remedy } => write!(f, "{name} not found; {remedy}"),
            Self::OneCore => write!(
                f,
                "two cores are needed: one for the proxy, one for the load"
            ),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Start { name, source } => write!(f, "{name} does not start: {source}"),
            Self::NotReady { name, output } => {
                write!(
                    f,
                    "{name} takes no connections; it said:\n{}",
                    output.trim_end()
                )
            }
            Self::Command { name, output } => write!(f, "{name} failed:\n{}", output.trim_end()),
            Self::Load {
                proxy,
                what,
                output,
            } => {
                write!(f, "{what} through {proxy} failed:\n{}", output.trim_end())
            }
            Self::Result {
                proxy,
                field,
                found,
            } => {
                write!(f, "the result through {proxy} is void: {field} is {found}")
            }
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for BenchError {}

/// What came between, in one line: for a result that is cut short.
pub fn in_one_line(error: &impl fmt::Display) -> String {
    let said = error.to_string();
    let first = said.lines().next().unwrap_or_default();
    first.trim_end_matches(':').to_owned()
}
