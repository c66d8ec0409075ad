//! Where a run keeps its files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::BenchError;

/// A directory of this run's files, gone when the run ends well.
pub struct Workplace(PathBuf);

impl Workplace {
    /// A new one among the temporary files.
    pub fn new() -> Result<Self, BenchError> {
        let path = std::env::temp_dir().join(format!("sealgate-bench-{}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(BenchError::File { path, source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // A leftover in the temporary directory harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
