//! Handshakes: connect, shake hands, close. The operation is done when the handshake is; closing
//! is outside its time.

use std::sync::Arc;

use clap::ValueEnum;

use super::{
    failure::{Cause, Failure, Kind, Phase},
    sessions::{PATIENCE, Sessions, fetch_ticket},
    variant::Variants,
};
use crate::{
    measure::recorder::Done,
    schedule::Arrival,
    target::{client_certificate::Shown, tickets::Tickets},
    worker::{dial::Connection, slot::Slot},
};

/// How a handshake's connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Close {
    /// RST at once: no port is left in TIME_WAIT, and the target's tickets may go nowhere.
    Rst,
    /// close_notify, FIN, and the target's own end awaited.
    Notify,
}

/// Settings of `loadgen handshake`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How connections end.
    pub close: Close,
    /// Whether any of them takes a ticket.
    pub resumes: bool,
    /// When a client certificate is shown.
    pub certificate: Shown,
}

/// A slot that shakes hands.
pub struct Handshaker<'a> {
    slot: &'a Slot,
    settings: &'a Settings,
    sessions: Sessions,
    /// Waits for a ticket in vain, in a row.
    ticketless: u32,
    /// Why there is no ticket, until a handshake that needs one has failed by it.
    unprimed: Option<Failure>,
}

/// Shakes hands until the schedule ends.
pub async fn drive(slot: &Slot, settings: &Settings) {
    let mut handshaker = Handshaker::new(slot, settings);
    // Where tickets are a tenant's own, the tenant is known only with the operation.
    let early = settings.resumes && !slot.belongs_to_tenant();
    slot.start().await;
    while handshaker.ticketless < PATIENCE || handshaker.unprimed.is_some() {
        // Before the next operation is taken: a ticket is a condition of it and not its work.
        if early {
            handshaker.prime().await;
        }
        let Some(arrival) = slot.next().await else {
            return;
        };
        handshaker.serve(arrival, Kind::ALL[arrival.kind]).await;
    }
}

impl<'a> Handshaker<'a> {
    /// A slot that shakes hands as `settings` say.
    pub fn new(slot: &'a Slot, settings: &'a Settings) -> Self {
        Self {
            slot,
            settings,
            sessions: Sessions::new(settings.certificate),
            ticketless: 0,
            unprimed: None,
        }
    }

    /// Fetches a ticket if there is none.
    async fn prime(&mut self) {
        if self.ticketless >= PATIENCE {
            // In a mix: it would only be waited for in vain again.
            self.unprimed = Some(Failure::new(Phase::Handshake, Cause::NoTicket));
        } else if self.unprimed.is_none() {
            let primed = self.sessions.prime(self.slot, &mut self.ticketless);
            self.unprimed = primed.await.err();
        }
    }

    /// One operation, counted.
    pub async fn serve(&mut self, arrival: Arrival, wanted: Kind) {
        let slot = self.slot;
        // What a tenant's first ticket takes is lag, and no service time.
        if wanted.resumes() {
            self.prime().await;
        }
        let sent = slot.begin(arrival);
        if wanted.resumes()
            && let Some(failure) = self.unprimed.take()
        {
            return slot.fail(arrival, &failure).await;
        }
        let session = match self.settings.resumes {
            true => self.sessions.of(slot),
            false => None,
        };
        let (tickets, resuming) = session.unzip();
        let tickets = tickets.unwrap_or_default();
        let variants = &self.sessions.variants;
        let full = slot.full_config();
        let config = full.map(|full| variants.config(wanted, full, resuming.as_ref()));
        let dialled = slot.dial_with(config.as_ref(), Variants::early_data(wanted));
        let connection = match dialled.await {
            Ok(connection) => connection,
            Err(failure) => return slot.fail(arrival, &failure).await,
        };
        if arrival.measured
            && let Some(facts) = connection.stream.facts()
        {
            slot.note_early_data(facts.early_data);
        }
        match variants.check(&connection, wanted) {
            Ok(()) => {
                if arrival.measured {
                    slot.note(&connection);
                }
                slot.succeed(&Done {
                    arrival,
                    sent,
                    done: connection.established,
                    sent_bytes: 0,
                    received_bytes: 0,
                });
            }
            Err(failure) => slot.fail(arrival, &failure).await,
        }
        close(slot, connection, self.settings.close, wanted, &tickets).await;
    }
}

async fn close(
    slot: &Slot,
    connection: Connection,
    how: Close,
    kind: Kind,
    tickets: &Arc<Tickets>,
) {
    // A resumed handshake has used up its ticket; the next one comes behind it.
    if kind.resumes() && !tickets.any() {
        // Without one, the next resumed handshake primes anew, and counts the failure if that fails.
        let _ = fetch_ticket(slot, connection, tickets).await;
        return;
    }
    match how {
        Close::Rst => connection.socket.reset(),
        Close::Notify => {
            let (mut read, mut write) = connection.stream.split();
            // What fails now is no part of the handshake.
            if write.finish().await.is_ok() {
                while let Ok(Some(_)) = read.read().await {}
            }
        }
    }
    slot.disarm();
}
