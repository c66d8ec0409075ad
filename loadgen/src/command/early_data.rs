//! Whether requests can go as early data.

use thiserror::Error;

use super::http::Version;
use crate::{
    cli::{LoadArgs, TlsVersion},
    operation::http1::template::Template,
    target::url::Target,
};

/// Methods that change nothing, of those that clients send early (RFC 8470 §4).
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// Early data of requests that cannot be had. The operator's fault.
#[derive(Debug, Error)]
pub enum EarlyDataError {
    /// There is none without TLS.
    #[error("early data goes with a TLS handshake: write https://, or drop --early-data")]
    Plain,
    /// There is none in TLS 1.2.
    #[error("TLS 1.2 has no early data: drop --early-data or --tls 1.2")]
    Tls12,
    /// One request at a time, on a connection of its own.
    #[error("requests go as early data over HTTP/1.1 only: drop --http 2 or --early-data")]
    Http2,
    /// It may be replayed.
    #[error(
        "early data can be replayed, so it may not change anything (RFC 8470): send GET, HEAD or OPTIONS without --size, and not {0}"
    )]
    Unsafe(String),
}

/// Checks that a request may go as early data, where a share of them does.
///
/// # Errors
///
/// When it may not.
pub fn check(
    template: &Template,
    target: &Target,
    load: &LoadArgs,
    version: Version,
) -> Result<(), EarlyDataError> {
    let method = template.method.as_str();
    match (template.size, version) {
        _ if template.early_data_percent <= 0.0 => Ok(()),
        _ if !target.scheme.encrypted() => Err(EarlyDataError::Plain),
        _ if load.tls.tls == Some(TlsVersion::Tls12) => Err(EarlyDataError::Tls12),
        (_, Version::Http2(_)) => Err(EarlyDataError::Http2),
        (None, Version::Http1) if SAFE.contains(&method) => Ok(()),
        (None, Version::Http1) => Err(EarlyDataError::Unsafe(method.to_owned())),
        (Some(_), Version::Http1) => Err(EarlyDataError::Unsafe(format!("{method} with a body"))),
    }
}
