//! Class `terminated`: requests and answers as they come, less what concerns one connection only.

use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::{Request, StatusCode};

use super::answer::{self, Answer, Head};
use super::exchange::exchange;
use super::headers::{announce_length, strip_hop_by_hop};
use super::request_body::RequestBody;
use super::serve::Asked;
use crate::error::Cause;

/// Forwards one request.
pub(crate) async fn forward(asked: Asked<'_>, request: Request<Incoming>) -> Answer {
    let (mut parts, body) = request.into_parts();
    let body = match body.is_end_stream() {
        true => RequestBody::empty(),
        false => {
            let progress = asked.record.progress.clone();
            RequestBody::forward(body, progress, asked.record.counters.clone())
        }
    };
    announce_length(&mut parts.headers, &body);
    let repeat = asked.repeat(&body);
    let request = Request::from_parts(parts, body);
    let answered = exchange(
        &asked.route.pool,
        request,
        repeat,
        &asked.record.progress,
        asked.timeouts,
        asked.buffers,
    );
    let (response, lease) = match answered.await {
        Ok(answered) => answered,
        Err(no_answer) => return asked.refuse(no_answer.cause, no_answer.detail),
    };
    // An answer that switches protocols was not asked for: Upgrade does not pass.
    if response.status().is_informational() {
        let detail = format!("an unasked {}", response.status().as_u16());
        return asked.refuse(Cause::UpstreamInvalid, detail);
    }
    let (mut parts, body) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    if parts.status == StatusCode::NO_CONTENT {
        // RFC 9110 §8.6.
        parts.headers.remove(CONTENT_LENGTH);
    }
    let head = Head {
        status: parts.status,
        headers: parts.headers,
    };
    answer::forward(head, body, asked.record, lease, asked.abort)
}
