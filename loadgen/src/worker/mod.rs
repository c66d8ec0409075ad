//! One worker: a pinned thread with its own ring, its share of the connections, and its own
//! recorder.
//!
//! ```text
//! run -> [ slots connect -> all ready ] -> start -> [ pace -> dispatch -> slot -> operation ]
//!                                                          |                        |
//!                                                          +------ recorder <-------+ -> run
//! ```
//!
//! Nothing is shared between workers while operations run.

pub mod again;
pub mod clock;
pub mod dial;
pub mod dispatch;
pub mod guard;
pub mod kept;
pub mod pace;
pub mod plan;
pub mod seat;
mod shake;
pub mod slot;
pub mod timer;
pub mod timer_error;

#[cfg(test)]
mod simulation;

use std::{
    cell::{Cell, RefCell},
    io, iter,
    rc::Rc,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use sealgate_tls::KeyUpdates;
use sealgate_uring::{Pool, spawn};
use tokio::sync::{Semaphore, watch};

pub use self::plan::{Again, Endpoint, Line, Load, Loads, Message, Order, Plan};
use self::{
    again::Round,
    clock::Clock,
    dispatch::{Dispatch, Next},
    kept::Kept,
    seat::Seats,
    slot::Slot,
};
use crate::{
    affinity,
    measure::{collect::Exchange, interval::Interval, recorder::Recorder},
    operation::{
        self, Operation, Shared,
        conns::{held::Held, stage::Step},
        http1::connection::HttpConnection,
    },
    target::source::Departures,
};

/// Large buffers a worker may hold at once: 1 GiB.
const POOL_LIMIT: usize = 4096;

/// How often connections are looked at that may have stalled, as a part of the time limit.
const WATCH_FRACTION: u32 = 20;

/// What is shared by the slots of one worker.
#[derive(Debug)]
pub struct Worker {
    /// The run.
    pub plan: Arc<Plan>,
    /// Time since the load began.
    pub clock: Clock,
    /// Counts and times.
    pub recorder: RefCell<Recorder>,
    /// Whether anything happened since it was last reset, so that waiting is told from work.
    pub moved: Cell<bool>,
    /// Where connections come from.
    pub departures: Departures,
    /// KeyUpdates that no recorder has counted yet.
    key_updates: Rc<Cell<KeyUpdates>>,
    /// Connections that are only held; none where that is not what the run does.
    pub held: Option<Held>,
    index: usize,
    dispatch: RefCell<Dispatch>,
    seats: Seats,
    /// Connections of tenants that have nothing to do.
    kept: RefCell<Kept<HttpConnection>>,
    orders: watch::Receiver<Order>,
    messages: mpsc::Sender<Message>,
    awaited: Cell<usize>,
    /// Turns to set up a connection before the run starts.
    establishing: Semaphore,
    /// Whether any connection of this worker was ever established.
    connected: Cell<bool>,
    /// Connections that could not be set up before the run started.
    given_up: Cell<usize>,
    /// When nothing was left to plan.
    over: Cell<Option<Duration>>,
    /// Which of many loads this is, and what of it is under way.
    round: Round,
}

/// The body of a worker's thread.
pub fn run(plan: Arc<Plan>, index: usize, line: Line) {
    affinity::pin(index);
    let Line {
        messages,
        empty,
        orders,
        release,
    } = line;
    let kinds = plan.operation.kinds().len();
    let outlet = Exchange {
        full: messages.clone(),
        wrap: Message::Interval,
        empty,
        worker: index,
        // The worker keeps the tenants' until the end.
        shape: (kinds, 0),
    };
    let interval = Box::new(Interval::new(kinds, plan.mix.rows()));
    let recorder = Recorder::new(interval, Box::new(outlet), again::moments(&plan.load()));
    let failed = messages.clone();
    if let Err(error) = sealgate_uring::run(drive(plan, index, recorder, messages, orders)) {
        // The run is gone only when the process ends.
        let _ = failed.send(Message::Failed(error));
    }
    drop(failed);
    // Returns when the run drops its end.
    let _ = release.recv();
}

async fn drive(
    plan: Arc<Plan>,
    index: usize,
    recorder: Recorder,
    messages: mpsc::Sender<Message>,
    orders: watch::Receiver<Order>,
) {
    let share = plan.share(index);
    let (first, all) = (share.index as usize, share.of as usize);
    // Connection i belongs to worker i modulo all workers.
    let mine = (first..plan.connections).step_by(all);
    let streams = plan.streams();
    let source = plan.source(&plan.load(), share);
    let dispatch = Dispatch::new(source, plan.backlog.div_ceil(all));
    let worker = Rc::new(Worker {
        clock: Clock::default(),
        recorder: RefCell::new(recorder),
        moved: Cell::new(false),
        index,
        dispatch: RefCell::new(dispatch),
        seats: Seats::new(mine.len() * streams),
        kept: RefCell::new(Kept::new(kept_connections(&plan, mine.len()))),
        orders,
        messages,
        awaited: Cell::new(mine.len() * streams),
        establishing: Semaphore::new(dial::ESTABLISHING_AT_ONCE),
        connected: Cell::new(false),
        given_up: Cell::new(0),
        over: Cell::new(None),
        departures: Departures::new(plan.sources.clone()),
        key_updates: Rc::default(),
        held: plan.held(),
        round: Round::of(mine.len() * streams),
        plan,
    });
    let pool = Pool::new(POOL_LIMIT);
    let slots: Vec<_> = mine
        .enumerate()
        .flat_map(|(place, index)| {
            let first = Slot::new(Rc::clone(&worker), pool.clone(), index, place * streams);
            let others: Vec<_> = (1..streams).map(|lane| first.beside(lane)).collect();
            iter::once(first).chain(others)
        })
        .map(Rc::new)
        .collect();
    let watchdog = spawn(watch_over(Rc::clone(&worker), slots.clone()));
    let control = spawn(obey(Rc::clone(&worker)));
    let tasks = slots.chunks(streams).flat_map(|of_connection| {
        let shared = Shared::new(&worker.plan, of_connection[0].index);
        of_connection.iter().map(move |slot| {
            let (slot, shared) = (Rc::clone(slot), shared.clone());
            spawn(async move {
                let leaves = again::Leaves::new(&slot);
                operation::drive(&slot, &shared).await;
                leaves.whole();
            })
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        // A panic has been printed, and counted when the slot left.
        let _ = task.await;
    }
    if let Some(held) = &worker.held {
        held.finish(&worker).await;
    }
    match worker.plan.loads {
        Loads::One => {
            control.abort();
            worker.finish();
        }
        // Of connections that were all given up, every load is told that nothing was done.
        Loads::Many => drop(control.await),
    }
    watchdog.abort();
}

/// Connections that a worker keeps: as many as it uses at once, and one for every tenant.
fn kept_connections(plan: &Plan, used_at_once: usize) -> usize {
    used_at_once + plan.kept_for_tenants()
}

/// Starts and ends the load as the run orders.
async fn obey(worker: Rc<Worker>) {
    if worker.plan.loads == Loads::Many {
        return again::obey(&worker).await;
    }
    if let Operation::Conns(settings) = &worker.plan.operation {
        if let Err(error) = operation::conns::obey(&worker, &settings.stage).await {
            let _ = worker.messages.send(Message::NoTimer(error));
        }
        return;
    }
    let mut orders = worker.orders.clone();
    if orders
        .wait_for(|order| *order != Order::Prepare)
        .await
        .is_err()
    {
        return;
    }
    if worker.plan.open.is_some()
        && let Err(error) = pace_until_stopped(&worker, &mut orders).await
    {
        let _ = worker.messages.send(Message::NoTimer(error));
        return;
    }
    if orders
        .wait_for(|order| matches!(order, Order::Stop { .. }))
        .await
        .is_ok()
    {
        worker.dispatch.borrow_mut().stop();
        worker.wake_idle();
    }
}

async fn pace_until_stopped(
    worker: &Rc<Worker>,
    orders: &mut watch::Receiver<Order>,
) -> io::Result<()> {
    // The slots start the clock; pacing waits for it.
    worker.started().await;
    // Dropping the pace loses nothing: it holds a timer and no operation of the ring.
    tokio::select! {
        paced = pace::pace(Rc::clone(worker)) => {
            worker.wake_idle();
            paced
        }
        _ = orders.wait_for(|order| matches!(order, Order::Stop { .. })) => Ok(()),
    }
}

/// Resets connections on which nothing moves, or all when the time to drain is over. Resetting, and
/// not dropping: a dropped operation of the ring would lose its bytes and pin its descriptor.
async fn watch_over(worker: Rc<Worker>, slots: Vec<Rc<Slot>>) {
    let timeout = worker.plan.timeout;
    let pause = (timeout.min(worker.plan.drain) / WATCH_FRACTION)
        .clamp(Duration::from_millis(1), Duration::from_millis(250));
    loop {
        tokio::time::sleep(pause).await;
        let now = worker.clock.now();
        // A second in which nothing happens ends too.
        worker.recorder.borrow_mut().roll(now);
        let drained = worker
            .over
            .get()
            .is_some_and(|over| now > over + worker.plan.drain);
        if drained {
            let recorder = &mut worker.recorder.borrow_mut();
            worker.dispatch.borrow_mut().abandon(recorder);
            worker.round.changed();
        }
        if let Some(held) = &worker.held {
            held.expire(Instant::now());
        }
        for slot in &slots {
            match drained {
                true => slot.give_up(),
                false => slot.expire(Instant::now(), timeout),
            }
        }
    }
}

impl Worker {
    /// Counts a slot as ready, and waits for the start of the run.
    async fn ready(&self) {
        self.awaited.set(self.awaited.get() - 1);
        if self.awaited.get() == 0 {
            let thread = rustix::thread::gettid()
                .as_raw_nonzero()
                .get()
                .unsigned_abs();
            let worker = self.index;
            let _ = self.messages.send(Message::Ready { worker, thread });
        }
        self.started().await;
    }

    /// Whether so many have tried to reach the target, and nobody has, that who still waits for a turn would find the same.
    fn is_unreachable(&self) -> bool {
        self.given_up.get() >= dial::ESTABLISHING_AT_ONCE && !self.connected.get()
    }

    async fn started(&self) {
        let mut orders = self.orders.clone();
        let started = orders.wait_for(|order| *order != Order::Prepare).await;
        match started.as_deref() {
            Ok(Order::Start(at)) => self.clock.start(*at),
            Ok(Order::Stop { at, .. }) => {
                self.clock.start(*at);
                self.dispatch.borrow_mut().stop();
            }
            // Further loads start the clock themselves.
            Ok(Order::Prepare | Order::Again(_)) => {}
            // Without a run there is no load.
            Err(_) => self.dispatch.borrow_mut().stop(),
        }
    }

    /// Takes a connection of `tenant` that has nothing to do.
    pub fn take_kept(&self, tenant: usize) -> Option<HttpConnection> {
        self.kept.borrow_mut().take(tenant)
    }

    /// Takes the connection that waits longest, of any tenant.
    pub fn take_oldest(&self) -> Option<HttpConnection> {
        self.kept.borrow_mut().take_oldest()
    }

    /// Keeps a connection of `tenant`. Gives back the one that there is no room for.
    pub fn keep(&self, tenant: usize, connection: HttpConnection) -> Option<HttpConnection> {
        self.kept.borrow_mut().put(tenant, connection)
    }

    /// Waits for the start of the run, and gives what it will order.
    pub async fn begun(&self) -> watch::Receiver<Order> {
        self.started().await;
        self.orders.clone()
    }

    /// Begins a step of a run that has steps.
    pub fn enter(&self, step: Step) {
        self.dispatch.borrow_mut().enter(step);
    }

    /// Plans nothing more, and lets connections that wait see it.
    pub fn stop(&self) {
        self.dispatch.borrow_mut().stop();
        self.wake_idle();
    }

    /// Which worker it is among those of all machines.
    pub fn index(&self) -> u64 {
        self.plan.share(self.index).index
    }

    /// When the next operation is due.
    fn due(&self) -> Option<Duration> {
        self.dispatch.borrow().due()
    }

    /// What a slot that is free `now` is to do.
    fn next(&self, now: Duration) -> Next {
        let next = self
            .dispatch
            .borrow_mut()
            .next(now, &mut self.recorder.borrow_mut());
        // Whoever asks for a count, and not for a time, waits for all of it.
        let timed = self.plan.open.is_some() || self.plan.extent.duration.is_some();
        if next == Next::Over && timed && self.over.get().is_none() {
            self.over.set(Some(now));
        }
        if next == Next::Over {
            // The load of a closed loop has ended when a free connection hears of it.
            self.round.changed();
        }
        next
    }

    /// Hands what is due `now` to connections that wait.
    fn hand_out(&self, now: Duration) {
        let recorder = &mut self.recorder.borrow_mut();
        let dispatch = &mut self.dispatch.borrow_mut();
        dispatch.advance(now, recorder);
        while self.seats.any_idle() {
            match dispatch.next(now, recorder) {
                Next::Start(arrival) => self.seats.hand(arrival),
                Next::Wait | Next::Over => break,
            }
        }
    }

    /// Lets connections that wait see that nothing more comes.
    fn wake_idle(&self) {
        if self.over.get().is_none() {
            self.over.set(Some(self.clock.now()));
        }
        self.seats.wake_all();
    }

    fn finish(&self) {
        let recorder = &mut self.recorder.borrow_mut();
        // Every connection was given up: what still waits will not be sent.
        self.dispatch.borrow_mut().abandon(recorder);
        recorder.hand_over();
        let _ = self.messages.send(Message::Finished);
    }
}
