//! A load while it lasts: what workers send is collected, and the machine looked at.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{Moment, RunError, Seen, Watch, Workers};
use crate::{
    measure::collect::Collector,
    worker::{Message, Order},
};

/// How often CPU and memory are looked at, and intervals end.
const SECOND: Duration = Duration::from_secs(1);

/// The run while it lasts.
pub(super) struct Watching {
    /// Which load of the session.
    pub load: u32,
    /// When it began.
    pub started: Instant,
    /// When measuring begins.
    pub measured_from: Instant,
    /// The target's process.
    pub target_pid: Option<u32>,
    /// CPU and memory so far.
    pub moments: Vec<Moment>,
    /// Whether somebody ended it.
    pub interrupted: bool,
}

impl Watching {
    /// Collects what the workers send, and looks at CPU and memory every second, until all workers
    /// have finished; gives that moment.
    ///
    /// # Errors
    ///
    /// When a worker failed.
    pub fn collect(
        &mut self,
        workers: &Workers,
        collector: &mut Collector,
        watch: &mut Watch<'_>,
    ) -> Result<Instant, RunError> {
        let mut running = workers.threads.len();
        while running > 0 {
            let pause = self.next_look().saturating_duration_since(Instant::now());
            match workers.messages.recv_timeout(pause) {
                Ok(Message::Interval(worker, mut interval)) => {
                    let known = collector.seconds().len();
                    collector.add(worker, &interval);
                    watch(Seen::Interval(worker, &interval));
                    let seconds = collector.seconds().range(known..);
                    seconds.for_each(|second| watch(Seen::Second(second)));
                    interval.clear();
                    // The worker may have finished.
                    let _ = workers.recycle[worker].send(interval);
                }
                Ok(Message::Finished) => running -= 1,
                Ok(Message::Interrupt) => {
                    self.interrupted = true;
                    self.stop(workers);
                }
                Ok(Message::Stop) => self.stop(workers),
                Ok(Message::Failed(error)) => return Err(error.into()),
                Ok(Message::NoTimer(error)) => return Err(RunError::Timer(error)),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let moment = Moment::take(self.measured_from, self.target_pid);
                    self.moments.push(moment);
                }
                Ok(Message::Ready { .. }) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(RunError::WorkerDied);
                }
            }
        }
        Ok(Instant::now())
    }

    fn stop(&self, workers: &Workers) {
        let (load, at) = (self.load, self.started);
        // Nobody listens when every worker has died, which the next wait reports.
        let _ = workers.orders.send(Order::Stop { load, at });
    }

    /// When to look next: at the end of a second, counted from when measuring began. Late looks do
    /// not shift the others.
    fn next_look(&self) -> Instant {
        match self.moments.last() {
            None => self.measured_from,
            Some(last) => self.measured_from + SECOND * (last.at.as_secs() as u32 + 1),
        }
    }
}
