//! Why revisions could not be compared.

use std::{io, path::PathBuf};

use super::scenario::ScenarioError;
use crate::error::BenchError;

/// Why revisions could not be compared. None of these says anything about them.
#[derive(Debug, thiserror::Error)]
pub enum AbError {
    /// A scenario is of no use.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A program, a port or a file of the measurement is missing.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// More rounds at least than at most.
    #[error("--rounds {least} is more than --max-rounds {most}: exchange them")]
    Rounds {
        /// At least.
        least: u32,
        /// At most.
        most: u32,
    },
    /// git knows no such revision here.
    #[error(
        "{revision} is no commit of this repository ({said}); a shallow clone has few: git fetch --unshallow"
    )]
    Revision {
        /// As it was written.
        revision: String,
        /// What git said.
        said: String,
    },
    /// git refused something else.
    #[error("git {what}: {said}")]
    Git {
        /// What was asked for.
        what: &'static str,
        /// What git said.
        said: String,
    },
    /// Another comparison builds in the same folder.
    #[error("{} is in use by another `bench ab`: wait for its end", .0.display())]
    Busy(PathBuf),
    /// A revision does not build.
    #[error("{revision} does not build; cargo's last lines:\n{said}")]
    Build {
        /// Which.
        revision: String,
        /// What cargo said last.
        said: String,
    },
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// loadgen's report is none, or lacks something.
    #[error("{scenario}: {problem}")]
    Report {
        /// In which scenario.
        scenario: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The report could not be written as XML.
    #[error("cannot write JUnit's XML: {0}")]
    Xml(#[from] io::Error),
}

impl AbError {
    /// 1 usage, 2 build or start failed, 4 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Scenario(_) | Self::Rounds { .. } | Self::Revision { .. } | Self::Busy(_) => 1,
            Self::Bench(error) => error.exit_code(),
            Self::Git { .. }
            | Self::Build { .. }
            | Self::File { .. }
            | Self::Report { .. }
            | Self::Xml(_) => 2,
        }
    }
}

/// Names the file of an error.
pub fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> AbError {
    let path = path.to_owned();
    move |error| AbError::File { path, error }
}
