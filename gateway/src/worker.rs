//! One worker: a pinned thread with its own ring, listeners, buffers, configuration and counters.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use core_affinity::CoreId;
use crossbeam_queue::ArrayQueue;
use sealgate_tls::EpochSecrets;
use sealgate_uring::{
    EventFd, EventFdSignal, Listener, Pool, Receive, Socket, StartError, run_with, spawn,
};
use tokio::sync::{Notify, mpsc};

use crate::accept::{Gate, accept_all, bind};
use crate::connection;
use crate::handshake::Turnstile;
use crate::limits::{BUFFERS_LOOK, DRAIN_CUT, LARGE_BUFFERS_PER_WORKER};
use crate::metrics::Counters;
use crate::settings::Settings;
use crate::snapshot::{BuildError, Snapshot};
use crate::tenant::{Keys, SharedKeys};

/// What control tells a worker.
pub enum Message {
    /// Serve new connections under these settings, and say so.
    Reload {
        /// The settings; control has tried them.
        settings: Arc<Settings>,
        /// Gets a message once they are in force, or is closed when the worker fails.
        in_force: mpsc::UnboundedSender<()>,
    },
    /// Let go of keys whose time is over or that were taken away.
    SweepKeys,
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
    /// Keys of the process.
    pub keys: SharedKeys,
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
    /// Where its handshakes wait for each other.
    pub turnstile: Turnstile,
    /// The tenants' keys at present, whatever a connection was accepted under.
    pub keys: Keys,
}

/// Tells connections that the worker drains, and then that their time is over.
#[derive(Default)]
pub struct Drain {
    begun: Announcement,
    over: Announcement,
}

impl Drain {
    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.made.get()
    }

    /// Waits until it begins.
    pub async fn begins(&self) {
        self.begun.wait().await;
    }

    /// Waits until the grace period is over: what is still open has to be cut, visibly.
    pub async fn is_over(&self) {
        self.over.wait().await;
    }
}

/// Something that is said once, to all who wait for it.
#[derive(Default)]
struct Announcement {
    made: Cell<bool>,
    notify: Notify,
}

impl Announcement {
    fn make(&self) {
        self.made.set(true);
        self.notify.notify_waiters();
    }

    async fn wait(&self) {
        let notified = self.notify.notified();
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        if !self.made.get() {
            notified.await;
        }
    }
}

/// Runs a worker on this thread until it has drained. Returns how many connections were cut. `ready` gets what its ring
/// receives short messages by.
///
/// # Errors
/// [`WorkerError`], before `ready` is called.
pub fn run_worker(
    setup: WorkerSettings,
    handle: &WorkerHandle,
    ready: impl FnOnce(Receive),
) -> Result<usize, WorkerError> {
    if let Some(core) = setup.core {
        core_affinity::set_for_current(core);
    }
    let receive = setup.settings.io_uring.receive;
    run_with(receive, serve(setup, handle, ready))?
}

async fn serve(
    setup: WorkerSettings,
    handle: &WorkerHandle,
    ready: impl FnOnce(Receive),
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
        turnstile: Turnstile::new(
            setup.settings.limits.handshakes_per_turn,
            Arc::clone(&handle.counters),
        ),
        keys: Keys::new(setup.keys),
    });
    let tended = Rc::clone(&worker);
    spawn(async move { tended.turnstile.tend().await });
    let gauged = Rc::clone(&worker);
    spawn(async move {
        loop {
            let held = gauged.pool.in_use_bytes() as u64;
            gauged.counters.buffer_bytes.store(held, Ordering::Relaxed);
            gauged.pool.trim();
            sealgate_uring::give_back();
            tokio::time::sleep(BUFFERS_LOOK).await;
        }
    });
    let gate = Rc::new(Gate::new(
        setup.max_connections,
        Arc::clone(&handle.counters),
    ));
    let idle = Rc::new(Notify::new());
    let shared = Accepting {
        worker: Rc::clone(&worker),
        snapshot: Rc::clone(&snapshot),
        gate: Rc::clone(&gate),
        idle: Rc::clone(&idle),
    };
    let mut listeners = Vec::new();
    shared.listen(&setup.settings, &mut listeners)?;
    #[cfg(feature = "injected-slowdown")]
    crate::slowdown::start()?;
    ready(sealgate_uring::receive());
    loop {
        event.wait().await.map_err(|error| WorkerError::System {
            what: "eventfd".to_owned(),
            error,
        })?;
        while let Some(message) = handle.messages.pop() {
            match message {
                Message::Reload { settings, in_force } => {
                    let next = Snapshot::build(Arc::clone(&settings), &setup.secrets)?;
                    *snapshot.borrow_mut() = Rc::new(next);
                    let per_turn = settings.limits.handshakes_per_turn;
                    worker.turnstile.let_through(per_turn);
                    worker.keys.sweep();
                    if let Err(error) = shared.listen(&settings, &mut listeners) {
                        // Control tried the address; somebody was quicker. The others serve.
                        tracing::error!("after a reload: {error}");
                    }
                    // Control may have stopped waiting.
                    let _ = in_force.send(());
                }
                Message::SweepKeys => worker.keys.sweep(),
                Message::Drain => {
                    return Ok(drain(&listeners, &worker, &snapshot, &gate, &idle).await);
                }
            }
        }
    }
}

/// A listener that is open.
struct OpenListener {
    name: Rc<str>,
    address: SocketAddr,
    handle: Listener,
}

/// What the listeners of one worker share.
#[derive(Clone)]
struct Accepting {
    worker: Rc<Worker>,
    snapshot: Rc<RefCell<Rc<Snapshot>>>,
    gate: Rc<Gate>,
    idle: Rc<Notify>,
}

impl Accepting {
    /// Opens the listeners of `settings` that are not open, then closes those that are not in it.
    /// One that cannot be opened does not keep the others from it.
    fn listen(&self, settings: &Settings, open: &mut Vec<OpenListener>) -> Result<(), WorkerError> {
        let wanted: Vec<(&str, SocketAddr)> = settings
            .listeners
            .iter()
            .flat_map(|l| l.addresses.iter().map(|address| (&*l.name, *address)))
            .collect();
        let mut failed = Ok(());
        for (name, address) in &wanted {
            if open
                .iter()
                .any(|o| &*o.name == *name && o.address == *address)
            {
                continue;
            }
            let bound = match bind(*address) {
                Ok(bound) => bound,
                Err(error) => {
                    let what = format!("listener {name} on {address}");
                    failed = Err(WorkerError::System { what, error });
                    continue;
                }
            };
            let name: Rc<str> = (*name).into();
            open.push(OpenListener {
                name: Rc::clone(&name),
                address: *address,
                handle: bound.handle(),
            });
            let accepting = self.clone();
            spawn(accept_all(bound, move |socket, peer| {
                accepting.take(&name, socket, peer)
            }));
        }
        open.retain(|o| {
            let stays = wanted.contains(&(&*o.name, o.address));
            if !stays {
                o.handle.close();
            }
            stays
        });
        failed
    }

    /// Serves a connection that was accepted on `listener`, if there is a place for it.
    fn take(&self, listener: &str, socket: Socket, peer: SocketAddr) {
        let snapshot = Rc::clone(&self.snapshot.borrow());
        let index = snapshot
            .settings
            .listeners
            .iter()
            .position(|l| *l.name == *listener);
        // A listener that a reload took away while this connection was on its way.
        let Some(index) = index else {
            return socket.reset();
        };
        let admission = match self.gate.admit() {
            Ok(admission) => admission,
            Err(cause) => {
                self.worker.counters.error(cause);
                return socket.reset();
            }
        };
        let worker = Rc::clone(&self.worker);
        let serving = connection::serve(worker, snapshot, index, socket, peer, admission);
        let (gate, idle) = (Rc::clone(&self.gate), Rc::clone(&self.idle));
        spawn(async move {
            serving.await;
            if gate.open() == 0 {
                idle.notify_one();
            }
        });
    }
}

/// Closes the listeners and waits for the open connections, but not longer than the grace period.
/// Returns how many are left.
async fn drain(
    listeners: &[OpenListener],
    worker: &Worker,
    snapshot: &RefCell<Rc<Snapshot>>,
    gate: &Gate,
    idle: &Notify,
) -> usize {
    for listener in listeners {
        listener.handle.close();
    }
    worker.drain.begun.make();
    let grace = snapshot.borrow().settings.timeouts.drain;
    let emptied = || async {
        while gate.open() > 0 {
            idle.notified().await;
        }
    };
    // Nothing of the ring is pending in there, so it may be dropped.
    let _ = tokio::time::timeout(grace, emptied()).await;
    let left = gate.open();
    worker.drain.over.make();
    let _ = tokio::time::timeout(DRAIN_CUT, emptied()).await;
    left
}
