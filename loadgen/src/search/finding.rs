//! What a step proves: that its rate holds, that the target misses it, or nothing.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::reason::Reason;

/// A lag of the generator explains a miss when it is at least this share of the response times.
const EXPLAINS: u32 = 10;

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Finding {
    /// The run is valid and met all objectives.
    Held {
        /// Operations per second that succeeded.
        achieved_per_s: f64,
    },
    /// The target missed an objective, failed, or did not keep up.
    Missed,
    /// The generator could not make the rate: of the target this says nothing.
    Limited,
    /// The machine was too busy with something else for the numbers to hold.
    Noisy,
}

/// What is known of a step.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Whether all objectives were met.
    pub met: bool,
    /// Whether one of the objectives says how many operations may fail.
    pub errors_bounded: bool,
    /// The grounds of its verdict.
    pub reasons: &'a [Reason],
    /// What the generator itself added to the send lag, 99th percentile.
    pub generator_lag: Duration,
    /// Response time, 99th percentile.
    pub response: Duration,
    /// Operations per second that succeeded.
    pub achieved_per_s: f64,
}

/// Who is behind a ground of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// The target: whatever else was found, it did not keep up.
    Target,
    /// Operations waited for connections: of a target that misses, and too few of a target that
    /// does not.
    Connections,
    /// The generator was late.
    Lateness,
    /// The generator is at its end.
    Generator,
    /// Something else on the machine.
    Noise,
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
        Reason::Achieved(_) | Reason::Overflow(_) | Reason::NoFreeConnection(_) => {
            Blame::Connections
        }
        Reason::Late(_) => Blame::Lateness,
        Reason::GeneratorBusy(_)
        | Reason::PortsExhausted
        | Reason::DescriptorsExhausted
        | Reason::Died(_) => Blame::Generator,
        Reason::Starved(_)
        | Reason::Waited(_)
        | Reason::StolenMuch(_)
        | Reason::StolenSome(_)
        | Reason::Short(_)
        | Reason::Interrupted(_) => Blame::Noise,
        // What is so at every rate says nothing about one.
        Reason::TargetThreadsEnded(_) | Reason::TargetUnmeasured | Reason::FewStreams(_) => {
            Blame::Nobody
        }
    }
}

/// What a step proves.
pub fn finding(seen: Seen<'_>) -> Finding {
    let found = |wanted| {
        let blames = seen.reasons.iter();
        blames
            .map(|reason| blame(*reason, seen.errors_bounded))
            .any(|blame| blame == wanted)
    };
    // A miss that is much larger than the generator's lag is not of its making.
    let late = found(Blame::Lateness)
        && (seen.met || seen.generator_lag.saturating_mul(EXPLAINS) >= seen.response);
    if found(Blame::Target) {
        Finding::Missed
    } else if found(Blame::Noise) {
        // Before the generator: what has no core looks busy.
        Finding::Noisy
    } else if found(Blame::Generator) || late {
        Finding::Limited
    } else if !seen.met {
        Finding::Missed
    } else if found(Blame::Connections) {
        Finding::Limited
    } else {
        Finding::Held {
            achieved_per_s: seen.achieved_per_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn found(met: bool, reasons: &[Reason]) -> Finding {
        finding(Seen {
            met,
            errors_bounded: false,
            reasons,
            generator_lag: MS,
            response: 5 * MS,
            achieved_per_s: 7.0,
        })
    }

    #[test]
    fn only_a_clean_step_that_met_its_objectives_held() {
        let held = Finding::Held {
            achieved_per_s: 7.0,
        };
        assert_eq!(found(true, &[]), held);
        assert_eq!(found(true, &[Reason::TargetUnmeasured]), held);
        assert_eq!(found(false, &[]), Finding::Missed);
        for reason in [
            Reason::Waited(0.06),
            Reason::StolenSome(0.03),
            Reason::Starved(0.2),
            Reason::StolenMuch(0.2),
            Reason::Short(MS),
            Reason::Interrupted(MS),
        ] {
            for met in [true, false] {
                assert_eq!(found(met, &[reason]), Finding::Noisy, "{reason:?}");
                let busy = [Reason::GeneratorBusy(0.9), reason];
                assert_eq!(found(met, &busy), Finding::Noisy, "{reason:?}");
            }
        }
    }

    #[test]
    fn the_generator_is_told_from_the_target() {
        for reason in [
            Reason::GeneratorBusy(0.9),
            Reason::PortsExhausted,
            Reason::DescriptorsExhausted,
            Reason::Died(1),
        ] {
            assert_eq!(found(true, &[reason]), Finding::Limited, "{reason:?}");
            assert_eq!(found(false, &[reason]), Finding::Limited, "{reason:?}");
        }
        // Whoever did not do what was planned missed it, unless connections were too few.
        for reason in [Reason::Achieved(0.5), Reason::NoFreeConnection(MS)] {
            assert_eq!(found(false, &[reason]), Finding::Missed, "{reason:?}");
            assert_eq!(found(true, &[reason]), Finding::Limited, "{reason:?}");
        }
        for reason in [Reason::ManyFailures(0.5), Reason::NothingSucceeded] {
            assert_eq!(found(true, &[reason]), Finding::Missed, "{reason:?}");
        }
    }

    #[test]
    fn a_small_lag_does_not_excuse_a_large_miss() {
        let late = |response| {
            finding(Seen {
                met: false,
                errors_bounded: false,
                reasons: &[Reason::Late(MS)],
                generator_lag: MS,
                response,
                achieved_per_s: 7.0,
            })
        };
        assert_eq!(late(10 * MS), Finding::Limited);
        assert_eq!(late(11 * MS), Finding::Missed);
        assert_eq!(found(true, &[Reason::Late(MS)]), Finding::Limited);
    }

    #[test]
    fn failures_are_borne_where_an_objective_bounds_them() {
        let some = [Reason::SomeFailures(0.001)];
        assert_eq!(found(true, &some), Finding::Missed);
        let bounded = finding(Seen {
            met: true,
            errors_bounded: true,
            reasons: &some,
            generator_lag: MS,
            response: MS,
            achieved_per_s: 7.0,
        });
        assert!(matches!(bounded, Finding::Held { .. }));
    }
}
