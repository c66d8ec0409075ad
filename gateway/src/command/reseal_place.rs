//! Where a new message is written, and how it takes the place of the old one.
//!
//! ```text
//! .sealgate-reseal-*.tmp beside it, locked -> written, flushed -> read back -> renamed -> directory flushed
//! ```
//!
//! Killed at any time, the old message or the new one stands at the path, whole. The lock tells what a killed run left behind, which the
//! next one removes, from what another one is just writing.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use rustix::fs::{Advice, FlockOperation, Mode, XattrFlags};

use super::directory;
use super::message_error::{MessageError, Operation};
use super::reseal_error::ResealFault;

const PREFIX: &str = ".sealgate-reseal-";
const SUFFIX: &str = ".tmp";
/// Names that were drawn and taken, or removed by somebody, before giving up.
const NAMES_MOST: usize = 8;
/// Longest list of names of extended attributes, and longest value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX` of Linux).
const ATTRIBUTE_LEN_BYTES_MOST: usize = 64 * 1024;

/// A file that is written beside the place where it will stand. Dropped before [`Place::take`], it is removed.
pub(super) struct Place {
    path: PathBuf,
    file: File,
    is_placed: bool,
}

/// What a file at a path is known by, as long as nobody changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    file: (u64, u64),
    len_bytes: u64,
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            len_bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
}

impl Place {
    /// Makes and locks a file beside `target`, for its owner only.
    ///
    /// # Errors
    /// [`MessageError::Io`].
    pub(super) fn beside(target: &Path) -> Result<Self, MessageError> {
        let name = target.display().to_string();
        Self::draw(target).map_err(MessageError::io(Operation::Create, &name))
    }

    fn draw(target: &Path) -> io::Result<Self> {
        let mut last = io::Error::from(ErrorKind::AlreadyExists);
        for _ in 0..NAMES_MOST {
            let mut chance = [0; 8];
            rand::fill(&mut chance).map_err(|_| io::Error::other("no random bytes"))?;
            let chance = u64::from_ne_bytes(chance);
            let path = directory::of(target).join(format!("{PREFIX}{chance:016x}{SUFFIX}"));
            let file = match OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
            {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let place = Self {
                path,
                file,
                is_placed: false,
            };
            rustix::fs::flock(&place.file, FlockOperation::LockExclusive)?;
            // Before it was locked, another run may have taken it for a leftover.
            if place.file.metadata()?.nlink() > 0 {
                return Ok(place);
            }
        }
        Err(last)
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Forces what was written to disk, and lets the next read come from there where the system does as it is advised.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.file.sync_all()?;
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        Ok(())
    }

    /// Gives it mode, owner, group, access list and user's attributes of the file that `old` is.
    ///
    /// # Errors
    /// [`ResealFault::NotKept`].
    pub(super) fn inherit(&self, old: &File) -> Result<(), ResealFault> {
        let not_kept = |what| move |error| ResealFault::NotKept { what, error };
        let metadata = old.metadata().map_err(not_kept("mode"))?;
        let own = self.file.metadata().map_err(not_kept("owner"))?;
        if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
            std::os::unix::fs::fchown(&self.file, Some(metadata.uid()), Some(metadata.gid()))
                .map_err(not_kept("owner"))?;
        }
        copy_attributes(old, &self.file).map_err(not_kept("attributes"))?;
        // Last: changing the owner takes bits away.
        let mode = Mode::from_raw_mode(metadata.mode() & 0o7777);
        rustix::fs::fchmod(&self.file, mode).map_err(|errno| not_kept("mode")(errno.into()))
    }

    /// Takes the place of the file at `target`, which is still the one that `old` was.
    ///
    /// # Errors
    /// [`ResealFault::ChangedMeanwhile`] or [`MessageError::Io`]; the old file is as it was.
    pub(super) fn take(mut self, target: &Path, old: Identity) -> Result<(), ResealFault> {
        let name = target.display().to_string();
        match fs::symlink_metadata(target) {
            Ok(metadata) if Identity::of(&metadata) == old => {}
            _ => return Err(ResealFault::ChangedMeanwhile),
        }
        fs::rename(&self.path, target).map_err(MessageError::io(Operation::Rename, &name))?;
        self.is_placed = true;
        Ok(directory::sync(target).map_err(MessageError::io(Operation::Sync, &name))?)
    }

    /// Gets the name `target`, at which nothing stands yet.
    ///
    /// # Errors
    /// [`ResealFault::OutputExists`] or [`MessageError::Io`].
    pub(super) fn stand_at(mut self, target: &Path) -> Result<(), ResealFault> {
        let name = target.display().to_string();
        directory::rename_new(&self.path, target).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => ResealFault::OutputExists {
                path: target.into(),
            },
            _ => MessageError::io(Operation::Rename, &name)(error).into(),
        })?;
        self.is_placed = true;
        Ok(directory::sync(target).map_err(MessageError::io(Operation::Sync, &name))?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file has the name of one that a run was writing.
pub(super) fn is_leftover_name(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
        .is_some_and(|chance| {
            chance.len() == 16 && chance.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// Removes what a killed run left at `path`. Gives whether it did: what another run is just writing stays.
///
/// # Errors
/// The system's.
pub(super) fn remove_leftover(path: &Path) -> io::Result<bool> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
    {
        // Another run was quicker.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
        done => done?,
    }
    // Under the lock: another run's file that got its lasting name meanwhile is not at this one any more.
    let (held, there) = (file.metadata()?, fs::symlink_metadata(path));
    match there {
        Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {
            fs::remove_file(path)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn copy_attributes(old: &File, new: &File) -> io::Result<()> {
    let mut names = vec![0_u8; ATTRIBUTE_LEN_BYTES_MOST];
    let len = match rustix::fs::flistxattr(old, &mut names) {
        // Not every file system has any.
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        len => len?,
    };
    let mut value = vec![0_u8; ATTRIBUTE_LEN_BYTES_MOST];
    for name in names[..len].split(|byte| *byte == 0) {
        // Labels of security modules are the system's to give.
        if !name.starts_with(b"user.") && name != b"system.posix_acl_access" {
            continue;
        }
        let len = rustix::fs::fgetxattr(old, name, &mut value)?;
        rustix::fs::fsetxattr(new, name, &value[..len], XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("message");
        fs::write(&target, "old").unwrap();
        let old = Identity::of(&fs::metadata(&target).unwrap());
        let begin = || {
            let mut place = Place::beside(&target).unwrap();
            place.file().write_all(b"new").unwrap();
            place
        };
        let changed = |done| matches!(done, Err(ResealFault::ChangedMeanwhile));

        let place = begin();
        fs::write(&target, "older").unwrap();
        assert!(changed(place.take(&target, old)));
        let place = begin();
        fs::remove_file(&target).unwrap();
        assert!(changed(place.take(&target, old)));
        assert_eq!(names(folder.path()), Vec::<String>::new());

        fs::write(&target, "old again").unwrap();
        let old = Identity::of(&fs::metadata(&target).unwrap());
        begin().take(&target, old).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(begin().stand_at(&target).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["message"]);
    }

    #[test]
    fn only_names_that_are_drawn_here_are_leftovers() {
        for (name, is_one) in [
            (".sealgate-reseal-0123456789abcdef.tmp", true),
            (".sealgate-reseal-0123456789abcde.tmp", false),
            (".sealgate-reseal-0123456789abcdeg.tmp", false),
            ("sealgate-reseal-0123456789abcdef.tmp", false),
            (".sealgate-0123456789abcdef.tmp", false),
        ] {
            assert_eq!(is_leftover_name(OsStr::new(name)), is_one, "{name}");
        }
    }
}
