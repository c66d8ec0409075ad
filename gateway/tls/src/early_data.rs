//! A client's session that sends early data (RFC 8446 §2.3), for measuring servers that take it.
//!
//! Over rustls's buffered API: of its interfaces, that one alone says whether the server took the
//! data. So the session stays on it, and pays two copies per record.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::ClientConnection;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error, ProtocolVersion};

use crate::rustls_session::{facts, record_end};
use crate::session::{
    EarlyData, Facts, KeyUpdates, MAX_FRAGMENT_LEN, Opened, Progress, RECORD_OVERHEAD, Sealed,
    Session, TlsError, transmit,
};

/// The longest record (RFC 8446 §5.2, and §6.2.3 of RFC 5246, which allows more).
const RECORD_LEN_MOST: usize = 5 + MAX_FRAGMENT_LEN + 2048;

/// A client's session whose first flight may carry application data.
pub struct EarlyDataSession {
    connection: ClientConnection,
    control: Vec<u8>,
    /// Whether the early data went out.
    sent: Sent,
    ours: Ours,
    peer_closed: bool,
    /// rustls is not asked again after it has failed.
    failed: Option<Error>,
}

/// What became of the early data on our side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Everything,
}

/// Our direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ours {
    Open,
    Closed,
}

/// A client's session under `config` with the server called `name`, with `data` as early data if
/// `config` has a ticket that allows so much of it; [`Facts::early_data`] tells. The first flight
/// waits in [`Session::transmit`].
///
/// Early data can be replayed by whoever sees it (RFC 8446 §8): it has to be harmless.
///
/// # Errors
/// [`TlsError::Protocol`] when the configuration is unusable.
pub fn early_data_session(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    data: &[u8],
) -> Result<EarlyDataSession, TlsError> {
    let mut connection = ClientConnection::new(config, name).map_err(TlsError::Protocol)?;
    let mut sent = Sent::Nothing;
    if let Some(mut early) = connection.early_data()
        && early.bytes_left() >= data.len()
        && early.write_all(data).is_ok()
    {
        sent = Sent::Everything;
    }
    let mut session = EarlyDataSession {
        connection,
        control: Vec::new(),
        sent,
        ours: Ours::Open,
        peer_closed: false,
        failed: None,
    };
    session.gather_control();
    Ok(session)
}

impl EarlyDataSession {
    /// Fetches what rustls has to send.
    fn gather_control(&mut self) {
        while self.connection.wants_write() {
            // Writing to a Vec does not fail.
            if self.connection.write_tls(&mut self.control).is_err() {
                return;
            }
        }
    }

    fn is_open(&self) -> bool {
        self.ours == Ours::Open && !self.connection.is_handshaking() && self.failed.is_none()
    }

    fn fail(&mut self, error: Error) -> TlsError {
        self.gather_control();
        self.failed = Some(error.clone());
        TlsError::Protocol(error)
    }

    /// Takes the record at the front of `incoming`; gives its length, and 0 where it has not come
    /// whole.
    fn take_record(&mut self, incoming: &[u8]) -> Result<usize, Error> {
        let end = match record_end(incoming, 0) {
            Some(end) => end,
            // No record is so long: rustls says what is wrong with it.
            None if incoming.len() > RECORD_LEN_MOST => incoming.len(),
            None => return Ok(0),
        };
        let mut record = &incoming[..end];
        while !record.is_empty() {
            // A slice does not fail, and what rustls keeps is read after every record.
            let read = self.connection.read_tls(&mut record);
            let state = self.connection.process_new_packets()?;
            self.peer_closed |= state.peer_has_closed();
            if !matches!(read, Ok(1..)) {
                break;
            }
        }
        Ok(end)
    }

    fn open_records(
        &mut self,
        incoming: &[u8],
        plaintext: &mut [u8],
        opened: &mut Opened,
    ) -> Result<Progress, Error> {
        loop {
            if !self.connection.is_handshaking() {
                let room = &mut plaintext[opened.produced..];
                if room.len() < MAX_FRAGMENT_LEN {
                    return Ok(Progress::PlaintextFull);
                }
                // Nothing to read, and the end, are no bytes.
                let read = self.connection.reader().read(room).unwrap_or(0);
                if read > 0 {
                    opened.produced += read;
                    continue;
                }
            }
            if self.peer_closed {
                return Ok(Progress::PeerClosed);
            }
            match self.take_record(&incoming[opened.consumed..])? {
                0 => return Ok(Progress::NeedInput),
                taken => opened.consumed += taken,
            }
        }
    }
}

impl Session for EarlyDataSession {
    fn open(&mut self, incoming: &mut [u8], plaintext: &mut [u8]) -> Result<Opened, TlsError> {
        if let Some(error) = &self.failed {
            return Err(TlsError::Protocol(error.clone()));
        }
        let mut opened = Opened {
            consumed: 0,
            produced: 0,
            progress: Progress::NeedInput,
        };
        let progress = self.open_records(incoming, plaintext, &mut opened);
        self.gather_control();
        match progress {
            Ok(progress) => Ok(Opened { progress, ..opened }),
            Err(error) => {
                let error = self.fail(error);
                match opened.produced {
                    0 => Err(error),
                    // What verified before is the caller's; the error is for its next call.
                    _ => Ok(Opened {
                        progress: Progress::PlaintextFull,
                        ..opened
                    }),
                }
            }
        }
    }

    fn seal(&mut self, plaintext: &[u8], outgoing: &mut [u8]) -> Result<Sealed, TlsError> {
        if !self.is_open() {
            return Err(TlsError::NotEstablished);
        }
        let mut sealed = Sealed {
            consumed: 0,
            produced: self.transmit(outgoing),
        };
        while sealed.consumed < plaintext.len() && !self.wants_transmit() {
            let room = outgoing.len() - sealed.produced;
            let len = (plaintext.len() - sealed.consumed)
                .min(MAX_FRAGMENT_LEN)
                .min(room.saturating_sub(RECORD_OVERHEAD));
            if len == 0 {
                break;
            }
            let record = &plaintext[sealed.consumed..sealed.consumed + len];
            // rustls takes less where it has sent what its keys may.
            let taken = self.connection.writer().write(record).unwrap_or(0);
            if taken == 0 {
                return Err(TlsError::KeyExhausted);
            }
            sealed.consumed += taken;
            self.gather_control();
            sealed.produced += self.transmit(&mut outgoing[sealed.produced..]);
        }
        Ok(sealed)
    }

    fn request_key_update(&mut self) -> Result<(), TlsError> {
        if !self.is_open() {
            return Err(TlsError::NotEstablished);
        }
        if self.connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return Err(TlsError::NoKeyUpdate);
        }
        let asked = self.connection.refresh_traffic_keys();
        asked.map_err(|error| self.fail(error))?;
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
        self.ours = Ours::Closed;
        self.connection.send_close_notify();
        self.gather_control();
    }

    fn wants_transmit(&self) -> bool {
        !self.control.is_empty()
    }

    fn transmit(&mut self, outgoing: &mut [u8]) -> usize {
        transmit(&mut self.control, outgoing)
    }

    fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    fn facts(&self) -> Facts {
        Facts {
            early_data: match (self.sent, self.connection.is_early_data_accepted()) {
                (Sent::Nothing, _) => EarlyData::NotAllowed,
                (Sent::Everything, true) => EarlyData::Accepted,
                (Sent::Everything, false) => EarlyData::Rejected,
            },
            ..facts(&self.connection)
        }
    }
}
