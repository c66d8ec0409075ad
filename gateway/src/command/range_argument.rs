//! `--range`: which bytes of a plaintext are wanted, written as in HTTP.

use std::ops::Range;
use std::str::FromStr;

use thiserror::Error;

/// A range of bytes, both ends inclusive (RFC 9110 §14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeArgument {
    /// `A-B`.
    FromTo {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// `A-`: from there to the end.
    From {
        /// The first byte.
        first: u64,
    },
    /// `-N`: the last bytes; all of a plaintext that has fewer.
    Last {
        /// How many.
        len_bytes: u64,
    },
}

/// A range that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected FIRST-LAST, both inclusive and from 0, FIRST- or -COUNT")]
pub struct NotARange;

impl RangeArgument {
    /// Whether it takes the plaintext's length to know which bytes these are.
    pub(super) fn needs_end(self) -> bool {
        !matches!(self, Self::FromTo { .. })
    }

    /// The bytes of a plaintext of `plaintext_len`, which only counts where [`RangeArgument::needs_end`].
    pub(super) fn of(self, plaintext_len: u64) -> Range<u64> {
        match self {
            Self::FromTo { first, last } => first..last.saturating_add(1),
            Self::From { first } => first..plaintext_len.max(first),
            Self::Last { len_bytes } => plaintext_len.saturating_sub(len_bytes)..plaintext_len,
        }
    }
}

impl FromStr for RangeArgument {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        // `u64::from_str` takes a plus sign.
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse().map_err(|_| NotARange),
            false => Err(NotARange),
        };
        match text.split_once('-').ok_or(NotARange)? {
            ("", len_bytes) => Ok(Self::Last {
                len_bytes: number(len_bytes)?,
            }),
            (first, "") => Ok(Self::From {
                first: number(first)?,
            }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(NotARange);
                }
                Ok(Self::FromTo { first, last })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        for (text, expected) in [
            ("0-0", 0..1),
            ("5-9", 5..10),
            ("90-", 90..100),
            ("-10", 90..100),
            ("-200", 0..100),
            ("-0", 100..100),
        ] {
            assert_eq!(
                text.parse::<RangeArgument>().unwrap().of(100),
                expected,
                "{text}"
            );
        }
        let whole = "0-18446744073709551615".parse::<RangeArgument>();
        assert_eq!(whole.unwrap().of(0), 0..u64::MAX);
        for text in [
            "",
            "-",
            "5",
            "9-5",
            "a-b",
            "+1-2",
            "1-2-3",
            "1 - 2",
            "99999999999999999999-",
        ] {
            assert!(text.parse::<RangeArgument>().is_err(), "{text}");
        }
    }
}
