//! What a worker records on its hot path: counters and histograms of its own, and nothing shared.
//! Once a second they are handed over whole, in exchange for empty ones.

use std::{fmt, time::Duration};

use super::interval::{Counts, Interval, Part};
use crate::{
    operation::failure::{Class, Failure},
    schedule::Arrival,
};

/// The length of an interval.
const SECOND: Duration = Duration::from_secs(1);

/// Takes full intervals and gives empty ones.
pub trait Outlet {
    /// Takes the interval and puts an empty one in its place. Called once a second.
    fn exchange(&mut self, interval: &mut Box<Interval>);
}

/// A finished operation. Times are since the load began.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// When it was planned, and whether it counts.
    pub arrival: Arrival,
    /// When its first byte was handed over; when connecting began, where it had to connect first.
    pub sent: Duration,
    /// When its last byte had arrived.
    pub done: Duration,
    /// Payload that was sent.
    pub sent_bytes: u64,
    /// Payload that was received.
    pub received_bytes: u64,
}

/// The moments of a run that a recorder has to know, since the load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// When measuring begins.
    pub measured_from: Duration,
    /// Operations that are sent later are not sent in time; none when only a count bounds the run.
    pub in_time_until: Option<Duration>,
}

/// Records what happens on one worker.
pub struct Recorder {
    interval: Box<Interval>,
    outlet: Box<dyn Outlet>,
    moments: Moments,
    /// End of the current interval.
    ends: Duration,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("interval", &self.interval.second)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder that begins with `interval`, which is empty.
    pub fn new(interval: Box<Interval>, outlet: Box<dyn Outlet>, moments: Moments) -> Self {
        let mut recorder = Self {
            interval,
            outlet,
            moments,
            ends: moments.measured_from,
        };
        recorder.begin(Duration::ZERO);
        recorder
    }

    /// Hands the interval over if it has ended at `now`. Every other method with a time does so.
    pub fn roll(&mut self, now: Duration) {
        if now >= self.ends {
            // Tenants have no series of seconds, and their histograms are many: they stay.
            let tenants = std::mem::take(&mut self.interval.tenants);
            self.hand_over();
            self.interval.tenants = tenants;
            self.begin(now);
        }
    }

    /// Hands over what there is: the run has ended.
    pub fn hand_over(&mut self) {
        self.outlet.exchange(&mut self.interval);
    }

    /// Hands over what there is: a load has ended, and another one may follow.
    pub fn rest(&mut self) {
        let rows = self.interval.tenants.len();
        self.hand_over();
        self.interval.tenants.resize_with(rows, Part::default);
        // What happens until then is before the next one's measuring.
        self.interval.second = None;
        self.ends = Duration::MAX;
    }

    /// A load begins, with moments of its own.
    pub fn restart(&mut self, moments: Moments) {
        self.moments = moments;
        self.begin(Duration::ZERO);
    }

    fn begin(&mut self, now: Duration) {
        let from = self.moments.measured_from;
        self.interval.second = now.checked_sub(from).map(|since| since.as_secs());
        self.ends = match self.interval.second {
            None => from,
            Some(second) => from + Duration::from_secs(second) + SECOND,
        };
    }

    fn counts(&mut self, arrival: Arrival, mut change: impl FnMut(&mut Counts)) {
        change(&mut self.interval.kinds[arrival.kind].counts);
        if let Some(tenant) = row(&mut self.interval.tenants, arrival.tenant) {
            change(&mut tenant.counts);
        }
    }

    /// Counts an operation that was planned.
    pub fn planned(&mut self, arrival: Arrival) {
        if !arrival.measured {
            return;
        }
        self.counts(arrival, |counts| counts.planned += 1);
        let since = arrival.planned.saturating_sub(self.moments.measured_from);
        let second = since.as_secs();
        // Planned times ascend.
        match self.interval.planned.last_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.interval.planned.push((second, 1)),
        }
    }

    /// Counts an operation that will never be sent.
    pub fn unsent(&mut self, arrival: Arrival) {
        if arrival.measured {
            self.counts(arrival, |counts| counts.unsent += 1);
        }
    }

    /// Counts an operation that found the backlog full, and will never be sent.
    pub fn overflowed(&mut self, arrival: Arrival) {
        self.unsent(arrival);
        self.interval.effort.overflowed += u64::from(arrival.measured);
    }

    /// Notes how many operations wait for a connection.
    pub fn waiting(&mut self, operations: usize) {
        let most = &mut self.interval.effort.backlog_max;
        *most = (*most).max(operations as u64);
    }

    /// Notes time spent waiting without sleep.
    pub fn spun(&mut self, time: Duration) {
        self.interval.effort.spun += time;
    }

    /// Counts an operation that is sent `now`, on a connection that was free from `free` on.
    pub fn sent(&mut self, arrival: Arrival, free: Duration, now: Duration) {
        self.roll(now);
        if !arrival.measured {
            return;
        }
        let late = self.moments.in_time_until.is_some_and(|end| now > end);
        self.counts(arrival, |counts| {
            counts.sent += 1;
            counts.late += u64::from(late);
        });
        let own = now.saturating_sub(arrival.planned.max(free));
        self.interval.effort.lag.record(own);
    }

    /// Counts an operation that succeeded.
    pub fn succeed(&mut self, done: &Done) {
        self.roll(done.done);
        let arrival = done.arrival;
        if !arrival.measured {
            self.counts(arrival, |counts| counts.warmup += 1);
            return;
        }
        let response = done.done.saturating_sub(arrival.planned);
        let service = done.done.saturating_sub(done.sent);
        let lag = done.sent.saturating_sub(arrival.planned);
        let kind = self.interval.kinds.get_mut(arrival.kind);
        let tenant = row(&mut self.interval.tenants, arrival.tenant);
        for part in kind.into_iter().chain(tenant) {
            part.counts.succeeded += 1;
            part.counts.sent_bytes += done.sent_bytes;
            part.counts.received_bytes += done.received_bytes;
            part.latency.response.record(response);
            part.latency.service.record(service);
            part.latency.lag.record(lag);
        }
        self.interval.last_done = Some(done.done);
    }

    /// Counts an operation that was sent and failed.
    pub fn fail(&mut self, arrival: Arrival, failure: &Failure, now: Duration) {
        self.roll(now);
        if !arrival.measured {
            self.counts(arrival, |counts| counts.warmup += 1);
            return;
        }
        let class = failure.class();
        self.counts(arrival, |counts| {
            counts.failed += 1;
            // Without a ticket, a resumed handshake would have been a full one.
            counts.wrong_kind += u64::from(matches!(class, Class::WrongKind | Class::NoTicket));
            counts.corrupt += u64::from(class.is_corruption());
        });
        self.interval.last_done = Some(now);
        self.interval.count_failure(failure, now);
    }

    /// Keeps a failure that is no operation's, such as of a connection before the run.
    pub fn note_failure(&mut self, failure: &Failure, now: Duration) {
        self.roll(now);
        self.interval.count_failure(failure, now);
    }

    /// Counts the status of an HTTP answer.
    pub fn status(&mut self, status: u16) {
        *self.interval.statuses.entry(status).or_default() += 1;
    }

    /// The connections of this interval, to count in.
    pub fn connections(&mut self) -> &mut super::interval::Connections {
        &mut self.interval.connections
    }
}

/// The row of a tenant: the last one is that of all who have none of their own.
fn row(rows: &mut [Part], tenant: usize) -> Option<&mut Part> {
    let last = rows.len().checked_sub(1)?;
    rows.get_mut(tenant.min(last))
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;
    use crate::operation::failure::{Cause, Phase};

    /// Keeps what was handed over.
    struct Kept(Rc<RefCell<Vec<Interval>>>);

    impl Outlet for Kept {
        fn exchange(&mut self, interval: &mut Box<Interval>) {
            let full = std::mem::replace(interval, Box::new(Interval::new(2, 2)));
            self.0.borrow_mut().push(*full);
        }
    }

    #[test]
    fn kinds_and_tenants_are_counted_apart_and_lateness_is_seen() {
        let at = Duration::from_millis;
        let kept = Rc::default();
        let moments = Moments {
            measured_from: at(0),
            in_time_until: Some(at(1_500)),
        };
        let outlet = Box::new(Kept(Rc::clone(&kept)));
        let mut recorder = Recorder::new(Box::new(Interval::new(2, 2)), outlet, moments);
        for (ms, kind, tenant) in [(0, 0, 0), (900, 1, 7), (1_600, 1, 0)] {
            let arrival = Arrival {
                planned: at(ms),
                measured: true,
                number: 0,
                kind,
                tenant,
            };
            recorder.planned(arrival);
            recorder.sent(arrival, at(0), at(ms));
            match ms {
                1_600 => recorder.fail(arrival, &Failure::new(Phase::Send, Cause::Closed), at(ms)),
                _ => recorder.succeed(&Done {
                    arrival,
                    sent: at(ms),
                    done: at(ms + 5),
                    sent_bytes: 1,
                    received_bytes: 2,
                }),
            }
        }
        recorder.hand_over();
        let kept = kept.borrow();
        let seconds: Vec<_> = kept.iter().map(|interval| interval.second).collect();
        assert_eq!(seconds, [Some(0), Some(1)]);
        let of = |part: &Part| (part.counts.succeeded, part.counts.failed, part.counts.late);
        let seen = |second: usize, kind: usize| of(&kept[second].kinds[kind]);
        assert_eq!((seen(0, 0), seen(0, 1)), ((1, 0, 0), (1, 0, 0)));
        assert_eq!((seen(1, 0), seen(1, 1)), ((0, 0, 0), (0, 1, 1)));
        // Tenants come once, at the end; those without a row of their own share the last one.
        assert!(kept[0].tenants.is_empty());
        let tenants: Vec<_> = kept[1].tenants.iter().map(of).collect();
        assert_eq!(tenants, [(1, 1, 1), (1, 0, 0)]);
        assert_eq!(kept[1].tenants[1].latency.service.count(), 1);
    }
}
