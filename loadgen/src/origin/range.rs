//! The single byte range of a request (RFC 9110 §14.2).

/// What a `Range` field asks for, measured against an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The whole object: no range, several ranges, or a field that does not parse.
    Whole,
    /// The bytes `[start, end)`, at least one.
    Part {
        /// Offset of the first byte.
        start: u64,
        /// Offset behind the last byte.
        end: u64,
    },
    /// No byte of the object is in the range: 416.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for an object of `len` bytes.
///
/// RFC 9110 lets a server ignore ranges it does not take; several ranges are ignored here.
pub fn parse(field: &str, len: u64) -> Range {
    let Some(spec) = field.trim().strip_prefix("bytes=") else {
        return Range::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Range::Whole;
    };
    match (number(first), number(last)) {
        (Some(start), Some(last)) if start > last => Range::Whole,
        (Some(start), _) if start >= len => match last.is_empty() || number(last).is_some() {
            true => Range::Unsatisfiable,
            false => Range::Whole,
        },
        (Some(start), Some(last)) => Range::Part {
            start,
            end: last.saturating_add(1).min(len),
        },
        (Some(start), None) if last.is_empty() => Range::Part { start, end: len },
        (None, Some(0)) if first.is_empty() => Range::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && len == 0 => Range::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => Range::Part {
            start: len.saturating_sub(suffix),
            end: len,
        },
        _ => Range::Whole,
    }
}

fn number(digits: &str) -> Option<u64> {
    // `parse` alone would take a plus sign.
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rfc() {
        let part = |start, end| Range::Part { start, end };
        for (field, len, expected) in [
            ("bytes=0-0", 10, part(0, 1)),
            ("bytes=2-", 10, part(2, 10)),
            ("bytes=2-99", 10, part(2, 10)),
            ("bytes=-3", 10, part(7, 10)),
            ("bytes=-30", 10, part(0, 10)),
            ("bytes=0-18446744073709551615", 10, part(0, 10)),
            ("bytes=0-99999999999999999999999", 10, part(0, 10)),
            ("bytes=10-", 10, Range::Unsatisfiable),
            ("bytes=10-12", 10, Range::Unsatisfiable),
            ("bytes=-0", 10, Range::Unsatisfiable),
            ("bytes=-1", 0, Range::Unsatisfiable),
            ("bytes=0-", 0, Range::Unsatisfiable),
            ("bytes=5-2", 10, Range::Whole),
            ("bytes=0-1,3-4", 10, Range::Whole),
            ("bytes=-", 10, Range::Whole),
            ("bytes=+1-2", 10, Range::Whole),
            ("bytes=99-x", 10, Range::Whole),
            ("lines=1-2", 10, Range::Whole),
        ] {
            assert_eq!(parse(field, len), expected, "{field} of {len}");
        }
    }
}
