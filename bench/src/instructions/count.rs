//! Counting: the benches under callgrind, and the files that it leaves.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::InstructionsError;
use super::profile::Profile;
use crate::command;
use crate::error::BenchError;

/// What each scenario took, once for each round.
pub type Counts = BTreeMap<String, Vec<Profile>>;

/// Folders under callgrind's: package, bench, group, scenario.
const DEPTH_MOST: usize = 6;

/// Where counts come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The benches.
    Benches,
    /// The benches, with what this feature puts in.
    Injected(&'a str),
    /// Files that callgrind has left in this folder.
    Folder(&'a Path),
}

/// Adds the counts of so many rounds, or those that are there already.
///
/// # Errors
/// [`InstructionsError`]; the output of a bench that failed is in it.
pub fn add(
    source: Source<'_>,
    rounds: usize,
    counts: &mut Counts,
) -> Result<(), InstructionsError> {
    let feature = match source {
        Source::Folder(folder) => return gather(folder, counts),
        Source::Benches => None,
        Source::Injected(feature) => Some(feature),
    };
    let folder = target_folder().join("instructions");
    // The benches run in their package's folder, where a relative path would lead elsewhere.
    let folder = std::path::absolute(&folder).map_err(|source| InstructionsError::File {
        path: folder,
        source,
    })?;
    for round in 1..=rounds {
        eprintln!("counting instructions, round {round} of {rounds}");
        // What an earlier run left would be taken for this one's.
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(InstructionsError::File {
                    path: folder,
                    source,
                });
            }
            _ => {}
        }
        run_benches(&folder, feature)?;
        gather(&folder, counts)?;
    }
    Ok(())
}

fn run_benches(home: &Path, feature: Option<&str>) -> Result<(), InstructionsError> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args([
        "bench",
        "--locked",
        "--package",
        "bench",
        "--bench",
        "instructions",
    ]);
    command.args(feature.map(|feature| format!("--features={feature}")));
    command.env("GUNGRAUN_HOME", home);
    let shown = format!("{command:?}");
    // In a process group of its own: valgrind is a grandchild of cargo's, which a signal to bench alone would leave behind.
    match command::run("cargo bench", command, &[]) {
        Ok(_) => Ok(()),
        Err(BenchError::Interrupted) => Err(InstructionsError::Interrupted),
        Err(BenchError::Command { output, .. }) => Err(InstructionsError::Program {
            command: shown,
            output,
        }),
        Err(error) => Err(InstructionsError::Program {
            command: shown,
            output: error.to_string(),
        }),
    }
}

/// Runs a program to its end; gives what it wrote to its standard output.
///
/// # Errors
/// [`InstructionsError::Program`], with all that it wrote.
pub fn run(command: &mut Command) -> Result<String, InstructionsError> {
    let shown = format!("{command:?}");
    let refuse = |output| InstructionsError::Program {
        command: shown,
        output,
    };
    match command.output() {
        Err(error) => Err(refuse(error.to_string())),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            match output.status.success() {
                true => Ok(text),
                false => Err(refuse(format!(
                    "{text}{}",
                    String::from_utf8_lossy(&output.stderr)
                ))),
            }
        }
    }
}

fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// Adds what the files under `folder` say.
fn gather(folder: &Path, counts: &mut Counts) -> Result<(), InstructionsError> {
    let mut files = Vec::new();
    find(folder, DEPTH_MOST, &mut files)?;
    if files.is_empty() {
        return Err(InstructionsError::NoCounts {
            folder: folder.to_owned(),
        });
    }
    files.sort();
    for path in files {
        let text = fs::read_to_string(&path).map_err(|source| InstructionsError::File {
            path: path.clone(),
            source,
        })?;
        if let Some(name) = scenario(&path) {
            counts
                .entry(name)
                .or_default()
                .push(Profile::parse(&text, &path)?);
        }
    }
    Ok(())
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), InstructionsError> {
    let refuse = |source| InstructionsError::File {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        if path.is_dir() && depth > 0 {
            find(&path, depth - 1, files)?;
        } else if scenario(&path).is_some() {
            files.push(path);
        }
    }
    Ok(())
}

/// The scenario whose file this is: `relay.direct_1_kib` of `callgrind.relay.direct_1_kib.out`.
fn scenario(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    Some(
        name.strip_prefix("callgrind.")?
            .strip_suffix(".out")?
            .to_owned(),
    )
}
