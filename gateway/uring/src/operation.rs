//! Operations on the ring, as futures.
//!
//! Each constructor below states what its entry points at and who owns it. A future that is dropped cancels its
//! operation; what that owns is kept until the kernel is done with it.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use io_uring::squeue::{Entry, Flags};
use io_uring::{opcode, types};

use crate::pool::Buf;
use crate::provided::{self, ARRIVAL_LEN};
use crate::ring::{Bytes, Held, Ring};
use crate::runtime;

/// `poll(2)`: data, end of stream or error can be read.
const POLL_IN: u32 = 0x0001;
/// The kernel would take bytes, or the connection is gone.
const POLL_OUT: u32 = 0x0004;
/// Wait first, then receive (`io_uring_enter(2)`, IORING_RECVSEND_POLL_FIRST).
const RECVSEND_POLL_FIRST: u16 = 1;
const MSG_DONTWAIT: i32 = 0x40;
const MSG_WAITALL: i32 = 0x100;
const MSG_NOSIGNAL: i32 = 0x4000;
const MSG_MORE: i32 = 0x8000;
const SOCK_CLOEXEC: i32 = 0o2_000_000;

/// What an operation owns beside its descriptor and gives back.
pub(crate) trait Payload: Sized {
    fn into_held(self) -> Held;
    fn from_held(held: Held) -> Self;
}

impl Payload for () {
    fn into_held(self) -> Held {
        Held::Nothing
    }

    fn from_held(_: Held) {}
}

impl Payload for Buf {
    fn into_held(self) -> Held {
        Held::Buf(self)
    }

    fn from_held(held: Held) -> Buf {
        match held {
            Held::Buf(buf) => buf,
            _ => unreachable!("an operation gives back what it was given"),
        }
    }
}

impl Payload for Box<socket2::SockAddr> {
    fn into_held(self) -> Held {
        Held::Address(self)
    }

    fn from_held(held: Held) -> Self {
        match held {
            Held::Address(address) => address,
            _ => unreachable!("an operation gives back what it was given"),
        }
    }
}

/// The result of an accept.
struct NewDescriptor;

impl Payload for NewDescriptor {
    fn into_held(self) -> Held {
        Held::NewDescriptor
    }

    fn from_held(_: Held) -> Self {
        NewDescriptor
    }
}

/// Bytes that came, in a buffer of the kernel's choice, which it gets back when this is dropped.
pub struct Arrival {
    ring: Rc<Ring>,
    bytes: Option<Bytes>,
    len: usize,
}

impl Arrival {
    pub(crate) fn new(ring: Rc<Ring>, bytes: Option<Bytes>, len: usize) -> Arrival {
        Arrival { ring, bytes, len }
    }
}

impl Deref for Arrival {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            // SAFETY: the completion of our operation named the buffer, and only our drop gives it back.
            Some(Bytes::Provided(id)) => unsafe { self.ring.provided().bytes(*id, self.len) },
            Some(Bytes::Aside(bytes)) => bytes,
            None => &[],
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(Bytes::Provided(id)) = self.bytes {
            self.ring.provided().give_back(id);
        }
    }
}

/// The number of the buffer that the kernel picked for a receive.
struct Picked(Option<u16>);

impl Payload for Picked {
    fn into_held(self) -> Held {
        Held::Arrival(self.0)
    }

    fn from_held(held: Held) -> Self {
        match held {
            Held::Arrival(buffer) => Picked(buffer),
            _ => unreachable!("an operation gives back what it was given"),
        }
    }
}

/// An operation in flight. Dropped, it is cancelled.
pub(crate) struct InFlight<T> {
    ring: Rc<Ring>,
    /// `None` once it has completed.
    key: Option<usize>,
    payload: PhantomData<fn() -> T>,
}

impl<T: Payload> Future for InFlight<T> {
    type Output = (io::Result<u32>, T);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let key = self.key.expect("polled after it was ready");
        let (result, held) = ready!(self.ring.poll(key, context.waker()));
        self.key = None;
        Poll::Ready((result, T::from_held(held)))
    }
}

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.ring.abandon(key);
        }
    }
}

/// Starts an operation on the ring of this thread.
///
/// # Safety
/// As for [`Ring::start`].
///
/// # Panics
/// Outside [`run`](crate::run).
unsafe fn start<T: Payload>(fd: &Rc<OwnedFd>, payload: T, entry: Entry) -> InFlight<T> {
    let ring = runtime::current();
    // SAFETY: our caller upholds it; what `payload` owns on the heap stays there when it becomes `Held`.
    let key = unsafe { ring.start(fd, payload.into_held(), entry) };
    InFlight {
        ring,
        key: Some(key),
        payload: PhantomData,
    }
}

fn ring_fd(fd: &Rc<OwnedFd>) -> types::Fd {
    types::Fd(fd.as_raw_fd())
}

/// Waits until `fd` can be read, without holding a buffer.
pub(crate) fn poll_readable(fd: &Rc<OwnedFd>) -> InFlight<()> {
    poll(fd, POLL_IN)
}

/// Waits until the kernel takes bytes to be sent on `fd`.
pub(crate) fn poll_writable(fd: &Rc<OwnedFd>) -> InFlight<()> {
    poll(fd, POLL_OUT)
}

fn poll(fd: &Rc<OwnedFd>, events: u32) -> InFlight<()> {
    let entry = opcode::PollAdd::new(ring_fd(fd), events).build();
    // SAFETY: the entry points at nothing.
    unsafe { start(fd, (), entry) }
}

/// Receives at most `max` bytes of what is there into the spare room of `buf`, without waiting.
pub(crate) fn recv_now(fd: &Rc<OwnedFd>, mut buf: Buf, max: usize) -> InFlight<Buf> {
    let spare = buf.spare_mut();
    let len = u32::try_from(spare.len().min(max)).unwrap_or(u32::MAX);
    let entry = opcode::Recv::new(ring_fd(fd), spare.as_mut_ptr(), len)
        .flags(MSG_DONTWAIT)
        .build();
    // SAFETY: the entry points into the heap block of `buf`, at most `len` bytes of its spare room; the operation
    // owns `buf`, and its block does not move when it does.
    unsafe { start(fd, buf, entry) }
}

/// Waits until there is something to read, and receives it into a buffer that the kernel picks then. Nothing in it is
/// the end of the stream; `ENOBUFS` says that all buffers are taken.
pub(crate) async fn recv_arrival(fd: &Rc<OwnedFd>) -> io::Result<Arrival> {
    let len = ARRIVAL_LEN as u32;
    let entry = opcode::Recv::new(ring_fd(fd), std::ptr::null_mut(), len)
        .buf_group(provided::GROUP)
        // Without it a buffer is picked before it is known whether anything is there.
        .ioprio(RECVSEND_POLL_FIRST)
        .build()
        .flags(Flags::BUFFER_SELECT);
    // SAFETY: the entry points at nothing.
    let in_flight = unsafe { start(fd, Picked(None), entry) };
    let ring = Rc::clone(&in_flight.ring);
    let (result, Picked(buffer)) = in_flight.await;
    let arrival = |len| Arrival::new(ring, buffer.map(Bytes::Provided), len);
    match result {
        Ok(len) => Ok(arrival(len as usize)),
        Err(error) => {
            drop(arrival(0));
            Err(error)
        }
    }
}

/// What comes behind a send at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Nothing,
    /// The end of our direction: the last bytes wait for it, to leave in one segment.
    TheEnd,
}

/// Sends what `buf` holds; the kernel retries until all is sent or the stream fails.
pub(crate) fn send_all(fd: &Rc<OwnedFd>, buf: Buf, behind: Behind) -> InFlight<Buf> {
    let more = match behind {
        Behind::Nothing => 0,
        Behind::TheEnd => MSG_MORE,
    };
    let len = u32::try_from(buf.len()).unwrap_or(u32::MAX);
    let entry = opcode::Send::new(ring_fd(fd), buf.as_ptr(), len)
        .flags(MSG_WAITALL | MSG_NOSIGNAL | more)
        .build();
    // SAFETY: the entry points at the `len` bytes that `buf` holds in its heap block; the operation owns `buf`, and
    // its block does not move when it does.
    unsafe { start(fd, buf, entry) }
}

/// Connects to `address`.
pub(crate) fn connect(
    fd: &Rc<OwnedFd>,
    address: socket2::SockAddr,
) -> InFlight<Box<socket2::SockAddr>> {
    let address = Box::new(address);
    let entry = opcode::Connect::new(ring_fd(fd), address.as_ptr().cast(), address.len()).build();
    // SAFETY: the entry points at the boxed address, which the operation owns.
    unsafe { start(fd, address, entry) }
}

/// Accepts one connection. The peer's address is asked for later.
pub(crate) async fn accept(fd: &Rc<OwnedFd>) -> io::Result<OwnedFd> {
    let entry = opcode::Accept::new(ring_fd(fd), std::ptr::null_mut(), std::ptr::null_mut())
        .flags(SOCK_CLOEXEC)
        .build();
    // SAFETY: the entry points at nothing.
    let (result, NewDescriptor) = unsafe { start(fd, NewDescriptor, entry) }.await;
    let raw = i32::try_from(result?).map_err(io::Error::other)?;
    // SAFETY: `from_raw_fd` needs an open descriptor that nobody else owns. The kernel opened `raw`
    // for the accept that just completed, and only this completion carries it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
