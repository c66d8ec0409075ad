//! A timer with the kernel's full resolution: tokio's own rounds to milliseconds.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A timerfd on the worker's runtime.
#[derive(Debug)]
pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// A timer on the runtime of this thread.
    ///
    /// # Errors
    ///
    /// What `timerfd_create(2)` and `epoll_ctl(2)` report: no descriptor is free.
    #[expect(
        deprecated,
        reason = "unsound for types that lie about their descriptor, which OwnedFd does not; its \
                  replacement is unsafe"
    )]
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(AsyncFd::with_interest(fd, Interest::READABLE)?))
    }

    /// Sleeps for `time`.
    ///
    /// # Errors
    ///
    /// What `timerfd_settime(2)` reports.
    pub async fn sleep(&self, time: Duration) -> io::Result<()> {
        // Zero would disarm it.
        let time = time.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        // It is never read: arming it anew makes it unreadable again.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_sleeps_at_least_as_long_as_asked_again_and_again() {
        let run = sealgate_uring::run(async {
            let timer = Timer::new().unwrap();
            for us in [0, 300, 1, 2_500, 0] {
                let before = Instant::now();
                timer.sleep(Duration::from_micros(us)).await.unwrap();
                assert!(before.elapsed() >= Duration::from_micros(us));
            }
        });
        run.unwrap();
    }
}
