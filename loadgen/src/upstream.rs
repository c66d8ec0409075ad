//! What the origin behind a gateway holds: sealed messages, and as many requests as were sent.
//!
//! Asks the doors that `loadgen origin --http` has for tests, over plain HTTP, before and behind the
//! load. It cannot open messages, and need not: `--check hash` through the gateway proves that they
//! open.

use std::{
    collections::HashSet,
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use sealgate_envelope::{Header, ParsedHeader, Refusal};
use thiserror::Error;

use crate::{
    operation::http1::response::{Asked, HttpError, Progress, ResponseReader},
    pattern::{PATTERN_LEN_BYTES, Pattern},
    target::url::{Target, TargetError},
};

/// Longest silence of the origin.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest message that is looked at.
const MAX_MESSAGE: usize = 256 * 1024 * 1024;

/// Bytes of plaintext in a row that a sealed message has by chance once in 2^128 places.
const WINDOW: usize = 16;

/// Distance of the pieces of plaintext that are looked for: less than any record or page.
const STEP: usize = 512;

/// What the origin holds is not what it should be. The target's fault, but for the first three.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// No address.
    #[error("--check-upstream: {0}")]
    Target(#[from] TargetError),
    /// It does not answer.
    #[error(
        "--check-upstream: cannot ask {address}: {error}; give the http:// address of `loadgen origin`"
    )]
    Io {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// It has no doors.
    #[error("--check-upstream: {path} is no answer of `loadgen origin`: {problem}")]
    Answer {
        /// What was asked for.
        path: String,
        /// What came.
        problem: Answer,
    },
    /// Requests were lost, repeated, or made by somebody else.
    #[error("--check-upstream: the origin answered {found} requests and {expected} were sent")]
    Requests {
        /// Sent.
        expected: u64,
        /// Answered.
        found: u64,
    },
    /// Nothing of it is there.
    #[error("--check-upstream: the origin has none of the objects that were stored")]
    Nothing,
    /// An object is no sealed message.
    #[error("--check-upstream: what the origin holds as {path} is not sealed: {found}")]
    NotSealed {
        /// The object.
        path: String,
        /// What it is.
        found: Bare,
    },
}

/// An answer that is none of `loadgen origin`.
#[derive(Debug, Error)]
pub enum Answer {
    /// No HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Not all of it came, or too much.
    #[error("it is cut short, or longer than {MAX_MESSAGE} bytes")]
    Length,
    /// Another status.
    #[error("status {0}")]
    Status(u16),
    /// No counts.
    #[error("it has no counts")]
    Counts,
}

/// Why an object is no sealed message.
#[derive(Debug)]
pub enum Bare {
    /// It has no header of one.
    Header(Refusal),
    /// It ends within its header.
    Short,
    /// Plaintext of this offset stands in it at another.
    Plaintext {
        /// In the message.
        at: usize,
    },
}

impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bare::Header(refusal) => refusal.fmt(f),
            Bare::Short => f.write_str("it ends within its header"),
            Bare::Plaintext { at } => write!(f, "plaintext stands at byte {at}"),
        }
    }
}

/// An origin that is asked.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    /// Requests that it had answered before the load.
    before: u64,
}

impl Upstream {
    /// Asks the origin how many requests it has answered.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub fn before(target: &Target) -> Result<Self, UpstreamError> {
        let mut upstream = Self {
            address: target.resolve(None)?,
            before: 0,
        };
        upstream.before = upstream.requests()?;
        Ok(upstream)
    }

    /// Whether the origin has answered as many requests as were sent, and holds nothing but sealed
    /// messages under those of `paths` that it has.
    ///
    /// # Errors
    ///
    /// When one of that is not so.
    pub fn verify(&self, sent: u64, paths: &[String]) -> Result<(), UpstreamError> {
        let found = self.requests()? - self.before;
        if found != sent {
            return Err(UpstreamError::Requests {
                expected: sent,
                found,
            });
        }
        let mut looked_at = 0;
        for path in paths {
            let (status, message) = self.get(&format!("/.origin/raw{path}"))?;
            match status {
                // A tenant whose turn never came.
                404 => continue,
                200 => looked_at += 1,
                status => return Err(self.wrong(path, Answer::Status(status))),
            }
            sealed(&message).map_err(|found| UpstreamError::NotSealed {
                path: path.clone(),
                found,
            })?;
        }
        match looked_at {
            0 => Err(UpstreamError::Nothing),
            _ => Ok(()),
        }
    }

    fn requests(&self) -> Result<u64, UpstreamError> {
        let path = "/.origin/counts";
        let (status, body) = self.get(path)?;
        if status != 200 {
            return Err(self.wrong(path, Answer::Status(status)));
        }
        let counts: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let requests = counts["totals"]["requests"].as_u64();
        requests.ok_or_else(|| self.wrong(path, Answer::Counts))
    }

    fn wrong(&self, path: &str, problem: Answer) -> UpstreamError {
        UpstreamError::Answer {
            path: format!("http://{}{path}", self.address),
            problem,
        }
    }

    /// One request on a connection of its own.
    fn get(&self, path: &str) -> Result<(u16, Vec<u8>), UpstreamError> {
        let address = self.address;
        let failed = |error| UpstreamError::Io { address, error };
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(failed)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let (mut reader, mut body) = (ResponseReader::default(), Vec::new());
        reader.expect();
        let mut buffer = vec![0; 64 * 1024];
        while body.len() <= MAX_MESSAGE {
            let len = stream.read(&mut buffer).map_err(failed)?;
            if len == 0 {
                break;
            }
            let mut keep = |bytes: &[u8]| body.extend_from_slice(bytes);
            let progress = reader.read(&buffer[..len], Asked::Whole, &mut keep);
            match progress.map_err(|error| self.wrong(path, error.into()))? {
                Progress::Complete => return Ok((reader.head().status, body)),
                Progress::More => {}
            }
        }
        Err(self.wrong(path, Answer::Length))
    }
}

/// Whether these bytes are a sealed message in which no plaintext of ours stands.
fn sealed(message: &[u8]) -> Result<(), Bare> {
    match Header::parse(message) {
        Ok(ParsedHeader::Complete { .. }) => {}
        Ok(ParsedHeader::NeedMore { .. }) => return Err(Bare::Short),
        Err(refusal) => return Err(Bare::Header(refusal)),
    }
    let pattern = Pattern::new().chunk(PATTERN_LEN_BYTES as u64);
    let starts = (0..pattern.len() - WINDOW).step_by(STEP);
    let pieces: HashSet<&[u8]> = starts.map(|at| &pattern[at..at + WINDOW]).collect();
    match message
        .windows(WINDOW)
        .position(|window| pieces.contains(window))
    {
        Some(at) => Err(Bare::Plaintext { at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sealgate_envelope::{Context, DataKey, RawAesKey, SealSettings, Sealer};

    use super::*;

    /// A message that holds `body`, and the length of its header.
    fn message(body: &[u8]) -> (Vec<u8>, usize) {
        let key = RawAesKey::new(&[7; 32], "test", "key").unwrap();
        let (data_key, context) = (DataKey::generate().unwrap(), Context::empty());
        let recipients = [key.wrap(&data_key, &context).unwrap()];
        let begun = Sealer::begin(&data_key, &context, &recipients, SealSettings::default());
        let (mut sealer, header) = begun.unwrap();
        let mut message = header.clone();
        sealer.write(body, &mut message).unwrap();
        sealer.finish(&mut message).unwrap();
        (message, header.len())
    }

    #[test]
    fn bare_bytes_and_plaintext_behind_a_header_are_seen() {
        let body = Pattern::new().chunk(5_000);
        let (sealed_message, header) = message(body);
        assert!(sealed(&sealed_message).is_ok());
        assert!(matches!(sealed(body), Err(Bare::Header(_))));
        assert!(matches!(sealed(&[]), Err(Bare::Short)));
        assert!(matches!(
            sealed(&sealed_message[..header - 1]),
            Err(Bare::Short)
        ));
        // Not the byte that stands before the plaintext in the pattern, which the header ends with now and then.
        let before = [!body[0]];
        let bare = [&sealed_message[..header], &before, &body[1..]].concat();
        let found = sealed(&bare).unwrap_err();
        assert!(
            matches!(found, Bare::Plaintext { at } if at == header + STEP),
            "{found}"
        );
    }
}
