//! What the conductor of a run and its workers tell each other: which step is on, and what has been
//! done.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// What workers are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Leave everything as it is.
    Rest,
    /// Open so many connections that do not count, and close them.
    Warm {
        /// How many.
        count: u64,
    },
    /// Open connections `from` to `to`, of all workers.
    Open {
        /// The first.
        from: u64,
        /// The one behind the last.
        to: u64,
    },
    /// Replace the oldest connections with new ones, so many in all.
    Churn {
        /// How many.
        count: u64,
    },
    /// Close all.
    Close,
    /// End.
    Over,
}

/// A phase and when it began, since the load did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub phase: Phase,
    /// Since when.
    pub began: Duration,
}

/// What all workers have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts to warm up that ended, one way or the other.
    pub warmed: u64,
    /// Attempts to open that ended, one way or the other.
    pub answered: u64,
    /// Connections opened.
    pub opened: u64,
    /// Attempts to replace a connection that ended, one way or the other.
    pub churned: u64,
    /// Connections opened in another's place.
    pub reopened: u64,
    /// Connections that stand now, those that are being closed included.
    pub held: u64,
    /// The most that stood at one time.
    pub held_most: u64,
    /// Connections that we ended, and whose end has come.
    pub closed: u64,
    /// Connections that the target ended.
    pub dropped: u64,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// What was awaited.
    Met,
    /// Time.
    Elapsed,
    /// No worker is left: the target was never reached, or somebody ended the run.
    Abandoned,
}

#[derive(Debug)]
struct State {
    started: Option<Instant>,
    workers: usize,
    tally: Tally,
}

/// Shared by the conductor and the workers of one run.
#[derive(Debug)]
pub struct Stage {
    state: Mutex<State>,
    changed: Condvar,
    steps: watch::Sender<Step>,
}

impl Stage {
    /// The stage of a run with so many workers.
    pub fn new(workers: usize) -> Arc<Self> {
        let first = Step {
            phase: Phase::Rest,
            began: Duration::ZERO,
        };
        Arc::new(Self {
            state: Mutex::new(State {
                started: None,
                workers,
                tally: Tally::default(),
            }),
            changed: Condvar::new(),
            steps: watch::Sender::new(first),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counters are whole at every moment, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker says that the load began at `at`.
    pub fn begin(&self, at: Instant) {
        self.state().started.get_or_insert(at);
        self.changed.notify_all();
    }

    /// The steps, for a worker.
    pub fn steps(&self) -> watch::Receiver<Step> {
        self.steps.subscribe()
    }

    /// A worker counts.
    pub fn count(&self, change: impl FnOnce(&mut Tally)) {
        let tally = &mut self.state().tally;
        change(tally);
        tally.held_most = tally.held_most.max(tally.held);
        self.changed.notify_all();
    }

    /// Forgets what was done: it was to warm up.
    pub fn forget(&self) {
        self.state().tally = Tally::default();
    }

    /// A worker has ended.
    pub fn leave(&self) {
        let workers = &mut self.state().workers;
        *workers = workers.saturating_sub(1);
        self.changed.notify_all();
    }

    /// What has been done so far.
    pub fn tally(&self) -> Tally {
        self.state().tally
    }

    /// Whether no worker is left.
    pub fn is_abandoned(&self) -> bool {
        self.state().workers == 0
    }

    /// Since the load began; zero before.
    pub fn now(&self) -> Duration {
        self.state()
            .started
            .map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Waits until the load has begun.
    pub fn wait_for_begin(&self) -> Woken {
        self.wait_while(None, |state| state.started.is_none())
    }

    /// Begins a phase.
    pub fn enter(&self, phase: Phase) {
        let began = self.now();
        self.steps.send_replace(Step { phase, began });
    }

    /// Waits until what was done is enough, at most for `limit`.
    pub fn wait(&self, limit: Option<Duration>, enough: impl Fn(&Tally) -> bool) -> Woken {
        self.wait_while(limit, |state| !enough(&state.tally))
    }

    fn wait_while(&self, limit: Option<Duration>, goes_on: impl Fn(&State) -> bool) -> Woken {
        let until = limit.map(|limit| Instant::now() + limit);
        let mut state = self.state();
        loop {
            if !goes_on(&state) {
                return Woken::Met;
            }
            if state.workers == 0 {
                return Woken::Abandoned;
            }
            state = match until {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Woken::Elapsed;
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_wait_ends_by_what_was_awaited_by_time_and_by_abandonment() {
        let stage = Stage::new(1);
        let worker = {
            let stage = Arc::clone(&stage);
            thread::spawn(move || {
                stage.begin(Instant::now());
                stage.count(|tally| tally.held += 3);
                stage.count(|tally| tally.held -= 1);
            })
        };
        assert_eq!(stage.wait_for_begin(), Woken::Met);
        assert_eq!(
            stage.wait(None, |tally| tally.held == 2 && tally.held_most == 3),
            Woken::Met
        );
        worker.join().unwrap();
        let never = |_: &Tally| false;
        assert_eq!(
            stage.wait(Some(Duration::from_millis(1)), never),
            Woken::Elapsed
        );
        stage.leave();
        assert_eq!(stage.wait(None, never), Woken::Abandoned);
        assert!(stage.is_abandoned());
    }

    #[test]
    fn a_step_is_seen_by_who_looks_later() {
        let stage = Stage::new(1);
        stage.begin(Instant::now());
        let steps = stage.steps();
        let phase = Phase::Open { from: 0, to: 4 };
        stage.enter(phase);
        assert_eq!(steps.borrow().phase, phase);
    }
}
