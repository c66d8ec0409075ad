//! The admin listener: health, status, metrics. Loopback only, plain HTTP, read only.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use sealgate_uring::Receive;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::http::{HttpClass, Readers};
use crate::metrics::{CounterSum, KeyMetrics};
use crate::relay::TcpClass;
use crate::settings::{RouteTarget, Settings};

/// Admin connections at once, and how long a request head may take.
const CONNECTIONS: usize = 64;
const HEAD: Duration = Duration::from_secs(5);

/// What the admin listener tells of.
pub struct Admin {
    /// The settings in force.
    pub settings: ArcSwap<Settings>,
    /// Counters of all workers.
    pub counters: CounterSum,
    /// Keys of the process.
    pub keys: KeyMetrics,
    /// Set when the process drains: `/healthz` then says so.
    pub draining: AtomicBool,
    /// How many workers run.
    pub workers: usize,
    /// What their rings receive short messages by.
    pub receive: Receive,
    /// When the process began to serve.
    pub started: Instant,
    /// How often a reload took effect.
    pub reloads: std::sync::atomic::AtomicU64,
}

impl Admin {
    /// Serves on `address` for as long as the runtime runs.
    ///
    /// # Errors
    /// What `bind(2)` says.
    pub async fn serve(self: Arc<Self>, address: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "listening (admin)");
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        tokio::spawn(async move {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let admin = Arc::clone(&self);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let answer = admin.answer(&request);
                        async { Ok::<_, Infallible>(answer) }
                    });
                    let mut builder = hyper::server::conn::http1::Builder::new();
                    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
                    // A client that misbehaves towards the admin listener is its own affair.
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    drop(place);
                });
            }
        });
        Ok(())
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        match request.uri().path() {
            "/healthz" if self.draining.load(Ordering::Relaxed) => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/status" => {
                let body = format!("{:#}\n", self.status());
                reply(StatusCode::OK, "application/json", body)
            }
            "/metrics" => {
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                reply(StatusCode::OK, kind, self.metrics())
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /healthz, /status and /metrics\n",
            ),
        }
    }

    fn metrics(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.counters.clone()));
        registry.register_collector(Box::new(self.keys.clone()));
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut out, &registry);
        out
    }

    fn status(&self) -> serde_json::Value {
        let settings = self.settings.load();
        let listeners: Vec<_> = settings
            .listeners
            .iter()
            .map(|listener| {
                let addresses: Vec<String> =
                    listener.addresses.iter().map(ToString::to_string).collect();
                json!({"name": listener.name, "addresses": addresses})
            })
            .collect();
        let routes: Vec<_> = settings
            .routes
            .iter()
            .map(|route| {
                let listeners: Vec<_> = route
                    .listeners
                    .iter()
                    .map(|i| &*settings.listeners[*i].name)
                    .collect();
                let mut entry = json!({
                    "name": route.name,
                    "tenant": settings.tenants[route.tenant].id,
                    "listeners": listeners,
                });
                match &route.target {
                    RouteTarget::Tcp(tcp) => {
                        entry["protocol"] = json!("tcp");
                        entry["class"] = json!(match tcp.class {
                            TcpClass::Terminated => "terminated",
                            TcpClass::Passthrough => "passthrough",
                        });
                        entry["upstream"] = json!(tcp.upstream.display);
                        entry["upstream_tls"] = json!(tcp.upstream.tls.is_some());
                    }
                    RouteTarget::Http(http) => {
                        entry["protocol"] = json!("http");
                        entry["path"] = json!(http.path_prefix);
                        entry["upstream"] = json!(http.upstream.display);
                        entry["upstream_tls"] = json!(http.upstream.tls.is_some());
                        match &http.class {
                            HttpClass::Terminated => entry["class"] = json!("terminated"),
                            HttpClass::Sealed(sealed) => {
                                entry["class"] = json!("sealed");
                                entry["readers"] = json!(match sealed.readers {
                                    Readers::Mtls => "mtls",
                                    Readers::Anyone => "anyone",
                                });
                            }
                        }
                    }
                }
                entry
            })
            .collect();
        let keys = &settings.keys;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "workers": self.workers,
            "uptime_seconds": self.started.elapsed().as_secs(),
            "draining": self.draining.load(Ordering::Relaxed),
            "reloads": self.reloads.load(Ordering::Relaxed),
            "connections_open": self.counters.sum(|c| &c.open),
            "listeners": listeners,
            "routes": routes,
            "io_uring_receive": self.receive.name(),
            "tls_engine": settings.tls.engine.name(),
            "keys": {
                "held": self.keys.cache.held(),
                "soft_lifetime_seconds": keys.soft.as_secs_f64(),
                "hard_lifetime_seconds": keys.hard.as_secs_f64(),
                "unused_lifetime_seconds": keys.unused.as_secs_f64(),
                // No message begins later than this after its tenant's keys were disabled or shredded.
                "revocation_bound_seconds": keys.hard.as_secs_f64(),
            },
            "keys_withdrawn": self.keys.cache.refused(),
            "warnings": settings.warnings,
        })
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    reply(status, "text/plain; charset=utf-8", body.to_owned())
}

fn reply(status: StatusCode, kind: &str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if let Ok(kind) = kind.parse() {
        response
            .headers_mut()
            .insert(hyper::header::CONTENT_TYPE, kind);
    }
    response
}
