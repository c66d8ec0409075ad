//! Files that hold keys: read only where nobody else can, created once and never overwritten.
//!
//! What it does not do: bound how much is read, or know what stands in them.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fs::{self, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::keyring::errors::FileOperation;

const OTHERS: u32 = 0o077;

/// Why a key file is not used. The operator's to put right; those who read one say it in their own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateFileFault {
    /// The system refused an operation.
    Io {
        /// Which.
        operation: FileOperation,
        /// Why.
        errno: Errno,
    },
    /// There is a file already.
    AlreadyExists,
    /// A directory, a pipe, a device.
    NotRegularFile,
    /// Group or others have some access.
    OpenToOthers {
        /// The permission bits.
        mode: u32,
    },
    /// It belongs to a user other than this process's and root.
    ForeignOwner {
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
}

impl PrivateFileFault {
    fn io(operation: FileOperation) -> impl Fn(Errno) -> Self {
        move |errno| Self::Io { operation, errno }
    }

    /// Errors of `std::fs` on files come from the system and carry its number.
    fn std(operation: FileOperation) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Io {
            operation,
            errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        }
    }
}

/// Opens a regular file to read it. Whether it is private is for [`refuse_others`] to say, of the same descriptor.
///
/// # Errors
/// [`PrivateFileFault::Io`] or [`PrivateFileFault::NotRegularFile`].
pub fn open(path: &Path) -> Result<File, PrivateFileFault> {
    // Not blocking, so that a pipe in the file's place is refused and not waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = fs::openat(CWD, path, flags, Mode::empty())
        .map_err(PrivateFileFault::io(FileOperation::Open))?;
    let file = File::from(file);
    regular(&file)?;
    Ok(file)
}

/// Refuses a file that others than its owner, this process's user or root, can access.
///
/// # Errors
/// [`PrivateFileFault`].
pub fn refuse_others(file: &File) -> Result<(), PrivateFileFault> {
    let stat = regular(file)?;
    let mode = stat.st_mode & 0o7777;
    if mode & OTHERS != 0 {
        return Err(PrivateFileFault::OpenToOthers { mode });
    }
    let (owner, expected) = (stat.st_uid, geteuid().as_raw());
    if owner != expected && owner != 0 {
        return Err(PrivateFileFault::ForeignOwner { owner, expected });
    }
    Ok(())
}

/// Creates a file, which must not exist, with `mode`, and forces its content to disk; its name is for the caller to force. What could not
/// be written whole is removed.
///
/// # Errors
/// [`PrivateFileFault::AlreadyExists`] or [`PrivateFileFault::Io`].
pub fn create(path: &Path, text: &str, mode: Mode) -> Result<(), PrivateFileFault> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(CWD, path, flags, mode).map_err(|errno| match errno {
        Errno::EXIST => PrivateFileFault::AlreadyExists,
        errno => PrivateFileFault::io(FileOperation::Create)(errno),
    })?;
    let mut file = File::from(file);
    let written = file
        .write_all(text.as_bytes())
        .map_err(PrivateFileFault::std(FileOperation::Write))
        .and_then(|()| {
            file.sync_all()
                .map_err(PrivateFileFault::std(FileOperation::Sync))
        });
    if written.is_err() {
        // Half a key is worth nothing and would be in the way of the next try.
        let _ = fs::unlink(path);
    }
    written
}

fn regular(file: &File) -> Result<Stat, PrivateFileFault> {
    let stat = fs::fstat(file).map_err(PrivateFileFault::io(FileOperation::Stat))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat),
        _ => Err(PrivateFileFault::NotRegularFile),
    }
}
