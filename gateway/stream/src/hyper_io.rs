//! A stream as hyper wants it: polled, with one long-lived reader and one writer beneath.
//!
//! hyper polls and may stop polling; a ring operation that is dropped loses its bytes. So two tasks
//! own the halves, and this adapter holds at most one buffer each way between them and hyper.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use sealgate_uring::{Buf, Half, Pool, SMALL_PLAINTEXT_LEN, SizeClass, Socket, spawn};
use tokio::sync::Notify;

use crate::halves::{ReadHalf, WriteHalf};
use crate::stream::Stream;

/// How long a connection that we ended may still send before it is cut.
const LINGER: Duration = Duration::from_secs(2);

/// A stream that implements hyper's `Read` and `Write`. Single-threaded.
///
/// Dropped after a clean shutdown, it lets the peer take the last bytes; dropped without one, it
/// resets the connection, so that nothing cut short looks complete.
pub struct HyperIo {
    shared: Rc<Shared>,
}

/// Turns the end of a connection into a reset, from wherever a body turned out to be bad; and tells
/// what has moved on it.
#[derive(Clone)]
pub struct AbortHandle {
    shared: Rc<Shared>,
}

struct Shared {
    socket: Socket,
    pool: Pool,
    inbox: RefCell<Inbox>,
    outbox: RefCell<Outbox>,
    /// Reading has failed.
    read_failed: Notify,
    /// The inbox has room, or nobody reads any more.
    wake_reader: Notify,
    /// Plaintext bytes received and sent so far.
    received_bytes: Cell<u64>,
    sent_bytes: Cell<u64>,
    /// The outbox has bytes, or is to be finished, or nobody writes any more.
    wake_writer: Notify,
}

#[derive(Default)]
struct Inbox {
    chunk: Option<Buf>,
    end: Option<End>,
    waker: Option<Waker>,
    /// hyper is gone: what comes is discarded.
    discard: bool,
}

enum End {
    Clean,
    Failed(Option<io::Error>),
}

#[derive(Default)]
struct Outbox {
    filling: Option<Buf>,
    /// The writer has a buffer in its hands.
    sending: bool,
    finish: Finish,
    error: Option<io::Error>,
    /// hyper is gone: the writer ends when it has nothing left.
    orphaned: bool,
    waker: Option<Waker>,
}

/// Where the end of our direction stands.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Finish {
    #[default]
    NotAsked,
    Asked,
    Done,
    /// Whatever was asked: the connection is reset.
    Aborted,
}

impl AbortHandle {
    /// Resets the connection now. A later shutdown by hyper does nothing more.
    pub fn abort(&self) {
        self.shared.outbox.borrow_mut().finish = Finish::Aborted;
        self.shared.socket.reset();
        self.shared.wake_writer.notify_one();
    }
}

impl AbortHandle {
    /// Plaintext bytes received so far.
    pub fn received_bytes(&self) -> u64 {
        self.shared.received_bytes.get()
    }

    /// What changes when bytes move: plaintext received and sent, and while a send is under way also
    /// what the peer has acknowledged of it.
    pub fn moved_bytes(&self) -> (u64, Option<u64>) {
        let whole = self.shared.received_bytes.get() + self.shared.sent_bytes.get();
        (
            whole,
            self.has_unsent()
                .then(|| self.shared.socket.bytes_acked())
                .flatten(),
        )
    }

    /// Waits until reading has failed: the peer is gone, whatever hyper is doing meanwhile.
    pub async fn read_failed(&self) {
        loop {
            if matches!(self.shared.inbox.borrow().end, Some(End::Failed(_))) {
                return;
            }
            self.shared.read_failed.notified().await;
        }
    }

    /// Whether bytes that hyper wrote are still on their way to the kernel.
    pub fn has_unsent(&self) -> bool {
        let outbox = self.shared.outbox.borrow();
        outbox.filling.is_some() || outbox.sending
    }
}

impl HyperIo {
    pub(crate) fn new(stream: Stream) -> HyperIo {
        let shared = Rc::new(Shared {
            socket: stream.socket.clone(),
            pool: stream.pool.clone(),
            inbox: RefCell::default(),
            outbox: RefCell::default(),
            read_failed: Notify::new(),
            wake_reader: Notify::new(),
            received_bytes: Cell::new(0),
            sent_bytes: Cell::new(0),
            wake_writer: Notify::new(),
        });
        let (read, write) = stream.split();
        spawn(reader(Rc::clone(&shared), read));
        spawn(writer(Rc::clone(&shared), write));
        HyperIo { shared }
    }

    /// A handle that resets this connection.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            shared: Rc::clone(&self.shared),
        }
    }
}

impl Drop for HyperIo {
    fn drop(&mut self) {
        let finish = {
            let mut outbox = self.shared.outbox.borrow_mut();
            outbox.orphaned = true;
            outbox.finish
        };
        let ended = {
            let mut inbox = self.shared.inbox.borrow_mut();
            inbox.discard = true;
            inbox.chunk = None;
            inbox.end.is_some()
        };
        if finish != Finish::Done {
            self.shared.socket.reset();
        } else if !ended {
            let socket = self.shared.socket.clone();
            spawn(async move {
                tokio::time::sleep(LINGER).await;
                socket.shutdown(Half::Both);
            });
        }
        self.shared.wake_reader.notify_one();
        self.shared.wake_writer.notify_one();
    }
}

async fn reader(shared: Rc<Shared>, mut half: ReadHalf) {
    loop {
        let end = match half.read().await {
            Ok(Some(chunk)) => {
                shared
                    .received_bytes
                    .set(shared.received_bytes.get() + chunk.len() as u64);
                let mut inbox = shared.inbox.borrow_mut();
                if !inbox.discard {
                    inbox.chunk = Some(chunk);
                }
                None
            }
            Ok(None) => Some(End::Clean),
            Err(error) => Some(End::Failed(Some(error.into()))),
        };
        let ended = end.is_some();
        let waker = {
            let mut inbox = shared.inbox.borrow_mut();
            inbox.end = end;
            inbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if ended {
            shared.read_failed.notify_one();
            return;
        }
        loop {
            let room = {
                let inbox = shared.inbox.borrow();
                inbox.chunk.is_none() || inbox.discard
            };
            if room {
                break;
            }
            shared.wake_reader.notified().await;
        }
    }
}

async fn writer(shared: Rc<Shared>, mut half: WriteHalf) {
    loop {
        let next = {
            let mut outbox = shared.outbox.borrow_mut();
            match outbox.finish {
                Finish::Aborted => return,
                _ if outbox.filling.is_some() => {
                    outbox.sending = true;
                    outbox.filling.take()
                }
                Finish::NotAsked if outbox.orphaned => return,
                Finish::Done => return,
                _ => None,
            }
        };
        let result = match next {
            Some(buf) => {
                let len = buf.len() as u64;
                let result = half.write(buf).await;
                shared.sent_bytes.set(shared.sent_bytes.get() + len);
                result
            }
            None if shared.outbox.borrow().finish == Finish::Asked => {
                let result = half.finish().await;
                let mut outbox = shared.outbox.borrow_mut();
                if outbox.finish == Finish::Asked {
                    outbox.finish = Finish::Done;
                }
                result
            }
            None => {
                shared.wake_writer.notified().await;
                continue;
            }
        };
        let (waker, failed) = {
            let mut outbox = shared.outbox.borrow_mut();
            outbox.sending = false;
            if let Err(error) = result {
                outbox.error = Some(error.into());
                outbox.filling = None;
            }
            (outbox.waker.take(), outbox.error.is_some())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if failed {
            return;
        }
    }
}

impl Read for HyperIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inbox = self.shared.inbox.borrow_mut();
        if let Some(chunk) = &mut inbox.chunk {
            let n = chunk.len().min(buf.remaining());
            buf.put_slice(&chunk[..n]);
            chunk.consume(n);
            if chunk.is_empty() {
                inbox.chunk = None;
                self.shared.wake_reader.notify_one();
            }
            return Poll::Ready(Ok(()));
        }
        match &mut inbox.end {
            Some(End::Clean) => Poll::Ready(Ok(())),
            Some(End::Failed(error)) => Poll::Ready(Err(error
                .take()
                .unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into()))),
            None => {
                inbox.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl HyperIo {
    /// Whether all that hyper wrote has been given to the kernel.
    fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outbox = self.shared.outbox.borrow_mut();
        if let Some(error) = outbox.error.take() {
            let kind = error.kind();
            outbox.error = Some(kind.into());
            return Poll::Ready(Err(error));
        }
        if outbox.finish == Finish::Aborted {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if outbox.filling.is_none() && !outbox.sending {
            return Poll::Ready(Ok(()));
        }
        outbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Write for HyperIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut outbox = self.shared.outbox.borrow_mut();
        if outbox.error.is_some() || outbox.finish != Finish::NotAsked {
            drop(outbox);
            return match self.poll_drained(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        let class = match wanted <= SMALL_PLAINTEXT_LEN {
            true => SizeClass::Small,
            false => SizeClass::Large,
        };
        let filling = outbox
            .filling
            .get_or_insert_with(|| self.shared.pool.take(class));
        let mut written = 0;
        for slice in slices {
            let room = filling.plaintext_capacity() - filling.len();
            let n = room.min(slice.len());
            filling.extend(&slice[..n]);
            written += n;
            if n < slice.len() {
                break;
            }
        }
        self.shared.wake_writer.notify_one();
        if written == 0 && wanted > 0 {
            outbox.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drained(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        {
            let mut outbox = self.shared.outbox.borrow_mut();
            match outbox.finish {
                Finish::Done => return Poll::Ready(Ok(())),
                Finish::NotAsked => {
                    outbox.finish = Finish::Asked;
                    self.shared.wake_writer.notify_one();
                }
                Finish::Asked | Finish::Aborted => {}
            }
        }
        match self.poll_drained(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => {
                let mut outbox = self.shared.outbox.borrow_mut();
                outbox.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
