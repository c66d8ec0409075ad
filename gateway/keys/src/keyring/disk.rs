//! The keyring file on disk: read only where nobody else can, created once, replaced whole.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{self, CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use zeroize::{Zeroize, Zeroizing};

use super::errors::{FileOperation, KeyringFault};
use crate::limits::KEYRING_FILE_LEN_BYTES_MOST;
use crate::private_file::{self, PrivateFileFault};
use crate::secret::SecretText;

/// What follows a keyring's name in that of the file that is to replace it.
pub(super) const NEW: &str = ".new";
/// In that of the record of what was done to it.
pub(super) const AUDIT: &str = ".audit";
/// In that of its branch keys as the recovery key opens them.
pub(super) const RECOVERY: &str = ".recovery";

/// Reads the whole keyring at `path` after checking that it is a regular file that nobody else can access.
pub(super) fn read(path: &Path) -> Result<SecretText, KeyringFault> {
    read_from(&open(path)?)
}

/// A keyring file that is locked against a second rotation, until it is dropped.
pub(super) struct Locked {
    file: File,
    /// Where it really is: a link stays in place, what it points to is replaced.
    path: PathBuf,
}

impl Locked {
    /// Opens and locks the file. The lock is on this very file: who waits behind a rotation holds the replaced one, and is told so.
    pub(super) fn open(path: &Path) -> Result<Self, KeyringFault> {
        let path =
            std::fs::canonicalize(path).map_err(|error| io(FileOperation::Open, errno(&error)))?;
        let file = open(&path)?;
        fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(
            |errno| match errno {
                Errno::WOULDBLOCK => KeyringFault::Busy,
                errno => io(FileOperation::Lock, errno),
            },
        )?;
        let held = fs::fstat(&file).map_err(|errno| io(FileOperation::Stat, errno))?;
        let there = fs::stat(&path).map_err(|errno| io(FileOperation::Stat, errno))?;
        if (held.st_dev, held.st_ino) != (there.st_dev, there.st_ino) {
            return Err(KeyringFault::Busy);
        }
        Ok(Self { file, path })
    }

    pub(super) fn read(&self) -> Result<SecretText, KeyringFault> {
        read_from(&self.file)
    }

    /// Replaces the file: after a crash at any moment the path holds the old text or the new, whole.
    pub(super) fn replace(self, text: &str) -> Result<(), KeyringFault> {
        // Under the lock, a file of the new one's name can only be what a crash left.
        put(&self.path, text)
    }

    /// Writes `text` over the file's own bytes and forces it to disk. For a shred: a file put in its place would leave the old bytes on
    /// free blocks. Where the file system or the device never writes in place, that is so all the same.
    pub(super) fn overwrite(self, text: &str) -> Result<(), KeyringFault> {
        overwrite(&self.path, text)
    }

    /// Where it really is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The file that belongs to the keyring at `path`: its name and `suffix`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Puts a file in the place of what is there, if anything: after a crash the path holds the old text or the new, whole.
pub(super) fn put(path: &Path, text: &str) -> Result<(), KeyringFault> {
    let new_path = beside(path, NEW);
    match fs::unlink(&new_path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(io(FileOperation::Remove, errno)),
    }
    write_new(&new_path, text)?;
    if let Err(errno) = fs::rename(&new_path, path) {
        let _ = fs::unlink(&new_path);
        return Err(io(FileOperation::Rename, errno));
    }
    sync_folder(path)
}

/// Appends a line to a file that nobody else can access, which is made where it is missing, and forces it to disk.
pub(super) fn append(path: &Path, line: &str) -> Result<(), KeyringFault> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| io(FileOperation::Open, errno))?;
    let mut file = File::from(file);
    private_file::refuse_others(&file).map_err(fault(path))?;
    // One write, so that two lines do not mix.
    file.write_all(line.as_bytes())
        .map_err(|error| io(FileOperation::Write, errno(&error)))?;
    file.sync_all()
        .map_err(|error| io(FileOperation::Sync, errno(&error)))?;
    sync_folder(path)
}

/// Writes over a file and removes it. Gives whether there was one.
pub(super) fn destroy(path: &Path) -> Result<bool, KeyringFault> {
    match fs::lstat(path) {
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(io(FileOperation::Stat, errno)),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            overwrite(path, "")?;
        }
        // A link or a pipe holds nothing.
        Ok(_) => {}
    }
    fs::unlink(path).map_err(|errno| io(FileOperation::Remove, errno))?;
    sync_folder(path)?;
    Ok(true)
}

/// Writes `text` and then spaces over a file's bytes.
fn overwrite(path: &Path, text: &str) -> Result<(), KeyringFault> {
    // A keyring may be read-only to its owner.
    fs::chmodat(CWD, path, Mode::RUSR | Mode::WUSR, fs::AtFlags::empty())
        .map_err(|errno| io(FileOperation::Write, errno))?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|errno| io(FileOperation::Open, errno))?;
    let mut file = File::from(file);
    let len_bytes = file
        .metadata()
        .map_err(|error| io(FileOperation::Stat, errno(&error)))?
        .len();
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().max(len_bytes as usize), b' ');
    file.write_all(&bytes)
        .map_err(|error| io(FileOperation::Write, errno(&error)))?;
    file.sync_all()
        .map_err(|error| io(FileOperation::Sync, errno(&error)))
}

/// Creates the file, which must not exist, and forces it and its folder to disk.
pub(super) fn create(path: &Path, text: &str) -> Result<(), KeyringFault> {
    write_new(path, text)?;
    sync_folder(path)
}

fn open(path: &Path) -> Result<File, KeyringFault> {
    let file = private_file::open(path).map_err(fault(path))?;
    // On the open descriptor: what was checked is what is read.
    private_file::refuse_others(&file).map_err(fault(path))?;
    Ok(file)
}

/// What is wrong with the file at `path`, in a keyring's words.
fn fault(path: &Path) -> impl Fn(PrivateFileFault) -> KeyringFault {
    let path = path.to_owned();
    move |fault| match fault {
        PrivateFileFault::Io { operation, errno } => io(operation, errno),
        PrivateFileFault::AlreadyExists => KeyringFault::AlreadyExists,
        PrivateFileFault::NotRegularFile => KeyringFault::NotRegularFile,
        PrivateFileFault::OpenToOthers { mode } => KeyringFault::OpenToOthers {
            mode,
            path: path.clone(),
        },
        PrivateFileFault::ForeignOwner { owner, expected } => {
            KeyringFault::ForeignOwner { owner, expected }
        }
    }
}

fn read_from(file: &File) -> Result<SecretText, KeyringFault> {
    let stat = fs::fstat(file).map_err(|errno| io(FileOperation::Stat, errno))?;
    let len_bytes = usize::try_from(stat.st_size)
        .ok()
        .filter(|len_bytes| *len_bytes <= KEYRING_FILE_LEN_BYTES_MOST)
        .ok_or(KeyringFault::TooLong)?;
    // One more than there is, to see that it was all. Reserved whole and read by hand, so that no copy of the text stays behind where a
    // buffer grew.
    let mut bytes = Zeroizing::new(vec![0; len_bytes + 1]);
    let mut read_bytes = 0;
    while read_bytes < bytes.len() {
        match read_some(file, &mut bytes[read_bytes..])? {
            0 => break,
            n => read_bytes += n,
        }
    }
    if read_bytes > len_bytes {
        return Err(KeyringFault::Grew);
    }
    bytes.truncate(read_bytes);
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|error| {
            error.into_bytes().zeroize();
            KeyringFault::NotUtf8
        })
}

fn read_some(mut file: &File, bytes: &mut [u8]) -> Result<usize, KeyringFault> {
    loop {
        match file.read(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(|error| io(FileOperation::Read, errno(&error))),
        }
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), KeyringFault> {
    private_file::create(path, text, Mode::RUSR | Mode::WUSR).map_err(fault(path))
}

fn sync_folder(path: &Path) -> Result<(), KeyringFault> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::openat(CWD, folder, flags, Mode::empty())
        .and_then(|folder| fs::fsync(&folder))
        .map_err(|errno| io(FileOperation::Sync, errno))
}

fn io(operation: FileOperation, errno: Errno) -> KeyringFault {
    KeyringFault::Io { operation, errno }
}

/// Errors of `std::fs` on files come from the system and carry its number.
fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_more_than_it_said_is_refused() {
        // The system says that it is empty; as with one that somebody writes to meanwhile.
        let file = File::open("/proc/self/cmdline").unwrap();
        assert_eq!(read_from(&file).err(), Some(KeyringFault::Grew));
    }
}
