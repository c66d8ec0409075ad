//! Everything one worker counted in one second, and the sum of many.

use std::{collections::BTreeMap, time::Duration};

use sealgate_tls::KeyUpdates;
use serde::{Deserialize, Serialize};

use super::{histogram::Times, wire};
use crate::{
    operation::failure::{Class, Failure, Phase},
    report::model::{Http, Names, Negotiated},
};

/// Different failures of one class that are kept in words.
const SAMPLES: usize = 5;

/// The three times of every operation. In a closed loop an operation is planned for the moment the
/// one before it is done, so lag says what the generator itself adds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Done − planned.
    pub response: Times,
    /// Done − sent.
    pub service: Times,
    /// Sent − planned.
    pub lag: Times,
}

/// Measured operations by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Planned.
    pub planned: u64,
    /// Sent.
    pub sent: u64,
    /// Sent, and not in time.
    pub late: u64,
    /// As they should be.
    pub succeeded: u64,
    /// Sent, and failed.
    pub failed: u64,
    /// Never sent.
    pub unsent: u64,
    /// Of another kind than was wanted, among the failed.
    pub wrong_kind: u64,
    /// Damaged, among the failed.
    pub corrupt: u64,
    /// Before the measurement began; in no other count.
    pub warmup: u64,
    /// Payload sent by those that succeeded.
    pub sent_bytes: u64,
    /// Payload received by those that succeeded.
    pub received_bytes: u64,
}

impl Counts {
    fn add(&mut self, more: &Counts) {
        self.planned += more.planned;
        self.sent += more.sent;
        self.late += more.late;
        self.succeeded += more.succeeded;
        self.failed += more.failed;
        self.unsent += more.unsent;
        self.wrong_kind += more.wrong_kind;
        self.corrupt += more.corrupt;
        self.warmup += more.warmup;
        self.sent_bytes += more.sent_bytes;
        self.received_bytes += more.received_bytes;
    }
}

/// Operations of one kind, or of one tenant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Part {
    /// How they ended.
    pub counts: Counts,
    /// Their times.
    pub latency: Latency,
}

impl Part {
    /// Adds another thread's, or another second's.
    pub fn add(&mut self, more: &Part) {
        self.counts.add(&more.counts);
        self.latency.add(&more.latency);
    }
}

impl Latency {
    /// Adds the times of another thread, or of another second.
    pub fn add(&mut self, more: &Latency) {
        self.response.merge(&more.response);
        self.service.merge(&more.service);
        self.lag.merge(&more.lag);
    }

    /// Forgets all times and keeps the memory.
    pub fn clear(&mut self) {
        self.response.clear();
        self.service.clear();
        self.lag.clear();
    }
}

/// Failures of one class in one phase. Times are since the load began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Duration,
    /// The last.
    pub last: Duration,
    /// Some in words, no two alike.
    pub samples: Vec<String>,
}

/// Connections, and what was negotiated on them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Connections {
    /// Established.
    pub established: u64,
    /// Handshakes that only fetched a ticket.
    pub priming: u64,
    /// Whose task panicked: what they were doing is in no other count.
    pub died: u64,
    /// That the target ended while they were idle.
    pub dropped: u64,
    /// How long those had stood.
    pub held_before_drop: Times,
    /// TCP connect.
    pub connect: Times,
    /// TLS handshake.
    pub handshake: Times,
    /// What was negotiated.
    pub negotiated: Negotiated,
    /// KeyUpdates of the connections that ask for them.
    #[serde(with = "wire::KeyUpdatesOnWire")]
    pub key_updates: KeyUpdates,
    /// How HTTP was spoken.
    pub http: Http,
}

/// What a worker has to say of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Effort {
    /// Sent − the later of planned and the moment a connection was free: what the generator adds.
    pub lag: Times,
    /// Time spent waiting for the next start without sleep.
    pub spun: Duration,
    /// Most operations that waited for a connection at one time.
    pub backlog_max: u64,
    /// Operations that found the backlog full.
    pub overflowed: u64,
}

/// Everything one worker counted in one second; as a sum, everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Interval {
    /// The second, counted from when measuring began; none before.
    pub second: Option<u64>,
    /// Operations by kind.
    #[serde(deserialize_with = "wire::kinds")]
    pub kinds: Vec<Part>,
    /// Operations by tenant, since the load began: only the last interval of a load has them.
    #[serde(deserialize_with = "wire::tenants")]
    pub tenants: Vec<Part>,
    /// Operations by the second in which they were planned, which a late worker tells late.
    pub planned: Vec<(u64, u64)>,
    /// Failures, of operations and of connections set up for them.
    #[serde(with = "wire::failures")]
    pub failures: BTreeMap<(Phase, Class), Failures>,
    /// HTTP statuses, of failed operations too.
    pub statuses: BTreeMap<u16, u64>,
    /// Connections.
    pub connections: Connections,
    /// The worker itself.
    pub effort: Effort,
    /// When the last measured operation ended.
    pub last_done: Option<Duration>,
}

impl Interval {
    /// An interval in which nothing has happened.
    pub fn new(kinds: usize, tenants: usize) -> Self {
        Self {
            kinds: vec![Part::default(); kinds],
            tenants: vec![Part::default(); tenants],
            ..Self::default()
        }
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.second = None;
        for part in self.kinds.iter_mut().chain(&mut self.tenants) {
            part.counts = Counts::default();
            part.latency.clear();
        }
        self.planned.clear();
        self.failures.clear();
        self.statuses.clear();
        let connections = &mut self.connections;
        connections.connect.clear();
        connections.handshake.clear();
        connections.held_before_drop.clear();
        connections.negotiated = Negotiated::default();
        connections.key_updates = KeyUpdates::default();
        connections.http = Http::default();
        (
            connections.established,
            connections.priming,
            connections.died,
            connections.dropped,
        ) = (0, 0, 0, 0);
        self.effort.lag.clear();
        self.effort.spun = Duration::ZERO;
        (self.effort.backlog_max, self.effort.overflowed) = (0, 0);
        self.last_done = None;
    }

    /// Counts a failure at `now`.
    pub fn count_failure(&mut self, failure: &Failure, now: Duration) {
        let key = (failure.phase, failure.class());
        let failures = self.failures.entry(key).or_insert_with(|| Failures {
            count: 0,
            first: now,
            last: now,
            samples: Vec::new(),
        });
        failures.count += 1;
        failures.last = now;
        // Words are made for the first ones only: a target that fails fast is not to slow us down.
        if failures.count <= SAMPLES as u64 {
            keep(&mut failures.samples, failure.to_string());
        }
    }

    /// Adds what another worker counted, or the same one in another second.
    pub fn add(&mut self, more: &Interval) {
        for (sum, part) in self.kinds.iter_mut().zip(&more.kinds) {
            sum.add(part);
        }
        for (sum, part) in self.tenants.iter_mut().zip(&more.tenants) {
            sum.add(part);
        }
        self.planned.extend_from_slice(&more.planned);
        for (key, failures) in &more.failures {
            let sum = self.failures.entry(*key).or_insert_with(|| Failures {
                count: 0,
                samples: Vec::new(),
                ..failures.clone()
            });
            sum.count += failures.count;
            sum.first = sum.first.min(failures.first);
            sum.last = sum.last.max(failures.last);
            for sample in &failures.samples {
                keep(&mut sum.samples, sample.clone());
            }
        }
        for (status, count) in &more.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.connections.add(&more.connections);
        let (sum, effort) = (&mut self.effort, &more.effort);
        sum.lag.merge(&effort.lag);
        sum.spun += effort.spun;
        sum.backlog_max = sum.backlog_max.max(effort.backlog_max);
        sum.overflowed += effort.overflowed;
        self.last_done = self.last_done.max(more.last_done);
    }
}

impl Connections {
    /// Adds those of another worker, or of another time.
    pub fn add(&mut self, more: &Connections) {
        self.established += more.established;
        self.priming += more.priming;
        self.died += more.died;
        self.dropped += more.dropped;
        self.held_before_drop.merge(&more.held_before_drop);
        self.connect.merge(&more.connect);
        self.handshake.merge(&more.handshake);
        self.key_updates.sent += more.key_updates.sent;
        self.key_updates.received += more.key_updates.received;
        self.http.add(&more.http);
        let (sum, names) = (&mut self.negotiated, &more.negotiated);
        for (sum, names) in [
            (&mut sum.version, &names.version),
            (&mut sum.suite, &names.suite),
            (&mut sum.group, &names.group),
            (&mut sum.kind, &names.kind),
            (&mut sum.alpn, &names.alpn),
            (&mut sum.server_name, &names.server_name),
            (&mut sum.early_data, &names.early_data),
        ] {
            for (name, n) in names {
                count(sum, name, *n);
            }
        }
    }
}

fn keep(samples: &mut Vec<String>, sample: String) {
    if samples.len() < SAMPLES && !samples.contains(&sample) {
        samples.push(sample);
    }
}

/// Counts `n` more of `name`.
pub fn count(names: &mut Names, name: &str, n: u64) {
    // Few names, many counts: the key is allocated once.
    match names.get_mut(name) {
        Some(count) => *count += n,
        None => {
            names.insert(name.to_owned(), n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::failure::Cause;

    #[test]
    fn failures_keep_their_first_and_last_time_and_few_samples() {
        let at = Duration::from_secs;
        let mut early = Interval::new(1, 1);
        let mut late = Interval::new(1, 1);
        for status in 500..520 {
            late.count_failure(&Failure::new(Phase::Check, Cause::Status(status)), at(9));
        }
        early.count_failure(&Failure::new(Phase::Check, Cause::Status(500)), at(2));
        late.add(&early);
        let failures = &late.failures[&(Phase::Check, Class::Status)];
        assert_eq!(
            (failures.count, failures.first, failures.last),
            (21, at(2), at(9))
        );
        assert_eq!(failures.samples.len(), SAMPLES);
    }

    #[test]
    fn a_cleared_interval_adds_nothing() {
        let mut interval = Interval::new(2, 3);
        assert_eq!(interval.tenants.len(), 3);
        interval.kinds[1].counts.sent = 4;
        interval.kinds[1].latency.lag.record(Duration::from_secs(1));
        interval.count_failure(&Failure::new(Phase::Send, Cause::Closed), Duration::ZERO);
        interval.statuses.insert(200, 1);
        interval.connections.dropped = 1;
        count(&mut interval.connections.negotiated.alpn, "h2", 1);
        interval.connections.key_updates.sent = 1;
        count(&mut interval.connections.http.version, "2", 1);
        interval.connections.http.allow_streams(3);
        interval.effort.spun = Duration::from_secs(1);
        interval.clear();
        let mut sum = Interval::new(2, 3);
        sum.add(&interval);
        assert_eq!(sum.kinds[1].counts, Counts::default());
        assert_eq!(sum.kinds[1].latency.lag.count(), 0);
        assert!(sum.failures.is_empty() && sum.statuses.is_empty());
        assert!(sum.connections.negotiated.alpn.is_empty());
        assert_eq!(sum.connections.dropped, 0);
        assert_eq!(sum.connections.key_updates, KeyUpdates::default());
        assert_eq!(sum.connections.http, Http::default());
        assert_eq!(sum.effort.spun, Duration::ZERO);
    }
}
