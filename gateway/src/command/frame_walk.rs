//! Walks over the heads of a message's frames without any key, and says whether they have the shape of a whole message.
//!
//! Of a file only the heads are read, so it costs the same for long frames as for short ones; a pipe is read to its end.

use std::fs::File;
use std::os::unix::fs::FileExt;

use sealgate_envelope::{Header, Refusal, RefusalReason, Suite, limits};

use super::input::Input;
use super::message_error::{MessageError, Operation};
use super::message_reader::{CHUNK_LEN_BYTES, MessageReader};

const FINAL_MARK: [u8; 4] = [0xFF; 4];
const IV_LEN_BYTES: usize = 12;
const TAG_LEN_BYTES: u64 = 16;

/// What the heads of the frames say.
pub(super) struct Walk {
    /// Frames that are there to their last byte.
    pub(super) frames: u64,
    /// Plaintext bytes in them.
    pub(super) plaintext_len: u64,
    /// Where and why it is not the shape of a whole message.
    pub(super) broken: Option<Refusal>,
}

/// Walks from behind the header to the end of the message.
///
/// # Errors
/// [`MessageError::Io`]. A broken shape is no error but an answer.
pub(super) fn walk(header: &Header, reader: MessageReader) -> Result<Walk, MessageError> {
    let mut walker = Walker {
        source: Source::new(header, reader),
        at: header.as_bytes().len() as u64,
        frame_len: header.frame_len_bytes(),
        walk: Walk {
            frames: 0,
            plaintext_len: 0,
            broken: None,
        },
    };
    match walker.frames(header.suite()) {
        Ok(()) => {}
        Err(Stop::Broken(refusal)) => walker.walk.broken = Some(refusal),
        Err(Stop::Failed(error)) => return Err(error),
    }
    Ok(walker.walk)
}

enum Stop {
    Broken(Refusal),
    Failed(MessageError),
}

impl From<MessageError> for Stop {
    fn from(error: MessageError) -> Self {
        Self::Failed(error)
    }
}

struct Walker {
    source: Source,
    /// Offset in the message of the next byte.
    at: u64,
    frame_len: u32,
    walk: Walk,
}

impl Walker {
    fn frames(&mut self, suite: Suite) -> Result<(), Stop> {
        let mut number = 1_u32;
        while !self.frame(number)? {
            // A regular frame's number is below the final mark, so this does not overflow.
            number += 1;
        }
        if suite == Suite::CommittedSigned {
            self.footer()?;
        }
        match self.source.take(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.broken(0, RefusalReason::BytesAfterEnd)),
        }
    }

    /// Walks over one frame; gives whether it was the final one.
    fn frame(&mut self, expected: u32) -> Result<bool, Stop> {
        let missing = RefusalReason::FinalFrameMissing;
        let mut number: [u8; 4] = self.field(missing)?;
        let is_final = number == FINAL_MARK;
        if is_final {
            number = self.field(missing)?;
        }
        let found = u32::from_be_bytes(number);
        if found != expected {
            let reason = RefusalReason::FrameOutOfOrder { expected, found };
            return Err(self.broken(4, reason));
        }
        let iv: [u8; IV_LEN_BYTES] = self.field(missing)?;
        if iv[..8] != [0; 8] || iv[8..] != number {
            let reason = RefusalReason::FrameNonce { frame: expected };
            return Err(self.broken(IV_LEN_BYTES as u64, reason));
        }
        let mut len_bytes = self.frame_len;
        if is_final {
            len_bytes = u32::from_be_bytes(self.field(missing)?);
            if len_bytes > self.frame_len {
                let most = self.frame_len;
                let reason = RefusalReason::FinalFrameTooLong { len_bytes, most };
                return Err(self.broken(4, reason));
            }
        }
        self.skip(u64::from(len_bytes) + TAG_LEN_BYTES, missing)?;
        self.walk.frames += 1;
        self.walk.plaintext_len += u64::from(len_bytes);
        Ok(is_final)
    }

    fn footer(&mut self) -> Result<(), Stop> {
        let missing = RefusalReason::FooterMissing;
        let len_bytes = u16::from_be_bytes(self.field(missing)?);
        let most = limits::SIGNATURE_LEN_BYTES_MOST;
        if len_bytes == 0 || len_bytes > most {
            return Err(self.broken(2, RefusalReason::SignatureLen { len_bytes, most }));
        }
        self.skip(u64::from(len_bytes), missing)
    }

    fn field<const N: usize>(&mut self, missing: RefusalReason) -> Result<[u8; N], Stop> {
        let mut field = [0; N];
        let taken = self.source.take(&mut field)?;
        self.at += taken as u64;
        if taken < N {
            return Err(self.broken(0, missing));
        }
        Ok(field)
    }

    fn skip(&mut self, len: u64, missing: RefusalReason) -> Result<(), Stop> {
        let skipped = self.source.skip(len)?;
        self.at += skipped;
        if skipped < len {
            return Err(self.broken(0, missing));
        }
        Ok(())
    }

    /// A shape that is wrong `before` bytes ago.
    fn broken(&self, before: u64, reason: RefusalReason) -> Stop {
        Stop::Broken(Refusal {
            offset: self.at - before,
            reason,
        })
    }
}

/// The message behind its header.
enum Source {
    File {
        file: File,
        name: Box<str>,
        at: u64,
        len: u64,
    },
    Stream {
        input: Input,
        read: Vec<u8>,
        taken: usize,
    },
}

impl Source {
    fn new(header: &Header, reader: MessageReader) -> Self {
        let (input, read) = reader.into_parts();
        match input.len_bytes() {
            Some(len) => Self::File {
                name: input.name().into(),
                file: input.into_file(),
                at: header.as_bytes().len() as u64,
                len,
            },
            None => Self::Stream {
                input,
                read,
                taken: 0,
            },
        }
    }

    /// Fills `out` as far as there are bytes; gives how many.
    fn take(&mut self, out: &mut [u8]) -> Result<usize, MessageError> {
        let mut filled = 0;
        while filled < out.len() {
            let taken = self.take_some(&mut out[filled..])?;
            if taken == 0 {
                break;
            }
            filled += taken;
        }
        Ok(filled)
    }

    fn take_some(&mut self, out: &mut [u8]) -> Result<usize, MessageError> {
        match self {
            Self::File { file, name, at, .. } => {
                let read = file
                    .read_at(out, *at)
                    .map_err(MessageError::io(Operation::Read, name))?;
                *at += read as u64;
                Ok(read)
            }
            Self::Stream { input, read, taken } => {
                let rest = unread(input, read, taken)?;
                let len = rest.len().min(out.len());
                out[..len].copy_from_slice(&rest[..len]);
                *taken += len;
                Ok(len)
            }
        }
    }

    /// Goes on by `len` bytes, as far as there are so many; gives how many.
    fn skip(&mut self, len: u64) -> Result<u64, MessageError> {
        match self {
            Self::File { at, len: end, .. } => {
                let skipped = len.min(end.saturating_sub(*at));
                *at += skipped;
                Ok(skipped)
            }
            Self::Stream { input, read, taken } => {
                let mut skipped = 0;
                while skipped < len {
                    let rest = unread(input, read, taken)?.len() as u64;
                    if rest == 0 {
                        break;
                    }
                    let more = rest.min(len - skipped);
                    *taken += more as usize;
                    skipped += more;
                }
                Ok(skipped)
            }
        }
    }
}

/// What was read of a stream and not taken yet, after reading on where there is nothing; empty at the end.
fn unread<'a>(
    input: &mut Input,
    read: &'a mut Vec<u8>,
    taken: &mut usize,
) -> Result<&'a [u8], MessageError> {
    if *taken == read.len() {
        read.resize(CHUNK_LEN_BYTES, 0);
        let len = input.read(read)?;
        read.truncate(len);
        *taken = 0;
    }
    Ok(&read[*taken..])
}
