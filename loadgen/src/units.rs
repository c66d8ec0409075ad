//! Quantities on the command line: sizes, durations and percentages with their units.

use std::time::Duration;

use thiserror::Error;

/// A quantity that is not one. The message is printed behind the flag and the value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UnitError {
    /// Not a size.
    #[error("not a size: write a number with B, k, MB, GB (powers of 1000) or KiB, MiB, GiB")]
    Size,
    /// Not a duration.
    #[error("not a duration: write a number with us, ms, s, m or h")]
    Duration,
    /// Not a share.
    #[error("not a percentage: write 0% to 100%")]
    Percent,
}

/// Reads a size in bytes: `100`, `8k`, `100MB`, `64KiB`.
///
/// # Errors
///
/// When the number or its unit is none, or it does not fit.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" | "B" => 1.0,
        "k" | "K" | "kB" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(UnitError::Size),
    };
    let bytes = number.parse::<f64>().map_err(|_| UnitError::Size)? * factor;
    // 2^53: whole bytes are exact up to there.
    match bytes.fract() == 0.0 && (0.0..9.0e15).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err(UnitError::Size),
    }
}

/// Reads a count: `1000`, `10k`, `1M`.
///
/// # Errors
///
/// When it is none.
pub fn count(text: &str) -> Result<u64, UnitError> {
    size(text)
}

/// Reads a duration: `500ms`, `10s`, `2m`, `1h`; a bare number is seconds.
///
/// # Errors
///
/// When the number or its unit is none.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text);
    let factor = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(UnitError::Duration),
    };
    let seconds = number.parse::<f64>().map_err(|_| UnitError::Duration)? * factor;
    Duration::try_from_secs_f64(seconds).map_err(|_| UnitError::Duration)
}

/// Reads a share: `50%` or `50`.
///
/// # Errors
///
/// When it is not between 0 and 100.
pub fn percent(text: &str) -> Result<f64, UnitError> {
    let number = text.strip_suffix('%').unwrap_or(text);
    number
        .parse::<f64>()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or(UnitError::Percent)
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_take_their_units_and_nothing_else() {
        for (text, bytes) in [
            ("0", 0),
            ("100", 100),
            ("8k", 8000),
            ("1.5KiB", 1536),
            ("100MB", 100_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "1.5B",
            "1e3",
            "10 MB",
            "99999999999GB",
            "inf",
            "1mb",
        ] {
            assert_eq!(size(text), Err(UnitError::Size), "{text}");
        }
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("10 s"), Err(UnitError::Duration));
        assert_eq!(percent("50%"), Ok(50.0));
        assert_eq!(percent("101"), Err(UnitError::Percent));
        assert_eq!(percent("nan"), Err(UnitError::Percent));
    }
}
