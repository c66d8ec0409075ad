//! Takes a run through its steps, and looks at memory where nothing happens: empty, at each quarter
//! of the connections, when they have been held, and when they are gone.

use std::{sync::Arc, time::Duration};

use super::{
    Settings,
    prober::Prober,
    stage::{Phase, Stage, Tally, Woken},
};
use crate::{
    measure::{cpu::Process, memory::Memory},
    run::{Outcome, RunError},
    worker::Load,
};

/// Looks at memory on the way to all connections.
const QUARTERS: u64 = 4;

/// The loads of a probe.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Before the first connection and behind the last; none when that is not asked for.
    pub aside: Option<Load>,
    /// While there are connections: without an end.
    pub during: Load,
}

impl Probe {
    /// The first load: that of the probe's plan.
    pub fn first(&self) -> &Load {
        self.aside.as_ref().unwrap_or(&self.during)
    }
}

/// Takes a run through its steps.
#[derive(Debug)]
pub struct Conductor {
    /// What to do.
    pub settings: Arc<Settings>,
    /// Process whose memory is looked at besides our own.
    pub target: Option<u32>,
    /// The probe and its loads.
    pub probe: Option<(Prober, Probe)>,
}

/// When memory was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the first connection.
    Empty,
    /// On the way to all connections.
    Opening,
    /// At the end of holding.
    Held,
    /// When all were closed.
    Closed,
}

/// Memory at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// When.
    pub moment: Moment,
    /// Since the load began.
    pub at: Duration,
    /// Connections that stood.
    pub connections: u64,
    /// Of the target; none when it was not asked for, or has ended.
    pub target: Option<Memory>,
    /// Our own.
    pub generator: Option<Memory>,
}

/// A part of the run. Times are since the load began.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Which.
    pub name: &'static str,
    /// Its start.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Course {
    /// Looks at memory.
    pub points: Vec<Point>,
    /// Parts of the run in their order.
    pub spans: Vec<Span>,
    /// What was done.
    pub tally: Tally,
    /// What came of the probe's loads, in their order.
    pub probed: Vec<Outcome>,
}

/// No worker is left.
struct Abandoned;

impl Conductor {
    /// Takes the run through its steps; returns when the workers may end.
    ///
    /// # Errors
    ///
    /// When the probe could not go on.
    pub fn conduct(self) -> Result<Course, RunError> {
        let mut course = Course::default();
        let stage = &self.settings.stage;
        if stage.wait_for_begin() == Woken::Met {
            // Whatever was done by then is the outcome of a run that was abandoned.
            let _ = self.carry_out(&mut course);
        }
        stage.enter(Phase::Over);
        course.tally = stage.tally();
        if let Some((prober, _)) = self.probe {
            course.probed = prober.finish()?;
        }
        Ok(course)
    }

    fn carry_out(&self, course: &mut Course) -> Result<(), Abandoned> {
        self.warm_up(course)?;
        self.probe_aside(course, "before")?;
        self.look(course, Moment::Empty);
        if let Some((prober, probe)) = &self.probe {
            prober.begin(probe.during.clone());
        }
        let opened = self.go_through(course);
        if let Some((prober, _)) = &self.probe {
            prober.stop(&self.settings.stage);
        }
        opened?;
        self.probe_aside(course, "after")
    }

    /// Has both sides allocate what they allocate once, so that it is not taken for a cost of each
    /// connection.
    fn warm_up(&self, course: &mut Course) -> Result<(), Abandoned> {
        let (stage, count) = (&self.settings.stage, self.settings.warmup);
        if count == 0 {
            return Ok(());
        }
        let from = stage.now();
        stage.enter(Phase::Warm { count });
        met(stage.wait(None, |tally| tally.warmed >= count))?;
        stage.enter(Phase::Close);
        met(stage.wait(None, |tally| tally.held == 0))?;
        self.settle()?;
        stage.forget();
        course.end("warming up", from, stage);
        Ok(())
    }

    fn go_through(&self, course: &mut Course) -> Result<(), Abandoned> {
        let stage = &self.settings.stage;
        let all = self.settings.connections;
        let opening = stage.now();
        for quarter in 1..=QUARTERS {
            let (from, to) = (all * (quarter - 1) / QUARTERS, all * quarter / QUARTERS);
            if from == to {
                continue;
            }
            stage.enter(Phase::Open { from, to });
            met(stage.wait(None, |tally| tally.answered >= to))?;
            self.settle()?;
            self.look(course, Moment::Opening);
        }
        course.end("opening", opening, stage);
        let holding = stage.now();
        let count = self.settings.churned();
        stage.enter(Phase::Churn { count });
        met(stage.wait(Some(self.settings.hold), |_| false))?;
        met(stage.wait(None, |tally| tally.churned >= count))?;
        self.settle()?;
        self.look(course, Moment::Held);
        course.end("holding", holding, stage);
        let closing = stage.now();
        stage.enter(Phase::Close);
        met(stage.wait(None, |tally| tally.held == 0))?;
        self.settle()?;
        self.look(course, Moment::Closed);
        course.end("closing", closing, stage);
        Ok(())
    }

    /// Probes while there are no connections.
    fn probe_aside(&self, course: &mut Course, name: &'static str) -> Result<(), Abandoned> {
        let stage = &self.settings.stage;
        let Some((prober, probe)) = &self.probe else {
            return Ok(());
        };
        if let Some(load) = &probe.aside {
            let from = stage.now();
            prober.begin(load.clone());
            prober.wait(stage);
            course.end(name, from, stage);
        }
        match stage.is_abandoned() {
            true => Err(Abandoned),
            false => Ok(()),
        }
    }

    fn settle(&self) -> Result<(), Abandoned> {
        let stage = &self.settings.stage;
        stage.enter(Phase::Rest);
        met(stage.wait(Some(self.settings.settle), |_| false))
    }

    fn look(&self, course: &mut Course, moment: Moment) {
        let stage = &self.settings.stage;
        course.points.push(Point {
            moment,
            at: stage.now(),
            connections: stage.tally().held,
            target: self.target.and_then(|pid| Memory::of(Process::Other(pid))),
            generator: Memory::of(Process::Own),
        });
    }
}

impl Course {
    fn end(&mut self, name: &'static str, from: Duration, stage: &Stage) {
        let to = stage.now();
        self.spans.push(Span { name, from, to });
    }
}

fn met(woken: Woken) -> Result<(), Abandoned> {
    match woken {
        Woken::Met | Woken::Elapsed => Ok(()),
        Woken::Abandoned => Err(Abandoned),
    }
}
