//! How a command answers: in words or in JSON, and with which exit status.

use std::process::ExitCode;

use sealgate_keys::{KeyringError, KeyringFault};
use serde_json::{Value, json};
use thiserror::Error;

/// A command that was not carried out.
#[derive(Debug, Error)]
pub(super) enum CommandError {
    /// The keyring or recovery file.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A number of shares that cannot be.
    #[error(transparent)]
    Scheme(#[from] sealgate_keys::slip39::SplitError),
    /// A shred of another tenant than was meant.
    #[error(
        "--confirm says \"{confirmed}\", but the keyring is that of tenant \"{tenant}\"; nothing was destroyed"
    )]
    NotConfirmed {
        /// What was said.
        confirmed: String,
        /// Whose keyring it is.
        tenant: Box<str>,
    },
    /// The shares could not be read.
    #[error("cannot read the shares from standard input: {0}")]
    Shares(std::io::ErrorKind),
    /// More was given than shares can be.
    #[error("standard input is longer than {most} bytes; give the shares alone, one a line")]
    SharesTooLong {
        /// The most that is read.
        most: u64,
    },
}

impl CommandError {
    /// As `sealgate keys --help` lists them.
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::Keyring(error) => match &error.fault {
                KeyringFault::Disabled | KeyringFault::Shredded { .. } => 3,
                KeyringFault::Busy => 4,
                KeyringFault::Recovery(_) => 5,
                _ => 1,
            },
            Self::Scheme(_) | Self::NotConfirmed { .. } => 2,
            Self::Shares(_) | Self::SharesTooLong { .. } => 1,
        }
    }

    /// Says it on standard error; gives the exit status.
    pub(super) fn report(&self, style: Style) -> ExitCode {
        let status = self.exit_status();
        match style {
            Style::Words => eprintln!("{self}"),
            Style::Json => eprintln!(
                "{}",
                json!({ "error": self.to_string(), "exit_status": status })
            ),
        }
        ExitCode::from(status)
    }
}

/// In which form a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// For people.
    Words,
    /// One object a line.
    Json,
}

impl Style {
    /// Prints a result.
    pub(super) fn print(self, words: &str, json: &Value) {
        match self {
            Self::Words => println!("{words}"),
            Self::Json => println!("{json}"),
        }
    }
}
