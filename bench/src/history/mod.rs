//! Layer C of the gates: results by commit, and where they changed. Charted, never gated.
//!
//! ```text
//! bench.ab/1, baseline.json -> entry: one line of JSON -> file
//! file -> series by machine and name -> change points -> text, page
//! ```

mod change;
mod entry;
mod page;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use self::entry::{Entry, EntryError, FORMAT, Series, series};

const EXAMPLES: &str = "\
Examples:
  bench ab HEAD~1 HEAD --json ab.json
  bench history append ab.json --file history.jsonl
  bench history append ab.json --file history.jsonl --instructions bench/baseline.json
  bench history show --file history.jsonl --html history.html

The file grows by one line for each append; keep it in a branch or an artefact of its own.

Exit codes: 0 done; 1 usage, or a file cannot be read or written, or is none of these.";

/// Arguments of `bench history`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct HistoryArgs {
    #[command(subcommand)]
    command: HistoryCommand,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Add a line: what the head of a `bench ab --json` came to.
    Append {
        /// The result of `bench ab --json`
        ab: PathBuf,
        /// Instruction counts of the same commit, in the form of bench/baseline.json
        #[arg(long, value_name = "FILE")]
        instructions: Option<PathBuf>,
        /// The history
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Where the series changed, and a page with charts.
    Show {
        /// The history
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Write a page too
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
}

/// A history could not be read or written. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not JSON.
    #[error("{}:{line}: {error}", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// It is JSON of something else.
    #[error("{} {error}", path.display())]
    Entry {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: EntryError,
    },
    /// A line of another version.
    #[error("{}:{line}: the format is {found}; this program reads {FORMAT}", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What it says.
        found: String,
    },
}

/// Adds a line, or shows all.
///
/// # Errors
///
/// [`HistoryError`]; then nothing was added.
pub fn run(args: &HistoryArgs) -> Result<(), HistoryError> {
    match &args.command {
        HistoryCommand::Append {
            ab,
            instructions,
            file,
        } => append(ab, instructions.as_deref(), file),
        HistoryCommand::Show { file, html } => {
            let all = series(&read(file)?);
            print!("{}", text(&all));
            match html {
                Some(path) => fs::write(path, page::page(&all)).map_err(at(path)),
                None => Ok(()),
            }
        }
    }
}

fn append(ab: &Path, instructions: Option<&Path>, file: &Path) -> Result<(), HistoryError> {
    let wrong = |path: &Path, error| HistoryError::Entry {
        path: path.to_owned(),
        error,
    };
    let mut entry = Entry::of_ab(&json(ab)?).map_err(|error| wrong(ab, error))?;
    if let Some(path) = instructions {
        let added = entry.add_instructions(&json(path)?);
        added.map_err(|error| wrong(path, error))?;
    }
    let mut line = serde_json::to_string(&entry).map_err(|error| at(file)(error.into()))?;
    line.push('\n');
    let opened = OpenOptions::new().append(true).create(true).open(file);
    // In one write, so that two jobs do not mix their lines.
    let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(at(file))
}

fn json(path: &Path) -> Result<serde_json::Value, HistoryError> {
    let text = fs::read_to_string(path).map_err(at(path))?;
    serde_json::from_str(&text).map_err(|error| HistoryError::Json {
        path: path.to_owned(),
        line: error.line(),
        error,
    })
}

/// The lines of a history.
fn read(path: &Path) -> Result<Vec<Entry>, HistoryError> {
    let text = fs::read_to_string(path).map_err(at(path))?;
    let lines = text.lines().enumerate();
    let written = lines.filter(|(_, line)| !line.trim().is_empty());
    written
        .map(|(number, line)| {
            let line_number = number + 1;
            let entry: Entry = serde_json::from_str(line).map_err(|error| HistoryError::Json {
                path: path.to_owned(),
                line: line_number,
                error,
            })?;
            match entry.format == FORMAT {
                true => Ok(entry),
                false => Err(HistoryError::Version {
                    path: path.to_owned(),
                    line: line_number,
                    found: entry.format,
                }),
            }
        })
        .collect()
}

/// One line for each series, and one for each of its changes.
fn text(all: &[Series]) -> String {
    let mut out = String::new();
    for series in all {
        let values: Vec<_> = series.points.iter().map(|(_, value)| *value).collect();
        let last = values.last().copied().unwrap_or_default();
        let count = values.len();
        out += &format!(
            "{} on {}: {count} values, the last {last:.1}\n",
            series.name, series.host
        );
        let changes = change::points(&values);
        for change in &changes {
            let commit = page::short(&series.points[*change].0);
            out += &format!(
                "  changed with {commit}: {}\n",
                page::step(&values, &changes, *change)
            );
        }
    }
    out
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> HistoryError {
    let path = path.to_owned();
    move |error| HistoryError::File { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(place: &Path, commit: u32, base: f64) -> PathBuf {
        let path = place.join("ab.json");
        let report = json!({
            "format": "bench.ab/1",
            "host": "h",
            "done_unix_s": commit,
            "head": {"commit": format!("{commit:040}")},
            "scenarios": [{"name": "echo", "metrics": [
                {"metric": "cpu_per_operation", "base": base, "head": {"mean": 0.0}},
            ]}],
        });
        fs::write(&path, report.to_string()).expect("written");
        path
    }

    #[test]
    fn what_is_appended_is_shown_with_its_change() {
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("history.jsonl");
        for commit in 0..24 {
            let base = if commit < 12 { 100.0 } else { 105.0 } + f64::from(commit % 3);
            let ab = result(place.path(), commit, base);
            append(&ab, None, &file).expect("it is a result");
        }
        let entries = read(&file).expect("it was written so");
        assert_eq!(entries.len(), 24);
        let said = text(&series(&entries));
        assert!(
            said.contains("ab/echo/cpu_per_operation on h: 24 values"),
            "{said}"
        );
        let changed = "  changed with 000000000000: 101.0 to 106.0 (+5.0 %)\n";
        assert!(said.ends_with(changed), "{said}");
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line_and_nothing_is_added() {
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("history.jsonl");
        let other = place.path().join("other.json");
        fs::write(&other, "{\"format\":\"loadgen.run/2\"}").expect("written");
        let said = append(&other, None, &file)
            .expect_err("another format")
            .to_string();
        assert!(
            said.contains("other.json") && said.contains("loadgen.run/2"),
            "{said}"
        );
        assert!(!file.exists());
        let ab = result(place.path(), 1, 1.0);
        append(&ab, None, &file).expect("it is a result");
        let text = fs::read_to_string(&file).expect("it is there");
        fs::write(
            &file,
            format!("{text}{}", text.replace("history/1", "history/2")),
        )
        .expect("written");
        let said = read(&file).expect_err("another version").to_string();
        assert!(
            said.contains("history.jsonl:2") && said.contains("history/2"),
            "{said}"
        );
        fs::write(&file, "{").expect("written");
        let said = read(&file).expect_err("no JSON").to_string();
        assert!(said.contains("history.jsonl:1"), "{said}");
    }
}
