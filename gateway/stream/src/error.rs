//! What ends a stream.

use std::fmt;
use std::io;

use sealgate_tls::{ClientHelloError, TlsError};

/// Why a handshake failed.
#[derive(Debug)]
pub enum HandshakeError {
    /// The peer ended the connection in the middle of it.
    Closed,
    /// The network failed.
    Io(io::Error),
    /// What came first is no ClientHello.
    Hello(ClientHelloError),
    /// Somebody speaks HTTP to a TLS port.
    PlainHttp,
    /// The peer, or its certificate, is at fault; or it said that we are.
    Tls(TlsError),
    /// A flight larger than any buffer.
    TooLong,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::Closed => f.write_str("the peer closed during the handshake"),
            HandshakeError::Io(error) => error.fmt(f),
            HandshakeError::Hello(error) => error.fmt(f),
            HandshakeError::PlainHttp => f.write_str("plain HTTP on a TLS port"),
            HandshakeError::Tls(error) => error.fmt(f),
            HandshakeError::TooLong => f.write_str("a handshake flight is too long"),
        }
    }
}

impl std::error::Error for HandshakeError {}

/// Why reading failed.
#[derive(Debug)]
pub enum ReadError {
    /// The stream ended without `close_notify`: what came may be cut short.
    Truncated,
    /// The network failed; `ConnectionReset` is the peer's RST.
    Io(io::Error),
    /// A record or message that breaks TLS.
    Tls(TlsError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Truncated => f.write_str("the stream ended without close_notify"),
            ReadError::Io(error) => error.fmt(f),
            ReadError::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        match error {
            ReadError::Truncated => io::Error::new(io::ErrorKind::UnexpectedEof, error),
            ReadError::Io(error) => error,
            ReadError::Tls(_) => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// Why writing failed.
#[derive(Debug)]
pub enum WriteError {
    /// The network failed.
    Io(io::Error),
    /// The session cannot seal any more.
    Tls(TlsError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Io(error) => error.fmt(f),
            WriteError::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> io::Error {
        match error {
            WriteError::Io(error) => error,
            WriteError::Tls(_) => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}
