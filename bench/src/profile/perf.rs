//! `perf`: whether it may record here, and its command lines; and inferno's programs, which draw.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::ProfileError;
use crate::{command, error::BenchError, process};

/// loadgen's exit status for a run whose rates do not hold, which perf hands on.
const LOADGEN_INVALID: i32 = 4;

/// What perf tells of a sample. Not its period, or stacks would be weighed by that, in nanoseconds or cycles.
const FIELDS: &str = "comm,pid,tid,time,event,ip,sym,dso";

/// The programs.
#[derive(Debug)]
pub struct Perf {
    perf: String,
    collapse: String,
    draw: String,
}

impl Perf {
    /// Finds the programs, and tries whether perf may record.
    ///
    /// # Errors
    ///
    /// [`BenchError::NoProgram`], [`ProfileError::NotPermitted`].
    pub fn find(place: &Path) -> Result<Self, ProfileError> {
        let install = "scripts/bench profile installs it; or by hand: cargo install inferno";
        let programs = Self {
            perf: process::find("perf", "install it: apt-get install linux-perf")?,
            collapse: process::find("inferno-collapse-perf", install)?,
            draw: process::find("inferno-flamegraph", install)?,
        };
        let mut trial = Command::new(&programs.perf);
        trial.args(["record", "--call-graph", "fp", "-o"]);
        trial.arg(place.join("trial.data")).args(["--", "true"]);
        match command::run("perf", trial, &[]) {
            Ok(_) => Ok(programs),
            Err(BenchError::Command { output, .. }) => Err(ProfileError::NotPermitted {
                paranoid: std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid")
                    .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
                said: output,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Records a process for as long as `load` runs.
    ///
    /// # Errors
    ///
    /// [`BenchError::Command`]: perf or the load failed.
    pub fn record(
        &self,
        pid: u32,
        frequency: u32,
        load: &[String],
        data: &Path,
    ) -> Result<(), BenchError> {
        let mut record = Command::new(&self.perf);
        record.args(words(pid, frequency)).arg("-o").arg(data);
        record.arg("--").args(load);
        command::run("perf record", record, &[LOADGEN_INVALID])?;
        Ok(())
    }

    /// Folds what was recorded, into a file beside it.
    ///
    /// # Errors
    ///
    /// [`BenchError`].
    pub fn fold(&self, data: &Path) -> Result<PathBuf, BenchError> {
        let (stacks, folded) = (data.with_extension("stacks"), data.with_extension("folded"));
        let mut script = Command::new(&self.perf);
        // Inlined functions would be looked up one address at a time, which takes minutes.
        script.args(["script", "--no-inline", "-F", FIELDS, "-i"]);
        script.arg(data);
        piped("perf script", script, None, &stacks)?;
        let mut collapse = Command::new(&self.collapse);
        // Functions of the kernel are told from others by an ending.
        collapse.arg("--kernel");
        piped("inferno-collapse-perf", collapse, Some(&stacks), &folded)?;
        Ok(folded)
    }

    /// Draws a flame graph of folded stacks.
    ///
    /// # Errors
    ///
    /// [`BenchError`].
    pub fn draw(&self, folded: &Path, title: &str, svg: &Path) -> Result<(), BenchError> {
        let mut draw = Command::new(&self.draw);
        draw.args(["--title", title, "--countname", "samples"]);
        piped("inferno-flamegraph", draw, Some(folded), svg)
    }
}

/// Frame pointers: the gateway of `scripts/bench profile` is built with them, and unwinding by DWARF
/// would copy the stack at each sample.
fn words(pid: u32, frequency: u32) -> [String; 7] {
    let (pid, frequency) = (pid.to_string(), frequency.to_string());
    ["record", "-F", &frequency, "--call-graph", "fp", "-p", &pid].map(str::to_owned)
}

/// Runs a filter from a file to another.
fn piped(
    name: &str,
    mut command: Command,
    from: Option<&Path>,
    to: &Path,
) -> Result<(), BenchError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    };
    match from {
        Some(path) => command.stdin(File::open(path).map_err(at(path))?),
        None => command.stdin(Stdio::null()),
    };
    let output = command
        .stdout(File::create(to).map_err(at(to))?)
        .stderr(Stdio::piped())
        .output()
        .map_err(|source| BenchError::Start {
            name: name.to_owned(),
            source,
        })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(BenchError::Command {
            name: name.to_owned(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_goes_from_file_to_file_and_its_failure_is_told() {
        let place = tempfile::tempdir().expect("a folder");
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        std::fs::write(&from, "abc").expect("written");
        let mut upper = Command::new("tr");
        upper.args(["a-z", "A-Z"]);
        piped("tr", upper, Some(&from), &to).expect("it runs");
        assert_eq!(std::fs::read_to_string(&to).expect("it is there"), "ABC");
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo why >&2; exit 1"]);
        let said = piped("sh", failing, None, &to)
            .expect_err("it fails")
            .to_string();
        assert!(said.contains("why"), "{said}");
    }

    #[test]
    fn one_process_is_recorded_by_frame_pointers() {
        assert_eq!(
            words(7, 999).join(" "),
            "record -F 999 --call-graph fp -p 7"
        );
    }
}
