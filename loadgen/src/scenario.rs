//! The file of `loadgen mix`: strict, and every error names its line and what would be right.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_spanned::Spanned;
use thiserror::Error;

use crate::files::Files;

/// Operations of one mix.
pub const MAX_OPERATIONS: usize = 64;

/// Sealed messages of one operation, under each key.
pub const MAX_ENVELOPES: u32 = 100_000;

/// Longest scenario.
const MAX_BYTES: u64 = 1024 * 1024;

/// A scenario as it was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// Where operations go that name no target of their own.
    pub target: Spanned<String>,
    /// Flags of the load, by name.
    #[serde(default)]
    pub load: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    /// What is done.
    pub operation: Vec<Entry>,
}

/// One operation as it was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// Its name in the report.
    pub name: Spanned<String>,
    /// What it does.
    #[serde(default)]
    pub kind: Kind,
    /// Where.
    pub target: Option<Spanned<String>>,
    /// Its share of the operations.
    pub share: Option<Spanned<u64>>,
    /// Or its rate; then all have one.
    pub rate: Option<Spanned<String>>,
    /// Request method.
    pub method: Option<String>,
    /// Path and query.
    pub path: Option<String>,
    /// Objects of each tenant, for `{n}`.
    pub objects: Option<Spanned<usize>>,
    /// How objects are picked.
    pub pick: Option<Spanned<String>>,
    /// Whether to store all objects first.
    #[serde(default)]
    pub prepare: Prepare,
    /// Bytes in a body, an object or an echoed message.
    pub size: Option<Spanned<String>>,
    /// What makes an answer count.
    #[serde(default)]
    pub check: CheckName,
    /// Statuses that count.
    #[serde(default)]
    pub expect_status: Vec<u16>,
    /// Header fields.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Requests on one connection.
    pub reuse: Option<Spanned<String>>,
    /// Percent of the handshakes that resume a session.
    pub resume: Option<Spanned<String>>,
    /// Percent of the resumed handshakes that send early data, or of the new connections whose first
    /// request is sent so.
    pub early_data: Option<Spanned<String>>,
    /// Ready sealed messages to send, for each key.
    pub envelope: Option<Spanned<u32>>,
    /// The keyring to seal and open with.
    pub keyring: Option<String>,
    /// Or namespace, name and file of an AES-256 key.
    pub raw_aes: Option<[String; 3]>,
    /// Bytes of a transfer.
    pub bytes: Option<Spanned<String>>,
    /// Which way a transfer goes.
    #[serde(default)]
    pub direction: Direction,
    /// Objectives of its own.
    #[serde(default)]
    pub slo: Vec<Spanned<String>>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An HTTP request.
    #[default]
    Request,
    /// A handshake.
    Handshake,
    /// A message to a raw echo service.
    Echo,
    /// A transfer through source or sink.
    Bulk,
}

/// What makes an answer count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// Any complete answer.
    None,
    /// A status below 400.
    #[default]
    Status,
    /// The object, byte for byte; requests carry a digest.
    Hash,
    /// The body of the request.
    Echo,
    /// A sealed message that opens with the operation's key.
    Open,
}

/// Which way a transfer goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the target to us.
    #[default]
    Down,
    /// From us to the target.
    Up,
    /// Both at once, by way of an echo.
    Duplex,
}

/// Whether objects are stored before the load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "bool")]
pub enum Prepare {
    /// They are there, or are not needed.
    #[default]
    No,
    /// All of them.
    All,
}

impl From<bool> for Prepare {
    fn from(prepare: bool) -> Self {
        match prepare {
            true => Prepare::All,
            false => Prepare::No,
        }
    }
}

/// A scenario that is of no use. The operator's fault.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A place in it is wrong.
    #[error("{}, line {line}: {problem}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: Problem,
    },
}

/// What is wrong at a place of a scenario.
#[derive(Debug, Error)]
pub enum Problem {
    /// It is no TOML, or has keys that there are none of.
    #[error("{0}")]
    Toml(String),
    /// Too few or too many operations.
    #[error("{0} operations: write 1 to {MAX_OPERATIONS} tables [[operation]]")]
    Operations(usize),
    /// A name that is none, or is another one's.
    #[error(
        "{0:?} is no name of an operation: use letters, digits, '.', '-' and '_', and each name once"
    )]
    Name(String),
    /// No such flag.
    #[error("[load] has no key {key}; there are {known}")]
    NoSuchFlag {
        /// As it was written.
        key: String,
        /// Those that would do.
        known: String,
    },
    /// A value that is none.
    #[error("{value:?}: {why}")]
    Value {
        /// As it was written.
        value: String,
        /// What would be right.
        why: String,
    },
    /// A flag takes no table.
    #[error("a key of [load] takes a string, a number, true, or a list of strings")]
    FlagType,
    /// Neither share nor rate, or both.
    #[error(
        "give every operation a share, and [load] a rate; or give every operation a rate, and [load] none"
    )]
    ShareOrRate,
    /// All shares are 0.
    #[error("all shares are 0: give at least one operation a share")]
    NoShare,
    /// `{n}` without a number of objects, or the other way round.
    #[error(
        "objects and {{n}} in path belong together: say how many objects there are, and name each by its number"
    )]
    Objects,
    /// Objects have no file of weights.
    #[error("objects are picked by number: write pick = \"uniform\" or \"zipf(1.1)\"")]
    Pick,
    /// Keys that the kind of operation has no use for.
    #[error("{0} needs a path and takes no target with one: put the path under `path`")]
    TargetWithPath(String),
    /// Storing takes objects with a size.
    #[error("prepare and check = \"hash\" need to know the objects: add objects and size")]
    UnknownObjects,
    /// Sealed messages without a size, too many, or where plain ones were stored.
    #[error(
        "envelope is a number of messages from 1 to {MAX_ENVELOPES}: it goes with a size and a method with a body, and not with prepare, which stores plain objects"
    )]
    Envelope,
    /// Keys that other kinds of operations have.
    #[error("{0} is of another kind of operation: drop it")]
    OfAnotherKind(&'static str),
    /// The target does not fit the kind.
    #[error(
        "{0}: a request goes to http(s)://, echo and bulk to tls:// or tcp://, a handshake to https:// or tls://"
    )]
    WrongTarget(String),
}

/// A scenario with its text, to tell lines.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    text: String,
}

impl Source {
    /// Reads a scenario.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not of the form of a scenario.
    pub fn read(files: &Files, path: &Path) -> Result<(Self, Scenario), ScenarioError> {
        let unreadable = |error| ScenarioError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let bytes = files.read(path, MAX_BYTES).map_err(unreadable)?;
        let text = str::from_utf8(&bytes).map_err(|_| unreadable(ErrorKind::InvalidData.into()))?;
        let source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let parsed: Result<Scenario, _> = toml::from_str(&source.text);
        let scenario = parsed.map_err(|error| {
            let problem = Problem::Toml(error.message().to_owned());
            source.at(error.span().unwrap_or(0..0), problem)
        })?;
        source.check(&scenario)?;
        Ok((source, scenario))
    }

    fn check(&self, scenario: &Scenario) -> Result<(), ScenarioError> {
        let operations = scenario.operation.len();
        if !(1..=MAX_OPERATIONS).contains(&operations) {
            return Err(self.at(scenario.target.span(), Problem::Operations(operations)));
        }
        for (n, entry) in scenario.operation.iter().enumerate() {
            let name = entry.name.get_ref();
            let before = &scenario.operation[..n];
            if !crate::schedule::choice::is_name(name)
                || before.iter().any(|other| other.name.get_ref() == name)
            {
                return Err(self.at(entry.name.span(), Problem::Name(name.clone())));
            }
        }
        Ok(())
    }

    /// An error at a place of the file.
    pub fn at(&self, span: Range<usize>, problem: Problem) -> ScenarioError {
        let before = self.text.get(..span.start).unwrap_or_default();
        ScenarioError::At {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            problem,
        }
    }

    /// A value read as `T`; its error says what would be right.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn value<T: std::str::FromStr>(&self, written: &Spanned<String>) -> Result<T, ScenarioError>
    where
        T::Err: std::fmt::Display,
    {
        self.read_with(written, |text| text.parse::<T>())
    }

    /// A value read by `read`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn read_with<T, E: std::fmt::Display>(
        &self,
        written: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, ScenarioError> {
        read(written.get_ref()).map_err(|error| self.value_error(written, error))
    }

    /// What is wrong with a value, and what would be right.
    pub fn value_error<T: std::fmt::Display>(
        &self,
        written: &Spanned<T>,
        why: impl std::fmt::Display,
    ) -> ScenarioError {
        let problem = Problem::Value {
            value: written.get_ref().to_string(),
            why: why.to_string(),
        };
        self.at(written.span(), problem)
    }
}
