//! Connections that are opened and then only held: what they cost the target, and how it serves
//! others meanwhile.
//!
//! ```text
//! conductor: Warm -> Close -> Open (by quarters) -> Churn -> Close -> Over      (Stage: steps, tallies)
//! worker:    Opens -> dispatch -> slot: dial -> Held: one small task for each connection
//! prober:    a session of its own, on a thread of its own: before, during, after
//! ```
//!
//! Slots only open: so many connections are set up at once, and no more memory than that is in
//! handshakes. A connection that stands leaves its slot for [`held`].

pub mod conductor;
pub mod held;
pub mod opens;
pub mod prober;
pub mod stage;

use std::{io, rc::Rc, sync::Arc, time::Duration};

use self::stage::{Phase, Stage};
use super::handshake::Close;
use crate::{
    measure::recorder::Done,
    schedule::{Share, curve::Rate},
    worker::{Order, Worker, pace, slot::Slot},
};

/// The kinds, in the order of [`super::Operation::kinds`].
pub const OPEN: usize = 0;
/// A connection in another's place.
pub const REOPEN: usize = 1;

/// Settings of `loadgen conns`.
#[derive(Debug)]
pub struct Settings {
    /// Where conductor and workers meet.
    pub stage: Arc<Stage>,
    /// Connections to hold.
    pub connections: u64,
    /// Connections before those, which do not count.
    pub warmup: u64,
    /// Rate of opening; none for as fast as the slots do.
    pub rate: Option<Rate>,
    /// Rate of replacing while they are held; none for never.
    pub churn: Option<Rate>,
    /// How long they are held.
    pub hold: Duration,
    /// How long nothing happens before memory is looked at.
    pub settle: Duration,
    /// How connections end.
    pub close: Close,
}

impl Settings {
    /// The operations of one worker.
    pub fn opens(&self, share: Share) -> opens::Opens {
        opens::Opens::new(share, self.rate, self.churn)
    }

    /// Connections that are replaced in all: so many as have their planned start while the others
    /// are held.
    pub fn churned(&self) -> u64 {
        let Some(Rate(thousandths)) = self.churn else {
            return 0;
        };
        let all = u128::from(thousandths) * self.hold.as_nanos() / 1_000_000_000_000;
        u64::try_from(all).unwrap_or(u64::MAX)
    }
}

/// Opens connections until the run ends.
pub async fn drive(slot: &Slot, settings: &Settings) {
    slot.start().await;
    let Some(held) = &slot.worker.held else {
        return;
    };
    while let Some(arrival) = slot.next().await {
        let sent = slot.begin(arrival);
        if arrival.kind == REOPEN {
            held.close_oldest(&slot.worker);
        }
        let dialled = slot.dial(slot.configs().map(|configs| &configs.full)).await;
        let opened = dialled.is_ok();
        match dialled {
            Ok(connection) => {
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
                slot.disarm();
                held.keep(&slot.worker, connection);
            }
            Err(failure) => {
                if !arrival.measured {
                    // It may be all that is ever tried.
                    slot.note_failure(&failure);
                }
                slot.fail(arrival, &failure).await;
            }
        }
        settings.stage.count(|tally| {
            let (ended, stands) = match (arrival.measured, arrival.kind) {
                (false, _) => (&mut tally.warmed, None),
                (true, REOPEN) => (&mut tally.churned, Some(&mut tally.reopened)),
                (true, _) => (&mut tally.answered, Some(&mut tally.opened)),
            };
            *ended += 1;
            if let (true, Some(stands)) = (opened, stands) {
                *stands += 1;
            }
        });
    }
}

/// Takes a worker through the steps of the run.
///
/// # Errors
///
/// When the system has no timer for us.
pub async fn obey(worker: &Rc<Worker>, stage: &Stage) -> io::Result<()> {
    let mut orders = worker.begun().await;
    if let Some(at) = worker.clock.started() {
        stage.begin(at);
    }
    let mut steps = stage.steps();
    loop {
        let step = *steps.borrow_and_update();
        match (step.phase, &worker.held) {
            (Phase::Over, _) => break,
            (Phase::Close, Some(held)) => held.close_all(worker).await,
            _ => worker.enter(step),
        }
        // Dropping the pace loses nothing: it holds a timer and no operation of the ring.
        tokio::select! {
            changed = steps.changed() => if changed.is_err() { break },
            failed = pace_then_wait(worker) => return Err(failed),
            _ = orders.wait_for(|order| matches!(order, Order::Stop { .. })) => break,
        }
    }
    worker.stop();
    Ok(())
}

/// Keeps the schedule of a step; ends only with an error.
async fn pace_then_wait(worker: &Rc<Worker>) -> io::Error {
    match pace::pace(Rc::clone(worker)).await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_replaced_as_have_their_time() {
        let settings = |thousandths, hold_ms| Settings {
            stage: Stage::new(1),
            connections: 1,
            warmup: 0,
            rate: None,
            churn: Some(Rate(thousandths)),
            hold: Duration::from_millis(hold_ms),
            settle: Duration::ZERO,
            close: Close::Rst,
        };
        assert_eq!(settings(100_000, 2_500).churned(), 250);
        assert_eq!(settings(500, 3_000).churned(), 1);
        let never = Settings {
            churn: None,
            ..settings(1, 1)
        };
        assert_eq!(never.churned(), 0);
    }
}
