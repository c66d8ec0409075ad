//! One connection of a worker, over all the sockets it may take; with HTTP/2, one of the streams
//! that it may have at once.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustls::ClientConfig;
use sealgate_uring::Pool;

use super::{Worker, dial::ATTEMPTS, dispatch::Next, guard::Guard};
use crate::{
    measure::recorder::Done,
    operation::{
        Operation,
        failure::{Failure, Phase},
    },
    schedule::Arrival,
    target::{key_update::Meter, tls::Configs},
    tenants::Tenants,
};

/// Pause behind a connection that failed, so that a dead target is not a busy loop.
const BACKOFF: Duration = Duration::from_millis(10);

/// A place in a worker for one operation at a time. Its methods are what an operation may do.
pub struct Slot {
    /// The worker.
    pub worker: Rc<Worker>,
    /// The number of the connection in the run.
    pub index: usize,
    seat: usize,
    /// When it was free for its current operation, since the load began.
    free: Cell<Duration>,
    pub(super) pool: Pool,
    /// What is broken off when nothing moves.
    pub(super) guard: Guard,
    /// Attempts to connect that failed, in a row.
    pub(super) failed_dials: Cell<u32>,
    /// Whose operation it has, or had last.
    tenant: Cell<usize>,
    /// Where it goes.
    pub(super) endpoint: Cell<usize>,
    /// Operations that were taken and have not ended.
    under_way: Cell<usize>,
    /// That of the connection it uses, or used last; none where no keys are renewed.
    pub(super) meter: RefCell<Option<Rc<Meter>>>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// The slot of connection `index` of the run, on `seat` of its worker.
    pub fn new(worker: Rc<Worker>, pool: Pool, index: usize, seat: usize) -> Self {
        let tenants = worker.plan.mix.tenants();
        let first_tenant = tenants.map_or(0, |all| index % all.count());
        Self {
            worker,
            index,
            seat,
            free: Cell::new(Duration::ZERO),
            pool,
            guard: Guard::default(),
            failed_dials: Cell::new(0),
            tenant: Cell::new(first_tenant),
            endpoint: Cell::new(0),
            under_way: Cell::new(0),
            meter: RefCell::new(None),
        }
    }

    /// Another slot of the same connection, `lane` seats behind this first one.
    pub fn beside(&self, lane: usize) -> Self {
        Self::new(
            Rc::clone(&self.worker),
            self.pool.clone(),
            self.index,
            self.seat + lane,
        )
    }

    /// Which of its connection's slots it is.
    pub fn lane(&self) -> usize {
        self.seat % self.worker.plan.streams()
    }

    /// TLS settings; none for plain TCP.
    pub fn configs(&self) -> Option<&Configs> {
        self.worker.plan.endpoint(self.endpoint.get()).1
    }

    /// The tenants of the run; none where there is only one, without a name.
    pub fn tenants(&self) -> Option<&Tenants> {
        self.worker.plan.mix.tenants().map(|all| &**all)
    }

    /// Whose operation it has; before the first one, in turn.
    pub fn tenant(&self) -> usize {
        self.tenant.get()
    }

    /// The configuration for full handshakes of the tenant; none for plain TCP.
    pub fn full_config(&self) -> Option<&Arc<ClientConfig>> {
        self.configs().map(|configs| configs.full_of(self.tenant()))
    }

    /// Whether a connection is one tenant's own, by its server name or client certificate.
    pub fn belongs_to_tenant(&self) -> bool {
        self.configs().is_some_and(Configs::belong_to_tenants)
    }

    /// Goes to another of the plan's endpoints from now on.
    pub fn turn_to(&self, endpoint: usize) {
        self.endpoint.set(endpoint);
    }

    /// What tells the connections apart that an operation may use; none when all are alike.
    pub fn connection_key(&self) -> Option<usize> {
        let plan = &self.worker.plan;
        let tenants = plan.mix.tenants().map_or(1, |all| all.count());
        let place = self.endpoint.get() * tenants;
        match (self.belongs_to_tenant(), &plan.operation) {
            (true, _) => Some(place + self.tenant()),
            // Operations of a mix take turns on a slot.
            (false, Operation::Mixed(_)) => Some(place),
            (false, _) => None,
        }
    }

    /// Says that this slot is ready, and waits until all are.
    pub async fn start(&self) {
        self.guard.rest();
        self.worker.ready().await;
    }

    /// The next operation; none when the run is over, or when the target was never reached. What
    /// is returned has to be [`begin`](Self::begin)ed.
    pub async fn next(&self) -> Option<Arrival> {
        loop {
            if self.failed_dials.get() >= ATTEMPTS && !self.worker.connected.get() {
                return None;
            }
            let now = self.worker.clock.now();
            self.free.set(now);
            let arrival = match self.worker.next(now) {
                Next::Start(arrival) => Some(arrival),
                Next::Over => None,
                Next::Wait => {
                    self.guard.rest();
                    self.worker.seats.wait(self.seat).await
                }
            };
            if let Some(arrival) = arrival {
                self.tenant.set(arrival.tenant);
                self.progress();
                self.guard.watch();
                self.worker.round.take(&self.under_way);
                return Some(arrival);
            }
            self.guard.rest();
            if !self.worker.again().await {
                return None;
            }
        }
    }

    /// Forgets the operations that will never end: the slot's task does.
    pub fn leave(&self) {
        self.worker.round.leave(self.under_way.take());
    }

    /// Time since the load began.
    pub fn now(&self) -> Duration {
        self.worker.clock.now()
    }

    /// The operation is sent from now on; the moment is returned.
    pub fn begin(&self, arrival: Arrival) -> Duration {
        let now = self.worker.clock.now();
        let mut recorder = self.worker.recorder.borrow_mut();
        recorder.sent(arrival, self.free.get(), now);
        now
    }

    /// Keeps a failure that is no operation's.
    pub fn note_failure(&self, failure: &Failure) {
        let now = self.worker.clock.now();
        self.worker.recorder.borrow_mut().note_failure(failure, now);
    }

    /// Counts an operation that succeeded.
    pub fn succeed(&self, done: &Done) {
        self.worker.moved.set(true);
        self.worker.recorder.borrow_mut().succeed(done);
        self.operation_over();
        self.worker.round.end(&self.under_way);
    }

    /// Counts an operation that failed; pauses a little when it was connecting that failed.
    pub async fn fail(&self, arrival: Arrival, failure: &Failure) {
        self.worker.moved.set(true);
        let now = self.worker.clock.now();
        self.worker
            .recorder
            .borrow_mut()
            .fail(arrival, failure, now);
        self.operation_over();
        self.worker.round.end(&self.under_way);
        self.pause_after(failure).await;
    }

    /// Pauses a little when it was connecting that failed.
    pub async fn pause_after(&self, failure: &Failure) {
        if matches!(failure.phase, Phase::Connect | Phase::Handshake) {
            self.disarm();
            tokio::time::sleep(BACKOFF).await;
        }
    }
}
