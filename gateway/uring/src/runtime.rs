//! The runtime of one worker thread.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, LocalOptions};

use crate::receive::Receive;
use crate::ring::Ring;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Ring>>> = const { RefCell::new(None) };
}

/// Runs `future` to its end on a runtime with a ring of its own, made for this thread. Tokio's timers and
/// synchronisation work inside; futures need not be `Send`.
///
/// When it returns, tasks that still run are dropped and their operations cancelled.
///
/// # Errors
/// [`StartError`] when the kernel refuses a ring: an operator's matter.
///
/// # Panics
/// Within another `run` of the same thread.
pub fn run<F: Future>(future: F) -> Result<F::Output, StartError> {
    run_with(Receive::default(), future)
}

/// As [`run`], with short messages received like this, where the kernel has it.
///
/// # Errors
/// As for [`run`].
///
/// # Panics
/// As for [`run`].
pub fn run_with<F: Future>(receive: Receive, future: F) -> Result<F::Output, StartError> {
    let receive = receive.on_this_kernel()?;
    let ring = Rc::new(Ring::new(receive).map_err(StartError)?);
    let wakeup = ring.wakeup().map_err(StartError)?;
    let _current = Current::enter(&ring);
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Before it would wait. What this wakes is run first.
        .on_thread_park(|| {
            with_current(Ring::turn);
        })
        .build_local(LocalOptions::default())
        .map_err(StartError)?;
    // Nobody awaits the ring's eventfd: its edge ends the runtime's wait, and the ring is turned before the next one.
    let _wakeup = {
        let _entered = runtime.enter();
        watched(wakeup).map_err(StartError)?
    };
    Ok(runtime.block_on(future))
}

/// A descriptor for the runtime's epoll to watch, by edges.
#[expect(
    deprecated,
    reason = "unsound for types that lie about their descriptor, which OwnedFd does not"
)]
pub(crate) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Makes a ring this thread's own until dropped, whichever way `run` ends. Declared before the runtime, so that the
/// runtime's tasks are gone when the ring closes.
struct Current;

impl Current {
    fn enter(ring: &Rc<Ring>) -> Current {
        let before = CURRENT.replace(Some(Rc::clone(ring)));
        assert!(before.is_none(), "one run within another");
        Current
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        if let Some(ring) = CURRENT.take() {
            ring.close();
        }
    }
}

fn with_current<T>(f: impl FnOnce(&Ring) -> T) -> Option<T> {
    CURRENT.with_borrow(|ring| ring.as_deref().map(f))
}

/// The ring of this thread.
///
/// # Panics
/// Outside [`run`].
pub(crate) fn current() -> Rc<Ring> {
    CURRENT.with_borrow(|ring| Rc::clone(ring.as_ref().expect("an operation outside of `run`")))
}

/// How short messages are received on this thread.
///
/// # Panics
/// Outside [`run`].
pub fn receive() -> Receive {
    current().receive()
}

/// How many multishot receives were started on this thread. For who wants to see what messages are received by.
///
/// # Panics
/// Outside [`run`].
pub fn multishot_receives() -> u64 {
    current().multishots()
}

/// Submits what waits, takes in what has completed and lets every other task that can go on do so once. For a task
/// that waits by looking again and again: while it does, the runtime never waits, and so never turns the ring.
///
/// # Panics
/// Outside [`run`].
pub async fn turn() {
    current().turn();
    tokio::task::yield_now().await;
}

/// Spawns a task on the runtime of this thread.
///
/// # Panics
/// Outside [`run`].
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + 'static,
{
    tokio::task::spawn_local(future)
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

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError(error)
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
