//! The sessions that a slot may resume, and fetching the first ticket of each.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rustls::ClientConfig;
use sealgate_uring::spawn;

use super::{
    failure::{Cause, Failure, Phase},
    variant::Variants,
};
use crate::{
    target::{client_certificate::Shown, tickets::Tickets},
    worker::{dial::Connection, slot::Slot},
};

/// How long to wait for a ticket behind a handshake.
const TICKET_WAIT: Duration = Duration::from_secs(1);

/// Tenants whose tickets a slot keeps.
const MAX_SESSIONS: usize = 1024;

/// Waits for a ticket in a row that may be in vain. More would only prolong a run that failed.
pub const PATIENCE: u32 = 3;

/// Tickets, and the configuration that uses them.
pub type Session = (Arc<Tickets>, Arc<ClientConfig>);

/// The sessions of one slot: one, or one for each tenant where connections are a tenant's own.
pub struct Sessions {
    /// The variants of its handshakes.
    pub variants: Variants,
    kept: HashMap<usize, Session>,
}

impl Sessions {
    /// None yet.
    pub fn new(certificate: Shown) -> Self {
        Self {
            variants: Variants::new(certificate),
            kept: HashMap::new(),
        }
    }

    /// That of the slot's tenant; none without TLS.
    pub fn of(&mut self, slot: &Slot) -> Option<Session> {
        let configs = slot.configs()?;
        let key = match slot.belongs_to_tenant() {
            true => slot.tenant(),
            false => 0,
        };
        if !self.kept.contains_key(&key) && self.kept.len() >= MAX_SESSIONS {
            // They are fetched again, and counted as such.
            self.kept.clear();
        }
        let session = self.kept.entry(key).or_insert_with(|| {
            let tickets = Arc::new(Tickets::default());
            let resuming = configs.resuming(key, Arc::clone(&tickets));
            (tickets, self.variants.plain(&resuming))
        });
        Some(session.clone())
    }

    /// Fetches a ticket if there is none. Counts in vain waits in a row.
    ///
    /// # Errors
    ///
    /// When no handshake came about, or no ticket behind it.
    pub async fn prime(&mut self, slot: &Slot, ticketless: &mut u32) -> Result<(), Failure> {
        let Some((tickets, resuming)) = self.of(slot).filter(|(tickets, _)| !tickets.any()) else {
            return Ok(());
        };
        let primed = prime(slot, &resuming, &tickets).await;
        match &primed {
            Ok(()) => *ticketless = 0,
            Err(failure) => *ticketless += u32::from(matches!(failure.cause, Cause::NoTicket)),
        }
        primed
    }
}

/// A handshake that only fetches a ticket.
async fn prime(
    slot: &Slot,
    config: &Arc<ClientConfig>,
    tickets: &Arc<Tickets>,
) -> Result<(), Failure> {
    slot.worker.recorder.borrow_mut().connections().priming += 1;
    let primer = slot.dial(Some(config)).await?;
    fetch_ticket(slot, primer, tickets).await
}

/// Reads until the target has sent a ticket, then resets the connection.
///
/// # Errors
///
/// When none comes in time.
pub async fn fetch_ticket(
    slot: &Slot,
    connection: Connection,
    tickets: &Arc<Tickets>,
) -> Result<(), Failure> {
    let (mut read, write) = connection.stream.split();
    let reader = spawn(async move { while let Ok(Some(_)) = read.read().await {} });
    let arrived = tokio::time::timeout(TICKET_WAIT, tickets.arrival()).await;
    connection.socket.reset();
    slot.disarm();
    // The reset ends the read; only then nothing is in flight any more.
    let _ = reader.await;
    drop(write);
    arrived.map_err(|_| Failure::new(Phase::Handshake, Cause::NoTicket))
}
