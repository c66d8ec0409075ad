//! Reading an answer: head, framing, body. Sans-I/O.

use thiserror::Error;

/// The longest head, and the longest line of a chunked body.
const MAX_HEAD: usize = 64 * 1024;

/// Most header fields of an answer.
const MAX_FIELDS: usize = 100;

/// An answer that is no HTTP/1.1. The target's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The head cannot be parsed.
    #[error("the answer is no HTTP/1.1: {0}")]
    Head(httparse::Error),
    /// The head, or a line of a chunked body, is too long.
    #[error("the answer has a head or a chunk line of more than {MAX_HEAD} bytes")]
    TooLong,
    /// `Content-Length` is no number, or there are several.
    #[error("the answer has no Content-Length that can be read")]
    ContentLength,
    /// A chunk has no size, or no end.
    #[error("the answer has a chunk that cannot be read")]
    Chunk,
    /// Bytes follow where no answer is due.
    #[error("the target sent bytes behind its answer")]
    Trailing,
    /// The target changed to another protocol.
    #[error("the target changed the protocol (101)")]
    Upgraded,
}

/// What the head of an answer said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
    /// SHA-256 of the body, where the target gave one (RFC 9530).
    pub digest: Option<[u8; 32]>,
}

/// Where reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    Head,
    Body { left: u64 },
    BodyUntilEnd,
    ChunkSize,
    Chunk { left: u64 },
    ChunkEnd,
    Trailer,
    Nothing,
}

/// What came of some input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More has to come.
    More,
    /// The answer is complete.
    Complete,
}

/// Reads one answer after the other.
#[derive(Debug)]
pub struct ResponseReader {
    awaiting: Awaiting,
    head: Head,
    /// What came of a head or line that is not complete.
    partial: Vec<u8>,
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self {
            awaiting: Awaiting::Nothing,
            head: Head::default(),
            partial: Vec::new(),
        }
    }
}

/// What the request was, as far as it decides how its answer ends (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// HEAD: the answer has no body, whatever it says.
    HeadOnly,
    /// Anything else.
    Whole,
}

impl ResponseReader {
    /// Awaits an answer.
    pub fn expect(&mut self) {
        self.awaiting = Awaiting::Head;
        self.head = Head::default();
        self.partial.clear();
    }

    /// The head of the answer, as far as it has come.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Bytes of the body that will still come, as far as that is known.
    pub fn remaining(&self) -> u64 {
        match self.awaiting {
            Awaiting::Body { left } => left,
            _ => 0,
        }
    }

    /// Whether any byte of the answer has come.
    pub fn has_begun(&self) -> bool {
        self.awaiting != Awaiting::Head || !self.partial.is_empty()
    }

    /// Reads `input`, giving the body's bytes to `body` in their order.
    ///
    /// # Errors
    ///
    /// When the answer is no HTTP/1.1. The connection is of no more use.
    pub fn read(
        &mut self,
        mut input: &[u8],
        asked: Asked,
        body: &mut impl FnMut(&[u8]),
    ) -> Result<Progress, HttpError> {
        while !input.is_empty() {
            let taken = match self.awaiting {
                Awaiting::Nothing => return Err(HttpError::Trailing),
                Awaiting::Head => self.read_head(input, asked)?,
                Awaiting::BodyUntilEnd => {
                    body(input);
                    input.len()
                }
                Awaiting::Body { left } | Awaiting::Chunk { left } => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    body(&input[..n]);
                    self.took_of_body(left - n as u64);
                    n
                }
                Awaiting::ChunkSize | Awaiting::ChunkEnd | Awaiting::Trailer => {
                    self.read_line(input)?
                }
            };
            input = &input[taken..];
        }
        Ok(match self.awaiting {
            Awaiting::Nothing => Progress::Complete,
            _ => Progress::More,
        })
    }

    /// The stream has ended: whether the answer was complete by that.
    pub fn ended(&mut self) -> bool {
        self.head.keep_alive = false;
        self.awaiting == Awaiting::BodyUntilEnd
    }

    fn took_of_body(&mut self, left: u64) {
        self.awaiting = match (self.awaiting, left) {
            (Awaiting::Body { .. }, 0) => Awaiting::Nothing,
            (Awaiting::Body { .. }, left) => Awaiting::Body { left },
            (_, 0) => Awaiting::ChunkEnd,
            (_, left) => Awaiting::Chunk { left },
        };
    }

    /// Takes what belongs to the head: all of it at once, as a rule.
    fn read_head(&mut self, input: &[u8], asked: Asked) -> Result<usize, HttpError> {
        if self.partial.is_empty() {
            if let Some(len) = self.parse_head(input, asked)? {
                return Ok(len);
            }
            if input.len() > MAX_HEAD {
                return Err(HttpError::TooLong);
            }
            self.partial.extend_from_slice(input);
            return Ok(input.len());
        }
        let before = self.partial.len();
        let take = input.len().min(MAX_HEAD.saturating_sub(before));
        if take == 0 {
            return Err(HttpError::TooLong);
        }
        let mut head = std::mem::take(&mut self.partial);
        head.extend_from_slice(&input[..take]);
        let parsed = self.parse_head(&head, asked)?;
        self.partial = head;
        match parsed {
            Some(len) => {
                self.partial.clear();
                Ok(len - before)
            }
            None => Ok(take),
        }
    }

    /// Parses a head if all of it is in `input`; gives its length.
    fn parse_head(&mut self, input: &[u8], asked: Asked) -> Result<Option<usize>, HttpError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let len = match response.parse(input).map_err(HttpError::Head)? {
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(len) => len,
        };
        let status = response.code.unwrap_or(0);
        if status == 101 {
            return Err(HttpError::Upgraded);
        }
        if (100..200).contains(&status) {
            // An interim answer: the final one follows.
            return Ok(Some(len));
        }
        let mut length = None;
        let mut chunked = false;
        self.head = Head {
            status,
            keep_alive: response.version == Some(1),
            digest: None,
        };
        for field in response.headers.iter() {
            let (name, value) = (field.name, field.value);
            if name.eq_ignore_ascii_case("content-length") {
                let number = content_length(value).ok_or(HttpError::ContentLength)?;
                if length.is_some_and(|before| before != number) {
                    return Err(HttpError::ContentLength);
                }
                length = Some(number);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = has_token(value, "chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                self.head.keep_alive = match self.head.keep_alive {
                    true => !has_token(value, "close"),
                    false => has_token(value, "keep-alive"),
                };
            } else if name.eq_ignore_ascii_case("content-digest")
                || name.eq_ignore_ascii_case("repr-digest") && status == 200
            {
                self.head.digest = super::check::parse_digest(value);
            }
        }
        let bodiless = asked == Asked::HeadOnly || status == 204 || status == 304;
        self.awaiting = match (bodiless, chunked, length) {
            (true, ..) | (false, false, Some(0)) => Awaiting::Nothing,
            (false, true, _) => Awaiting::ChunkSize,
            (false, false, Some(left)) => Awaiting::Body { left },
            (false, false, None) => Awaiting::BodyUntilEnd,
        };
        Ok(Some(len))
    }

    /// Takes what belongs to a line of a chunked body.
    fn read_line(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(input.len(), |end| end + 1);
        if self.partial.len() + taken > MAX_HEAD {
            return Err(HttpError::TooLong);
        }
        self.partial.extend_from_slice(&input[..taken]);
        if end.is_some() {
            self.awaiting = self.line_ended()?;
            self.partial.clear();
        }
        Ok(taken)
    }

    fn line_ended(&self) -> Result<Awaiting, HttpError> {
        let empty = matches!(&self.partial[..], b"\r\n" | b"\n");
        match self.awaiting {
            Awaiting::ChunkSize => match httparse::parse_chunk_size(&self.partial) {
                Ok(httparse::Status::Complete((_, 0))) => Ok(Awaiting::Trailer),
                Ok(httparse::Status::Complete((_, left))) => Ok(Awaiting::Chunk { left }),
                Ok(httparse::Status::Partial) | Err(_) => Err(HttpError::Chunk),
            },
            Awaiting::ChunkEnd if empty => Ok(Awaiting::ChunkSize),
            Awaiting::ChunkEnd => Err(HttpError::Chunk),
            _ if empty => Ok(Awaiting::Nothing),
            // A trailer field: read, and not used.
            _ => Ok(Awaiting::Trailer),
        }
    }
}

fn content_length(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?.trim();
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    }
}

fn has_token(value: &[u8], token: &str) -> bool {
    let mut tokens = value.split(|byte| *byte == b',');
    tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `input` in pieces of `size`; gives the head, the body, and whether it was complete.
    fn read(input: &[u8], size: usize, asked: Asked) -> Result<(Head, Vec<u8>, bool), HttpError> {
        let mut reader = ResponseReader::default();
        reader.expect();
        let (mut body, mut complete) = (Vec::new(), false);
        for piece in input.chunks(size) {
            let progress = reader.read(piece, asked, &mut |bytes| body.extend_from_slice(bytes))?;
            complete = progress == Progress::Complete;
        }
        Ok((reader.head(), body, complete))
    }

    #[test]
    fn answers_are_read_alike_however_they_are_cut() {
        /// Input, what was asked, and the status, reuse and body that are in it.
        type Case = (&'static [u8], Asked, u16, bool, &'static [u8]);
        let cases: [Case; 8] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Asked::Whole, 200, true, b"hello"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", Asked::Whole, 204, true, b""),
            (b"HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", Asked::Whole, 304, true, b""),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Asked::HeadOnly, 200, true, b""),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n",
                Asked::Whole, 200, true, b"hello!",
            ),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 x\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
                Asked::Whole, 500, false, b"",
            ),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", Asked::Whole, 200, false, b"x"),
            (
                b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
                Asked::Whole, 200, true, b"x",
            ),
        ];
        for (input, asked, status, keep_alive, body) in cases {
            for size in 1..=input.len() {
                let (head, found, complete) = read(input, size, asked).unwrap();
                let text = String::from_utf8_lossy(input);
                assert_eq!(
                    (head.status, head.keep_alive),
                    (status, keep_alive),
                    "{text} by {size}"
                );
                assert_eq!((&found[..], complete), (body, true), "{text} by {size}");
            }
        }
    }

    #[test]
    fn an_answer_without_length_ends_with_the_stream_and_others_do_not() {
        let mut reader = ResponseReader::default();
        let mut read = |input: &[u8]| {
            reader.expect();
            assert_eq!(
                reader.read(input, Asked::Whole, &mut |_| {}),
                Ok(Progress::More)
            );
            reader.ended()
        };
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\nhello"));
        assert!(!read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"));
        assert!(!read(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        ));
        assert!(!read(b"HTTP/1.1 2"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 2 * MAX_HEAD]].concat();
        let cases: [(&[u8], HttpError); 8] = [
            (
                b"SSH-2.0-x\r\n\r\n",
                HttpError::Head(httparse::Error::Version),
            ),
            (&long, HttpError::TooLong),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                HttpError::ContentLength,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
                HttpError::ContentLength,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                HttpError::ContentLength,
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                HttpError::Chunk,
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
                HttpError::Trailing,
            ),
            (b"HTTP/1.1 101 x\r\n\r\n", HttpError::Upgraded),
        ];
        for (input, error) in cases {
            for size in [1, 7, input.len()] {
                assert_eq!(read(input, size, Asked::Whole), Err(error), "by {size}");
            }
        }
    }
}
