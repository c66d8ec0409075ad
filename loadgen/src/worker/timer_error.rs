//! How late a worker notices a planned start, by its way of waiting: the same steps as when it keeps
//! a schedule, without a load.

use std::time::{Duration, Instant};

use super::{
    pace::{Ahead, approach},
    timer::Timer,
};
use crate::{measure::histogram::Times, run::RunError};

/// A way of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Without sleep: `--spin on`, and `auto` where a core is free.
    Spin,
    /// Without sleep for the last 100 us: `--spin auto`.
    SleepThenSpin,
    /// Asleep until then: `--spin off`.
    Sleep,
}

/// Notices `starts` starts that are `every` apart, on this thread.
///
/// # Errors
///
/// When the system has no ring or no timer for us.
pub fn measure(waiting: Waiting, starts: u32, every: Duration) -> Result<Times, RunError> {
    let ahead = match waiting {
        Waiting::Spin => Ahead::Always,
        Waiting::SleepThenSpin => Ahead::Little,
        Waiting::Sleep => Ahead::Nothing,
    };
    let measured = sealgate_uring::run(async move {
        let timer = Timer::new()?;
        let mut late = Times::new();
        let began = Instant::now();
        for number in 1..=starts {
            let due = every * number;
            loop {
                let now = began.elapsed();
                if now >= due {
                    late.record(now - due);
                    break;
                }
                approach(&timer, ahead, due - now).await?;
            }
        }
        Ok(late)
    })?;
    measured.map_err(RunError::Timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_noticed_once_whichever_way_it_is_waited_for() {
        for waiting in [Waiting::Spin, Waiting::SleepThenSpin, Waiting::Sleep] {
            let late = measure(waiting, 50, Duration::from_micros(300)).unwrap();
            assert_eq!(late.count(), 50, "{waiting:?}");
        }
    }
}
