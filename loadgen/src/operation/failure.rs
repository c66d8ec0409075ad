//! How an operation fails: in which phase, and as what.

use std::{fmt, io, net::IpAddr};

use rustls::{AlertDescription, PeerMisbehaved};
use schemars::JsonSchema;
use sealgate_stream::{HandshakeError, ReadError, WriteError};
use sealgate_tls::TlsError;
use serde::{Deserialize, Serialize};

use super::http1::response::HttpError;
use crate::envelope::opening::Unopened;

/// Where an operation was when it failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// TCP connect.
    Connect,
    /// TLS handshake.
    Handshake,
    /// Sending the request or the body.
    Send,
    /// Receiving the answer.
    Receive,
    /// Comparing the answer with what it should be.
    Check,
    /// Holding a connection that is idle.
    Hold,
}

/// What kind of failure it was: the label in the report.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nobody listens.
    Refused,
    /// No way there.
    Unreachable,
    /// The target broke the connection off.
    Reset,
    /// The target closed where an answer was due.
    Closed,
    /// The stream ended without `close_notify`.
    Truncated,
    /// Nothing moved for the time of `--timeout`.
    Timeout,
    /// It was under way when the time to drain was over.
    Unfinished,
    /// No free local port.
    PortsExhausted,
    /// No free file descriptor.
    DescriptorsExhausted,
    /// The target's certificate does not verify.
    Certificate,
    /// The target sent a TLS alert.
    Alert,
    /// Any other breach of TLS.
    Tls,
    /// Any other breach of HTTP.
    Http,
    /// The target reset the stream of the request (HTTP/2).
    StreamReset,
    /// The target ended the connection and did not take the request (HTTP/2).
    GoAway,
    /// The target does not speak the version of HTTP that was asked for.
    WrongProtocol,
    /// An HTTP status of 400 or more.
    Status,
    /// Another handshake was wanted: resumed and not full, with early data taken, with a client
    /// certificate, with one of the protocols asked for.
    WrongKind,
    /// The target gave no session to resume.
    NoTicket,
    /// Other bytes came back than were sent.
    Mismatch,
    /// More or fewer bytes came than there should be.
    WrongLength,
    /// The answer is no sealed message.
    NotSealed,
    /// The answer is sealed for another key.
    NoKey,
    /// The answer is a sealed message that does not open: damaged, or cut short.
    Unopened,
    /// Any other error of the system.
    Io,
}

impl Class {
    /// Whether data was damaged or lost without the target saying so.
    pub fn is_corruption(self) -> bool {
        matches!(self, Class::Mismatch | Class::WrongLength | Class::Unopened)
    }
}

/// The name in the report.
fn name(value: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => f.write_str(&name),
        _ => Err(fmt::Error),
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(self, f)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(self, f)
    }
}

/// A handshake with what it negotiates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Certificates and key exchange.
    Full,
    /// From a ticket.
    Resumed,
    /// From a ticket, with application data in the first flight.
    EarlyData,
    /// Full, with a client certificate.
    Mtls,
}

impl Kind {
    /// All of them; an arrival's kind is an index into these.
    pub const ALL: [Kind; 4] = [Kind::Full, Kind::Resumed, Kind::EarlyData, Kind::Mtls];

    /// Whether it takes a ticket.
    pub fn resumes(self) -> bool {
        matches!(self, Kind::Resumed | Kind::EarlyData)
    }
}

/// What a handshake turned out to be instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The target made a full one.
    Full,
    /// The target resumed one that offered no ticket: a breach of TLS.
    Resumed,
    /// The ticket allows no early data.
    EarlyDataNotAllowed,
    /// The target did not take the early data.
    EarlyDataRejected,
    /// The target asked for no client certificate.
    CertificateNotAsked,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Full => "the target made a full one",
            Found::Resumed => "the target resumed a session",
            Found::EarlyDataNotAllowed => "the target's ticket allows no early data",
            Found::EarlyDataRejected => "the target did not take the early data",
            Found::CertificateNotAsked => "the target asked for no client certificate of this kind",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Full => "full",
            Kind::Resumed => "resumed",
            Kind::EarlyData => "early_data",
            Kind::Mtls => "mtls",
        })
    }
}

/// What went wrong.
#[derive(Debug)]
pub enum Cause {
    /// The system said so.
    Io(io::Error),
    /// The address to come from is not this machine's.
    Source(IpAddr),
    /// The TLS handshake failed.
    Handshake(HandshakeError),
    /// Reading failed.
    Read(ReadError),
    /// Writing failed.
    Write(WriteError),
    /// HTTP failed.
    Http(HttpError),
    /// HTTP/2 failed, and not by a word of the target.
    Http2(h2::Error),
    /// The target sent RST_STREAM.
    StreamReset(h2::Reason),
    /// The target sent GOAWAY, and did not take the request.
    GoAway(h2::Reason),
    /// The target chose something else by ALPN, or nothing.
    WrongProtocol {
        /// What it chose.
        chosen: Option<String>,
    },
    /// The target closed before the answer was complete.
    Closed,
    /// The target ended a connection that was only held.
    Dropped,
    /// Nothing moved for too long.
    Timeout,
    /// The time to drain was over.
    Unfinished,
    /// The answer's status.
    Status(u16),
    /// Another kind of handshake than was wanted.
    WrongKind {
        /// What was wanted.
        wanted: Kind,
        /// What it is.
        found: Found,
    },
    /// None of the application protocols that were asked for was negotiated.
    NoProtocol,
    /// No ticket came.
    NoTicket,
    /// The bytes differ.
    Mismatch {
        /// Offset of the first that does, in its message.
        offset: u64,
    },
    /// The digest of the bytes differs.
    WrongDigest,
    /// The answer does not open.
    Unopened(Unopened),
    /// The number of bytes differs.
    WrongLength {
        /// What it should be.
        expected: u64,
        /// What it is.
        found: u64,
    },
}

/// One failure.
#[derive(Debug)]
pub struct Failure {
    /// Where.
    pub phase: Phase,
    /// What.
    pub cause: Cause,
}

impl Failure {
    /// A failure in `phase`.
    pub fn new(phase: Phase, cause: Cause) -> Self {
        Self { phase, cause }
    }

    /// The label it is counted under.
    pub fn class(&self) -> Class {
        match &self.cause {
            Cause::Io(error) => io_class(error),
            Cause::Source(_) => Class::Io,
            Cause::Handshake(error) => handshake_class(error),
            Cause::Read(error) => read_class(error),
            Cause::Write(error) => write_class(error),
            Cause::Http(_) | Cause::Http2(_) => Class::Http,
            Cause::StreamReset(_) => Class::StreamReset,
            Cause::GoAway(_) => Class::GoAway,
            Cause::WrongProtocol { .. } => Class::WrongProtocol,
            Cause::Closed | Cause::Dropped => Class::Closed,
            Cause::Timeout => Class::Timeout,
            Cause::Unfinished => Class::Unfinished,
            Cause::Status(_) => Class::Status,
            Cause::WrongKind { .. } | Cause::NoProtocol => Class::WrongKind,
            Cause::NoTicket => Class::NoTicket,
            Cause::Mismatch { .. } | Cause::WrongDigest => Class::Mismatch,
            Cause::Unopened(unopened) if unopened.is_damage() => Class::Unopened,
            Cause::Unopened(Unopened::NoKey) => Class::NoKey,
            Cause::Unopened(_) => Class::NotSealed,
            Cause::WrongLength { .. } => Class::WrongLength,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Io(error) => error.fmt(f),
            Cause::Source(source) => {
                write!(
                    f,
                    "{source} is no address of this machine: correct --source"
                )
            }
            Cause::Handshake(error) if handshake_class(error) == Class::WrongProtocol => {
                f.write_str("the target takes none of the protocols that were offered by ALPN")
            }
            Cause::Handshake(error) => error.fmt(f),
            Cause::Read(error) => error.fmt(f),
            Cause::Write(error) => error.fmt(f),
            Cause::Http(error) => error.fmt(f),
            Cause::Http2(error) => write!(f, "this is no HTTP/2: {error}"),
            Cause::StreamReset(code) => {
                write!(
                    f,
                    "the target reset the stream: RST_STREAM {}",
                    code_name(*code)
                )
            }
            Cause::GoAway(code) => write!(
                f,
                "the target ended the connection before it took the request: GOAWAY {}",
                code_name(*code)
            ),
            Cause::WrongProtocol { chosen } => write!(
                f,
                "h2 was offered by ALPN, and the target chose {}",
                chosen.as_deref().unwrap_or("no protocol")
            ),
            Cause::Closed => f.write_str("the target closed before its answer was complete"),
            Cause::Dropped => f.write_str("the target closed a connection that was idle"),
            Cause::Timeout => f.write_str("nothing moved for the time of --timeout"),
            Cause::Unfinished => f.write_str("it was not done when --drain was over"),
            Cause::Status(status) => write!(f, "the target answered with status {status}"),
            Cause::WrongKind { wanted, found } => {
                write!(f, "the handshake is not {wanted}: {found}")
            }
            Cause::NoProtocol => f.write_str("the target chose no protocol of --alpn"),
            Cause::NoTicket => f.write_str("the target sent no session ticket"),
            Cause::Mismatch { offset } => {
                write!(f, "the answer differs from what was sent at byte {offset}")
            }
            Cause::Unopened(unopened) => unopened.fmt(f),
            Cause::WrongDigest => f.write_str("the answer does not have the digest it should have"),
            Cause::WrongLength { expected, found } => {
                write!(f, "{found} bytes where there should be {expected}")
            }
        }
    }
}

/// The name of an HTTP/2 error code and its number (RFC 9113 §7).
fn code_name(code: h2::Reason) -> String {
    format!("{code:?} ({})", u32::from(code))
}

fn io_class(error: &io::Error) -> Class {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match (error.kind(), errno) {
        (_, Some(Errno::ADDRNOTAVAIL)) => Class::PortsExhausted,
        (_, Some(Errno::MFILE | Errno::NFILE)) => Class::DescriptorsExhausted,
        (io::ErrorKind::ConnectionRefused, _) => Class::Refused,
        (io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable, _) => {
            Class::Unreachable
        }
        (
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected,
            _,
        ) => Class::Reset,
        (io::ErrorKind::TimedOut, _) => Class::Timeout,
        (io::ErrorKind::UnexpectedEof, _) => Class::Truncated,
        _ => Class::Io,
    }
}

fn tls_class(error: &TlsError) -> Class {
    match error {
        TlsError::Protocol(
            rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
            | rustls::Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol),
        ) => Class::WrongProtocol,
        TlsError::Protocol(rustls::Error::AlertReceived(_)) => Class::Alert,
        TlsError::Protocol(rustls::Error::InvalidCertificate(_)) => Class::Certificate,
        _ => Class::Tls,
    }
}

fn handshake_class(error: &HandshakeError) -> Class {
    match error {
        HandshakeError::Closed => Class::Closed,
        HandshakeError::Io(error) => io_class(error),
        HandshakeError::Tls(error) => tls_class(error),
        _ => Class::Tls,
    }
}

fn read_class(error: &ReadError) -> Class {
    match error {
        ReadError::Truncated => Class::Truncated,
        ReadError::Io(error) => io_class(error),
        ReadError::Tls(error) => tls_class(error),
    }
}

fn write_class(error: &WriteError) -> Class {
    match error {
        WriteError::Io(error) => io_class(error),
        WriteError::Tls(error) => tls_class(error),
    }
}
