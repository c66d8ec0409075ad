//! The directory in which a file stands: where the finished file gets its name.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// The directory in which the file at `path` stands.
pub(super) fn of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Forces the name `path` to disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(of(path))?.sync_all()
}

/// Renames a file to a name that is free.
///
/// # Errors
/// `AlreadyExists` where it is not; the system's.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // NFS knows no such rename, but links, which replace nothing either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_new(from, to),
        done => Ok(done?),
    }
}

fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_stays_where_it_is() {
        for rename in [rename_new, link_new] {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            fs::write(&from, "new").unwrap();
            rename(&from, &to).unwrap();
            assert!(!from.exists());
            fs::write(&from, "newer").unwrap();
            let taken = rename(&from, &to).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&to).unwrap(), b"new");
            assert_eq!(fs::read(&from).unwrap(), b"newer");
        }
    }
}
