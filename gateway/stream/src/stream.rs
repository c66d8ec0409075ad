//! A connected stream, plain or TLS.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use sealgate_tls::{ClientHello, Facts, Session, client_session, server_session};
use sealgate_uring::{Buf, Pool, Socket};
use tokio::sync::Mutex;

use crate::error::HandshakeError;
use crate::halves::{ReadHalf, WriteHalf};
use crate::handshake::{accept_hello, drive};
use crate::hyper_io::HyperIo;
use crate::record_size::RecordSize;

/// A connected stream, plain TCP or TLS; its handshake is done.
pub struct Stream {
    pub(crate) socket: Socket,
    pub(crate) pool: Pool,
    pub(crate) tls: Option<Tls>,
}

/// The TLS part of a stream.
pub(crate) struct Tls {
    pub(crate) shared: Rc<SharedSession>,
    /// Boxed: they are read once, and a stream is moved.
    pub(crate) facts: Option<Box<Facts>>,
    /// What came behind the handshake.
    pub(crate) received: Option<Buf>,
}

/// A session that both halves use.
pub(crate) struct SharedSession {
    pub(crate) session: RefCell<Box<dyn Session>>,
    /// Held from sealing until sent: records have to leave in the order in which they were sealed,
    /// and the reading half sends too (alerts, KeyUpdate answers).
    pub(crate) sending: Mutex<()>,
    /// Of what is sealed next.
    pub(crate) size: RefCell<RecordSize>,
}

impl Stream {
    /// A plain TCP stream.
    pub fn plain(socket: Socket, pool: Pool) -> Stream {
        Stream {
            socket,
            pool,
            tls: None,
        }
    }

    /// A client's TLS handshake with the server called `name`.
    ///
    /// # Errors
    /// [`HandshakeError`]; the socket is of no more use then.
    pub async fn connect_tls(
        socket: Socket,
        pool: Pool,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Stream, HandshakeError> {
        let session = client_session(config, name).map_err(HandshakeError::Tls)?;
        Stream::connect_session(socket, pool, session).await
    }

    /// The TLS handshake of a client's session that was made elsewhere.
    ///
    /// # Errors
    /// [`HandshakeError`]; the socket is of no more use then.
    pub async fn connect_session(
        socket: Socket,
        pool: Pool,
        session: impl Session + 'static,
    ) -> Result<Stream, HandshakeError> {
        drive(socket, pool, session, &[], async || ()).await
    }

    /// A server's TLS handshake with one configuration for all clients.
    ///
    /// # Errors
    /// [`HandshakeError`]; an alert was sent where there is one.
    pub async fn accept_tls(
        socket: Socket,
        pool: Pool,
        config: Arc<ServerConfig>,
    ) -> Result<Stream, HandshakeError> {
        let hello = accept_hello(&socket, &pool).await?;
        Stream::accept_with(socket, pool, config, &hello).await
    }

    /// A server's TLS handshake with the configuration chosen for `hello`, whose bytes are
    /// replayed.
    ///
    /// # Errors
    /// [`HandshakeError`]; an alert was sent where there is one.
    pub async fn accept_with(
        socket: Socket,
        pool: Pool,
        config: Arc<ServerConfig>,
        hello: &ClientHello,
    ) -> Result<Stream, HandshakeError> {
        Stream::accept_paced(socket, pool, config, hello, async || ()).await
    }

    /// The same; before it deals with what the client sends after its ClientHello, it waits for `go_on`, every time.
    ///
    /// # Errors
    /// [`HandshakeError`]; an alert was sent where there is one.
    pub async fn accept_paced(
        socket: Socket,
        pool: Pool,
        config: Arc<ServerConfig>,
        hello: &ClientHello,
        go_on: impl AsyncFn(),
    ) -> Result<Stream, HandshakeError> {
        let session = server_session(config).map_err(HandshakeError::Tls)?;
        drive(socket, pool, session, &hello.bytes, go_on).await
    }

    /// What the TLS handshake negotiated; `None` for plain TCP.
    pub fn facts(&self) -> Option<&Facts> {
        self.tls.as_ref()?.facts.as_deref()
    }

    /// The same, for who keeps it; the stream then forgets it.
    pub fn take_facts(&mut self) -> Option<Box<Facts>> {
        self.tls.as_mut()?.facts.take()
    }

    /// Whether something came behind the handshake already.
    pub fn has_received(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.received.is_some())
    }

    /// The socket, to reset it from elsewhere.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The two directions.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let (shared, received) = match self.tls {
            Some(tls) => (Some(tls.shared), tls.received),
            None => (None, None),
        };
        let read = ReadHalf::new(
            self.socket.clone(),
            self.pool.clone(),
            shared.clone(),
            received,
        );
        (read, WriteHalf::new(self.socket, self.pool, shared))
    }

    /// The stream as hyper wants it. Spawns its reader and writer on this thread's runtime.
    pub fn into_hyper(self) -> HyperIo {
        HyperIo::new(self)
    }
}
