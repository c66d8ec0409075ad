//! The search against simulated targets whose highest rate is known.

use super::*;
use crate::schedule::random::Random;

fn limits(lowest_per_s: u64) -> Limits {
    Limits {
        lowest: Rate(lowest_per_s * 1000),
        highest: Rate(100_000_000_000),
        precision: 0.03,
        attempts: 3,
        confirmations: 3,
    }
}

/// Searches, and gives every step with what it found, and the conclusion.
fn search(
    limits: Limits,
    mut target: impl FnMut(Step) -> Finding,
) -> (Vec<(Step, Finding)>, Conclusion) {
    let mut search = Search::new(limits);
    let mut steps = Vec::new();
    loop {
        match search.next() {
            Next::Step(step) => {
                let finding = target(step);
                steps.push((step, finding));
                search.observe(finding);
            }
            Next::Done(conclusion) => return (steps, conclusion),
        }
        assert!(steps.len() <= limits.most_steps() as usize, "{steps:?}");
    }
}

fn held(rate: Rate) -> Finding {
    Finding::Held {
        achieved_per_s: rate.per_s(),
    }
}

/// A target that misses beyond `knee` per second.
fn exact(knee: f64) -> impl FnMut(Step) -> Finding {
    move |step| match step.rate.per_s() <= knee {
        true => held(step.rate),
        false => Finding::Missed,
    }
}

/// One server, exponential service times, Poisson arrivals: response times are exponential with rate
/// `service − arrival`, so their 99th percentile is `ln 100 / (service − arrival)`.
struct MM1 {
    service_per_s: f64,
    p99_limit_s: f64,
    operations: usize,
    random: Random,
}

impl MM1 {
    fn knee(&self) -> f64 {
        self.service_per_s - 100f64.ln() / self.p99_limit_s
    }

    /// Lindley: who comes waits for what is left of all before.
    fn p99_s(&mut self, per_s: f64) -> f64 {
        let mut left = 0.0;
        let mut responses = Vec::with_capacity(self.operations);
        for _ in 0..self.operations {
            let gap = self.random.exponential() / per_s;
            let service = self.random.exponential() / self.service_per_s;
            left = f64::max(left - gap, 0.0) + service;
            responses.push(left);
        }
        let at = responses.len() * 99 / 100;
        *responses.select_nth_unstable_by(at, f64::total_cmp).1
    }
}

#[test]
fn the_knee_is_found_within_three_percent() {
    // From utilisations of 54 % to 91 %, from five seeds.
    for (service_per_s, p99_limit_s) in [(10_000.0, 0.001), (10_000.0, 0.005), (1_000.0, 0.02)] {
        for seed in 1..=5 {
            let mut queue = MM1 {
                service_per_s,
                p99_limit_s,
                operations: 200_000,
                random: Random::new(seed, 0),
            };
            let knee = queue.knee();
            let (steps, conclusion) = search(limits(service_per_s as u64 / 20), |step| {
                match queue.p99_s(step.rate.per_s()) < p99_limit_s {
                    true => held(step.rate),
                    false => Finding::Missed,
                }
            });
            let Conclusion::Found {
                rate,
                achieved_per_s,
                above: Above::Missed,
            } = conclusion
            else {
                panic!("{conclusion:?}");
            };
            let off = rate.per_s() / knee - 1.0;
            assert!(off.abs() <= 0.03, "{service_per_s} {seed}: {off} {steps:?}");
            assert_eq!(achieved_per_s, rate.per_s());
        }
    }
}

#[test]
fn an_exact_knee_is_bracketed_wherever_it_is() {
    for knee in (50..40_000).step_by(37).map(f64::from) {
        let (steps, conclusion) = search(limits(50), exact(knee));
        let Conclusion::Found { rate, above, .. } = conclusion else {
            panic!("{knee}: {conclusion:?}");
        };
        assert_eq!(above, Above::Missed);
        let ratio = knee / rate.per_s();
        assert!((1.0..=1.015).contains(&ratio), "{knee}: {ratio}");
        let confirming = steps.iter().rev().take(3);
        for (step, _) in confirming {
            assert_eq!((step.phase, step.rate), (Phase::Confirmation, rate));
        }
        assert!(steps.len() <= 11 + 7 + 3, "{knee}: {}", steps.len());
    }
}

#[test]
fn what_the_generator_cannot_make_is_told_apart() {
    let (steps, conclusion) = search(limits(100), |step| match step.rate.per_s() {
        rate if rate <= 5_000.0 => held(step.rate),
        _ => Finding::Limited,
    });
    let Conclusion::Found {
        rate,
        above: Above::Generator,
        ..
    } = conclusion
    else {
        panic!("{conclusion:?}");
    };
    assert!((4_925.0..=5_000.0).contains(&rate.per_s()), "{rate:?}");
    // Each such step was tried three times before it was believed.
    let at_6400 = steps
        .iter()
        .filter(|(step, _)| step.rate == Rate(6_400_000));
    assert_eq!(at_6400.count(), 3);
}

#[test]
fn a_miss_that_is_near_enough_is_the_end_though_nothing_is_proved_between() {
    // Beyond 5000 the generator is late, and the target's own end is at `missed`.
    let above = |missed: f64| {
        let (_, conclusion) = search(limits(100), |step| match step.rate.per_s() {
            rate if rate <= 5_000.0 => held(step.rate),
            rate if rate < missed => Finding::Limited,
            _ => Finding::Missed,
        });
        let Conclusion::Found { rate, above, .. } = conclusion else {
            panic!("{conclusion:?}");
        };
        assert!((4_925.0..=5_000.0).contains(&rate.per_s()), "{rate:?}");
        above
    };
    assert_eq!(above(5_000.001), Above::Missed);
    // 5050 was tried and nothing proved; 5100 was missed before.
    assert_eq!(above(5_100.0), Above::Missed);
    assert_eq!(above(5_300.0), Above::Generator);
    assert_eq!(above(20_000.0), Above::Generator);
}

#[test]
fn a_target_that_misses_the_lowest_rate_ends_it_at_once() {
    let (steps, conclusion) = search(limits(100), exact(99.0));
    assert_eq!(steps.len(), 1);
    let above = Above::Missed;
    assert_eq!(conclusion, Conclusion::Nothing { above });
}

#[test]
fn noise_is_repeated_and_never_taken_for_a_rate_that_held() {
    // Every second step is noise: it takes longer, and finds the same.
    let mut number = 0;
    let mut target = exact(7_000.0);
    let (steps, conclusion) = search(limits(100), |step| {
        number += 1;
        match number % 2 {
            1 => Finding::Noisy,
            _ => target(step),
        }
    });
    let Conclusion::Found { rate, above, .. } = conclusion else {
        panic!("{conclusion:?}");
    };
    assert_eq!(above, Above::Missed);
    assert!((6_895.0..=7_000.0).contains(&rate.per_s()));
    assert!(steps.iter().any(|(step, _)| step.attempt == 2));

    let (steps, conclusion) = search(limits(100), |_| Finding::Noisy);
    assert_eq!(steps.len(), 3);
    let above = Above::Noise;
    assert_eq!(conclusion, Conclusion::Nothing { above });
}

#[test]
fn a_rate_that_held_by_chance_is_lowered_until_one_holds_thrice() {
    // Holds below 6000 whenever asked, and between 6000 and 6500 once.
    let mut asked = std::collections::BTreeSet::new();
    let (_, conclusion) = search(limits(100), |step| match step.rate.per_s() {
        rate if rate <= 6_000.0 => held(step.rate),
        rate if rate <= 6_500.0 && asked.insert(step.rate) => held(step.rate),
        _ => Finding::Missed,
    });
    let Conclusion::Found { rate, .. } = conclusion else {
        panic!("{conclusion:?}");
    };
    assert!((5_900.0..=6_000.0).contains(&rate.per_s()), "{rate:?}");

    // A target that never holds twice is not one with a highest rate.
    let mut seen = std::collections::BTreeSet::new();
    let (steps, conclusion) = search(limits(100), |step| {
        match step.rate.per_s() < 5_000.0 && seen.insert(step.rate) {
            true => held(step.rate),
            false => Finding::Missed,
        }
    });
    assert!(
        matches!(conclusion, Conclusion::Unconfirmed { .. }),
        "{conclusion:?} {steps:?}"
    );
}

#[test]
fn whatever_steps_find_their_number_is_bounded() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed, 7);
        let (steps, _) = search(limits(100), |step| match random.between(0, 9) {
            0 => Finding::Missed,
            1 => Finding::Limited,
            2 => Finding::Noisy,
            _ => held(step.rate),
        });
        assert!(!steps.is_empty());
    }
    // The one that takes longest: all doublings hold, and then nothing is decided.
    let bounded = Limits {
        highest: Rate(200_000),
        ..limits(100)
    };
    let (steps, conclusion) = search(bounded, |step| held(step.rate));
    assert_eq!(steps.len(), 2 + 3);
    assert!(matches!(
        conclusion,
        Conclusion::Found {
            above: Above::Unasked,
            rate: Rate(200_000),
            ..
        }
    ));
}

#[test]
fn the_lowest_of_the_confirmations_is_reported() {
    let mut number = 0;
    let (_, conclusion) = search(limits(100), |step| {
        number += 1;
        match step.rate.per_s() <= 200.0 {
            true => Finding::Held {
                achieved_per_s: step.rate.per_s() - f64::from(number % 3),
            },
            false => Finding::Missed,
        }
    });
    let Conclusion::Found {
        rate,
        achieved_per_s,
        ..
    } = conclusion
    else {
        panic!("{conclusion:?}");
    };
    assert_eq!(achieved_per_s, rate.per_s() - 2.0);
}
