//! One HTTP/1.1 connection of the generator, and one exchange on it.

use std::pin::pin;

use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::{Body, Incoming},
    client::conn::http1::{self, SendRequest},
    http::request::Parts,
};
use sealgate_uring::spawn;

use super::{
    body::PatternBody,
    failure::{Cause, Failure, Phase},
};
use crate::worker::slot::{Connection, Slot};

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Complete.
    Complete,
    /// Complete, with a status below 400.
    Status,
    /// Complete, with a status below 400, and this long.
    Length(u64),
}

/// The request that is sent again and again.
#[derive(Debug, Clone)]
pub struct Template {
    /// Method, target and header fields.
    head: Parts,
    /// Bytes of its body.
    pub body_len: u64,
    /// What the answer has to be.
    pub check: Check,
}

impl Template {
    /// A request with this method, path and header fields.
    pub fn new(method: Method, path: Uri, headers: HeaderMap, body_len: u64, check: Check) -> Self {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = method;
        head.uri = path;
        head.headers = headers;
        Self {
            head,
            body_len,
            check,
        }
    }

    /// Method of the request.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    fn request(&self) -> Request<PatternBody> {
        Request::from_parts(self.head.clone(), PatternBody::new(self.body_len))
    }
}

/// A connection that speaks HTTP/1.1.
#[derive(Debug)]
pub struct HttpConnection {
    sender: SendRequest<PatternBody>,
}

impl HttpConnection {
    /// Starts to speak HTTP on `connection`.
    ///
    /// # Errors
    ///
    /// When the connection is gone already.
    pub async fn open(slot: &Slot, connection: Connection) -> Result<Self, Failure> {
        let (sender, driver) = http1::handshake(connection.stream.into_hyper())
            .await
            .map_err(|error| slot.blame(Phase::Send, Cause::Http(error)))?;
        // What ends the driver ends the exchange too, which tells of it.
        spawn(async move { driver.await.is_ok() });
        Ok(Self { sender })
    }

    /// Whether the connection takes another request; waits until that is known.
    pub async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends the request and reads the answer to its end; returns the bytes of its body.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the answer is not what it has to be. `Status` failures
    /// leave the connection usable.
    pub async fn exchange(&mut self, slot: &Slot, template: &Template) -> Result<u64, Failure> {
        let response = self
            .sender
            .send_request(template.request())
            .await
            .map_err(|error| slot.blame(Phase::Send, Cause::Http(error)))?;
        slot.progress();
        let status = response.status();
        *slot
            .worker
            .tally
            .borrow_mut()
            .statuses
            .entry(status.as_u16())
            .or_default() += 1;
        let found = drain(slot, response.into_body()).await?;
        if template.check != Check::Complete && is_failure(status) {
            return Err(Failure::new(Phase::Check, Cause::Status(status.as_u16())));
        }
        match template.check {
            Check::Length(expected) if expected != found => Err(Failure::new(
                Phase::Check,
                Cause::WrongLength { expected, found },
            )),
            _ => Ok(found),
        }
    }
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

async fn drain(slot: &Slot, body: Incoming) -> Result<u64, Failure> {
    let mut body = pin!(body);
    let mut received = 0;
    loop {
        if body.is_end_stream() {
            return Ok(received);
        }
        match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            None => return Ok(received),
            Some(Ok(frame)) => {
                slot.progress();
                received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Some(Err(error)) => return Err(slot.blame(Phase::Receive, Cause::Http(error))),
        }
    }
}
