//! Handshake messages after the handshake (RFC 8446 §4.6): KeyUpdate, and on a client NewSessionTicket.

use rustls::{InvalidMessage, PeerMisbehaved};

use super::fault::Fault;

const HEADER_LEN: usize = 4;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// The longest message that is put together: a ticket of 64 KiB less a little is what the format allows, but none is so long.
const MESSAGE_LEN_MOST: usize = 16 * 1024;

/// A KeyUpdate that asks for none in return, whole.
pub(super) const KEY_UPDATE_NOT_REQUESTED: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 0];

/// A KeyUpdate that asks for one in return, whole.
pub(super) const KEY_UPDATE_REQUESTED: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 1];

/// Which messages this side takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// A server: KeyUpdate.
    KeyUpdates,
    /// A client: KeyUpdate and NewSessionTicket.
    Tickets,
}

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// The peer's next record is under its next key; ours too, if it asks.
    KeyUpdate { requested: bool },
    /// The payload of a NewSessionTicket.
    Ticket(&'a [u8]),
}

/// Puts messages together that came in several records.
pub(super) struct Reassembly {
    accepts: Accepts,
    /// The front of a message whose end has not come.
    held: Vec<u8>,
}

impl Reassembly {
    pub(super) fn new(accepts: Accepts) -> Self {
        Self {
            accepts,
            held: Vec::new(),
        }
    }

    /// Whether part of a message has come: only handshake records may follow (RFC 8446 §5.1).
    pub(super) fn is_partial(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the content of one record and hands over the messages that it completes.
    ///
    /// # Errors
    /// What cannot be read, is not accepted, or is too long; or what `take` gives.
    pub(super) fn push(
        &mut self,
        record: &[u8],
        mut take: impl FnMut(Message<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if record.is_empty() {
            return Err(Fault::malformed(InvalidMessage::InvalidEmptyPayload));
        }
        if self.held.is_empty() {
            let done = self.read(record, &mut take)?;
            self.held.extend_from_slice(&record[done..]);
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(record);
        let done = self.read(&held, &mut take)?;
        held.drain(..done);
        // Tickets are rare: nothing stays reserved for the next.
        self.held = if held.is_empty() { Vec::new() } else { held };
        Ok(())
    }

    /// Gives how many bytes whole messages took.
    fn read(
        &self,
        bytes: &[u8],
        take: &mut impl FnMut(Message<'_>) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(&kind) = bytes.get(at) {
            let rest = &bytes[at..];
            let is_accepted = kind == KEY_UPDATE
                || (kind == NEW_SESSION_TICKET && self.accepts == Accepts::Tickets);
            if !is_accepted {
                return Err(Fault::content_type(rustls::ContentType::Handshake.into()));
            }
            // The keys change with it, so it comes whole and last in its record, not across two.
            if kind == KEY_UPDATE && rest.len() != HEADER_LEN + 1 {
                return Err(Fault::unexpected(
                    PeerMisbehaved::KeyEpochWithPendingFragment,
                ));
            }
            let Some(header) = rest.first_chunk::<HEADER_LEN>() else {
                break;
            };
            let len = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
            if len > MESSAGE_LEN_MOST {
                return Err(Fault::malformed(InvalidMessage::HandshakePayloadTooLarge));
            }
            let Some(payload) = rest.get(HEADER_LEN..HEADER_LEN + len) else {
                if kind == KEY_UPDATE {
                    return Err(Fault::malformed(InvalidMessage::InvalidKeyUpdate));
                }
                break;
            };
            take(match (kind, payload) {
                (KEY_UPDATE, [0]) => Message::KeyUpdate { requested: false },
                (KEY_UPDATE, [1]) => Message::KeyUpdate { requested: true },
                (KEY_UPDATE, _) => return Err(Fault::illegal(InvalidMessage::InvalidKeyUpdate)),
                (_, ticket) => Message::Ticket(ticket),
            })?;
            at += HEADER_LEN + len;
        }
        Ok(at)
    }
}
