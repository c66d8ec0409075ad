//! What a worker is asked to do, and what it and the run tell each other.

use std::{
    io,
    net::SocketAddr,
    sync::mpsc,
    time::{Duration, Instant},
};

use sealgate_uring::StartError;
use tokio::sync::watch;

use super::{dispatch::Source, pace::Spin};
use crate::{
    measure::interval::Interval,
    operation::Operation,
    schedule::{
        Extent, Share,
        closed::ClosedLoop,
        mix::Mix,
        timeline::{OpenLoad, Timeline},
    },
    target::tls::Configs,
};

/// A run, as all workers see it.
#[derive(Debug)]
pub struct Plan {
    /// What to do.
    pub operation: Operation,
    /// Shares of its kinds.
    pub mix: Mix,
    /// Where.
    pub address: SocketAddr,
    /// How to speak TLS; none for TCP.
    pub tls: Option<Configs>,
    /// Connections of all workers.
    pub connections: usize,
    /// Workers.
    pub threads: usize,
    /// How much.
    pub extent: Extent,
    /// The schedule; none in a closed loop.
    pub open: Option<OpenLoad>,
    /// Operations of all workers that may wait for a connection.
    pub backlog: usize,
    /// Whether to wait for planned starts without sleep.
    pub spin: Spin,
    /// An operation in which nothing moves for this long is broken off.
    pub timeout: Duration,
    /// How long to wait behind the last planned start for what is under way.
    pub drain: Duration,
}

impl Plan {
    /// When the last operation may be planned, since the load began; none when a count decides.
    pub fn planned_until(&self) -> Option<Duration> {
        let length = match &self.open {
            Some(open) => open.length(),
            None => self.extent.duration,
        };
        length.map(|length| self.extent.warmup + length)
    }

    /// What makes the operations of this share start.
    pub fn source(&self, share: Share) -> Source {
        match &self.open {
            Some(open) => {
                let timeline = Timeline::new(open, self.extent, share, self.mix);
                Source::Open(Box::new(timeline))
            }
            None => Source::Closed(ClosedLoop::new(self.extent, share, self.mix)),
        }
    }
}

/// What a worker tells the run.
#[derive(Debug)]
pub enum Message {
    /// Its connections stand, or have been given up. Its thread has this id.
    Ready {
        /// Which worker.
        worker: usize,
        /// The kernel's id of its thread.
        thread: u32,
    },
    /// What it counted in one second.
    Interval(usize, Box<Interval>),
    /// It is done. The thread stays until it is released, so that its CPU time can be read.
    Finished,
    /// It could not start.
    Failed(StartError),
    /// The system has no timer for it.
    NoTimer(io::Error),
    /// Not of a worker: somebody wants the run to end.
    Interrupt,
}

/// What the run tells its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// To connect, and to wait.
    Prepare,
    /// To begin; the load began at this moment.
    Start(Instant),
    /// To plan nothing more.
    Stop(Instant),
}

/// The ends of the channels that a worker holds.
#[derive(Debug)]
pub struct Line {
    /// To the run.
    pub messages: mpsc::Sender<Message>,
    /// Intervals that the run has emptied.
    pub empty: mpsc::Receiver<Box<Interval>>,
    /// From the run.
    pub orders: watch::Receiver<Order>,
    /// Closed by the run when the thread may end.
    pub release: mpsc::Receiver<()>,
}
