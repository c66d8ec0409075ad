//! Where a run keeps its files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::{Builder, TempDir};

use crate::error::BenchError;

/// A directory of this run's files, which nobody else may enter: keys are among them. Servers that give up root have read theirs
/// by then. It is gone when the run ends, also where the run was interrupted.
pub struct Workplace(TempDir);

impl Workplace {
    /// A new one among the temporary files.
    pub fn new() -> Result<Self, BenchError> {
        Self::within(&std::env::temp_dir())
    }

    /// A new one in a directory that is there.
    pub fn within(parent: &Path) -> Result<Self, BenchError> {
        let made = Builder::new()
            .prefix("sealgate-bench-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent);
        made.map(Self).map_err(|source| BenchError::File {
            path: parent.to_owned(),
            source,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_its_own_and_its_owners_and_goes_with_what_is_in_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let make = || Workplace::within(parent.path()).expect("it can be written");
        let (one, other) = (make(), make());
        assert_ne!(one.path(), other.path());
        let metadata = std::fs::metadata(one.path()).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
        std::fs::write(one.path().join("key"), "secret").expect("written");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
    }

    #[test]
    fn where_none_can_be_made_that_is_said_with_its_place() {
        let refused = Workplace::within(Path::new("/nonexistent"));
        let said = refused.err().expect("there is no such place").to_string();
        assert!(said.starts_with("/nonexistent"), "{said}");
    }
}
