//! An in-memory upstream that is not the bottleneck, and on which tests can look behind the
//! gateway.
//!
//! ```text
//! Listener (SO_REUSEPORT, one per thread) -> accept -> TLS or plain -> http | echo | sink | source
//!                                                                       |
//!                                                      store, journal (shared by the threads)
//! ```
//!
//! Answers come at once, or after a delay that is asked for. It is a test tool: it limits memory and nothing else, and
//! whoever can reach it can read and change everything in it.

pub mod delay;
pub mod hooks;
pub mod http;
pub mod journal;
pub mod range;
pub mod self_signed;
pub mod store;
pub mod tcp;
pub mod tls;

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use sealgate_stream::{HandshakeError, Stream, accept_hello, close_gently};
use sealgate_uring::{Listener, Pool, Socket, StartError};
use thiserror::Error;

use self::{
    delay::Delays,
    http::{Shared, Site},
    journal::Journal,
    store::Store,
};
use crate::affinity;

/// Connections that may wait to be accepted, per thread.
const BACKLOG: i32 = 4096;

/// How long accepting rests when no descriptor is free.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(10);

/// Large buffers a thread's pool may hand out: 4 GiB worth, so memory is the bound and not this.
const POOL_LIMIT: usize = 16 * 1024;

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// HTTP/1.1 object store.
    Http,
    /// Sends back what it gets.
    Echo,
    /// Swallows what it gets and answers with the count.
    Sink,
    /// Sends as many bytes as it is asked for.
    Source,
}

impl Service {
    /// The word on the command line and in the `listening` line.
    pub fn name(self) -> &'static str {
        match self {
            Service::Http => "http",
            Service::Echo => "echo",
            Service::Sink => "sink",
            Service::Source => "source",
        }
    }
}

/// One listener to open on every thread.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// What it speaks.
    pub service: Service,
    /// Where; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS, or plain TCP.
    pub tls: Option<Arc<ServerConfig>>,
}

/// An origin to start.
#[derive(Debug)]
pub struct Settings {
    /// Listeners.
    pub endpoints: Vec<Endpoint>,
    /// Threads, each pinned to a core.
    pub threads: usize,
    /// The core of the first one.
    pub first_core: usize,
    /// Bound of the object store.
    pub store_limit_bytes: usize,
    /// How long answers wait; none gives them at once.
    pub delays: Option<Delays>,
}

/// The origin could not start. The operator's fault.
#[derive(Debug, Error)]
pub enum OriginError {
    /// The kernel refused a ring.
    #[error(transparent)]
    Ring(#[from] StartError),
    /// A listener could not be opened.
    #[error("cannot listen on {address} for {}: {error}; free the port or choose another", service.name())]
    Bind {
        /// Where.
        address: SocketAddr,
        /// For what.
        service: Service,
        /// Why.
        error: io::Error,
    },
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(rcgen::Error),
    /// rustls refuses a certificate that was made, or has no randomness.
    #[error("cannot serve TLS: {0}")]
    Tls(rustls::Error),
}

/// Starts the threads and returns the bound addresses, in the order of the settings, once every
/// thread listens. The threads run until the process ends.
///
/// # Errors
///
/// When a thread cannot start or listen.
pub fn start(settings: Settings) -> Result<Vec<SocketAddr>, OriginError> {
    let threads = settings.threads.max(1);
    let shared = Arc::new(Shared {
        store: Store::new(settings.store_limit_bytes),
        journals: (0..threads).map(|_| Journal::default()).collect(),
        started: Instant::now(),
        delays: settings.delays,
    });
    let mut endpoints = settings.endpoints;
    for endpoint in &endpoints {
        refuse_to_share(endpoint)?;
    }
    for thread in 0..threads {
        let site = Site {
            shared: Arc::clone(&shared),
            thread,
            server_name: None,
        };
        let addresses = start_thread(site, settings.first_core + thread, endpoints.clone())?;
        // The first thread picks the ports; the others share them.
        for (endpoint, address) in endpoints.iter_mut().zip(addresses) {
            endpoint.address = address;
        }
    }
    Ok(endpoints
        .into_iter()
        .map(|endpoint| endpoint.address)
        .collect())
}

/// Our listeners share their port, so the kernel would let a second origin have a part of the
/// first one's connections. A listener that does not share finds out.
fn refuse_to_share(endpoint: &Endpoint) -> Result<(), OriginError> {
    let Endpoint {
        service, address, ..
    } = *endpoint;
    std::net::TcpListener::bind(address)
        .map(drop)
        .map_err(|error| OriginError::Bind {
            address,
            service,
            error,
        })
}

fn start_thread(
    site: Site,
    core: usize,
    endpoints: Vec<Endpoint>,
) -> Result<Vec<SocketAddr>, OriginError> {
    let (ready, started) = mpsc::channel();
    let failed = ready.clone();
    thread::Builder::new()
        .name(format!("origin-{}", site.thread))
        .spawn(move || {
            affinity::pin(core);
            if let Err(error) = sealgate_uring::run(serve(site, endpoints, ready)) {
                // Nobody listens any more once the thread had started.
                let _ = failed.send(Err(OriginError::Ring(error)));
            }
        })
        .map_err(OriginError::Thread)?;
    started
        .recv()
        .expect("the thread reports before it drops the channel")
}

async fn serve(
    site: Site,
    endpoints: Vec<Endpoint>,
    ready: mpsc::Sender<Result<Vec<SocketAddr>, OriginError>>,
) {
    let pool = Pool::new(POOL_LIMIT);
    let mut listeners = Vec::new();
    for Endpoint {
        service, address, ..
    } in &endpoints
    {
        let bound = Listener::bind(*address, BACKLOG)
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok(bound) => listeners.push(bound),
            Err(error) => {
                let (service, address) = (*service, *address);
                let _ = ready.send(Err(OriginError::Bind {
                    service,
                    address,
                    error,
                }));
                return;
            }
        }
    }
    let _ = ready.send(Ok(listeners.iter().map(|(address, _)| *address).collect()));
    let accepting: Vec<_> = listeners
        .into_iter()
        .zip(endpoints)
        .map(|((_, listener), endpoint)| {
            sealgate_uring::spawn(accept(listener, endpoint, site.clone(), pool.clone()))
        })
        .collect();
    for task in accepting {
        // Accepting never ends, except by a panic, which has been printed.
        let _ = task.await;
    }
}

async fn accept(listener: Listener, endpoint: Endpoint, site: Site, pool: Pool) {
    let endpoint = Rc::new(endpoint);
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                site.journal().counters.connections.add(1);
                let connection =
                    serve_connection(socket, Rc::clone(&endpoint), site.clone(), pool.clone());
                sealgate_uring::spawn(connection);
            }
            Err(error) => {
                if let Some(rest) = rest(&error) {
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }
}

/// How long to rest behind an accept that failed, if at all.
fn rest(error: &io::Error) -> Option<Duration> {
    match error.kind() {
        // A client that gave up before it was looked at: hundreds may stand before one that has not.
        io::ErrorKind::NotConnected | io::ErrorKind::ConnectionAborted => None,
        // Out of descriptors: without a pause, a lasting error would spin.
        _ => Some(OUT_OF_DESCRIPTORS),
    }
}

async fn serve_connection(socket: Socket, endpoint: Rc<Endpoint>, mut site: Site, pool: Pool) {
    let stream = match &endpoint.tls {
        None => Stream::plain(socket, pool),
        Some(config) => {
            let accepted = accept_tls(&socket, &pool, Arc::clone(config), &mut site).await;
            let counters = &site.journal().counters;
            match accepted {
                Ok(stream) => {
                    let resumed = stream
                        .facts()
                        .is_some_and(|facts| facts.kind_name() == "resumed");
                    match resumed {
                        true => counters.handshakes_resumed.add(1),
                        false => counters.handshakes_full.add(1),
                    }
                    stream
                }
                Err(_) => {
                    counters.handshakes_failed.add(1);
                    // So that the client reads the alert that says why.
                    close_gently(&socket, &pool).await;
                    return;
                }
            }
        }
    };
    // How a connection ends is the client's business; what it moved has been counted.
    let _ = match endpoint.service {
        Service::Http => http::serve(stream.into_hyper(), site).await.is_ok(),
        Service::Echo => tcp::echo(stream, &site).await.is_ok(),
        Service::Sink => tcp::sink(stream, &site).await.is_ok(),
        Service::Source => tcp::source(stream, &site).await.is_ok(),
    };
}

async fn accept_tls(
    socket: &Socket,
    pool: &Pool,
    config: Arc<ServerConfig>,
    site: &mut Site,
) -> Result<Stream, HandshakeError> {
    let hello = accept_hello(socket, pool).await?;
    site.server_name = hello.server_name.as_deref().map(Box::from);
    Stream::accept_with(socket.clone(), pool.clone(), config, &hello).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients that give up before they are accepted.
    const GONE: usize = 300;

    #[test]
    fn behind_clients_that_gave_up_nothing_rests() {
        sealgate_uring::run(async {
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = Listener::bind(address, BACKLOG).unwrap();
            let address = listener.local_addr().unwrap();
            for _ in 0..GONE {
                let gone = std::net::TcpStream::connect(address).unwrap();
                // Its close is a reset then.
                let gone = socket2::Socket::from(gone);
                gone.set_linger(Some(Duration::ZERO)).unwrap();
            }
            let stays = std::net::TcpStream::connect(address).unwrap();
            let address = stays.local_addr().unwrap();
            let mut gone = 0;
            loop {
                match listener.accept().await {
                    Ok((_, peer)) if peer == address => break,
                    // Its reset is still under way.
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(rest(&error), None, "{error}");
                        gone += 1;
                    }
                }
            }
            assert!((1..=GONE).contains(&gone), "{gone}");
        })
        .unwrap();
    }

    #[test]
    fn without_a_descriptor_accepting_rests() {
        for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE] {
            assert_eq!(rest(&errno.into()), Some(OUT_OF_DESCRIPTORS), "{errno}");
        }
    }
}
