//! What one worker counts. Each has its own; they are merged when the run is over.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::histogram::Times;
use crate::operation::failure::{Class, Failure, Phase};
use crate::schedule::Arrival;

/// Times of the measured operations. Three for every operation, always: in a closed loop an
/// operation is planned for the moment the one before it is done, so lag says what the generator
/// itself adds.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    /// Done − planned.
    pub response: Times,
    /// Done − sent.
    pub service: Times,
    /// Sent − planned.
    pub lag: Times,
    /// TCP connect, of every connection that was established.
    pub connect: Times,
    /// TLS handshake, of every connection that was established.
    pub handshake: Times,
}

/// A finished operation.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// When it was planned, and whether it counts.
    pub arrival: Arrival,
    /// When its first byte was handed over; for a handshake, when connecting began.
    pub sent: Instant,
    /// When its last byte had arrived.
    pub done: Instant,
    /// Payload that was sent.
    pub sent_bytes: u64,
    /// Payload that was received.
    pub received_bytes: u64,
}

/// Operations by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Measured, and as they should be.
    pub succeeded: u64,
    /// Measured, and failed.
    pub failed: u64,
    /// Before the measurement began.
    pub warmup: u64,
    /// Handshakes that only fetched a ticket.
    pub priming: u64,
    /// Handshakes of another kind than was wanted, or that had no ticket for it, among the failed.
    pub wrong_kind: u64,
    /// Answers that were not what was sent or asked for, among the failed.
    pub corrupt: u64,
    /// Connections whose task panicked: what they were doing is in no other count.
    pub died: u64,
    /// Connections established.
    pub connections: u64,
    /// Payload sent by measured operations that succeeded.
    pub sent_bytes: u64,
    /// Payload received by measured operations that succeeded.
    pub received_bytes: u64,
}

/// Failures of one class in one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureCount {
    /// How many.
    pub count: u64,
    /// The first one, in words.
    pub example: String,
}

/// Names and how often each was seen.
pub type Names = BTreeMap<String, u64>;

/// What handshakes negotiated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Protocol versions.
    pub version: Names,
    /// Cipher suites.
    pub suite: Names,
    /// Key exchange groups.
    pub group: Names,
    /// Full, full after a HelloRetryRequest, resumed.
    pub kind: Names,
    /// Application protocols.
    pub alpn: Names,
}

impl Negotiated {
    fn all(&mut self) -> [&mut Names; 5] {
        [
            &mut self.version,
            &mut self.suite,
            &mut self.group,
            &mut self.kind,
            &mut self.alpn,
        ]
    }
}

/// Everything one worker counts.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Operations.
    pub counts: Counts,
    /// Times.
    pub latency: Latency,
    /// Failures, of operations and of connections set up for them.
    pub failures: BTreeMap<(Phase, Class), FailureCount>,
    /// What was negotiated.
    pub negotiated: Negotiated,
    /// HTTP statuses, failed ones too.
    pub statuses: BTreeMap<u16, u64>,
    /// When the last measured operation ended.
    pub last_done: Option<Instant>,
}

impl Tally {
    /// Counts an operation that succeeded.
    pub fn succeed(&mut self, done: &Done) {
        if !done.arrival.measured {
            self.counts.warmup += 1;
            return;
        }
        self.counts.succeeded += 1;
        self.counts.sent_bytes += done.sent_bytes;
        self.counts.received_bytes += done.received_bytes;
        let planned = done.arrival.planned;
        self.latency
            .response
            .record(done.done.saturating_duration_since(planned));
        self.latency
            .service
            .record(done.done.saturating_duration_since(done.sent));
        self.latency
            .lag
            .record(done.sent.saturating_duration_since(planned));
        self.last_done = self.last_done.max(Some(done.done));
    }

    /// Counts an operation that failed.
    pub fn fail(&mut self, arrival: Arrival, failure: &Failure) {
        if !arrival.measured {
            self.counts.warmup += 1;
            return;
        }
        self.counts.failed += 1;
        match failure.class() {
            // Without a ticket, a resumed handshake would have been a full one.
            Class::WrongKind | Class::NoTicket => self.counts.wrong_kind += 1,
            class if class.is_corruption() => self.counts.corrupt += 1,
            _ => {}
        }
        self.last_done = self.last_done.max(Some(Instant::now()));
        self.note_failure(failure);
    }

    /// Keeps a failure that is no operation's, such as of a connection before the run.
    pub fn note_failure(&mut self, failure: &Failure) {
        self.failures
            .entry((failure.phase, failure.class()))
            .or_insert_with(|| FailureCount {
                count: 0,
                example: failure.to_string(),
            })
            .count += 1;
    }

    /// Keeps how long a connection took to establish.
    pub fn note_connection(&mut self, connect: Duration, handshake: Option<Duration>) {
        self.counts.connections += 1;
        self.latency.connect.record(connect);
        if let Some(handshake) = handshake {
            self.latency.handshake.record(handshake);
        }
    }

    /// Adds another worker's.
    pub fn merge(&mut self, mut other: Tally) {
        let (sum, add) = (&mut self.counts, &other.counts);
        sum.succeeded += add.succeeded;
        sum.failed += add.failed;
        sum.warmup += add.warmup;
        sum.priming += add.priming;
        sum.wrong_kind += add.wrong_kind;
        sum.corrupt += add.corrupt;
        sum.died += add.died;
        sum.connections += add.connections;
        sum.sent_bytes += add.sent_bytes;
        sum.received_bytes += add.received_bytes;
        self.latency.response.merge(&other.latency.response);
        self.latency.service.merge(&other.latency.service);
        self.latency.lag.merge(&other.latency.lag);
        self.latency.connect.merge(&other.latency.connect);
        self.latency.handshake.merge(&other.latency.handshake);
        for (key, more) in other.failures {
            self.failures
                .entry(key)
                .or_insert(FailureCount {
                    count: 0,
                    example: more.example,
                })
                .count += more.count;
        }
        for (names, more) in self
            .negotiated
            .all()
            .into_iter()
            .zip(other.negotiated.all())
        {
            for (name, count) in std::mem::take(more) {
                *names.entry(name).or_default() += count;
            }
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.last_done = self.last_done.max(other.last_done);
    }
}
