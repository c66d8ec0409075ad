//! What a worker is asked to do, and what it and the run tell each other.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use sealgate_uring::StartError;
use tokio::sync::watch;

use super::{dispatch::Source, kept, pace::Spin};
use crate::{
    measure::interval::Interval,
    operation::{Operation, conns::held::Held},
    schedule::{
        Extent, Machine, Share,
        closed::ClosedLoop,
        mix::Mix,
        timeline::{OpenLoad, Timeline},
    },
    target::{source::Sources, tls::Configs},
};

/// A run, as all workers see it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What to do.
    pub operation: Operation,
    /// Shares of its kinds.
    pub mix: Mix,
    /// Where.
    pub address: SocketAddr,
    /// Where from.
    pub sources: Sources,
    /// How to speak TLS; none for TCP.
    pub tls: Option<Configs>,
    /// Where operations of a mix go that go elsewhere.
    pub others: Vec<Endpoint>,
    /// Connections of all workers of all machines.
    pub connections: usize,
    /// Workers on each machine.
    pub threads: usize,
    /// Which machine of those that share the load this is.
    pub machine: Machine,
    /// How much.
    pub extent: Extent,
    /// The schedule; none in a closed loop.
    pub open: Option<OpenLoad>,
    /// Operations of all workers of all machines that may wait for a connection.
    pub backlog: usize,
    /// Whether to wait for planned starts without sleep.
    pub spin: Spin,
    /// An operation in which nothing moves for this long is broken off.
    pub timeout: Duration,
    /// How long to wait behind the last planned start for what is under way.
    pub drain: Duration,
    /// Whether the connections stay for further loads.
    pub loads: Loads,
}

/// How many loads the connections of a run carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loads {
    /// That of the plan.
    One,
    /// That of the plan, and then those that are ordered; see [`super::again`].
    Many,
}

/// One load on the connections of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// How much.
    pub extent: Extent,
    /// The schedule; none in a closed loop.
    pub open: Option<OpenLoad>,
}

/// Another place than the plan's.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where.
    pub address: SocketAddr,
    /// How to speak TLS; none for TCP.
    pub tls: Option<Configs>,
}

impl Plan {
    /// Operations that may be under way at once on one connection: its slots.
    pub fn streams(&self) -> usize {
        self.operation.streams()
    }

    /// Connections that each worker keeps for tenants, beyond those in use.
    pub fn kept_for_tenants(&self) -> usize {
        let tenants = self.mix.tenants().map_or(0, |all| all.count());
        kept::bound(tenants, self.threads)
    }

    /// The address of an endpoint, and how to speak TLS there; 0 is the plan's own.
    pub fn endpoint(&self, endpoint: usize) -> (SocketAddr, Option<&Configs>) {
        let other = endpoint.checked_sub(1).and_then(|n| self.others.get(n));
        match other {
            Some(other) => (other.address, other.tls.as_ref()),
            None => (self.address, self.tls.as_ref()),
        }
    }

    /// The part of the load that is a worker's.
    pub fn share(&self, worker: usize) -> Share {
        self.machine.share(worker, self.threads)
    }

    /// The first load.
    pub fn load(&self) -> Load {
        Load {
            extent: self.extent,
            open: self.open.clone(),
        }
    }

    /// What holds the connections of a worker, where that is all they are for.
    pub fn held(&self) -> Option<Held> {
        let Operation::Conns(settings) = &self.operation else {
            return None;
        };
        let stage = Arc::clone(&settings.stage);
        Some(Held::new(stage, settings.close, self.timeout))
    }

    /// What makes the operations of this share of `load` start.
    pub fn source(&self, load: &Load, share: Share) -> Source {
        if let Operation::Conns(settings) = &self.operation {
            return Source::Conns(settings.opens(share));
        }
        match &load.open {
            Some(open) => {
                let timeline = Timeline::new(open, load.extent, share, self.mix.clone());
                Source::Open(Box::new(timeline))
            }
            None => Source::Closed(ClosedLoop::new(load.extent, share, self.mix.clone())),
        }
    }
}

impl Load {
    /// When the last operation may be planned, since the load began; none when a count decides.
    pub fn planned_until(&self) -> Option<Duration> {
        let length = match &self.open {
            Some(open) => open.length(),
            None => self.extent.duration,
        };
        length.map(|length| self.extent.warmup + length)
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
    /// Its load is done. The thread stays until it is released, so that its CPU time can be read.
    Finished,
    /// It could not start.
    Failed(StartError),
    /// The system has no timer for it.
    NoTimer(io::Error),
    /// Not of a worker: somebody wants the run to end.
    Interrupt,
    /// Not of a worker: the load was to last until now.
    Stop,
}

/// What the run tells its workers.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// To connect, and to wait.
    Prepare,
    /// To begin; the load began at this moment.
    Start(Instant),
    /// To begin another load, on the connections that stand.
    Again(Again),
    /// To plan nothing more of this load.
    Stop {
        /// Which, from 0.
        load: u32,
        /// When it began.
        at: Instant,
    },
}

/// A load behind the first one.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// Which, from 1.
    pub number: u32,
    /// When it began.
    pub at: Instant,
    /// What to do.
    pub load: Arc<Load>,
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
