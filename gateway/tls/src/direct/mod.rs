//! An own record layer for established TLS 1.3 sessions: straight between the caller's buffers, no copy and no allocation per record.
//!
//! ```text
//! incoming -> RecordHeader -> TrafficKey::open -> plaintext            (application data: decrypted to where it is wanted)
//!                                              -> Reassembly           (KeyUpdate, tickets)
//!                                              -> close_notify, alerts
//! plaintext -> TrafficKey::seal -> outgoing
//! ```
//!
//! rustls did the handshake and goes on keeping the secrets: it derives the next keys after a KeyUpdate and stores tickets. What rustls
//! would have checked in records is checked here (RFC 8446 §5, §4.6, §6).

mod fault;
mod key;
mod post_handshake;

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{AlertDescription, Error, ExtractedSecrets, InvalidMessage, PeerMisbehaved};

use crate::session::{
    Facts, KeyUpdates, MAX_FRAGMENT_LEN, Opened, Progress, Sealed, Session, TlsError,
};
use fault::Fault;
use key::{ContentType, Inner, OVERHEAD, RecordHeader, TrafficKey};
use post_handshake::{
    Accepts, KEY_UPDATE_NOT_REQUESTED, KEY_UPDATE_REQUESTED, Message, Reassembly,
};

/// Records in a row without application data that a peer may send.
const IDLE_RECORDS_MOST: u8 = 32;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// One side of an established session.
pub trait Side: Sized {
    const ACCEPTS: Accepts;

    /// Stores a ticket.
    fn store_ticket(secrets: &mut KernelConnection<Self>, payload: &[u8]) -> Result<(), Error>;
}

impl Side for ServerConnectionData {
    const ACCEPTS: Accepts = Accepts::KeyUpdates;

    fn store_ticket(_: &mut KernelConnection<Self>, _: &[u8]) -> Result<(), Error> {
        // `Reassembly` hands none over.
        Err(Error::General("a ticket for a server".to_owned()))
    }
}

impl Side for ClientConnectionData {
    const ACCEPTS: Accepts = Accepts::Tickets;

    fn store_ticket(secrets: &mut KernelConnection<Self>, payload: &[u8]) -> Result<(), Error> {
        secrets.handle_new_session_ticket(payload)
    }
}

/// An established TLS 1.3 session.
pub struct DirectSession<S> {
    secrets: KernelConnection<S>,
    sealing: TrafficKey,
    opening: TrafficKey,
    control: Vec<u8>,
    /// A KeyUpdate that was asked for waits in `control`: it answers what is asked meanwhile too (RFC 8446 §4.6.3), so that a peer which
    /// asks in every other record makes neither `control` nor our work grow with it.
    answer_waits: bool,
    /// We asked for a KeyUpdate, and none has come since.
    awaits_answer: bool,
    key_updates: KeyUpdates,
    messages: Reassembly,
    /// Records without application data since the last with some.
    idle_records: u8,
    ours: Ours,
    theirs: Theirs,
    /// None once they were taken. Boxed: a session that goes on has no use for them.
    facts: Option<Box<Facts>>,
}

/// Our direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ours {
    Open,
    Closed,
}

/// The peer's direction.
#[derive(Clone, PartialEq)]
enum Theirs {
    Open,
    Closed,
    Failed(Error),
}

impl<S: Side> DirectSession<S> {
    /// Goes on where rustls ended its handshake. `control`: what it has left to send.
    ///
    /// # Errors
    /// When the keys are of no use: a bug.
    pub(crate) fn new(
        secrets: ExtractedSecrets,
        connection: KernelConnection<S>,
        control: Vec<u8>,
        facts: Facts,
    ) -> Result<Self, Error> {
        let key =
            |(sequence, secrets)| TrafficKey::new(&secrets, sequence).map_err(|fault| fault.error);
        Ok(Self {
            sealing: key(secrets.tx)?,
            opening: key(secrets.rx)?,
            secrets: connection,
            control,
            answer_waits: false,
            awaits_answer: false,
            key_updates: KeyUpdates::default(),
            messages: Reassembly::new(S::ACCEPTS),
            idle_records: 0,
            ours: Ours::Open,
            theirs: Theirs::Open,
            facts: Some(Box::new(facts)),
        })
    }

    /// Opens records until one is not whole, the room is used up, or the peer has closed.
    fn open_records(
        &mut self,
        incoming: &mut [u8],
        plaintext: &mut [u8],
        opened: &mut Opened,
    ) -> Result<Progress, Fault> {
        while self.theirs == Theirs::Open {
            let out = &mut plaintext[opened.produced..];
            if out.len() < MAX_FRAGMENT_LEN {
                return Ok(Progress::PlaintextFull);
            }
            let rest = &mut incoming[opened.consumed..];
            let Some(header) = RecordHeader::read(rest)? else {
                return Ok(Progress::NeedInput);
            };
            let record_len = header.record_len();
            let Some(record) = rest.get_mut(..record_len) else {
                return Ok(Progress::NeedInput);
            };
            let inner = self.opening.open(&header, record, out)?;
            opened.consumed += record_len;
            opened.produced += self.take(&inner, &mut out[..inner.len])?;
        }
        Ok(Progress::PeerClosed)
    }

    /// Takes the content of a record; gives how much of it is application data.
    fn take(&mut self, inner: &Inner, content: &mut [u8]) -> Result<usize, Fault> {
        if inner.content_type != ContentType::Handshake && self.messages.is_partial() {
            let what = PeerMisbehaved::MessageInterleavedWithHandshakeMessage;
            return Err(Fault::unexpected(what));
        }
        if inner.content_type == ContentType::ApplicationData && !content.is_empty() {
            self.idle_records = 0;
            return Ok(content.len());
        }
        self.idle_records += 1;
        match inner.content_type {
            ContentType::ApplicationData => {
                self.bound_idle_records(PeerMisbehaved::TooManyEmptyFragments)?;
            }
            ContentType::Alert => {
                self.bound_idle_records(PeerMisbehaved::TooManyWarningAlertsReceived)?;
                self.take_alert(content)?;
            }
            ContentType::Handshake => {
                self.bound_idle_records(PeerMisbehaved::TooManyKeyUpdateRequests)?;
                self.take_handshake(content)?;
            }
        }
        Ok(0)
    }

    fn bound_idle_records(&self, otherwise: PeerMisbehaved) -> Result<(), Fault> {
        match self.idle_records > IDLE_RECORDS_MOST {
            true => Err(Fault::unexpected(otherwise)),
            false => Ok(()),
        }
    }

    /// The level says nothing (RFC 8446 §6).
    fn take_alert(&mut self, content: &[u8]) -> Result<(), Fault> {
        let [_, description] = content else {
            return Err(Fault::malformed(InvalidMessage::MessageTooShort));
        };
        match AlertDescription::from(*description) {
            AlertDescription::CloseNotify => self.theirs = Theirs::Closed,
            // Some send it before close_notify; it is of no consequence.
            AlertDescription::UserCanceled => {}
            alert => return Err(Fault::received(alert)),
        }
        Ok(())
    }

    fn take_handshake(&mut self, content: &[u8]) -> Result<(), Fault> {
        let Self {
            messages,
            secrets,
            sealing,
            opening,
            control,
            answer_waits,
            awaits_answer,
            key_updates,
            ours,
            ..
        } = self;
        messages.push(content, |message| match message {
            Message::Ticket(payload) => {
                S::store_ticket(secrets, payload).map_err(Fault::from_rustls)
            }
            Message::KeyUpdate { requested } => {
                // The answer goes under the old key. Who has closed answers nothing.
                if requested && *ours == Ours::Open && !*answer_waits {
                    update_sealing_key(secrets, sealing, control, &KEY_UPDATE_NOT_REQUESTED)?;
                    key_updates.sent += 1;
                    *answer_waits = true;
                }
                let (sequence, next) = secrets.update_rx_secret().map_err(Fault::from_rustls)?;
                *opening = TrafficKey::new(&next, sequence)?;
                key_updates.received += 1;
                *awaits_answer = false;
                Ok(())
            }
        })
    }

    /// Ends the session, telling the peer why where it can be told.
    fn fail(&mut self, fault: Fault) -> TlsError {
        if let (Some(alert), Ours::Open) = (fault.alert, self.ours) {
            let content = [FATAL, alert.into()];
            // There is no better alert to send when this one fails.
            let _ = append_record(
                &mut self.sealing,
                ContentType::Alert,
                &content,
                &mut self.control,
            );
        }
        self.ours = Ours::Closed;
        self.theirs = Theirs::Failed(fault.error.clone());
        TlsError::Protocol(fault.error)
    }

    fn seal_records(
        &mut self,
        plaintext: &[u8],
        outgoing: &mut [u8],
        sealed: &mut Sealed,
    ) -> Result<(), Fault> {
        while sealed.consumed < plaintext.len() {
            if self.sealing.is_used_up() {
                self.renew_sealing_key(&KEY_UPDATE_NOT_REQUESTED)?;
            }
            sealed.produced += self.transmit(&mut outgoing[sealed.produced..]);
            let room = outgoing.len() - sealed.produced;
            let rest = &plaintext[sealed.consumed..];
            let len = rest
                .len()
                .min(MAX_FRAGMENT_LEN)
                .min(room.saturating_sub(OVERHEAD));
            // No small record for want of room where a larger buffer's next one is a full one.
            let is_crumb = len < rest.len().min(MAX_FRAGMENT_LEN) && sealed.consumed > 0;
            if self.wants_transmit() || len == 0 || is_crumb {
                break;
            }
            let out = &mut outgoing[sealed.produced..];
            sealed.produced +=
                self.sealing
                    .seal(ContentType::ApplicationData, &rest[..len], out)?;
            sealed.consumed += len;
        }
        Ok(())
    }

    fn renew_sealing_key(&mut self, message: &[u8]) -> Result<(), Fault> {
        let Self {
            secrets,
            sealing,
            control,
            ..
        } = self;
        update_sealing_key(secrets, sealing, control, message)?;
        self.key_updates.sent += 1;
        Ok(())
    }
}

/// Says with `message` that the next key begins, under the old one, and takes the next.
fn update_sealing_key<S>(
    secrets: &mut KernelConnection<S>,
    sealing: &mut TrafficKey,
    control: &mut Vec<u8>,
    message: &[u8],
) -> Result<(), Fault> {
    append_record(sealing, ContentType::Handshake, message, control)?;
    let (sequence, next) = secrets.update_tx_secret().map_err(Fault::from_rustls)?;
    *sealing = TrafficKey::new(&next, sequence)?;
    Ok(())
}

fn append_record(
    sealing: &mut TrafficKey,
    content_type: ContentType,
    content: &[u8],
    control: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = control.len();
    control.resize(start + content.len() + OVERHEAD, 0);
    let sealed = sealing.seal(content_type, content, &mut control[start..]);
    sealed.map(|_| ()).inspect_err(|_| control.truncate(start))
}

impl<S: Side> Session for DirectSession<S> {
    fn open(&mut self, incoming: &mut [u8], plaintext: &mut [u8]) -> Result<Opened, TlsError> {
        if let Theirs::Failed(error) = &self.theirs {
            return Err(TlsError::Protocol(error.clone()));
        }
        let mut opened = Opened {
            consumed: 0,
            produced: 0,
            progress: Progress::NeedInput,
        };
        match self.open_records(incoming, plaintext, &mut opened) {
            Ok(progress) => Ok(Opened { progress, ..opened }),
            Err(fault) => {
                let error = self.fail(fault);
                // What verified before is the caller's; the error is for its next call.
                match opened.produced {
                    0 => Err(error),
                    _ => Ok(Opened {
                        progress: Progress::PlaintextFull,
                        ..opened
                    }),
                }
            }
        }
    }

    fn seal(&mut self, plaintext: &[u8], outgoing: &mut [u8]) -> Result<Sealed, TlsError> {
        if self.ours == Ours::Closed {
            return Err(TlsError::NotEstablished);
        }
        let mut sealed = Sealed {
            consumed: 0,
            produced: self.transmit(outgoing),
        };
        match self.seal_records(plaintext, outgoing, &mut sealed) {
            Ok(()) => Ok(sealed),
            Err(fault) => Err(self.fail(fault)),
        }
    }

    fn request_key_update(&mut self) -> Result<(), TlsError> {
        if self.ours == Ours::Closed {
            return Err(TlsError::NotEstablished);
        }
        if self.awaits_answer {
            return Ok(());
        }
        self.renew_sealing_key(&KEY_UPDATE_REQUESTED)
            .map_err(|fault| self.fail(fault))?;
        self.awaits_answer = true;
        Ok(())
    }

    fn key_updates(&self) -> Option<KeyUpdates> {
        Some(self.key_updates)
    }

    fn close(&mut self) {
        if self.ours == Ours::Closed {
            return;
        }
        self.ours = Ours::Closed;
        let content = [WARNING, AlertDescription::CloseNotify.into()];
        // Without it the peer sees a truncation, which is what a failing library comes down to.
        let _ = append_record(
            &mut self.sealing,
            ContentType::Alert,
            &content,
            &mut self.control,
        );
    }

    fn wants_transmit(&self) -> bool {
        !self.control.is_empty()
    }

    fn transmit(&mut self, outgoing: &mut [u8]) -> usize {
        let sent = crate::session::transmit(&mut self.control, outgoing);
        self.answer_waits &= !self.control.is_empty();
        sent
    }

    fn is_handshaking(&self) -> bool {
        false
    }

    fn peer_closed(&self) -> bool {
        self.theirs == Theirs::Closed
    }

    fn facts(&self) -> Facts {
        self.facts.as_deref().cloned().unwrap_or_default()
    }

    fn park(&mut self) {
        self.sealing.park();
        self.opening.park();
    }

    fn take_facts(&mut self) -> Box<Facts> {
        self.facts.take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
