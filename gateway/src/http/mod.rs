//! Layer 7: HTTP/1.1 in and out, bodies sealed and opened.

mod route;

use std::rc::Rc;

pub use route::{Handling, HttpRoute, SealedRoute};
use sealgate_stream::Stream;

use crate::connection::ConnectionLog;
use crate::snapshot::{Binding, Snapshot};
use crate::worker::Worker;

/// STUB
pub async fn serve(_: &Rc<Worker>, _: &Rc<Snapshot>, _: usize, _: Rc<Binding>, _: Stream, _: ConnectionLog) {}

use crate::upstream::UpstreamSettings;

/// A layer 7 route.
pub struct HttpRouteSettings {
    /// Its exposure class.
    pub class: HttpClass,
    /// Requests whose path starts with this; begins with `/`; the longest prefix wins.
    pub path_prefix: String,
    /// Where they go.
    pub upstream: UpstreamSettings,
}

/// Exposure classes of layer 7.
pub enum HttpClass {
    /// Forwarded as it is.
    Terminated,
    /// Request bodies sealed, response bodies opened.
    Sealed(SealedSettings),
}

/// How a sealed route seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSettings {
    /// Who may read.
    pub readers: Readers,
    /// Fixed length of the message header, with its tag: 512, 1024 or 4096 bytes.
    pub header_len_bytes: usize,
    /// Frame length: 64 KiB, or 16 KiB for routes of small messages.
    pub frame_len_bytes: usize,
}

/// Who may use a sealed route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Clients whose certificate verified.
    Mtls,
    /// Anyone who reaches the listener: written out on purpose, warned about.
    Anyone,
}
