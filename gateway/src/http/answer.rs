//! Answers to clients: bodies of every kind, problems, and the one log line per request.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Response, StatusCode};
use sealgate_stream::AbortHandle;
use tokio::time::Instant;

use super::headers::REQUEST_ID;
use super::open_body::{OpenBody, OpenError};
use super::request_body::{Progress, RequestBody};
use crate::connection::{ConnectionLog, clipped, millis};
use crate::error::Cause;
use crate::metrics::{Class, Counters};
use crate::upstream::Lease;

/// One request, for the log and the counters. The line is written when it is dropped.
pub(crate) struct Record {
    pub(crate) log: Rc<ConnectionLog>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) listener: Rc<str>,
    pub(crate) tenant: Rc<str>,
    pub(crate) route: Option<Rc<str>>,
    pub(crate) class: Class,
    pub(crate) method: Method,
    /// Without the query, which may hold credentials.
    pub(crate) path: String,
    pub(crate) request_id: String,
    pub(crate) begun: Instant,
    pub(crate) progress: Rc<Progress>,
    pub(crate) status: StatusCode,
    pub(crate) bytes_out: u64,
    pub(crate) outcome: Outcome,
    /// For our log only.
    pub(crate) detail: String,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not yet.
    Open,
    /// The answer was given whole; with the cause, where the answer is a problem.
    Complete(Option<Cause>),
    /// The answer broke off.
    Broken(Cause),
}

impl Record {
    fn peer(&self) -> SocketAddr {
        self.log.peer
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let cause = match self.outcome {
            Outcome::Complete(cause) => cause,
            Outcome::Broken(cause) => Some(cause),
            // hyper let go of it before it was given: we cut the connection, or the client did.
            Outcome::Open => Some(self.progress.busy.cut_by().unwrap_or(Cause::ClientReset)),
        };
        if let Some(cause) = cause {
            self.counters.error(cause);
        }
        self.counters.request(self.class, self.status.as_u16());
        let facts = &self.log.facts;
        tracing::info!(
            target: "access",
            listener = &*self.listener,
            peer = %self.peer(),
            tenant = &*self.tenant,
            route = self.route.as_deref().unwrap_or("-"),
            class = self.class.name(),
            sni = &*self.log.sni,
            tls_version = facts.version_name(),
            tls_suite = facts.suite_name(),
            tls_group = facts.group_name(),
            tls_kind = facts.kind_name(),
            method = self.method.as_str(),
            path = clipped(&self.path),
            status = self.status.as_u16(),
            bytes_in = self.progress.bytes_in.get(),
            bytes_out = self.bytes_out,
            duration_ms = millis(self.begun.elapsed()),
            request_id = self.request_id,
            outcome = cause.map_or("ok", Cause::label),
            error = (!self.detail.is_empty()).then_some(clipped(&self.detail)),
            "request"
        );
    }
}

/// The body of an answer.
pub(crate) struct AnswerBody {
    kind: Kind,
    record: Option<Record>,
    /// Bytes still to come, where that is known: hyper may not poll again after the last one.
    left: Option<u64>,
    lease: Option<Lease<RequestBody>>,
    abort: AbortHandle,
}

enum Kind {
    Empty,
    Problem(Option<Bytes>),
    Forward(Incoming),
    Open(Box<OpenBody>),
}

/// An answer's body broke off; the connection is being reset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The service did.
    #[error("the service broke off: {0}")]
    Upstream(hyper::Error),
    /// It cannot be opened.
    #[error(transparent)]
    Open(OpenError),
}

impl AnswerError {
    fn cause(&self) -> Cause {
        match self {
            AnswerError::Upstream(_) | AnswerError::Open(OpenError::Upstream(_)) => {
                Cause::UpstreamTruncated
            }
            AnswerError::Open(_) => Cause::NotVerified,
        }
    }
}

/// An answer on its way to hyper.
pub(crate) type Answer = Response<AnswerBody>;

/// What an answer is made of besides its body.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// An answer without a body, or to a HEAD request: lengths in `head` stay as they are.
pub(crate) fn empty(
    head: Head,
    mut record: Record,
    lease: Lease<RequestBody>,
    abort: AbortHandle,
) -> Answer {
    record.outcome = Outcome::Complete(None);
    lease.give_back();
    build(head, Kind::Empty, record, Some(0), None, abort)
}

/// An answer whose body, if the service gave one, does not pass.
pub(crate) fn without_body(mut head: Head, mut record: Record, abort: AbortHandle) -> Answer {
    record.outcome = Outcome::Complete(None);
    head.headers.remove(CONTENT_LENGTH);
    build(head, Kind::Empty, record, Some(0), None, abort)
}

/// The service's body as it comes.
pub(crate) fn forward(
    head: Head,
    body: Incoming,
    record: Record,
    lease: Lease<RequestBody>,
    abort: AbortHandle,
) -> Answer {
    if body.is_end_stream() {
        return empty(head, record, lease, abort);
    }
    let left = body.size_hint().exact();
    build(head, Kind::Forward(body), record, left, Some(lease), abort)
}

/// The service's body, opened.
pub(crate) fn open(
    mut head: Head,
    body: OpenBody,
    record: Record,
    lease: Lease<RequestBody>,
    abort: AbortHandle,
) -> Answer {
    let left = body.len();
    if let Some(len) = left {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
    }
    build(
        head,
        Kind::Open(Box::new(body)),
        record,
        left,
        Some(lease),
        abort,
    )
}

/// A problem (RFC 9457): a stable type, a title, a request id, no more.
pub(crate) fn problem(
    cause: Cause,
    status: Option<StatusCode>,
    mut record: Record,
    abort: AbortHandle,
) -> Answer {
    let row = cause.row();
    let told = row.problem.unwrap_or(crate::error::Problem {
        status: 500,
        title: "Internal error",
    });
    let status = status
        .or_else(|| StatusCode::from_u16(told.status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::json!({
        "type": format!("urn:sealgate:error:{}", row.label),
        "title": told.title,
        "status": status.as_u16(),
        "request_id": record.request_id,
    });
    let body = Bytes::from(format!("{body}\n"));
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods = HeaderValue::from_static("GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS");
        headers.insert(hyper::header::ALLOW, methods);
    }
    record.outcome = Outcome::Complete(Some(cause));
    let left = body.len() as u64;
    let kind = match record.method {
        Method::HEAD => Kind::Empty,
        _ => Kind::Problem(Some(body)),
    };
    build(
        Head { status, headers },
        kind,
        record,
        Some(left),
        None,
        abort,
    )
}

fn build(
    mut head: Head,
    kind: Kind,
    mut record: Record,
    left: Option<u64>,
    lease: Option<Lease<RequestBody>>,
    abort: AbortHandle,
) -> Answer {
    record.status = head.status;
    if let Ok(id) = HeaderValue::from_str(&record.request_id) {
        head.headers.insert(REQUEST_ID, id);
    }
    let body = AnswerBody {
        kind,
        record: Some(record),
        left,
        lease,
        abort,
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

impl AnswerBody {
    fn complete(&mut self) {
        if let Some(record) = &mut self.record
            && record.outcome == Outcome::Open
        {
            record.outcome = Outcome::Complete(None);
        }
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.record = None;
    }

    fn broken(&mut self, error: &AnswerError) {
        if let Some(record) = &mut self.record {
            record.outcome = Outcome::Broken(error.cause());
            record.detail = error.to_string();
        }
        self.record = None;
        self.lease = None;
        // hyper would end the connection too; this makes sure that it never looks complete.
        self.abort.abort();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        let polled = match &mut this.kind {
            Kind::Empty => None,
            Kind::Problem(bytes) => bytes.take().map(Ok),
            Kind::Forward(body) => loop {
                match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    None => break None,
                    Some(Err(error)) => break Some(Err(AnswerError::Upstream(error))),
                    Some(Ok(frame)) => {
                        // Trailers do not pass: a client has not said that it wants them.
                        if let Ok(bytes) = frame.into_data() {
                            break Some(Ok(bytes));
                        }
                    }
                }
            },
            Kind::Open(body) => std::task::ready!(body.poll_next(cx))
                .map(|result| result.map_err(AnswerError::Open)),
        };
        match polled {
            None => {
                this.complete();
                Poll::Ready(None)
            }
            Some(Ok(bytes)) => {
                let n = bytes.len() as u64;
                if let Some(left) = &mut this.left {
                    *left = left.saturating_sub(n);
                }
                if let Some(record) = &mut this.record {
                    record.progress.busy.service_moved();
                    record.bytes_out += n;
                    record.counters.bytes_out(record.class, n);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Err(error)) => {
                this.broken(&error);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Problem(bytes) => bytes.is_none(),
            Kind::Forward(_) | Kind::Open(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            _ => self
                .left
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // hyper does not poll again after the last byte that was announced.
        let given = match &self.kind {
            Kind::Empty => true,
            Kind::Open(body) => body.is_complete(),
            Kind::Problem(_) | Kind::Forward(_) => self.left == Some(0),
        };
        if given {
            self.complete();
        }
    }
}
