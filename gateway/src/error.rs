//! One table: what went wrong -> whose fault it is, how loud the log is, what HTTP clients see.
//!
//! Rooms have errors of their own, with detail for our log; [`Cause`] is what they come down to. It
//! is the metric label and the `outcome` of a log line. The wire sees an alert, a reset, or the
//! problem's type and a request id, no more.

use tracing::Level;

/// What went wrong with a connection or request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table below says what each is")]
pub enum Cause {
    ConnectionLimit,
    ClientHelloInvalid,
    ClientHelloTooLong,
    PlainHttp,
    NoSni,
    UnknownName,
    HandshakeTimeout,
    HandshakeOverload,
    HandshakeClosed,
    HandshakeFailed,
    ClientCertificateMissing,
    ClientCertificateRejected,
    ClientTruncated,
    ClientReset,
    ClientTls,
    IdleTimeout,
    HeadTimeout,
    UpstreamRefused,
    UpstreamConnectTimeout,
    UpstreamTls,
    UpstreamReset,
    UpstreamTruncated,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamBusy,
    UpstreamStatus,
    BadRequest,
    BadPath,
    MethodNotAllowed,
    Misdirected,
    NoRoute,
    NotAuthenticated,
    PartialWrite,
    NotAnEnvelope,
    NotVerified,
    SealFailed,
    Draining,
    ClientHttp,
    PathTooLong,
    TooLarge,
    KeysWithdrawn,
    KeysUnavailable,
}

/// Who has to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client.
    Client,
    /// The service behind the gateway.
    Upstream,
    /// Whoever runs the gateway.
    Operator,
    /// Nobody: a bound was reached.
    Limit,
}

/// What an HTTP client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Status code.
    pub status: u16,
    /// One sentence, the same for every occurrence.
    pub title: &'static str,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Metric label, log outcome, and last part of the problem type.
    pub label: &'static str,
    /// Whose fault.
    pub fault: Fault,
    /// Log level.
    pub level: Level,
    /// What an HTTP client is told; `None` where there is no HTTP client to tell.
    pub problem: Option<Problem>,
}

impl Cause {
    /// All causes, for the metrics.
    pub const ALL: [Cause; 42] = [
        Cause::ConnectionLimit,
        Cause::ClientHelloInvalid,
        Cause::ClientHelloTooLong,
        Cause::PlainHttp,
        Cause::NoSni,
        Cause::UnknownName,
        Cause::HandshakeTimeout,
        Cause::HandshakeOverload,
        Cause::HandshakeClosed,
        Cause::HandshakeFailed,
        Cause::ClientCertificateMissing,
        Cause::ClientCertificateRejected,
        Cause::ClientTruncated,
        Cause::ClientReset,
        Cause::ClientTls,
        Cause::IdleTimeout,
        Cause::HeadTimeout,
        Cause::UpstreamRefused,
        Cause::UpstreamConnectTimeout,
        Cause::UpstreamTls,
        Cause::UpstreamReset,
        Cause::UpstreamTruncated,
        Cause::UpstreamInvalid,
        Cause::UpstreamTimeout,
        Cause::UpstreamBusy,
        Cause::UpstreamStatus,
        Cause::BadRequest,
        Cause::BadPath,
        Cause::MethodNotAllowed,
        Cause::Misdirected,
        Cause::NoRoute,
        Cause::NotAuthenticated,
        Cause::PartialWrite,
        Cause::NotAnEnvelope,
        Cause::NotVerified,
        Cause::SealFailed,
        Cause::Draining,
        Cause::ClientHttp,
        Cause::PathTooLong,
        Cause::TooLarge,
        Cause::KeysWithdrawn,
        Cause::KeysUnavailable,
    ];

    /// Its place in [`Cause::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its row.
    pub fn row(self) -> Row {
        use Fault::{Client, Limit, Operator, Upstream};
        let (label, fault, level, problem) = match self {
            Cause::ConnectionLimit => ("connection_limit", Limit, Level::WARN, None),
            Cause::ClientHelloInvalid => ("client_hello_invalid", Client, Level::INFO, None),
            Cause::ClientHelloTooLong => ("client_hello_too_long", Client, Level::INFO, None),
            Cause::PlainHttp => (
                "plain_http",
                Client,
                Level::INFO,
                told(400, "This port speaks TLS: use https://"),
            ),
            Cause::NoSni => ("no_sni", Client, Level::INFO, None),
            Cause::UnknownName => ("unknown_name", Client, Level::INFO, None),
            Cause::HandshakeTimeout => ("handshake_timeout", Client, Level::INFO, None),
            Cause::HandshakeOverload => ("handshake_overload", Limit, Level::WARN, None),
            Cause::HandshakeClosed => ("handshake_closed", Client, Level::INFO, None),
            Cause::HandshakeFailed => ("handshake_failed", Client, Level::INFO, None),
            Cause::ClientCertificateMissing => {
                ("client_certificate_missing", Client, Level::INFO, None)
            }
            Cause::ClientCertificateRejected => {
                ("client_certificate_rejected", Client, Level::INFO, None)
            }
            Cause::ClientTruncated => (
                "truncated",
                Client,
                Level::INFO,
                told(400, "The request body is cut short or malformed"),
            ),
            Cause::ClientReset => ("reset", Client, Level::INFO, None),
            Cause::ClientTls => ("client_tls", Client, Level::INFO, None),
            Cause::IdleTimeout => ("idle_timeout", Limit, Level::INFO, None),
            Cause::HeadTimeout => ("head_timeout", Client, Level::INFO, None),
            Cause::UpstreamRefused => (
                "upstream_refused",
                Upstream,
                Level::WARN,
                told(502, "The service behind the gateway cannot be reached"),
            ),
            Cause::UpstreamConnectTimeout => (
                "upstream_connect_timeout",
                Upstream,
                Level::WARN,
                told(504, "The service behind the gateway does not answer"),
            ),
            Cause::UpstreamTls => (
                "upstream_tls",
                Upstream,
                Level::WARN,
                told(502, "The service behind the gateway could not be verified"),
            ),
            Cause::UpstreamReset => (
                "upstream_reset",
                Upstream,
                Level::WARN,
                told(
                    502,
                    "The service behind the gateway broke the connection off",
                ),
            ),
            Cause::UpstreamTruncated => (
                "upstream_truncated",
                Upstream,
                Level::WARN,
                told(
                    502,
                    "The answer of the service behind the gateway was cut short",
                ),
            ),
            Cause::UpstreamInvalid => (
                "upstream_invalid",
                Upstream,
                Level::WARN,
                told(
                    502,
                    "The service behind the gateway answered something that is not HTTP",
                ),
            ),
            Cause::UpstreamTimeout => (
                "upstream_timeout",
                Upstream,
                Level::WARN,
                told(504, "The service behind the gateway did not answer in time"),
            ),
            Cause::UpstreamBusy => (
                "upstream_busy",
                Limit,
                Level::WARN,
                told(
                    503,
                    "Too many requests wait for the service behind the gateway",
                ),
            ),
            // The status is the upstream's own.
            Cause::UpstreamStatus => (
                "upstream_status",
                Upstream,
                Level::INFO,
                told(502, "The service behind the gateway refused the request"),
            ),
            Cause::BadRequest => (
                "bad_request",
                Client,
                Level::INFO,
                told(400, "The request is not valid HTTP/1.1"),
            ),
            Cause::BadPath => (
                "bad_path",
                Client,
                Level::INFO,
                told(
                    400,
                    "The path is not in canonical form: no empty or dot segments, no encoded slashes",
                ),
            ),
            Cause::MethodNotAllowed => (
                "method_not_allowed",
                Client,
                Level::INFO,
                told(405, "This method is not available here"),
            ),
            Cause::Misdirected => (
                "misdirected",
                Client,
                Level::INFO,
                told(
                    421,
                    "The Host header names another tenant than the TLS session",
                ),
            ),
            Cause::NoRoute => (
                "no_route",
                Client,
                Level::INFO,
                told(404, "No route leads to this path"),
            ),
            Cause::NotAuthenticated => (
                "not_authenticated",
                Client,
                Level::INFO,
                told(403, "A client certificate is needed here"),
            ),
            Cause::PartialWrite => (
                "partial_write",
                Client,
                Level::INFO,
                told(
                    400,
                    "A sealed object is written whole: no Content-Range in requests",
                ),
            ),
            Cause::NotAnEnvelope => (
                "not_an_envelope",
                Upstream,
                Level::WARN,
                told(
                    502,
                    "The stored object is not one that was sealed for this tenant and path",
                ),
            ),
            Cause::NotVerified => (
                "not_verified",
                Upstream,
                Level::WARN,
                told(502, "The stored object was damaged or changed"),
            ),
            Cause::SealFailed => (
                "seal_failed",
                Operator,
                Level::ERROR,
                told(503, "The request could not be sealed"),
            ),
            Cause::Draining => (
                "draining",
                Limit,
                Level::INFO,
                told(503, "The gateway is shutting down"),
            ),
            Cause::ClientHttp => ("client_http", Client, Level::INFO, None),
            Cause::PathTooLong => (
                "path_too_long",
                Client,
                Level::INFO,
                told(414, "The path is too long for the envelopes of this route"),
            ),
            Cause::KeysWithdrawn => (
                "keys_withdrawn",
                Operator,
                Level::WARN,
                told(503, "The keys for this object are switched off"),
            ),
            Cause::KeysUnavailable => (
                "keys_unavailable",
                Operator,
                Level::ERROR,
                told(503, "The keys for this object cannot be reached at present"),
            ),
            Cause::TooLarge => (
                "too_large",
                Client,
                Level::INFO,
                told(413, "The body is larger than an envelope can be"),
            ),
        };
        Row {
            label,
            fault,
            level,
            problem,
        }
    }

    /// Its label.
    pub fn label(self) -> &'static str {
        self.row().label
    }
}

fn told(status: u16, title: &'static str) -> Option<Problem> {
    Some(Problem { status, title })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_stands_at_its_place_with_a_label_of_its_own() {
        let mut labels = std::collections::HashSet::new();
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause.index(), place, "{cause:?}");
            assert!(labels.insert(cause.label()), "{cause:?}");
        }
    }
}
