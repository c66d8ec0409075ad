//! Files that flags of a load name: read from the disk, noted while they are, or only those that
//! somebody has sent. What builds a load reads them all through here, so that a load whose flags came
//! over the network sees no file of this machine.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use zeroize::Zeroizing;

/// Bytes of all files together that are sent with a load.
pub const MAX_SENT_BYTES: usize = 4 * 1024 * 1024;

/// Files by the names that the flags have for them. There may be private keys among them.
pub type Contents = BTreeMap<PathBuf, Zeroizing<Vec<u8>>>;

/// Where files are read from.
#[derive(Clone, Default)]
pub enum Files {
    /// From the disk.
    #[default]
    Disk,
    /// From the disk, and what was read is kept.
    Noted(Arc<Mutex<Contents>>),
    /// From what was sent, and nowhere else.
    Sent(Arc<Contents>),
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Files::Disk => "Disk",
            Files::Noted(_) => "Noted(..)",
            Files::Sent(_) => "Sent(..)",
        })
    }
}

impl Files {
    /// Reads a file, which has to end within `limit` bytes.
    ///
    /// # Errors
    ///
    /// What the system says; `FileTooLarge`; `PermissionDenied` for a file that was not sent.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        match self {
            Files::Disk => read(path, limit),
            Files::Noted(noted) => {
                let bytes = read(path, limit)?;
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                noted.insert(path.to_owned(), bytes.clone());
                match noted.values().map(|file| file.len()).sum::<usize>() > MAX_SENT_BYTES {
                    true => Err(io::Error::new(
                        io::ErrorKind::FileTooLarge,
                        format!(
                            "all files of a load are more than the {MAX_SENT_BYTES} bytes that go to agents"
                        ),
                    )),
                    false => Ok(bytes),
                }
            }
            Files::Sent(sent) => sent.get(path).cloned().ok_or_else(|| {
                let why = "the coordinator did not send it, and an agent reads no files for it";
                io::Error::new(io::ErrorKind::PermissionDenied, why)
            }),
        }
    }

    /// What was noted so far.
    pub fn noted(&self) -> Contents {
        match self {
            Files::Noted(noted) => noted.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Files::Disk | Files::Sent(_) => Contents::new(),
        }
    }
}

fn read(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match read as u64 > limit {
        true => Err(too_large(limit)),
        false => Ok(bytes),
    }
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("there are more than {limit} bytes, which is more than it can need"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_can_be_sent_and_nothing_else_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&other, "2").unwrap();
        let noted = Files::Noted(Arc::default());
        assert_eq!(**noted.read(&one, 1).unwrap(), *b"1");
        let sent = Files::Sent(Arc::new(noted.noted()));
        assert_eq!(**sent.read(&one, 1).unwrap(), *b"1");
        let refused = sent.read(&other, 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(Files::Disk.read(&other, 1).is_ok());
        assert!(
            Files::Disk.read(&other, 0).is_err(),
            "longer than its bound"
        );
    }

    #[test]
    fn more_than_can_be_sent_is_an_error_where_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'x'; MAX_SENT_BYTES + 1]).unwrap();
        let noted = Files::Noted(Arc::default());
        let error = noted.read(file.path(), u64::MAX - 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
