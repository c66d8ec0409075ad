//! Where results go: text for people to standard output, JSON to a file, or JSON alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::builder::{PathBufValueParser, TypedValueParser};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use serde::Serialize;

use crate::error::BenchError;

/// A file that a command line names for a result. It is refused where it cannot be written: hours later would be too late.
pub fn file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(writable)
}

/// Writes nothing: there is no result yet.
fn writable(path: PathBuf) -> Result<PathBuf, BenchError> {
    let refuse = |place: &Path, source| {
        let path = place.to_owned();
        Err(BenchError::File { path, source })
    };
    let may = |place: &Path, access| accessat(CWD, place, access, AtFlags::EACCESS);
    if path == Path::new("-") {
        return Ok(path);
    }
    if path.is_dir() {
        return refuse(&path, io::ErrorKind::IsADirectory.into());
    }
    if path.exists() {
        return match may(&path, Access::WRITE_OK) {
            Ok(()) => Ok(path),
            Err(error) => refuse(&path, error.into()),
        };
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // What is no folder has no such entry.
    match may(&folder.join("."), Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(path),
        Err(error) => refuse(folder, error.into()),
    }
}

/// Prints the text, and writes the JSON to its file; `-` is standard output, instead of the text.
///
/// # Errors
///
/// [`BenchError::File`]: the file cannot be written. The text is printed all the same.
pub fn publish(json: Option<&Path>, text: &str, result: &impl Serialize) -> Result<(), BenchError> {
    let Some(path) = json else {
        print!("{text}");
        return Ok(());
    };
    let pretty = serde_json::to_string_pretty(result).map_err(|error| BenchError::File {
        path: path.to_owned(),
        source: error.into(),
    })? + "\n";
    if path == Path::new("-") {
        print!("{pretty}");
        return Ok(());
    }
    print!("{text}");
    write(path, pretty)
}

/// Writes a file that was asked for.
///
/// # Errors
///
/// [`BenchError::File`].
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), BenchError> {
    fs::write(path, content).map_err(|source| BenchError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_goes_to_a_file_that_can_be_written_and_none_is_made_before() {
        let place = tempfile::tempdir().expect("a folder");
        let (new, old) = (place.path().join("new"), place.path().join("old"));
        fs::write(&old, "kept").expect("written");
        for path in [&new, &old, Path::new("-"), Path::new("beside-this-program")] {
            assert_eq!(writable(path.to_owned()).expect("it can be"), path);
        }
        assert!(!new.exists() && !Path::new("beside-this-program").exists());
        assert_eq!(fs::read_to_string(&old).expect("it is there"), "kept");
        for (path, named) in [
            (place.path().join("none/new"), place.path().join("none")),
            (place.path().to_owned(), place.path().to_owned()),
            (old.join("new"), old),
        ] {
            let refused = writable(path);
            let Err(BenchError::File { path, .. }) = refused else {
                panic!("{named:?}");
            };
            assert_eq!(path, named);
        }
    }
}
