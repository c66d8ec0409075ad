//! What can be wrong with a keyring file. All of it is the operator's to put right, and says how.

use std::fmt;
use std::path::PathBuf;

use rustix::io::Errno;
use sealgate_envelope::RandomUnavailable;
use thiserror::Error;

use super::file::FORMAT;
use super::recovery::RecoveryFault;
use crate::limits::{EPOCHS_MOST, KEKS_MOST, KEYRING_FILE_LEN_BYTES_MOST, TENANT_LEN_BYTES_MOST};
use crate::provider::ProviderError;

/// A keyring file that was not loaded, created or rotated. No text of the file is in it, because that text is key material.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("keyring {}: {fault}", path.display())]
pub struct KeyringError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: KeyringFault,
}

/// What is wrong with a keyring file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyringFault {
    /// The system refused an operation.
    #[error("{operation}: {errno}")]
    Io {
        /// Which.
        operation: FileOperation,
        /// Why.
        errno: Errno,
    },
    /// There is a file already, and keys are never overwritten.
    #[error(
        "there is a file already; keys are never overwritten, choose another path or move it away"
    )]
    AlreadyExists,
    /// A directory, a pipe, a device: not a regular file.
    #[error("not a regular file; give the path of a file that `create` wrote")]
    NotRegularFile,
    /// Group or others have some access.
    #[error("mode {mode:04o} lets group or others at the keys; run `chmod 600 {}`", path.display())]
    OpenToOthers {
        /// The permission bits.
        mode: u32,
        /// The file, for the command that puts it right.
        path: PathBuf,
    },
    /// The file belongs to a user other than this process's and root.
    #[error(
        "owned by user {owner}, who can read and change the keys; make it belong to user {expected}"
    )]
    ForeignOwner {
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// Longer than a keyring can be.
    #[error("longer than {KEYRING_FILE_LEN_BYTES_MOST} bytes; this is not a keyring")]
    TooLong,
    /// Somebody writes to it while it is read.
    #[error("it grew while it was read; replace it whole, by a rename")]
    Grew,
    /// Not text.
    #[error("not UTF-8; this is not a keyring, or it is damaged")]
    NotUtf8,
    /// Not TOML.
    #[error("line {line}: not TOML; restore the file from its backup")]
    NotToml {
        /// The line, from 1.
        line: usize,
    },
    /// A key that no keyring has.
    #[error("key `{key}` is unknown; remove it")]
    UnknownKey {
        /// The key.
        key: Box<str>,
    },
    /// A key that every keyring has.
    #[error("key `{0}` is missing; restore the file from its backup")]
    Missing(KeyPath),
    /// A value of another type.
    #[error("key `{key}` should be {expected}")]
    WrongType {
        /// The key.
        key: KeyPath,
        /// What it should be.
        expected: &'static str,
    },
    /// A format that this program does not know.
    #[error(
        "key `format` is {found}, expected {FORMAT} or 1; use a program of the version that wrote the file"
    )]
    Format {
        /// What stands there.
        found: i64,
    },
    /// Bytes in text that are not encoded as they should be, or of another length.
    #[error(
        "key `{key}` should be {len_bytes} bytes in {encoding}; restore the file from its backup"
    )]
    NotBytes {
        /// The key.
        key: KeyPath,
        /// How many bytes it should hold.
        len_bytes: usize,
        /// How they should be written.
        encoding: Encoding,
    },
    /// A tenant name that is empty, too long, or holds control characters.
    #[error("key `tenant` should be 1 to {TENANT_LEN_BYTES_MOST} bytes without control characters")]
    TenantName,
    /// A branch name other than lower-case letters, digits and `-`.
    #[error("key `branch` should be 1 to 32 lower-case letters, digits or `-`")]
    BranchName,
    /// An epoch or a KEK version of zero or beyond 32 bits.
    #[error("key `{0}` should be a number from 1 to 4294967295")]
    NumberOutOfRange(KeyPath),
    /// An epoch that stands there twice.
    #[error("epoch {epoch} stands there twice; restore the file from its backup")]
    DuplicateEpoch {
        /// The epoch.
        epoch: u32,
    },
    /// No branch key has the current epoch.
    #[error(
        "key `current_epoch` is {epoch}, which no `branch_key` has; restore the file from its backup"
    )]
    CurrentEpochUnknown {
        /// The current epoch.
        epoch: u32,
    },
    /// A branch key has a newer epoch than the current one.
    #[error(
        "key `current_epoch` is {epoch}, but there is epoch {newest}; epochs only go up, restore the file from its backup"
    )]
    CurrentEpochNotNewest {
        /// The current epoch.
        epoch: u32,
        /// The newest.
        newest: u32,
    },
    /// No branch key has the epoch that is to seal next, or that epoch is not newer than the current one.
    #[error(
        "key `next_epoch` is {epoch}, which no newer `branch_key` has; restore the file from its backup"
    )]
    NextEpochUnknown {
        /// The next epoch.
        epoch: u32,
    },
    /// A KEK version that wraps, or wrapped a branch key, is not there.
    #[error("KEK version {version} is needed and not there; restore the file from its backup")]
    KekUnknown {
        /// The version.
        version: u32,
    },
    /// A KEK version that stands there twice.
    #[error("KEK version {version} stands there twice; restore the file from its backup")]
    DuplicateKek {
        /// The version.
        version: u32,
    },
    /// There is a newer KEK version than the one that wraps.
    #[error(
        "key `kek_version` is {version}, but there is version {newest}; restore the file from its backup"
    )]
    KekNotNewest {
        /// The version that wraps.
        version: u32,
        /// The newest.
        newest: u32,
    },
    /// More KEK versions than the limit, or no number left.
    #[error("more than {KEKS_MOST} KEK versions; finish the rotation that left them")]
    TooManyKeks,
    /// The operator switched the keyring off.
    #[error("disabled; `sealgate keys disable --undo` switches it on again")]
    Disabled,
    /// The operator destroyed the keys. What they sealed opens nowhere any more.
    #[error("shredded; what was sealed for this tenant cannot be opened any more")]
    Shredded {
        /// When, in seconds of Unix time.
        at: u64,
    },
    /// A state that no keyring has.
    #[error("key `state` should be \"enabled\", \"disabled\" or \"shredded\"")]
    State,
    /// A recovery was not set up or not done.
    #[error(transparent)]
    Recovery(#[from] RecoveryFault),
    /// The record of what is done to the keyring was not written, and so it was not done.
    #[error("the audit record {} was not written, so nothing was done: {cause}", path.display())]
    Audit {
        /// The record.
        path: PathBuf,
        /// Why.
        cause: Box<KeyringFault>,
    },
    /// The key provider did not do its part.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// More epochs than the limit, or no number left.
    #[error("more than {EPOCHS_MOST} epochs; begin a new keyring")]
    TooManyEpochs,
    /// A branch key that does not unwrap: damage, or an entry of another tenant, branch or epoch.
    #[error(
        "branch key of epoch {epoch} does not unwrap under this file's KEK, pseudonym and branch; restore the file from its backup"
    )]
    WrapDamaged {
        /// The epoch.
        epoch: u32,
    },
    /// The file at the path is another keyring than the one that was loaded from there.
    #[error("the file is another keyring now; load it anew")]
    AnotherKeyring,
    /// Somebody else rotates this keyring right now.
    #[error("somebody else rotates this keyring right now; try again")]
    Busy,
    /// The system gave no random bytes.
    #[error(transparent)]
    RandomUnavailable(#[from] RandomUnavailable),
}

impl KeyringFault {
    /// Whether it is the operator's or the provider's own word that these keys are not to be used, and not a mishap.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Provider(error) => error.fault.is_refusal(),
            Self::Disabled | Self::Shredded { .. } => true,
            _ => false,
        }
    }
}

/// An operation on a keyring file or its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOperation {
    /// Opening it.
    Open,
    /// Creating it.
    Create,
    /// Asking for its mode and owner.
    Stat,
    /// Reading it.
    Read,
    /// Writing it.
    Write,
    /// Forcing it, or its folder, to disk.
    Sync,
    /// Locking it against a second rotation.
    Lock,
    /// Putting the new file in the old one's place.
    Rename,
    /// Removing what a crash left behind.
    Remove,
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "cannot open it",
            Self::Create => "cannot create it",
            Self::Stat => "cannot ask for its mode",
            Self::Read => "cannot read it",
            Self::Write => "cannot write it",
            Self::Sync => "cannot force it to disk",
            Self::Lock => "cannot lock it",
            Self::Rename => "cannot put the new file in its place",
            Self::Remove => "cannot remove what an interrupted rotation left",
        })
    }
}

/// How bytes are written in a keyring file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Base64 with padding.
    Base64,
    /// Lower-case hexadecimal.
    Hex,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "base64",
            Self::Hex => "lower-case hexadecimal",
        })
    }
}

/// A key of the keyring file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPath {
    /// A key at the top.
    Top(&'static str),
    /// A key of an entry of `[[kek]]`.
    Kek {
        /// Which entry, from 0.
        index: usize,
        /// The key in it.
        key: &'static str,
    },
    /// A key of an entry of `[[envelope]]`, in a recovery file.
    Envelope {
        /// Which entry, from 0.
        index: usize,
        /// The key in it.
        key: &'static str,
    },
    /// A key of an entry of `[[branch_key]]`.
    BranchKey {
        /// Which entry, from 0.
        index: usize,
        /// The key in it.
        key: &'static str,
    },
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(key) => f.write_str(key),
            Self::Kek { index, key } => write!(f, "kek[{index}].{key}"),
            Self::Envelope { index, key } => write!(f, "envelope[{index}].{key}"),
            Self::BranchKey { index, key } => write!(f, "branch_key[{index}].{key}"),
        }
    }
}
