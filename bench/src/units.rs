//! Numbers with units on the command line, and numbers for people.

/// Reads a share from `0.1%` to `100%`, as percent.
pub fn percent(text: &str) -> Result<f64, &'static str> {
    let number = text
        .strip_suffix('%')
        .and_then(|number| number.parse().ok());
    let number = number.filter(|percent| (0.1..=100.0).contains(percent));
    number.ok_or("not a share: write 0.1% to 100%")
}

/// A time as loadgen reads it: a whole number with its unit, from 1ms to 10m.
pub fn time(text: &str) -> Result<String, &'static str> {
    let wrong = "not a time: write 1ms to 10m, such as 500ms, 3s or 1m";
    let letters = text.find(|one: char| !one.is_ascii_digit());
    let (number, unit) = text.split_at(letters.unwrap_or(text.len()));
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(wrong),
    };
    let number = number.parse::<u64>().ok();
    let whole = number.and_then(|number| number.checked_mul(millis));
    match whole {
        Some(1..=600_000) => Ok(text.to_owned()),
        _ => Err(wrong),
    }
}

/// Three digits that say something.
pub fn significant(value: f64) -> String {
    let magnitude = value.abs().log10().floor();
    let digits = match magnitude.is_finite() {
        true => (2.0 - magnitude).clamp(0.0, 6.0) as usize,
        false => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!(percent("5%"), Ok(5.0));
        for wrong in ["5", "%", "0%", "101%", "-1%", "NaN%"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        for right in ["1ms", "3s", "10m"] {
            assert_eq!(time(right), Ok(right.to_owned()));
        }
        for wrong in [
            "",
            "3",
            "s",
            "0s",
            "11m",
            "-1s",
            "1.5s",
            "3h",
            "99999999999999999999s",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn three_digits_are_told() {
        for (value, said) in [
            (12_345.6, "12346"),
            (123.4, "123"),
            (1.2345, "1.23"),
            (0.012345, "0.0123"),
            (0.0, "0"),
        ] {
            assert_eq!(significant(value), said);
        }
    }
}
