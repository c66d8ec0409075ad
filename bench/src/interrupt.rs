//! Ctrl-C and SIGTERM. What is under way is given up, what was measured before it is reported, and whatever was started is ended, as at
//! any other end.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

use crate::error::BenchError;

/// Signals belong to the process.
static CAME: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// Can be read from the first signal on, and nobody reads it: what waits for something else sees that.
static TOLD: OnceLock<UnixStream> = OnceLock::new();

/// From now on, the signals are noted and end nothing by themselves.
///
/// # Errors
///
/// The system refuses a handler.
pub fn watch() -> io::Result<()> {
    let (told, tells) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&CAME))?;
        pipe::register(signal, tells.try_clone()?)?;
    }
    // Whoever watches twice has watched the first time.
    let _ = TOLD.set(told);
    Ok(())
}

/// Asked after everything that takes time: what a signal fell into does not count, however it ended.
///
/// # Errors
///
/// [`BenchError::Interrupted`] once a signal has come.
pub fn check() -> Result<(), BenchError> {
    match CAME.load(Ordering::Relaxed) {
        true => Err(BenchError::Interrupted),
        false => Ok(()),
    }
}

/// Waits until a child that leads a process group has ended, without reaping it. A signal is handed on to the group, and the
/// child's end is still waited for.
///
/// # Errors
///
/// The system's.
pub fn wait_for_end(leader: Pid) -> io::Result<()> {
    let child = pidfd_open(leader, PidfdFlags::empty())?;
    let mut told = TOLD.get();
    loop {
        let mut awaited = vec![PollFd::new(&child, PollFlags::IN)];
        awaited.extend(told.map(|told| PollFd::new(told, PollFlags::IN)));
        match poll(&mut awaited, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !awaited[0].revents().is_empty() {
            return Ok(());
        }
        // It is not reaped, so the group is still its own, and a signal to it cannot reach anybody else.
        let _ = kill_process_group(leader, Signal::TERM);
        told = None;
    }
}
