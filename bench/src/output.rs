//! Where results go: text for people to standard output, JSON to a file, or JSON alone.

use std::{fs, path::Path};

use serde::Serialize;

use crate::error::BenchError;

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
