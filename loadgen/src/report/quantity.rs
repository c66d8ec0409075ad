//! Quantities for people: three significant digits, and the unit that fits.

/// A time in nanoseconds: `812 ns`, `45.2 µs`, `1.23 ms`, `4.06 s`.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns < 999.5 => format!("{} ns", digits(ns)),
        ns if ns < 999.5e3 => format!("{} µs", digits(ns / 1e3)),
        ns if ns < 999.5e6 => format!("{} ms", digits(ns / 1e6)),
        ns => format!("{} s", digits(ns / 1e9)),
    }
}

/// A time in seconds, as a stretch of a run: `0.5 s`, `90 s`.
pub fn stretch(s: f64) -> String {
    time(s * 1e9)
}

/// A count, in groups of three digits: `1 234 567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // Narrow and unbreakable.
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Operations per second, or another number that may be small or large: `4.97k`, `1.2M`.
pub fn number(n: f64) -> String {
    match n.abs() {
        size if size < 9_999.5 => digits(n),
        size if size < 999.5e3 => format!("{}k", digits(n / 1e3)),
        size if size < 999.5e6 => format!("{}M", digits(n / 1e6)),
        _ => format!("{}G", digits(n / 1e9)),
    }
}

/// Bytes: `812 B`, `1.5 MB`; powers of 1000.
pub fn bytes(n: f64) -> String {
    match n {
        n if n < 999.5 => format!("{} B", digits(n)),
        n if n < 999.5e3 => format!("{} kB", digits(n / 1e3)),
        n if n < 999.5e6 => format!("{} MB", digits(n / 1e6)),
        n => format!("{} GB", digits(n / 1e9)),
    }
}

/// A share: `97.3 %`.
pub fn share(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

/// Three significant digits without exponent, and no zeros behind the point.
fn digits(n: f64) -> String {
    let decimals = match n.abs() {
        n if n >= 99.95 || n == 0.0 => 0,
        n if n >= 9.995 => 1,
        n if n >= 0.9995 => 2,
        n if n >= 0.0995 => 3,
        _ => 4,
    };
    let text = format!("{n:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_and_three_digits_are_kept() {
        for (ns, text) in [
            (0.0, "0 ns"),
            (812.0, "812 ns"),
            (999.6, "1 µs"),
            (45_230.0, "45.2 µs"),
            (1_234_000.0, "1.23 ms"),
            (100_400_000.0, "100 ms"),
            (4.06e9, "4.06 s"),
            (3_600e9, "3600 s"),
        ] {
            assert_eq!(time(ns), text);
        }
        assert_eq!(number(4_972.4), "4972");
        assert_eq!(number(49_724.0), "49.7k");
        assert_eq!(number(1_200_000.0), "1.2M");
        assert_eq!(number(0.0123), "0.0123");
        assert_eq!(bytes(1_500_000.0), "1.5 MB");
        assert_eq!(share(0.9731), "97.3 %");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((count(12), count(123)), ("12".into(), "123".into()));
    }
}
