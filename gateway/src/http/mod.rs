//! Layer 7: HTTP/1.1 in and out, bodies sealed and opened.
//!
//! ```text
//! serve -> request (host, path, headers) -> route -> forward                       -> exchange
//!                                                 -> sealed (seal request body) ... -> exchange
//! client <- answer <- forward | sealed (open response body)                        <-'
//! ```

mod answer;
mod exchange;
mod forward;
mod headers;
mod open_body;
mod pace;
mod request;
mod request_body;
mod route;
mod sealed;
mod serve;

pub use request_body::RequestBody;
pub use route::{Handling, HttpRoute};
pub use serve::{Unspoken, serve};

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
