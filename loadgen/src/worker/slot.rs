//! One connection of a worker, over all the sockets it may take.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, HandshakeKind};
use sealgate_stream::{Facts, Stream};
use sealgate_uring::{Pool, Socket};

use super::Worker;
use crate::{
    measure::tally::{Done, Names},
    operation::failure::{Cause, Failure, Phase},
    schedule::Arrival,
    target::tls::Configs,
};

/// Attempts to connect, while no connection of the worker has ever stood, before a slot gives up.
const ATTEMPTS: u32 = 3;

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
    /// When it stood.
    pub established: Instant,
}

/// A connection's place in a worker. Its methods are what an operation may do.
pub struct Slot {
    /// The worker.
    pub worker: Rc<Worker>,
    /// The number of the connection in the run.
    pub index: usize,
    pool: Pool,
    /// What to reset when nothing moves; none while nothing is awaited.
    guarded: RefCell<Option<Socket>>,
    waiting: Cell<bool>,
    moved: Cell<Instant>,
    expired: Cell<bool>,
    failed_dials: Cell<u32>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// The slot of connection `index`.
    pub fn new(worker: Rc<Worker>, pool: Pool, index: usize) -> Self {
        Self {
            worker,
            index,
            pool,
            guarded: RefCell::new(None),
            waiting: Cell::new(false),
            moved: Cell::new(Instant::now()),
            expired: Cell::new(false),
            failed_dials: Cell::new(0),
        }
    }

    /// TLS settings; none for plain TCP.
    pub fn configs(&self) -> Option<&Configs> {
        self.worker.plan.tls.as_ref()
    }

    /// Connects before the run starts. None after some failed attempts, which are noted.
    pub async fn establish(&self) -> Option<Connection> {
        for _ in 0..ATTEMPTS {
            match self.redial().await {
                Ok(connection) => return Some(connection),
                Err(failure) => {
                    self.worker.tally.borrow_mut().note_failure(&failure);
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

    /// The next operation; none when the run is over, or when the target was never reached.
    pub fn next(&self) -> Option<Arrival> {
        if self.failed_dials.get() >= ATTEMPTS && !self.worker.connected.get() {
            return None;
        }
        let now = Instant::now();
        self.moved.set(now);
        self.waiting.set(true);
        self.worker.schedule.get()?.next(now)
    }

    /// Connects with full TLS, or plain, and notes the connection.
    ///
    /// # Errors
    ///
    /// When connecting or the handshake fails.
    pub async fn redial(&self) -> Result<Connection, Failure> {
        let connection = self
            .dial(self.configs().map(|configs| &configs.full))
            .await?;
        self.note(&connection, true);
        Ok(connection)
    }

    /// Connects with `config`, or plain without one. The connection is guarded until it is
    /// disarmed or another one takes its place.
    ///
    /// # Errors
    ///
    /// When connecting or the handshake fails.
    pub async fn dial(&self, config: Option<&Arc<ClientConfig>>) -> Result<Connection, Failure> {
        let result = self.try_dial(config).await;
        match &result {
            Ok(_) => {
                self.failed_dials.set(0);
                self.worker.connected.set(true);
            }
            Err(_) => self.failed_dials.set(self.failed_dials.get() + 1),
        }
        result
    }

    async fn try_dial(&self, config: Option<&Arc<ClientConfig>>) -> Result<Connection, Failure> {
        let connect_error = |error| self.blame(Phase::Connect, Cause::Io(error));
        let begun = Instant::now();
        let address = self.worker.plan.address;
        let socket = Socket::unconnected(address)
            .map_err(|error| Failure::new(Phase::Connect, Cause::Io(error)))?;
        self.guard(&socket);
        socket.connect_to(address).await.map_err(connect_error)?;
        let connected = Instant::now();
        self.progress();
        let stream = match (config, self.configs()) {
            (Some(config), Some(Configs { server_name, .. })) => Stream::connect_tls(
                socket.clone(),
                self.pool.clone(),
                Arc::clone(config),
                server_name.clone(),
            )
            .await
            .map_err(|error| self.blame(Phase::Handshake, Cause::Handshake(error)))?,
            _ => Stream::plain(socket.clone(), self.pool.clone()),
        };
        let established = Instant::now();
        let handshake = config.map(|_| established - connected);
        Ok(Connection {
            stream,
            socket,
            connect: connected - begun,
            handshake,
            established,
        })
    }

    /// Notes what a connection took and negotiated, when it counts.
    pub fn note(&self, connection: &Connection, counts: bool) {
        if !counts {
            return;
        }
        let mut tally = self.worker.tally.borrow_mut();
        tally.note_connection(connection.connect, connection.handshake);
        let Some(facts) = connection.stream.facts() else {
            return;
        };
        let negotiated = &mut tally.negotiated;
        count(&mut negotiated.version, facts.version_name());
        count(&mut negotiated.suite, facts.suite_name());
        count(&mut negotiated.group, facts.group_name());
        count(&mut negotiated.kind, kind_name(facts));
        if let Some(alpn) = &facts.alpn {
            count(&mut negotiated.alpn, &String::from_utf8_lossy(alpn));
        }
    }

    /// Counts an operation that succeeded.
    pub fn succeed(&self, done: &Done) {
        self.worker.tally.borrow_mut().succeed(done);
    }

    /// Counts an operation that failed; pauses a little when it was connecting that failed.
    pub async fn fail(&self, arrival: Arrival, failure: &Failure) {
        self.worker.tally.borrow_mut().fail(arrival, failure);
        self.pause_after(failure).await;
    }

    async fn pause_after(&self, failure: &Failure) {
        if matches!(failure.phase, Phase::Connect | Phase::Handshake) {
            self.disarm();
            tokio::time::sleep(BACKOFF).await;
        }
    }

    /// A failure with its true cause: what a reset by the time limit breaks is a timeout.
    pub fn blame(&self, phase: Phase, cause: Cause) -> Failure {
        match self.expired.get() {
            true => Failure::new(phase, Cause::Timeout),
            false => Failure::new(phase, cause),
        }
    }

    /// Notes that bytes moved.
    pub fn progress(&self) {
        self.moved.set(Instant::now());
    }

    /// Resets the connection.
    pub fn reset(&self) {
        if let Some(socket) = self.guarded.take() {
            socket.reset();
        }
    }

    /// Lets go of the connection.
    pub fn disarm(&self) {
        self.guarded.replace(None);
    }

    fn guard(&self, socket: &Socket) {
        self.guarded.replace(Some(socket.clone()));
        self.expired.set(false);
        self.waiting.set(true);
        self.progress();
    }

    /// Resets the connection when nothing has moved on it for `timeout`.
    pub fn expire(&self, now: Instant, timeout: Duration) {
        if self.waiting.get() && now.saturating_duration_since(self.moved.get()) > timeout {
            self.expired.set(self.guarded.borrow().is_some());
            self.reset();
        }
    }
}

fn kind_name(facts: &Facts) -> &'static str {
    match facts.kind {
        Some(HandshakeKind::FullWithHelloRetryRequest) => "full_hello_retry",
        _ => facts.kind_name(),
    }
}

fn count(names: &mut Names, name: &str) {
    // Few names, many counts: the key is allocated once.
    match names.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            names.insert(name.to_owned(), 1);
        }
    }
}
