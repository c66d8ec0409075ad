//! One connection of a worker, over all the sockets it may take; with HTTP/2, one of the streams
//! that it may have at once.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, HandshakeKind};
use sealgate_stream::{Facts, Stream};
use sealgate_uring::{Pool, Socket};
use tokio::sync::Notify;

use super::{Worker, dispatch::Next};
use crate::{
    measure::{interval::count, recorder::Done},
    operation::{
        Operation,
        failure::{Cause, Class, Failure, Phase},
    },
    schedule::Arrival,
    target::{key_update::Meter, tls::Configs},
    tenants::Tenants,
};

/// Attempts to connect, while no connection of the worker has ever stood, before a slot gives up.
pub const ATTEMPTS: u32 = 3;

/// Pause behind a connection that failed, so that a dead target is not a busy loop.
const BACKOFF: Duration = Duration::from_millis(10);

/// A connection that stands.
pub struct Connection {
    /// To talk over.
    pub stream: Stream,
    /// To reset it.
    pub socket: Socket,
    /// What connecting took.
    pub connect: Duration,
    /// What the TLS handshake took.
    pub handshake: Option<Duration>,
    /// When it stood, since the load began.
    pub established: Duration,
    /// What counts its operations and KeyUpdates; none where no keys are renewed.
    pub meter: Option<Rc<Meter>>,
}

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
    /// What to break off when nothing moves; none while nothing is awaited.
    guarded: RefCell<Option<Guarded>>,
    /// The guarded stream is to be broken off.
    broken_off: Notify,
    waiting: Cell<bool>,
    moved: Cell<Instant>,
    expired: Cell<Option<Expiry>>,
    failed_dials: Cell<u32>,
    /// Whose operation it has, or had last.
    tenant: Cell<usize>,
    /// Where it goes.
    endpoint: Cell<usize>,
    /// Operations that were taken and have not ended.
    under_way: Cell<usize>,
    /// That of the connection it uses, or used last; none where no keys are renewed.
    pub(super) meter: RefCell<Option<Rc<Meter>>>,
}

/// What an operation waits on.
#[derive(Clone)]
enum Guarded {
    /// A connection of its own, to be reset.
    Connection(Socket),
    /// A stream of a connection that others share: whoever waits for it is told.
    Stream,
}

/// Why a connection was reset, or a stream broken off, by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// Nothing moved on it.
    Timeout,
    /// The time to drain was over.
    Unfinished,
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
            guarded: RefCell::new(None),
            broken_off: Notify::new(),
            waiting: Cell::new(false),
            moved: Cell::new(Instant::now()),
            expired: Cell::new(None),
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

    /// Takes a connection that stands for its own, to reset it when nothing moves. What is done is
    /// done on that connection from now on.
    pub fn adopt(&self, socket: &Socket, meter: &Option<Rc<Meter>>) {
        self.guard(socket);
        self.meter.replace(meter.clone());
    }

    /// Connects before the run starts. None after some failed attempts, which are noted.
    pub async fn establish(&self) -> Option<Connection> {
        for _ in 0..ATTEMPTS {
            match self.redial().await {
                Ok(connection) => return Some(connection),
                Err(failure) => {
                    self.note_failure(&failure);
                    self.pause_after(&failure).await;
                }
            }
        }
        None
    }

    /// Says that this slot is ready, and waits until all are.
    pub async fn start(&self) {
        self.waiting.set(false);
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
                    self.waiting.set(false);
                    self.worker.seats.wait(self.seat).await
                }
            };
            if let Some(arrival) = arrival {
                self.tenant.set(arrival.tenant);
                self.progress();
                self.waiting.set(true);
                self.worker.round.take(&self.under_way);
                return Some(arrival);
            }
            self.waiting.set(false);
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

    /// Connects with full TLS, or plain, and notes the connection.
    ///
    /// # Errors
    ///
    /// When connecting or the handshake fails.
    pub async fn redial(&self) -> Result<Connection, Failure> {
        let connection = self.dial(self.full_config()).await?;
        self.note(&connection);
        Ok(connection)
    }

    /// Connects with `config`, or plain without one. The connection is guarded until it is
    /// disarmed or another one takes its place.
    ///
    /// # Errors
    ///
    /// When connecting or the handshake fails.
    pub async fn dial(&self, config: Option<&Arc<ClientConfig>>) -> Result<Connection, Failure> {
        self.dial_then(config, async |connection| Ok(connection))
            .await
    }

    /// The same, with `early_data` in the first flight if there is a ticket that allows it.
    ///
    /// # Errors
    ///
    /// When connecting or the handshake fails.
    pub async fn dial_with(
        &self,
        config: Option<&Arc<ClientConfig>>,
        early_data: Option<&[u8]>,
    ) -> Result<Connection, Failure> {
        let result = self.try_dial(config, early_data).await;
        self.note_dial(&result);
        result
    }

    /// Connects as [`dial`](Self::dial) does, and does what else is needed for the connection to
    /// stand.
    ///
    /// # Errors
    ///
    /// When connecting, the handshake, or `then` fails.
    pub async fn dial_then<T>(
        &self,
        config: Option<&Arc<ClientConfig>>,
        then: impl AsyncFnOnce(Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let result = match self.try_dial(config, None).await {
            Ok(connection) => then(connection).await,
            Err(failure) => Err(failure),
        };
        self.note_dial(&result);
        result
    }

    fn note_dial<T>(&self, result: &Result<T, Failure>) {
        match result {
            Ok(_) => {
                self.failed_dials.set(0);
                self.worker.connected.set(true);
            }
            Err(_) => self.failed_dials.set(self.failed_dials.get() + 1),
        }
    }

    async fn try_dial(
        &self,
        config: Option<&Arc<ClientConfig>>,
        early_data: Option<&[u8]>,
    ) -> Result<Connection, Failure> {
        let begun = Instant::now();
        self.meter.replace(None);
        let socket = self.connect().await?;
        let connected = Instant::now();
        self.progress();
        let stream = match (config, self.configs()) {
            (Some(config), Some(configs)) => {
                self.shake_hands(&socket, config, configs, early_data)
                    .await?
            }
            _ => Stream::plain(socket.clone(), self.pool.clone()),
        };
        let handshake = config.map(|_| connected.elapsed());
        Ok(Connection {
            stream,
            socket,
            connect: connected - begun,
            handshake,
            established: self.worker.clock.now(),
            meter: self.meter.borrow().clone(),
        })
    }

    /// Connects from the first source that has a port left.
    async fn connect(&self) -> Result<Socket, Failure> {
        let (address, _) = self.worker.plan.endpoint(self.endpoint.get());
        let mut departure = self.worker.departures.departure();
        loop {
            let socket = match departure.address() {
                None => Socket::unconnected(address).map_err(Cause::Io),
                Some(source) => Socket::unconnected_from(address, source)
                    .map_err(|error| source_cause(source, error)),
            };
            let socket = socket.map_err(|cause| Failure::new(Phase::Connect, cause))?;
            self.guard(&socket);
            let Err(error) = socket.connect_to(address).await else {
                return Ok(socket);
            };
            let failure = self.blame(Phase::Connect, Cause::Io(error));
            if failure.class() != Class::PortsExhausted || !departure.is_followed() {
                return Err(failure);
            }
        }
    }

    /// Notes what a connection took and negotiated.
    pub fn note(&self, connection: &Connection) {
        let mut recorder = self.worker.recorder.borrow_mut();
        let connections = recorder.connections();
        connections.established += 1;
        connections.connect.record(connection.connect);
        if let Some(handshake) = connection.handshake {
            connections.handshake.record(handshake);
        }
        let (Some(facts), Some(configs)) = (connection.stream.facts(), self.configs()) else {
            return;
        };
        let negotiated = &mut connections.negotiated;
        count(&mut negotiated.version, facts.version_name(), 1);
        count(&mut negotiated.suite, facts.suite_name(), 1);
        count(&mut negotiated.group, facts.group_name(), 1);
        count(&mut negotiated.kind, kind_name(facts), 1);
        count(
            &mut negotiated.server_name,
            &configs.counted_name(self.tenant()),
            1,
        );
        if let Some(alpn) = &facts.alpn {
            count(&mut negotiated.alpn, &String::from_utf8_lossy(alpn), 1);
        }
    }

    /// Counts a connection by the version of HTTP that is spoken on it.
    pub fn note_http(&self, version: &'static str) {
        let mut recorder = self.worker.recorder.borrow_mut();
        count(&mut recorder.connections().http.version, version, 1);
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

    /// A failure with its true cause: what a reset by the time limit breaks is a timeout.
    pub fn blame(&self, phase: Phase, cause: Cause) -> Failure {
        let cause = match self.expired.get() {
            Some(Expiry::Timeout) => Cause::Timeout,
            Some(Expiry::Unfinished) => Cause::Unfinished,
            None => cause,
        };
        Failure::new(phase, cause)
    }

    /// Notes that bytes moved.
    pub fn progress(&self) {
        self.worker.moved.set(true);
        self.moved.set(Instant::now());
    }

    /// Resets the connection, or has the stream broken off.
    pub fn reset(&self) {
        match self.guarded.take() {
            Some(Guarded::Connection(socket)) => socket.reset(),
            Some(Guarded::Stream) => self.broken_off.notify_one(),
            None => {}
        }
    }

    /// Waits until the stream that is guarded is to be broken off.
    pub async fn broken_off(&self) {
        // What was said of an earlier stream, too late, is not meant.
        while self.expired.get().is_none() {
            self.broken_off.notified().await;
        }
    }

    /// Lets go of the connection, or of the stream.
    pub fn disarm(&self) {
        self.guarded.replace(None);
    }

    fn guard(&self, socket: &Socket) {
        self.guard_either(Guarded::Connection(socket.clone()));
    }

    /// Guards a stream of a connection that others share.
    pub fn guard_stream(&self, meter: &Option<Rc<Meter>>) {
        self.guard_either(Guarded::Stream);
        self.meter.replace(meter.clone());
    }

    fn guard_either(&self, guarded: Guarded) {
        self.guarded.replace(Some(guarded));
        self.expired.set(None);
        self.waiting.set(true);
        self.progress();
    }

    /// Resets the connection, or the stream, when nothing has moved on it for `timeout`.
    pub fn expire(&self, now: Instant, timeout: Duration) {
        if self.waiting.get() && now.saturating_duration_since(self.moved.get()) > timeout {
            self.reset_for(Expiry::Timeout);
        }
    }

    /// Resets the connection if an operation is under way: the time to drain is over.
    pub fn give_up(&self) {
        if self.waiting.get() {
            self.reset_for(Expiry::Unfinished);
        }
    }

    fn reset_for(&self, why: Expiry) {
        if self.guarded.borrow().is_some() {
            self.expired.set(Some(why));
            self.reset();
        }
    }
}

/// Why there is no socket from `source`: what is not this machine's address has no ports to run out of.
fn source_cause(source: IpAddr, error: io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => Cause::Source(source),
        _ => Cause::Io(error),
    }
}

fn kind_name(facts: &Facts) -> &'static str {
    match facts.kind {
        Some(HandshakeKind::FullWithHelloRetryRequest) => "full_hello_retry",
        _ => facts.kind_name(),
    }
}
