//! Handshakes: connect, shake hands, close. The operation is done when the handshake is; closing
//! is outside its time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use clap::ValueEnum;
use rustls::ClientConfig;
use sealgate_uring::spawn;

use super::{
    failure::{Cause, Failure, Kind, Phase},
    variant::Variants,
};
use crate::{
    measure::recorder::Done,
    schedule::mix::Mix,
    target::{client_certificate::Shown, tickets::Tickets},
    worker::slot::{Connection, Slot},
};

/// How long to wait for a ticket behind a handshake.
const TICKET_WAIT: Duration = Duration::from_secs(1);

/// Tenants whose tickets a slot keeps.
const MAX_SESSIONS: usize = 1024;

/// Waits for a ticket in a row that may be in vain. More would only prolong a run that failed.
const PATIENCE: u32 = 3;

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
    /// When a client certificate is shown.
    pub certificate: Shown,
}

/// Shakes hands until the schedule ends.
pub async fn drive(slot: &Slot, settings: &Settings) {
    let mut sessions = Sessions::new(settings.certificate);
    let resumes = slot.configs().is_some() && resumes(&slot.worker.plan.mix);
    slot.start().await;
    let mut ticketless = 0;
    // Why there is no ticket, until a handshake that needs one has failed by it.
    let mut unprimed = None;
    while ticketless < PATIENCE || unprimed.is_some() {
        // Before the next operation is taken: a ticket is a condition of it and not its work.
        if resumes && !slot.belongs_to_tenant() && unprimed.is_none() {
            unprimed = sessions.prime(slot, &mut ticketless).await.err();
        }
        let Some(arrival) = slot.next().await else {
            return;
        };
        let wanted = Kind::ALL[arrival.kind];
        // Only now is the tenant known. What its first ticket takes is lag, and no service time.
        if slot.belongs_to_tenant() && wanted.resumes() {
            unprimed = sessions.prime(slot, &mut ticketless).await.err();
        }
        let sent = slot.begin(arrival);
        let session = resumes.then(|| sessions.of(slot)).flatten();
        let (tickets, resuming) = session.unzip();
        let tickets = tickets.unwrap_or_default();
        let full = slot.full_config();
        let config = full.map(|full| sessions.variants.config(wanted, full, resuming.as_ref()));
        if wanted.resumes()
            && let Some(failure) = unprimed.take()
        {
            slot.fail(arrival, &failure).await;
            continue;
        }
        let dialled = slot.dial_with(config.as_ref(), Variants::early_data(wanted));
        let connection = match dialled.await {
            Ok(connection) => connection,
            Err(failure) => {
                slot.fail(arrival, &failure).await;
                continue;
            }
        };
        if arrival.measured
            && let Some(facts) = connection.stream.facts()
        {
            slot.note_early_data(facts.early_data);
        }
        match sessions.variants.check(&connection, wanted) {
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
        close(slot, connection, settings.close, wanted, &tickets).await;
    }
}

/// Whether any handshake takes a ticket.
fn resumes(mix: &Mix) -> bool {
    let mut kinds = Kind::ALL.into_iter().enumerate();
    kinds.any(|(index, kind)| kind.resumes() && mix.has(index))
}

/// Tickets, and the configuration that uses them.
type Session = (Arc<Tickets>, Arc<ClientConfig>);

/// The sessions of one slot: one, or one for each tenant where connections are a tenant's own.
struct Sessions {
    variants: Variants,
    kept: HashMap<usize, Session>,
}

impl Sessions {
    fn new(certificate: Shown) -> Self {
        Self {
            variants: Variants::new(certificate),
            kept: HashMap::new(),
        }
    }

    /// That of the slot's tenant; none without TLS.
    fn of(&mut self, slot: &Slot) -> Option<Session> {
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
    async fn prime(&mut self, slot: &Slot, ticketless: &mut u32) -> Result<(), Failure> {
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

/// Reads until the target has sent a ticket, then resets the connection.
async fn fetch_ticket(
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
