//! A run from start to end: workers, the moments that are measured between, and what came out.
//! Workers keep their connections for as many loads as a session has.

mod moment;
mod watching;

use std::{
    fmt, io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use sealgate_uring::StartError;
use thiserror::Error;
use tokio::sync::watch;

pub use self::moment::Moment;
use self::watching::Watching;
use crate::{
    measure::{
        collect::{Collected, Collector},
        cpu::{Process, Sample},
        interval::Interval,
    },
    report::model::Second,
    signals,
    worker::{self, Again, Line, Load, Message, Order, Plan},
};

/// Before a moment that was agreed on: long enough to look at CPU and memory.
const LOOK: Duration = Duration::from_millis(20);

/// A run could not start, or not go on. The operator's fault.
#[derive(Debug, Error)]
pub enum RunError {
    /// The kernel refused a ring.
    #[error(transparent)]
    Ring(#[from] StartError),
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The system refused a signal handler.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// The system refused a timer.
    #[error("cannot make a timer: {0}; raise `ulimit -n`, or lower -c")]
    Timer(io::Error),
    /// The CPU time of the target cannot be read.
    #[error(
        "cannot read the CPU time of process {pid}: {error}; check --target-pid, and that it is yours"
    )]
    TargetCpu {
        /// The process.
        pid: u32,
        /// Why.
        error: io::Error,
    },
    /// Somebody ended the run before it began.
    #[error("interrupted before the run began")]
    Interrupted,
    /// Another load was asked for before the first one. A bug of ours.
    #[error("no load has begun on these connections")]
    NothingBegun,
    /// A worker ended without a word: it panicked, and the panic was printed.
    #[error("a worker died")]
    WorkerDied,
}

/// What came out of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Everything the workers counted.
    pub collected: Collected,
    /// CPU and memory: when measuring began, at the end of each second, and at the end.
    pub moments: Vec<Moment>,
    /// Ids of the workers' threads.
    pub threads: Vec<u32>,
    /// When measuring began.
    pub began: SystemTime,
    /// From then until the last operation was done.
    pub elapsed: Duration,
    /// Whether somebody ended it before its bounds.
    pub interrupted: bool,
}

/// The run's end of what connects it with its workers.
struct Workers {
    messages: mpsc::Receiver<Message>,
    orders: watch::Sender<Order>,
    /// The other end of `messages`.
    sender: mpsc::Sender<Message>,
    /// Empty intervals, back to each worker.
    recycle: Vec<mpsc::Sender<Box<Interval>>>,
    /// Dropped when the threads may end.
    _releases: Vec<mpsc::Sender<()>>,
    threads: Vec<u32>,
}

/// Runs `plan` to its end.
///
/// # Errors
///
/// When it cannot start. A target that does not answer is no error but an outcome.
pub fn run(plan: Plan, target_pid: Option<u32>) -> Result<Outcome, RunError> {
    run_watched(plan, target_pid, &mut |_| {})
}

/// Runs `plan` to its end, and shows each second when all workers have told of it.
///
/// # Errors
///
/// As [`run`].
pub fn run_watched(
    plan: Plan,
    target_pid: Option<u32>,
    watch: &mut Watch<'_>,
) -> Result<Outcome, RunError> {
    Session::start(plan, target_pid)?.first_watched(watch)
}

/// Sees a run while it lasts.
pub type Watch<'a> = dyn FnMut(Seen<'_>) + 'a;

/// What is seen of a run while it lasts.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// What a worker counted in one interval.
    Interval(usize, &'a Interval),
    /// A second that all workers have told of. What is sampled or planned is not in it yet.
    Second(&'a Second),
}

/// Workers with connections that stand, for one load or for several behind one another.
pub struct Session {
    plan: Arc<Plan>,
    workers: Workers,
    target_pid: Option<u32>,
    /// Loads so far.
    loads: u32,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("loads", &self.loads)
            .finish_non_exhaustive()
    }
}

/// Ends the load of a session that is under way, or else the next one, before its bounds.
#[derive(Debug)]
pub struct Stopper(mpsc::Sender<Message>);

impl Stopper {
    /// Ends it.
    pub fn stop(&self) {
        // A session that is gone has no load.
        let _ = self.0.send(Message::Stop);
    }
}

impl Session {
    /// Starts the workers of `plan` and has them connect.
    ///
    /// # Errors
    ///
    /// When they cannot start.
    pub fn start(plan: Plan, target_pid: Option<u32>) -> Result<Self, RunError> {
        Self::start_told(plan, target_pid, |_| {})
    }

    /// The same, and gives away what ends it before it connects: then another thread may.
    ///
    /// # Errors
    ///
    /// As [`Session::start`].
    pub fn start_told(
        plan: Plan,
        target_pid: Option<u32>,
        told: impl FnOnce(Stopper),
    ) -> Result<Self, RunError> {
        if let Some(pid) = target_pid {
            Sample::take(Process::Other(pid))
                .map_err(|error| RunError::TargetCpu { pid, error })?;
        }
        let plan = Arc::new(plan);
        let workers = start_workers(&plan)?;
        let mut session = Self {
            plan,
            workers,
            target_pid,
            loads: 0,
        };
        told(session.stopper());
        wait_until_ready(&mut session.workers)?;
        Ok(session)
    }

    /// Runs the load of the plan.
    ///
    /// # Errors
    ///
    /// When it cannot go on.
    pub fn first(&mut self) -> Result<Outcome, RunError> {
        self.first_watched(&mut |_| {})
    }

    fn first_watched(&mut self, watch: &mut Watch<'_>) -> Result<Outcome, RunError> {
        self.carry(self.plan.extent.warmup, None, Order::Start, watch)
    }

    /// Runs the load of the plan from a moment on that other machines know too.
    ///
    /// # Errors
    ///
    /// As [`Session::first`]; [`RunError::Interrupted`] when it is stopped before that moment.
    pub fn first_at(&mut self, at: Instant, watch: &mut Watch<'_>) -> Result<Outcome, RunError> {
        self.carry(self.plan.extent.warmup, Some(at), Order::Start, watch)
    }

    /// Runs another load behind the first one. The plan has to be one of many loads.
    ///
    /// # Errors
    ///
    /// When it cannot go on, or there was no first one.
    pub fn again(&mut self, load: Load) -> Result<Outcome, RunError> {
        if self.loads == 0 {
            return Err(RunError::NothingBegun);
        }
        let (number, load) = (self.loads, Arc::new(load));
        let order = |at| {
            Order::Again(Again {
                number,
                at,
                load: Arc::clone(&load),
            })
        };
        self.carry(load.extent.warmup, None, order, &mut |_| {})
    }

    /// What ends a load from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.workers.sender.clone())
    }

    fn carry(
        &mut self,
        warmup: Duration,
        at: Option<Instant>,
        order: impl FnOnce(Instant) -> Order,
        watch: &mut Watch<'_>,
    ) -> Result<Outcome, RunError> {
        let target_pid = self.target_pid;
        if let Some(at) = at {
            self.workers
                .wait_until(at.checked_sub(LOOK).unwrap_or(at))?;
        }
        // Before the first operation, so that no work falls out of the window.
        let early = warmup
            .is_zero()
            .then(|| Moment::take(Instant::now(), target_pid));
        if let Some(at) = at {
            self.workers.wait_until(at)?;
        }
        let started = at.unwrap_or_else(Instant::now);
        // Nobody listens when every worker has died, which the next wait reports.
        let _ = self.workers.orders.send(order(started));
        let measured_from = started + warmup;
        let kinds = self.plan.operation.kinds().len();
        let rows = self.plan.mix.rows();
        let mut collector = Collector::new(self.plan.threads, kinds, rows);
        let mut watching = Watching {
            load: self.loads,
            started,
            measured_from,
            target_pid,
            moments: Vec::from_iter(early),
            interrupted: false,
        };
        self.loads += 1;
        let ended = watching.collect(&self.workers, &mut collector, watch)?;
        let began = SystemTime::now() - measured_from.elapsed();
        watching
            .moments
            .push(Moment::take(measured_from, target_pid));
        let collected = collector.finish();
        let last_done = collected.totals.last_done;
        let until = last_done.map_or(ended, |last| started + last);
        Ok(Outcome {
            collected,
            moments: watching.moments,
            threads: self.workers.threads.clone(),
            began,
            elapsed: until.saturating_duration_since(measured_from),
            interrupted: watching.interrupted,
        })
    }
}

fn start_workers(plan: &Arc<Plan>) -> Result<Workers, RunError> {
    let (sender, messages) = mpsc::channel();
    let (orders, received) = watch::channel(Order::Prepare);
    let (mut recycle, mut releases) = (Vec::new(), Vec::new());
    let run = sender.clone();
    let interrupt = move || {
        // A run that has ended meanwhile is about to print its report.
        let _ = run.send(Message::Interrupt);
    };
    signals::watch(interrupt).map_err(RunError::Signals)?;
    for index in 0..plan.threads {
        let (release, released) = mpsc::channel();
        let (empty, emptied) = mpsc::channel();
        releases.push(release);
        recycle.push(empty);
        let line = Line {
            messages: sender.clone(),
            empty: emptied,
            orders: received.clone(),
            release: released,
        };
        let plan = Arc::clone(plan);
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || worker::run(plan, index, line))
            .map_err(RunError::Thread)?;
    }
    Ok(Workers {
        messages,
        orders,
        sender,
        recycle,
        _releases: releases,
        threads: vec![0; plan.threads],
    })
}

impl Drop for Session {
    /// Threads of a session that was given up have to end, for the process may go on.
    fn drop(&mut self) {
        let load = self.loads.saturating_sub(1);
        let at = Instant::now();
        // Nobody listens when every worker has ended.
        let _ = self.workers.orders.send(Order::Stop { load, at });
    }
}

impl Workers {
    /// Waits for a moment before the load begins.
    fn wait_until(&self, moment: Instant) -> Result<(), RunError> {
        let left = moment.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(()),
            Ok(Message::Interrupt | Message::Stop) => Err(RunError::Interrupted),
            Ok(Message::Failed(error)) => Err(error.into()),
            Ok(Message::NoTimer(error)) => Err(RunError::Timer(error)),
            // What connecting counted comes when it begins.
            Ok(Message::Ready { .. } | Message::Finished | Message::Interval(..))
            | Err(mpsc::RecvTimeoutError::Disconnected) => Err(RunError::WorkerDied),
        }
    }
}

fn wait_until_ready(workers: &mut Workers) -> Result<(), RunError> {
    for _ in 0..workers.threads.len() {
        match workers.messages.recv() {
            Ok(Message::Ready { worker, thread }) => workers.threads[worker] = thread,
            Ok(Message::Failed(error)) => return Err(error.into()),
            Ok(Message::NoTimer(error)) => return Err(RunError::Timer(error)),
            Ok(Message::Interrupt | Message::Stop) => return Err(RunError::Interrupted),
            Ok(Message::Finished | Message::Interval(..)) | Err(mpsc::RecvError) => {
                return Err(RunError::WorkerDied);
            }
        }
    }
    Ok(())
}
