//! [`Session`] over rustls's unbuffered API: handshakes, TLS 1.2, and the reference for TLS 1.3 records.
//!
//! One allocation and one extra copy per record are rustls's; [`DirectSession`] spares them.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{CommonState, Error, ExtractedSecrets, ProtocolVersion};

use crate::direct::{DirectSession, Side};
use crate::session::{
    EarlyData, Facts, KeyUpdates, MAX_FRAGMENT_LEN, Opened, Progress, RECORD_OVERHEAD, Sealed,
    Session, TlsError, transmit,
};

/// One side's connection of rustls.
pub trait Connection {
    /// rustls's marker of the side.
    type Side: Side;

    /// `process_tls_records` of this side.
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Side>;

    /// What both sides have in common.
    fn common(&self) -> &CommonState;

    /// `dangerous_into_kernel_connection` of this side.
    fn into_kernel(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Side>), Error>;
}

impl Connection for UnbufferedServerConnection {
    type Side = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }

    fn into_kernel(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Side>), Error> {
        self.dangerous_into_kernel_connection()
    }
}

impl Connection for UnbufferedClientConnection {
    type Side = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }

    fn into_kernel(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Side>), Error> {
        self.dangerous_into_kernel_connection()
    }
}

/// Messages that rustls may have to send at once: a flight, at most.
const CONTROL_MESSAGES: usize = 64;

/// A rustls connection and the control bytes that wait to be sent.
pub struct RustlsSession<C> {
    connection: C,
    control: Vec<u8>,
    /// See [`RustlsSession::retain`].
    retained: Vec<u8>,
    /// See [`RustlsSession::show`].
    shown: usize,
    close: Close,
    peer_closed: bool,
    /// rustls is not asked again after it has failed.
    failed: Option<Error>,
}

/// Where our direction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Close {
    Open,
    Closed,
}

impl<C: Connection> RustlsSession<C> {
    pub(crate) fn new(connection: C) -> Self {
        RustlsSession {
            connection,
            control: Vec::new(),
            retained: Vec::new(),
            shown: 0,
            close: Close::Open,
            peer_closed: false,
            failed: None,
        }
    }

    fn fail(&mut self, error: Error) -> TlsError {
        self.gather_control();
        self.failed = Some(error.clone());
        TlsError::Protocol(error)
    }

    /// The same session on our own record layer. Its handshake is done, and nothing behind it was looked at.
    ///
    /// # Errors
    /// rustls's, when its configuration does not let secrets out: a bug.
    pub(crate) fn into_direct(mut self) -> Result<DirectSession<C::Side>, Error> {
        self.gather_control();
        let facts = self.facts();
        let (secrets, connection) = self.connection.into_kernel()?;
        DirectSession::new(secrets, connection, self.control, facts)
    }

    /// Fetches what rustls has to send and is not application data. While it wants to write, it
    /// hands that out before it looks at any input, so it needs none here.
    fn gather_control(&mut self) {
        // Each turn takes one message out, so this ends; the bound is for the day it does not.
        for _ in 0..CONTROL_MESSAGES {
            if !self.connection.common().wants_write() {
                return;
            }
            if let Ok(ConnectionState::EncodeTlsData(mut data)) =
                self.connection.process(&mut []).state
            {
                encode(&mut self.control, |out| data.encode(out));
            }
        }
    }

    /// Brings rustls to where it would write application data, and does `act` there, with the
    /// control bytes at hand. Bounded as in `gather_control`: one message a turn.
    fn when_writable<R>(
        &mut self,
        act: impl FnOnce(WriteTraffic<'_, C::Side>, &mut Vec<u8>) -> R,
    ) -> Option<R> {
        for _ in 0..8 {
            match self.connection.process(&mut self.retained).state {
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    return Some(act(traffic, &mut self.control));
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.control, |out| data.encode(out));
                }
                Ok(ConnectionState::TransmitTlsData(state)) => state.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                _ => break,
            }
        }
        None
    }

    fn is_open(&self) -> bool {
        let is_handshaking = self.connection.common().is_handshaking();
        self.close == Close::Open && !is_handshaking && self.failed.is_none()
    }

    /// How much of `rest` rustls is shown during the handshake: what it has seen, and one record more where it wants that.
    ///
    /// It would open application data behind the Finished, for which there may be no room. The ends of records are found before it sees
    /// them: it moves parts of messages together where they lie.
    fn show(&mut self, rest: &[u8], wants_more: bool) -> usize {
        if self.shown > 0 && !wants_more {
            return self.shown;
        }
        match record_end(rest, self.shown) {
            Some(end) => {
                self.shown = end;
                end
            }
            // Its header may be wrong already.
            None => rest.len(),
        }
    }

    /// Remembers what rustls has looked into but not consumed when it asked for more input.
    ///
    /// Between calls rustls keeps ranges of the last input for a handshake message of which only a
    /// part has come, and panics when it is then called without that input. Sealing calls it
    /// without input, so a peer could bring a worker down with half a message; hence the copy. A
    /// part of a record leaves no ranges, and needs none; whole records that were not looked at yet
    /// must not be in it, or sealing would open them.
    fn retain(&mut self, unconsumed: &[u8]) {
        let whole_record = unconsumed.get(3..5).is_some_and(|len| {
            unconsumed.len() >= 5 + usize::from(u16::from_be_bytes([len[0], len[1]]))
        });
        if whole_record {
            self.retained.clear();
            self.retained.extend_from_slice(unconsumed);
        } else {
            self.retained = Vec::new();
        }
    }
}

/// Where the record at `at` ends; `None` when it has not come whole.
pub(crate) fn record_end(bytes: &[u8], at: usize) -> Option<usize> {
    let len = bytes.get(at + 3..at + 5)?;
    let end = at + 5 + usize::from(u16::from_be_bytes([len[0], len[1]]));
    (end <= bytes.len()).then_some(end)
}

/// Appends to `control` what `write` writes, growing it to the size that `write` asks for.
fn encode(control: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = control.len();
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        write(&mut [])
    {
        control.resize(start + required_size, 0);
        let written = write(&mut control[start..]).unwrap_or(0);
        control.truncate(start + written);
    }
}

impl<C: Connection> Session for RustlsSession<C> {
    fn open(&mut self, incoming: &mut [u8], plaintext: &mut [u8]) -> Result<Opened, TlsError> {
        if let Some(error) = &self.failed {
            return Err(TlsError::Protocol(error.clone()));
        }
        let (mut consumed, mut produced) = (0, 0);
        let mut wants_more = true;
        let progress = loop {
            let is_handshaking = self.connection.common().is_handshaking();
            if !is_handshaking && plaintext.len() - produced < MAX_FRAGMENT_LEN {
                break Progress::PlaintextFull;
            }
            let rest = &mut incoming[consumed..];
            let rest_len = rest.len();
            let shown = match is_handshaking {
                true => self.show(rest, wants_more),
                false => rest_len,
            };
            let UnbufferedStatus { discard, state } = self.connection.process(&mut rest[..shown]);
            self.shown = self.shown.saturating_sub(discard);
            wants_more = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    // A record leaves at most MAX_FRAGMENT_LEN bytes, and rustls stops after one.
                    while let Some(record) = traffic.next_record() {
                        let payload = record.map_err(TlsError::Protocol)?.payload;
                        let room = plaintext
                            .get_mut(produced..produced + payload.len())
                            .ok_or(TlsError::NotEstablished)?;
                        room.copy_from_slice(payload);
                        produced += payload.len();
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.control, |out| data.encode(out));
                }
                Ok(ConnectionState::TransmitTlsData(state)) => state.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.peer_closed = true;
                    consumed += discard;
                    break Progress::PeerClosed;
                }
                // More came than it was shown.
                Ok(_) if is_handshaking && discard.max(shown) < rest_len => wants_more = true,
                Ok(_) => {
                    consumed += discard;
                    break match self.peer_closed {
                        true => Progress::PeerClosed,
                        false => Progress::NeedInput,
                    };
                }
                Err(error) => {
                    let error = self.fail(error);
                    match produced {
                        0 => return Err(error),
                        // What verified before is the caller's; the error is for its next call.
                        _ => break Progress::PlaintextFull,
                    }
                }
            }
            consumed += discard;
        };
        // The end of our flight may be several messages.
        self.gather_control();
        match progress {
            Progress::NeedInput => self.retain(&incoming[consumed..]),
            // Application data came, and that does not come in the middle of a handshake message.
            _ if consumed > 0 => self.retained = Vec::new(),
            _ => {}
        }
        Ok(Opened {
            consumed,
            produced,
            progress,
        })
    }

    fn seal(&mut self, plaintext: &[u8], outgoing: &mut [u8]) -> Result<Sealed, TlsError> {
        if !self.is_open() {
            return Err(TlsError::NotEstablished);
        }
        let mut produced = self.transmit(outgoing);
        if self.wants_transmit() {
            return Ok(Sealed {
                consumed: 0,
                produced,
            });
        }
        let mut consumed = 0;
        while consumed < plaintext.len() {
            let room = outgoing.len() - produced;
            // Whole records only; a last smaller one where a full one does not fit.
            let records = room / (MAX_FRAGMENT_LEN + RECORD_OVERHEAD);
            let fits = match records {
                0 => room.saturating_sub(RECORD_OVERHEAD),
                n => n * MAX_FRAGMENT_LEN,
            };
            let len = fits.min(plaintext.len() - consumed);
            if len == 0 {
                break;
            }
            match self.connection.process(&mut self.retained).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    match traffic.encrypt(
                        &plaintext[consumed..consumed + len],
                        &mut outgoing[produced..],
                    ) {
                        Ok(n) => {
                            produced += n;
                            consumed += len;
                        }
                        // A KeyUpdate answer wants to go first and has no room: next call.
                        Err(EncryptError::InsufficientSize(_)) => break,
                        Err(EncryptError::EncryptExhausted) => return Err(TlsError::KeyExhausted),
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.control, |out| data.encode(out));
                    drop(data);
                    produced += self.transmit(&mut outgoing[produced..]);
                    if self.wants_transmit() {
                        break;
                    }
                }
                Ok(ConnectionState::TransmitTlsData(state)) => state.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(_) => return Err(TlsError::NotEstablished),
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(Sealed { consumed, produced })
    }

    fn request_key_update(&mut self) -> Result<(), TlsError> {
        if !self.is_open() {
            return Err(TlsError::NotEstablished);
        }
        if self.connection.common().protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return Err(TlsError::NoKeyUpdate);
        }
        let asked = self.when_writable(|traffic, _| traffic.refresh_traffic_keys());
        asked
            .ok_or(TlsError::NotEstablished)?
            .map_err(|error| self.fail(error))?;
        self.gather_control();
        Ok(())
    }

    fn key_updates(&self) -> Option<KeyUpdates> {
        None
    }

    fn close(&mut self) {
        if !self.is_open() {
            return;
        }
        self.close = Close::Closed;
        // Without it the peer sees a truncation, which is what a failing library comes down to.
        let _ = self.when_writable(|mut traffic, control| {
            let start = control.len();
            let mut len = 0;
            if let Err(EncryptError::InsufficientSize(needed)) = traffic.queue_close_notify(&mut [])
            {
                control.resize(start + needed.required_size, 0);
                len = traffic
                    .queue_close_notify(&mut control[start..])
                    .unwrap_or(0);
            }
            control.truncate(start + len);
        });
    }

    fn wants_transmit(&self) -> bool {
        !self.control.is_empty()
    }

    fn transmit(&mut self, outgoing: &mut [u8]) -> usize {
        transmit(&mut self.control, outgoing)
    }

    fn is_handshaking(&self) -> bool {
        self.connection.common().is_handshaking()
    }

    fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    fn facts(&self) -> Facts {
        facts(self.connection.common())
    }
}

/// What rustls says it negotiated.
pub(crate) fn facts(common: &CommonState) -> Facts {
    Facts {
        version: common.protocol_version(),
        suite: common
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str()),
        group: common
            .negotiated_key_exchange_group()
            .map(|group| group.name()),
        kind: common.handshake_kind(),
        alpn: common.alpn_protocol().map(<[u8]>::to_vec),
        early_data: EarlyData::None,
        peer_certificate: common
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| certificate.to_vec()),
    }
}
