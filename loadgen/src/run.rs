//! A run from start to end: workers, the moments that are measured between, and what came out.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use sealgate_uring::StartError;
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    measure::{
        cpu::{HostTicks, Process, Sample, Spent},
        tally::Tally,
    },
    worker::{self, Line, Plan, Report},
};

/// A run could not start, or not go on. The operator's fault.
#[derive(Debug, Error)]
pub enum RunError {
    /// The kernel refused a ring.
    #[error(transparent)]
    Ring(#[from] StartError),
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The CPU time of the target cannot be read.
    #[error(
        "cannot read the CPU time of process {pid}: {error}; check --target-pid, and that it is yours"
    )]
    TargetCpu {
        /// The process.
        pid: u32,
        /// Why.
        error: io::Error,
    },
    /// A worker ended without a word: it panicked, and the panic was printed.
    #[error("a worker died")]
    WorkerDied,
}

/// What came out of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Everything the workers counted.
    pub tally: Tally,
    /// When measuring began.
    pub began: SystemTime,
    /// From then until the last operation was done.
    pub elapsed: Duration,
    /// CPU time of the generator.
    pub generator: Spent,
    /// CPU time of the target; none when it was not asked for, or when it ended meanwhile.
    pub target: Option<Spent>,
    /// Share of the host's time that the hypervisor gave to others.
    pub stolen: f64,
}

/// CPU times at one moment.
struct Moment {
    generator: Sample,
    target: Option<Sample>,
    host: HostTicks,
}

impl Moment {
    fn take(target_pid: Option<u32>) -> Self {
        Self {
            // Reading of ourselves cannot fail where the first reading did not.
            generator: Sample::take(Process::Own).unwrap_or_default(),
            target: target_pid.and_then(|pid| Sample::take(Process::Other(pid)).ok()),
            host: HostTicks::take(),
        }
    }
}

/// Runs `plan` to its end.
///
/// # Errors
///
/// When it cannot start. A target that does not answer is no error but an outcome.
pub fn run(plan: Plan, target_pid: Option<u32>) -> Result<Outcome, RunError> {
    if let Some(pid) = target_pid {
        Sample::take(Process::Other(pid)).map_err(|error| RunError::TargetCpu { pid, error })?;
    }
    let plan = Arc::new(plan);
    let (reports, incoming) = mpsc::channel();
    let (start, started) = watch::channel(None);
    let mut releases = Vec::new();
    for index in 0..plan.threads {
        let (release, released) = mpsc::channel();
        releases.push(release);
        let line = Line {
            reports: reports.clone(),
            start: started.clone(),
            release: released,
        };
        let plan = Arc::clone(&plan);
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || worker::run(plan, index, line))
            .map_err(RunError::Thread)?;
    }
    drop((reports, started));
    wait_until_ready(&incoming, plan.threads)?;

    let measure_from = Instant::now() + plan.extent.warmup;
    if plan.extent.warmup.is_zero() {
        // Before the first operation, so that no work falls out of the window.
        let before = Moment::take(target_pid);
        let began = Instant::now();
        // Nobody listens when every worker has died, which the next wait reports.
        let _ = start.send(Some(began));
        return finish(&incoming, plan.threads, before, began, target_pid, releases);
    }
    let _ = start.send(Some(measure_from));
    thread::sleep(measure_from.saturating_duration_since(Instant::now()));
    let before = Moment::take(target_pid);
    finish(
        &incoming,
        plan.threads,
        before,
        measure_from,
        target_pid,
        releases,
    )
}

fn wait_until_ready(reports: &mpsc::Receiver<Report>, threads: usize) -> Result<(), RunError> {
    for _ in 0..threads {
        match reports.recv() {
            Ok(Report::Ready) => {}
            Ok(Report::Failed(error)) => return Err(error.into()),
            Ok(Report::Finished(_)) | Err(mpsc::RecvError) => return Err(RunError::WorkerDied),
        }
    }
    Ok(())
}

fn finish(
    reports: &mpsc::Receiver<Report>,
    threads: usize,
    before: Moment,
    began: Instant,
    target_pid: Option<u32>,
    releases: Vec<mpsc::Sender<()>>,
) -> Result<Outcome, RunError> {
    let began_at = SystemTime::now();
    let mut tally = Tally::default();
    for _ in 0..threads {
        match reports.recv() {
            Ok(Report::Finished(part)) => tally.merge(*part),
            Ok(Report::Failed(error)) => return Err(error.into()),
            Ok(Report::Ready) | Err(mpsc::RecvError) => return Err(RunError::WorkerDied),
        }
    }
    let ended = Instant::now();
    let after = Moment::take(target_pid);
    drop(releases);
    Ok(Outcome {
        elapsed: tally
            .last_done
            .unwrap_or(ended)
            .saturating_duration_since(began),
        tally,
        began: began_at,
        generator: after.generator.since(&before.generator),
        target: match (after.target, before.target) {
            (Some(after), Some(before)) => Some(after.since(&before)),
            _ => None,
        },
        stolen: after.host.stolen_since(&before.host),
    })
}
