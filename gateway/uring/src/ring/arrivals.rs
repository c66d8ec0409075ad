//! What a multishot receive delivers: several completions of one operation, in the order in which the bytes came.

use std::cell::RefMut;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::task::{Poll, Waker};

use io_uring::opcode;
use slab::Slab;

use super::{Held, NOBODY, Operation, Ring, State, as_result};
use crate::provided::{ARRIVAL_LEN, Provided};

/// Arrivals that may wait for a task. With so many the task is behind, and the kernel is told to stop: what comes then
/// waits in the socket, where the peer is told to slow down.
const WAITING_MOST: usize = 2;

/// Arrivals that nobody has taken yet. The kernel may deliver some more than [`WAITING_MOST`] until it has stopped.
#[derive(Default)]
pub(crate) struct Arrivals {
    waiting: VecDeque<(i32, Option<Bytes>)>,
    /// The kernel was told.
    is_stopping: bool,
}

/// Where the bytes of an arrival stand.
pub(crate) enum Bytes {
    /// In the buffer that the kernel picked.
    Provided(u16),
    /// On the heap.
    Aside(Box<[u8]>),
}

/// One arrival.
pub(crate) struct Next {
    /// The kernel's result.
    pub(crate) result: io::Result<u32>,
    /// The bytes, which are the caller's.
    pub(crate) bytes: Option<Bytes>,
    /// Nothing follows; the key is void.
    pub(crate) is_last: bool,
}

impl Arrivals {
    pub(super) fn push(&mut self, result: i32, buffer: Option<u16>) {
        self.waiting
            .push_back((result, buffer.map(Bytes::Provided)));
    }

    /// Moves the last arrival out of its buffer: the task that reads is busy with something else, for as long as its peer
    /// likes, and the buffers are few and all connections'.
    pub(super) fn set_aside(&mut self, provided: &Provided) {
        if let Some((result, Some(bytes))) = self.waiting.back_mut()
            && let Bytes::Provided(buffer) = *bytes
        {
            let len = usize::try_from(*result).unwrap_or(0);
            // SAFETY: the completion that was just taken in named the buffer, and it is given back behind the copy.
            *bytes = Bytes::Aside(unsafe { provided.bytes(buffer, len) }.into());
            provided.give_back(buffer);
        }
    }

    /// Gives back the buffers of what nobody will take.
    pub(super) fn discard(&mut self, provided: &Provided) {
        for (_, bytes) in self.waiting.drain(..) {
            if let Some(Bytes::Provided(buffer)) = bytes {
                provided.give_back(buffer);
            }
        }
    }

    /// Whether the kernel is to be told now to stop: the task is behind, or so much comes that larger buffers are due.
    fn stops_now(&mut self) -> bool {
        let is_full = |(result, _): &(i32, _)| *result == ARRIVAL_LEN as i32;
        let is_due = self.waiting.len() >= WAITING_MOST || self.waiting.back().is_some_and(is_full);
        is_due && !mem::replace(&mut self.is_stopping, true)
    }
}

impl Ring {
    /// Takes in an arrival that is not the last.
    pub(super) fn arrived(&self, mut operations: RefMut<'_, Slab<Operation>>, key: usize) {
        let operation = &mut operations[key];
        let Held::Arrivals(arrivals) = &mut operation.held else {
            return;
        };
        let waker = match mem::replace(&mut operation.state, State::Submitted) {
            State::Abandoned => {
                // It is being cancelled. What came goes back when that has been done.
                operation.state = State::Abandoned;
                return;
            }
            State::Waiting(waker) => Some(waker),
            State::Submitted | State::Completed(_) => None,
        };
        let stops = arrivals.stops_now() && !self.is_closed.get();
        drop(operations);
        if stops {
            let cancel = opcode::AsyncCancel::new(key as u64).build();
            self.push(&cancel.user_data(NOBODY));
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next arrival of a multishot receive; `waker` is woken when there is one.
    pub(crate) fn poll_next(&self, key: usize, waker: &Waker) -> Poll<Next> {
        let mut operations = self.operations.borrow_mut();
        let Operation { state, held, .. } = &mut operations[key];
        let Held::Arrivals(arrivals) = held else {
            unreachable!("only multishot receives are asked for more");
        };
        let (result, bytes) = match (arrivals.waiting.pop_front(), &mut *state) {
            (Some(next), _) => next,
            // Cancelled before it began.
            (None, State::Completed(result)) => (*result, None),
            (None, State::Waiting(waiting)) => {
                waiting.clone_from(waker);
                return Poll::Pending;
            }
            (None, State::Submitted | State::Abandoned) => {
                *state = State::Waiting(waker.clone());
                return Poll::Pending;
            }
        };
        let is_last = arrivals.waiting.is_empty() && matches!(state, State::Completed(_));
        if is_last {
            operations.remove(key);
        }
        Poll::Ready(Next {
            result: as_result(result),
            bytes,
            is_last,
        })
    }
}
