//! How short messages are received: by one receive that stays with the kernel, or by one each.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Poll, Waker};

use io_uring::squeue::Entry;
use io_uring::{opcode, types};

use crate::provided;
use crate::ring::{Held, Next, Ring};
use crate::runtime::StartError;

/// How messages that come one after the other are received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receive {
    /// One receive stays with the kernel for many of them (`IORING_RECV_MULTISHOT`), where the kernel has that.
    #[default]
    Multishot,
    /// One receive for each.
    OneShot,
}

impl Receive {
    /// Both.
    pub const ALL: [Receive; 2] = [Receive::Multishot, Receive::OneShot];

    /// As in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Receive::Multishot => "multishot",
            Receive::OneShot => "one-shot",
        }
    }

    /// What becomes of it on this kernel, which is tried once in the life of the process: [`OneShot`](Self::OneShot) where
    /// there is nothing else.
    ///
    /// # Errors
    /// [`StartError`], as [`run`](crate::run) would give it.
    pub fn on_this_kernel(self) -> Result<Receive, StartError> {
        match self {
            Receive::Multishot if kernel_has_multishot()? => Ok(Receive::Multishot),
            Receive::Multishot | Receive::OneShot => Ok(Receive::OneShot),
        }
    }
}

fn kernel_has_multishot() -> Result<bool, StartError> {
    static TRIED: OnceLock<bool> = OnceLock::new();
    if let Some(has) = TRIED.get() {
        return Ok(*has);
    }
    let has = try_entry(|fd| opcode::RecvMulti::new(fd, provided::GROUP).build())?;
    Ok(*TRIED.get_or_init(|| has))
}

/// Whether a receive stays with the kernel behind a message that came. Tried, since the kernel lists operations and not
/// their flags: one that does not know this one refuses it, or takes one message and is done.
fn try_entry(receive: impl FnOnce(types::Fd) -> Entry) -> Result<bool, StartError> {
    let ring = Ring::new(Receive::Multishot)?;
    let (ours, mut peer) = UnixStream::pair()?;
    // It is there before the receive is submitted, so that one turn says all.
    peer.write_all(b"x")?;
    let fd = Rc::new(OwnedFd::from(ours));
    let entry = receive(types::Fd(fd.as_raw_fd()));
    // SAFETY: the entries that are tried point at nothing.
    let key = unsafe { ring.start(&fd, Held::Arrivals(Box::default()), entry) };
    ring.turn();
    let stays = matches!(
        ring.poll_next(key, Waker::noop()),
        Poll::Ready(Next {
            result: Ok(1),
            is_last: false,
            ..
        })
    );
    // What is still in flight ends with the ring.
    Ok(stays)
}

#[cfg(test)]
mod tests {
    use io_uring::squeue::Flags;

    use super::*;

    /// A receive into a buffer that the kernel picks, with these flags of its own (`ioprio`).
    fn receive(fd: types::Fd, flags: u16) -> Entry {
        opcode::Recv::new(fd, std::ptr::null_mut(), 0)
            .buf_group(provided::GROUP)
            .ioprio(flags)
            .build()
            .flags(Flags::BUFFER_SELECT)
    }

    #[test]
    fn a_kernel_on_which_tests_run_has_multishot_receives() {
        let [multishot, one_shot] = Receive::ALL.map(|wanted| wanted.on_this_kernel().unwrap());
        assert_eq!(
            (multishot, one_shot),
            (Receive::Multishot, Receive::OneShot)
        );
    }

    #[test]
    fn a_kernel_that_refuses_the_flag_or_ignores_it_has_none() {
        const UNKNOWN: u16 = 1 << 15;
        assert!(!try_entry(|fd| receive(fd, UNKNOWN)).unwrap());
        assert!(!try_entry(|fd| receive(fd, 0)).unwrap());
        const IORING_RECV_MULTISHOT: u16 = 2;
        assert!(try_entry(|fd| receive(fd, IORING_RECV_MULTISHOT)).unwrap());
    }
}
