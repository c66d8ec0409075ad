//! Requests in the first flight of a new connection: early data (RFC 8446 §2.3, RFC 8470).
//!
//! A request that the target does not take as early data is sent again when the handshake is done,
//! on the same connection, and counts once: what became of each is counted beside it.

use sealgate_tls::EarlyData;

use super::{
    failure::{Failure, Kind},
    sessions::{PATIENCE, Sessions},
};
use crate::{
    schedule::mix::Mix,
    target::client_certificate::Shown,
    worker::{dial::Connection, slot::Slot},
};

/// The kind of new connections that send early data, of [`Mix::second`].
const EARLY: usize = 1;

/// Where the request is when its connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// With the target: it came as early data.
    Taken,
    /// Here, to be sent.
    ToSend,
}

/// The new connections of a slot, of which a share sends early data.
pub struct Early<'a> {
    slot: &'a Slot,
    share: Mix,
    /// Connections so far.
    connections: u64,
    sessions: Sessions,
    /// Waits for a ticket in vain, in a row.
    ticketless: u32,
}

impl<'a> Early<'a> {
    /// Of the new connections of `slot`, so many percent send early data; none if that is 0.
    pub fn new(slot: &'a Slot, percent: f64) -> Option<Self> {
        (percent > 0.0).then(|| Self {
            slot,
            share: Mix::second(percent),
            connections: 0,
            sessions: Sessions::new(Shown::Always),
            ticketless: 0,
        })
    }

    /// Fetches a ticket if the next connection needs one and there is none. Where that is in vain
    /// the request goes without: it is counted as one that was not allowed.
    pub async fn prime(&mut self) {
        let is_next = self.share.kind(self.connections) == EARLY;
        if is_next && self.ticketless < PATIENCE {
            let primed = self.sessions.prime(self.slot, &mut self.ticketless);
            // What is wrong with the target is met, and counted, by the request itself.
            let _ = primed.await;
        }
    }

    /// Connects for `request`, which goes into the first flight if it is this connection's turn.
    ///
    /// # Errors
    ///
    /// When connecting or the handshake fails.
    pub async fn dial(&mut self, request: &[u8]) -> Result<(Connection, Request), Failure> {
        let slot = self.slot;
        let kind = self.share.kind(self.connections);
        self.connections += 1;
        let session = match kind {
            EARLY => self.sessions.of(slot),
            _ => None,
        };
        let (Some((_, resuming)), Some(full)) = (session, slot.full_config()) else {
            return Ok((slot.redial().await?, Request::ToSend));
        };
        let variants = &self.sessions.variants;
        let config = variants.config(Kind::EarlyData, full, Some(&resuming));
        let connection = slot.dial_with(Some(&config), Some(request)).await?;
        slot.note(&connection);
        let facts = connection.stream.facts();
        let outcome = facts.map_or(EarlyData::None, |facts| facts.early_data);
        slot.note_early_data(outcome);
        let request = match outcome {
            EarlyData::Accepted => Request::Taken,
            EarlyData::Rejected | EarlyData::NotAllowed | EarlyData::None => Request::ToSend,
        };
        Ok((connection, request))
    }
}
