//! What an answer has to be for its operation to count.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{first::FirstAnswers, response::Head};
use crate::{
    envelope::{keys::Keys, opening::Opening},
    operation::failure::{Cause, Failure, Phase},
    pattern::Pattern,
};

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Complete.
    Complete,
    /// Complete, with a status below 400.
    Status,
    /// The same, and this long.
    Length(u64),
    /// The same as `Status`, and as long as the first answer of the same tenant.
    SameLength,
    /// The same as `Status`, and its body has the digest that the target names, or else that of
    /// the first answer of the same tenant.
    Hash,
    /// The same as `Status`, and its body is the request's.
    Echo,
    /// The same as `Status`, and its body, if it has one, is a sealed message that opens.
    Open,
}

/// What an answer is held to, beside the check.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Bytes that come back, where an answer is compared with what was sent.
    pub len: u64,
    /// Statuses that count; empty for those below 400.
    pub statuses: &'a [u16],
    /// What the first answers were.
    pub first: &'a FirstAnswers,
    /// Whose answer it is.
    pub tenant: usize,
}

/// Checks the body of one answer while it comes.
pub struct BodyCheck {
    check: Check,
    received: u64,
    hash: Option<Context>,
    /// Where the body first differs from the request's.
    differs: Option<u64>,
    pattern: Pattern,
    opening: Option<Opening>,
}

impl BodyCheck {
    /// Awaits a body.
    pub fn new(check: Check, keys: Option<&Arc<Keys>>) -> Self {
        Self {
            check,
            received: 0,
            hash: (check == Check::Hash).then(|| Context::new(&SHA256)),
            differs: None,
            pattern: Pattern::new(),
            opening: keys
                .filter(|_| check == Check::Open)
                .map(|keys| Opening::new(Arc::clone(keys))),
        }
    }

    /// Takes the next bytes of the body.
    pub fn take(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        if self.check == Check::Echo && self.differs.is_none() {
            let at = self.pattern.first_difference(self.received, bytes);
            self.differs = at.map(|at| self.received + at as u64);
        }
        if let Some(opening) = &mut self.opening {
            opening.take(bytes);
        }
        self.received += bytes.len() as u64;
    }

    /// The verdict on an answer; gives the bytes of its body.
    ///
    /// # Errors
    ///
    /// When the answer does not count.
    pub fn finish(self, head: Head, wanted: Expected<'_>) -> Result<u64, Failure> {
        let Expected {
            len,
            statuses,
            first,
            tenant,
        } = wanted;
        let found = self.received;
        let failed = |cause| Err(Failure::new(Phase::Check, cause));
        if !statuses.is_empty() && !statuses.contains(&head.status) {
            return failed(Cause::Status(head.status));
        }
        if self.check == Check::Complete {
            return Ok(found);
        }
        if head.status >= 400 {
            // An error that was asked for has a body of its own.
            return match statuses.is_empty() {
                true => failed(Cause::Status(head.status)),
                false => Ok(found),
            };
        }
        let expected = match self.check {
            Check::Length(expected) => expected,
            Check::SameLength => first.length(tenant, found),
            Check::Echo => len,
            Check::Complete | Check::Status | Check::Hash | Check::Open => found,
        };
        if let Some(offset) = self.differs.filter(|offset| *offset < expected) {
            return failed(Cause::Mismatch { offset });
        }
        if expected != found {
            return failed(Cause::WrongLength { expected, found });
        }
        // An answer without body, as to a PUT, has nothing to open; one that should have one has 200.
        if let Some(opening) = self.opening
            && (found > 0 || head.status == 200)
            && let Err(unopened) = opening.finish()
        {
            return failed(Cause::Unopened(unopened));
        }
        if let Some(hash) = self.hash {
            let is: [u8; 32] = hash
                .finish()
                .as_ref()
                .try_into()
                .expect("SHA-256 has 32 bytes");
            // An answer without body, as to a PUT, has nothing to compare.
            if found > 0 && is != head.digest.unwrap_or_else(|| first.digest(tenant, is)) {
                return failed(Cause::WrongDigest);
            }
        }
        Ok(found)
    }
}

/// The value of `Content-Digest` for a body of `len` bytes of the pattern (RFC 9530).
pub fn content_digest(len: u64) -> String {
    let pattern = Pattern::new();
    let mut hash = Context::new(&SHA256);
    let mut left = len;
    while left > 0 {
        let chunk = pattern.chunk(left);
        hash.update(chunk);
        left -= chunk.len() as u64;
    }
    write_digest(hash.finish().as_ref())
}

/// A digest as RFC 9530 writes it.
pub fn write_digest(sha256: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256))
}

/// The SHA-256 in a `Content-Digest` or `Repr-Digest`; none when there is none.
pub fn parse_digest(value: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(value).ok()?;
    let mut members = text.split(',').map(str::trim);
    let encoded = members.find_map(|member| member.strip_prefix("sha-256=:")?.strip_suffix(':'))?;
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

/// The digest of bytes at hand.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(check: Check, head: Head, sent: u64, body: &[u8]) -> Result<u64, String> {
        judge_with(check, head, sent, body, &FirstAnswers::default())
    }

    fn expected(len: u64, first: &FirstAnswers) -> Expected<'_> {
        Expected {
            len,
            statuses: &[],
            first,
            tenant: 0,
        }
    }

    fn judge_with(
        check: Check,
        head: Head,
        sent: u64,
        body: &[u8],
        first: &FirstAnswers,
    ) -> Result<u64, String> {
        let mut checked = BodyCheck::new(check, None);
        for piece in body.chunks(7) {
            checked.take(piece);
        }
        let judged = checked.finish(head, expected(sent, first));
        judged.map_err(|failure| failure.class().to_string())
    }

    fn head(status: u16) -> Head {
        Head {
            status,
            ..Head::default()
        }
    }

    #[test]
    fn each_check_sees_what_it_looks_at() {
        let body = Pattern::new().chunk(100);
        let mut damaged = body.to_vec();
        damaged[70] ^= 1;
        let mismatch = Err("mismatch".to_owned());
        assert_eq!(judge(Check::Complete, head(500), 0, b"x"), Ok(1));
        assert_eq!(
            judge(Check::Status, head(500), 0, b"x"),
            Err("status".to_owned())
        );
        assert_eq!(
            judge(Check::Length(2), head(200), 0, b"x"),
            Err("wrong_length".to_owned())
        );
        assert_eq!(judge(Check::Echo, head(200), 100, body), Ok(100));
        assert_eq!(judge(Check::Echo, head(200), 100, &damaged), mismatch);
        assert_eq!(
            judge(Check::Echo, head(200), 101, body),
            Err("wrong_length".to_owned())
        );
        let wanted = |status| {
            let first = FirstAnswers::default();
            let wanted = Expected {
                statuses: &[403, 404],
                ..expected(0, &first)
            };
            let judged = BodyCheck::new(Check::Status, None).finish(head(status), wanted);
            judged.map_err(|failure| failure.class().to_string())
        };
        assert_eq!(
            (wanted(403), wanted(200)),
            (Ok(0), Err("status".to_owned()))
        );
        let named = Head {
            digest: Some(sha256(body)),
            ..head(200)
        };
        assert_eq!(judge(Check::Hash, named, 0, body), Ok(100));
        assert_eq!(judge(Check::Hash, named, 0, &damaged), mismatch);
        let first = FirstAnswers::default();
        assert_eq!(judge_with(Check::Hash, head(200), 0, body, &first), Ok(100));
        assert_eq!(
            judge_with(Check::Hash, head(200), 0, &damaged, &first),
            mismatch
        );
        let same = |body| judge_with(Check::SameLength, head(200), 0, body, &first);
        assert_eq!((same(body), same(&damaged)), (Ok(100), Ok(100)));
        assert_eq!(same(&body[1..]), Err("wrong_length".to_owned()));
    }

    #[test]
    fn digests_are_written_as_they_are_read() {
        // RFC 9530 §B.1 has this digest of `{"hello": "world"}` and a line feed.
        let example = b"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let digest = sha256(b"{\"hello\": \"world\"}\n");
        assert_eq!(parse_digest(example), Some(digest));
        assert_eq!(write_digest(&digest).as_bytes(), example);
        assert_eq!(parse_digest(b"sha-512=:AA==:, sha-256=:AA==:"), None);
        assert_eq!(parse_digest(b"md5=:AA==:"), None);
        let long = Pattern::new().chunk(100);
        assert_eq!(content_digest(100), write_digest(&sha256(long)));
    }
}
