//! Waking a worker from another thread.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::event::EventfdFlags;

use crate::operation;

/// The worker's end: waits for signals.
pub struct EventFd {
    fd: Rc<OwnedFd>,
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
            fd: Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?),
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
    /// What `dup(2)` reports.
    pub fn new(signal: &EventFdSignal) -> io::Result<EventFd> {
        Ok(EventFd {
            fd: Rc::new(signal.fd.try_clone()?),
        })
    }

    /// Waits for at least one signal.
    ///
    /// # Errors
    /// What the ring reports.
    pub async fn wait(&self) -> io::Result<()> {
        operation::poll_readable(&self.fd).await.0?;
        // Readable, so this does not block.
        rustix::io::read(&*self.fd, &mut [0; 8])?;
        Ok(())
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
            let other = signal.clone();
            let thread = std::thread::spawn(move || other.signal());
            event.wait().await.unwrap();
            thread.join().unwrap();
        })
        .unwrap();
    }
}
