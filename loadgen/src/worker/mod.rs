//! One worker: a pinned thread with its own ring, its share of the connections, and its own tally.
//!
//! ```text
//! run -> [ worker: slots connect -> all ready ] -> start -> [ operations ... ] -> tally -> run
//! ```
//!
//! Nothing is shared between workers while operations run.

pub mod slot;

use std::{
    cell::{Cell, OnceCell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use sealgate_uring::{Pool, StartError, spawn};
use tokio::sync::watch;

use self::slot::Slot;
use crate::{
    affinity,
    measure::tally::Tally,
    operation::{self, Operation},
    schedule::{ClosedLoop, Extent},
    target::tls::Configs,
};

/// Large buffers a worker may hold at once: 1 GiB.
const POOL_LIMIT: usize = 4096;

/// How often connections are looked at that may have stalled, as a part of the time limit.
const WATCH_FRACTION: u32 = 20;

/// A run, as all workers see it.
#[derive(Debug)]
pub struct Plan {
    /// What to do.
    pub operation: Operation,
    /// Where.
    pub address: SocketAddr,
    /// How to speak TLS; none for TCP.
    pub tls: Option<Configs>,
    /// Connections of all workers.
    pub connections: usize,
    /// Workers.
    pub threads: usize,
    /// How much.
    pub extent: Extent,
    /// An operation in which nothing moves for this long is broken off.
    pub timeout: Duration,
}

/// What a worker tells the run.
#[derive(Debug)]
pub enum Report {
    /// Its connections stand, or have been given up.
    Ready,
    /// It is done. The thread stays until it is released, so that its CPU time can be read.
    Finished(Box<Tally>),
    /// It could not start.
    Failed(StartError),
}

/// What is shared by the slots of one worker.
#[derive(Debug)]
pub struct Worker {
    /// The run.
    pub plan: Arc<Plan>,
    /// Counts and times.
    pub tally: RefCell<Tally>,
    index: usize,
    schedule: OnceCell<ClosedLoop>,
    start: watch::Receiver<Option<Instant>>,
    awaited: Cell<usize>,
    reports: mpsc::Sender<Report>,
    /// Whether any connection of this worker was ever established.
    connected: Cell<bool>,
}

/// The ends of the channels that a worker holds.
#[derive(Debug)]
pub struct Line {
    /// To the run.
    pub reports: mpsc::Sender<Report>,
    /// When measuring begins, once all workers are ready.
    pub start: watch::Receiver<Option<Instant>>,
    /// Closed by the run when the thread may end.
    pub release: mpsc::Receiver<()>,
}

/// The body of a worker's thread.
pub fn run(plan: Arc<Plan>, index: usize, line: Line) {
    affinity::pin(index);
    let Line {
        reports,
        start,
        release,
    } = line;
    let failed = reports.clone();
    if let Err(error) = sealgate_uring::run(drive(plan, index, reports, start)) {
        // The run is gone only when the process ends.
        let _ = failed.send(Report::Failed(error));
    }
    drop(failed);
    // Returns when the run drops its end.
    let _ = release.recv();
}

async fn drive(
    plan: Arc<Plan>,
    index: usize,
    reports: mpsc::Sender<Report>,
    start: watch::Receiver<Option<Instant>>,
) {
    // Connection i belongs to worker i modulo the threads.
    let mine = (index..plan.connections).step_by(plan.threads);
    let worker = Rc::new(Worker {
        tally: RefCell::default(),
        index,
        schedule: OnceCell::new(),
        start,
        awaited: Cell::new(mine.len()),
        reports,
        connected: Cell::new(false),
        plan,
    });
    if mine.len() == 0 {
        worker.report_ready();
    }
    let pool = Pool::new(POOL_LIMIT);
    let slots: Vec<_> = mine
        .map(|index| Rc::new(Slot::new(Rc::clone(&worker), pool.clone(), index)))
        .collect();
    let watchdog = spawn(watch_over(slots.clone(), worker.plan.timeout));
    let tasks: Vec<_> = slots
        .into_iter()
        .map(|slot| spawn(async move { operation::drive(&slot).await }))
        .collect();
    for task in tasks {
        // The panic has been printed; what the slot counted before still holds.
        if task.await.is_err() {
            worker.tally.borrow_mut().counts.died += 1;
        }
    }
    watchdog.abort();
    let tally = Box::new(worker.tally.take());
    let _ = worker.reports.send(Report::Finished(tally));
}

/// Resets connections on which nothing moves. Resetting, and not dropping: a dropped operation of
/// the ring would lose its bytes and pin its descriptor.
async fn watch_over(slots: Vec<Rc<Slot>>, timeout: Duration) {
    let pause =
        (timeout / WATCH_FRACTION).clamp(Duration::from_millis(1), Duration::from_millis(500));
    loop {
        tokio::time::sleep(pause).await;
        let now = Instant::now();
        for slot in &slots {
            slot.expire(now, timeout);
        }
    }
}

impl Worker {
    fn report_ready(&self) {
        let _ = self.reports.send(Report::Ready);
    }

    /// Counts a slot as ready, and waits for the start of the run.
    async fn ready(&self) {
        self.awaited.set(self.awaited.get() - 1);
        if self.awaited.get() == 0 {
            self.report_ready();
        }
        let mut start = self.start.clone();
        // Without a run there is no start: then the process is ending.
        let Ok(from) = start.wait_for(Option::is_some).await.map(|from| *from) else {
            return;
        };
        self.schedule.get_or_init(|| {
            let extent = self
                .plan
                .extent
                .share(self.index as u64, self.plan.threads as u64);
            ClosedLoop::new(extent, from.unwrap_or_else(Instant::now))
        });
    }
}
