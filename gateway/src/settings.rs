//! What a configuration says, checked and loaded: the input of everything that runs.
//!
//! Each room owns its part; this is the whole. Nothing here reads files: `control::config` does.

use std::net::SocketAddr;
use std::time::Duration;

use sealgate_tls::Engine;
use sealgate_uring::Receive;

use crate::accept::ListenerSettings;
use crate::http::HttpRouteSettings;
use crate::relay::TcpRouteSettings;
use crate::tenant::{KeysSettings, TenantSettings};

/// A whole configuration. References between its parts are indices, checked when it was built.
pub struct Settings {
    /// Worker threads; `None`: one per core of the affinity mask.
    pub workers: Option<usize>,
    /// How the workers use their rings.
    pub io_uring: IoUringSettings,
    /// Listeners, at least one.
    pub listeners: Vec<ListenerSettings>,
    /// Tenants, at least one; at most one of them is the default.
    pub tenants: Vec<TenantSettings>,
    /// Routes in the order of the file.
    pub routes: Vec<RouteSettings>,
    /// The admin listener (loopback only); `None`: none.
    pub admin: Option<SocketAddr>,
    /// Log format and level.
    pub log: LogSettings,
    /// How TLS is spoken, to clients and to upstreams.
    pub tls: TlsSettings,
    /// Bounds that an operator may set.
    pub limits: LimitSettings,
    /// How long each wait may take.
    pub timeouts: TimeoutSettings,
    /// How long keys stay in memory.
    pub keys: KeysSettings,
    /// What is legal but worth saying at start, one sentence each.
    pub warnings: Vec<String>,
}

/// One route: what happens to the traffic of one tenant on some listeners.
pub struct RouteSettings {
    /// Its name in logs and metrics; unique.
    pub name: String,
    /// Index into `Settings::tenants`.
    pub tenant: usize,
    /// Indices into `Settings::listeners`.
    pub listeners: Vec<usize>,
    /// What to do.
    pub target: RouteTarget,
}

/// Layer 4 or layer 7.
pub enum RouteTarget {
    /// `protocol = "tcp"`.
    Tcp(TcpRouteSettings),
    /// `protocol = "http"`.
    Http(HttpRouteSettings),
}

/// Log format and level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Text for people or JSON lines for machines.
    pub format: LogFormat,
    /// A `tracing` filter directive: `info`, `debug`, `sealgate=debug`.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// How a worker uses its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoUringSettings {
    /// How short messages are received, where the kernel has it.
    pub receive: Receive,
}

/// How TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// What established TLS 1.3 sessions run on.
    pub engine: Engine,
}

/// Bounds that an operator may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Open downstream connections over all workers; more are closed at accept.
    pub max_connections: usize,
    /// Bytes of one HTTP request head.
    pub max_head_bytes: usize,
    /// Header fields in one HTTP request head.
    pub max_head_fields: usize,
    /// Idle keep-alive connections to one upstream, per worker and tenant.
    pub max_idle_upstream: usize,
    /// Requests of one route that use, or wait for, upstream connections at once, per worker; more are
    /// answered with 503.
    pub max_upstream_requests: usize,
    /// Steps of handshakes that one worker takes between two turns of its ring.
    pub handshakes_per_turn: usize,
}

/// How long each wait may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutSettings {
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// One connection attempt to one upstream address, its TLS handshake included.
    pub connect: Duration,
    /// A connection in which no byte moves either way.
    pub idle: Duration,
    /// From the first byte of a request head to its end.
    pub head: Duration,
    /// Keep-alive: between two requests of one client connection, and from its handshake to the first.
    pub keep_alive: Duration,
    /// From the end of the forwarded request head to the response head of the upstream.
    pub response: Duration,
    /// Drain: from SIGTERM to the end of the process.
    pub drain: Duration,
}
