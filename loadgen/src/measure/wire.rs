//! How what was counted goes from one machine to another: whole, every count of every histogram.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};

use super::{histogram::Times, interval::Part};
use crate::{scenario::MAX_OPERATIONS, tenants::OWN_ROWS};

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

/// Kinds of operations of one load: a handshake has four, and a scenario 64 operations.
pub const MAX_KINDS: usize = 4 * MAX_OPERATIONS;

/// Rows of tenants of one load: those that have their own, and one for all others.
pub const MAX_ROWS: usize = OWN_ROWS + 1;

/// Operations by kind, no more than a load has: each takes memory for its histograms.
///
/// # Errors
///
/// When there are more.
pub fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    deserializer.deserialize_seq(AtMost(MAX_KINDS))
}

/// Operations by tenant, likewise.
///
/// # Errors
///
/// When there are more.
pub fn tenants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    deserializer.deserialize_seq(AtMost(MAX_ROWS))
}

/// Reads a list of no more than so many parts.
struct AtMost(usize);

impl<'de> Visitor<'de> for AtMost {
    type Value = Vec<Part>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} parts of a load", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<Part>, A::Error> {
        let mut parts = Vec::new();
        while parts.len() < self.0 {
            match all.next_element()? {
                Some(part) => parts.push(part),
                None => return Ok(parts),
            }
        }
        match all.next_element::<IgnoredAny>()? {
            None => Ok(parts),
            Some(_) => Err(A::Error::invalid_length(self.0 + 1, &self)),
        }
    }
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
        measure::{
            histogram::EncodingError,
            interval::{Interval, count},
        },
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

    #[test]
    fn no_memory_is_taken_for_what_a_header_asks_for() {
        // A decoder takes the memory first, and then finds that these are no counts.
        let mut own = Times::new().to_bytes();
        own.truncate(40);
        own[4..8].copy_from_slice(&3_u32.to_be_bytes());
        own.extend([0x80; 3]);
        let refused = Times::from_bytes(&own).unwrap_err();
        assert!(matches!(refused, EncodingError::Hdr(_)), "{refused}");
        // A length, a number of digits, a lowest and a highest value.
        for (at, value) in [(4, 0x0fff_ffff_u32), (12, 5), (20, 2), (24, 0x7fff_ffff)] {
            let mut asking = own.clone();
            asking[at..at + 4].copy_from_slice(&value.to_be_bytes());
            let refused = Times::from_bytes(&asking).unwrap_err();
            assert!(matches!(refused, EncodingError::Bounds), "{at}: {refused}");
        }
        let short = Times::from_bytes(&own[..39]).unwrap_err();
        assert!(matches!(short, EncodingError::Bounds), "{short}");
    }

    #[test]
    fn more_parts_than_any_load_has_are_not_taken() {
        let mut json = serde_json::to_value(Interval::new(1, 1)).unwrap();
        let part = json["kinds"][0].clone();
        for (parts, most) in [("kinds", MAX_KINDS), ("tenants", MAX_ROWS)] {
            for (count, is_taken) in [(most, true), (most + 1, false)] {
                json[parts] = vec![part.clone(); count].into();
                let read = serde_json::from_value::<Interval>(json.clone());
                assert_eq!(read.is_ok(), is_taken, "{count} {parts}");
            }
            json[parts] = vec![part.clone()].into();
        }
    }
}
