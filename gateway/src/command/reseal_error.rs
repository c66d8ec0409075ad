//! Why a file was not resealed. It is as it was.

use std::io;
use std::path::{Path, PathBuf};

use sealgate_envelope::reseal::ResealError;
use thiserror::Error;

use super::message_error::MessageError;

/// A file that was not resealed.
#[derive(Debug, Error)]
pub(super) enum ResealFault {
    /// The message, or what it is opened and sealed with.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The new message, or the way it came back from the disk.
    #[error("{}: {error}", path.display())]
    Reseal { path: PathBuf, error: ResealError },
    /// Something stands where the new message was to go.
    #[error("{}: there is a file already; give --output a name that is free", path.display())]
    OutputExists { path: PathBuf },
    /// A directory or an entry that cannot be looked at.
    #[error("cannot look at it: {0}")]
    Walk(io::Error),
    /// Directories within directories.
    #[error("more than {most} directories within each other; name this one on the command line")]
    TooDeep { most: usize },
    /// Not a message, and named on the command line.
    #[error("not a regular file")]
    NotRegularFile,
    /// Only one name would get the new message.
    #[error(
        "it has {links} names (hard links), of which only this one would get the new message; `cp` it, and remove the old names, first"
    )]
    HardLinked { links: u64 },
    /// Its mode, owner, group or attributes cannot be given to the new file.
    #[error("its {what} cannot be given to the new message: {error}; run as its owner, or as root")]
    NotKept {
        what: &'static str,
        error: io::Error,
    },
    /// Another writer was there meanwhile.
    #[error("somebody else changed it meanwhile; run again")]
    ChangedMeanwhile,
    /// A keyring opens only messages that name its tenant.
    #[error(
        "its context does not name the keyring's tenant, and a reseal keeps the context; open it, and seal it for that tenant"
    )]
    OtherTenant,
}

impl ResealFault {
    /// Offset in the message of what is wrong with it.
    pub(super) fn offset(&self) -> Option<u64> {
        match self {
            Self::Message(error) => error.offset(),
            _ => None,
        }
    }

    /// The fault with the file that it is about; some say it themselves.
    pub(super) fn about(&self, path: &Path) -> String {
        match self {
            Self::Message(_) | Self::Reseal { .. } | Self::OutputExists { .. } => self.to_string(),
            fault => format!("{}: {fault}", path.display()),
        }
    }
}
