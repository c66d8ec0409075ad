//! What a request asks for, checked before it is routed: host, path, method.

use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{Method, Request, Version};

use crate::error::Cause;

/// A request's target after the checks.
pub(crate) struct Target {
    /// Host in lower case, without port, as tenants are resolved by it.
    pub(crate) host: String,
    /// Host as the client wrote it, port included.
    pub(crate) authority: String,
    /// The canonical path: percent-encoding normalised, no dot segments.
    pub(crate) path: String,
}

/// Whether a request has a body, and how long it says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLen {
    /// No body is announced.
    None,
    /// So many bytes.
    Known(u64),
    /// Chunked.
    Unknown,
}

/// Checks host, path and method.
///
/// # Errors
/// [`Cause`]: the client's fault.
pub(crate) fn target(request: &Request<Incoming>) -> Result<Target, Cause> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Cause::MethodNotAllowed);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let header = hosts.next();
    if hosts.next().is_some() || (header.is_none() && request.version() == Version::HTTP_11) {
        return Err(Cause::BadRequest);
    }
    // RFC 9112 §3.2.2: the absolute form overrides Host.
    let authority = match (request.uri().authority(), header) {
        (Some(authority), _) => authority.as_str().to_owned(),
        (None, Some(header)) => header.to_str().map_err(|_| Cause::BadRequest)?.to_owned(),
        (None, None) => String::new(),
    };
    let host = host_of(&authority).ok_or(Cause::BadRequest)?;
    let path = canonical_path(request.uri().path()).ok_or(Cause::BadPath)?;
    Ok(Target {
        host,
        authority,
        path,
    })
}

/// What the length fields announce. hyper has refused ambiguous ones, and lets `Transfer-Encoding`
/// win over `Content-Length` by taking the latter out.
///
/// # Errors
/// [`Cause::BadRequest`] for any transfer coding but `chunked`: whoever dropped one would change the
/// body.
pub(crate) fn body_len(request: &Request<Incoming>) -> Result<BodyLen, Cause> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked");
        return match chunked && codings.next().is_none() {
            true => Ok(BodyLen::Unknown),
            false => Err(Cause::BadRequest),
        };
    }
    let length = request.headers().get(CONTENT_LENGTH);
    Ok(
        match length
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse().ok())
        {
            Some(len) => BodyLen::Known(len),
            None => BodyLen::None,
        },
    )
}

/// The host of `host[:port]` in lower case; empty for an empty authority.
fn host_of(authority: &str) -> Option<String> {
    if authority.is_empty() {
        return Some(String::new());
    }
    let parsed: hyper::http::uri::Authority = authority.parse().ok()?;
    // Whoever puts a name in front of an @ wants to be taken for another host.
    if authority.contains('@') {
        return None;
    }
    Some(parsed.host().trim_end_matches('.').to_ascii_lowercase())
}

/// `path` with normalised percent-encoding (RFC 3986 §6.2.2). `None` where it is not of the form in
/// which all parties see the same object: dot segments, empty segments, encoded slashes, NUL,
/// backslashes, bad escapes.
fn canonical_path(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let mut canonical = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let (value, escaped) = match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                (u8::try_from(high * 16 + low).ok()?, true)
            }
            other => (other, false),
        };
        match value {
            0 | b'\\' => return None,
            b'/' if escaped => return None,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                canonical.push(char::from(value));
            }
            _ if escaped || !value.is_ascii() => {
                canonical.push_str(&format!("%{value:02X}"));
            }
            _ => canonical.push(char::from(value)),
        }
    }
    // A service may fold these; then a path would name an object of another route, or another
    // object than the one in its envelope.
    let folds = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    let tricky = canonical.contains("//") || canonical.split('/').any(folds);
    (!tricky).then_some(canonical)
}

/// `path` without the parameters of its segments: what a service sees that does not know them.
pub(crate) fn without_parameters(path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .collect();
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_paths_become_equal_and_tricky_ones_are_refused() {
        assert_eq!(
            canonical_path("/a%2db/%c3%a9%20").as_deref(),
            Some("/a-b/%C3%A9%20")
        );
        assert_eq!(canonical_path("/a/b;c=d+e").as_deref(), Some("/a/b;c=d+e"));
        for refused in [
            "a",
            "*",
            "/a/../b",
            "/a/%2e%2E/b",
            "/.",
            "/a%2fb",
            "/a%5cb",
            "/a%00",
            "/a%",
            "/a%zz",
            "//a",
            "/a//b",
            "/a/..;x/b",
        ] {
            assert_eq!(canonical_path(refused), None, "{refused}");
        }
    }

    #[test]
    fn hosts_lose_port_case_and_trailing_dot() {
        assert_eq!(host_of("A.Test:8443").as_deref(), Some("a.test"));
        assert_eq!(host_of("a.test.").as_deref(), Some("a.test"));
        assert_eq!(host_of("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!(host_of("").as_deref(), Some(""));
        assert_eq!(host_of("x@a.test"), None);
        assert_eq!(host_of("a b"), None);
    }
}
