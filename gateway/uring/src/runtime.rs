//! The runtime of one worker thread.

use std::fmt;
use std::future::Future;
use std::io;

/// Submission queue entries. Submission is flushed when the thread parks, so this bounds a batch.
const SUBMISSION_ENTRIES: u32 = 1024;
/// Completion queue entries: every operation in flight may complete in one batch.
const COMPLETION_ENTRIES: u32 = 8192;

/// Runs `future` to its end on an io_uring runtime made for this thread. Tokio's timers and
/// synchronisation work inside; futures need not be `Send`.
///
/// When it returns, tasks that still run are dropped and their operations cancelled.
///
/// # Errors
/// [`StartError`] when the kernel refuses a ring: an operator's matter.
pub fn run<F: Future>(future: F) -> Result<F::Output, StartError> {
    let mut ring = tokio_uring::uring_builder();
    // SINGLE_ISSUER with DEFER_TASKRUN hangs in tokio-uring 0.5: completions then arrive only in
    // an `enter` that the runtime never makes.
    ring.setup_cqsize(COMPLETION_ENTRIES)
        .setup_single_issuer()
        .setup_coop_taskrun();
    let mut builder = tokio_uring::builder();
    builder.entries(SUBMISSION_ENTRIES).uring_builder(&ring);
    let runtime = tokio_uring::Runtime::new(&builder).map_err(StartError)?;
    Ok(runtime.block_on(future))
}

/// Spawns a task on the runtime of this thread.
///
/// # Panics
/// Outside [`run`].
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + 'static,
{
    tokio_uring::spawn(future)
}

/// The kernel refused a ring.
#[derive(Debug)]
pub struct StartError(io::Error);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = match self.0.raw_os_error() {
            Some(code) if code == rustix::io::Errno::PERM.raw_os_error() => {
                "io_uring is blocked: set sysctl kernel.io_uring_disabled=0 (or add this process's \
                 group to kernel.io_uring_group), and in a container allow io_uring_setup, \
                 io_uring_enter and io_uring_register in the seccomp profile"
            }
            Some(code) if code == rustix::io::Errno::NOSYS.raw_os_error() => {
                "this kernel has no io_uring, or a seccomp profile hides it: Linux 6.1 or newer is \
                 needed"
            }
            Some(code) if code == rustix::io::Errno::NOMEM.raw_os_error() => {
                "not enough locked memory for the ring: raise RLIMIT_MEMLOCK (LimitMEMLOCK= in a \
                 unit file)"
            }
            Some(code) if code == rustix::io::Errno::INVAL.raw_os_error() => {
                "this kernel's io_uring is too old: Linux 6.1 or newer is needed"
            }
            _ => "the kernel refused an io_uring instance",
        };
        write!(f, "{remedy} ({})", self.0)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_what_to_change() {
        let blocked = StartError(io::Error::from(rustix::io::Errno::PERM)).to_string();
        assert!(blocked.contains("kernel.io_uring_disabled"), "{blocked}");
        let locked = StartError(io::Error::from(rustix::io::Errno::NOMEM)).to_string();
        assert!(locked.contains("RLIMIT_MEMLOCK"), "{locked}");
    }
}
