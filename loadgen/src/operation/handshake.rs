//! Handshakes: connect, shake hands, close. The operation is done when the handshake is; closing
//! is outside its time.

use std::{sync::Arc, time::Duration};

use clap::ValueEnum;
use rustls::ClientConfig;
use sealgate_uring::spawn;

use super::failure::{Cause, Failure, Kind, Phase};
use crate::{
    measure::recorder::Done,
    target::tickets::Tickets,
    worker::slot::{Connection, Slot},
};

/// How long to wait for a ticket behind a handshake.
const TICKET_WAIT: Duration = Duration::from_secs(1);

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
}

/// The kinds, in the order of [`super::Operation::kinds`].
const KINDS: [Kind; 2] = [Kind::Full, Kind::Resumed];

/// Shakes hands until the schedule ends.
pub async fn drive(slot: &Slot, settings: &Settings) {
    let tickets = Arc::new(Tickets::default());
    let resuming = slot
        .configs()
        .filter(|_| slot.worker.plan.mix.has(1))
        .map(|configs| configs.resuming(Arc::clone(&tickets)));
    slot.start().await;
    let mut ticketless = 0;
    // Why there is no ticket, until a handshake that needs one has failed by it.
    let mut unprimed = None;
    while ticketless < PATIENCE || unprimed.is_some() {
        // Before the next operation is taken: a ticket is a condition of it and not its work.
        if let Some(resuming) = &resuming
            && unprimed.is_none()
            && !tickets.any()
        {
            unprimed = prime(slot, resuming, &tickets).await.err();
            match &unprimed {
                None => ticketless = 0,
                Some(failure) => ticketless += u32::from(matches!(failure.cause, Cause::NoTicket)),
            }
        }
        let Some(arrival) = slot.next().await else {
            return;
        };
        let sent = slot.begin(arrival);
        let wanted = KINDS[arrival.kind];
        let config = match wanted {
            Kind::Resumed => resuming.as_ref(),
            Kind::Full => slot.configs().map(|configs| &configs.full),
        };
        if wanted == Kind::Resumed
            && let Some(failure) = unprimed.take()
        {
            slot.fail(arrival, &failure).await;
            continue;
        }
        let connection = match slot.dial(config).await {
            Ok(connection) => connection,
            Err(failure) => {
                slot.fail(arrival, &failure).await;
                continue;
            }
        };
        match check(&connection, wanted) {
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

fn check(connection: &Connection, wanted: Kind) -> Result<(), Failure> {
    let Some(facts) = connection.stream.facts() else {
        return Ok(());
    };
    let is = match facts.kind_name() {
        "resumed" => Kind::Resumed,
        _ => Kind::Full,
    };
    match is == wanted {
        true => Ok(()),
        false => Err(Failure::new(Phase::Handshake, Cause::WrongKind { wanted })),
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
    if kind == Kind::Resumed && !tickets.any() {
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
