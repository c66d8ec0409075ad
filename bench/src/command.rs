//! Commands that end by themselves: what they cost from their start to their end, and what they said.

use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;

use crate::cpu;
use crate::error::BenchError;
use crate::interrupt;

/// A command that has ended well.
#[derive(Debug)]
pub struct Ended {
    /// CPU time, in user space and in the kernel.
    pub cpu: Duration,
    /// Both its streams, in the order in which it wrote.
    pub said: String,
}

/// Runs `command` to its end, in a process group of its own, so that an interruption ends all of it. It may end with 0 or with one of
/// `statuses`.
///
/// # Errors
/// [`BenchError::Start`], [`BenchError::Command`] when it fails, [`BenchError::Interrupted`].
pub fn run(name: &str, mut command: Command, statuses: &[i32]) -> Result<Ended, BenchError> {
    let failed = |source| BenchError::Start {
        name: name.to_owned(),
        source,
    };
    // A file, as a pipe that nobody reads would hold it up.
    let mut output = tempfile::tempfile().map_err(failed)?;
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(failed)?)
        .stderr(output.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let pid = child.id();
    // It has ended but its times can be read, until it is waited for in earnest.
    let leader = Pid::from_raw(pid.cast_signed()).expect("a child has a process number");
    interrupt::wait_for_end(leader).map_err(failed)?;
    let used = cpu::used_by(pid);
    let status = child.wait().map_err(failed)?;
    interrupt::check()?;
    let mut bytes = Vec::new();
    output.rewind().map_err(failed)?;
    output.read_to_end(&mut bytes).map_err(failed)?;
    let said = String::from_utf8_lossy(&bytes).into_owned();
    let well = status
        .code()
        .is_some_and(|code| code == 0 || statuses.contains(&code));
    match used {
        Some(cpu) if well => Ok(Ended { cpu, said }),
        _ => Err(BenchError::Command {
            name: name.to_owned(),
            output: said,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_time_is_its_own() {
        let mut idle = Command::new("sleep");
        idle.arg("0.01");
        let idle = run("sleep", idle, &[]).expect("it runs").cpu;
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"]);
        let busy = run("sh", busy, &[]).expect("it runs").cpu;
        assert!(busy > 2 * idle, "{busy:?} beside {idle:?}");
    }

    fn failing() -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo what is wrong >&2; exit 3"]);
        command
    }

    #[test]
    fn a_command_that_fails_has_no_cost() {
        let Err(BenchError::Command { output, .. }) = run("sh", failing(), &[4]) else {
            panic!("it failed");
        };
        assert_eq!(output, "what is wrong\n");
        let ended = run("sh", failing(), &[3]).expect("3 is allowed here");
        assert_eq!(ended.said, "what is wrong\n");
    }
}
