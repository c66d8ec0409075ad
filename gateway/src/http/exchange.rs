//! One request and its answer over a connection to the service.

use std::rc::Rc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use sealgate_uring::Pool;
use tokio::time::Instant;

use super::request_body::{Progress, RequestBody};
use crate::error::Cause;
use crate::settings::TimeoutSettings;
use crate::upstream::{HttpPool, Lease, LeaseError, Reuse};

/// A request is tried on a pooled connection and, if that turns out to be closed, on a new one.
const ATTEMPTS: usize = 2;

/// Why there is no answer, and what our log says of it.
pub(crate) struct NoAnswer {
    pub(crate) cause: Cause,
    pub(crate) detail: String,
}

/// Sends `request` and waits for the head of the answer. A request without a body that found its
/// pooled connection closed is sent once more; one with a body only if nothing of it was sent.
///
/// # Errors
/// [`NoAnswer`]: the service's fault, a limit, or the client's if its body broke off.
pub(crate) async fn exchange(
    pool: &Rc<HttpPool<RequestBody>>,
    mut request: Request<RequestBody>,
    body: Repeat,
    progress: &Progress,
    timeouts: &TimeoutSettings,
    buffers: &Pool,
) -> Result<(Response<Incoming>, Lease<RequestBody>), NoAnswer> {
    let mut reuse = Reuse::Allowed;
    for attempt in 1.. {
        let spare = (body == Repeat::Safe).then(|| without_body(&request));
        let mut lease = match pool.lease(reuse, buffers, timeouts.connect).await {
            Ok(lease) => lease,
            Err(error) => return Err(no_lease(&error)),
        };
        if request.body().is_end_stream() {
            progress.body_ended.set(Some(Instant::now()));
        }
        let sent = lease.sender().try_send_request(request);
        let Some(result) = within(timeouts.response, progress, sent).await else {
            return Err(NoAnswer {
                cause: Cause::UpstreamTimeout,
                detail: format!("no answer within {:?}", timeouts.response),
            });
        };
        let mut failed = match result {
            Ok(response) => return Ok((response, lease)),
            Err(failed) => failed,
        };
        let again = match (failed.take_message(), spare) {
            (Some(unsent), _) => Some(unsent),
            (None, spare) => spare.filter(|_| lease.reused && !failed.error().is_timeout()),
        };
        match again {
            Some(unsent) if attempt < ATTEMPTS && lease.reused => request = unsent,
            _ => return Err(failed_exchange(failed.error(), progress)),
        }
        reuse = Reuse::No;
    }
    unreachable!("the last attempt returns");
}

/// Whether a request may be sent again after it may have reached the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// An idempotent method without a body (RFC 9110 §9.2.2).
    Safe,
    /// Only if nothing was sent.
    Never,
}

fn without_body(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Awaits `future` until `limit` after the end of the request body. Before that end, the client
/// connection's own idle limit holds.
async fn within<F: Future>(limit: Duration, progress: &Progress, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    loop {
        let due = match progress.body_ended.get() {
            Some(ended) if ended + limit <= Instant::now() => return None,
            Some(ended) => ended + limit,
            None => Instant::now() + limit,
        };
        // hyper's futures may be dropped: the ring's are in tasks of their own.
        if let Ok(output) = tokio::time::timeout_at(due, &mut future).await {
            return Some(output);
        }
    }
}

fn no_lease(error: &LeaseError) -> NoAnswer {
    match error {
        LeaseError::Connect(error) => NoAnswer {
            cause: error.cause(),
            detail: error.to_string(),
        },
        LeaseError::Busy => NoAnswer {
            cause: Cause::UpstreamBusy,
            detail: "too many requests wait for this upstream".to_owned(),
        },
        LeaseError::Http(error) => NoAnswer {
            cause: Cause::UpstreamReset,
            detail: error.to_string(),
        },
    }
}

fn failed_exchange(error: &hyper::Error, progress: &Progress) -> NoAnswer {
    let cause = if progress.client_failed.get() {
        Cause::ClientTruncated
    } else if error.is_parse() {
        Cause::UpstreamInvalid
    } else {
        Cause::UpstreamReset
    };
    // hyper's own words stop before the reason.
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    NoAnswer {
        cause,
        detail: format!("{error}{}", source.unwrap_or_default()),
    }
}
