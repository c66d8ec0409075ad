//! Listeners and admission: what is decided before any cryptography.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealgate_uring::{Listener, Socket};

use crate::error::Cause;
use crate::limits::{ACCEPT_REST, LISTEN_BACKLOG};
use crate::metrics::Counters;

/// One listener: a name and the addresses it binds.
pub struct ListenerSettings {
    /// Its name in logs, metrics and routes; unique.
    pub name: String,
    /// At least one address; `[::]` binds IPv6 only, so that `0.0.0.0` can stand beside it.
    pub addresses: Vec<SocketAddr>,
}

/// Whether anybody listens on `address` already.
///
/// SO_REUSEPORT, which lets our workers share an address, would let a second gateway share it too
/// and take half of the connections in silence.
///
/// # Errors
/// What `bind(2)` says: in use, not ours, not permitted.
pub fn probe(address: SocketAddr) -> io::Result<()> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    if domain == socket2::Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

/// A worker's own listener on `address`.
///
/// # Errors
/// What `bind(2)` says.
pub fn bind(address: SocketAddr) -> io::Result<Listener> {
    Listener::bind(address, LISTEN_BACKLOG)
}

/// A connection's place among those that are open; given back when dropped.
pub struct Admission {
    open: Rc<Cell<usize>>,
    counters: Arc<Counters>,
}

/// Hands out places for connections of one worker.
pub struct Gate {
    open: Rc<Cell<usize>>,
    most: usize,
    counters: Arc<Counters>,
}

impl Gate {
    /// A gate with `most` places.
    pub fn new(most: usize, counters: Arc<Counters>) -> Gate {
        Gate {
            open: Rc::new(Cell::new(0)),
            most,
            counters,
        }
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// A place for one more connection, where there is one.
    ///
    /// # Errors
    /// [`Cause::ConnectionLimit`].
    pub fn admit(&self) -> Result<Admission, Cause> {
        if self.open.get() >= self.most {
            return Err(Cause::ConnectionLimit);
        }
        self.open.set(self.open.get() + 1);
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        Ok(Admission {
            open: Rc::clone(&self.open),
            counters: Arc::clone(&self.counters),
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until the listener is closed; gives each connection to `serve`, which must not wait.
pub async fn accept_all(listener: Listener, serve: impl Fn(Socket, SocketAddr)) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => serve(socket, peer),
            // Closed.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(error) if out_of_descriptors(&error) => {
                tracing::warn!(%error, "cannot accept: raise the limit of open files");
                tokio::time::sleep(ACCEPT_REST).await;
            }
            // The client was gone before we looked.
            Err(error) => tracing::debug!(%error, "a connection was lost before it was accepted"),
        }
    }
}

fn out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
