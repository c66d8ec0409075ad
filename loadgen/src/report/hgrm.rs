//! `.hgrm`: the percentile distribution as HdrHistogram for Java prints it, in milliseconds.
//!
//! The layout is that of `AbstractHistogram.outputPercentileDistribution`, to the byte, so whatever
//! reads the files of wrk2 or of Java programs reads these.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::levels::{STEPS_PER_HALF, levels};

/// Nanoseconds in the unit of the file.
const NS_PER_UNIT: f64 = 1e6;

/// Writes a histogram of nanoseconds.
pub fn write(histogram: &Histogram<u64>) -> String {
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let digits = usize::from(histogram.sigfig());
    for row in levels(histogram, STEPS_PER_HALF) {
        let value = fixed(row.value as f64 / NS_PER_UNIT, digits);
        let quantile = row.percentile / 100.0;
        let _ = write!(out, "{value:>12} {} {:>10}", fixed(quantile, 12), row.count);
        if row.percentile < 100.0 {
            let _ = write!(out, " {:>14}", fixed(1.0 / (1.0 - quantile), 2));
        }
        out.push('\n');
    }
    footer(&mut out, histogram, digits);
    out
}

fn footer(out: &mut String, histogram: &Histogram<u64>, digits: usize) {
    let in_units = |ns: f64| fixed(ns / NS_PER_UNIT, digits);
    let buckets = u32::from(histogram.buckets());
    // Each bucket but the first shares half of its cells with the one before.
    let cells = 2 * histogram.distinct_values() / (buckets as usize + 1);
    let (mean, stdev, max) = if histogram.is_empty() {
        (0.0, 0.0, 0.0)
    } else {
        (histogram.mean(), histogram.stdev(), histogram.max() as f64)
    };
    let (mean, stdev, max) = (in_units(mean), in_units(stdev), in_units(max));
    let count = histogram.len();
    let _ = writeln!(
        out,
        "#[Mean    = {mean:>12}, StdDeviation   = {stdev:>12}]\n\
         #[Max     = {max:>12}, Total count    = {count:>12}]\n\
         #[Buckets = {buckets:>12}, SubBuckets     = {cells:>12}]"
    );
}

/// A number with so many decimals, rounded as Java's formatter does it: half up, and from the
/// shortest digits that name the number. Rust would round 1.0005 by its binary value.
fn fixed(number: f64, decimals: usize) -> String {
    let shortest = format!("{number}");
    let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
    if fraction.len() <= decimals {
        return format!("{whole}.{fraction:0<decimals$}");
    }
    let mut digits: Vec<u8> = [whole, &fraction[..decimals]].concat().into_bytes();
    if fraction.as_bytes()[decimals] >= b'5' {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9');
        let first_nine = digits.len() - nines.count();
        digits[first_nine..].fill(b'0');
        match first_nine {
            0 => digits.insert(0, b'1'),
            after => digits[after - 1] += 1,
        }
    }
    let mut text: String = digits.into_iter().map(char::from).collect();
    text.insert(text.len() - decimals, '.');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_half_up_from_their_shortest_digits() {
        for (number, decimals, text) in [
            (0.0, 3, "0.000"),
            (1.0, 2, "1.00"),
            (0.0005, 3, "0.001"),
            (1.0005, 3, "1.001"),
            (2.0015, 3, "2.002"),
            (0.9995, 3, "1.000"),
            (9.9996, 3, "10.000"),
            (99.9994, 3, "99.999"),
            (12.345_678, 3, "12.346"),
            (1e-9, 3, "0.000"),
        ] {
            assert_eq!(fixed(number, decimals), text, "{number}");
        }
    }

    #[test]
    fn an_empty_histogram_has_a_head_and_a_foot() {
        let text = write(&Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap());
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains("Total count    =            0]"), "{text}");
        assert!(text.contains("SubBuckets     =         2048]"), "{text}");
    }
}
