//! Class `sealed`: request bodies are sealed, response bodies opened. Whatever is not as it has to
//! be is refused: a service never gets plaintext, a client never gets what did not verify.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use sealgate_envelope::{Refusal, RefusalReason, SealError, SealSettings, sizes};
use sealgate_keys::{LocalKeyring, SealBeginError};
use sealgate_uring::spawn;

use super::answer::{self, Answer, Head};
use super::exchange::exchange;
use super::headers::{announce_length, open_response, seal_request, strip_hop_by_hop};
use super::open_body::{OpenBody, OpenError};
use super::request::BodyLen;
use super::request_body::RequestBody;
use super::serve::Asked;
use super::{Readers, SealedSettings};
use crate::error::Cause;
use crate::limits::{DROPPED_BODY_BYTES, DROPPED_BODY_TIME};
use crate::upstream::Lease;

/// Version of the policy that goes into every message's context.
const POLICY: &str = "1";

/// Handles one request on a sealed route.
pub(crate) async fn seal(
    asked: Asked<'_>,
    sealed: &SealedSettings,
    request: Request<Incoming>,
    body_len: BodyLen,
) -> Answer {
    if sealed.readers == Readers::Mtls && asked.record.log.facts.peer_certificate.is_none() {
        return asked.refuse(Cause::NotAuthenticated, "no client certificate".to_owned());
    }
    let (mut parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_RANGE) {
        return asked.refuse(Cause::PartialWrite, "Content-Range in a request".to_owned());
    }
    seal_request(&mut parts.headers);
    parts.uri = match canonical_uri(&asked.path, parts.uri.query()) {
        Some(uri) => uri,
        None => return asked.refuse(Cause::BadPath, "the path is no URI".to_owned()),
    };
    let method = parts.method.clone();
    // Also for a request without a body: without keys nothing is asked of the service.
    let keyring = match asked.keyring().await {
        Ok(keyring) => keyring,
        Err(no_keys) => return asked.refuse_without_keys(&no_keys),
    };
    let body = match request_body(&asked, sealed, &keyring, body, body_len) {
        Ok(body) => body,
        Err((cause, detail)) => return asked.refuse(cause, detail),
    };
    // The answer is another message, which may come much later.
    drop(keyring);
    announce_length(&mut parts.headers, &body);
    let repeat = asked.repeat(&body);
    let answered = exchange(
        &asked.route.pool,
        Request::from_parts(parts, body),
        repeat,
        &asked.record.progress,
        asked.timeouts,
        asked.buffers,
    );
    match answered.await {
        Ok((response, lease)) => {
            let (parts, body) = response.into_parts();
            answer_to(asked, sealed, &method, parts, body, lease).await
        }
        Err(no_answer) => asked.refuse(no_answer.cause, no_answer.detail),
    }
}

/// The request's body, sealed; a PUT, POST or PATCH without one stores an empty object, which is
/// sealed too.
fn request_body(
    asked: &Asked<'_>,
    settings: &SealedSettings,
    keyring: &LocalKeyring,
    body: Incoming,
    body_len: BodyLen,
) -> Result<RequestBody, (Cause, String)> {
    let stores = matches!(asked.method, Method::PUT | Method::POST | Method::PATCH);
    let (plaintext, plaintext_len) = match body_len {
        // Some clients say of a DELETE that its body is empty: then it has none.
        BodyLen::None | BodyLen::Known(0) if !stores => return Ok(RequestBody::empty()),
        BodyLen::None | BodyLen::Known(0) => (None, Some(0)),
        BodyLen::Known(len) => (Some(body), Some(len)),
        BodyLen::Unknown => (Some(body), None),
    };
    // Both are one of a few small values: the configuration was checked.
    let frame_len = u32::try_from(settings.frame_len_bytes).unwrap_or(u32::MAX);
    let header_len = u32::try_from(settings.header_len_bytes).unwrap_or(u32::MAX);
    let sealed_len = match plaintext_len {
        None => None,
        Some(len) => {
            let len = sizes::sealed_len(len, u64::from(header_len), frame_len);
            Some(len.ok_or((
                Cause::TooLarge,
                "more frames than a message can have".to_owned(),
            ))?)
        }
    };
    let context = keyring
        .context(POLICY, &asked.path)
        .map_err(|error| (Cause::PathTooLong, error.to_string()))?;
    let layout = SealSettings {
        frame_len_bytes: frame_len,
        header_len_bytes: Some(header_len),
    };
    let begun = keyring.seal_begin(&context, layout).map_err(|error| {
        let cause = match &error {
            SealBeginError::Seal(SealError::HeaderTooLong { .. }) => Cause::PathTooLong,
            _ => Cause::SealFailed,
        };
        (cause, error.to_string())
    })?;
    let progress = asked.record.progress.clone();
    Ok(RequestBody::seal(
        plaintext,
        begun,
        sealed_len,
        progress,
        asked.record.counters.clone(),
    ))
}

/// The answer to the client.
async fn answer_to(
    asked: Asked<'_>,
    sealed: &SealedSettings,
    method: &Method,
    parts: Parts,
    body: Incoming,
    lease: Lease<RequestBody>,
) -> Answer {
    let status = parts.status;
    let sealed_len = announced_len(&parts.headers);
    let mut headers = parts.headers;
    strip_hop_by_hop(&mut headers);
    open_response(&mut headers);
    if status.is_informational() {
        let detail = format!("an unasked {}", status.as_u16());
        return asked.refuse(Cause::UpstreamInvalid, detail);
    }
    if status.is_client_error() || status.is_server_error() {
        discard(body, lease);
        let detail = format!("the upstream answered {}", status.as_u16());
        return asked.refuse_with(Cause::UpstreamStatus, Some(status), detail);
    }
    let head = Head { status, headers };
    if *method == Method::HEAD {
        return answer_to_head(asked, sealed, head, sealed_len, lease);
    }
    let no_body =
        body.is_end_stream() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let redirects = status.is_redirection();
    if *method == Method::GET && !redirects {
        if status == StatusCode::PARTIAL_CONTENT || status == StatusCode::NO_CONTENT {
            let detail = format!("{} where the whole object was asked", status.as_u16());
            return asked.refuse(Cause::NotAnEnvelope, detail);
        }
        return open(asked, head, body, sealed_len, lease).await;
    }
    if no_body || redirects {
        discard_or_keep(body, lease);
        return answer::without_body(head, asked.record, asked.abort);
    }
    // The answer to a write. What is sealed is opened; the backend's own words ("created") are not
    // for the client, and nothing was asked for that they could stand in for.
    if sealed_len.is_some_and(|len| len < sealed.header_len_bytes as u64) {
        discard(body, lease);
        return answer::without_body(head, asked.record, asked.abort);
    }
    match OpenBody::begin(body, &asked, sealed_len).await {
        Ok(opened) => answer::open(head, opened, asked.record, lease, asked.abort),
        Err(OpenError::Refused(refusal)) if !is_damage(&refusal) => {
            // Where the body was too short for a header, all of it was read.
            if refusal.reason == RefusalReason::HeaderCutShort {
                lease.give_back();
            }
            answer::without_body(head, asked.record, asked.abort)
        }
        Err(error) => refuse_unopened(asked, &error),
    }
}

async fn open(
    asked: Asked<'_>,
    head: Head,
    body: Incoming,
    sealed_len: Option<u64>,
    lease: Lease<RequestBody>,
) -> Answer {
    match OpenBody::begin(body, &asked, sealed_len).await {
        Ok(opened) => answer::open(head, opened, asked.record, lease, asked.abort),
        Err(error) => refuse_unopened(asked, &error),
    }
}

fn refuse_unopened(asked: Asked<'_>, error: &OpenError) -> Answer {
    match error {
        OpenError::NoKeys(no_keys) => asked.refuse_without_keys(no_keys),
        error => asked.refuse(cause(error), error.to_string()),
    }
}

/// Sizes are arithmetic: the plaintext's length follows from the message's.
fn answer_to_head(
    asked: Asked<'_>,
    sealed: &SealedSettings,
    mut head: Head,
    sealed_len: Option<u64>,
    lease: Lease<RequestBody>,
) -> Answer {
    if let Some(sealed_len) = sealed_len.filter(|_| head.status == StatusCode::OK) {
        let frame_len = u32::try_from(sealed.frame_len_bytes).unwrap_or(u32::MAX);
        let header_len = sealed.header_len_bytes as u64;
        let Some(len) = sizes::opened_len(sealed_len, header_len, frame_len) else {
            lease.give_back();
            let detail = format!("no envelope of this route is {sealed_len} bytes long");
            return asked.refuse(Cause::NotAnEnvelope, detail);
        };
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
    }
    answer::empty(head, asked.record, lease, asked.abort)
}

fn announced_len(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What an envelope that cannot be opened comes down to.
fn cause(error: &OpenError) -> Cause {
    use sealgate_keys::OpenBeginError;
    match error {
        OpenError::Upstream(_) => Cause::UpstreamTruncated,
        OpenError::NotOurs(
            OpenBeginError::WrappedKeyNotAuthentic { .. } | OpenBeginError::Refused(_),
        ) => Cause::NotVerified,
        OpenError::Refused(refusal) if is_damage(refusal) => Cause::NotVerified,
        OpenError::Refused(_) | OpenError::NotOurs(_) | OpenError::Length { .. } => {
            Cause::NotAnEnvelope
        }
        OpenError::NotAsAnnounced => Cause::NotVerified,
        OpenError::PathTooLong => Cause::PathTooLong,
        OpenError::NoKeys(no_keys) => no_keys.cause(),
    }
}

/// Whether it is an envelope of ours, but not as we wrote it.
fn is_damage(refusal: &Refusal) -> bool {
    use RefusalReason::{
        CommitmentMismatch, FinalFrameMissing, FrameTagMismatch, HeaderTagMismatch,
        SignatureMismatch,
    };
    matches!(
        refusal.reason,
        CommitmentMismatch
            | HeaderTagMismatch
            | FrameTagMismatch { .. }
            | FinalFrameMissing
            | SignatureMismatch
    )
}

fn canonical_uri(path: &str, query: Option<&str>) -> Option<Uri> {
    match query {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

fn discard_or_keep(body: Incoming, lease: Lease<RequestBody>) {
    if body.is_end_stream() {
        lease.give_back();
    } else {
        discard(body, lease);
    }
}

/// Reads a body that nobody wants, within bounds, so that its connection can be used again.
fn discard(mut body: Incoming, lease: Lease<RequestBody>) {
    let reading = async move {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DROPPED_BODY_BYTES {
                return;
            }
        }
        lease.give_back();
    };
    // Nothing of the ring is pending in there.
    spawn(tokio::time::timeout(DROPPED_BODY_TIME, reading));
}
