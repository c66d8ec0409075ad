//! The ClientHello, read by rustls alone.
//!
//! The bytes are kept and replayed into the session that is then made: there is no second parser
//! that could name another tenant than the one whose certificate is shown.

use std::fmt;

use rustls::NamedGroup;
use rustls::server::Acceptor;

/// The longest prefix that may pass without a complete ClientHello. Post-quantum hellos take about
/// 2 KiB; a client that pads to 16 KiB is the largest seen in the field.
pub const MAX_CLIENT_HELLO_BYTES: usize = 32 * 1024;

/// A fatal `decode_error` alert (RFC 8446 §6.2) as it stands on the wire before any key.
const DECODE_ERROR_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

/// Gathers bytes until a ClientHello is complete.
#[derive(Default)]
pub struct ClientHelloReader {
    acceptor: Acceptor,
    bytes: Vec<u8>,
}

/// A complete ClientHello, and the bytes it came in.
pub struct ClientHello {
    /// The server name asked for, lower case; `None` where the client sent none.
    pub server_name: Option<String>,
    /// Whether TLS 1.3 suites are among those offered.
    pub offers_tls13: bool,
    /// Application protocols offered.
    pub alpn: Vec<Vec<u8>>,
    /// Key exchange groups offered.
    pub groups: Vec<NamedGroup>,
    /// All bytes so far, to be replayed.
    pub bytes: Vec<u8>,
}

/// Why there is no ClientHello.
#[derive(Debug)]
pub enum ClientHelloError {
    /// What came is no TLS ClientHello, or one that no server could answer; with the alert to send.
    Invalid {
        /// What rustls found.
        error: rustls::Error,
        /// Bytes for the client.
        alert: Vec<u8>,
    },
    /// [`MAX_CLIENT_HELLO_BYTES`] passed without a complete one.
    TooLong,
}

impl fmt::Display for ClientHelloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientHelloError::Invalid { error, .. } => write!(f, "invalid ClientHello: {error}"),
            ClientHelloError::TooLong => {
                write!(
                    f,
                    "no complete ClientHello within {MAX_CLIENT_HELLO_BYTES} bytes"
                )
            }
        }
    }
}

impl std::error::Error for ClientHelloError {}

impl ClientHelloReader {
    /// Takes the bytes that came next; `Some` once the hello is complete, after which it must not
    /// be called again.
    ///
    /// # Errors
    /// [`ClientHelloError`]; the client's fault.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, ClientHelloError> {
        self.bytes.extend_from_slice(bytes);
        let mut unread = bytes;
        loop {
            // rustls takes a few KiB a call.
            let fed = match self.acceptor.read_tls(&mut unread) {
                Ok(n) => n,
                Err(_) => return Err(ClientHelloError::TooLong),
            };
            match self.acceptor.accept() {
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    return Ok(Some(ClientHello {
                        server_name: hello.server_name().map(str::to_ascii_lowercase),
                        offers_tls13: hello
                            .cipher_suites()
                            .iter()
                            .any(|suite| u16::from(*suite) >> 8 == 0x13),
                        alpn: hello
                            .alpn()
                            .map(|names| names.map(<[u8]>::to_vec).collect())
                            .unwrap_or_default(),
                        groups: hello.named_groups().unwrap_or_default().to_vec(),
                        bytes: std::mem::take(&mut self.bytes),
                    }));
                }
                // Early data may stand behind a complete hello, so the bound holds for incomplete ones.
                Ok(None) if self.bytes.len() > MAX_CLIENT_HELLO_BYTES => {
                    return Err(ClientHelloError::TooLong);
                }
                Ok(None) if unread.is_empty() || fed == 0 => return Ok(None),
                Ok(None) => {}
                Err((error, mut accepted_alert)) => {
                    let mut alert = Vec::new();
                    // Writing to a Vec does not fail.
                    let _ = accepted_alert.write_all(&mut alert);
                    if alert.is_empty() {
                        // rustls has none for bytes that it cannot decode.
                        alert.extend_from_slice(&DECODE_ERROR_ALERT);
                    }
                    return Err(ClientHelloError::Invalid { error, alert });
                }
            }
        }
    }

    /// What came so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether `bytes` begin like an HTTP/1 request: somebody speaks HTTP to a TLS port.
pub fn looks_like_http(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] = [
        b"GET ",
        b"PUT ",
        b"POST ",
        b"HEAD ",
        b"DELETE ",
        b"OPTIONS ",
        b"PATCH ",
        b"CONNECT ",
        b"TRACE ",
    ];
    METHODS.iter().any(|method| bytes.starts_with(method))
}
