//! The order of the path: the one file that knows it.
//!
//! ```text
//! accept -> admission -> handshake (tenant) -> relay -> upstream
//!                                           -> http  -> upstream
//! ```

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
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
use crate::http::{self, Unspoken};
use crate::limits::LOGGED_CHARS;
use crate::metrics::Class;
use crate::relay::{HalfClose, Relay, Relayed, TcpRoute};
use crate::snapshot::{Binding, Plan, Snapshot};
use crate::worker::Worker;

/// One connection, for the log.
pub struct ConnectionLog {
    /// Its client.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub accepted: Instant,
    /// When its handshake was over.
    pub established: Instant,
    /// Server name asked for, or `-`.
    pub sni: Rc<str>,
    /// What TLS negotiated.
    pub facts: Box<Facts>,
}

/// Serves one connection from accept to close.
///
/// Every station is a future on the heap that ends with the station: a connection that waits, as most do, holds the state
/// of the one it is at, and nothing of those before.
pub async fn serve(
    worker: Rc<Worker>,
    snapshot: Rc<Snapshot>,
    listener: usize,
    socket: Socket,
    peer: SocketAddr,
    admission: Admission,
) {
    let entrance = Entrance {
        worker,
        snapshot,
        listener,
        peer,
        accepted: Instant::now(),
    };
    if let Some(station) = Box::pin(entrance.enter(socket)).await {
        station.await;
    }
    drop(admission);
}

/// What a connection does once it is bound.
type Station = Pin<Box<dyn Future<Output = ()>>>;

/// A connection that is not bound yet.
struct Entrance {
    worker: Rc<Worker>,
    snapshot: Rc<Snapshot>,
    listener: usize,
    peer: SocketAddr,
    accepted: Instant,
}

impl Entrance {
    /// Shakes hands; gives what the connection is to do, if that went well.
    async fn enter(self, socket: Socket) -> Option<Station> {
        let timeouts = &self.snapshot.settings.timeouts;
        let table = &self.snapshot.listeners[self.listener];
        let mut seen = Seen::default();
        let bound = {
            let binding = handshake::bind(&self.worker, socket.clone(), table, &mut seen);
            deadline(timeouts.handshake, binding, || socket.reset()).await
        };
        match bound {
            Ok(Ok(bound)) => Some(self.next(&seen, bound)),
            Ok(Err(not_bound)) => {
                self.failed(&seen, not_bound.cause, &not_bound.detail);
                close_gently(&socket, &self.worker.pool).await;
                None
            }
            Err(_) => {
                let detail = format!("no handshake within {:?}", timeouts.handshake);
                self.failed(&seen, Cause::HandshakeTimeout, &detail);
                None
            }
        }
    }

    /// Where a connection goes from here.
    fn next(&self, seen: &Seen, bound: Bound) -> Station {
        let (worker, snapshot) = (&self.worker, &self.snapshot);
        let log = |facts: Option<Box<Facts>>| {
            Rc::new(ConnectionLog {
                peer: self.peer,
                accepted: self.accepted,
                established: Instant::now(),
                sni: seen.sni.as_deref().unwrap_or("-").into(),
                facts: facts.unwrap_or_default(),
            })
        };
        let relaying = |binding: Rc<Binding>, route: &Rc<TcpRoute>, log, class| Relaying {
            worker: Rc::clone(worker),
            snapshot: Rc::clone(snapshot),
            route: Rc::clone(route),
            binding,
            class,
            log,
        };
        match bound {
            Bound::Passthrough(binding, route, socket, hello) => {
                let relaying = relaying(binding, &route, log(None), Class::Passthrough);
                Box::pin(relaying.passthrough(socket, hello))
            }
            Bound::Terminated(binding, mut stream) => {
                let log = log(stream.take_facts());
                worker.counters.handshake(&log.facts);
                match &binding.plan {
                    Plan::Http(..) => Box::pin(http::serve(Unspoken {
                        worker: Rc::clone(worker),
                        snapshot: Rc::clone(snapshot),
                        listener: self.listener,
                        binding,
                        stream,
                        log,
                    })),
                    Plan::Tcp(_, route) => {
                        let route = Rc::clone(route);
                        let relaying = relaying(binding, &route, log, Class::Terminated);
                        Box::pin(relaying.terminated(stream))
                    }
                    // Nothing is opened there, so nothing that was opened goes there.
                    Plan::Passthrough(_) => Box::pin(std::future::ready(())),
                }
            }
        }
    }

    fn failed(&self, seen: &Seen, cause: Cause, detail: &str) {
        self.worker.counters.error(cause);
        tracing::info!(
            target: "access",
            listener = &*self.snapshot.settings.listeners[self.listener].name,
            peer = %self.peer,
            tenant = seen.tenant.as_deref().unwrap_or("-"),
            sni = seen.sni.as_deref().unwrap_or("-"),
            groups_offered = group_names(&seen.groups),
            outcome = cause.label(),
            error = clipped(detail),
            "handshake failed"
        );
    }
}

fn group_names(groups: &[NamedGroup]) -> String {
    let names: Vec<String> = groups.iter().map(|group| format!("{group:?}")).collect();
    names.join(",")
}

/// A connection on its way through a layer 4 route.
struct Relaying {
    worker: Rc<Worker>,
    snapshot: Rc<Snapshot>,
    binding: Rc<Binding>,
    route: Rc<TcpRoute>,
    class: Class,
    log: Rc<ConnectionLog>,
}

impl Relaying {
    /// Class `terminated`: TLS ended here, bytes go on.
    async fn terminated(self, stream: Stream) {
        let half_close = match self.log.facts.version {
            Some(ProtocolVersion::TLSv1_2) => HalfClose::EndsBoth,
            _ => HalfClose::Passes,
        };
        self.relay(Box::pin(async {
            let upstream = self.connect(stream.socket()).await?;
            Ok(self.between(stream, upstream, half_close))
        }))
        .await;
    }

    /// Class `passthrough`: the hello's bytes, then all others, unopened.
    async fn passthrough(self, socket: Socket, hello: ClientHello) {
        let replayed = hello.bytes.len() as u64;
        self.relay(Box::pin(async {
            let upstream = self.connect(&socket).await?;
            let mut first = self.worker.pool.take(SizeClass::Small);
            first.extend(&hello.bytes);
            drop(hello);
            if upstream.socket().send_all(first).await.0.is_err() {
                socket.reset();
                return Err(Cause::UpstreamReset);
            }
            let downstream = Stream::plain(socket, self.worker.pool.clone());
            let mut relay = self.between(downstream, upstream, HalfClose::Passes);
            relay.has_passed(replayed);
            Ok(relay)
        }))
        .await;
    }

    /// Relays what `prepared` connects, and says what came of it.
    async fn relay(&self, prepared: Pin<Box<impl Future<Output = Result<Box<Relay>, Cause>>>>) {
        let relayed = match prepared.await {
            Ok(mut relay) => relay.run(self.snapshot.settings.timeouts.idle).await,
            Err(cause) => Relayed {
                failed: Some(cause),
                ..Relayed::default()
            },
        };
        self.done(relayed);
    }

    /// Connects to the service; where it cannot, the client sees a reset: nothing that it sent has
    /// reached anybody.
    async fn connect(&self, downstream: &Socket) -> Result<Stream, Cause> {
        let limit = self.snapshot.settings.timeouts.connect;
        let upstream = &self.route.upstream;
        upstream
            .connect(&self.worker.pool, limit)
            .await
            .map_err(|error| {
                let (tenant, route) = (&*self.binding.tenant, &*self.route.name);
                tracing::warn!(tenant, route, %error, "no upstream");
                downstream.reset();
                error.cause()
            })
    }

    fn between(&self, downstream: Stream, upstream: Stream, half_close: HalfClose) -> Box<Relay> {
        let worker = Rc::clone(&self.worker);
        Box::new(Relay::new(
            worker, self.class, downstream, upstream, half_close,
        ))
    }

    fn done(&self, relayed: Relayed) {
        if let Some(cause) = relayed.failed {
            self.worker.counters.error(cause);
        }
        let log = &self.log;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the future that a function returns.
    fn size_of_future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_a_relayed_connection_holds_is_small() {
        type Arguments = (Rc<Worker>, Rc<Snapshot>, Socket, SocketAddr, Admission);
        let task = size_of_future(|(worker, snapshot, socket, peer, admission): Arguments| {
            serve(worker, snapshot, 0, socket, peer, admission)
        });
        let station =
            size_of_future(|(relaying, stream): (Relaying, Stream)| relaying.terminated(stream));
        let relay = size_of::<Relay>();
        let log = size_of::<ConnectionLog>() + size_of::<Facts>();
        let parts = [task, station, relay, log];
        assert!(parts.iter().sum::<usize>() < 3000, "{parts:?}");
        let unspoken = size_of_future(http::serve);
        // A byte more, and the allocator takes 640 for it.
        assert!(unspoken <= 512, "{unspoken}");
        let silent = [task, unspoken, log];
        assert!(silent.iter().sum::<usize>() < 1000, "{silent:?}");
    }
}
