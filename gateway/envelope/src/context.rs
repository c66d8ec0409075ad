//! The context: pairs of text that a message carries in the clear and authenticates.

use std::fmt;
use std::str;

use thiserror::Error;

/// A message's context: pairs sorted by the bytes of their keys, each key once (`ENVELOPE.md`, "Context").
///
/// It is held as it is serialised, in one allocation: this form goes into the header and, as associated data, into each wrap.
/// Everybody who holds the message can read it. `Debug` shows its size only, because a path may still be somebody's business.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Valid by construction: empty, or count and pairs, sorted, UTF-8, nothing after the last pair.
    serialized: Vec<u8>,
}

/// A context that cannot be: where in its serialised form, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("context refused at its byte {offset}: {fault}")]
pub struct ContextError {
    /// Offset in the serialised context.
    pub offset: usize,
    /// What is wrong there.
    pub fault: ContextFault,
}

/// What is wrong with a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ContextFault {
    /// A count or a pair reaches beyond the context's length.
    #[error("a pair reaches beyond the context's length")]
    CutShort,
    /// The count is zero: an empty context has no count.
    #[error("a count of zero: an empty context has length 0")]
    CountOfZero,
    /// A key or a value is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A key that does not sort after the one before it.
    #[error("keys are not sorted")]
    Unsorted,
    /// A key that stands there twice.
    #[error("a key stands there twice")]
    DuplicateKey,
    /// Bytes stand after the last pair.
    #[error("bytes after the last pair")]
    BytesAfterPairs,
    /// Longer than the header can say: 65,535 bytes for the whole context and for each key and value.
    #[error("longer than 65535 bytes")]
    TooLong,
}

impl Context {
    /// The context without pairs.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The context with these pairs, in any order.
    ///
    /// # Errors
    /// [`ContextFault::DuplicateKey`] or [`ContextFault::TooLong`]: the caller's fault.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ContextError> {
        let mut pairs: Vec<(K, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().as_bytes().cmp(b.0.as_ref().as_bytes()));
        if pairs.is_empty() {
            return Ok(Self::empty());
        }
        let mut serialized = Vec::with_capacity(pairs.iter().fold(2, |len, (key, value)| {
            len + 4 + key.as_ref().len() + value.as_ref().len()
        }));
        serialized.extend_from_slice(&len_u16(pairs.len(), 0)?.to_be_bytes());
        let mut previous: Option<&str> = None;
        for (key, value) in &pairs {
            let offset = serialized.len();
            if previous == Some(key.as_ref()) {
                return Err(ContextError {
                    offset,
                    fault: ContextFault::DuplicateKey,
                });
            }
            for text in [key.as_ref(), value.as_ref()] {
                serialized.extend_from_slice(&len_u16(text.len(), offset)?.to_be_bytes());
                serialized.extend_from_slice(text.as_bytes());
            }
            len_u16(serialized.len(), offset)?;
            previous = Some(key.as_ref());
        }
        Ok(Self { serialized })
    }

    /// Reads a serialised context, all of `bytes`, as it stands in a header.
    ///
    /// # Errors
    /// Any [`ContextFault`]: the fault of whoever wrote the bytes. Cost: one pass, one allocation.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContextError> {
        let refuse = |offset, fault| Err(ContextError { offset, fault });
        if bytes.is_empty() {
            return Ok(Self::empty());
        }
        len_u16(bytes.len(), 0)?;
        let mut reader = PairReader { bytes, at: 0 };
        let Some(count) = reader.u16() else {
            return refuse(0, ContextFault::CutShort);
        };
        if count == 0 {
            return refuse(0, ContextFault::CountOfZero);
        }
        let mut previous: Option<&[u8]> = None;
        for _ in 0..count {
            let offset = reader.at;
            let Some((key, value)) = reader.pair() else {
                return refuse(offset, ContextFault::CutShort);
            };
            if str::from_utf8(key).is_err() || str::from_utf8(value).is_err() {
                return refuse(offset, ContextFault::NotUtf8);
            }
            match previous.map(|previous| previous.cmp(key)) {
                None | Some(std::cmp::Ordering::Less) => previous = Some(key),
                Some(std::cmp::Ordering::Equal) => {
                    return refuse(offset, ContextFault::DuplicateKey);
                }
                Some(std::cmp::Ordering::Greater) => return refuse(offset, ContextFault::Unsorted),
            }
        }
        if reader.at != bytes.len() {
            return refuse(reader.at, ContextFault::BytesAfterPairs);
        }
        Ok(Self {
            serialized: bytes.to_vec(),
        })
    }

    /// The serialised form: empty for an empty context, otherwise count and sorted pairs.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.serialized
    }

    /// The pairs, sorted by the bytes of their keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut reader = PairReader {
            bytes: &self.serialized,
            at: 2,
        };
        std::iter::from_fn(move || {
            let (key, value) = reader.pair()?;
            Some((str::from_utf8(key).ok()?, str::from_utf8(value).ok()?))
        })
    }

    /// The value of `key`, if it is there.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.pairs()
            .find(|(found, _)| *found == key)
            .map(|(_, value)| value)
    }

    /// The pairs of both, sorted together: what a wrap authenticates for a message with stored and required context.
    ///
    /// # Errors
    /// [`ContextFault::DuplicateKey`] when a key is in both, whatever its values; [`ContextFault::TooLong`].
    pub fn joined_with(&self, other: &Self) -> Result<Self, ContextError> {
        Self::from_pairs(self.pairs().chain(other.pairs()))
    }

    /// The pairs whose keys are not in `stored`. Of all pairs that a reader expects, these are the ones that the writer must have required.
    #[must_use]
    pub fn not_in(&self, stored: &Self) -> Self {
        let pairs = self.pairs().filter(|(key, _)| stored.value(key).is_none());
        Self::from_pairs(pairs).expect("part of a context is a context")
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.serialized.is_empty()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("pairs", &self.pairs().count())
            .field("len_bytes", &self.serialized.len())
            .finish()
    }
}

/// Reads pairs one after the other; `None` where the bytes end too early.
struct PairReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> PairReader<'a> {
    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        Some((self.text()?, self.text()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        let text = self.bytes.get(self.at..self.at + usize::from(len))?;
        self.at += text.len();
        Some(text)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.bytes.get(self.at..self.at + 2)?;
        self.at += 2;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }
}

fn len_u16(len: usize, offset: usize) -> Result<u16, ContextError> {
    u16::try_from(len).map_err(|_| ContextError {
        offset,
        fault: ContextFault::TooLong,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(bytes: &[u8]) -> (usize, ContextFault) {
        let error = Context::parse(bytes).expect_err("refused");
        (error.offset, error.fault)
    }

    #[test]
    fn sorts_by_key_bytes_and_reads_back() {
        let context =
            Context::from_pairs([("z", "ü"), ("tenant", "acme"), ("é", ""), ("a", "1")]).unwrap();
        let keys: Vec<_> = context.pairs().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "tenant", "z", "é"]);
        assert_eq!(Context::parse(context.as_bytes()).unwrap(), context);
        assert_eq!(context.value("tenant"), Some("acme"));
        assert_eq!(context.value("absent"), None);
    }

    #[test]
    fn an_empty_context_has_no_count() {
        assert_eq!(
            Context::from_pairs::<&str, &str>([]).unwrap().as_bytes(),
            b""
        );
        assert_eq!(Context::parse(b"").unwrap().pairs().count(), 0);
        assert_eq!(fault(&[0, 0]), (0, ContextFault::CountOfZero));
    }

    #[test]
    fn joins_and_parts() {
        let stored = Context::from_pairs([("b", "2"), ("d", "4")]).unwrap();
        let required = Context::from_pairs([("a", "1"), ("c", "3")]).unwrap();
        let both = stored.joined_with(&required).unwrap();
        let pairs: Vec<_> = both.pairs().collect();
        assert_eq!(pairs, [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        assert_eq!(both.not_in(&stored), required);
        assert_eq!(both.not_in(&both), Context::empty());
        assert_eq!(stored.joined_with(&Context::empty()).unwrap(), stored);
        let again = Context::from_pairs([("d", "5")]).unwrap();
        assert_eq!(
            stored.joined_with(&again).unwrap_err().fault,
            ContextFault::DuplicateKey
        );
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        assert_eq!(fault(&[1]), (0, ContextFault::CutShort));
        assert_eq!(
            fault(&[0, 1, 0, 1, b'a', 0, 2, b'b']),
            (2, ContextFault::CutShort)
        );
        assert_eq!(
            fault(&[0, 1, 0, 1, b'a', 0, 1, b'b', 0]),
            (8, ContextFault::BytesAfterPairs)
        );
        assert_eq!(
            fault(&[0, 1, 0, 1, 0xFF, 0, 1, b'b']),
            (2, ContextFault::NotUtf8)
        );
        assert_eq!(
            fault(&[0, 2, 0, 1, b'b', 0, 0, 0, 1, b'a', 0, 0]),
            (7, ContextFault::Unsorted)
        );
        assert_eq!(
            fault(&[0, 2, 0, 1, b'a', 0, 0, 0, 1, b'a', 0, 0]),
            (7, ContextFault::DuplicateKey)
        );
        assert_eq!(
            Context::from_pairs([("a", "1"), ("a", "2")])
                .unwrap_err()
                .fault,
            ContextFault::DuplicateKey
        );
        let long = "x".repeat(40_000);
        assert_eq!(
            Context::from_pairs([("a", &long), ("b", &long)])
                .unwrap_err()
                .fault,
            ContextFault::TooLong
        );
        assert_eq!(
            Context::from_pairs([("a", "x".repeat(65_536))])
                .unwrap_err()
                .fault,
            ContextFault::TooLong
        );
    }
}
