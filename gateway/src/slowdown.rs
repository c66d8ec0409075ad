//! A gateway that is slower on purpose, so that `bench ab prove` can show that it would be noticed.
//!
//! Only with the feature `injected-slowdown`, which is off by default and in nothing that is
//! released: without it neither this file nor the variable's name is in the program.

use std::{env, io, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use sealgate_uring::spawn;

use crate::worker::WorkerError;

/// How much slower: percent of the CPU time that a worker uses otherwise.
const VARIABLE: &str = "SEALGATE_INJECTED_SLOWDOWN";
/// How often the time that is owed is spent. So much of it is late, and outside a slice that ends.
const TICK: Duration = Duration::from_millis(1);
/// The most that is spent at once: a worker that was busy for long must not stop for long.
const MOST: Duration = Duration::from_millis(20);

/// Slows this worker down from now on, as the environment says; not at all where it says nothing.
///
/// # Errors
///
/// When it says something that is no percentage.
pub fn start() -> Result<(), WorkerError> {
    let Some(asked) = env::var_os(VARIABLE) else {
        return Ok(());
    };
    let share = asked.to_str().and_then(share).ok_or_else(|| {
        let why = format!("{}: write 0% to 100%", asked.display());
        WorkerError::System {
            what: VARIABLE.to_owned(),
            error: io::Error::new(io::ErrorKind::InvalidInput, why),
        }
    })?;
    tracing::warn!(
        "this program is built to be slower, now by {} %",
        share * 100.0
    );
    // With 0 % too, so that what is compared differs by nothing but the spin.
    spawn(slow_down(share));
    Ok(())
}

async fn slow_down(share: f64) {
    let mut spun = Duration::ZERO;
    loop {
        tokio::time::sleep(TICK).await;
        let now = used();
        let until = now + owed(now, spun, share).min(MOST);
        while used() < until {
            std::hint::spin_loop();
        }
        spun += used() - now;
    }
}

/// What is owed when `used` was used in all, of which `spun` was spent here.
fn owed(used: Duration, spun: Duration, share: f64) -> Duration {
    used.saturating_sub(spun)
        .mul_f64(share)
        .saturating_sub(spun)
}

/// CPU time of this thread.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is negative.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Reads `5%`.
fn share(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then(|| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_all_other_work_is_owed() {
        let ms = Duration::from_millis;
        assert_eq!(owed(ms(100), ms(0), 0.05), ms(5));
        // 100 ms of work, of which 5 ms have been paid.
        assert_eq!(owed(ms(105), ms(5), 0.05), ms(0));
        assert_eq!(owed(ms(205), ms(5), 0.05), ms(5));
        assert_eq!(owed(ms(205), ms(5), 0.0), ms(0));
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!(share("5%"), Some(0.05));
        assert_eq!(share("05%"), Some(0.05));
        assert_eq!(share("0%"), Some(0.0));
        for wrong in ["5", "", "%", "-1%", "101%", "NaN%"] {
            assert_eq!(share(wrong), None, "{wrong}");
        }
    }
}
