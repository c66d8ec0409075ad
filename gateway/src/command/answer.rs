//! How a command answers: in words or in JSON, and with which exit status.

use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;

use sealgate_keys::{KeyringError, KeyringFault};
use serde_json::{Value, json};
use thiserror::Error;

use super::device_key::DeviceKeyError;
use super::message_arguments::AnswerArgs;
use super::message_error::MessageError;
use super::output::{Channel, Released};
use super::shown;

/// A command that was not carried out.
#[derive(Debug, Error)]
pub(super) enum CommandError {
    /// The keyring or recovery file.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A device's key file.
    #[error(transparent)]
    DeviceKey(#[from] DeviceKeyError),
    /// A message, or what it is opened or sealed with.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// One output for several messages.
    #[error("--output takes one message; give the path of one file, or leave --output out")]
    OutputOfSeveral,
    /// A pipe, of which nothing can be read back.
    #[error(
        "reseal reads back what it wrote, which no pipe gives; give --output a file, `./-` if it is to be called so"
    )]
    ResealIntoPipe,
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
    /// What was asked for could not be written.
    #[error("cannot write the answer to standard output: {0}")]
    Answer(std::io::Error),
    /// The shares were made, and the old ones are void, but they could not be handed out.
    #[error(
        "cannot write the shares to standard output: {0}; those of before do not open the new recovery file, so export again"
    )]
    SharesLost(std::io::Error),
    /// More was given than shares can be.
    #[error("standard input is longer than {most} bytes; give the shares alone, one a line")]
    SharesTooLong {
        /// The most that is read.
        most: u64,
    },
}

impl CommandError {
    /// As the commands' help lists them.
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::Keyring(error) => match &error.fault {
                KeyringFault::Disabled | KeyringFault::Shredded { .. } => 3,
                KeyringFault::Busy => 4,
                KeyringFault::Recovery(_) => 5,
                _ => 1,
            },
            Self::Message(error) => error.exit_status(),
            Self::OutputOfSeveral
            | Self::ResealIntoPipe
            | Self::Scheme(_)
            | Self::NotConfirmed { .. } => 2,
            Self::DeviceKey(_)
            | Self::Shares(_)
            | Self::SharesTooLong { .. }
            | Self::Answer(_)
            | Self::SharesLost(_) => 1,
        }
    }

    /// Says it on standard error; gives the exit status.
    pub(super) fn report(&self, style: Style) -> ExitCode {
        let status = self.exit_status();
        let said = match style {
            Style::Words => shown::line(&self.to_string()),
            Style::Json => {
                let mut said = json!({ "error": self.to_string(), "exit_status": status });
                if let Self::Message(error) = self
                    && let Some(offset) = error.offset()
                {
                    said["offset"] = offset.into();
                }
                shown::json(&said)
            }
        };
        // Nobody is left to be told where this fails.
        let _ = writeln!(stderr(), "{said}");
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
    /// Says what was done.
    pub(super) fn print(self, words: &str, json: &Value) {
        // It is done, whether anybody can be told or not: no error, and no panic as `println!` has.
        let _ = self.write(words, json);
    }

    /// Prints what was asked for.
    ///
    /// # Errors
    /// [`CommandError::Answer`], but not where the reader has seen enough and gone.
    pub(super) fn answer(self, words: &str, json: &Value) -> Result<(), CommandError> {
        match self.write(words, json) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CommandError::Answer(error)),
            _ => Ok(()),
        }
    }

    fn write(self, words: &str, json: &Value) -> io::Result<()> {
        match self {
            Self::Words => writeln!(stdout(), "{}", shown::lines(words)),
            Self::Json => writeln!(stdout(), "{}", shown::json(json)),
        }
    }
}

/// How a command on messages says what it did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    style: Style,
    is_quiet: bool,
}

impl Voice {
    pub(super) fn new(args: AnswerArgs) -> Self {
        Self {
            style: if args.json { Style::Json } else { Style::Words },
            is_quiet: args.quiet,
        }
    }

    /// For errors.
    pub(super) fn style(self) -> Style {
        self.style
    }

    /// Whether a progress bar is wanted, on a terminal.
    pub(super) fn shows_progress(self) -> bool {
        self.style == Style::Words && !self.is_quiet
    }

    /// Says a result: on standard output, unless `output` took that. Words are then left out.
    pub(super) fn say(self, output: &Released, words: &str, json: &Value) {
        match (self.is_quiet, output.channel, self.style) {
            (true, _, _) | (_, Channel::Standard, Style::Words) => {}
            (false, Channel::Standard, Style::Json) => {
                let _ = writeln!(stderr(), "{}", shown::json(json));
            }
            (false, Channel::Other, style) => style.print(words, json),
        }
    }
}
