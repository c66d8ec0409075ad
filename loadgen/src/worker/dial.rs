//! Setting up a slot's connections, and what is counted of them.

use std::{
    borrow::Borrow,
    io,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, HandshakeKind};
use sealgate_stream::{Facts, Stream};
use sealgate_uring::Socket;

use super::slot::Slot;
use crate::{
    measure::interval::count,
    operation::failure::{Cause, Class, Failure, Phase},
    target::key_update::Meter,
};

/// Attempts to connect, while no connection of the worker has ever stood, before a slot gives up.
pub const ATTEMPTS: u32 = 3;

/// Connections that a worker sets up at a time before the run starts.
pub(super) const ESTABLISHING_AT_ONCE: usize = 128;

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

impl Slot {
    /// Connects before the run starts. None after some failed attempts, which are noted.
    pub async fn establish(&self) -> Option<Connection> {
        self.establish_by(async || self.redial().await).await
    }

    /// The same, by `connect`, when its turn has come: what thousands of handshakes at once do to a target is not
    /// what the run is to measure.
    pub async fn establish_by<T, E: Borrow<Failure>>(
        &self,
        connect: impl AsyncFn() -> Result<T, E>,
    ) -> Option<T> {
        let _turn = self.worker.establishing.acquire().await;
        for _ in 0..ATTEMPTS {
            if self.worker.is_unreachable() {
                break;
            }
            match connect().await {
                Ok(connection) => return Some(connection),
                Err(failure) => {
                    self.note_failure(failure.borrow());
                    self.pause_after(failure.borrow()).await;
                }
            }
        }
        self.failed_dials.set(ATTEMPTS);
        let given_up = &self.worker.given_up;
        given_up.set(given_up.get() + 1);
        None
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
            self.guard_connection(&socket);
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
