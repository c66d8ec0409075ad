//! Where a command writes: a file that has its name only when it is whole, or a pipe.
//!
//! A file is written without a name (`O_TMPFILE`) in the directory where it will stand, flushed, linked, and the directory flushed. What is
//! killed half-way leaves nothing behind. Where the file system knows no such files (NFS), it is a hidden file beside the target,
//! which is removed on every failure but stays if the process is killed.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, IsTerminal, stdout};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, fallocate, fstatfs, linkat, openat};
use rustix::io::Errno;

use super::block_file::BlockFile;
use super::directory;
use super::input::Input;
use super::message_error::{MessageError, Operation};

/// Names that were drawn and taken before giving up. One of 2^64 is never taken unless somebody means harm.
const NAMES_MOST: usize = 8;

/// A file system in memory: `statfs(2)`.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Who may read what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// The owner only: mode 0600.
    Plaintext,
    /// Whoever the target's mode, or the umask, lets.
    Ciphertext,
}

/// What happens to a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Refuse,
    /// It is replaced in one step, when the new one is whole.
    Replace,
}

/// An output that is being written. Dropped without [`Output::commit`] a file was never there; a pipe has what it has.
pub(super) struct Output {
    name: Box<str>,
    file: BlockFile,
    end: End,
}

enum End {
    /// Standard output: written as it goes.
    Standard,
    /// A device or a named pipe: likewise.
    Stream,
    File(Pending),
}

/// A file without its name.
struct Pending {
    target: PathBuf,
    existing: Existing,
    /// The hidden file, where there is one; removed on drop.
    hidden: Option<Hidden>,
}

struct Hidden(PathBuf);

impl Drop for Hidden {
    fn drop(&mut self) {
        // It may have its final name already.
        let _ = fs::remove_file(&self.0);
    }
}

impl Output {
    /// The output at `path`; standard output where there is none, or for `-`.
    ///
    /// # Errors
    /// [`MessageError::Io`] or [`MessageError::OutputExists`]; nothing was made.
    pub(super) fn create(
        path: Option<&Path>,
        existing: Existing,
        secrecy: Secrecy,
    ) -> Result<Self, MessageError> {
        match path {
            Some(path) if path.as_os_str() != "-" => Self::create_at(path, existing, secrecy),
            _ => {
                let name = "standard output";
                let file = stdout().as_fd().try_clone_to_owned();
                let file = file.map_err(MessageError::io(Operation::Open, name))?;
                Ok(Self {
                    name: name.into(),
                    file: BlockFile::stream(File::from(file)),
                    end: End::Standard,
                })
            }
        }
    }

    fn create_at(path: &Path, existing: Existing, secrecy: Secrecy) -> Result<Self, MessageError> {
        let name = path.display().to_string().into_boxed_str();
        let failed = |error| MessageError::io(Operation::Create, &name)(error);
        let (target, replaced) = match fs::metadata(path) {
            // A device or a named pipe: nothing to replace, and nothing that could be left half-written.
            Ok(found) if !found.is_file() && !found.is_dir() => {
                let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
                let end = match is_standard_output(&found) {
                    true => End::Standard,
                    false => End::Stream,
                };
                let file = BlockFile::stream(file);
                return Ok(Self { name, file, end });
            }
            Ok(found) if found.is_dir() => return Err(failed(ErrorKind::IsADirectory.into())),
            Ok(_) if existing == Existing::Refuse => {
                return Err(MessageError::OutputExists { path: path.into() });
            }
            // What a symbolic link points to is replaced, not the link.
            Ok(found) => (fs::canonicalize(path).map_err(failed)?, Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(failed(error)),
        };
        if target.file_name().is_none() {
            return Err(failed(ErrorKind::InvalidInput.into()));
        }
        let mode = match secrecy {
            Secrecy::Plaintext => 0o600,
            Secrecy::Ciphertext => 0o666,
        };
        let (file, hidden) = create_unnamed(&target, mode).map_err(failed)?;
        if let (Secrecy::Ciphertext, Some(replaced)) = (secrecy, replaced) {
            let mode = Permissions::from_mode(replaced.permissions().mode() & 0o777);
            file.set_permissions(mode).map_err(failed)?;
        }
        let end = End::File(Pending {
            target,
            existing,
            hidden,
        });
        let file = BlockFile::blocks(file);
        Ok(Self { name, file, end })
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether bytes are out for good as soon as they are written.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.end, End::Standard | End::Stream)
    }

    /// Whether somebody looks at the bytes as they are.
    pub(super) fn is_terminal(&self) -> bool {
        self.file.file().is_terminal()
    }

    /// Refuses an output that goes straight into the file that `input` is: it would be read again, without end.
    ///
    /// # Errors
    /// [`MessageError::InputIsOutput`] or [`MessageError::Io`].
    pub(super) fn refuse_input(&self, input: &Input) -> Result<(), MessageError> {
        let own = self.file.file().metadata();
        let own = own.map_err(MessageError::io(Operation::Write, &self.name))?;
        let read = input.metadata()?;
        if own.is_file() && (own.dev(), own.ino()) == (read.dev(), read.ino()) {
            let name = input.name().into();
            return Err(MessageError::InputIsOutput { name });
        }
        Ok(())
    }

    /// Reserves room on disk, so that a disk that is too small shows before the work and not after it.
    ///
    /// # Errors
    /// [`MessageError::Io`] where there is no such room.
    pub(super) fn reserve(&self, len_bytes: u64) -> Result<(), MessageError> {
        if self.is_stream() || len_bytes == 0 {
            return Ok(());
        }
        match reserve(self.file.file(), len_bytes) {
            Err(error @ (Errno::NOSPC | Errno::FBIG)) => {
                Err(MessageError::io(Operation::Write, &self.name)(error.into()))
            }
            // Not every file system can.
            _ => Ok(()),
        }
    }

    /// A place for `len` bytes to be made in, so that they need not be copied; [`Output::advance`] says how many there are.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        self.file.room(len)
    }

    /// The first `len` bytes of the room are a part of the output.
    ///
    /// # Errors
    /// [`MessageError::Io`]; `BrokenPipe` when the reader of a pipe has gone.
    pub(super) fn advance(&mut self, len: usize) -> Result<(), MessageError> {
        let advanced = self.file.advance(len);
        advanced.map_err(MessageError::io(Operation::Write, &self.name))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// As [`Output::advance`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), MessageError> {
        let written = self.file.write(bytes);
        written.map_err(MessageError::io(Operation::Write, &self.name))
    }

    /// Ends it: a file gets its name, and is on disk when this returns.
    ///
    /// # Errors
    /// [`MessageError`]; the file is not there, and one that was there before is as it was. Only where the directory cannot be flushed, it
    /// is there, and may be gone after a crash.
    pub(super) fn commit(self) -> Result<Released, MessageError> {
        let Self { name, file, end } = self;
        let file = file
            .finish()
            .map_err(MessageError::io(Operation::Write, &name))?;
        let channel = match &end {
            End::Standard => Channel::Standard,
            End::Stream | End::File(_) => Channel::Other,
        };
        if let End::File(pending) = end {
            pending.commit(&name, &file)?;
        }
        Ok(Released { name, channel })
    }
}

/// An output that is done.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) name: Box<str>,
    pub(super) channel: Channel,
}

/// Whether an output took standard output, or left it to answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Standard,
    Other,
}

impl Pending {
    fn commit(&self, name: &str, file: &File) -> Result<(), MessageError> {
        file.sync_all()
            .map_err(MessageError::io(Operation::Sync, name))?;
        match self.give_name(file) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(MessageError::OutputExists {
                    path: self.target.clone(),
                });
            }
            done => done.map_err(MessageError::io(Operation::Rename, name))?,
        }
        directory::sync(&self.target).map_err(MessageError::io(Operation::Sync, name))
    }

    fn give_name(&self, file: &File) -> io::Result<()> {
        match (&self.hidden, self.existing) {
            (None, Existing::Refuse) => link(file, &self.target),
            (None, Existing::Replace) => {
                // A link never replaces; a rename does, and needs a name.
                let hidden = with_hidden_name(&self.target, |hidden| link(file, hidden))?.1;
                fs::rename(&hidden.0, &self.target)
            }
            (Some(hidden), Existing::Refuse) => directory::rename_new(&hidden.0, &self.target),
            (Some(hidden), Existing::Replace) => fs::rename(&hidden.0, &self.target),
        }
    }
}

/// Whether it is what standard output leads to: `/dev/stdout`, for one. Answers must not mix with it.
fn is_standard_output(found: &Metadata) -> bool {
    rustix::fs::fstat(stdout())
        .is_ok_and(|standard| (standard.st_dev, standard.st_ino) == (found.dev(), found.ino()))
}

/// Reserves room for a file of `len_bytes`.
fn reserve(file: &File, len_bytes: u64) -> rustix::io::Result<()> {
    let system = fstatfs(file)?;
    if system.f_type == TMPFS_MAGIC {
        // To reserve memory is to fill it, which costs as much as writing the file. Without a limit it says 0 of 0 blocks.
        let free = system.f_bavail.saturating_mul(system.f_bsize as u64);
        return match system.f_blocks > 0 && free < len_bytes {
            true => Err(Errno::NOSPC),
            false => Ok(()),
        };
    }
    fallocate(file, FallocateFlags::KEEP_SIZE, 0, len_bytes)
}

/// A file that nobody else sees, in the directory of `target`.
fn create_unnamed(target: &Path, mode: u32) -> io::Result<(File, Option<Hidden>)> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(CWD, directory::of(target), flags, Mode::from_raw_mode(mode)) {
        Ok(file) => {
            let file = File::from(file);
            // Without /proc it could not be linked later.
            if fs::symlink_metadata(proc_path(&file)).is_ok() {
                return Ok((file, None));
            }
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let (file, hidden) = create_hidden(target, mode)?;
    Ok((file, Some(hidden)))
}

fn create_hidden(target: &Path, mode: u32) -> io::Result<(File, Hidden)> {
    with_hidden_name(target, |hidden| {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(hidden)
    })
}

/// Draws hidden names beside `target` until `make` finds one that is free.
fn with_hidden_name<T>(
    target: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(T, Hidden)> {
    let mut last = io::Error::from(ErrorKind::AlreadyExists);
    for _ in 0..NAMES_MOST {
        let mut chance = [0; 8];
        rand::fill(&mut chance).map_err(|_| io::Error::other("no random bytes"))?;
        let chance = u64::from_ne_bytes(chance);
        let path = target.with_file_name(format!(".sealgate-{chance:016x}.tmp"));
        match make(&path) {
            Ok(made) => return Ok((made, Hidden(path))),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn link(file: &File, name: &Path) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_FOLLOW;
    linkat(CWD, proc_path(file), CWD, name, flags).map_err(io::Error::from)
}

fn proc_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// What only a file system without unnamed files shows; the others are shown by `gateway/tests/seal_command.rs`.
#[cfg(test)]
mod tests {
    use super::*;

    fn output(target: &Path, existing: Existing) -> Output {
        let (file, hidden) = create_hidden(target, 0o600).unwrap();
        let end = End::File(Pending {
            target: target.to_owned(),
            existing,
            hidden: Some(hidden),
        });
        let (name, file) = ("out".into(), BlockFile::blocks(file));
        Output { name, file, end }
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_hidden_file_gets_its_name_or_goes() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let mut whole = output(&target, Existing::Refuse);
        whole.write(b"one").unwrap();
        let late = output(&target, Existing::Refuse);
        drop(output(&target, Existing::Replace));
        assert_eq!(
            files(folder.path()),
            2,
            "one for each that is being written"
        );
        whole.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"one");
        let refused = late.commit().unwrap_err();
        assert!(matches!(refused, MessageError::OutputExists { .. }));
        let mut replacing = output(&target, Existing::Replace);
        replacing.write(b"two").unwrap();
        replacing.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(files(folder.path()), 1);
    }
}
