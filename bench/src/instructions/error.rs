//! Why nothing was counted or compared.

use std::io;
use std::path::PathBuf;

use std::fmt;

/// Why nothing was counted or compared.
#[derive(Debug)]
pub enum InstructionsError {
    /// A program could not be run, or failed.
    Program {
        /// What was run.
        command: String,
        /// What it said, or why it did not start.
        output: String,
    },
    /// A file could not be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The baseline is no baseline.
    Baseline {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of callgrind's is not as callgrind writes it.
    Profile {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0: the whole.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is nothing to read counts from.
    NoCounts {
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl InstructionsError {
    /// 1 usage, 2 counting failed, 4 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. }
            | Self::Baseline { .. }
            | Self::Profile { .. }
            | Self::NoCounts { .. } => 1,
            Self::Program { .. } => 2,
            Self::Interrupted => 4,
        }
    }
}

impl fmt::Display for InstructionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { command, output } => {
                write!(f, "`{command}` failed:\n{}", output.trim_end())
            }
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Baseline { path, source } => {
                let path = path.display();
                write!(
                    f,
                    "{path} is no baseline: {source}; `scripts/bench instructions --accept REASON` writes one"
                )
            }
            Self::Profile {
                path,
                line,
                problem,
            } => write!(f, "{}:{line}: {problem}", path.display()),
            Self::NoCounts { folder } => write!(f, "no callgrind.*.out in {}", folder.display()),
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for InstructionsError {}
