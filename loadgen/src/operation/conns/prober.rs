//! The probe: another load on the target, on connections and a thread of its own, so that what is
//! measured is not what opening costs the generator.

use std::{io, sync::mpsc, thread, time::Duration};

use super::stage::Stage;
use crate::{
    run::{Outcome, RunError, Session, Stopper},
    worker::Load,
};

/// How often a wait for the probe looks whether the run is still on.
const LOOK: Duration = Duration::from_millis(50);

/// A probe on its thread.
#[derive(Debug)]
pub struct Prober {
    loads: mpsc::Sender<Load>,
    done: mpsc::Receiver<()>,
    stopper: Stopper,
    thread: thread::JoinHandle<Result<Vec<Outcome>, RunError>>,
}

impl Prober {
    /// Starts the thread of `session`. Its first load has to be that of its plan.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start(mut session: Session) -> io::Result<Self> {
        let (loads, ordered) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let stopper = session.stopper();
        let body = move || {
            let mut outcomes = Vec::new();
            while let Ok(load) = ordered.recv() {
                outcomes.push(match outcomes.is_empty() {
                    true => session.first()?,
                    false => session.again(load)?,
                });
                // Nobody waits when the run is over.
                let _ = finished.send(());
            }
            Ok(outcomes)
        };
        Ok(Self {
            loads,
            done,
            stopper,
            thread: thread::Builder::new()
                .name("prober".to_owned())
                .spawn(body)?,
        })
    }

    /// Begins a load. The one before has to be over.
    pub fn begin(&self, load: Load) {
        // A thread that has died says why in the end.
        let _ = self.loads.send(load);
    }

    /// Waits until the load is over, and has it stopped when the run is.
    pub fn wait(&self, stage: &Stage) {
        let mut stopped = false;
        while let Err(mpsc::RecvTimeoutError::Timeout) = self.done.recv_timeout(LOOK) {
            if stage.is_abandoned() && !stopped {
                self.stopper.stop();
                stopped = true;
            }
        }
    }

    /// Ends the load that is under way.
    pub fn stop(&self, stage: &Stage) {
        self.stopper.stop();
        self.wait(stage);
    }

    /// What came of the loads.
    ///
    /// # Errors
    ///
    /// When the probe could not go on.
    pub fn finish(self) -> Result<Vec<Outcome>, RunError> {
        drop(self.loads);
        self.thread.join().unwrap_or(Err(RunError::WorkerDied))
    }
}
