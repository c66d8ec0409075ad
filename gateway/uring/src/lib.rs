//! io_uring for Sealgate: operations that own their buffer and descriptor until the kernel
//! answers.
//!
//! ```text
//! Listener::accept -> Socket { recv_arrival | incoming -> next | recv_now(Buf) -> send(Buf) -> shutdown | reset }
//! `run` (once per worker thread) and Pool (one per worker thread) carry them;
//! EventFd wakes a worker from another thread; give_back lets go of memory, also where it is locked.
//! ```
//!
//! This crate is the only one in which `unsafe` is allowed. It knows nothing of TLS.
//!
//! **Dropping a pending receive or `accept` future loses what it would have returned.** Nothing is
//! unsound then: the operation is cancelled and keeps its buffer and descriptor until the kernel is done, but bytes may be gone. So no
//! `select!` around them: to end a wait, call [`Socket::shutdown`] or [`Socket::reset`] and await
//! the future to its end. [`deadline`] does that.
#![allow(unsafe_code)]

mod deadline;
mod eventfd;
mod incoming;
mod listener;
mod memory;
mod operation;
mod pool;
mod provided;
mod receive;
mod ring;
mod runtime;
mod socket;
mod source_address;
mod support;
mod tcp_info;

pub use deadline::{Elapsed, deadline};
pub use eventfd::{EventFd, EventFdSignal};
pub use incoming::Incoming;
pub use listener::Listener;
pub use memory::give_back;
pub use operation::Arrival;
pub use pool::{
    Buf, LARGE_BUF_LEN, LARGE_PLAINTEXT_LEN, Pool, SMALL_BUF_LEN, SMALL_PLAINTEXT_LEN, SizeClass,
};
pub use provided::{ARRIVAL_LEN, ARRIVALS_LEN};
pub use receive::Receive;
pub use runtime::{StartError, multishot_receives, receive, run, run_with, spawn, turn};
pub use socket::{Half, Socket, is_out_of_arrivals};
pub use support::{Feature, features};
