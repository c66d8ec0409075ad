//! How long answers wait, so that a target is slow in a way that is known.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{schedule::random::Random, units, worker::timer::Timer};

/// No answer waits longer: a log-normal distribution has no end of its own.
const MAX: Duration = Duration::from_secs(3600);

/// A delay of answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Delay {
    /// Always this.
    Fixed(Duration),
    /// Log-normal, with this median and this standard deviation of the logarithm.
    LogNormal(Duration, f64),
    /// From each of these moments on, which ascend, the delay beside it; none before the first.
    Steps(Vec<(Duration, Duration)>),
}

/// A delay that is none. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "not a delay: write 5ms, lognorm:5ms,0.8 (median, sigma), or steps:0s=1ms,10s=200ms,10.2s=1ms (from each moment on, in their order), none above an hour"
)]
pub struct DelayError;

impl Delay {
    /// The delay of an answer that is ready at `at`, since the origin began.
    pub fn draw(&self, at: Duration, random: &mut Random) -> Duration {
        match self {
            Delay::Fixed(delay) => *delay,
            Delay::LogNormal(median, sigma) => {
                let delay_s = median.as_secs_f64() * (sigma * random.normal()).exp();
                Duration::from_secs_f64(delay_s.min(MAX.as_secs_f64()))
            }
            Delay::Steps(steps) => {
                let begun = steps.iter().rev().find(|(from, _)| *from <= at);
                begun.map_or(Duration::ZERO, |(_, delay)| *delay)
            }
        }
    }
}

impl FromStr for Delay {
    type Err = DelayError;

    fn from_str(text: &str) -> Result<Self, DelayError> {
        let time = |text: &str| units::duration(text).map_err(|_| DelayError);
        let delay = |text: &str| time(text).and_then(|time| at_most(MAX, time));
        let Some((name, arguments)) = text.split_once(':') else {
            return Ok(Delay::Fixed(delay(text)?));
        };
        match name {
            "lognorm" => {
                let (median, sigma) = arguments.split_once(',').ok_or(DelayError)?;
                let sigma = sigma.parse().map_err(|_| DelayError)?;
                match (0.0..=10.0).contains(&sigma) {
                    true => Ok(Delay::LogNormal(delay(median)?, sigma)),
                    false => Err(DelayError),
                }
            }
            "steps" => {
                let step = |step: &str| {
                    let (from, of) = step.split_once('=').ok_or(DelayError)?;
                    Ok((time(from)?, delay(of)?))
                };
                let steps: Vec<_> = arguments.split(',').map(step).collect::<Result<_, _>>()?;
                match steps.is_sorted_by(|one, next| one.0 < next.0) {
                    true => Ok(Delay::Steps(steps)),
                    false => Err(DelayError),
                }
            }
            _ => Err(DelayError),
        }
    }
}

fn at_most(most: Duration, time: Duration) -> Result<Duration, DelayError> {
    match time <= most {
        true => Ok(time),
        false => Err(DelayError),
    }
}

/// The delays of one origin, of all its threads.
#[derive(Debug)]
pub struct Delays {
    delay: Delay,
    seed: u64,
    drawn: AtomicU64,
}

impl Delays {
    /// Delays whose chance comes from `seed`: answer number n always waits as long, whoever gives it.
    pub fn new(delay: Delay, seed: u64) -> Self {
        Self {
            delay,
            seed,
            drawn: AtomicU64::new(0),
        }
    }

    /// Lets an answer of an origin that began at `began` wait.
    pub async fn wait(&self, began: Instant) {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::new(self.seed, number);
        let delay = self.delay.draw(began.elapsed(), &mut random);
        if delay.is_zero() {
            return;
        }
        // Without a descriptor for a timer of its own, it waits to the runtime's next millisecond.
        let slept = match Timer::new() {
            Ok(timer) => timer.sleep(delay).await.is_ok(),
            Err(_) => false,
        };
        if !slept {
            tokio::time::sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn draws(text: &str, at: Duration) -> Vec<Duration> {
        let delay: Delay = text.parse().unwrap();
        let draw = |number| delay.draw(at, &mut Random::new(7, number));
        (0..10_000).map(draw).collect()
    }

    #[test]
    fn a_fixed_delay_is_fixed_and_a_log_normal_one_has_its_median_and_its_spread() {
        assert!(draws("5ms", MS).iter().all(|delay| *delay == 5 * MS));
        let mut drawn = draws("lognorm:5ms,0.8", MS);
        drawn.sort();
        // One standard deviation to each side: 15.87 %, 50 % and 84.13 %.
        for (rank, deviations) in [(1_587, -1.0), (5_000, 0.0), (8_413, 1.0)] {
            let expected = 5.0 * f64::exp(0.8 * deviations);
            let ratio = drawn[rank].as_secs_f64() * 1e3 / expected;
            assert!((0.95..1.05).contains(&ratio), "{rank}: {ratio}");
        }
        let long = draws("lognorm:1h,10", MS);
        assert_eq!(long.iter().max(), Some(&MAX));
    }

    #[test]
    fn steps_last_until_the_next_one() {
        let delay: Delay = "steps:1s=1ms,10s=200ms,10.2s=0ms".parse().unwrap();
        for (at_ms, delay_ms) in [
            (0, 0),
            (999, 0),
            (1_000, 1),
            (9_999, 1),
            (10_000, 200),
            (10_199, 200),
            (10_200, 0),
            (1_000_000, 0),
        ] {
            let drawn = delay.draw(at_ms * MS, &mut Random::new(1, 0));
            assert_eq!(drawn, delay_ms * MS, "{at_ms}");
        }
    }

    #[test]
    fn what_is_no_delay_is_refused() {
        for text in [
            "",
            "soon",
            "2h",
            "lognorm:5ms",
            "lognorm:5ms,-1",
            "lognorm:5ms,NaN",
            "lognorm:5ms,11",
            "steps:",
            "steps:1ms",
            "steps:1s=2h",
            "steps:2s=1ms,1s=2ms",
            "steps:1s=1ms,1s=2ms",
            "often:5ms",
        ] {
            assert_eq!(text.parse::<Delay>(), Err(DelayError), "{text}");
        }
    }
}
