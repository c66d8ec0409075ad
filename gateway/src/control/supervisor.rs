//! The life of the process: start the workers, listen to signals, reload, drain.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sealgate_tls::EpochSecrets;
use sealgate_uring::{Receive, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;

use super::admin::Admin;
use super::keys::KeyKeeper;
use super::workers::{Started, start_workers};
use super::{config, process};
use crate::accept::probe;
use crate::limits::{MemoryBudget, ROTATION_LOOK};
use crate::metrics::CounterSum;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::worker::{Message, WorkerError, WorkerHandle};

/// Beyond the grace period, a worker gets this long to end before the process does.
const WORKER_END: Duration = Duration::from_secs(5);

/// Runs the gateway until it is told to stop. `file`: what SIGHUP reads again.
///
/// Exit status: 0 after a drain in which nothing was cut, 1 when it cannot start or a worker
/// failed, 3 when connections were still open at the end of the grace period.
pub fn run(settings: Settings, file: Option<PathBuf>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    let status = runtime.block_on(async {
        match Supervisor::start(settings, file).await {
            Ok(supervisor) => supervisor.supervise().await,
            Err(error) => fail(&error),
        }
    });
    // Not waiting for a keyring file on a file system that hangs.
    runtime.shutdown_background();
    status
}

fn fail(error: &str) -> ExitCode {
    tracing::error!("cannot start: {error}");
    ExitCode::FAILURE
}

/// How long the word that a reload is in force waits for the workers.
const RELOAD_IN_FORCE: Duration = Duration::from_secs(5);

/// A configuration that is being read, with the file that it stands in.
type Reading = tokio::task::JoinHandle<Result<(PathBuf, Arc<Settings>), String>>;

struct Supervisor {
    settings: Arc<Settings>,
    file: Option<PathBuf>,
    secrets: Arc<EpochSecrets>,
    keys: KeyKeeper,
    workers: Vec<Arc<WorkerHandle>>,
    threads: Vec<JoinHandle<Result<usize, WorkerError>>>,
    /// A worker's thread ended, by its index.
    ended: mpsc::UnboundedReceiver<usize>,
    admin: Arc<Admin>,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Supervisor {
    async fn start(settings: Settings, file: Option<PathBuf>) -> Result<Supervisor, String> {
        let settings = Arc::new(settings);
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        sealgate_tls::warm_up().map_err(|error| error.to_string())?;
        let secrets = Arc::new(EpochSecrets::generate().map_err(|error| error.to_string())?);
        // Before any thread: a bad configuration is one error, not one per worker.
        Snapshot::build(Arc::clone(&settings), &secrets).map_err(|error| error.to_string())?;
        for listener in &settings.listeners {
            for address in &listener.addresses {
                probe(*address).map_err(|error| bind_error(&listener.name, *address, &error))?;
            }
        }
        // Signals are ours before a worker serves, so that none is lost.
        let catch = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
        let hangup = catch(SignalKind::hangup())?;
        let terminate = catch(SignalKind::terminate())?;
        let interrupt = catch(SignalKind::interrupt())?;
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        let count = settings.workers.unwrap_or(cores.len()).max(1);
        let receive = received_by(&settings).map_err(|error| error.to_string())?;
        let descriptors = process::raise_descriptor_limit();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            workers = count,
            descriptors = descriptors.unwrap_or(u64::MAX),
            memory = %MemoryBudget::new(&settings, count),
            receive = receive.name(),
            "starting"
        );
        let keys = KeyKeeper::start(&settings);
        keys.warm(&settings).await;
        let Started {
            workers,
            threads,
            ended,
            receive,
        } = start_workers(&settings, &secrets, keys.shared(), &cores, count).await?;
        let counters = CounterSum(workers.iter().map(|w| Arc::clone(&w.counters)).collect());
        let admin = Arc::new(Admin {
            settings: ArcSwap::new(Arc::clone(&settings)),
            counters,
            keys: keys.metrics(),
            draining: AtomicBool::new(false),
            workers: count,
            receive,
            started: Instant::now(),
            reloads: AtomicU64::new(0),
        });
        if let Some(address) = settings.admin {
            let serving = Arc::clone(&admin).serve(address).await;
            serving.map_err(|error| bind_error("admin", address, &error))?;
        }
        for listener in &settings.listeners {
            for address in &listener.addresses {
                tracing::info!(listener = listener.name, %address, "listening");
            }
        }
        Ok(Supervisor {
            settings,
            file,
            secrets,
            keys,
            workers,
            threads,
            ended,
            admin,
            hangup,
            terminate,
            interrupt,
        })
    }

    async fn supervise(mut self) -> ExitCode {
        let mut epoch = tokio::time::interval(EpochSecrets::EPOCH);
        epoch.tick().await;
        let mut rotation = tokio::time::interval(ROTATION_LOOK);
        rotation.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The configuration that a SIGHUP asked for, while it is read. Beside the rest: a file system that hangs does not keep the gateway
        // from ending, nor keys in memory. A further SIGHUP waits for it.
        let mut reading = None;
        loop {
            tokio::select! {
                _ = self.hangup.recv(), if reading.is_none() => reading = self.read_configuration(),
                read = until_read(&mut reading) => {
                    reading = None;
                    self.reload(read).await;
                }
                _ = self.terminate.recv() => return self.drain("SIGTERM").await,
                _ = self.interrupt.recv() => return self.drain("SIGINT").await,
                _ = epoch.tick() => self.secrets.advance(),
                () = self.keys.sweep_is_due() => self.keys.sweep(&self.workers),
                _ = rotation.tick() => self.keys.rotate(),
                Some(index) = self.ended.recv() => return self.worker_failed(index),
            }
        }
    }

    /// Begins to read the configuration again, elsewhere, as that waits for files and resolvers.
    fn read_configuration(&self) -> Option<Reading> {
        let Some(file) = self.file.clone() else {
            tracing::warn!("SIGHUP: there is no configuration file to read again");
            return None;
        };
        Some(spawn_blocking(move || {
            config::load(&file)
                .map(|settings| (file, Arc::new(settings)))
                .map_err(|errors| errors.to_string())
        }))
    }

    /// Swaps the whole new set only if all of it is good; says so once it is in force.
    async fn reload(&mut self, read: Result<(PathBuf, Arc<Settings>), String>) {
        let (file, settings) = match read {
            Ok(read) => read,
            Err(errors) => {
                tracing::error!("reload refused, the running configuration stays:\n{errors}");
                return;
            }
        };
        if let Err(what) = fixed_at_start(&self.settings, &settings) {
            tracing::error!(
                "reload refused, the running configuration stays: {what} cannot change while the \
                 gateway runs; restart it"
            );
            return;
        }
        if let Err(error) = probe_new(&self.settings, &settings) {
            tracing::error!("reload refused, the running configuration stays: {error}");
            return;
        }
        if let Err(error) = Snapshot::build(Arc::clone(&settings), &self.secrets) {
            tracing::error!("reload refused, the running configuration stays: {error}");
            return;
        }
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        // Before the workers let go of what they have seen of them.
        self.keys.reload(&settings);
        self.hand_out(&settings).await;
        self.keys.warm(&settings).await;
        self.settings = Arc::clone(&settings);
        self.admin.settings.store(settings);
        self.admin.reloads.fetch_add(1, Ordering::Relaxed);
        tracing::info!(file = %file.display(), "reloaded");
    }

    /// Gives new settings to the workers and waits until all serve under them.
    async fn hand_out(&self, settings: &Arc<Settings>) {
        let (in_force, mut workers_done) = mpsc::unbounded_channel();
        for (index, worker) in self.workers.iter().enumerate() {
            let message = Message::Reload {
                settings: Arc::clone(settings),
                in_force: in_force.clone(),
            };
            if worker.messages.push(message).is_err() {
                tracing::error!(worker = index, "a worker does not take the configuration");
            }
            worker.signal.signal();
        }
        let all = async {
            for _ in 0..self.workers.len() {
                workers_done.recv().await;
            }
        };
        if tokio::time::timeout(RELOAD_IN_FORCE, all).await.is_err() {
            tracing::warn!("not all workers have taken the new configuration yet");
        }
        for listener in &settings.listeners {
            for address in &listener.addresses {
                if !listens_on(&self.settings, *address) {
                    tracing::info!(listener = listener.name, %address, "listening");
                }
            }
        }
    }

    async fn drain(mut self, why: &str) -> ExitCode {
        let grace = self.settings.timeouts.drain;
        tracing::info!(
            signal = why,
            grace_ms = grace.as_millis() as u64,
            "draining"
        );
        self.admin.draining.store(true, Ordering::Relaxed);
        for worker in &self.workers {
            // A full queue: the worker is stuck, and the time limit below deals with it.
            let _ = worker.messages.push(Message::Drain);
            worker.signal.signal();
        }
        let all = async {
            for _ in 0..self.workers.len() {
                self.ended.recv().await;
            }
        };
        let in_time = tokio::select! {
            result = tokio::time::timeout(grace + WORKER_END, all) => result.is_ok(),
            // Told twice: at once.
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
        };
        if !in_time {
            tracing::warn!("ending with workers still busy");
            return ExitCode::from(3);
        }
        let mut cut = 0;
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(left)) => cut += left,
                Ok(Err(error)) => tracing::error!("a worker failed: {error}"),
                Err(_) => tracing::error!("a worker panicked"),
            }
        }
        tracing::info!(connections_cut = cut, "ended");
        if cut == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(3)
        }
    }

    /// A worker that ends by itself takes its share of connections with it: better to end, and be
    /// started again, than to serve on half a leg.
    fn worker_failed(mut self, index: usize) -> ExitCode {
        match self.threads.swap_remove(index).join() {
            Ok(Ok(_)) => tracing::error!(worker = index, "a worker ended"),
            Ok(Err(error)) => tracing::error!(worker = index, "a worker failed: {error}"),
            Err(_) => tracing::error!(worker = index, "a worker panicked"),
        }
        ExitCode::FAILURE
    }
}

/// What short messages will be received by; says so where it is not what was asked for.
fn received_by(settings: &Settings) -> Result<Receive, StartError> {
    let wanted = settings.io_uring.receive;
    let receive = wanted.on_this_kernel()?;
    if receive != wanted {
        tracing::warn!(
            "io_uring.receive: this kernel has no {} receives; each short message is received by itself",
            wanted.name()
        );
    }
    Ok(receive)
}

/// Ends when the configuration has been read; never, where none is being read.
async fn until_read(reading: &mut Option<Reading>) -> Result<(PathBuf, Arc<Settings>), String> {
    match reading {
        Some(reading) => reading
            .await
            .unwrap_or_else(|panicked| Err(panicked.to_string())),
        None => std::future::pending().await,
    }
}

fn bind_error(name: &str, address: SocketAddr, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there; end it or choose another port",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE, or a higher port"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => "choose another address",
    };
    format!("listener {name} cannot bind {address}: {error}; {remedy}")
}

/// Tries the addresses that a reload would add.
fn probe_new(running: &Settings, new: &Settings) -> Result<(), String> {
    for listener in &new.listeners {
        for address in &listener.addresses {
            if !listens_on(running, *address) {
                probe(*address).map_err(|error| bind_error(&listener.name, *address, &error))?;
            }
        }
    }
    Ok(())
}

fn listens_on(settings: &Settings, address: SocketAddr) -> bool {
    let mut listeners = settings.listeners.iter();
    listeners.any(|listener| listener.addresses.contains(&address))
}

/// What a reload cannot change.
fn fixed_at_start(running: &Settings, new: &Settings) -> Result<(), &'static str> {
    if running.admin != new.admin {
        return Err("admin.listen");
    }
    if running.workers != new.workers {
        return Err("workers");
    }
    if running.io_uring != new.io_uring {
        return Err("io_uring.receive");
    }
    if running.log != new.log {
        return Err("log");
    }
    if running.limits.max_connections != new.limits.max_connections {
        return Err("limits.max_connections");
    }
    Ok(())
}
