//! TCP and TLS streams on the ring.
//!
//! ```text
//! Socket -> accept_hello -> accept_with (server) --+
//! Socket -> connect_tls (client) ------------------+-> Stream -> split -> ReadHalf, WriteHalf (L4)
//! Socket -> Stream::plain -------------------------+          -> into_hyper -> HyperIo (L7)
//! ```
//!
//! It joins `sealgate-uring` (bytes) and `sealgate-tls` (records), for the gateway and the load
//! generator alike. A stream that ends without `close_notify` is an error, never an end.
//!
//! No time limit is kept here: callers wrap these futures in `sealgate_uring::deadline`, which
//! resets the socket instead of dropping what is in flight.

mod error;
mod halves;
mod handshake;
mod hyper_io;
mod record_size;
mod stream;

pub use error::{HandshakeError, ReadError, WriteError};
pub use halves::{Now, ReadHalf, WriteHalf};
pub use handshake::{accept_hello, close_gently};
pub use hyper_io::{AbortHandle, HyperIo};
pub use sealgate_tls::Facts;
pub use stream::Stream;
