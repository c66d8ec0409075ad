//! Which operation goes out when: schedule, backlog and free connections of one worker, without
//! clock and sockets.
//!
//! ```text
//! Timeline --due--> backlog (bounded) --> next free connection
//!                       \-- full: counted, never sent, and the run is invalid
//! ```
//!
//! An operation keeps its planned start however long it waits, so its wait is in its response
//! time. That is all there is to coordinated omission.

use std::{collections::VecDeque, time::Duration};

use crate::{
    measure::recorder::Recorder,
    operation::conns::{opens::Opens, stage::Step},
    schedule::{Arrival, closed::ClosedLoop, timeline::Timeline},
};

/// What makes operations start.
#[derive(Debug, Clone)]
pub enum Source {
    /// A schedule.
    Open(Box<Timeline>),
    /// Connections that are free.
    Closed(ClosedLoop),
    /// The steps of a run that holds connections.
    Conns(Opens),
}

/// What a free connection is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This operation, now.
    Start(Arrival),
    /// Wait until one is due.
    Wait,
    /// Nothing any more.
    Over,
}

/// Hands operations out.
#[derive(Debug)]
pub struct Dispatch {
    source: Source,
    backlog: VecDeque<Arrival>,
    bound: usize,
}

impl Dispatch {
    /// A dispatch in which at most `bound` operations wait.
    pub fn new(source: Source, bound: usize) -> Self {
        Self {
            source,
            backlog: VecDeque::new(),
            bound,
        }
    }

    /// Puts what is due at `now` into the backlog.
    pub fn advance(&mut self, now: Duration, recorder: &mut Recorder) {
        let source = &mut self.source;
        while let Some(arrival) = match source {
            Source::Open(timeline) => timeline.take(now),
            Source::Conns(opens) => opens.take(now),
            Source::Closed(_) => None,
        } {
            recorder.planned(arrival);
            if self.backlog.len() < self.bound {
                self.backlog.push_back(arrival);
            } else {
                recorder.overflowed(arrival);
            }
        }
    }

    /// What a connection that is free at `now` is to do.
    pub fn next(&mut self, now: Duration, recorder: &mut Recorder) -> Next {
        self.advance(now, recorder);
        match &mut self.source {
            Source::Closed(closed) => match closed.next(now) {
                Some(arrival) => {
                    recorder.planned(arrival);
                    Next::Start(arrival)
                }
                None => Next::Over,
            },
            Source::Conns(opens) => match self.backlog.pop_front() {
                Some(arrival) => {
                    recorder.waiting(self.backlog.len());
                    Next::Start(arrival)
                }
                None => match opens.pull(now) {
                    Some(arrival) => {
                        recorder.planned(arrival);
                        Next::Start(arrival)
                    }
                    None if opens.is_over() => Next::Over,
                    None => Next::Wait,
                },
            },
            Source::Open(timeline) => match (self.backlog.pop_front(), timeline.due()) {
                (Some(arrival), _) => {
                    // What is left waits for the next one.
                    recorder.waiting(self.backlog.len());
                    Next::Start(arrival)
                }
                (None, Some(_)) => Next::Wait,
                (None, None) => Next::Over,
            },
        }
    }

    /// When the next operation is due that is not in the backlog yet.
    pub fn due(&self) -> Option<Duration> {
        match &self.source {
            Source::Open(timeline) => timeline.due(),
            Source::Conns(opens) => opens.due(),
            Source::Closed(_) => None,
        }
    }

    /// Begins a step of a run that has steps.
    pub fn enter(&mut self, step: Step) {
        if let Source::Conns(opens) = &mut self.source {
            opens.enter(step);
        }
    }

    /// Whether nothing is planned any more and nothing waits; in a closed loop, which plans
    /// nothing, whether a connection has found that out.
    pub fn is_over(&self) -> bool {
        match &self.source {
            Source::Closed(closed) => closed.is_over(),
            Source::Open(_) | Source::Conns(_) => self.due().is_none() && self.backlog.is_empty(),
        }
    }

    /// Takes operations from `source` from now on.
    pub fn restart(&mut self, source: Source) {
        self.source = source;
        self.backlog.clear();
    }

    /// Plans nothing more; what waits is still sent.
    pub fn stop(&mut self) {
        match &mut self.source {
            Source::Open(timeline) => timeline.stop(),
            Source::Closed(closed) => closed.stop(),
            Source::Conns(opens) => opens.stop(),
        }
    }

    /// Gives up what waits.
    pub fn abandon(&mut self, recorder: &mut Recorder) {
        self.stop();
        for arrival in self.backlog.drain(..) {
            recorder.unsent(arrival);
        }
    }
}
