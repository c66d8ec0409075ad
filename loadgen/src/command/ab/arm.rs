//! One target of a comparison: its connections, and what it did in all its slices.

use std::time::Duration;

use crate::{
    ab::pairs::Half,
    command::{
        CommandError,
        load::{self, Job},
    },
    measure::interval::{Interval, Part},
    operation::failure::Class,
    report::{
        ab::Target,
        advice::advice,
        build,
        evidence::{Conditions, Counts, Evidence, Exhausted, FewStreams, Lag, TargetCpu},
        model::Verdict,
        verdict::{self, Judgement, Objectives},
    },
    run::{Outcome, Session},
    worker::{Load, Loads, Plan},
};

/// A target, and its connections.
pub struct Arm<'a> {
    /// What is done to it.
    pub job: &'a Job<'a>,
    /// Its name in the report.
    pub name: &'static str,
    /// The plan of its warm-up.
    pub plan: Plan,
    session: Session,
    /// Everything before its first slice.
    before: Interval,
    /// All its slices.
    sums: Interval,
    elapsed: Duration,
    cpu: Option<Duration>,
    /// How long threads of the generator waited for a core.
    waited: Duration,
    /// Threads of the target that ended in a slice.
    ended: usize,
}

impl<'a> Arm<'a> {
    /// Connects, for a warm-up of this length and any number of slices.
    pub fn begin(
        job: &'a Job<'a>,
        name: &'static str,
        warmup: Duration,
    ) -> Result<Self, CommandError> {
        let mut plan = load::plan(job)?;
        plan.loads = Loads::Many;
        (plan.extent.duration, plan.extent.warmup) = (Some(warmup), Duration::ZERO);
        if let Some(open) = &mut plan.open {
            open.stages
                .iter_mut()
                .for_each(|stage| stage.length = warmup);
        }
        let kinds = plan.operation.kinds().len();
        let rows = plan.mix.rows();
        Ok(Self {
            session: Session::start(plan.clone(), job.load.target_pid)?,
            job,
            name,
            plan,
            before: Interval::new(kinds, rows),
            sums: Interval::new(kinds, rows),
            elapsed: Duration::ZERO,
            cpu: job.load.target_pid.map(|_| Duration::ZERO),
            waited: Duration::ZERO,
            ended: 0,
        })
    }

    /// Runs the load that is not counted; false when the target did nothing of it as it should.
    pub fn warm_up(&mut self) -> Result<bool, CommandError> {
        let outcome = self.session.first()?;
        self.before.add(&outcome.collected.totals);
        Ok(whole(&self.before).counts.succeeded > 0)
    }

    /// Runs one slice.
    pub fn slice(&mut self, load: Load) -> Result<Half, CommandError> {
        let outcome = self.session.again(load)?;
        let half = self.half(&outcome);
        self.sums.add(&outcome.collected.totals);
        // They say when each operation was planned, which here says nothing.
        self.sums.planned.clear();
        self.elapsed += half.elapsed;
        self.cpu = self.cpu.zip(half.cpu).map(|(sum, more)| sum + more);
        Ok(half)
    }

    fn half(&mut self, outcome: &Outcome) -> Half {
        let Part { counts, latency } = whole(&outcome.collected.totals);
        let ends = outcome.moments.first().zip(outcome.moments.last());
        let threads = outcome.threads.iter();
        let waited = ends.map(|(first, last)| {
            let of = |thread: &u32| {
                last.generator
                    .thread_since(&first.generator, *thread)
                    .waited
            };
            threads.map(of).max().unwrap_or_default()
        });
        self.waited += waited.unwrap_or_default();
        let spent = ends
            .and_then(|(first, last)| Some(last.target.as_ref()?.since(first.target.as_ref()?)));
        self.ended += spent.map_or(0, |spent| spent.ended);
        Half {
            succeeded: counts.succeeded,
            failed: counts.failed,
            elapsed: outcome.elapsed,
            cpu: spent.map(|spent| spent.ran),
            service: latency.service,
        }
    }

    /// Judges all its slices, or its warm-up where there were none. How busy the generator was is no matter: the CPU time per operation
    /// does not depend on it, and the others were asked as fast.
    pub fn judge(&self, stolen: f64, interrupted: bool) -> Judgement {
        let sums = match self.elapsed.is_zero() {
            true => &self.before,
            false => &self.sums,
        };
        let Part { counts, latency } = whole(sums);
        let connections = &sums.connections;
        let of_class = |class| -> u64 {
            let failures = sums.failures.iter();
            let of_it = failures.filter(|((_, seen), _)| *seen == class);
            of_it.map(|(_, failures)| failures.count).sum()
        };
        let evidence = Evidence {
            elapsed: self.elapsed,
            interrupted,
            counts: Counts {
                planned: counts.planned,
                achieved: build::achieved(&counts),
                succeeded: counts.succeeded,
                failed: counts.failed,
                wrong_kind: counts.wrong_kind,
                corrupt: counts.corrupt,
                died: connections.died,
            },
            lag: Lag {
                p99: latency.lag.percentile(99.0),
                generator_p99: sums.effort.lag.percentile(99.0),
                service_p50: latency.service.percentile(50.0),
            },
            dropped: connections.dropped,
            exhausted: Exhausted {
                backlog: sums.effort.overflowed,
                ports: of_class(Class::PortsExhausted),
                descriptors: of_class(Class::DescriptorsExhausted),
            },
            conditions: Conditions {
                busy: 0.0,
                waited: self.waited.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9),
                stolen,
            },
            target: match (self.job.load.target_pid, self.cpu) {
                (None, _) => TargetCpu::NotAsked,
                (Some(_), Some(_)) => TargetCpu::Measured { ended: self.ended },
                (Some(_), None) => TargetCpu::Lost,
            },
            few_streams: connections.http.streams_allowed.map(|allowed| FewStreams {
                allowed,
                wanted: self.plan.streams() as u64,
            }),
        };
        verdict::judge(&evidence, Objectives::Met)
    }

    /// What to do about it if it failed.
    pub fn advice(&self) -> String {
        let mut all = self.before.clone();
        all.add(&self.sums);
        advice(&all, &self.job.target.to_string())
    }

    /// All of it for the report.
    pub fn report(self, verdict: Verdict) -> Target {
        let all = whole(&self.sums);
        let elapsed_s = self.elapsed.as_secs_f64();
        let mut connections = self.before.connections;
        connections.add(&self.sums.connections);
        let succeeded = all.counts.succeeded;
        let per_operation = |cpu: Duration| cpu.as_nanos() as f64 / succeeded as f64;
        Target {
            name: self.name.to_owned(),
            url: self.job.target.to_string(),
            address: self.plan.address.to_string(),
            pid: self.job.load.target_pid,
            elapsed_s,
            cpu_s: self.cpu.map(|cpu| cpu.as_secs_f64()),
            cpu_ns_per_operation: self.cpu.filter(|_| succeeded > 0).map(per_operation),
            totals: build::part(self.name, &all, elapsed_s),
            tls: self.plan.tls.is_some().then_some(connections.negotiated),
            errors: build::errors(&self.sums, 0.0),
            verdict,
        }
    }
}

/// All operations, whatever their kind.
fn whole(sums: &Interval) -> Part {
    let mut all = Part::default();
    for part in &sums.kinds {
        all.add(part);
    }
    all
}
