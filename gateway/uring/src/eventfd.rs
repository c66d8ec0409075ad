//! Waking a worker from another thread.
//!
//! The runtime's epoll waits for it, not the ring: a write to an eventfd that a ring polls has the kernel signal the
//! ring's own eventfd from within that write, which it does not do at once, and on Linux 6.18 only the first time.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::EventfdFlags;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::runtime;

/// The worker's end: waits for signals.
pub struct EventFd {
    fd: AsyncFd<OwnedFd>,
}

/// The other threads' end: signals.
#[derive(Clone)]
pub struct EventFdSignal {
    fd: Arc<OwnedFd>,
}

impl EventFdSignal {
    /// An eventfd to be given to other threads; [`EventFd::new`] makes the worker's end of it.
    ///
    /// # Errors
    /// What `eventfd(2)` reports.
    pub fn new() -> io::Result<EventFdSignal> {
        Ok(EventFdSignal {
            fd: Arc::new(rustix::event::eventfd(
                0,
                EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
            )?),
        })
    }

    /// Wakes the worker. Signals before it waits are not lost; several may become one.
    pub fn signal(&self) {
        // It can only fail when 2^64 - 1 signals wait already.
        let _ = rustix::io::write(&*self.fd, &1u64.to_ne_bytes());
    }
}

impl EventFd {
    /// The waiting end of `signal`, for the runtime of this thread.
    ///
    /// # Errors
    /// What `dup(2)` and `epoll_ctl(2)` report.
    ///
    /// # Panics
    /// Outside [`run`](crate::run).
    pub fn new(signal: &EventFdSignal) -> io::Result<EventFd> {
        Ok(EventFd {
            fd: runtime::watched(signal.fd.try_clone()?)?,
        })
    }

    /// Waits for at least one signal.
    ///
    /// # Errors
    /// What `read(2)` reports.
    pub async fn wait(&self) -> io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            match rustix::io::read(self.fd.get_ref(), &mut [0; 8]) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    #[test]
    fn a_signal_of_another_thread_wakes_and_an_early_one_is_kept() {
        let signal = EventFdSignal::new().unwrap();
        run(async {
            let event = EventFd::new(&signal).unwrap();
            signal.signal();
            event.wait().await.unwrap();
            // Again and again, and each time while the worker waits for nothing else.
            let (ask, asked) = std::sync::mpsc::channel();
            let other = signal.clone();
            let thread = std::thread::spawn(move || {
                for () in asked {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    other.signal();
                }
            });
            for _ in 0..50 {
                ask.send(()).unwrap();
                event.wait().await.unwrap();
            }
            drop(ask);
            thread.join().unwrap();
        })
        .unwrap();
    }
}
