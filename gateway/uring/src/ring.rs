//! The ring of one thread: operations that were submitted and not yet completed, each with what it owns.
//!
//! ```text
//! task -> start -> [submission queue] -> turn -> kernel -> [completion queue] -> turn -> the task's waker
//! ```
//!
//! Completions arrive only in [`Ring::turn`] (`IORING_SETUP_DEFER_TASKRUN`), which the runtime calls before it
//! would wait: everything that was submitted since goes to the kernel in one system call, and everything that
//! completed comes back with it. While the runtime waits, a registered eventfd wakes it.

mod arrivals;

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, cqueue, opcode};
use rustix::event::EventfdFlags;
use rustix::io::Errno;
use slab::Slab;

use crate::pool::Buf;
use crate::provided::Provided;
use crate::receive::Receive;
use arrivals::Arrivals;
pub(crate) use arrivals::{Bytes, Next};

/// Submission queue entries. A full queue is submitted at once, so this bounds a batch.
const SUBMISSION_ENTRIES: u32 = 1024;
/// Completion queue entries. What completes beyond that waits in the kernel (`IORING_FEAT_NODROP`).
const COMPLETION_ENTRIES: u32 = 8192;
/// How often the kernel is asked in one turn, while it says that it has left something undone.
const CALLS_PER_TURN: usize = 64;
/// Completions that are copied out of the queue at a time, so that no borrow is held while tasks are woken.
const REAPED_AT_ONCE: usize = 64;
/// Of a completion that nobody waits for: of a cancellation.
const NOBODY: u64 = u64::MAX;
/// How long the end of a ring waits for its operations to be cancelled. Sockets take microseconds.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

/// What an operation owns while the kernel works on it, beside its descriptor. Nothing in here moves when it does.
pub(crate) enum Held {
    /// The entry points at nothing.
    Nothing,
    /// The same, and the result is a descriptor that the kernel opened.
    NewDescriptor,
    /// The entry points into the buffer's heap block.
    Buf(Buf),
    /// The entry points at the boxed address.
    Address(Box<socket2::SockAddr>),
    /// The entry points at nothing: the kernel picks a provided buffer, whose number stands here once it has.
    Arrival(Option<u16>),
    /// The same, many times. Boxed: few have many, and all have room for it.
    Arrivals(Box<Arrivals>),
}

/// What became of an operation: the kernel's result, and what it owned.
pub(crate) type Finished = (io::Result<u32>, Held);

enum State {
    Submitted,
    Waiting(Waker),
    /// The kernel's result.
    Completed(i32),
    /// Its future is gone; what it owns stays until the kernel is done.
    Abandoned,
}

struct Operation {
    state: State,
    held: Held,
    /// Open for as long as the kernel works on it: a number that was given to another socket meanwhile would be another's.
    fd: Rc<OwnedFd>,
}

/// A thread's ring. See the module.
pub(crate) struct Ring {
    uring: RefCell<IoUring>,
    operations: RefCell<Slab<Operation>>,
    provided: Rc<Provided>,
    /// What its sockets may use.
    receive: Receive,
    /// Multishot receives that were started.
    multishots: Cell<u64>,
    /// Readable once something may have completed. Never read: each signal is an edge.
    wakeup: OwnedFd,
    is_closed: Cell<bool>,
}

impl Ring {
    /// A ring for this thread alone, on a kernel that has `receive`.
    ///
    /// # Errors
    /// What `io_uring_setup(2)` and `eventfd(2)` report.
    pub(crate) fn new(receive: Receive) -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_cqsize(COMPLETION_ENTRIES)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            // One entry that the kernel refuses does not hold up those behind it.
            .setup_submit_all()
            .build(SUBMISSION_ENTRIES)?;
        let wakeup = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        uring.submitter().register_eventfd(wakeup.as_raw_fd())?;
        let provided = Rc::new(Provided::new()?);
        // SAFETY: `Ring` drops it after `uring`, and keeps it for ever if an operation has not completed by then.
        unsafe { provided.register(&uring.submitter()) }?;
        Ok(Ring {
            uring: RefCell::new(uring),
            operations: RefCell::new(Slab::new()),
            provided,
            receive,
            multishots: Cell::new(0),
            wakeup,
            is_closed: Cell::new(false),
        })
    }

    /// Becomes readable, as an edge, when something may have completed while nobody was in [`turn`](Self::turn).
    pub(crate) fn wakeup(&self) -> io::Result<OwnedFd> {
        self.wakeup.try_clone()
    }

    /// Puts an operation into the submission queue, and keeps what it owns until the kernel is done with it. The
    /// key is for [`poll`](Self::poll) and [`abandon`](Self::abandon), one of which has to be called to the end.
    ///
    /// # Safety
    /// Whatever `entry` points at is owned by `held` and stays where it is when `held` moves; `entry` names no
    /// descriptor but `fd`.
    pub(crate) unsafe fn start(&self, fd: &Rc<OwnedFd>, held: Held, entry: Entry) -> usize {
        if matches!(held, Held::Arrivals(_)) {
            self.multishots.set(self.multishots.get() + 1);
        }
        let mut operations = self.operations.borrow_mut();
        let slot = operations.vacant_entry();
        let key = slot.key();
        let is_closed = self.is_closed.get();
        slot.insert(Operation {
            state: if is_closed {
                State::Completed(-Errno::CANCELED.raw_os_error())
            } else {
                State::Submitted
            },
            held,
            fd: Rc::clone(fd),
        });
        drop(operations);
        if !is_closed {
            self.push(&entry.user_data(key as u64));
        }
        key
    }

    /// The outcome of an operation, once it has completed; `waker` is woken then. After `Ready` the key is void.
    pub(crate) fn poll(&self, key: usize, waker: &Waker) -> Poll<Finished> {
        let mut operations = self.operations.borrow_mut();
        match &mut operations[key].state {
            State::Completed(result) => {
                let result = *result;
                let Operation { held, .. } = operations.remove(key);
                Poll::Ready((as_result(result), held))
            }
            State::Waiting(waiting) => {
                waiting.clone_from(waker);
                Poll::Pending
            }
            state @ (State::Submitted | State::Abandoned) => {
                *state = State::Waiting(waker.clone());
                Poll::Pending
            }
        }
    }

    /// Asks the kernel which operations it has.
    ///
    /// # Errors
    /// What `io_uring_register(2)` reports.
    pub(crate) fn probe(&self, probe: &mut Probe) -> io::Result<()> {
        self.uring.borrow().submitter().register_probe(probe)
    }

    /// Whether completions beyond the queue's length wait in the kernel.
    pub(crate) fn keeps_completions(&self) -> bool {
        self.uring.borrow().params().is_feature_nodrop()
    }

    /// How short messages are received.
    pub(crate) fn receive(&self) -> Receive {
        self.receive
    }

    /// How many multishot receives there were so far.
    pub(crate) fn multishots(&self) -> u64 {
        self.multishots.get()
    }

    /// The buffers that the kernel picks from.
    pub(crate) fn provided(&self) -> &Provided {
        &self.provided
    }

    /// Nobody waits for the operation any more: it is cancelled, and what it owns is dropped when the kernel has
    /// said that it is done. The key is void.
    pub(crate) fn abandon(&self, key: usize) {
        let mut operations = self.operations.borrow_mut();
        if let State::Completed(result) = operations[key].state {
            let operation = operations.remove(key);
            drop(operations);
            self.discard(operation, result);
            return;
        }
        operations[key].state = State::Abandoned;
        drop(operations);
        if !self.is_closed.get() {
            self.push(
                &opcode::AsyncCancel::new(key as u64)
                    .build()
                    .user_data(NOBODY),
            );
        }
    }

    fn push(&self, entry: &Entry) {
        let mut uring = self.uring.borrow_mut();
        loop {
            // SAFETY: `start`'s caller says that what the entry points at is owned by the operation, which stays in
            // `operations` until its completion has come; a cancellation points at nothing.
            if unsafe { uring.submission().push(entry) }.is_ok() {
                return;
            }
            // The queue is full: what is in it goes to the kernel. It takes all of it unless it is short of memory or
            // completions wait; then those are fetched first.
            if matches!(uring.submit(), Ok(n) if n > 0) {
                continue;
            }
            drop(uring);
            self.turn();
            uring = self.uring.borrow_mut();
        }
    }

    /// Submits what is waiting, takes in what has completed, and wakes the tasks that waited for it. One system
    /// call, or none when there is nothing to do.
    ///
    /// The kernel does only so much at a call (twenty completions on Linux 6.18). What it leaves it announces by a flag and not
    /// by the eventfd: a thread that went to wait then would wait for something else to happen. So it is asked again,
    /// unless the buffers that it picks from run short: then the tasks that hold them go on first, since a receive that
    /// finds none costs two operations more.
    pub(crate) fn turn(&self) {
        for _ in 0..CALLS_PER_TURN {
            if !self.enter() {
                return self.reap();
            }
            self.reap();
            if self.provided.is_short() {
                break;
            }
        }
        // Others have waited long enough. The thread comes back here before it waits, or at once after.
        self.wake_again();
    }

    /// Submits what is waiting and has the kernel complete what it can. Says whether there was anything to do.
    fn enter(&self) -> bool {
        let mut uring = self.uring.borrow_mut();
        let (submitter, mut submission, _) = uring.split();
        submission.sync();
        let to_submit = submission.len();
        let has_work = submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if to_submit == 0 && !has_work {
            return false;
        }
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument is passed, and the entries' pointers are valid as `push` has it.
        let entered =
            unsafe { submitter.enter::<libc::sigset_t>(to_submit as u32, 0, flags, None) };
        match entered.map_err(|error| Errno::from_io_error(&error)) {
            Ok(n) if n >= to_submit => {}
            // A signal came, or the kernel is short of something: what is left is for the next turn, which comes
            // at once since the eventfd says so.
            Ok(_) | Err(Some(Errno::INTR | Errno::AGAIN | Errno::BUSY | Errno::NOMEM)) => {
                self.wake_again();
                return false;
            }
            Err(error) => panic!("io_uring_enter refused what this program set up: {error:?}"),
        }
        true
    }

    /// Has the thread's next wait end at once.
    fn wake_again(&self) {
        // It fails only when the counter is full, and then the wait ends too.
        let _ = rustix::io::write(&self.wakeup, &1u64.to_ne_bytes());
    }

    /// Takes in what stands in the completion queue. At most as much as fits it, so that it ends.
    fn reap(&self) {
        let mut left = COMPLETION_ENTRIES as usize;
        while left > 0 {
            let mut reaped = [(0u64, 0i32, 0u32); REAPED_AT_ONCE];
            let mut count = 0;
            // The places first: the queue is not asked for what there is no place for, which would be gone.
            let mut uring = self.uring.borrow_mut();
            for (place, completion) in reaped.iter_mut().zip(uring.completion()) {
                *place = (
                    completion.user_data(),
                    completion.result(),
                    completion.flags(),
                );
                count += 1;
            }
            drop(uring);
            for (key, result, flags) in &reaped[..count] {
                if *key != NOBODY {
                    self.complete(*key as usize, *result, *flags);
                }
            }
            if count < REAPED_AT_ONCE {
                return;
            }
            left = left.saturating_sub(count);
        }
    }

    fn complete(&self, key: usize, result: i32, flags: u32) {
        let mut operations = self.operations.borrow_mut();
        let operation = &mut operations[key];
        let buffer = cqueue::buffer_select(flags);
        if buffer.is_some() {
            self.provided.take();
        }
        match &mut operation.held {
            Held::Arrival(picked) => *picked = buffer,
            Held::Arrivals(arrivals) => {
                arrivals.push(result, buffer);
                if !matches!(operation.state, State::Waiting(_)) {
                    arrivals.set_aside(&self.provided);
                }
                if cqueue::more(flags) {
                    return self.arrived(operations, key);
                }
            }
            _ => {}
        }
        match mem::replace(&mut operation.state, State::Completed(result)) {
            State::Waiting(waker) => {
                // Waking may drop a task, which may abandon operations.
                drop(operations);
                waker.wake();
            }
            State::Abandoned => {
                let operation = operations.remove(key);
                drop(operations);
                self.discard(operation, result);
            }
            State::Submitted | State::Completed(_) => {}
        }
    }

    /// Drops what an operation owned that nobody asked for any more.
    fn discard(&self, operation: Operation, result: i32) {
        match operation.held {
            Held::NewDescriptor if result >= 0 => {
                // SAFETY: the kernel opened this descriptor for the operation, and only its completion carries it.
                drop(unsafe { OwnedFd::from_raw_fd(result) });
            }
            Held::Arrival(Some(buffer)) => self.provided.give_back(buffer),
            Held::Arrivals(mut arrivals) => arrivals.discard(&self.provided),
            _ => {}
        }
        drop(operation.fd);
    }

    /// Cancels every operation and waits until the kernel is done with what they own. Operations that are started
    /// later are cancelled from the start.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        let until = Instant::now() + CLOSING_LIMIT;
        self.turn();
        // It fails when there is nothing to cancel.
        let all = CancelBuilder::any();
        let _ = self
            .uring
            .borrow()
            .submitter()
            .register_sync_cancel(None, all);
        self.turn();
        while self.is_busy() && Instant::now() < until {
            let limit = Timespec::new().nsec(1_000_000);
            let arguments = SubmitArgs::new().timespec(&limit);
            // Whatever it says, the loop looks again.
            let _ = self
                .uring
                .borrow()
                .submitter()
                .submit_with_args(1, &arguments);
            self.turn();
        }
    }

    /// Whether the kernel still works on something.
    fn is_busy(&self) -> bool {
        let operations = self.operations.borrow();
        operations
            .iter()
            .any(|(_, operation)| !matches!(operation.state, State::Completed(_)))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.close();
        if self.is_busy() {
            // The kernel may still write into a buffer: better never freed than freed too early.
            mem::forget(mem::take(&mut *self.operations.borrow_mut()));
            mem::forget(Rc::clone(&self.provided));
        }
    }
}

fn as_result(result: i32) -> io::Result<u32> {
    u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

#[cfg(test)]
#[path = "ring_test.rs"]
mod tests;
