//! Latency histograms: HdrHistogram in nanoseconds with three significant digits, because two
//! would hide a change of 1 %.

use std::{ops::Range, sync::LazyLock, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{
        DeserializeError, Deserializer, Serializer, V2DeflateSerializer, V2Serializer,
    },
};
use thiserror::Error;

use crate::report::model::Distribution;

/// The longest time that is told apart: longer ones count as this.
const MAX: Duration = Duration::from_secs(3600);

/// What stands before the counts of an encoded histogram: cookie, length of the counts, offset, digits,
/// lowest and highest value, ratio.
const HEADER_LEN_BYTES: usize = 40;

/// Where in it the length of the counts stands.
const COUNTS_LEN: Range<usize> = 4..8;

/// The header of all histograms of our bounds, but for that length.
static HEADER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut header = Times::new().to_bytes();
    header.truncate(HEADER_LEN_BYTES);
    header
});

/// The percentiles that are printed.
pub const PERCENTILES: [(&str, f64); 8] = [
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p95", 95.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
    ("p99.999", 99.999),
];

/// Times of one kind.
#[derive(Debug, Clone, PartialEq)]
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

    /// Adds the times of another thread, or of another second.
    pub fn merge(&mut self, other: &Times) {
        if other.count() == 0 {
            return;
        }
        self.0
            .add(&other.0)
            .expect("all histograms have the same bounds");
    }

    /// Forgets all times and keeps the memory.
    pub fn clear(&mut self) {
        // Clearing writes to all of it, and many histograms stay empty.
        if self.count() > 0 {
            self.0.reset();
        }
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that `percent` of the recorded ones do not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// The times as bytes: HdrHistogram V2, not deflated, since the thread that collects them has
    /// other things to do.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("writing to memory does not fail");
        bytes
    }

    /// The times that somebody else recorded, as [`Times::to_bytes`] writes them.
    ///
    /// # Errors
    ///
    /// When these are no times, or of other bounds: then counts would be lost in a sum. That is seen
    /// before anything is decoded, which takes as much memory as the header asks for.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, EncodingError> {
        if !has_own_header(bytes) {
            return Err(EncodingError::Bounds);
        }
        Ok(Self(Deserializer::new().deserialize(&mut bytes)?))
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.mean() as u64)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The times for the report: exactly, and in numbers.
    pub fn distribution(&self) -> Distribution {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("writing to memory does not fail");
        Distribution {
            count: self.count(),
            min_ns: if self.count() == 0 { 0 } else { self.0.min() },
            mean_ns: self.0.mean(),
            stdev_ns: self.0.stdev(),
            max_ns: self.0.max(),
            percentiles_ns: PERCENTILES
                .iter()
                .map(|(name, percent)| ((*name).to_owned(), self.0.value_at_percentile(*percent)))
                .collect(),
            hdr_v2_deflate: STANDARD.encode(&bytes),
        }
    }
}

/// Whether these bytes are a histogram of our bounds, with as many bytes of counts as it says.
fn has_own_header(bytes: &[u8]) -> bool {
    let Some((header, counts)) = bytes.split_at_checked(HEADER_LEN_BYTES) else {
        return false;
    };
    let counts_len_bytes = (counts.len() as u64).to_be_bytes();
    let (zeros, len) = counts_len_bytes.split_at(4);
    zeros == [0; 4]
        && header[COUNTS_LEN] == *len
        && header[..COUNTS_LEN.start] == HEADER[..COUNTS_LEN.start]
        && header[COUNTS_LEN.end..] == HEADER[COUNTS_LEN.end..]
}

/// A histogram in a report that cannot be decoded: the report is damaged.
#[derive(Debug, Error)]
pub enum EncodingError {
    /// Not base64.
    #[error("a histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not HdrHistogram V2, deflated.
    #[error("a histogram is not HdrHistogram V2, deflated: {0}")]
    Hdr(#[from] DeserializeError),
    /// Of other bounds.
    #[error("a histogram has other bounds than 1 ns to 1 h with 3 digits")]
    Bounds,
}

impl Distribution {
    /// The recorded times, as they were.
    ///
    /// # Errors
    ///
    /// When the report was damaged.
    pub fn histogram(&self) -> Result<Histogram<u64>, EncodingError> {
        let bytes = STANDARD.decode(&self.hdr_v2_deflate)?;
        Ok(Deserializer::new().deserialize(&mut &bytes[..])?)
    }
}

#[cfg(test)]
mod tests {
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
        let stored = times.distribution();
        let read = stored.histogram().unwrap();
        assert_eq!(read, times.0, "not a count is lost");
        assert_eq!((stored.count, read.len()), (2000, 2000));
        let p25 = read.value_at_percentile(25.0) as f64;
        assert!((p25 / 500_000.0 - 1.0).abs() < 0.002, "{p25}");
        assert!(times.max() <= MAX.mul_f64(1.001));
        let none = Times::new().distribution();
        assert_eq!((none.count, none.min_ns, none.max_ns), (0, 0, 0));
    }
}
