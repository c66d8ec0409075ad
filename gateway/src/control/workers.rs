//! Starting the workers' threads, and hearing of their end.

use std::sync::Arc;
use std::thread::JoinHandle;

use core_affinity::CoreId;
use crossbeam_queue::ArrayQueue;
use sealgate_tls::EpochSecrets;
use sealgate_uring::{EventFdSignal, Receive};
use tokio::sync::mpsc;

use crate::limits::CONTROL_QUEUE;
use crate::metrics::Counters;
use crate::settings::Settings;
use crate::tenant::SharedKeys;
use crate::worker::{WorkerError, WorkerHandle, WorkerSettings, run_worker};

/// Workers that listen.
pub(super) struct Started {
    pub(super) workers: Vec<Arc<WorkerHandle>>,
    pub(super) threads: Vec<JoinHandle<Result<usize, WorkerError>>>,
    /// A worker's thread ended, by its index.
    pub(super) ended: mpsc::UnboundedReceiver<usize>,
    /// What their rings receive short messages by.
    pub(super) receive: Receive,
}

/// Starts all workers and waits until each listens.
pub(super) async fn start_workers(
    settings: &Arc<Settings>,
    secrets: &Arc<EpochSecrets>,
    keys: &SharedKeys,
    cores: &[CoreId],
    count: usize,
) -> Result<Started, String> {
    let (mut workers, mut threads) = (Vec::new(), Vec::new());
    // One message per worker, and one more when it ends.
    let (ready, mut readiness) = mpsc::unbounded_channel();
    let (end, ended) = mpsc::unbounded_channel();
    for index in 0..count {
        let handle = Arc::new(WorkerHandle {
            messages: Arc::new(ArrayQueue::new(CONTROL_QUEUE)),
            signal: EventFdSignal::new().map_err(|error| format!("eventfd: {error}"))?,
            counters: Arc::new(Counters::default()),
        });
        let setup = WorkerSettings {
            core: (!cores.is_empty()).then(|| cores[index % cores.len()]),
            settings: Arc::clone(settings),
            max_connections: settings.limits.max_connections.div_ceil(count),
            secrets: Arc::clone(secrets),
            keys: keys.clone(),
        };
        let (ready, end, own) = (ready.clone(), end.clone(), Arc::clone(&handle));
        let body = move || {
            let _end = EndMark { index, end };
            // The receiver is there for as long as anybody waits.
            let result = run_worker(setup, &own, |receive| {
                let _ = ready.send(Ok(receive));
            });
            result.inspect_err(|error| {
                let _ = ready.send(Err(error.to_string()));
            })
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(body)
            .map_err(|error| format!("worker thread: {error}"))?;
        workers.push(handle);
        threads.push(thread);
    }
    let mut receive = Receive::default();
    for _ in 0..count {
        // One kernel: they all say the same.
        receive = readiness
            .recv()
            .await
            .unwrap_or_else(|| Err("a worker panicked".to_owned()))?;
    }
    Ok(Started {
        workers,
        threads,
        ended,
        receive,
    })
}

/// Tells that a worker's thread is over, also when it panics.
struct EndMark {
    index: usize,
    end: mpsc::UnboundedSender<usize>,
}

impl Drop for EndMark {
    fn drop(&mut self) {
        // Nobody listens any more when the process ends.
        let _ = self.end.send(self.index);
    }
}
