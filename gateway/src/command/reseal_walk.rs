//! The files under a path, one after the other: directories are walked, symbolic links are not followed.

use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use super::reseal_error::ResealFault;
use super::reseal_place;

/// Directories within each other. One is open for each, so it bounds memory and descriptors.
const DEPTH_MOST: usize = 128;

/// What a walk comes across.
pub(super) enum Found {
    /// A regular file, and whether somebody named it or it was found in a directory.
    File(PathBuf, Origin),
    /// What a run that was killed has left, and is gone now.
    Leftover(PathBuf),
    /// A directory or an entry that cannot be looked at. The walk goes on behind it.
    Failed(PathBuf, ResealFault),
}

/// How a walk came to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It stands on the command line.
    Named,
    /// It stands in a directory that does.
    Walked,
}

/// What a walk does with leftovers of a run that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftovers {
    Remove,
    Leave,
}

/// A walk in progress. It holds one open directory for each level and no list of names, however many there are.
pub(super) struct Walk {
    leftovers: Leftovers,
    start: Option<PathBuf>,
    open: Vec<(PathBuf, ReadDir)>,
}

impl Walk {
    pub(super) fn new(start: &Path, leftovers: Leftovers) -> Self {
        Self {
            leftovers,
            start: Some(start.to_owned()),
            open: Vec::new(),
        }
    }

    fn begin(&mut self, start: PathBuf) -> Option<Found> {
        // A link that somebody names stays in place; what it points to is meant.
        let found = fs::symlink_metadata(&start).and_then(|found| match found.is_symlink() {
            true => Ok((fs::metadata(&start)?, fs::canonicalize(&start)?)),
            false => Ok((found, start.clone())),
        });
        match found {
            Err(error) => Some(Found::Failed(start, ResealFault::Walk(error))),
            Ok((found, path)) if found.is_dir() => self.enter(path),
            Ok((_, path)) => Some(Found::File(path, Origin::Named)),
        }
    }

    fn enter(&mut self, path: PathBuf) -> Option<Found> {
        if self.open.len() == DEPTH_MOST {
            let fault = ResealFault::TooDeep { most: DEPTH_MOST };
            return Some(Found::Failed(path, fault));
        }
        match fs::read_dir(&path) {
            Ok(entries) => {
                self.open.push((path, entries));
                None
            }
            Err(error) => Some(Found::Failed(path, ResealFault::Walk(error))),
        }
    }

    fn visit(&mut self, path: PathBuf, file_type: io::Result<fs::FileType>) -> Option<Found> {
        match file_type {
            Err(error) => Some(Found::Failed(path, ResealFault::Walk(error))),
            Ok(file_type) if file_type.is_dir() => self.enter(path),
            Ok(file_type) if !file_type.is_file() => None,
            Ok(_) if path.file_name().is_some_and(reseal_place::is_leftover_name) => {
                match self.leftovers {
                    Leftovers::Leave => None,
                    Leftovers::Remove => match reseal_place::remove_leftover(&path) {
                        Ok(true) => Some(Found::Leftover(path)),
                        Ok(false) => None,
                        Err(error) => Some(Found::Failed(path, ResealFault::Walk(error))),
                    },
                }
            }
            Ok(_) => Some(Found::File(path, Origin::Walked)),
        }
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if let Some(start) = self.start.take()
            && let Some(found) = self.begin(start)
        {
            return Some(found);
        }
        loop {
            let (directory, entries) = self.open.last_mut()?;
            let found = match entries.next() {
                None => {
                    self.open.pop();
                    None
                }
                Some(Err(error)) => {
                    let failed = Found::Failed(directory.clone(), ResealFault::Walk(error));
                    // What cannot be read on is not tried for ever.
                    self.open.pop();
                    Some(failed)
                }
                Some(Ok(entry)) => self.visit(entry.path(), entry.file_type()),
            };
            if found.is_some() {
                return found;
            }
        }
    }
}
