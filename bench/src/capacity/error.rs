//! Why there is no capacity to report.

use std::{fmt, path::PathBuf};

use crate::error::BenchError;

/// Why there is no capacity to report.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError {
    /// A program, a port or a file of the measurement is missing, or a load failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The configuration is no TOML.
    #[error("{}: {error}", path.display())]
    Toml {
        /// Which.
        path: PathBuf,
        /// Where it breaks, and why.
        error: toml_edit::TomlError,
    },
    /// The gateway refuses the configuration.
    #[error("the gateway refuses {}:\n{}", path.display(), said.trim_end())]
    Refused {
        /// Which.
        path: PathBuf,
        /// All its errors, with line, key, and what would be right.
        said: String,
    },
    /// No such route.
    #[error("--route {asked}: the configuration has no such route; it has {}", known.join(", "))]
    NoRoute {
        /// As it was written.
        asked: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A route takes only clients with a certificate.
    #[error(
        "route {route} wants a client certificate of tenant {tenant}: give one that its client_ca issued, with --cert FILE --key FILE"
    )]
    NoCertificate {
        /// The route.
        route: String,
        /// Its tenant.
        tenant: String,
    },
    /// A load did not do what it was told.
    #[error("{what}: {found}")]
    Void {
        /// Route and load.
        what: String,
        /// What is wrong.
        found: String,
    },
    /// What was stored is no result of this program.
    #[error("{}: {why}; give a file that `bench capacity --json` wrote", path.display())]
    Stored {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The stored one is of something else.
    #[error("not comparable with {}:\n{}compare runs of one host and one configuration, or use --force", path.display(), Listed(differences))]
    NotComparable {
        /// Which file.
        path: PathBuf,
        /// In what they differ.
        differences: Vec<Difference>,
    },
}

/// In what two runs differ, and should not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub key: &'static str,
    /// Of the stored one.
    pub stored: String,
    /// Of this one.
    pub now: String,
}

struct Listed<'a>(&'a [Difference]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|Difference { key, stored, now }| {
                writeln!(f, "  {key}: stored {stored} / now {now}")
            })
    }
}

impl CapacityError {
    /// 1 usage, 2 something does not start, or fails under load, 4 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Toml { .. }
            | Self::Refused { .. }
            | Self::NoRoute { .. }
            | Self::NoCertificate { .. }
            | Self::Stored { .. }
            | Self::NotComparable { .. } => 1,
            Self::Bench(error) => error.exit_code(),
            Self::Void { .. } => 2,
        }
    }
}
