//! The object store spoken over HTTP/1.1.
//!
//! It does not do conditional writes, several ranges, or listings.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
    rt::{Read, Write},
    service::service_fn,
};

use super::{
    delay::Delays,
    hooks,
    journal::{Entry, Journal},
    range::{self, Range},
    store::{Full, Object, Put, Store, Upload},
};
use crate::operation::http1::check;

/// The digest of a body on the wire (RFC 9530).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The digest of an object, whatever part of it is sent (RFC 9530).
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// What every connection of one origin shares.
#[derive(Debug)]
pub struct Shared {
    /// The objects.
    pub store: Store,
    /// One journal per thread.
    pub journals: Vec<Journal>,
    /// When the origin started.
    pub started: Instant,
    /// How long answers wait; none gives them at once.
    pub delays: Option<Delays>,
}

/// One connection's view of the origin.
#[derive(Debug, Clone)]
pub struct Site {
    /// What all threads share.
    pub shared: Arc<Shared>,
    /// Index of this thread's journal.
    pub thread: usize,
    /// Server name the client asked for.
    pub server_name: Option<Box<str>>,
}

impl Site {
    /// The journal of this thread.
    pub fn journal(&self) -> &Journal {
        &self.shared.journals[self.thread]
    }

    /// Lets an answer wait as long as was asked for.
    pub async fn delay(&self) {
        if let Some(delays) = &self.shared.delays {
            delays.wait(self.shared.started).await;
        }
    }
}

/// A response body: shared chunks with a known length.
#[derive(Debug)]
pub struct Chunks {
    chunks: std::vec::IntoIter<Bytes>,
    left: u64,
}

impl Chunks {
    /// The body made of `chunks` in their order.
    pub fn new(chunks: Vec<Bytes>) -> Self {
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self {
            chunks: chunks.into_iter(),
            left,
        }
    }

    /// The body with no bytes.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }
}

impl From<String> for Chunks {
    fn from(text: String) -> Self {
        Self::new(vec![Bytes::from(text)])
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.chunks.next().map(|chunk| {
            self.left -= chunk.len() as u64;
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Serves one connection until either side closes it.
///
/// # Errors
///
/// When the client breaks off or does not speak HTTP/1.1: the client's fault, always.
pub async fn serve<I: Read + Write + Unpin>(io: I, site: Site) -> Result<(), hyper::Error> {
    let site = Rc::new(site);
    let service = service_fn(move |request| {
        let site = Rc::clone(&site);
        async move { answer(&site, request).await }
    });
    hyper::server::conn::http1::Builder::new()
        // A client may send FIN behind its last request and still wait for the answer.
        .half_close(true)
        .serve_connection(io, service)
        .await
}

async fn answer(site: &Site, request: Request<Incoming>) -> Result<Response<Chunks>, hyper::Error> {
    let at = site.shared.started.elapsed();
    let (mut parts, body) = request.into_parts();
    if let Some(hook) = parts.uri.path().strip_prefix(hooks::PREFIX) {
        return Ok(hooks::answer(
            &site.shared,
            &parts.method,
            hook,
            parts.uri.query(),
        ));
    }
    let mut body_len = 0;
    let response = match parts.method {
        Method::GET | Method::HEAD => get(&site.shared.store, &parts),
        Method::PUT => put(&site.shared.store, &parts, body, &mut body_len).await?,
        Method::POST => echo(&site.shared.store, body, &mut body_len).await?,
        Method::DELETE => status(match site.shared.store.delete(parts.uri.path()) {
            true => StatusCode::NO_CONTENT,
            false => StatusCode::NOT_FOUND,
        }),
        _ => {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            let allow = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE");
            response.headers_mut().insert(header::ALLOW, allow);
            response
        }
    };
    let journal = site.journal();
    journal.counters.requests.add(1);
    journal.counters.request_body_bytes.add(body_len);
    journal.record(Entry {
        at,
        method: parts.method,
        target: parts.uri,
        headers: std::mem::take(&mut parts.headers),
        body_len,
        status: response.status().as_u16(),
        server_name: site.server_name.clone(),
    });
    site.delay().await;
    Ok(response)
}

fn get(store: &Store, parts: &Parts) -> Response<Chunks> {
    let Some(object) = store.find(parts.uri.path()) else {
        return status(StatusCode::NOT_FOUND);
    };
    let etag = object.etag();
    if field(parts, header::IF_NONE_MATCH).is_some_and(|list| names(list, &etag)) {
        return with_etag(status(StatusCode::NOT_MODIFIED), &etag);
    }
    let wanted = match field(parts, header::RANGE) {
        // Only GET has ranges, and `If-Range` takes them back (RFC 9110 §13.1.5, §14.2).
        Some(wanted)
            if parts.method == Method::GET
                && field(parts, header::IF_RANGE).is_none_or(|tag| tag == etag) =>
        {
            range::parse(wanted, object.len())
        }
        _ => Range::Whole,
    };
    whole_or_part(&object, wanted, &etag)
}

/// Answers with the bytes of `object` that `wanted` names.
pub fn whole_or_part(object: &Object, wanted: Range, etag: &str) -> Response<Chunks> {
    let len = object.len();
    let (status, start, end) = match wanted {
        Range::Whole => (StatusCode::OK, 0, len),
        Range::Part { start, end } => (StatusCode::PARTIAL_CONTENT, start, end),
        Range::Unsatisfiable => {
            let mut response = self::status(StatusCode::RANGE_NOT_SATISFIABLE);
            set(
                response.headers_mut(),
                header::CONTENT_RANGE,
                &format!("bytes */{len}"),
            );
            return response;
        }
    };
    let mut response = Response::new(Chunks::new(object.slice(start, end)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(object.headers().clone());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = end - 1;
        set(
            headers,
            header::CONTENT_RANGE,
            &format!("bytes {start}-{last}/{len}"),
        );
    }
    with_etag(response, etag)
}

async fn put(
    store: &Store,
    parts: &Parts,
    body: Incoming,
    body_len: &mut u64,
) -> Result<Response<Chunks>, hyper::Error> {
    let Some(upload) = receive(store, body, body_len).await? else {
        return Ok(status(StatusCode::INSUFFICIENT_STORAGE));
    };
    let mut headers = kept(&parts.headers);
    if let Some(digest) = parts.headers.get(CONTENT_DIGEST) {
        // What arrived has to be what was sent; whoever gets it can see whether it still is.
        if check::parse_digest(digest.as_bytes()) != Some(upload.sha256()) {
            return Ok(status(StatusCode::BAD_REQUEST));
        }
        headers.insert(REPR_DIGEST, digest.clone());
    }
    let (object, put) = store.put(parts.uri.path(), upload, headers);
    let response = status(match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::NO_CONTENT,
    });
    Ok(with_etag(response, &object.etag()))
}

/// Answers with the body of the request, and stores nothing.
async fn echo(
    store: &Store,
    body: Incoming,
    body_len: &mut u64,
) -> Result<Response<Chunks>, hyper::Error> {
    Ok(match receive(store, body, body_len).await? {
        Some(upload) => Response::new(Chunks::new(upload.into_chunks())),
        None => status(StatusCode::INSUFFICIENT_STORAGE),
    })
}

/// The whole body of a request; none when the store has no room for it.
async fn receive(
    store: &Store,
    body: Incoming,
    body_len: &mut u64,
) -> Result<Option<Upload>, hyper::Error> {
    let Ok(mut upload) = store.upload(body.size_hint().exact()) else {
        return Ok(None);
    };
    let mut body = pin!(body);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Trailers are read and dropped.
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        *body_len += data.len() as u64;
        if let Err(Full { .. }) = upload.push(&data) {
            return Ok(None);
        }
    }
    Ok(Some(upload))
}

/// The fields that describe the object and come back with it.
fn kept(headers: &HeaderMap) -> HeaderMap {
    const KEPT: [HeaderName; 5] = [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_DISPOSITION,
        header::CACHE_CONTROL,
    ];
    headers
        .iter()
        .filter(|(name, _)| KEPT.contains(name) || name.as_str().starts_with("x-amz-meta-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A response with `code` and no body.
pub fn status(code: StatusCode) -> Response<Chunks> {
    let mut response = Response::new(Chunks::none());
    *response.status_mut() = code;
    response
}

fn with_etag(mut response: Response<Chunks>, etag: &str) -> Response<Chunks> {
    set(response.headers_mut(), header::ETAG, etag);
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("made of digits and ASCII punctuation");
    headers.insert(name, value);
}

fn field(parts: &Parts, name: HeaderName) -> Option<&str> {
    parts.headers.get(name)?.to_str().ok()
}

/// Whether `If-None-Match: list` names `etag`, by weak comparison (RFC 9110 §8.8.3.2).
fn names(list: &str, etag: &str) -> bool {
    list.split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}
