//! The verdict of a run on itself. Numbers are printed whatever it is, and marked.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use crate::{
    exit::Exit, measure::tally::FailureCount, operation::failure::Class, run::Outcome,
    schedule::Extent,
};

/// A busier generator thread measures itself and not the target.
const BUSY_LIMIT: f64 = 0.85;
/// 99 % of the operations have to be sent this soon after they were planned.
const LAG_LIMIT: Duration = Duration::from_micros(100);
/// And this soon, as a share of the median service time.
const LAG_LIMIT_OF_SERVICE: f64 = 0.1;
/// Handshakes of the wrong kind that a run may have.
const WRONG_KIND_LIMIT: f64 = 0.001;
/// Failed operations that a run may have before its rates are those of something else.
const FAILURE_LIMIT: f64 = 0.01;
/// Planned operations that have to be done.
const ACHIEVED_LIMIT: f64 = 0.99;
/// Time the hypervisor may take: beyond, nothing holds.
const STOLEN_LIMIT: f64 = 0.1;
/// Time the hypervisor may take unmentioned.
const STOLEN_MENTION: f64 = 0.02;
/// Time the generator may wait for a core unmentioned, per thread.
const WAITED_MENTION: f64 = 0.05;
/// Shorter runs prove counts but no rates: start and end weigh too much.
const SHORTEST: Duration = Duration::from_secs(1);

/// Whether the numbers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They do.
    Valid,
    /// With a grain of salt.
    Degraded,
    /// They do not.
    Invalid,
}

/// Why they do not hold, or not quite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// No operation succeeded.
    NothingSucceeded,
    /// A generator thread was on its core for this share of the time.
    GeneratorBusy(f64),
    /// Operations were sent this late.
    Lag(Duration),
    /// This share of the handshakes was of the wrong kind.
    WrongKind(f64),
    /// This many answers were damaged.
    Corrupt(u64),
    /// This share of the operations failed.
    Failures(f64),
    /// This many connections ended by a panic of ours.
    Died(u64),
    /// This share of the planned operations was done.
    Achieved(f64),
    /// No free local port.
    PortsExhausted,
    /// No free file descriptor.
    DescriptorsExhausted,
    /// The hypervisor took this share of the host's time.
    Stolen(f64),
    /// The generator waited for a core for this share of the time.
    Waited(f64),
    /// The run was this short.
    Short(Duration),
    /// This many threads of the target ended, with their CPU times.
    TargetThreadsEnded(usize),
    /// The target ended, or its CPU times could not be read at the end.
    TargetUnmeasured,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        match *self {
            Reason::NothingSucceeded => f.write_str("no operation succeeded"),
            Reason::GeneratorBusy(share) => write!(
                f,
                "the generator is the bottleneck: a thread was busy {} of the time (limit 85 %); give it more threads or cores",
                percent(share)
            ),
            Reason::Lag(lag) => write!(
                f,
                "operations were sent late: p99 {} us (limit 100 us and 10 % of the median service time)",
                lag.as_secs_f64() * 1e6
            ),
            Reason::WrongKind(share) => {
                write!(
                    f,
                    "{} of the handshakes are of the wrong kind (limit 0.1 %)",
                    percent(share)
                )
            }
            Reason::Corrupt(count) => {
                write!(f, "{count} answers are not what was sent or asked for")
            }
            Reason::Failures(share) => write!(f, "{} of the operations failed", percent(share)),
            Reason::Died(count) => write!(
                f,
                "{count} connections ended by a panic: a defect of loadgen, see standard error"
            ),
            Reason::Achieved(share) => {
                write!(
                    f,
                    "only {} of the planned operations were done",
                    percent(share)
                )
            }
            Reason::PortsExhausted => f.write_str(
                "out of local ports: spread the load over more addresses, or use fewer connections",
            ),
            Reason::DescriptorsExhausted => {
                f.write_str("out of file descriptors: raise `ulimit -n`")
            }
            Reason::Stolen(share) => {
                write!(f, "the hypervisor took {} of the time", percent(share))
            }
            Reason::Waited(share) => write!(
                f,
                "the generator waited for a core {} of the time: something else runs on it",
                percent(share)
            ),
            Reason::Short(elapsed) => {
                write!(
                    f,
                    "the run took {:.3} s: too short for rates",
                    elapsed.as_secs_f64()
                )
            }
            Reason::TargetThreadsEnded(count) => {
                write!(
                    f,
                    "{count} threads of the target ended: their CPU time is missing"
                )
            }
            Reason::TargetUnmeasured => {
                f.write_str("the target's CPU time could not be read at the end")
            }
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The verdict and its grounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The worst that was found.
    pub state: State,
    /// What makes it invalid.
    pub invalid: Vec<Reason>,
    /// What makes it degraded.
    pub degraded: Vec<Reason>,
}

/// What the verdict has to know of the plan.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How much was asked for.
    pub extent: Extent,
    /// Generator threads.
    pub threads: usize,
    /// Whether the target's CPU time was asked for.
    pub target_cpu: bool,
}

/// Judges a run.
pub fn judge(outcome: &Outcome, asked: Asked) -> Verdict {
    let (mut invalid, mut degraded) = (Vec::new(), Vec::new());
    judge_counts(outcome, asked, &mut invalid, &mut degraded);
    judge_conditions(outcome, asked, &mut invalid, &mut degraded);
    let state = match (invalid.is_empty(), degraded.is_empty()) {
        (false, _) => State::Invalid,
        (true, false) => State::Degraded,
        (true, true) => State::Valid,
    };
    Verdict {
        state,
        invalid,
        degraded,
    }
}

fn judge_counts(
    outcome: &Outcome,
    asked: Asked,
    invalid: &mut Vec<Reason>,
    degraded: &mut Vec<Reason>,
) {
    let counts = &outcome.tally.counts;
    let done = counts.succeeded + counts.failed;
    let share = |n: u64| n as f64 / done.max(1) as f64;
    if counts.succeeded == 0 {
        invalid.push(Reason::NothingSucceeded);
    }
    if share(counts.wrong_kind) > WRONG_KIND_LIMIT {
        invalid.push(Reason::WrongKind(share(counts.wrong_kind)));
    }
    if counts.corrupt > 0 {
        invalid.push(Reason::Corrupt(counts.corrupt));
    }
    if counts.died > 0 {
        invalid.push(Reason::Died(counts.died));
    }
    match share(counts.failed) {
        failed if failed > FAILURE_LIMIT => invalid.push(Reason::Failures(failed)),
        failed if failed > 0.0 => degraded.push(Reason::Failures(failed)),
        _ => {}
    }
    if let (Some(planned), None) = (asked.extent.operations, asked.extent.duration) {
        let achieved = done as f64 / planned.max(1) as f64;
        if achieved < ACHIEVED_LIMIT {
            invalid.push(Reason::Achieved(achieved));
        }
    }
    let any = |class| {
        outcome
            .tally
            .failures
            .keys()
            .any(|(_, seen)| *seen == class)
    };
    if any(Class::PortsExhausted) {
        invalid.push(Reason::PortsExhausted);
    }
    if any(Class::DescriptorsExhausted) {
        invalid.push(Reason::DescriptorsExhausted);
    }
}

fn judge_conditions(
    outcome: &Outcome,
    asked: Asked,
    invalid: &mut Vec<Reason>,
    degraded: &mut Vec<Reason>,
) {
    let seconds = outcome.elapsed.as_secs_f64().max(1e-9);
    if outcome.elapsed < SHORTEST {
        // Nothing below is told from noise in so short a time.
        degraded.push(Reason::Short(outcome.elapsed));
    } else {
        let busy = outcome.generator.busiest.as_secs_f64() / seconds;
        if busy > BUSY_LIMIT {
            invalid.push(Reason::GeneratorBusy(busy));
        }
        let latency = &outcome.tally.latency;
        let lag = latency.lag.percentile(99.0);
        let limit = latency
            .service
            .percentile(50.0)
            .mul_f64(LAG_LIMIT_OF_SERVICE)
            .min(LAG_LIMIT);
        if lag > limit {
            invalid.push(Reason::Lag(lag));
        }
        let waited = outcome.generator.waited.as_secs_f64() / seconds / asked.threads.max(1) as f64;
        if waited > WAITED_MENTION {
            degraded.push(Reason::Waited(waited));
        }
        match outcome.stolen {
            stolen if stolen > STOLEN_LIMIT => invalid.push(Reason::Stolen(stolen)),
            stolen if stolen > STOLEN_MENTION => degraded.push(Reason::Stolen(stolen)),
            _ => {}
        }
    }
    match &outcome.target {
        Some(spent) if spent.ended > 0 => degraded.push(Reason::TargetThreadsEnded(spent.ended)),
        None if asked.target_cpu => degraded.push(Reason::TargetUnmeasured),
        _ => {}
    }
}

impl Verdict {
    /// The exit code of the run.
    pub fn exit(&self) -> Exit {
        let target = |reason: &Reason| {
            matches!(
                reason,
                Reason::NothingSucceeded | Reason::Corrupt(_) | Reason::WrongKind(_)
            )
        };
        match self.state {
            State::Invalid if self.invalid.iter().any(target) => Exit::Target,
            State::Invalid => Exit::Invalid,
            State::Valid | State::Degraded => Exit::Ok,
        }
    }
}

/// What to do about the most frequent failure; empty when there is none.
pub fn advice(outcome: &Outcome, target: &str) -> String {
    let most = outcome
        .tally
        .failures
        .iter()
        .max_by_key(|(_, failure)| failure.count);
    let Some(((phase, class), FailureCount { example, .. })) = most else {
        return "nothing was done: ask for a longer run with -d or -n".to_owned();
    };
    let todo = match class {
        Class::Refused => "nothing listens there: start the target, or correct host and port",
        Class::Unreachable => "no route leads there: correct the host, or use --connect-to",
        Class::Timeout => "it does not answer: see whether it hangs, or raise --timeout",
        Class::Certificate => {
            "its certificate does not verify: correct --cacert or --sni, or use -k"
        }
        Class::Alert => {
            "it refuses our TLS: see its log; it may want --cert and --key, or another --sni"
        }
        Class::Tls | Class::Truncated => "it does not speak TLS as it should: for TCP use --plain",
        Class::Closed | Class::Reset => {
            "it breaks connections off: see its log, and whether it expects TLS or TCP (--plain)"
        }
        Class::Status => "correct the path, or store the object first",
        Class::NoTicket | Class::WrongKind => {
            "it does not resume sessions: turn tickets on there, or drop --resume"
        }
        Class::Mismatch | Class::WrongLength => "it damages or loses data: do not trust it",
        Class::PortsExhausted => "wait for ports to become free, or use fewer connections",
        Class::DescriptorsExhausted => "raise `ulimit -n`",
        Class::Http => "see whether it speaks HTTP/1.1 there",
        Class::Io => "see the system's log",
    };
    let phase = format!("{phase:?}").to_lowercase();
    format!("{target}: {example} ({phase}); {todo}")
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::{
        measure::{
            cpu::Spent,
            tally::{Done, Tally},
        },
        operation::failure::{Cause, Failure, Kind, Phase},
        schedule::Arrival,
    };

    fn outcome(succeeded: u64, failures: &[Cause]) -> Outcome {
        let planned = Instant::now();
        let arrival = Arrival {
            planned,
            measured: true,
            number: 0,
        };
        let done = planned + Duration::from_millis(1);
        let mut tally = Tally::default();
        for _ in 0..succeeded {
            let done = Done {
                arrival,
                sent: planned,
                done,
                sent_bytes: 1,
                received_bytes: 1,
            };
            tally.succeed(&done);
        }
        for cause in failures {
            let cause = match cause {
                Cause::WrongKind { wanted } => Cause::WrongKind { wanted: *wanted },
                Cause::Mismatch { offset } => Cause::Mismatch { offset: *offset },
                _ => Cause::Closed,
            };
            tally.fail(arrival, &Failure::new(Phase::Check, cause));
        }
        Outcome {
            tally,
            began: SystemTime::now(),
            elapsed: Duration::from_secs(10),
            generator: Spent {
                busiest: Duration::from_secs(5),
                ..Spent::default()
            },
            target: None,
            stolen: 0.0,
        }
    }

    fn asked() -> Asked {
        let extent = Extent {
            duration: None,
            operations: Some(1000),
            warmup: Duration::ZERO,
        };
        Asked {
            extent,
            threads: 1,
            target_cpu: false,
        }
    }

    #[test]
    fn a_clean_run_is_valid() {
        let verdict = judge(&outcome(1000, &[]), asked());
        assert_eq!(
            (verdict.state, verdict.exit()),
            (State::Valid, Exit::Ok),
            "{verdict:?}"
        );
    }

    #[test]
    fn one_wrong_kind_in_a_thousand_is_borne_and_two_are_not() {
        let wrong = || Cause::WrongKind {
            wanted: Kind::Resumed,
        };
        let one = judge(&outcome(999, &[wrong()]), asked());
        assert_eq!(
            (one.state, one.exit()),
            (State::Degraded, Exit::Ok),
            "{one:?}"
        );
        let two = judge(&outcome(998, &[wrong(), wrong()]), asked());
        assert_eq!(
            (two.state, two.exit()),
            (State::Invalid, Exit::Target),
            "{two:?}"
        );
    }

    #[test]
    fn damage_nothing_done_and_a_busy_generator_are_invalid() {
        let damaged = judge(&outcome(999, &[Cause::Mismatch { offset: 3 }]), asked());
        assert_eq!(damaged.exit(), Exit::Target);
        let nothing = judge(&outcome(0, &[Cause::Closed]), asked());
        assert_eq!(nothing.exit(), Exit::Target);
        let mut busy = outcome(1000, &[]);
        busy.generator.busiest = Duration::from_millis(8600);
        assert_eq!(judge(&busy, asked()).exit(), Exit::Invalid);
        busy.elapsed = Duration::from_millis(900);
        let short = judge(&busy, asked());
        assert_eq!((short.state, short.exit()), (State::Degraded, Exit::Ok));
        let half = judge(&outcome(500, &[]), asked());
        assert_eq!(half.invalid, [Reason::Achieved(0.5)]);
    }
}
