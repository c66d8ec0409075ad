//! Which header fields pass.

use hyper::HeaderMap;
use hyper::body::Body;
use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, EXPECT, FORWARDED,
    HeaderName, HeaderValue, IF_RANGE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

use super::request_body::RequestBody;

/// Fields that speak of one connection (RFC 9110 §7.6.1, and the old ones that still occur).
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Digests of the bytes on the other side of the seal, which are wrong on this side.
const CONTENT_DIGESTS: [&str; 6] = [
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "want-content-digest",
    "want-repr-digest",
];
/// The same, as object stores call them.
const DIGEST_PREFIXES: [&str; 2] = ["x-amz-checksum-", "x-amz-content-sha256"];

/// Our request id, to clients and services.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Takes out what speaks of one connection only, and what `Connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // The length is ours to say; a client cannot make it disappear.
        .filter(|name| *name != CONTENT_LENGTH && *name != hyper::header::HOST)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    headers.remove("http2-settings");
}

/// What a service is told of the client: by us, never by the client itself.
pub(crate) fn set_forwarded(
    headers: &mut HeaderMap,
    peer: std::net::IpAddr,
    host: &str,
    request_id: &str,
) {
    headers.remove(FORWARDED);
    headers.remove("x-real-ip");
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-forwarded-for", &peer.to_canonical().to_string());
    set("x-forwarded-proto", "https");
    set("x-forwarded-host", host);
    set("x-request-id", request_id);
}

/// Says how long a request body is, or that it is chunked: hyper would send a GET's without framing.
pub(crate) fn announce_length(headers: &mut HeaderMap, body: &RequestBody) {
    if body.is_end_stream() {
        return;
    }
    match body.size_hint().exact() {
        Some(len) => headers.insert(CONTENT_LENGTH, HeaderValue::from(len)),
        None => headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
    };
}

/// Takes out of a request on a sealed route what would be wrong, or meaningless, for the sealed
/// body.
pub(crate) fn seal_request(headers: &mut HeaderMap) {
    strip_digests(headers);
    for name in [RANGE, IF_RANGE, EXPECT, CONTENT_LENGTH, ACCEPT_ENCODING] {
        headers.remove(name);
    }
    // A backend that compressed an envelope would make it one we cannot recognise.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Takes out of a response on a sealed route what speaks of the sealed body.
pub(crate) fn open_response(headers: &mut HeaderMap) {
    strip_digests(headers);
    for name in [CONTENT_LENGTH, CONTENT_RANGE, ACCEPT_RANGES] {
        headers.remove(name);
    }
}

fn strip_digests(headers: &mut HeaderMap) {
    let other_side: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            CONTENT_DIGESTS.contains(&name.as_str())
                || DIGEST_PREFIXES
                    .iter()
                    .any(|prefix| name.as_str().starts_with(prefix))
        })
        .cloned()
        .collect();
    for name in other_side {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn connection_takes_what_it_names_but_not_the_framing() {
        let mut headers = map(&[
            ("connection", "x-drop, content-length, host, close"),
            ("x-drop", "1"),
            ("x-keep", "1"),
            ("content-length", "5"),
            ("host", "a.test"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
        ]);
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<_> = headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["content-length", "host", "x-keep"]);
    }

    #[test]
    fn a_client_cannot_say_whom_it_is_forwarded_for() {
        let mut headers = map(&[
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-client-cert", "forged"),
            ("forwarded", "for=1.1.1.1"),
        ]);
        set_forwarded(&mut headers, [10, 0, 0, 7].into(), "a.test", "id");
        assert_eq!(headers["x-forwarded-for"], "10.0.0.7");
        assert_eq!(headers["x-forwarded-host"], "a.test");
        assert!(!headers.contains_key("forwarded"));
        assert!(!headers.contains_key("x-forwarded-client-cert"));
    }

    #[test]
    fn digests_do_not_cross_the_seal() {
        let mut headers = map(&[
            ("content-md5", "x"),
            ("x-amz-checksum-crc32", "x"),
            ("x-amz-meta-name", "stays"),
            ("range", "bytes=0-1"),
        ]);
        seal_request(&mut headers);
        let mut left: Vec<_> = headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["accept-encoding", "x-amz-meta-name"]);
    }
}
