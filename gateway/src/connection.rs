//! The order of the path: the one file that knows it.
//!
//! ```text
//! accept -> admission -> handshake (tenant) -> relay -> upstream
//!                                           -> http  -> upstream
//! ```

use std::net::SocketAddr;
use std::rc::Rc;

use rustls::ProtocolVersion;
use sealgate_stream::{Facts, Stream, close_gently};
use sealgate_tls::ClientHello;
use sealgate_uring::{SizeClass, Socket, deadline};
use tokio::time::Instant;

use crate::accept::Admission;
use crate::error::Cause;
use crate::handshake::{self, Bound, Seen};
use crate::http;
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
        let binding = handshake::bind(socket.clone(), &worker.pool, table, &mut seen);
        deadline(timeouts.handshake, binding, || socket.reset()).await
    };
    let bound = match bound {
        Ok(Ok(bound)) => bound,
        Ok(Err(not_bound)) => {
            let listener = &snapshot.settings.listeners[listener].name;
            handshake_failed(&worker, listener, peer, &seen, not_bound.cause, &not_bound.detail);
            close_gently(&socket, &worker.pool).await;
            return;
        }
        Err(_) => {
            let listener = &snapshot.settings.listeners[listener].name;
            let detail = format!("no handshake within {:?}", timeouts.handshake);
            handshake_failed(&worker, listener, peer, &seen, Cause::HandshakeTimeout, &detail);
            return;
        }
    };
    let sni = seen.sni.as_deref().unwrap_or("-").into();
    match bound {
        Bound::Passthrough(binding, socket, hello) => {
            let log = ConnectionLog { peer, accepted, sni, facts: Facts::default() };
            let Plan::Passthrough(route) = &binding.plan else { return };
            passthrough(&worker, &snapshot, &binding, route, socket, &hello, &log).await;
        }
        Bound::Terminated(binding, stream) => {
            let facts = stream.facts().cloned().unwrap_or_default();
            worker.counters.handshake(&facts);
            let log = ConnectionLog { peer, accepted, sni, facts };
            match &binding.plan {
                Plan::Tcp(_, route) => {
                    terminated(&worker, &snapshot, &binding, route, stream, &log).await;
                }
                Plan::Http(..) => {
                    http::serve(&worker, &snapshot, listener, Rc::clone(&binding), stream, log)
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
        groups_offered = seen.groups.join(","),
        outcome = cause.label(),
        error = detail,
        "handshake failed"
    );
}

/// Class `terminated`: TLS ended here, bytes go on.
async fn terminated(
    worker: &Worker,
    snapshot: &Snapshot,
    binding: &Binding,
    route: &TcpRoute,
    stream: Stream,
    log: &ConnectionLog,
) {
    let timeouts = &snapshot.settings.timeouts;
    let half_close = match log.facts.version {
        Some(ProtocolVersion::TLSv1_2) => HalfClose::EndsBoth,
        _ => HalfClose::Passes,
    };
    let class = Class::Terminated;
    let relayed = match route.upstream.connect(&worker.pool, timeouts.connect).await {
        Ok(upstream) => {
            relay(stream, upstream, half_close, timeouts.idle, class, &worker.counters).await
        }
        Err(error) => {
            tracing::warn!(tenant = &*binding.tenant, route = &*route.name, %error, "no upstream");
            // The client sees a reset: nothing it sent has reached anybody.
            stream.socket().reset();
            Relayed { failed: Some(error.cause()), ..Relayed::default() }
        }
    };
    log_relayed(worker, binding, route, class, log, relayed);
}

/// Class `passthrough`: the hello's bytes, then all others, unopened.
async fn passthrough(
    worker: &Worker,
    snapshot: &Snapshot,
    binding: &Binding,
    route: &TcpRoute,
    socket: Socket,
    hello: &ClientHello,
    log: &ConnectionLog,
) {
    let timeouts = &snapshot.settings.timeouts;
    let class = Class::Passthrough;
    let mut first = worker.pool.take(SizeClass::Small);
    first.extend(&hello.bytes);
    let replayed = first.len() as u64;
    let relayed = match route.upstream.connect(&worker.pool, timeouts.connect).await {
        Ok(upstream) => match upstream.socket().send_all(first).await.0 {
            Ok(()) => {
                let downstream = Stream::plain(socket, worker.pool.clone());
                let counters = &worker.counters;
                counters.bytes_in(class, replayed);
                let idle = timeouts.idle;
                let mut relayed =
                    relay(downstream, upstream, HalfClose::Passes, idle, class, counters).await;
                relayed.bytes_in += replayed;
                relayed
            }
            Err(_) => {
                socket.reset();
                Relayed { failed: Some(Cause::UpstreamReset), ..Relayed::default() }
            }
        },
        Err(error) => {
            tracing::warn!(tenant = &*binding.tenant, route = &*route.name, %error, "no upstream");
            socket.reset();
            Relayed { failed: Some(error.cause()), ..Relayed::default() }
        }
    };
    log_relayed(worker, binding, route, class, log, relayed);
}

fn log_relayed(
    worker: &Worker,
    binding: &Binding,
    route: &TcpRoute,
    class: Class,
    log: &ConnectionLog,
    relayed: Relayed,
) {
    if let Some(cause) = relayed.failed {
        worker.counters.error(cause);
    }
    tracing::info!(
        target: "access",
        listener = &*binding.listener,
        peer = %log.peer,
        tenant = &*binding.tenant,
        route = &*route.name,
        class = class.name(),
        sni = &*log.sni,
        tls_version = log.facts.version_name(),
        tls_suite = log.facts.suite_name(),
        tls_group = log.facts.group_name(),
        tls_kind = log.facts.kind_name(),
        bytes_in = relayed.bytes_in,
        bytes_out = relayed.bytes_out,
        duration_ms = log.accepted.elapsed().as_secs_f64() * 1e3,
        outcome = relayed.failed.map_or("ok", Cause::label),
        "connection"
    );
}
