//! Keep-alive HTTP connections to one upstream, of one tenant and one worker.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::rc::{Rc, Weak};
use std::time::Duration;

use hyper::body::Body;
use hyper::client::conn::http1::{Builder, SendRequest};
use sealgate_stream::AbortHandle;
use sealgate_uring::{Pool, spawn};
use tokio::time::Instant;

use super::{ConnectError, Upstream};
use crate::limits::{HTTP_BUFFER_BYTES, UPSTREAM_IDLE};

/// The connections; `B` is the body of requests. Shared by `Rc`: leases come back to it.
pub struct HttpPool<B> {
    upstream: Upstream,
    idle: RefCell<Vec<Idle<B>>>,
    most_idle: usize,
    most_leased: usize,
    leased: Cell<usize>,
    /// Whether a task sweeps the idle connections.
    sweeping: Cell<bool>,
}

struct Idle<B> {
    connection: Connection<B>,
    since: Instant,
}

struct Connection<B> {
    sender: SendRequest<B>,
    abort: AbortHandle,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum LeaseError {
    /// No address answers.
    Connect(ConnectError),
    /// Too many requests wait for this upstream already.
    Busy,
    /// hyper would not begin; with what it said.
    Http(hyper::Error),
}

/// A connection for one request. Dropped, it is closed; [`give_back`](Lease::give_back) keeps it.
pub struct Lease<B> {
    connection: Option<Connection<B>>,
    pool: Rc<HttpPool<B>>,
    /// Whether it has carried a request before: the upstream may have closed it meanwhile.
    pub reused: bool,
}

/// Whether an idle connection may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// It may.
    Allowed,
    /// A reused one failed: this time a new one.
    No,
}

impl<B> HttpPool<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + 'static,
{
    /// An empty pool that keeps at most `most_idle` idle connections and lends at most `most_leased`.
    pub fn new(upstream: Upstream, most_idle: usize, most_leased: usize) -> HttpPool<B> {
        HttpPool {
            upstream,
            idle: RefCell::default(),
            most_idle,
            most_leased,
            leased: Cell::new(0),
            sweeping: Cell::new(false),
        }
    }

    /// An idle connection, or a new one made within `limit` per address.
    ///
    /// # Errors
    /// [`LeaseError`]
    pub async fn lease(
        self: &Rc<Self>,
        reuse: Reuse,
        buffers: &Pool,
        limit: Duration,
    ) -> Result<Lease<B>, LeaseError> {
        if reuse == Reuse::Allowed
            && let Some(connection) = self.take_idle()
        {
            return Ok(self.lend(Some(connection), true));
        }
        if self.leased.get() >= self.most_leased {
            return Err(LeaseError::Busy);
        }
        // Counted from here on: a request that waits for a connection is one that waits.
        let mut lease = self.lend(None, false);
        // In a task of its own: if the request is given up meanwhile, the ring operations still
        // run to their end.
        let (pool, buffers) = (Rc::clone(self), buffers.clone());
        let connecting = spawn(async move { pool.upstream.connect(&buffers, limit).await });
        let stream = connecting
            .await
            .expect("the task neither panics nor is aborted")
            .map_err(LeaseError::Connect)?;
        let io = stream.into_hyper();
        let abort = io.abort_handle();
        let handshake = Builder::new()
            .max_buf_size(HTTP_BUFFER_BYTES)
            .handshake(io)
            .await;
        let (sender, driver) = handshake.map_err(LeaseError::Http)?;
        let pool = Rc::downgrade(self);
        spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "an upstream connection failed");
            }
            // A connection that the service has closed gives its descriptor back at once.
            if let Some(pool) = pool.upgrade() {
                pool.sweep();
            }
        });
        lease.connection = Some(Connection { sender, abort });
        Ok(lease)
    }

    fn lend(self: &Rc<Self>, connection: Option<Connection<B>>, reused: bool) -> Lease<B> {
        self.leased.set(self.leased.get() + 1);
        Lease {
            connection,
            pool: Rc::clone(self),
            reused,
        }
    }

    /// The connection that was idle the shortest, of those that are still good.
    fn take_idle(&self) -> Option<Connection<B>> {
        self.sweep();
        let mut idle = self.idle.borrow_mut();
        // One that just came back may not be ready yet: hyper is still finishing its last request.
        let at = idle
            .iter()
            .rposition(|idle| idle.connection.sender.is_ready())?;
        Some(idle.remove(at).connection)
    }
}

impl<B> HttpPool<B> {
    /// Lets go of idle connections that are closed or too old.
    fn sweep(&self) {
        self.idle.borrow_mut().retain(|idle| {
            !idle.connection.sender.is_closed() && idle.since.elapsed() < UPSTREAM_IDLE
        });
    }
}

impl<B: 'static> Lease<B> {
    /// The connection's sender.
    pub fn sender(&mut self) -> &mut SendRequest<B> {
        &mut self
            .connection
            .as_mut()
            .expect("it is there until give_back or drop")
            .sender
    }

    /// Keeps the connection for another request: the response was read to its end.
    pub fn give_back(mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let mut idle = self.pool.idle.borrow_mut();
        if !connection.sender.is_closed() && idle.len() < self.pool.most_idle {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
            if !self.pool.sweeping.replace(true) {
                spawn(sweep_while_idle(Rc::downgrade(&self.pool)));
            }
        }
    }
}

/// Sweeps a pool from time to time for as long as it has idle connections.
async fn sweep_while_idle<B>(pool: Weak<HttpPool<B>>) {
    loop {
        tokio::time::sleep(UPSTREAM_IDLE / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep();
        if pool.idle.borrow().is_empty() {
            pool.sweeping.set(false);
            return;
        }
    }
}

impl<B> Drop for Lease<B> {
    fn drop(&mut self) {
        self.pool.leased.set(self.pool.leased.get() - 1);
        if let Some(connection) = self.connection.take() {
            // What is on its way, a request body cut short above all, must not look complete.
            connection.abort.abort();
        }
    }
}
