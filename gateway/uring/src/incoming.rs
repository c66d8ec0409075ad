//! One receive for many messages (`IORING_RECV_MULTISHOT`): it stays with the kernel, which delivers each message as it comes.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use io_uring::{opcode, types};
use rustix::io::Errno;

use crate::operation::Arrival;
use crate::provided;
use crate::receive::Receive;
use crate::ring::{Held, Next, Ring};
use crate::runtime;

/// What comes on a socket, message by message. Nobody else may receive from the socket meanwhile. Dropped, it is
/// cancelled, and what has come and was not taken is lost.
pub struct Incoming {
    ring: Rc<Ring>,
    /// `None` once it has stopped.
    key: Option<usize>,
}

impl Incoming {
    /// `None` where messages are received one by one.
    pub(crate) fn new(fd: &Rc<OwnedFd>) -> Option<Incoming> {
        let ring = runtime::current();
        if ring.receive() == Receive::OneShot {
            return None;
        }
        let entry = opcode::RecvMulti::new(types::Fd(fd.as_raw_fd()), provided::GROUP).build();
        // SAFETY: the entry points at nothing.
        let key = unsafe { ring.start(fd, Held::Arrivals(Box::default()), entry) };
        Some(Incoming {
            ring,
            key: Some(key),
        })
    }

    /// The next bytes; none of them is the end of the stream. `None`: it has stopped, since they come faster than they are
    /// taken, or in large pieces, and what follows has to be received otherwise. May be dropped while it waits.
    ///
    /// # Errors
    /// As for [`Socket::recv_arrival`](crate::Socket::recv_arrival), `ENOBUFS` among them; it has stopped then.
    pub async fn next(&mut self) -> io::Result<Option<Arrival>> {
        let Some(key) = self.key else {
            return Ok(None);
        };
        let Next {
            result,
            bytes,
            is_last,
        } = poll_fn(|context| self.ring.poll_next(key, context.waker())).await;
        if is_last {
            self.key = None;
        }
        let arrival = |len| Arrival::new(Rc::clone(&self.ring), bytes, len);
        match result {
            Ok(len) => Ok(Some(arrival(len as usize))),
            Err(error) => {
                drop(arrival(0));
                match Errno::from_io_error(&error) {
                    Some(Errno::CANCELED) => Ok(None),
                    _ => Err(error),
                }
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.ring.abandon(key);
        }
    }
}
