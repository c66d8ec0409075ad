//! The engine's interface: bytes in, plaintext and events out; plaintext in, records out.

use std::fmt;

use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};

/// The largest plaintext of one record (RFC 8446 §5.1).
pub const MAX_FRAGMENT_LEN: usize = 16384;

/// What a record of application data adds to its plaintext at most, in what we write: header 5,
/// explicit nonce 8 (TLS 1.2), content type 1 (TLS 1.3), tag 16, rounded up.
pub const RECORD_OVERHEAD: usize = 32;

/// A fatal `unrecognized_name` alert (RFC 6066 §3) as it stands on the wire before any key:
/// what a server sends that has no certificate for the name asked for.
pub const UNRECOGNIZED_NAME_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Room that sealing `plaintext_len` bytes needs, control messages aside.
pub fn sealed_len_bound(plaintext_len: usize) -> usize {
    plaintext_len + plaintext_len.div_ceil(MAX_FRAGMENT_LEN) * RECORD_OVERHEAD
}

/// A TLS session: handshake, records both ways, close. One thread; no I/O.
///
/// Control bytes (handshake flights, tickets, KeyUpdate answers, alerts) gather inside until
/// [`transmit`](Session::transmit) takes them. They and sealed records have to reach the wire in
/// the order in which these calls returned them.
pub trait Session {
    /// Takes records from the front of `incoming`, in place, and writes their plaintext to the
    /// front of `plaintext`, whole records only: before each, at least [`MAX_FRAGMENT_LEN`] bytes of
    /// room are left, or it stops with [`Progress::PlaintextFull`]. During the handshake it needs no
    /// room and stops when the handshake is done.
    ///
    /// # Errors
    /// [`TlsError::Protocol`] for what the peer did wrong, once the plaintext before it was handed over;
    /// the session is then dead, and an alert may wait in [`transmit`](Session::transmit).
    fn open(&mut self, incoming: &mut [u8], plaintext: &mut [u8]) -> Result<Opened, TlsError>;

    /// Seals from the front of `plaintext` into the front of `outgoing`, as much as fits whole
    /// records; control bytes that wait go first.
    ///
    /// # Errors
    /// [`TlsError::KeyExhausted`] when the keys have sealed what they may and cannot be renewed
    /// (TLS 1.2); [`TlsError::NotEstablished`] before the handshake is done or after
    /// [`close`](Session::close).
    fn seal(&mut self, plaintext: &[u8], outgoing: &mut [u8]) -> Result<Sealed, TlsError>;

    /// Queues a KeyUpdate that asks the peer for one in return (RFC 8446 §4.6.3): what is sealed
    /// from now on is under our next key. An engine that counts them queues none while an earlier
    /// one is unanswered, which is no error.
    ///
    /// # Errors
    /// [`TlsError::NoKeyUpdate`] in TLS 1.2; [`TlsError::NotEstablished`] before the handshake is
    /// done or after [`close`](Session::close).
    fn request_key_update(&mut self) -> Result<(), TlsError>;

    /// KeyUpdates so far; `None` where the engine does not tell: only our own record layer does.
    fn key_updates(&self) -> Option<KeyUpdates>;

    /// Ends our direction: queues `close_notify` for [`transmit`](Session::transmit). Once.
    fn close(&mut self);

    /// Whether control bytes wait to be sent.
    fn wants_transmit(&self) -> bool;

    /// Moves control bytes to the front of `outgoing`; returns how many.
    fn transmit(&mut self, outgoing: &mut [u8]) -> usize;

    /// Whether the handshake is still under way.
    fn is_handshaking(&self) -> bool;

    /// Whether the peer has sent `close_notify`.
    fn peer_closed(&self) -> bool;

    /// What was negotiated; meaningful once the handshake is done.
    fn facts(&self) -> Facts;

    /// The same, for who keeps it: a session may then forget it, and so keep no second copy of the
    /// peer's certificate for as long as it lives.
    fn take_facts(&mut self) -> Box<Facts> {
        Box::new(self.facts())
    }

    /// Lets go of memory that can be made anew, of a session that will be idle. Costs the next record
    /// of each direction the expansion of its key.
    fn park(&mut self) {}
}

/// Moves the front of `control` to the front of `outgoing`; returns how much.
pub(crate) fn transmit(control: &mut Vec<u8>, outgoing: &mut [u8]) -> usize {
    let n = control.len().min(outgoing.len());
    outgoing[..n].copy_from_slice(&control[..n]);
    control.drain(..n);
    if control.is_empty() {
        // Handshake flights are large and rare: an established session keeps no room for them.
        *control = Vec::new();
    }
    n
}

/// What one call of [`Session::open`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of `incoming` that are done with, from the front.
    pub consumed: usize,
    /// Bytes of `plaintext` that were written, from the front.
    pub produced: usize,
    /// Why it stopped.
    pub progress: Progress,
}

/// Why [`Session::open`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It needs more bytes from the wire.
    NeedInput,
    /// There may be more to open, but less than one record's room is left for plaintext.
    PlaintextFull,
    /// The peer has sent `close_notify`: nothing more will come.
    PeerClosed,
}

/// What one call of [`Session::seal`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Bytes of `plaintext` that are sealed, from the front.
    pub consumed: usize,
    /// Bytes of `outgoing` that were written, from the front.
    pub produced: usize,
}

/// KeyUpdates of one session, whoever asked for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUpdates {
    /// Ours.
    pub sent: u64,
    /// The peer's.
    pub received: u64,
}

/// What became of early data (RFC 8446 §4.2.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyData {
    /// There was none.
    #[default]
    None,
    /// There was no ticket that allows as much.
    NotAllowed,
    /// The server took it.
    Accepted,
    /// The server did not read it; it has to be sent again.
    Rejected,
}

/// What a handshake negotiated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Protocol version.
    pub version: Option<ProtocolVersion>,
    /// Cipher suite, in the name the RFCs give it.
    pub suite: Option<&'static str>,
    /// Key exchange group; none in a TLS 1.2 resumption.
    pub group: Option<NamedGroup>,
    /// Full or resumed.
    pub kind: Option<HandshakeKind>,
    /// Application protocol.
    pub alpn: Option<Vec<u8>>,
    /// What became of the early data that this side, a client, had to send.
    pub early_data: EarlyData,
    /// DER of the peer's end-entity certificate, where it showed one that verified.
    pub peer_certificate: Option<Vec<u8>>,
}

impl Facts {
    /// `TLSv1.3`, `TLSv1.2` or `-`.
    pub fn version_name(&self) -> &'static str {
        match self.version {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "-",
        }
    }

    /// The suite's name, or `-`.
    pub fn suite_name(&self) -> &'static str {
        self.suite.unwrap_or("-")
    }

    /// The group's name, or `-`.
    pub fn group_name(&self) -> &'static str {
        match self.group {
            Some(NamedGroup::X25519MLKEM768) => "X25519MLKEM768",
            Some(NamedGroup::X25519) => "X25519",
            Some(NamedGroup::secp256r1) => "P-256",
            Some(NamedGroup::secp384r1) => "P-384",
            Some(_) => "other",
            None => "-",
        }
    }

    /// `full`, `resumed` or `-`. A HelloRetryRequest is a full handshake.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => "full",
            Some(HandshakeKind::Resumed) => "resumed",
            _ => "-",
        }
    }
}

/// What ends a session.
#[derive(Debug, Clone, PartialEq)]
pub enum TlsError {
    /// The peer broke the protocol, sent a fatal alert, or showed a certificate that does not
    /// verify.
    Protocol(rustls::Error),
    /// The traffic keys are used up.
    KeyExhausted,
    /// Application data before the handshake is done or after our close.
    NotEstablished,
    /// TLS 1.2 keeps its keys.
    NoKeyUpdate,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Protocol(error) => error.fmt(f),
            TlsError::KeyExhausted => f.write_str("the traffic keys are used up"),
            TlsError::NotEstablished => f.write_str("the session is not established"),
            TlsError::NoKeyUpdate => f.write_str("TLS 1.2 has no KeyUpdate"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TlsError::Protocol(error) => Some(error),
            TlsError::KeyExhausted | TlsError::NotEstablished | TlsError::NoKeyUpdate => None,
        }
    }
}
