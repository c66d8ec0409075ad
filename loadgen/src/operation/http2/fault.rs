//! What an error of the `h2` crate says: of the request, and of the connection.

use std::io;

use h2::{Error, Reason};

use crate::operation::failure::Cause;

/// The cause to count.
pub fn cause(error: Error) -> Cause {
    match (error.reason(), error.is_remote()) {
        (Some(code), true) if error.is_reset() => Cause::StreamReset(code),
        (Some(code), true) => Cause::GoAway(code),
        _ => match error.get_io() {
            Some(io) => io_cause(io),
            None => Cause::Http2(error),
        },
    }
}

/// The kind is all that `h2` keeps of an error of the stream beneath. A broken pipe is also its
/// word for an end where an answer was due.
fn io_cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Cause::Closed,
        kind => Cause::Io(io::Error::new(kind, error.to_string())),
    }
}

/// Whether the connection is of no more use.
pub fn ends_connection(error: &Error) -> bool {
    error.is_go_away() || error.is_io()
}

/// Whether the target said that it did not take the request and never will: a GOAWAY that names an
/// earlier stream as the last (RFC 9113 §6.8). Trying again does no harm then, whatever the method.
pub fn is_not_taken(error: &Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR)
}

/// The name of an error code in the report (RFC 9113 §7).
pub fn name(code: Reason) -> String {
    format!("{code:?}")
}
