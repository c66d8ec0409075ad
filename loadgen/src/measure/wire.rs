//! How what was counted goes from one machine to another: whole, every count of every histogram.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::histogram::Times;

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Most histograms of a second are empty.
        let bytes = (self.count() > 0).then(|| STANDARD.encode(self.to_bytes()));
        bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(Self::new());
        };
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

/// KeyUpdates that were counted: their type belongs to the TLS engine, which has no wire.
#[derive(Serialize, Deserialize)]
#[serde(remote = "sealgate_tls::KeyUpdates")]
pub struct KeyUpdatesOnWire {
    sent: u64,
    received: u64,
}

/// Failures by phase and class: JSON has no such keys, so they are a list.
pub mod failures {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::{
        measure::interval::Failures,
        operation::failure::{Class, Phase},
    };

    type ByClass = BTreeMap<(Phase, Class), Failures>;

    /// Writes them.
    ///
    /// # Errors
    ///
    /// As the serializer.
    pub fn serialize<S: Serializer>(all: &ByClass, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all)
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// When there are none of ours.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByClass, D::Error> {
        let all = Vec::<((Phase, Class), Failures)>::deserialize(deserializer)?;
        Ok(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::Histogram;

    use super::*;
    use crate::{
        measure::interval::{Interval, count},
        operation::failure::{Cause, Failure, Phase},
    };

    fn travelled(interval: &Interval) -> Interval {
        serde_json::from_slice(&serde_json::to_vec(interval).unwrap()).unwrap()
    }

    #[test]
    fn what_arrives_is_what_was_counted() {
        let mut interval = Interval::new(2, 1);
        interval.second = Some(7);
        interval.planned = vec![(7, 3), (8, 1)];
        interval.last_done = Some(Duration::from_nanos(123));
        for ns in [1, 999, 1_000_001, 59_999_999_999] {
            let time = Duration::from_nanos(ns);
            interval.kinds[1].latency.service.record(time);
            interval.effort.lag.record(time);
        }
        interval.kinds[1].counts.succeeded = 4;
        interval.tenants[0].counts.unsent = 2;
        interval.statuses.insert(204, 4);
        let failure = Failure::new(Phase::Check, Cause::Status(500));
        interval.count_failure(&failure, Duration::from_millis(1_500));
        interval.connections.key_updates.received = 9;
        interval.connections.http.allow_streams(3);
        count(&mut interval.connections.negotiated.group, "X25519", 5);
        let arrived = travelled(&interval);
        let seen = |interval: &Interval| serde_json::to_value(interval).unwrap();
        assert!(seen(&arrived) == seen(&interval));
        let (sent, came) = (&interval.kinds[1].latency, &arrived.kinds[1].latency);
        assert_eq!(came.service, sent.service);
        let mut sum = Interval::new(2, 1);
        sum.add(&arrived);
        sum.add(&arrived);
        assert_eq!(sum.kinds[1].latency.service.count(), 8);
    }

    #[test]
    fn histograms_of_other_bounds_are_refused() {
        use hdrhistogram::serialization::{Serializer, V2Serializer};
        let own = {
            let mut times = Times::new();
            times.record(Duration::from_millis(3));
            times.to_bytes()
        };
        assert!(Times::from_bytes(&own).is_ok());
        assert!(Times::from_bytes(&own[..own.len() - 1]).is_err());
        assert!(Times::from_bytes(&[&own[..], b"x"].concat()).is_err());
        for (high, digits) in [(1_000_000, 3), (3_600_000_000_000, 2)] {
            let other = Histogram::<u64>::new_with_bounds(1, high, digits).unwrap();
            let mut bytes = Vec::new();
            V2Serializer::new().serialize(&other, &mut bytes).unwrap();
            assert!(Times::from_bytes(&bytes).is_err(), "{high}, {digits}");
        }
    }
}
