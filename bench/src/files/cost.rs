//! CPU time of a command from its start to its end, and of bare AES.

use std::process::{Command, Stdio};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::cpu;
use crate::error::BenchError;

/// What is sealed at once: as long as a frame.
const FRAME_LEN_BYTES: usize = 64 * 1024;

/// CPU time, in user space and in the kernel.
pub type Cost = Duration;

/// Runs `command` to its end.
///
/// # Errors
/// [`BenchError::Start`], or [`BenchError::Command`] when it fails.
pub fn of_command(name: &str, mut command: Command) -> Result<Cost, BenchError> {
    let failed = |source| BenchError::Start {
        name: name.to_owned(),
        source,
    };
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let pid = child.id();
    // It has ended but its times can be read, until it is waited for in earnest.
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let raw = Pid::from_raw(pid.cast_signed()).expect("a child has a process number");
    waitid(WaitId::Pid(raw), ended).map_err(|error| failed(error.into()))?;
    let used = cpu::used_by(pid);
    let output = child.wait_with_output().map_err(failed)?;
    match used {
        Some(used) if output.status.success() => Ok(used),
        _ => Err(BenchError::Command {
            name: name.to_owned(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}

/// Seals `len` bytes in memory, in one buffer over and over, with one key.
pub fn of_aes(len: u64) -> Cost {
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("the key is as long as it has to be");
    let key = LessSafeKey::new(key);
    let mut buffer = vec![0; FRAME_LEN_BYTES];
    let pid = std::process::id();
    let used = || cpu::used_by(pid).expect("this process lives");
    let before = used();
    for number in 0..len.div_ceil(FRAME_LEN_BYTES as u64) {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from([0; 32]), &mut buffer);
        let _ = std::hint::black_box(tag.expect("a frame is short enough"));
    }
    used().saturating_sub(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_time_is_its_own() {
        let mut idle = Command::new("sleep");
        idle.arg("0.01");
        let idle = of_command("sleep", idle).expect("it runs");
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"]);
        let busy = of_command("sh", busy).expect("it runs");
        assert!(busy > 2 * idle, "{busy:?} beside {idle:?}");
    }

    #[test]
    fn a_command_that_fails_has_no_cost() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo what is wrong >&2; exit 3"]);
        let Err(BenchError::Command { output, .. }) = of_command("sh", command) else {
            panic!("it failed");
        };
        assert_eq!(output, "what is wrong\n");
    }
}
