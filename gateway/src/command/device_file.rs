//! Key files on disk: read whole, private ones only where nobody else can read them; created, never overwritten.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;
use sealgate_keys::FileOperation;
use sealgate_keys::private_file::{self, PrivateFileFault};
use zeroize::Zeroizing;

use super::device_key::DeviceKeyFault;
use super::directory;

/// An RSA key of 8192 bits takes 6.4 KB; comments around it may take more.
const LEN_BYTES_MOST: usize = 64 * 1024;

/// Mode of a private key file.
pub(super) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Mode of a public key file, before the umask.
pub(super) const PUBLIC: Mode = PRIVATE.union(Mode::RGRP).union(Mode::ROTH);

/// A key file that was read, still open: who may read it is asked of what was read.
pub(super) struct Contents {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    file: File,
}

impl Contents {
    /// Reads the whole file at `path`, which is a regular file.
    pub(super) fn read(path: &Path) -> Result<Self, DeviceKeyFault> {
        let file = private_file::open(path)?;
        // Reserved whole, so that no copy stays behind where the buffer grew.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LEN_BYTES_MOST + 1));
        (&file)
            .take(LEN_BYTES_MOST as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| io(FileOperation::Read, &error))?;
        if bytes.len() > LEN_BYTES_MOST {
            return Err(DeviceKeyFault::TooLong {
                most: LEN_BYTES_MOST,
            });
        }
        Ok(Self { bytes, file })
    }

    /// Refuses a file that others than its owner can access. For private keys.
    pub(super) fn refuse_others(&self) -> Result<(), DeviceKeyFault> {
        Ok(private_file::refuse_others(&self.file)?)
    }
}

/// Creates a file, which must not exist, and forces it and its folder to disk. What could not be written whole is removed.
pub(super) fn create(path: &Path, text: &str, mode: Mode) -> Result<(), DeviceKeyFault> {
    private_file::create(path, text, mode)?;
    directory::sync(path).map_err(|error| {
        // A key that may be gone after a crash would be believed in.
        let _ = fs::remove_file(path);
        io(FileOperation::Sync, &error)
    })
}

impl From<PrivateFileFault> for DeviceKeyFault {
    fn from(fault: PrivateFileFault) -> Self {
        match fault {
            PrivateFileFault::Io { operation, errno } => Self::Io { operation, errno },
            PrivateFileFault::AlreadyExists => Self::AlreadyExists,
            PrivateFileFault::NotRegularFile => Self::NotRegularFile,
            PrivateFileFault::OpenToOthers { mode } => Self::OpenToOthers { mode },
            PrivateFileFault::ForeignOwner { owner, expected } => {
                Self::ForeignOwner { owner, expected }
            }
        }
    }
}

/// Errors of `std::fs` on files come from the system and carry its number.
fn io(operation: FileOperation, error: &std::io::Error) -> DeviceKeyFault {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    DeviceKeyFault::Io { operation, errno }
}
