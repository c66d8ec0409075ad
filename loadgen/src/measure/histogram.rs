//! Latency histograms: HdrHistogram in nanoseconds with three significant digits, because two
//! would hide a change of 1 %.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2DeflateSerializer},
};
use serde::Serialize;

/// The longest time that is told apart: longer ones count as this.
const MAX: Duration = Duration::from_secs(3600);

/// The percentiles that are printed.
pub const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p95", 95.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
];

/// Times of one kind.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

impl Times {
    /// No times yet. Takes about 300 KiB.
    pub fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, MAX.as_nanos() as u64, 3)
                .expect("1 ns to 1 h with 3 digits are bounds the crate takes"),
        )
    }

    /// Records one time; no allocation.
    pub fn record(&mut self, time: Duration) {
        self.0
            .saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    /// Adds the times of another thread.
    pub fn merge(&mut self, other: &Times) {
        self.0
            .add(&other.0)
            .expect("all histograms have the same bounds");
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that `percent` of the recorded ones do not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.mean() as u64)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The histogram for the result.
    pub fn to_json(&self) -> TimesJson {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("writing to memory does not fail");
        let us = |nanos: f64| nanos / 1e3;
        TimesJson {
            count: self.count(),
            min_us: us(if self.count() == 0 {
                0.0
            } else {
                self.0.min() as f64
            }),
            mean_us: us(self.0.mean()),
            stdev_us: us(self.0.stdev()),
            max_us: us(self.0.max() as f64),
            percentiles_us: PERCENTILES
                .iter()
                .map(|(name, percent)| {
                    (
                        (*name).to_owned(),
                        us(self.0.value_at_percentile(*percent) as f64).into(),
                    )
                })
                .collect(),
            hdr_unit: "ns",
            hdr_v2_deflate: STANDARD.encode(&bytes),
        }
    }
}

/// A histogram in the result.
#[derive(Debug, Clone, Serialize)]
pub struct TimesJson {
    /// Recorded times.
    pub count: u64,
    /// The shortest.
    pub min_us: f64,
    /// The mean.
    pub mean_us: f64,
    /// The standard deviation.
    pub stdev_us: f64,
    /// The longest.
    pub max_us: f64,
    /// See [`PERCENTILES`].
    pub percentiles_us: serde_json::Map<String, serde_json::Value>,
    /// Unit of the values in the encoded histogram.
    pub hdr_unit: &'static str,
    /// HdrHistogram V2, deflated, base64: other tools read and merge it.
    pub hdr_v2_deflate: String,
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;

    use super::*;

    #[test]
    fn what_is_encoded_is_what_was_recorded() {
        let mut times = Times::new();
        let mut other = Times::new();
        for us in 1..=1000 {
            times.record(Duration::from_micros(us));
            other.record(Duration::from_secs(7200));
        }
        times.merge(&other);
        let json = times.to_json();
        assert_eq!(json.count, 2000);
        let bytes = STANDARD.decode(json.hdr_v2_deflate).unwrap();
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        assert_eq!(read.len(), 2000);
        let p25 = read.value_at_percentile(25.0) as f64;
        assert!((p25 / 500_000.0 - 1.0).abs() < 0.002, "{p25}");
        assert!(times.max() <= MAX.mul_f64(1.001));
    }
}
