//! Handshakes: connect, shake hands, close. The operation is done when the handshake is; closing
//! is outside its time.

use std::{sync::Arc, time::Duration, time::Instant};

use clap::ValueEnum;
use sealgate_uring::spawn;

use super::failure::{Cause, Failure, Kind, Phase};
use crate::{
    measure::tally::Done,
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
    /// Share of the handshakes that resume, in percent.
    pub resume_percent: f64,
    /// How connections end.
    pub close: Close,
}

impl Settings {
    /// The kind of handshake `number`: an even spread that keeps the share at every moment.
    fn kind(&self, number: u64) -> Kind {
        let resumed = |n: u64| (n as f64 * self.resume_percent / 100.0).floor();
        match resumed(number + 1) > resumed(number) {
            true => Kind::Resumed,
            false => Kind::Full,
        }
    }
}

/// Shakes hands until the schedule ends.
pub async fn drive(slot: &Slot, settings: &Settings) {
    let tickets = Arc::new(Tickets::default());
    let resuming = slot
        .configs()
        .map(|configs| configs.resuming(Arc::clone(&tickets)));
    slot.start().await;
    let mut number = slot.index as u64;
    let mut ticketless = 0;
    while let Some(arrival) = slot.next() {
        // The share is kept per slot; the slot's index staggers them.
        let wanted = if resuming.is_some() {
            settings.kind(number)
        } else {
            Kind::Full
        };
        number += 1;
        if wanted == Kind::Resumed && !tickets.any() {
            let primed = match slot.dial(resuming.as_ref()).await {
                Ok(primer) => fetch_ticket(slot, primer, &tickets).await,
                Err(failure) => Err(failure),
            };
            slot.worker.tally.borrow_mut().counts.priming += 1;
            if let Err(failure) = primed {
                slot.fail(arrival, &failure).await;
                ticketless += u32::from(matches!(failure.cause, Cause::NoTicket));
                if ticketless == PATIENCE {
                    return;
                }
                continue;
            }
            ticketless = 0;
        }
        let config = match wanted {
            Kind::Resumed => resuming.as_ref(),
            Kind::Full => slot.configs().map(|configs| &configs.full),
        };
        // The closed loop is late by what fetching a ticket took: that is not the operation's.
        let sent = Instant::now();
        let arrival = crate::schedule::Arrival {
            planned: sent,
            ..arrival
        };
        let connection = match slot.dial(config).await {
            Ok(connection) => connection,
            Err(failure) => {
                slot.fail(arrival, &failure).await;
                continue;
            }
        };
        match check(&connection, wanted) {
            Ok(()) => {
                slot.note(&connection, arrival.measured);
                let done = connection.established;
                let done = Done {
                    arrival,
                    sent,
                    done,
                    sent_bytes: 0,
                    received_bytes: 0,
                };
                slot.succeed(&done);
            }
            Err(failure) => slot.fail(arrival, &failure).await,
        }
        close(slot, connection, settings.close, wanted, &tickets).await;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_resumed_handshakes_is_kept_and_spread() {
        for percent in [0.0, 10.0, 33.0, 50.0, 100.0] {
            let settings = Settings {
                resume_percent: percent,
                close: Close::Rst,
            };
            let resumed = (0..1000)
                .filter(|n| settings.kind(*n) == Kind::Resumed)
                .count() as f64;
            assert!(
                (resumed - percent * 10.0).abs() <= 1.0,
                "{percent}: {resumed}"
            );
        }
        let settings = Settings {
            resume_percent: 50.0,
            close: Close::Rst,
        };
        assert_ne!(settings.kind(0), settings.kind(1));
    }
}
