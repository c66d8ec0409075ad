//! How much an interval that came from elsewhere adds to all sums together.
//!
//! Sums are plain additions: what a machine counts itself does not overflow them. What comes over a
//! network can say anything. As long as all its numbers together stay within a limit, so does each sum
//! of some of them, whichever sums there are.

use std::time::Duration;

use sealgate_tls::KeyUpdates;

use super::{
    histogram::Times,
    interval::{Connections, Counts, Effort, Failures, Interval, Latency, Part},
};
use crate::report::model::{Http, Names, Negotiated};

/// The most that all intervals of a run may weigh: no load of years comes near to it.
const MOST: u64 = 1 << 63;

/// The weight of everything that was taken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight(u64);

impl Weight {
    /// The same with an interval more; none where its numbers are more than can be added up.
    pub fn with(self, interval: &Interval) -> Option<Self> {
        let sum = interval.weight()?.checked_add(self.0)?;
        (sum <= MOST).then_some(Self(sum))
    }
}

impl Interval {
    /// The sum of all counters, and of times in nanoseconds; none where it does not fit.
    fn weight(&self) -> Option<u64> {
        // Named one by one, so that a new counter is not forgotten here.
        let Interval {
            second: _,
            kinds,
            tenants,
            planned,
            failures,
            statuses,
            connections,
            effort,
            last_done,
        } = self;
        // Of these only the last one is kept, and added to a moment.
        nanos(last_done.unwrap_or_default())?;
        let parts = kinds.iter().chain(tenants).flat_map(part);
        let planned = planned.iter().map(|(_, count)| *count);
        let failures = failures.values().map(failed).collect::<Option<Vec<_>>>()?;
        let counted = parts
            .chain(planned)
            .chain(failures)
            .chain(statuses.values().copied());
        let all = counted.chain(of_connections(connections));
        sum(all.chain(of_effort(effort)?))
    }
}

fn sum(mut all: impl Iterator<Item = u64>) -> Option<u64> {
    all.try_fold(0_u64, |sum, more| sum.checked_add(more))
}

fn nanos(time: Duration) -> Option<u64> {
    u64::try_from(time.as_nanos()).ok()
}

fn part(part: &Part) -> [u64; 14] {
    let Part { counts, latency } = part;
    let Counts {
        planned,
        sent,
        late,
        succeeded,
        failed,
        unsent,
        wrong_kind,
        corrupt,
        warmup,
        sent_bytes,
        received_bytes,
    } = *counts;
    let Latency {
        response,
        service,
        lag,
    } = latency;
    let [response, service, lag] = [response, service, lag].map(Times::count);
    [
        planned,
        sent,
        late,
        succeeded,
        failed,
        unsent,
        wrong_kind,
        corrupt,
        warmup,
        sent_bytes,
        received_bytes,
        response,
        service,
        lag,
    ]
}

fn failed(failures: &Failures) -> Option<u64> {
    let Failures {
        count,
        first,
        last,
        samples: _,
    } = failures;
    nanos((*first).max(*last))?;
    Some(*count)
}

fn of_connections(connections: &Connections) -> impl Iterator<Item = u64> {
    let Connections {
        established,
        priming,
        died,
        dropped,
        held_before_drop,
        connect,
        handshake,
        negotiated,
        key_updates,
        http,
    } = connections;
    let KeyUpdates { sent, received } = *key_updates;
    let counts = [*established, *priming, *died, *dropped, sent, received];
    let times = [held_before_drop, connect, handshake].map(Times::count);
    let Negotiated {
        version,
        suite,
        group,
        kind,
        alpn,
        server_name,
        early_data,
    } = negotiated;
    let Http {
        version: spoken,
        streams_allowed: _,
        resets,
        go_aways,
    } = http;
    let negotiated = [
        version,
        suite,
        group,
        kind,
        alpn,
        server_name,
        early_data,
        spoken,
        resets,
        go_aways,
    ];
    let names = negotiated.into_iter().flat_map(Names::values).copied();
    counts.into_iter().chain(times).chain(names)
}

fn of_effort(effort: &Effort) -> Option<[u64; 3]> {
    let Effort {
        lag,
        spun,
        // The largest is kept, and nothing added.
        backlog_max: _,
        overflowed,
    } = effort;
    Some([lag.count(), nanos(*spun)?, *overflowed])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::interval::count,
        operation::failure::{Cause, Failure, Phase},
    };

    /// An interval in which every number is there, and small.
    pub fn full() -> Interval {
        let mut interval = Interval::new(1, 1);
        interval.second = Some(0);
        interval.planned = vec![(0, 1)];
        let failure = Failure::new(Phase::Check, Cause::Status(500));
        interval.count_failure(&failure, Duration::from_secs(1));
        interval.statuses.insert(500, 1);
        let names = &mut interval.connections.negotiated;
        for names in [
            &mut names.version,
            &mut names.suite,
            &mut names.group,
            &mut names.kind,
            &mut names.alpn,
            &mut names.server_name,
            &mut names.early_data,
        ] {
            count(names, "a", 1);
        }
        let http = &mut interval.connections.http;
        http.allow_streams(3);
        for names in [&mut http.version, &mut http.resets, &mut http.go_aways] {
            count(names, "a", 1);
        }
        interval.last_done = Some(Duration::from_secs(1));
        interval
    }

    /// Every place of a number in a value, as a pointer.
    fn numbers(value: &serde_json::Value, at: String, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Number(_) => found.push(at),
            serde_json::Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    numbers(item, format!("{at}/{n}"), found);
                }
            }
            serde_json::Value::Object(fields) => {
                for (name, field) in fields {
                    numbers(field, format!("{at}/{name}"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn whatever_number_is_too_large_is_no_overflow_of_a_sum() {
        let json = serde_json::to_value(full()).unwrap();
        let mut places = Vec::new();
        numbers(&json, String::new(), &mut places);
        let mut refused = 0;
        for place in &places {
            let mut hostile = json.clone();
            *hostile.pointer_mut(place).unwrap() = u64::MAX.into();
            // Nanoseconds of a second, and statuses, are smaller numbers.
            let Ok(interval) = serde_json::from_value::<Interval>(hostile) else {
                continue;
            };
            match Weight::default().with(&interval) {
                None => refused += 1,
                Some(weight) => {
                    assert!(weight.0 < 1 << 32, "{place} counts, and is not weighed");
                    let mut sum = full();
                    sum.add(&interval);
                }
            }
        }
        // All but the second, that of what was planned, the streams and the longest backlog.
        let others = ["/second", "/planned/0/0", "streams_allowed", "backlog_max"];
        let others = places.iter().filter(|place| {
            let nanos = place.ends_with("/nanos");
            nanos || others.iter().any(|other| place.ends_with(other))
        });
        assert_eq!(refused, places.len() - others.count(), "{places:#?}");
    }

    #[test]
    fn what_many_add_together_is_weighed_together() {
        let mut interval = full();
        interval.kinds[0].counts.received_bytes = MOST / 2;
        let one = Weight::default().with(&interval).unwrap();
        assert_eq!(one.with(&interval), None);
        assert!(one.with(&full()).is_some());
    }
}
