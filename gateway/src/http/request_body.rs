//! Bodies on their way to a service: none, as they come, or sealed.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use sealgate_envelope::{SealError, Sealer};
use tokio::time::Instant;

use super::pace::Busy;
use crate::metrics::{Class, Counters};

/// What request and response of one exchange tell each other and the log.
pub(crate) struct Progress {
    /// Payload bytes from the client.
    pub(crate) bytes_in: Cell<u64>,
    /// When the request body ended: from then on the service has to answer in time.
    pub(crate) body_ended: Cell<Option<Instant>>,
    /// Whether the client's body broke off.
    pub(crate) client_failed: Cell<bool>,
    /// The exchange, which lasts as long as this.
    pub(crate) busy: Busy,
}

impl Progress {
    pub(crate) fn new(busy: Busy) -> Rc<Progress> {
        Rc::new(Progress {
            bytes_in: Cell::new(0),
            body_ended: Cell::new(None),
            client_failed: Cell::new(false),
            busy,
        })
    }
}

/// A request body towards a service.
pub struct RequestBody {
    kind: Kind,
    counted: Option<Counted>,
}

enum Kind {
    Empty,
    Forward(Incoming),
    Seal(Box<SealBody>),
}

struct Counted {
    progress: Rc<Progress>,
    counters: std::sync::Arc<Counters>,
    class: Class,
}

struct SealBody {
    plaintext: Option<Incoming>,
    sealer: Option<Sealer>,
    /// The header, until it is sent.
    header: Vec<u8>,
    /// Sealed length in all, where the plaintext's is known.
    sealed_len: Option<u64>,
    sent: u64,
}

/// Why a request body broke off.
#[derive(Debug)]
pub enum RequestBodyError {
    /// The client's body did.
    Client(hyper::Error),
    /// It cannot be sealed.
    Seal(SealError),
}

impl fmt::Display for RequestBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestBodyError::Client(error) => write!(f, "the client's body: {error}"),
            RequestBodyError::Seal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RequestBodyError {}

impl RequestBody {
    /// No body.
    pub(crate) fn empty() -> RequestBody {
        RequestBody {
            kind: Kind::Empty,
            counted: None,
        }
    }

    /// The client's body as it comes.
    pub(crate) fn forward(
        body: Incoming,
        progress: Rc<Progress>,
        counters: std::sync::Arc<Counters>,
    ) -> RequestBody {
        let counted = Counted {
            progress,
            counters,
            class: Class::Terminated,
        };
        RequestBody {
            kind: Kind::Forward(body),
            counted: Some(counted),
        }
    }

    /// The client's body, sealed. `plaintext`: `None` where it has none, which is sealed too.
    pub(crate) fn seal(
        plaintext: Option<Incoming>,
        (sealer, header): (Sealer, Vec<u8>),
        sealed_len: Option<u64>,
        progress: Rc<Progress>,
        counters: std::sync::Arc<Counters>,
    ) -> RequestBody {
        let counted = Counted {
            progress,
            counters,
            class: Class::Sealed,
        };
        let body = SealBody {
            plaintext,
            sealer: Some(sealer),
            header,
            sealed_len,
            sent: 0,
        };
        RequestBody {
            kind: Kind::Seal(Box::new(body)),
            counted: Some(counted),
        }
    }
}

impl Counted {
    fn moved(&self, n: u64) {
        self.progress.bytes_in.set(self.progress.bytes_in.get() + n);
        self.counters.bytes_in(self.class, n);
    }
}

/// hyper lets go of a body once all of it is sent.
impl Drop for Counted {
    fn drop(&mut self) {
        self.progress.body_ended.set(Some(Instant::now()));
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        let polled = match &mut this.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Forward(body) => poll_plaintext(body, cx, this.counted.as_ref()),
            Kind::Seal(body) => body.poll_sealed(cx, this.counted.as_ref()),
        };
        if let (Poll::Ready(Some(Err(RequestBodyError::Client(_)))), Some(counted)) =
            (&polled, &this.counted)
        {
            counted.progress.client_failed.set(true);
        }
        polled.map(|result| result.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Forward(body) => body.is_end_stream(),
            Kind::Seal(body) => body.sealer.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Forward(body) => body.size_hint(),
            Kind::Seal(body) => match body.sealed_len {
                Some(len) => SizeHint::with_exact(len.saturating_sub(body.sent)),
                None => SizeHint::default(),
            },
        }
    }
}

/// The next bytes of a client's body; trailers are dropped, since they may not cross.
fn poll_plaintext(
    body: &mut Incoming,
    cx: &mut Context<'_>,
    counted: Option<&Counted>,
) -> Poll<Option<Result<Bytes, RequestBodyError>>> {
    loop {
        let polled = Pin::new(&mut *body).poll_frame(cx);
        return match std::task::ready!(polled) {
            None => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(RequestBodyError::Client(error)))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => {
                    if let Some(counted) = counted {
                        counted.moved(bytes.len() as u64);
                    }
                    Poll::Ready(Some(Ok(bytes)))
                }
                Err(_trailers) => continue,
            },
        };
    }
}

impl SealBody {
    fn poll_sealed(
        &mut self,
        cx: &mut Context<'_>,
        counted: Option<&Counted>,
    ) -> Poll<Option<Result<Bytes, RequestBodyError>>> {
        loop {
            let Some(sealer) = &mut self.sealer else {
                return Poll::Ready(None);
            };
            let polled = match &mut self.plaintext {
                Some(body) => poll_plaintext(body, cx, counted),
                None => Poll::Ready(None),
            };
            let mut out = std::mem::take(&mut self.header);
            let sealed = match polled {
                Poll::Pending if !out.is_empty() => Ok(()),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(bytes))) => {
                    out.reserve(sealer.output_len_most(bytes.len()));
                    sealer.write(&bytes, &mut out)
                }
                Poll::Ready(None) => {
                    let last = self.sealer.take().expect("it was there a moment ago");
                    last.finish(&mut out)
                }
            };
            if let Err(error) = sealed {
                return Poll::Ready(Some(Err(RequestBodyError::Seal(error))));
            }
            if !out.is_empty() {
                self.sent += out.len() as u64;
                return Poll::Ready(Some(Ok(Bytes::from(out))));
            }
            // Less than a frame so far.
        }
    }
}
