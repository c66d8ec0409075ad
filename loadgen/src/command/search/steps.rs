//! The steps of a search: made here on one session, or by agents, and kept for the report.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{CommandError, HIGHEST, STEP, flags_for, process};
use crate::{
    agents::AgentsError,
    cli::{LoadArgs, Place, SearchFlags},
    command::load::{self, Job, Measured},
    exit::Exit,
    host,
    report::{
        build,
        objective::Objective,
        reason::Reason,
        search::{
            self as model, Capacity, HEAD, Row, SearchReport,
            conclusion::{Broken, broken_off, concluded},
        },
    },
    run::{RunError, Session},
    schedule::{
        Extent,
        curve::{Rate, Stage},
        timeline::OpenLoad,
    },
    search::{
        Asked, Conclusion, Finding, Limits, Next, Search, Step,
        finding::{Seen, finding},
    },
    worker::{Load, Loads, Plan},
};

/// Who makes the steps.
enum Makes {
    /// This machine, on connections that are kept from step to step.
    Here(Box<Session>),
    /// Agents, each step on connections of its own.
    Agents,
}

/// The steps of a search.
pub struct Steps<'a> {
    job: &'a Job<'a>,
    flags: &'a SearchFlags,
    /// What each step's report says was asked for, but for its rate.
    plan: Plan,
    makes: Makes,
    taken: Vec<model::Step>,
    /// What to do about a target that failed altogether.
    pub advice: Option<String>,
}

/// How a search comes to its end.
pub enum Ended {
    /// By itself.
    Concluded(Conclusion),
    /// Before that.
    Broken(Broken),
}

impl<'a> Steps<'a> {
    /// Has connections for the first step stand.
    ///
    /// # Errors
    ///
    /// When flags are of no use, or the session cannot start.
    pub fn begin(
        job: &'a Job<'a>,
        flags: &'a SearchFlags,
        lowest: Rate,
    ) -> Result<Self, CommandError> {
        let first = Asked::Step {
            rate: lowest,
            number: 1,
        };
        let mut plan = load::plan(&job.with(&flags_for(job, flags, first)))?;
        let makes = match job.load.agents.place {
            Place::Coordinator { .. } => Makes::Agents,
            Place::Alone | Place::Agent(_) => {
                plan.loads = Loads::Many;
                let session = Session::start(plan.clone(), job.load.target_pid)?;
                Makes::Here(Box::new(session))
            }
        };
        Ok(Self {
            job,
            flags,
            plan,
            makes,
            taken: Vec::new(),
            advice: None,
        })
    }

    /// Takes steps until the search is over.
    ///
    /// # Errors
    ///
    /// When none can be taken.
    pub fn take(&mut self, search: &mut Search) -> Result<Ended, CommandError> {
        let mut err = io::stderr();
        writeln!(err, "{HEAD}")?;
        loop {
            let step = match search.next() {
                Next::Done(conclusion) => return Ok(Ended::Concluded(conclusion)),
                Next::Step(step) => step,
            };
            let measured = match self.measure(step.rate) {
                Ok(measured) => measured,
                // What was found before is not lost with it.
                Err(error) if !self.taken.is_empty() => match broken(&error) {
                    Some(broken) => {
                        writeln!(err, "loadgen: {error}")?;
                        return Ok(Ended::Broken(broken));
                    }
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            };
            let interrupted = measured.report.timing.interrupted;
            let lost = measured.report.agents.iter();
            let lost = lost.filter(|agent| agent.lost.is_some()).count() > 0;
            let finding = self.note(step, measured);
            if let Some(taken) = self.taken.last() {
                writeln!(err, "{}", Row(taken))?;
            }
            match () {
                () if self.advice.is_some() => return Ok(Ended::Broken(Broken::TargetFailed)),
                () if interrupted => return Ok(Ended::Broken(Broken::Interrupted)),
                () if lost => return Ok(Ended::Broken(Broken::AgentLost)),
                () => search.observe(finding),
            }
        }
    }

    /// Makes the next step.
    fn measure(&mut self, rate: Rate) -> Result<Measured, CommandError> {
        let number = self.taken.len() as u32 + 1;
        let load = flags_for(self.job, self.flags, Asked::Step { rate, number });
        let session = match &mut self.makes {
            Makes::Here(session) => session,
            Makes::Agents => return load::measure(&self.job.with(&load)),
        };
        let open = OpenLoad {
            process: process(self.job),
            stages: vec![Stage::hold(rate, self.plan.extent.duration.unwrap_or(STEP))],
            seed: load.schedule.seed,
        };
        let extent = Extent {
            duration: open.length(),
            ..self.plan.extent
        };
        self.plan.open = Some(open.clone());
        let outcome = match number {
            // It is the load of the session's plan.
            1 => session.first()?,
            _ => session.again(Load {
                extent,
                open: Some(open),
            })?,
        };
        let frame = load::frame(self.job, &self.plan);
        Ok(load::judged(self.job, outcome, frame))
    }

    /// Keeps a step, and says what it found.
    fn note(&mut self, step: Step, measured: Measured) -> Finding {
        let finding = finding(seen(&measured, self.job.load));
        let damaged = |reason: &Reason| matches!(reason, Reason::Corrupt(_) | Reason::WrongKind(_));
        let dead = self.taken.is_empty() && measured.exit == Exit::Target;
        // A target that fails at a rate it cannot hold is what is looked for; damage is not.
        if dead || measured.reasons.iter().any(damaged) {
            self.advice = Some(measured.advice);
        }
        self.taken.push(model::Step {
            number: self.taken.len() as u32 + 1,
            phase: step.phase,
            attempt: step.attempt,
            rate_per_s: step.rate.per_s(),
            finding,
            report: measured.report,
        });
        finding
    }

    /// The report of the search, with all steps.
    pub fn report(&mut self, limits: Limits, capacity: Capacity, ended: Ended) -> SearchReport {
        let steps = std::mem::take(&mut self.taken);
        let result = match ended {
            Ended::Concluded(conclusion) => concluded(conclusion, &steps),
            Ended::Broken(broken) => broken_off(&steps, broken),
        };
        let step = self.plan.extent.duration.unwrap_or(STEP);
        SearchReport {
            format: model::FORMAT.to_owned(),
            tool: build::tool(),
            host: host::describe(),
            operation: self.job.name.to_owned(),
            target: self.job.target.to_string(),
            slo: self.job.load.slo.iter().map(ToString::to_string).collect(),
            settings: model::Settings {
                lowest_per_s: limits.lowest.per_s(),
                highest_per_s: (limits.highest < HIGHEST).then_some(limits.highest.per_s()),
                precision: limits.precision,
                attempts: limits.attempts,
                confirmations: limits.confirmations,
                step_s: step.as_secs_f64(),
                settle_s: self.plan.extent.warmup.as_secs_f64(),
            },
            capacity,
            result,
            steps,
        }
    }
}

/// What ends a search behind steps that were taken.
fn broken(error: &CommandError) -> Option<Broken> {
    match error {
        CommandError::Run(RunError::Interrupted) => Some(Broken::Interrupted),
        CommandError::Agents(AgentsError::Agent { .. }) => Some(Broken::AgentLost),
        _ => None,
    }
}

/// What is known of a step, for its finding.
fn seen<'a>(measured: &'a Measured, load: &LoadArgs) -> Seen<'a> {
    let report = &measured.report;
    Seen {
        objectives: &measured.objectives,
        errors_bounded: load.slo.iter().any(Objective::bounds_errors),
        reasons: &measured.reasons,
        latest: Duration::from_nanos(report.generator.lag.max_ns),
        elapsed: Duration::from_secs_f64(report.timing.elapsed_s),
        achieved_per_s: report.achieved.achieved_per_s,
    }
}
