//! One client connection: requests in, answers out, time limits between.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::rand;
use hyper::body::{Body, Incoming};
use hyper::header::{HOST, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use sealgate_keys::LocalKeyring;
use sealgate_stream::{AbortHandle, Stream, close_gently};
use sealgate_uring::Pool;
use tokio::time::Instant;

use super::answer::{Answer, Outcome, Record, problem};
use super::exchange::Repeat;
use super::headers::{set_forwarded, strip_hop_by_hop};
use super::pace::{Late, Pace};
use super::request::{body_len, target, without_parameters};
use super::request_body::{Progress, RequestBody};
use super::route::{Handling, HttpRoute};
use super::{forward, sealed};
use crate::connection::{ConnectionLog, clipped, millis};
use crate::error::Cause;
use crate::limits::{CLOSE_TIME, HTTP_BUFFER_BYTES};
use crate::metrics::Class;
use crate::settings::TimeoutSettings;
use crate::snapshot::{Binding, Plan, Snapshot};
use crate::tenant::{Keys, NoKeys};
use crate::worker::Worker;

/// What the requests of one connection share.
struct Client {
    worker: Rc<Worker>,
    snapshot: Rc<Snapshot>,
    listener: usize,
    binding: Rc<Binding>,
    log: Rc<ConnectionLog>,
    abort: AbortHandle,
    pace: Rc<Pace>,
}

/// One request on its way through a route.
pub(crate) struct Asked<'a> {
    pub(crate) route: &'a HttpRoute,
    /// The canonical path.
    pub(crate) path: String,
    pub(crate) method: Method,
    pub(crate) record: Record,
    pub(crate) timeouts: &'a TimeoutSettings,
    pub(crate) buffers: &'a Pool,
    pub(crate) keys: &'a Keys,
    pub(crate) abort: AbortHandle,
}

impl Asked<'_> {
    /// Answers with a problem.
    pub(crate) fn refuse(self, cause: Cause, detail: String) -> Answer {
        self.refuse_with(cause, None, detail)
    }

    /// Answers with a problem under another status than the cause's own.
    pub(crate) fn refuse_with(
        mut self,
        cause: Cause,
        status: Option<StatusCode>,
        detail: String,
    ) -> Answer {
        self.record.detail = detail;
        problem(cause, status, self.record, self.abort)
    }

    /// The tenant's keyring, for a message that begins now. Do not keep it longer than that takes.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub(crate) async fn keyring(&self) -> Result<Rc<LocalKeyring>, NoKeys> {
        self.keys.keyring(&self.record.tenant).await
    }

    /// The same as it is now, for a message under an epoch that [`Asked::keyring`] does not have.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub(crate) async fn renewed_keyring(&self) -> Result<Rc<LocalKeyring>, NoKeys> {
        self.keys.renewed_keyring(&self.record.tenant).await
    }

    /// Answers that there are no keys, and when to come back.
    pub(crate) fn refuse_without_keys(self, no_keys: &NoKeys) -> Answer {
        let seconds = no_keys.retry_after().as_millis().div_ceil(1000).max(1);
        let mut answer = self.refuse(no_keys.cause(), no_keys.to_string());
        let seconds = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
        answer.headers_mut().insert(RETRY_AFTER, seconds);
        answer
    }

    /// Whether the request may be sent twice.
    pub(crate) fn repeat(&self, body: &RequestBody) -> Repeat {
        let idempotent = matches!(
            self.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE
        );
        if idempotent && body.is_end_stream() {
            Repeat::Safe
        } else {
            Repeat::Never
        }
    }
}

/// A client connection that has said nothing yet.
pub struct Unspoken {
    /// Its worker.
    pub worker: Rc<Worker>,
    /// The settings that it was accepted under.
    pub snapshot: Rc<Snapshot>,
    /// Its listener's place in them.
    pub listener: usize,
    /// Its tenant and route.
    pub binding: Rc<Binding>,
    /// After the handshake.
    pub stream: Stream,
    /// Of it, for the log.
    pub log: Rc<ConnectionLog>,
}

/// Serves HTTP on a TLS stream until it ends.
pub async fn serve(unspoken: Unspoken) {
    // What speaks HTTP holds buffers, and two tasks: until something comes, none of it need be there. Boxed for the same
    // reason.
    match has_spoken(&unspoken).await {
        true => Box::pin(converse(unspoken)).await,
        false => Box::pin(end(unspoken)).await,
    }
}

async fn end(unspoken: Unspoken) {
    let Unspoken { worker, stream, .. } = unspoken;
    let (read, mut write) = stream.split();
    // Who is gone already need not be told.
    let _ = write.finish().await;
    close_gently(read.socket(), &worker.pool).await;
}

/// Waits until something comes, be it the end. Says no when the client has kept silent for too long, or we are to end.
async fn has_spoken(unspoken: &Unspoken) -> bool {
    let Unspoken {
        worker,
        snapshot,
        stream,
        log,
        ..
    } = unspoken;
    if stream.has_received() {
        return true;
    }
    tokio::select! {
        biased;
        // What fails here fails again when it is read.
        _ = stream.socket().readable() => true,
        () = worker.drain.begins() => false,
        () = tokio::time::sleep_until(log.established + snapshot.settings.timeouts.keep_alive) => false,
    }
}

async fn converse(unspoken: Unspoken) {
    let Unspoken {
        worker,
        snapshot,
        listener,
        binding,
        stream,
        log,
    } = unspoken;
    let (worker, snapshot) = (&worker, &snapshot);
    let io = stream.into_hyper();
    let client = Rc::new(Client {
        worker: Rc::clone(worker),
        snapshot: Rc::clone(snapshot),
        listener,
        binding,
        // Whoever says half a word late has no more time for it.
        pace: Pace::new(io.abort_handle(), log.established),
        log,
        abort: io.abort_handle(),
    });
    let service = service_fn(|request| {
        let client = Rc::clone(&client);
        // Boxed: hyper keeps room for this future as long as the connection lives.
        async move { Ok::<_, Infallible>(Box::pin(client.answer(request)).await) }
    });
    let limits = &snapshot.settings.limits;
    let mut builder = Builder::new();
    builder
        .half_close(true)
        .max_headers(limits.max_head_fields)
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(HTTP_BUFFER_BYTES.max(limits.max_head_bytes));
    let connection = builder.serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let mut draining = worker.drain.has_begun();
    if draining {
        connection.as_mut().graceful_shutdown();
    }
    let mut closing: Option<Instant> = None;
    let result = loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => break result,
            () = worker.drain.begins(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = worker.drain.is_over() => {
                client.pace.cut(Cause::Draining);
                client.abort.abort();
                return;
            }
            // hyper does not look at the client while it answers.
            () = client.abort.read_failed() => {
                client.abort.abort();
                return;
            }
            () = tokio::time::sleep_until(closing.unwrap_or_else(Instant::now)), if closing.is_some() => {
                return;
            }
            late = client.pace.watch(&snapshot.settings.timeouts), if closing.is_none() => match late {
                Late::KeepAlive => {
                    closing = Some(Instant::now() + CLOSE_TIME);
                    connection.as_mut().graceful_shutdown();
                }
                Late::Cause(cause) => {
                    // Requests that are under way say it themselves.
                    client.pace.cut(cause);
                    if !client.pace.is_busy() {
                        client.failed(cause, "nothing moved in time");
                    }
                    client.abort.abort();
                    return;
                }
            },
        }
    };
    if let Err(error) = result
        && (error.is_parse() || error.is_incomplete_message())
    {
        client.failed(Cause::ClientHttp, &error.to_string());
    }
}

impl Client {
    async fn answer(self: &Rc<Self>, mut request: Request<Incoming>) -> Answer {
        let mut record = self.record(&request);
        let abort = self.abort.clone();
        let checked = target(&request).and_then(|target| Ok((target, body_len(&request)?)));
        let (target, body_len) = match checked {
            Ok(checked) => checked,
            Err(cause) => return problem(cause, None, record, abort),
        };
        record.path.clone_from(&target.path);
        if !self.is_ours(&target.host) {
            record.detail = format!("host {}", target.host);
            return problem(Cause::Misdirected, None, record, abort);
        }
        let Plan::Http(_, routes) = &self.binding.plan else {
            return problem(Cause::NoRoute, None, record, abort);
        };
        let Some(route) = route_of(routes, &target.path) else {
            return problem(Cause::NoRoute, None, record, abort);
        };
        // A service that drops parameters must not see another route's path.
        let plain = route_of(routes, &without_parameters(&target.path));
        if plain.is_none_or(|plain| !std::ptr::eq(plain, route)) {
            return problem(Cause::BadPath, None, record, abort);
        }
        record.route = Some(Rc::clone(&route.name));
        record.class = route.class();
        let peer = self.log.peer.ip();
        strip_hop_by_hop(request.headers_mut());
        set_forwarded(
            request.headers_mut(),
            peer,
            &target.authority,
            &record.request_id,
        );
        request.headers_mut().remove(hyper::header::EXPECT);
        // To the service we speak the origin form, and Host says what the client meant.
        if let Ok(host) = HeaderValue::from_str(&target.authority) {
            request.headers_mut().insert(HOST, host);
        }
        let origin_form = request.uri().path_and_query().cloned();
        *request.uri_mut() = origin_form.map(Into::into).unwrap_or_default();
        *request.version_mut() = hyper::Version::HTTP_11;
        let asked = Asked {
            route,
            path: target.path,
            method: request.method().clone(),
            record,
            timeouts: &self.snapshot.settings.timeouts,
            buffers: &self.worker.pool,
            keys: &self.worker.keys,
            abort,
        };
        match &route.handling {
            Handling::Forward => forward::forward(asked, request).await,
            Handling::Seal(sealed) => sealed::seal(asked, sealed, request, body_len).await,
        }
    }

    /// Whether `host` names the tenant of the TLS session.
    fn is_ours(&self, host: &str) -> bool {
        let name = (!host.is_empty()).then_some(host);
        let table = &self.snapshot.listeners[self.listener];
        table
            .resolve(name)
            .is_ok_and(|binding| Rc::ptr_eq(binding, &self.binding))
    }

    fn record(&self, request: &Request<Incoming>) -> Record {
        Record {
            log: Rc::clone(&self.log),
            counters: Arc::clone(&self.worker.counters),
            listener: Rc::clone(&self.binding.listener),
            tenant: Rc::clone(&self.binding.tenant),
            route: None,
            class: Class::Terminated,
            method: request.method().clone(),
            path: "-".to_owned(),
            request_id: request_id(),
            begun: Instant::now(),
            progress: Progress::new(self.pace.begin()),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            bytes_out: 0,
            outcome: Outcome::Open,
            detail: String::new(),
        }
    }

    /// Counts and logs what ends the connection outside of a request.
    fn failed(&self, cause: Cause, detail: &str) {
        self.worker.counters.error(cause);
        tracing::info!(
            target: "access",
            listener = &*self.binding.listener,
            peer = %self.log.peer,
            tenant = &*self.binding.tenant,
            sni = &*self.log.sni,
            tls_version = self.log.facts.version_name(),
            duration_ms = millis(self.log.accepted.elapsed()),
            outcome = cause.label(),
            error = clipped(detail),
            "connection failed"
        );
    }
}

/// The route with the longest prefix of `path`; they are sorted. A prefix `/a/` takes `/a` too.
fn route_of<'a>(routes: &'a [HttpRoute], path: &str) -> Option<&'a HttpRoute> {
    routes.iter().find(|route| {
        path.starts_with(&route.path_prefix) || route.path_prefix.strip_suffix('/') == Some(path)
    })
}

/// 16 hexadecimal digits that name a request in our log, to the client and to the service.
fn request_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness no handshake had succeeded; ids are for finding lines, not for safety.
    let _ = rand::fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}
