//! Exit codes, the contract with scripts and CI jobs.

use std::process::ExitCode;

/// How a run of the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The run did what was asked and its numbers hold.
    Ok,
    /// The command line is wrong, or a file it names cannot be read.
    Usage,
    /// No operation succeeded, or what came back was not what was sent.
    Target,
    /// A service level objective was missed, or a regression was found.
    Missed,
    /// The run finished, but its numbers prove nothing.
    Invalid,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> i32 {
        match self {
            Exit::Ok => 0,
            Exit::Usage => 1,
            Exit::Target => 2,
            Exit::Missed => 3,
            Exit::Invalid => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // All of them fit.
        u8::try_from(exit.code()).map_or(ExitCode::FAILURE, ExitCode::from)
    }
}
