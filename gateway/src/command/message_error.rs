//! Why a command on a message was not carried out: what, where, and what would be right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use sealgate_envelope::grant::GrantError;
use sealgate_envelope::{
    ContextError, KeyError, RandomUnavailable, RangeError, RecipientError, Refusal, RefusalReason,
    SealError, WrapError,
};
use sealgate_keys::{OpenBeginError, SealBeginError};
use thiserror::Error;

/// What was to be done with a file or a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Open,
    Read,
    Create,
    Write,
    Sync,
    /// Giving the finished file its name.
    Rename,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Create => "create",
            Self::Write => "write to",
            Self::Sync => "flush",
            Self::Rename => "give its name to",
        })
    }
}

/// A command on messages that was not carried out.
#[derive(Debug, Error)]
pub(super) enum MessageError {
    /// A file or a pipe.
    #[error("cannot {operation} {name}: {error}")]
    Io {
        operation: Operation,
        name: Box<str>,
        error: io::Error,
    },
    /// The output is there already.
    #[error("{}: there is a file already; --force replaces it", path.display())]
    OutputExists { path: PathBuf },
    /// The output would grow the input.
    #[error("{name}: input and output are the same file; give -o FILE")]
    InputIsOutput { name: Box<str> },
    /// A grant where a message is expected: its plaintext is a data key.
    #[error("{name}: a grant, not a message; open the message that it is for, with --grant {name}")]
    IsAGrant { name: Box<str> },
    /// Binary output would go to a terminal.
    #[error("standard output is a terminal, and this is binary; give -o FILE, or a pipe")]
    OutputIsTerminal,
    /// Nobody is named who could open or for whom to seal.
    #[error("no key is given; expected one of {expected}")]
    NoKeyGiven { expected: &'static str },
    /// Several keyrings or `tenant` pairs that differ.
    #[error(
        "--context tenant={given} is not the keyring's tenant, whose pseudonym is {pseudonym}; leave it out, the keyring adds it"
    )]
    OtherTenant {
        given: Box<str>,
        pseudonym: Box<str>,
    },
    /// A key file.
    #[error("{}: {fault}", path.display())]
    KeyFile { path: PathBuf, fault: KeyFileFault },
    /// The pairs on the command line.
    #[error("the context: {0}")]
    Context(#[from] ContextError),
    /// None of the keys that were given.
    #[error("{name}: no key that was given opens it: {why}. It is sealed for {recipients}")]
    NoKeyOpens {
        name: Box<str>,
        why: NoKeyOpens,
        recipients: Box<str>,
    },
    /// The message carries another context than is expected.
    #[error("{name}: the message's context differs: {difference}")]
    ContextDiffers {
        name: Box<str>,
        difference: ContextDifference,
    },
    /// The message itself.
    #[error("{name}: {refusal}{}", hint(refusal))]
    Refused { name: Box<str>, refusal: Refusal },
    /// A part that the message does not have, or does not give.
    #[error("{name}: {error}")]
    Range { name: Box<str>, error: RangeError },
    /// A range where there is no seeking.
    #[error("{name}: --range needs a file that can be read at any place; write it to one first")]
    RangeOfStream { name: Box<str> },
    /// More plaintext than is held in memory for a pipe.
    #[error(
        "{name}: more than {most} bytes of plaintext, which is the most that is held until the last tag has verified; give -o FILE, or --partial to let plaintext out before the message is known to be whole"
    )]
    TooLongToHold { name: Box<str>, most: usize },
    /// A message that broke off, after a part that was let out because that was asked for.
    #[error("{error}; {output} has the {len_bytes} bytes before, whose frames verified")]
    Partial {
        error: Box<MessageError>,
        output: Box<str>,
        len_bytes: u64,
    },
    /// A grant.
    #[error("{}: {error}", path.display())]
    Grant { path: PathBuf, error: GrantError },
    /// A message that could not be sealed.
    #[error("cannot seal: {0}")]
    Seal(#[from] SealError),
    /// A keyring that did not wrap.
    #[error("cannot seal: {0}")]
    Keyring(#[from] SealBeginError),
    /// A key that did not wrap.
    #[error("cannot seal: {0}")]
    Wrap(#[from] WrapError),
    /// No random bytes.
    #[error(transparent)]
    RandomUnavailable(#[from] RandomUnavailable),
}

/// What is wrong with a key file.
#[derive(Debug, Error)]
pub(super) enum KeyFileFault {
    #[error(
        "{found} bytes, an AES-256 key has exactly 32; `head -c 32 /dev/urandom` makes such a key"
    )]
    NotRawAes { found: usize },
    #[error("longer than {most} bytes, which no key is")]
    TooLong { most: usize },
    #[error("an RSA key; give it with --raw-rsa NAMESPACE NAME, by which messages know it")]
    RsaNeedsName,
    #[error("not an RSA key; --raw-rsa takes no other")]
    NotRsa,
    #[error("the public half of a key; opening takes the private one")]
    PublicHalf,
    #[error(
        "the private half of a key; sealing takes the public one, and the private one had better stay where it is"
    )]
    PrivateHalf,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Name(#[from] RecipientError),
}

/// Why no key opens a message.
#[derive(Debug, Error)]
pub(super) enum NoKeyOpens {
    #[error("the message names none of them")]
    NotAddressed,
    #[error(
        "the message names one, but its data key does not unwrap: other key bytes, a --required-context that is missing or differs, or a damaged header"
    )]
    NotAuthentic,
    #[error("{0}")]
    Keyring(OpenBeginError),
}

/// How a message's context differs from the expected one. Text from the message is escaped.
#[derive(Debug, Error)]
pub(super) enum ContextDifference {
    #[error(
        "it has no {key:?}; if that pair was required when sealing and is not stored, give it as --required-context"
    )]
    Absent { key: Box<str> },
    #[error("{key:?} is \"{found}\", expected {expected:?}")]
    Other {
        key: Box<str>,
        found: Box<str>,
        expected: Box<str>,
    },
    #[error(
        "it stands at path \"{found}\"; if that is the object you mean, give that path as --context path=PATH"
    )]
    PathNotExpected { found: Box<str> },
    #[error("its tenant is not the keyring's")]
    Tenant,
    #[error("{key:?} is stored in the message; give it as --context")]
    StoredNotRequired { key: Box<str> },
}

impl MessageError {
    pub(super) fn io(operation: Operation, name: &str) -> impl FnOnce(io::Error) -> Self {
        let name = name.into();
        move |error| Self::Io {
            operation,
            name,
            error,
        }
    }

    /// Of the message `name`.
    pub(super) fn refused(name: &str) -> impl FnOnce(Refusal) -> Self {
        let name = name.into();
        move |refusal| Self::Refused { name, refusal }
    }

    /// Of opening a range of the message `name`.
    pub(super) fn range(name: &str, error: RangeError) -> Self {
        let name = name.into();
        match error {
            RangeError::Refused(refusal) => Self::Refused { name, refusal },
            RangeError::Read(error) => Self::Io {
                operation: Operation::Read,
                name,
                error,
            },
            error => Self::Range { name, error },
        }
    }

    /// As `exit_statuses!` lists them.
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::Io { .. }
            | Self::OutputExists { .. }
            | Self::KeyFile { .. }
            | Self::Keyring(_)
            | Self::Wrap(_)
            | Self::RandomUnavailable(_) => 1,
            Self::OutputIsTerminal
            | Self::InputIsOutput { .. }
            | Self::IsAGrant { .. }
            | Self::NoKeyGiven { .. }
            | Self::OtherTenant { .. }
            | Self::Context(_)
            | Self::Range { .. }
            | Self::RangeOfStream { .. }
            | Self::TooLongToHold { .. }
            | Self::Seal(_) => 2,
            Self::NoKeyOpens { .. } => 6,
            Self::Refused { refusal, .. } => refusal_status(refusal),
            Self::Grant { error, .. } => match error {
                GrantError::Refused(refusal) => refusal_status(refusal),
                GrantError::OtherDataKey | GrantError::OtherMessage | GrantError::NotAGrant => 6,
                GrantError::Seal(_) => 1,
            },
            Self::ContextDiffers { .. } => 9,
            Self::Partial { error, .. } => error.exit_status(),
        }
    }

    /// Offset in the message of what is wrong with it.
    pub(super) fn offset(&self) -> Option<u64> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.offset),
            Self::Partial { error, .. } => error.offset(),
            _ => None,
        }
    }
}

/// A message that is cut short may come whole when it is fetched again, a damaged one not.
fn refusal_status(refusal: &Refusal) -> u8 {
    match refusal.reason {
        RefusalReason::HeaderCutShort
        | RefusalReason::FinalFrameMissing
        | RefusalReason::FooterMissing => 8,
        _ => 7,
    }
}

/// What else may be the cause.
fn hint(refusal: &Refusal) -> &'static str {
    match (refusal.reason, refusal.offset) {
        (RefusalReason::HeaderCutShort, 0) => "; it is empty",
        (RefusalReason::HeaderTagMismatch, _) => {
            "; a --required-context that is missing or differs shows like this too"
        }
        (RefusalReason::Version { .. }, _) => "; is it a sealed message at all?",
        _ => "",
    }
}
