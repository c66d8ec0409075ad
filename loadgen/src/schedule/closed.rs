//! The closed loop: each connection starts its next operation when the one before it is done.
//!
//! Such a loop waits with the target when the target is slow, so its times are those of a patient
//! client, and the report says so.

use std::time::Duration;

use super::{Arrival, Extent, Share, mix::Mix};

/// The closed loop of one thread: all its connections draw from it.
#[derive(Debug, Clone)]
pub struct ClosedLoop {
    warmup: Duration,
    end: Option<Duration>,
    left: u64,
    number: u64,
    /// Whether somebody was told that nothing more starts.
    over: bool,
    share: Share,
    mix: Mix,
}

impl ClosedLoop {
    /// The thread's share.
    pub fn new(extent: Extent, share: Share, mix: Mix) -> Self {
        let operations = extent.operations;
        Self {
            warmup: extent.warmup,
            end: extent.duration.map(|duration| extent.warmup + duration),
            left: operations.map_or(u64::MAX, |operations| share.part(operations)),
            number: 0,
            over: false,
            share,
            mix,
        }
    }

    /// The next operation of a connection that is free at `now`; none when the run is over.
    pub fn next(&mut self, now: Duration) -> Option<Arrival> {
        let next = self.start(now);
        self.over |= next.is_none();
        next
    }

    fn start(&mut self, now: Duration) -> Option<Arrival> {
        let measured = now >= self.warmup;
        if measured {
            if self.end.is_some_and(|end| now >= end) {
                return None;
            }
            self.left = self.left.checked_sub(1)?;
        }
        let number = self.number;
        self.number += 1;
        Some(Arrival {
            planned: now,
            measured,
            number,
            kind: self.mix.kind(number),
            tenant: self.mix.tenant(self.share.number(number)),
        })
    }

    /// Whether nothing more starts: a connection that was free has asked, or it was stopped.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Starts nothing more.
    pub fn stop(&mut self) {
        self.over = true;
        (self.end, self.warmup) = (Some(Duration::ZERO), Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_ends_at_the_first_bound() {
        let at = Duration::from_millis;
        let share = Share { index: 0, of: 1 };
        let extent = Extent {
            duration: Some(at(10)),
            operations: Some(2),
            warmup: at(5),
        };
        let mut run = ClosedLoop::new(extent, share, Mix::default());
        assert!(!run.next(at(4)).unwrap().measured);
        assert!(run.next(at(5)).unwrap().measured);
        assert!(run.next(at(6)).is_some());
        assert!(!run.is_over(), "nobody has asked in vain");
        assert_eq!(run.next(at(7)), None, "two were started");
        assert!(run.is_over());
        let timed = Extent {
            operations: None,
            ..extent
        };
        let mut run = ClosedLoop::new(timed, share, Mix::default());
        assert!(run.next(at(14)).unwrap().measured);
        assert_eq!(run.next(at(15)), None, "the time is up");
        let mut run = ClosedLoop::new(timed, share, Mix::default());
        run.stop();
        assert!(run.is_over());
        assert_eq!(run.next(at(1)), None, "it was stopped");
    }
}
