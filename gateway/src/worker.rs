//! One worker: a pinned thread with its own ring, listeners, buffers, configuration and counters.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use core_affinity::CoreId;
use crossbeam_queue::ArrayQueue;
use sealgate_tls::EpochSecrets;
use sealgate_uring::{EventFd, EventFdSignal, Listener, Pool, Socket, StartError, run, spawn};
use tokio::sync::Notify;

use crate::accept::{Gate, accept_all, bind};
use crate::connection;
use crate::limits::LARGE_BUFFERS_PER_WORKER;
use crate::metrics::Counters;
use crate::settings::Settings;
use crate::snapshot::{BuildError, Snapshot};

/// What control tells a worker.
pub enum Message {
    /// Serve new connections under these settings; the listeners are the same.
    Reload(Arc<Settings>),
    /// Take no new connections; end when the open ones have, or after `timeouts.drain`.
    Drain,
}

/// Control's end of one worker.
pub struct WorkerHandle {
    /// Bounded; a full queue means that the worker is stuck.
    pub messages: Arc<ArrayQueue<Message>>,
    /// Wakes the worker after a push.
    pub signal: EventFdSignal,
    /// Its counters.
    pub counters: Arc<Counters>,
}

/// What a worker is started with.
pub struct WorkerSettings {
    /// The core it is pinned to.
    pub core: Option<CoreId>,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Its share of `limits.max_connections`.
    pub max_connections: usize,
    /// Ticket secrets of the process.
    pub secrets: Arc<EpochSecrets>,
}

/// Why a worker ended early.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No ring.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Settings that cannot be run; control tries them first, so this is a bug.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A listener cannot be bound, or an eventfd made.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the kernel said.
        error: std::io::Error,
    },
}

/// What the connections of one worker share.
pub struct Worker {
    /// Its buffers.
    pub pool: Pool,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// Set and announced when the worker drains.
    pub drain: Drain,
}

/// Tells connections that the worker drains.
#[derive(Default)]
pub struct Drain {
    begun: Cell<bool>,
    notify: Notify,
}

impl Drain {
    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// Waits until it begins.
    pub async fn begins(&self) {
        let notified = self.notify.notified();
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        if !self.begun.get() {
            notified.await;
        }
    }

    fn begin(&self) {
        self.begun.set(true);
        self.notify.notify_waiters();
    }
}

/// Runs a worker on this thread until it has drained. Returns how many connections were cut.
///
/// # Errors
/// [`WorkerError`], before `ready` is called.
pub fn run_worker(
    setup: WorkerSettings,
    handle: &WorkerHandle,
    ready: impl FnOnce(),
) -> Result<usize, WorkerError> {
    if let Some(core) = setup.core {
        core_affinity::set_for_current(core);
    }
    run(serve(setup, handle, ready))?
}

async fn serve(
    setup: WorkerSettings,
    handle: &WorkerHandle,
    ready: impl FnOnce(),
) -> Result<usize, WorkerError> {
    let event = EventFd::new(&handle.signal).map_err(|error| WorkerError::System {
        what: "eventfd".to_owned(),
        error,
    })?;
    let snapshot = Rc::new(Snapshot::build(
        Arc::clone(&setup.settings),
        &setup.secrets,
    )?);
    let snapshot = Rc::new(RefCell::new(snapshot));
    let worker = Rc::new(Worker {
        pool: Pool::new(LARGE_BUFFERS_PER_WORKER),
        counters: Arc::clone(&handle.counters),
        drain: Drain::default(),
    });
    let gate = Rc::new(Gate::new(
        setup.max_connections,
        Arc::clone(&handle.counters),
    ));
    let idle = Rc::new(Notify::new());
    let mut listeners = Vec::new();
    for (index, listener) in setup.settings.listeners.iter().enumerate() {
        for address in &listener.addresses {
            let bound = bind(*address).map_err(|error| WorkerError::System {
                what: format!("listener {} on {address}", listener.name),
                error,
            })?;
            listeners.push(bound.handle());
            spawn(accept_all(
                bound,
                taker(index, &worker, &snapshot, &gate, &idle),
            ));
        }
    }
    ready();
    loop {
        event.wait().await.map_err(|error| WorkerError::System {
            what: "eventfd".to_owned(),
            error,
        })?;
        while let Some(message) = handle.messages.pop() {
            match message {
                Message::Reload(settings) => {
                    *snapshot.borrow_mut() = Rc::new(Snapshot::build(settings, &setup.secrets)?);
                }
                Message::Drain => {
                    return Ok(drain(&listeners, &worker, &snapshot, &gate, &idle).await);
                }
            }
        }
    }
}

/// What a listener does with each connection it accepts.
fn taker(
    listener: usize,
    worker: &Rc<Worker>,
    snapshot: &Rc<RefCell<Rc<Snapshot>>>,
    gate: &Rc<Gate>,
    idle: &Rc<Notify>,
) -> impl Fn(Socket, SocketAddr) + use<> {
    let (worker, snapshot) = (Rc::clone(worker), Rc::clone(snapshot));
    let (gate, idle) = (Rc::clone(gate), Rc::clone(idle));
    move |socket, peer| match gate.admit() {
        Ok(admission) => {
            let serving = connection::serve(
                Rc::clone(&worker),
                Rc::clone(&snapshot.borrow()),
                listener,
                socket,
                peer,
                admission,
            );
            let (gate, idle) = (Rc::clone(&gate), Rc::clone(&idle));
            spawn(async move {
                serving.await;
                if gate.open() == 0 {
                    idle.notify_one();
                }
            });
        }
        Err(cause) => {
            worker.counters.error(cause);
            socket.reset();
        }
    }
}

/// Closes the listeners and waits for the open connections, but not longer than the grace period.
/// Returns how many are left.
async fn drain(
    listeners: &[Listener],
    worker: &Worker,
    snapshot: &RefCell<Rc<Snapshot>>,
    gate: &Gate,
    idle: &Notify,
) -> usize {
    for listener in listeners {
        listener.close();
    }
    worker.drain.begin();
    let grace = snapshot.borrow().settings.timeouts.drain;
    let emptied = async {
        while gate.open() > 0 {
            idle.notified().await;
        }
    };
    // Nothing of the ring is pending in there, so it may be dropped.
    let _ = tokio::time::timeout(grace, emptied).await;
    gate.open()
}
