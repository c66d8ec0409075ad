//! Key files on disk: read whole, private ones only where nobody else can read them; created, never overwritten.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::{self, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;
use sealgate_keys::FileOperation;
use zeroize::Zeroizing;

use super::device_key::DeviceKeyFault;
use super::directory;

/// An RSA key of 8192 bits takes 6.4 KB; comments around it may take more.
const LEN_BYTES_MOST: usize = 64 * 1024;
const OTHERS: u32 = 0o077;

/// Mode of a private key file.
pub(super) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Mode of a public key file, before the umask.
pub(super) const PUBLIC: Mode = PRIVATE.union(Mode::RGRP).union(Mode::ROTH);

/// A key file that was read, and who may read it.
pub(super) struct Contents {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    stat: Stat,
}

impl Contents {
    /// Reads the whole file at `path`, which is a regular file.
    pub(super) fn read(path: &Path) -> Result<Self, DeviceKeyFault> {
        // Not blocking, so that a pipe in the file's place is refused and not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|errno| io(FileOperation::Open, errno))?;
        // On the open descriptor: what is checked is what is read.
        let stat = fs::fstat(&file).map_err(|errno| io(FileOperation::Stat, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(DeviceKeyFault::NotRegularFile);
        }
        // Reserved whole, so that no copy stays behind where the buffer grew.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LEN_BYTES_MOST + 1));
        File::from(file)
            .take(LEN_BYTES_MOST as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| io(FileOperation::Read, errno(&error)))?;
        if bytes.len() > LEN_BYTES_MOST {
            return Err(DeviceKeyFault::TooLong {
                most: LEN_BYTES_MOST,
            });
        }
        Ok(Self { bytes, stat })
    }

    /// Refuses a file that others than its owner can access. For private keys.
    pub(super) fn refuse_others(&self) -> Result<(), DeviceKeyFault> {
        let mode = self.stat.st_mode & 0o7777;
        if mode & OTHERS != 0 {
            return Err(DeviceKeyFault::OpenToOthers { mode });
        }
        let (owner, expected) = (self.stat.st_uid, geteuid().as_raw());
        if owner != expected && owner != 0 {
            return Err(DeviceKeyFault::ForeignOwner { owner, expected });
        }
        Ok(())
    }
}

/// Creates a file, which must not exist, and forces it and its folder to disk. What could not be written whole is removed.
pub(super) fn create(path: &Path, text: &str, mode: Mode) -> Result<(), DeviceKeyFault> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(CWD, path, flags, mode).map_err(|errno| match errno {
        Errno::EXIST => DeviceKeyFault::AlreadyExists,
        errno => io(FileOperation::Create, errno),
    })?;
    let mut file = File::from(file);
    let written = file
        .write_all(text.as_bytes())
        .map_err(|error| io(FileOperation::Write, errno(&error)))
        .and_then(|()| {
            file.sync_all()
                .map_err(|error| io(FileOperation::Sync, errno(&error)))
        })
        .and_then(|()| {
            directory::sync(path).map_err(|error| io(FileOperation::Sync, errno(&error)))
        });
    if written.is_err() {
        // Half a key is worth nothing and would be in the way of the next try.
        let _ = fs::unlink(path);
    }
    written
}

fn io(operation: FileOperation, errno: Errno) -> DeviceKeyFault {
    DeviceKeyFault::Io { operation, errno }
}

/// Errors of `std::fs` on files come from the system and carry its number.
fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
