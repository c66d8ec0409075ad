//! io_uring for Sealgate: operations that own their buffer and descriptor until the kernel
//! answers.
//!
//! ```text
//! Listener::accept -> Socket { readable -> recv_now(Buf) -> send(Buf) -> shutdown | reset }
//! Runtime (one per worker thread) and Pool (one per worker thread) carry them;
//! EventFd wakes a worker from another thread.
//! ```
//!
//! This crate is the only one that names tokio-uring, which has no maintainer, and the only one in
//! which `unsafe` is allowed. It knows nothing of TLS.
//!
//! **Dropping a pending `recv_now` or `accept` future loses what it would have returned.** Nothing is
//! unsound then, because the operation keeps its buffer and descriptor, but bytes are gone. So no
//! `select!` around them: to end a wait, call [`Socket::shutdown`] or [`Socket::reset`] and await
//! the future to its end. [`deadline`] does that.
#![allow(unsafe_code)]

mod deadline;
mod eventfd;
mod listener;
mod operation;
mod pool;
mod runtime;
mod socket;
mod source_address;
mod tcp_info;

pub use deadline::{Elapsed, deadline};
pub use eventfd::{EventFd, EventFdSignal};
pub use listener::Listener;
pub use pool::{
    Buf, LARGE_BUF_LEN, LARGE_PLAINTEXT_LEN, Pool, SMALL_BUF_LEN, SMALL_PLAINTEXT_LEN, SizeClass,
};
pub use runtime::{StartError, run, spawn};
pub use socket::{Half, Socket};
