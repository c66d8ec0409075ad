//! Where an agent's clock is: from questions and answers over the control connection, and how surely.
//!
//! Pure: times are arguments. An answer was given somewhere between the moments at which its question
//! was sent and it came back, so each round bounds the difference of the clocks from both sides, and
//! the shortest one bounds it best. How the way divides into there and back need not be known.

use std::time::Duration;

use thiserror::Error;

use super::protocol::Reading;
use crate::report::agents::Clock;

/// Questions to each agent.
pub const ROUNDS: u32 = 20;

/// One question and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// When it was asked, by the coordinator's steady clock.
    pub asked: Duration,
    /// When the answer came.
    pub answered: Duration,
    /// The answer.
    pub reading: Reading,
    /// The coordinator's time of day when the answer came, since 1970.
    pub of_day: Duration,
}

impl Round {
    fn round_trip(&self) -> Duration {
        self.answered.saturating_sub(self.asked)
    }
}

/// A clock that cannot be read precisely enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "its clock is known to {:.3} ms only, by a round trip of {:.3} ms, and --agents-skew is {:.3} ms: raise that, or use a shorter way to it",
    ms(.uncertainty), ms(.round_trip), ms(.limit)
)]
pub struct Vague {
    uncertainty: Duration,
    round_trip: Duration,
    limit: Duration,
}

fn ms(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What is known of an agent's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known(Round);

impl Known {
    /// The clock, from at least one round.
    ///
    /// # Errors
    ///
    /// When it is not known to `limit`.
    pub fn new(first: Round, others: &[Round], limit: Duration) -> Result<Self, Vague> {
        let rounds = others.iter().copied();
        let best = rounds.fold(first, |best, round| {
            match round.round_trip() < best.round_trip() {
                true => round,
                false => best,
            }
        });
        let known = Self(best);
        match known.uncertainty() <= limit {
            true => Ok(known),
            false => Err(Vague {
                uncertainty: known.uncertainty(),
                round_trip: best.round_trip(),
                limit,
            }),
        }
    }

    /// The most by which a moment may be wrong.
    pub fn uncertainty(&self) -> Duration {
        self.0.round_trip().div_ceil(2)
    }

    /// A moment of the coordinator's steady clock in the agent's. It must not be before the round.
    pub fn moment(&self, ours: Duration) -> Duration {
        let middle = self.0.asked + self.0.round_trip() / 2;
        self.0.reading.steady + ours.saturating_sub(middle)
    }

    /// For the report.
    pub fn to_model(&self) -> Clock {
        let middle = self.0.of_day.saturating_sub(self.0.round_trip() / 2);
        Clock {
            offset_s: self.0.reading.of_day.as_secs_f64() - middle.as_secs_f64(),
            uncertainty_s: self.uncertainty().as_secs_f64(),
            round_trip_s: self.0.round_trip().as_secs_f64(),
        }
    }
}

trait DivCeil {
    fn div_ceil(self, by: u32) -> Self;
}

impl DivCeil for Duration {
    fn div_ceil(self, by: u32) -> Self {
        (self + Duration::from_nanos(u64::from(by) - 1)) / by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::random::Random;

    /// A round to a clock that is `ahead` of ours, with a way there and back of these lengths.
    fn round(asked: Duration, there: Duration, back: Duration, ahead: Duration) -> Round {
        let of_day = Duration::from_secs(1_700_000_000);
        Round {
            asked,
            answered: asked + there + back,
            reading: Reading {
                steady: asked + there + ahead,
                of_day: of_day + asked + there + ahead,
            },
            of_day: of_day + asked + there + back,
        }
    }

    #[test]
    fn the_bound_holds_however_the_way_divides() {
        let us = Duration::from_micros;
        let mut random = Random::new(1, 0);
        let ahead = Duration::from_secs(5_000);
        for _ in 0..1000 {
            let mut next = |high| us(random.between(0, high));
            let rounds =
                [0, 1, 2, 3].map(|n| round(us(n * 9_000), next(3_000), next(3_000), ahead));
            let known = Known::new(rounds[0], &rounds[1..], us(3_000)).unwrap();
            let ours = Duration::from_secs(1);
            let wrong = known.moment(ours).abs_diff(ours + ahead);
            assert!(wrong <= known.uncertainty(), "{wrong:?} {known:?}");
            let shortest = rounds.iter().map(Round::round_trip).min().unwrap();
            assert_eq!(known.uncertainty(), shortest.div_ceil(2));
            let offset_s = known.to_model().offset_s;
            let off = (offset_s - ahead.as_secs_f64()).abs();
            assert!(
                off <= known.uncertainty().as_secs_f64() + 1e-6,
                "{offset_s}"
            );
        }
    }

    #[test]
    fn a_clock_that_is_not_known_well_enough_is_refused_with_what_it_is() {
        let ms = Duration::from_millis;
        let long = round(ms(0), ms(30), ms(10), ms(5));
        let vague = Known::new(long, &[], ms(19)).unwrap_err().to_string();
        assert!(vague.contains("known to 20.000 ms only"), "{vague}");
        assert!(vague.contains("--agents-skew is 19.000 ms"), "{vague}");
        assert!(Known::new(long, &[], ms(20)).is_ok());
    }
}
