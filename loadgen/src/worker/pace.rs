//! Keeps the schedule: wakes in time for the next planned start and hands operations to free
//! connections.
//!
//! A sleeping thread is woken tens of microseconds late, which would be read as the target's time.
//! So it sleeps until shortly before, and spins from there on; where a core is free it never
//! sleeps. Spinning lets the ring run at every turn, so answers are not kept waiting by it.

use std::{fmt, io, rc::Rc, time::Duration};

use clap::ValueEnum;

use super::{Worker, timer::Timer};
use crate::{affinity, measure::cpu};

/// How long before a planned start spinning begins.
const AHEAD: Duration = Duration::from_micros(100);

/// A turn without work takes less; what takes longer was work, or somebody else had the core.
const EMPTY_TURN: Duration = Duration::from_micros(50);

/// How often a thread that never sleeps looks whether somebody waits for its core.
const RECONSIDER: Duration = Duration::from_secs(1);

/// Share of the time that such a thread may have to wait: beyond, its core is not free.
const CONTENDED: f64 = 0.02;

/// Whether to wait without sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spin {
    /// Always where a core is free, else for the last 100 us before each start.
    Auto,
    /// Always: the thread takes its core for itself.
    On,
    /// Never: cheap, and tens of microseconds late.
    Off,
}

impl fmt::Display for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Spin::Auto => "auto",
            Spin::On => "on",
            Spin::Off => "off",
        })
    }
}

/// How far ahead of a start sleep ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Not at all: sleep until then.
    Nothing,
    /// A little.
    Little,
    /// There is no sleep.
    Always,
}

/// Keeps the schedule of `worker` until all is handed out that was planned so far.
///
/// # Errors
///
/// When the system has no timer for us.
pub async fn pace(worker: Rc<Worker>) -> io::Result<()> {
    let timer = Timer::new()?;
    let mut core = Core::new(worker.plan.spin, worker.plan.threads);
    loop {
        let now = worker.clock.now();
        worker.hand_out(now);
        let Some(due) = worker.due() else {
            break;
        };
        let left = due.saturating_sub(now);
        worker.moved.set(false);
        if approach(&timer, core.ahead(now), left).await? == Approached::Turned {
            let took = worker.clock.now().saturating_sub(now);
            if !worker.moved.get() && took < EMPTY_TURN {
                worker.recorder.borrow_mut().spun(took);
            }
        }
    }
    Ok(())
}

/// How a thread came nearer to a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approached {
    /// It slept.
    Slept,
    /// It let everything else run once.
    Turned,
}

/// Comes nearer to a start that is `left` away: sleeps, or turns once.
///
/// # Errors
///
/// What [`Timer::sleep`] reports.
pub async fn approach(timer: &Timer, ahead: Ahead, left: Duration) -> io::Result<Approached> {
    let sleep = match ahead {
        Ahead::Nothing => left,
        Ahead::Little if left > AHEAD => left - AHEAD,
        Ahead::Little | Ahead::Always => {
            sealgate_uring::turn().await;
            return Ok(Approached::Turned);
        }
    };
    timer.sleep(sleep).await?;
    Ok(Approached::Slept)
}

/// Whether this thread may have its core for itself.
#[derive(Debug)]
struct Core {
    ahead: Ahead,
    spin: Spin,
    looked: Duration,
    waited: Duration,
}

impl Core {
    fn new(spin: Spin, threads: usize) -> Self {
        let ahead = match spin {
            Spin::Off => Ahead::Nothing,
            Spin::On => Ahead::Always,
            Spin::Auto if threads < affinity::cores() => Ahead::Always,
            Spin::Auto => Ahead::Little,
        };
        Self {
            ahead,
            spin,
            looked: Duration::ZERO,
            waited: cpu::own_thread_waited().unwrap_or_default(),
        }
    }

    /// How far ahead sleep ends, now. Once somebody was seen waiting for the core, it is not taken
    /// again: the run would change its manners with every second.
    fn ahead(&mut self, now: Duration) -> Ahead {
        let since = now.saturating_sub(self.looked);
        if self.spin == Spin::Auto && self.ahead == Ahead::Always && since >= RECONSIDER {
            let waited = cpu::own_thread_waited().unwrap_or_default();
            let share = waited.saturating_sub(self.waited).as_secs_f64() / since.as_secs_f64();
            if share > CONTENDED {
                self.ahead = Ahead::Little;
            }
            (self.looked, self.waited) = (now, waited);
        }
        self.ahead
    }
}
