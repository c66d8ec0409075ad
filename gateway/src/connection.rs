//! The order of the path: the one file that knows it.
//!
//! ```text
//! accept -> admission -> handshake (tenant) -> relay -> upstream
//!                                           -> http  -> upstream
//! ```

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rustls::{NamedGroup, ProtocolVersion};
use sealgate_stream::{Facts, Stream, close_gently};
use sealgate_tls::ClientHello;
use sealgate_uring::{SizeClass, Socket, deadline};
use tokio::time::Instant;

use crate::accept::Admission;
use crate::error::Cause;
use crate::handshake::{self, Bound, Seen};
use crate::http;
use crate::limits::LOGGED_CHARS;
use crate::metrics::Class;
use crate::relay::{HalfClose, Relayed, TcpRoute, relay};
use crate::snapshot::{Binding, Plan, Snapshot};
use crate::worker::Worker;

/// One connection, for the log.
pub struct ConnectionLog {
    /// Its client.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub accepted: Instant,
    /// Server name asked for, or `-`.
    pub sni: Rc<str>,
    /// What TLS negotiated.
    pub facts: Facts,
}

/// Serves one connection from accept to close.
pub async fn serve(
    worker: Rc<Worker>,
    snapshot: Rc<Snapshot>,
    listener: usize,
    socket: Socket,
    peer: SocketAddr,
    admission: Admission,
) {
    let accepted = Instant::now();
    let timeouts = &snapshot.settings.timeouts;
    let table = &snapshot.listeners[listener];
    let mut seen = Seen::default();
    let bound = {
        // Boxed, as all stations below: a connection holds the state of the one it is at.
        let binding = Box::pin(handshake::bind(
            socket.clone(),
            &worker.pool,
            table,
            &mut seen,
        ));
        deadline(timeouts.handshake, binding, || socket.reset()).await
    };
    let bound = match bound {
        Ok(Ok(bound)) => bound,
        Ok(Err(not_bound)) => {
            let listener = &snapshot.settings.listeners[listener].name;
            handshake_failed(
                &worker,
                listener,
                peer,
                &seen,
                not_bound.cause,
                &not_bound.detail,
            );
            close_gently(&socket, &worker.pool).await;
            return;
        }
        Err(_) => {
            let listener = &snapshot.settings.listeners[listener].name;
            let detail = format!("no handshake within {:?}", timeouts.handshake);
            handshake_failed(
                &worker,
                listener,
                peer,
                &seen,
                Cause::HandshakeTimeout,
                &detail,
            );
            return;
        }
    };
    let sni = seen.sni.as_deref().unwrap_or("-").into();
    match bound {
        Bound::Passthrough(binding, socket, hello) => {
            let log = ConnectionLog {
                peer,
                accepted,
                sni,
                facts: Facts::default(),
            };
            if let Plan::Passthrough(route) = &binding.plan {
                let (worker, snapshot, binding, log) = (&worker, &snapshot, &binding, &log);
                let class = Class::Passthrough;
                let relaying = Relaying {
                    worker,
                    snapshot,
                    binding,
                    route,
                    class,
                    log,
                };
                Box::pin(relaying.passthrough(socket, &hello)).await;
            }
        }
        Bound::Terminated(binding, stream) => {
            let facts = stream.facts().cloned().unwrap_or_default();
            worker.counters.handshake(&facts);
            let log = ConnectionLog {
                peer,
                accepted,
                sni,
                facts,
            };
            match &binding.plan {
                Plan::Tcp(_, route) => {
                    let (worker, snapshot, binding, log) = (&worker, &snapshot, &binding, &log);
                    let class = Class::Terminated;
                    let relaying = Relaying {
                        worker,
                        snapshot,
                        binding,
                        route,
                        class,
                        log,
                    };
                    Box::pin(relaying.terminated(stream)).await;
                }
                Plan::Http(..) => {
                    let binding = Rc::clone(&binding);
                    Box::pin(http::serve(
                        &worker, &snapshot, listener, binding, stream, log,
                    ))
                    .await;
                }
                Plan::Passthrough(_) => {}
            }
        }
    }
    drop(admission);
}

fn handshake_failed(
    worker: &Worker,
    listener: &str,
    peer: SocketAddr,
    seen: &Seen,
    cause: Cause,
    detail: &str,
) {
    worker.counters.error(cause);
    tracing::info!(
        target: "access",
        listener,
        %peer,
        tenant = seen.tenant.as_deref().unwrap_or("-"),
        sni = seen.sni.as_deref().unwrap_or("-"),
        groups_offered = group_names(&seen.groups),
        outcome = cause.label(),
        error = clipped(detail),
        "handshake failed"
    );
}

fn group_names(groups: &[NamedGroup]) -> String {
    let names: Vec<String> = groups.iter().map(|group| format!("{group:?}")).collect();
    names.join(",")
}

/// A connection on its way through a layer 4 route.
struct Relaying<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    binding: &'a Binding,
    route: &'a TcpRoute,
    class: Class,
    log: &'a ConnectionLog,
}

impl Relaying<'_> {
    /// Class `terminated`: TLS ended here, bytes go on.
    async fn terminated(&self, stream: Stream) {
        let half_close = match self.log.facts.version {
            Some(ProtocolVersion::TLSv1_2) => HalfClose::EndsBoth,
            _ => HalfClose::Passes,
        };
        let socket = stream.socket().clone();
        let relayed = match self.connect(&socket).await {
            Ok(upstream) => self.relay(stream, upstream, half_close).await,
            Err(relayed) => relayed,
        };
        self.done(relayed);
    }

    /// Class `passthrough`: the hello's bytes, then all others, unopened.
    async fn passthrough(&self, socket: Socket, hello: &ClientHello) {
        let relayed = match self.connect(&socket).await {
            Ok(upstream) => {
                let mut first = self.worker.pool.take(SizeClass::Small);
                first.extend(&hello.bytes);
                let replayed = first.len() as u64;
                if upstream.socket().send_all(first).await.0.is_ok() {
                    self.worker.counters.bytes_in(self.class, replayed);
                    let downstream = Stream::plain(socket, self.worker.pool.clone());
                    let mut relayed = self.relay(downstream, upstream, HalfClose::Passes).await;
                    relayed.bytes_in += replayed;
                    relayed
                } else {
                    socket.reset();
                    Relayed {
                        failed: Some(Cause::UpstreamReset),
                        ..Relayed::default()
                    }
                }
            }
            Err(relayed) => relayed,
        };
        self.done(relayed);
    }

    /// Connects to the service; where it cannot, the client sees a reset: nothing that it sent has
    /// reached anybody.
    async fn connect(&self, downstream: &Socket) -> Result<Stream, Relayed> {
        let limit = self.snapshot.settings.timeouts.connect;
        self.route
            .upstream
            .connect(&self.worker.pool, limit)
            .await
            .map_err(|error| {
                let (tenant, route) = (&*self.binding.tenant, &*self.route.name);
                tracing::warn!(tenant, route, %error, "no upstream");
                downstream.reset();
                Relayed {
                    failed: Some(error.cause()),
                    ..Relayed::default()
                }
            })
    }

    async fn relay(&self, downstream: Stream, upstream: Stream, half_close: HalfClose) -> Relayed {
        let idle = self.snapshot.settings.timeouts.idle;
        relay(
            downstream,
            upstream,
            half_close,
            idle,
            self.class,
            self.worker,
        )
        .await
    }

    fn done(&self, relayed: Relayed) {
        if let Some(cause) = relayed.failed {
            self.worker.counters.error(cause);
        }
        let log = self.log;
        tracing::info!(
            target: "access",
            listener = &*self.binding.listener,
            peer = %log.peer,
            tenant = &*self.binding.tenant,
            route = &*self.route.name,
            class = self.class.name(),
            sni = &*log.sni,
            tls_version = log.facts.version_name(),
            tls_suite = log.facts.suite_name(),
            tls_group = log.facts.group_name(),
            tls_kind = log.facts.kind_name(),
            bytes_in = relayed.bytes_in,
            bytes_out = relayed.bytes_out,
            duration_ms = millis(log.accepted.elapsed()),
            outcome = relayed.failed.map_or("ok", Cause::label),
            "connection"
        );
    }
}

/// Milliseconds for a log line, to the microsecond.
pub fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// A text from outside for a log line, so long at most.
pub fn clipped(text: &str) -> &str {
    match text.char_indices().nth(LOGGED_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
