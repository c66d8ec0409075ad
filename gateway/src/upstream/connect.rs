//! Connecting: several addresses, failover, cool-down, TLS always verified.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sealgate_stream::{HandshakeError, Stream};
use sealgate_tls::{ClientSettings, Engine, client_config};
use sealgate_uring::{Pool, Socket, deadline};
use tokio::time::Instant;

use super::UpstreamSettings;
use crate::error::Cause;
use crate::limits::UPSTREAM_COOL_DOWN;

/// Sessions towards one upstream that may be resumed, per worker.
const RESUMABLE_SESSIONS: usize = 64;

/// The services behind one route, as one worker uses them.
pub struct Upstream {
    addresses: Vec<Address>,
    next: Cell<usize>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// As the configuration wrote it.
    pub display: String,
}

struct Address {
    socket: SocketAddr,
    /// It failed: until then others are tried first.
    cools_until: Cell<Option<Instant>>,
}

/// No address could be connected. Holds what the last one that was tried said.
#[derive(Debug)]
pub struct ConnectError {
    /// The last address tried.
    pub address: SocketAddr,
    /// What it said.
    pub reason: ConnectReason,
}

/// Why an address could not be connected.
#[derive(Debug)]
pub enum ConnectReason {
    /// The network says no.
    Io(io::Error),
    /// TCP or TLS took too long.
    Timeout,
    /// The TLS handshake failed: wrong certificate, or ours was refused.
    Tls(HandshakeError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            ConnectReason::Io(error) => write!(f, "{}: {error}", self.address),
            ConnectReason::Timeout => write!(f, "{}: connect timed out", self.address),
            ConnectReason::Tls(error) => write!(f, "{}: TLS: {error}", self.address),
        }
    }
}

impl std::error::Error for ConnectError {}

impl ConnectError {
    /// What it comes down to.
    pub fn cause(&self) -> Cause {
        match &self.reason {
            ConnectReason::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                Cause::UpstreamConnectTimeout
            }
            ConnectReason::Io(_) => Cause::UpstreamRefused,
            ConnectReason::Timeout => Cause::UpstreamConnectTimeout,
            ConnectReason::Tls(HandshakeError::Tls(_)) => Cause::UpstreamTls,
            ConnectReason::Tls(_) => Cause::UpstreamReset,
        }
    }
}

impl Upstream {
    /// What one worker needs to connect to `settings`.
    ///
    /// # Errors
    /// [`rustls::Error`] when the TLS settings are unusable.
    pub fn build(
        settings: &UpstreamSettings,
        alpn: &[&[u8]],
        engine: Engine,
    ) -> Result<Upstream, rustls::Error> {
        let tls = match &settings.tls {
            None => None,
            Some(tls) => {
                let config = client_config(ClientSettings {
                    roots: Arc::clone(&tls.roots),
                    certificate: tls.client_certificate.clone(),
                    alpn: alpn.iter().map(|name| name.to_vec()).collect(),
                    resumable_sessions: RESUMABLE_SESSIONS,
                    engine,
                })?;
                Some((config, tls.server_name.clone()))
            }
        };
        let address = |socket: &SocketAddr| Address {
            socket: *socket,
            cools_until: Cell::new(None),
        };
        Ok(Upstream {
            addresses: settings.addresses.iter().map(address).collect(),
            next: Cell::new(0),
            tls,
            display: settings.display.clone(),
        })
    }

    /// Connects to the first address that answers, beginning where the last call did not; those
    /// that failed a short while ago come last. `limit` holds for each attempt, TLS included.
    ///
    /// # Errors
    /// [`ConnectError`] of the last address when all failed.
    pub async fn connect(&self, pool: &Pool, limit: Duration) -> Result<Stream, ConnectError> {
        let count = self.addresses.len();
        let first = self.next.replace((self.next.get() + 1) % count.max(1));
        let now = Instant::now();
        let in_turn = |n: usize| &self.addresses[(first + n) % count];
        let cool = |address: &&Address| address.cools_until.get().is_some_and(|until| until > now);
        let ready = (0..count).map(in_turn).filter(|address| !cool(address));
        let cooling = (0..count).map(in_turn).filter(cool);
        let order: Vec<&Address> = ready.chain(cooling).collect();
        let mut last = None;
        for address in order {
            match self.attempt(address.socket, pool, limit).await {
                Ok(stream) => {
                    address.cools_until.set(None);
                    return Ok(stream);
                }
                Err(reason) => {
                    address
                        .cools_until
                        .set(Some(Instant::now() + UPSTREAM_COOL_DOWN));
                    let error = ConnectError {
                        address: address.socket,
                        reason,
                    };
                    tracing::debug!(%error, "an upstream address failed");
                    last = Some(error);
                }
            }
        }
        Err(last.expect("the configuration has at least one address"))
    }

    async fn attempt(
        &self,
        address: SocketAddr,
        pool: &Pool,
        limit: Duration,
    ) -> Result<Stream, ConnectReason> {
        let socket = Socket::unconnected(address).map_err(ConnectReason::Io)?;
        let connecting = async {
            socket
                .connect_to(address)
                .await
                .map_err(ConnectReason::Io)?;
            match &self.tls {
                None => Ok(Stream::plain(socket.clone(), pool.clone())),
                Some((config, name)) => Stream::connect_tls(
                    socket.clone(),
                    pool.clone(),
                    Arc::clone(config),
                    name.clone(),
                )
                .await
                .map_err(ConnectReason::Tls),
            }
        };
        match deadline(limit, connecting, || socket.reset()).await {
            Ok(result) => result.inspect_err(|_| socket.reset()),
            Err(_) => Err(ConnectReason::Timeout),
        }
    }
}
