//! Operations on the ring.
//!
//! `UnsubmittedOneshot::new` is a safe function with an unsafe contract: the stored data must own
//! whatever the submission entry points at, until the completion arrives. tokio-uring keeps that
//! data when the future is dropped, so ownership here is enough. Each constructor below states what
//! its entry points at and who owns it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;

use io_uring::squeue::Entry;
use io_uring::{opcode, types};
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use crate::pool::Buf;

/// `poll(2)`: data, end of stream or error can be read.
const POLL_IN: u32 = 0x0001;
const MSG_DONTWAIT: i32 = 0x40;
const MSG_WAITALL: i32 = 0x100;
const MSG_NOSIGNAL: i32 = 0x4000;
const SOCK_CLOEXEC: i32 = 0o2_000_000;

/// What an operation owns while the kernel works on it.
pub(crate) struct Owned<T> {
    fd: Rc<OwnedFd>,
    data: T,
}

/// Turns a completion into a result and gives the data back.
pub(crate) struct GiveBack<T>(std::marker::PhantomData<T>);

impl<T> OneshotOutputTransform for GiveBack<T> {
    type Output = (io::Result<u32>, T);
    type StoredData = Owned<T>;

    fn transform_oneshot_output(
        self,
        owned: Self::StoredData,
        completion: io_uring::cqueue::Entry,
    ) -> Self::Output {
        let result = match u32::try_from(completion.result()) {
            Ok(n) => Ok(n),
            Err(_) => Err(io::Error::from_raw_os_error(-completion.result())),
        };
        drop(owned.fd);
        (result, owned.data)
    }
}

/// An operation in flight.
pub(crate) type InFlight<T> = InFlightOneshot<Owned<T>, GiveBack<T>>;

fn submit<T: 'static>(fd: &Rc<OwnedFd>, data: T, entry: Entry) -> InFlight<T> {
    let owned = Owned {
        fd: Rc::clone(fd),
        data,
    };
    UnsubmittedOneshot::new(owned, GiveBack(std::marker::PhantomData), entry).submit()
}

fn ring_fd(fd: &Rc<OwnedFd>) -> types::Fd {
    types::Fd(fd.as_raw_fd())
}

/// Waits until `fd` can be read, without holding a buffer. The entry points at nothing.
pub(crate) fn poll_readable(fd: &Rc<OwnedFd>) -> InFlight<()> {
    submit(fd, (), opcode::PollAdd::new(ring_fd(fd), POLL_IN).build())
}

/// Receives at most `max` bytes of what is there into the spare room of `buf`, without waiting. The
/// entry points into the heap block of `buf`, which does not move when `buf` does, and which the
/// operation owns.
pub(crate) fn recv_now(fd: &Rc<OwnedFd>, mut buf: Buf, max: usize) -> InFlight<Buf> {
    let spare = buf.spare_mut();
    let len = u32::try_from(spare.len().min(max)).unwrap_or(u32::MAX);
    let entry = opcode::Recv::new(ring_fd(fd), spare.as_mut_ptr(), len)
        .flags(MSG_DONTWAIT)
        .build();
    submit(fd, buf, entry)
}

/// Sends what `buf` holds; the kernel retries until all is sent or the stream fails. The entry
/// points into the heap block of `buf`, which the operation owns.
pub(crate) fn send_all(fd: &Rc<OwnedFd>, buf: Buf) -> InFlight<Buf> {
    let len = u32::try_from(buf.len()).unwrap_or(u32::MAX);
    let entry = opcode::Send::new(ring_fd(fd), buf.as_ptr(), len)
        .flags(MSG_WAITALL | MSG_NOSIGNAL)
        .build();
    submit(fd, buf, entry)
}

/// Connects to `address`. The entry points at the boxed address, which the operation owns.
pub(crate) fn connect(
    fd: &Rc<OwnedFd>,
    address: socket2::SockAddr,
) -> InFlight<Box<socket2::SockAddr>> {
    let address = Box::new(address);
    let entry = opcode::Connect::new(ring_fd(fd), address.as_ptr().cast(), address.len()).build();
    submit(fd, address, entry)
}

/// Accepts one connection. The entry points at nothing: the peer's address is asked for later.
pub(crate) async fn accept(fd: &Rc<OwnedFd>) -> io::Result<OwnedFd> {
    let entry = opcode::Accept::new(ring_fd(fd), std::ptr::null_mut(), std::ptr::null_mut())
        .flags(SOCK_CLOEXEC)
        .build();
    let (result, ()) = submit(fd, (), entry).await;
    let raw = i32::try_from(result?).map_err(io::Error::other)?;
    // SAFETY: `from_raw_fd` needs an open descriptor that nobody else owns. The kernel opened `raw`
    // for the accept that just completed, and only this completion carries it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
