//! The verdict of a run on itself. Numbers are printed whatever it is, and marked.
//!
//! Every threshold stands here.

use std::time::Duration;

use super::{
    evidence::{Conditions, Counts, Evidence, TargetCpu},
    model::{State, Verdict},
    reason::Reason,
};
use crate::exit::Exit;

/// A generator thread that works or wants to for more of the time measures itself.
pub const BUSY: f64 = 0.85;
/// 99 % of the operations have to be sent this soon after they were planned.
pub const LAG: Duration = Duration::from_micros(100);
/// And this soon, as a share of the median service time.
pub const LAG_OF_SERVICE: f64 = 0.1;
/// Handshakes of the wrong kind that a run may have.
pub const WRONG_KIND: f64 = 0.001;
/// Failed operations that a run may have before its rates are those of something else.
pub const FAILURES: f64 = 0.01;
/// Planned operations that have to be done.
pub const ACHIEVED: f64 = 0.99;
/// Time the hypervisor may take: beyond, nothing holds.
pub const STOLEN: f64 = 0.1;
/// Time the hypervisor may take unmentioned.
pub const STOLEN_MENTION: f64 = 0.02;
/// Time a generator thread may wait for a core: beyond, its wait is read as the target's time.
pub const WAITED: f64 = 0.1;
/// Time a generator thread may wait for a core unmentioned.
pub const WAITED_MENTION: f64 = 0.05;
/// Shorter runs prove counts but no rates: start and end weigh too much.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// A verdict, and the exit code that goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// For the report.
    pub verdict: Verdict,
    /// For the caller.
    pub exit: Exit,
    /// The grounds of the verdict, the worst first.
    pub reasons: Vec<Reason>,
}

/// Judges a run; `missed` says whether an objective was missed.
pub fn judge(evidence: &Evidence, missed: Objectives) -> Judgement {
    let mut reasons = Vec::new();
    judge_counts(evidence, &mut reasons);
    if evidence.elapsed < SHORTEST {
        // Nothing of the conditions is told from noise in so short a time.
        reasons.push(Reason::Short(evidence.elapsed));
    } else {
        judge_conditions(evidence, &mut reasons);
    }
    if evidence.interrupted {
        reasons.push(Reason::Interrupted(evidence.elapsed));
    }
    if let Some(streams) = evidence.few_streams {
        reasons.push(Reason::FewStreams(streams));
    }
    match evidence.target {
        TargetCpu::Measured { ended } if ended > 0 => {
            reasons.push(Reason::TargetThreadsEnded(ended));
        }
        TargetCpu::Lost => reasons.push(Reason::TargetUnmeasured),
        TargetCpu::Measured { .. } | TargetCpu::NotAsked => {}
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.state()));
    let states = reasons.iter().map(|reason| reason.state());
    let state = states.max().unwrap_or(State::Valid);
    let exit = match (state, missed) {
        // Somebody ended it before the target could do anything.
        (State::Invalid, _) if evidence.interrupted && evidence.counts.planned == 0 => {
            Exit::Invalid
        }
        (State::Invalid, _) if reasons.iter().any(|reason| reason.is_of_the_target()) => {
            Exit::Target
        }
        // Numbers that do not hold decide no objective.
        (State::Invalid, _) => Exit::Invalid,
        (State::Valid | State::Degraded, Objectives::Missed) => Exit::Missed,
        (State::Valid | State::Degraded, Objectives::Met) => Exit::Ok,
    };
    let stored = reasons.iter().map(|reason| reason.to_model()).collect();
    Judgement {
        verdict: Verdict {
            state,
            reasons: stored,
        },
        exit,
        reasons,
    }
}

/// Whether all objectives of a run were met; none are met too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objectives {
    /// All of them.
    Met,
    /// Not all of them.
    Missed,
}

fn judge_counts(evidence: &Evidence, reasons: &mut Vec<Reason>) {
    let Counts {
        planned,
        achieved,
        succeeded,
        failed,
        wrong_kind,
        corrupt,
        died,
    } = evidence.counts;
    let share = |n: u64, of: u64| n as f64 / of.max(1) as f64;
    let done = succeeded + failed;
    if succeeded == 0 {
        reasons.push(Reason::NothingSucceeded);
    }
    if share(wrong_kind, done) > WRONG_KIND {
        reasons.push(Reason::WrongKind(share(wrong_kind, done)));
    }
    if corrupt > 0 {
        reasons.push(Reason::Corrupt(corrupt));
    }
    if died > 0 {
        reasons.push(Reason::Died(died));
    }
    match share(failed, done) {
        failed if failed > FAILURES => reasons.push(Reason::ManyFailures(failed)),
        failed if failed > 0.0 => reasons.push(Reason::SomeFailures(failed)),
        _ => {}
    }
    // Of a target that did nothing, nothing was achieved: said above.
    if succeeded > 0 && share(achieved, planned) < ACHIEVED {
        reasons.push(Reason::Achieved(share(achieved, planned)));
    }
    match evidence.dropped {
        dropped if share(dropped, succeeded) > FAILURES => {
            reasons.push(Reason::ManyDropped(dropped))
        }
        dropped if dropped > 0 => reasons.push(Reason::SomeDropped(dropped)),
        _ => {}
    }
    if evidence.exhausted.backlog > 0 {
        reasons.push(Reason::Overflow(evidence.exhausted.backlog));
    }
    if evidence.exhausted.ports > 0 {
        reasons.push(Reason::PortsExhausted);
    }
    if evidence.exhausted.descriptors > 0 {
        reasons.push(Reason::DescriptorsExhausted);
    }
}

fn judge_conditions(evidence: &Evidence, reasons: &mut Vec<Reason>) {
    let Conditions {
        busy,
        waited,
        stolen,
    } = evidence.conditions;
    if busy > BUSY {
        reasons.push(Reason::GeneratorBusy(busy));
    }
    let limit = evidence.lag.service_p50.mul_f64(LAG_OF_SERVICE).min(LAG);
    if evidence.lag.generator_p99 > limit {
        reasons.push(Reason::Late(evidence.lag.generator_p99));
    } else if evidence.lag.p99 > limit {
        reasons.push(Reason::NoFreeConnection(evidence.lag.p99));
    }
    match waited {
        waited if waited > WAITED => reasons.push(Reason::Starved(waited)),
        waited if waited > WAITED_MENTION => reasons.push(Reason::Waited(waited)),
        _ => {}
    }
    match stolen {
        stolen if stolen > STOLEN => reasons.push(Reason::StolenMuch(stolen)),
        stolen if stolen > STOLEN_MENTION => reasons.push(Reason::StolenSome(stolen)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::evidence::{Exhausted, FewStreams, Lag};

    fn clean() -> Evidence {
        Evidence {
            elapsed: Duration::from_secs(10),
            interrupted: false,
            counts: Counts {
                planned: 1000,
                achieved: 1000,
                succeeded: 1000,
                ..Counts::default()
            },
            lag: Lag {
                p99: Duration::from_micros(20),
                generator_p99: Duration::from_micros(20),
                service_p50: Duration::from_millis(1),
            },
            dropped: 0,
            exhausted: Exhausted::default(),
            conditions: Conditions {
                busy: 0.5,
                ..Conditions::default()
            },
            target: TargetCpu::NotAsked,
            few_streams: None,
        }
    }

    /// Codes, state and exit code of a clean run that `change` spoiled.
    fn judged(change: impl FnOnce(&mut Evidence)) -> (Vec<String>, State, Exit) {
        let mut evidence = clean();
        change(&mut evidence);
        let Judgement { verdict, exit, .. } = judge(&evidence, Objectives::Met);
        let codes = verdict.reasons.into_iter().map(|reason| reason.code);
        (codes.collect(), verdict.state, exit)
    }

    fn fail(evidence: &mut Evidence, failed: u64) {
        evidence.counts.failed = failed;
        evidence.counts.succeeded -= failed;
    }

    #[test]
    fn a_clean_run_is_valid_and_an_objective_may_still_be_missed() {
        assert_eq!(judged(|_| {}), (vec![], State::Valid, Exit::Ok));
        assert_eq!(judge(&clean(), Objectives::Missed).exit, Exit::Missed);
        let mut busy = clean();
        busy.conditions.busy = 0.9;
        let undecided = judge(&busy, Objectives::Missed).exit;
        assert_eq!(undecided, Exit::Invalid, "numbers that do not hold");
    }

    #[test]
    fn one_wrong_kind_in_a_thousand_is_borne_and_two_are_not() {
        let wrong = |n| {
            judged(move |evidence| {
                fail(evidence, n);
                evidence.counts.wrong_kind = n;
            })
        };
        assert_eq!(wrong(1).1, State::Degraded);
        assert_eq!(wrong(2).2, Exit::Target);
    }

    #[test]
    fn each_ground_alone_has_its_state_and_exit_code() {
        type Change = fn(&mut Evidence);
        let late = Duration::from_micros(101);
        assert!(late > LAG);
        let grounds: [(Change, &str, State, Exit); 22] = [
            (
                |e| fail(e, 1000),
                "nothing_succeeded",
                State::Invalid,
                Exit::Target,
            ),
            (
                |e| e.counts.corrupt = 1,
                "corrupt",
                State::Invalid,
                Exit::Target,
            ),
            (|e| e.counts.died = 1, "died", State::Invalid, Exit::Invalid),
            (|e| fail(e, 11), "failures", State::Invalid, Exit::Invalid),
            (|e| fail(e, 10), "failures", State::Degraded, Exit::Ok),
            (
                |e| e.counts.achieved = 989,
                "achieved",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.exhausted.backlog = 1,
                "backlog_overflow",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.exhausted.ports = 1,
                "ports_exhausted",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.exhausted.descriptors = 1,
                "descriptors_exhausted",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| {
                    e.lag.p99 = Duration::from_micros(101);
                    e.lag.generator_p99 = Duration::from_micros(101);
                },
                "send_lag",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.lag.service_p50 = Duration::from_micros(199),
                "send_lag",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.lag.p99 = Duration::from_micros(101),
                "no_free_connection",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.conditions.busy = 0.86,
                "generator_busy",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.conditions.waited = 0.06,
                "waited_for_core",
                State::Degraded,
                Exit::Ok,
            ),
            (
                |e| e.conditions.waited = 0.11,
                "starved",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.conditions.stolen = 0.11,
                "stolen",
                State::Invalid,
                Exit::Invalid,
            ),
            (
                |e| e.conditions.stolen = 0.03,
                "stolen",
                State::Degraded,
                Exit::Ok,
            ),
            (
                |e| e.interrupted = true,
                "interrupted",
                State::Degraded,
                Exit::Ok,
            ),
            (
                |e| e.elapsed = Duration::from_millis(999),
                "short",
                State::Degraded,
                Exit::Ok,
            ),
            (
                |e| e.target = TargetCpu::Measured { ended: 1 },
                "target_threads_ended",
                State::Degraded,
                Exit::Ok,
            ),
            (
                |e| {
                    e.few_streams = Some(FewStreams {
                        allowed: 1,
                        wanted: 2,
                    });
                },
                "few_streams",
                State::Degraded,
                Exit::Ok,
            ),
            (
                |e| e.target = TargetCpu::Lost,
                "target_unmeasured",
                State::Degraded,
                Exit::Ok,
            ),
        ];
        for (change, code, state, exit) in grounds {
            let (codes, is, ended) = judged(change);
            assert_eq!(codes[0], code);
            assert_eq!((is, ended), (state, exit), "{code}");
        }
    }

    #[test]
    fn a_run_that_was_ended_before_it_began_proves_nothing() {
        let ended = judged(|evidence| {
            evidence.interrupted = true;
            evidence.counts = Counts::default();
        });
        assert_eq!((ended.1, ended.2), (State::Invalid, Exit::Invalid));
    }

    #[test]
    fn a_short_run_is_not_judged_by_its_conditions() {
        let (codes, ..) = judged(|evidence| {
            evidence.elapsed = Duration::from_millis(900);
            evidence.conditions.busy = 1.0;
            evidence.lag.generator_p99 = Duration::from_secs(1);
        });
        assert_eq!(codes, ["short"]);
    }
}
