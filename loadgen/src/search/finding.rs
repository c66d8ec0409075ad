//! What a step proves: that its rate holds, that the target misses it, or nothing.
//!
//! A generator that is late is neither blamed on the target nor credited to it. Response times begin
//! at the planned start, so whatever the generator adds is in them. Where work is done in the order in
//! which it comes, operations that are sent later, each by so much at most, make none end sooner, and
//! none later by more than that. So, whatever a verdict says of the generator:
//!
//! - a step that was offered whole and met a bound of its response times has met it: with a generator
//!   in time they would have been as long at most;
//! - a step that missed has missed if it would have without all that the generator can have added;
//! - what lies between proves nothing.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::{
    objective::{Judged, Lateness},
    reason::Reason,
};

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Finding {
    /// All objectives were met, and nothing that the generator did can be why.
    Held {
        /// Operations per second that succeeded.
        achieved_per_s: f64,
    },
    /// The target failed or missed an objective, and nothing that the generator did can be why.
    Missed,
    /// The generator could not make the rate, or may be why an objective was missed: of the target
    /// this says nothing.
    Limited,
    /// The machine was too busy with something else for the numbers to hold.
    Noisy,
}

/// What is known of a step.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its objectives.
    pub objectives: &'a [Judged],
    /// Whether one of those of the whole load says how many operations may fail.
    pub errors_bounded: bool,
    /// The grounds of its verdict.
    pub reasons: &'a [Reason],
    /// The most that the generator itself added to a send lag.
    pub latest: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// Operations per second that succeeded.
    pub achieved_per_s: f64,
}

/// Who is behind a ground of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// The target: whatever else was found, it did not keep up.
    Target,
    /// Whoever ended it: too little was seen.
    Shortness,
    /// Not all that was planned was sent in time: of a target that misses, the target; of one that
    /// does not, the generator, or connections that are too few.
    Unsent,
    /// Operations waited for connections, and were sent in time.
    Waiting,
    /// The generator is at the end of ports or descriptors, or broke.
    Exhausted,
    /// The generator is at the end of its CPU. An operation of many steps may be slow by that at each
    /// of them, and its start in time.
    Busy,
    /// The generator sent late.
    Late,
    /// The generator had no core for a part of the time.
    Starved,
    /// The hypervisor took time, perhaps the target's.
    Stolen,
    /// Nobody: objectives decide.
    Nobody,
}

fn blame(reason: Reason, errors_bounded: bool) -> Blame {
    match reason {
        Reason::NothingSucceeded
        | Reason::Corrupt(_)
        | Reason::WrongKind(_)
        | Reason::ManyDropped(_)
        | Reason::SomeDropped(_)
        | Reason::ManyFailures(_) => Blame::Target,
        Reason::SomeFailures(_) if errors_bounded => Blame::Nobody,
        Reason::SomeFailures(_) => Blame::Target,
        Reason::Short(_) | Reason::Interrupted(_) => Blame::Shortness,
        Reason::Achieved(_) | Reason::Overflow(_) => Blame::Unsent,
        Reason::NoFreeConnection(_) => Blame::Waiting,
        Reason::PortsExhausted | Reason::DescriptorsExhausted | Reason::Died(_) => Blame::Exhausted,
        Reason::GeneratorBusy(_) => Blame::Busy,
        Reason::Late(_) => Blame::Late,
        Reason::Starved(_) | Reason::Waited(_) => Blame::Starved,
        Reason::StolenMuch(_) | Reason::StolenSome(_) => Blame::Stolen,
        // What is so at every rate says nothing about one.
        Reason::TargetThreadsEnded(_) | Reason::TargetUnmeasured | Reason::FewStreams(_) => {
            Blame::Nobody
        }
    }
}

/// What a step proves.
pub fn finding(seen: Seen<'_>) -> Finding {
    if seen.blames(Blame::Target) {
        Finding::Missed
    } else if seen.blames(Blame::Shortness) {
        Finding::Noisy
    } else if !seen.objectives.iter().all(Judged::met) {
        of_a_miss(seen)
    } else if seen.bounds_lateness() {
        of_a_bound_that_was_met(seen)
    } else {
        of_others_that_were_met(seen)
    }
}

/// Response times are bounded, and whatever was added to them is within the bound.
fn of_a_bound_that_was_met(seen: Seen<'_>) -> Finding {
    match seen.blames(Blame::Exhausted) || seen.blames(Blame::Unsent) {
        true => Finding::Limited,
        false => seen.held(),
    }
}

/// What was met leaves out how late operations were sent: only a clean step meets it.
fn of_others_that_were_met(seen: Seen<'_>) -> Finding {
    let limits = [
        Blame::Exhausted,
        Blame::Unsent,
        Blame::Waiting,
        Blame::Busy,
        Blame::Late,
    ];
    if seen.blames(Blame::Stolen) || seen.blames(Blame::Starved) {
        Finding::Noisy
    } else if limits.into_iter().any(|blame| seen.blames(blame)) {
        Finding::Limited
    } else {
        seen.held()
    }
}

fn of_a_miss(seen: Seen<'_>) -> Finding {
    let starved = seen.blames(Blame::Starved);
    let hindered = starved || seen.blames(Blame::Late);
    if seen.blames(Blame::Stolen) {
        Finding::Noisy
    } else if seen.blames(Blame::Exhausted) {
        Finding::Limited
    } else if seen.blames(Blame::Busy) || hindered && seen.met_at_best() {
        // What has no core looks busy, and is late.
        match starved {
            true => Finding::Noisy,
            false => Finding::Limited,
        }
    } else {
        Finding::Missed
    }
}

impl Seen<'_> {
    fn held(&self) -> Finding {
        Finding::Held {
            achieved_per_s: self.achieved_per_s,
        }
    }

    fn blames(&self, who: Blame) -> bool {
        let mut reasons = self.reasons.iter();
        reasons.any(|reason| blame(*reason, self.errors_bounded) == who)
    }

    /// Whether an objective bounds the time from the planned start, and none leaves lateness out.
    fn bounds_lateness(&self) -> bool {
        let of = |lateness| self.objectives.iter().any(|one| one.lateness() == lateness);
        of(Lateness::Within) && !of(Lateness::LeftOut)
    }

    /// Whether all objectives would be met without what the generator can have added.
    fn met_at_best(&self) -> bool {
        let added = self.added();
        let mut objectives = self.objectives.iter();
        objectives.all(|objective| objective.met_at_best(added))
    }

    /// The most that the generator can have added to an operation: as late as it was in sending,
    /// again in taking the answer in, and all the time for which a thread of it had no core.
    fn added(&self) -> Duration {
        let waited = self.reasons.iter().map(|reason| match reason {
            Reason::Starved(share) | Reason::Waited(share) => *share,
            _ => 0.0,
        });
        let waited = self.elapsed.mul_f64(waited.fold(0.0, f64::max));
        self.latest.saturating_mul(2).saturating_add(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::interval::Part, report::objective::Objective};

    const MS: Duration = Duration::from_millis(1);
    const HELD: Finding = Finding::Held {
        achieved_per_s: 7.0,
    };

    /// What a step proves that took 10 s, whose response times were 20 ms and service times 15 ms, one
    /// operation of a thousand having failed, with a generator that was late by 3 ms once.
    fn found(slo: &str, reasons: &[Reason]) -> Finding {
        let mut all = Part::default();
        (all.counts.succeeded, all.counts.failed) = (999, 1);
        for _ in 0..999 {
            all.latency.response.record(20 * MS);
            all.latency.service.record(15 * MS);
            all.latency.lag.record(5 * MS);
        }
        let objectives = slo.split(',').map(|one| one.parse::<Objective>().unwrap());
        let objectives: Vec<_> = objectives.collect();
        let judged = objectives.iter().map(|one| one.judge(&all, 10.0));
        let judged: Vec<_> = judged.collect();
        finding(Seen {
            objectives: &judged,
            errors_bounded: objectives.iter().any(Objective::bounds_errors),
            reasons,
            latest: 3 * MS,
            elapsed: Duration::from_secs(10),
            achieved_per_s: 7.0,
        })
    }

    /// Grounds that are the generator's, or of something beside it.
    const HINDRANCES: [Reason; 7] = [
        Reason::Late(MS),
        Reason::NoFreeConnection(MS),
        Reason::GeneratorBusy(0.97),
        Reason::Starved(0.5),
        Reason::Waited(0.06),
        Reason::StolenMuch(0.2),
        Reason::StolenSome(0.03),
    ];

    #[test]
    fn a_bound_of_response_times_that_was_met_is_met_however_late_the_generator() {
        for slo in ["p99<21ms", "p99<21ms,errors<1%", "p99<21ms,lag.p99<1s"] {
            assert_eq!(found(slo, &[]), HELD);
            assert_eq!(found(slo, &HINDRANCES), HELD, "{slo}");
        }
    }

    #[test]
    fn only_a_clean_step_meets_what_leaves_lateness_out() {
        for slo in ["service.p99<16ms", "errors<1%", "p99<21ms,service.p99<16ms"] {
            assert_eq!(found(slo, &[Reason::TargetUnmeasured]), HELD);
            for reason in HINDRANCES {
                let expected = match reason {
                    Reason::Late(_) | Reason::NoFreeConnection(_) | Reason::GeneratorBusy(_) => {
                        Finding::Limited
                    }
                    _ => Finding::Noisy,
                };
                assert_eq!(found(slo, &[reason]), expected, "{slo} {reason:?}");
            }
        }
    }

    #[test]
    fn what_was_not_offered_whole_or_not_long_enough_is_not_met() {
        for slo in ["p99<21ms", "errors<1%"] {
            for reason in [
                Reason::Achieved(0.98),
                Reason::Overflow(1),
                Reason::PortsExhausted,
                Reason::DescriptorsExhausted,
                Reason::Died(1),
            ] {
                assert_eq!(found(slo, &[reason]), Finding::Limited, "{reason:?}");
            }
            for reason in [Reason::Short(MS), Reason::Interrupted(MS)] {
                assert_eq!(found(slo, &[reason]), Finding::Noisy, "{reason:?}");
            }
        }
    }

    #[test]
    fn a_miss_is_the_generators_only_where_its_lateness_explains_it() {
        // It can have added 6 ms.
        assert_eq!(found("p99<13ms", &[]), Finding::Missed);
        assert_eq!(found("p99<13ms", &[Reason::Late(MS)]), Finding::Missed);
        assert_eq!(found("p99<15ms", &[Reason::Late(MS)]), Finding::Limited);
        assert_eq!(found("p99<15ms", &[]), Finding::Missed, "it was in time");
        // One of two objectives that is missed in any case is enough.
        let late = [Reason::Late(MS)];
        assert_eq!(found("p99<15ms,service.p99<8ms", &late), Finding::Missed);
        assert_eq!(found("p99<15ms,service.p99<10ms", &late), Finding::Limited);
        // Failures are not made by lateness.
        assert_eq!(found("p99<15ms,errors<0.05%", &late), Finding::Missed);
        // Whoever did not do what was planned missed it.
        let unsent = [Reason::Achieved(0.5), Reason::NoFreeConnection(MS)];
        assert_eq!(found("p99<15ms", &unsent), Finding::Missed);
    }

    #[test]
    fn a_miss_beside_something_else_is_the_targets_only_beyond_all_of_its_time() {
        // 0.1 % of 10 s are 10 ms, and it was late by 3 ms twice.
        let starved = [Reason::Late(MS), Reason::Starved(0.001)];
        assert_eq!(found("p99<3ms", &starved), Finding::Missed);
        assert_eq!(found("p99<5ms", &starved), Finding::Noisy);
        for reason in [Reason::StolenSome(0.03), Reason::StolenMuch(0.2)] {
            assert_eq!(found("p99<1us", &[reason]), Finding::Noisy, "{reason:?}");
        }
    }

    #[test]
    fn a_generator_at_its_end_says_nothing_of_a_target_that_misses() {
        for reason in [
            Reason::GeneratorBusy(0.9),
            Reason::PortsExhausted,
            Reason::DescriptorsExhausted,
            Reason::Died(1),
        ] {
            assert_eq!(found("p99<1us", &[reason]), Finding::Limited, "{reason:?}");
        }
        let no_core = [Reason::GeneratorBusy(0.9), Reason::Starved(0.2)];
        assert_eq!(found("p99<1us", &no_core), Finding::Noisy);
    }

    #[test]
    fn a_target_that_fails_missed_it_whatever_else_was_found() {
        let slo = "p99<21ms,errors<1%";
        for reason in [Reason::ManyFailures(0.5), Reason::NothingSucceeded] {
            assert_eq!(found(slo, &[reason]), Finding::Missed, "{reason:?}");
            let late = [reason, Reason::Late(MS), Reason::StolenMuch(0.5)];
            assert_eq!(found(slo, &late), Finding::Missed, "{reason:?}");
        }
        // Few failures are borne where an objective bounds them.
        let some = [Reason::SomeFailures(0.001)];
        assert_eq!(found(slo, &some), HELD);
        assert_eq!(found("p99<21ms", &some), Finding::Missed);
    }
}
