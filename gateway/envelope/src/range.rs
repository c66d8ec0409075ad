//! Random access: the plaintext bytes `a..b` of a message that can be read at any place.
//!
//! ```text
//! length of the message --sizes--> which frames hold a..b -> read -> tag -> the part that was asked for
//! ```
//!
//! A frame's place follows from the header alone, so a range costs its own frames and no others. What it does not do: say that the object
//! is whole, or how long it is, before [`RangeOpener::verify_end`] has looked at the final frame; verify a signature, which covers every
//! byte of the message (suite `0x0578` is refused).

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use thiserror::Error;

use crate::context::Context;
use crate::data_key::DataKey;
use crate::frame::{
    self, FINAL_OVERHEAD_BYTES, Frame, FrameHead, FrameKind, REGULAR_OVERHEAD_BYTES,
};
use crate::header::{Header, HeaderLimits, ParsedHeader};
use crate::limits::RANGE_READ_LEN_BYTES;
use crate::message_key::MessageKey;
use crate::open;
use crate::output::{Buffer, Output, wipe};
use crate::refusal::{Refusal, RefusalReason};
use crate::sizes;
use crate::suite::Suite;

/// A message that can be read at any place: a file, a buffer, or an object behind ranged requests. Everything that is `Read + Seek` is one.
pub trait ReadAt {
    /// Length of the message as it is stored, header included. It is believed for nothing: frames say by their tags whether it is right.
    ///
    /// # Errors
    /// Whatever the source says.
    fn stored_len(&mut self) -> io::Result<u64>;

    /// Fills `buffer` with the bytes that begin at `offset`.
    ///
    /// # Errors
    /// Whatever the source says; `UnexpectedEof` where the bytes end too early.
    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl<S: Read + Seek> ReadAt for S {
    fn stored_len(&mut self) -> io::Result<u64> {
        self.seek(SeekFrom::End(0))
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.read_exact(buffer)
    }
}

/// A range that was not opened.
#[derive(Debug, Error)]
pub enum RangeError {
    /// The message is not what the holder of the data key wrote, or is cut short.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The range ends behind the plaintext. The client's fault. The final frame was verified before this was said.
    #[error("bytes {start}..{end} of a plaintext of {plaintext_len_bytes}")]
    BeyondEnd {
        /// Where the range begins.
        start: u64,
        /// Where it ends, exclusive.
        end: u64,
        /// How long the plaintext is.
        plaintext_len_bytes: u64,
    },
    /// The range begins behind its own end. The caller's fault.
    #[error("bytes {start}..{end} run backwards")]
    Backwards {
        /// Where the range begins.
        start: u64,
        /// Where it ends, exclusive.
        end: u64,
    },
    /// Suite `0x0578`: its signature covers every byte, so no part of it can be vouched for. Open the whole message instead.
    #[error("a signed message opens only as a whole")]
    SignedMessage,
    /// The source could not be read.
    #[error("the message could not be read: {0}")]
    Read(#[from] io::Error),
}

/// Evidence of how long a plaintext is: the final frame stands where the message's length says, and its tag verifies.
///
/// It does not say that the frames before it are intact; each says so itself when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedEnd {
    plaintext_len_bytes: u64,
}

impl VerifiedEnd {
    /// Length of the whole plaintext.
    #[must_use]
    pub fn plaintext_len_bytes(&self) -> u64 {
        self.plaintext_len_bytes
    }
}

/// Opens ranges of one message, suite `0x0478`, in any order.
///
/// It buffers ciphertext of one frame, or of [`RANGE_READ_LEN_BYTES`] where frames are smaller. It has no `Debug`; the library wipes the
/// message key on drop.
pub struct RangeOpener<S> {
    source: S,
    key: MessageKey,
    layout: Layout,
    end: Option<VerifiedEnd>,
    /// Where frames are read to. Ciphertext only.
    sealed: Vec<u8>,
    /// Where a frame is opened of which only a part was asked for. Wiped between calls.
    partial: Vec<u8>,
}

/// Which frames there are, as the message's length has it.
struct Layout {
    header_len: u64,
    frame_len: u64,
    stored_len: u64,
    plaintext_len: u64,
    regular_frames: u64,
}

impl Layout {
    fn new(header: &Header, stored_len: u64) -> Option<Self> {
        let header_len = header.as_bytes().len() as u64;
        let frame_len = u64::from(header.frame_len_bytes());
        let plaintext_len = sizes::opened_len(stored_len, header_len, header.frame_len_bytes())?;
        let body = stored_len - header_len - FINAL_OVERHEAD_BYTES as u64;
        Some(Self {
            header_len,
            frame_len,
            stored_len,
            plaintext_len,
            regular_frames: body / (frame_len + REGULAR_OVERHEAD_BYTES as u64),
        })
    }

    /// Where the frame begins that comes after `index` others. The final frame comes after all regular ones.
    fn frame_at(&self, index: u64) -> u64 {
        self.header_len + index * (self.frame_len + REGULAR_OVERHEAD_BYTES as u64)
    }

    /// Where it ends.
    fn frame_end(&self, index: u64) -> u64 {
        if index == self.regular_frames {
            self.stored_len
        } else {
            self.frame_at(index + 1)
        }
    }
}

/// Reads the header of a message from its first byte on, and leaves the reader somewhere behind it.
///
/// # Errors
/// [`RangeError::Refused`] or [`RangeError::Read`]. Cost: a handful of reads, at most one header in memory.
pub fn read_header(source: &mut impl ReadAt, limits: HeaderLimits) -> Result<Header, RangeError> {
    const FIRST_READ_LEN_BYTES: usize = 1024;

    let stored_len = usize::try_from(source.stored_len()?).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let mut wanted = FIRST_READ_LEN_BYTES.min(stored_len);
    loop {
        let had = bytes.len();
        bytes.resize(wanted, 0);
        source.read_exact_at(had as u64, &mut bytes[had..])?;
        match Header::parse_within(&bytes, limits)? {
            ParsedHeader::Complete { header, .. } => return Ok(header),
            ParsedHeader::NeedMore { at_least_bytes } if at_least_bytes <= stored_len => {
                // Twice as much at least: a header of many short fields does not become as many reads.
                wanted = at_least_bytes.max(2 * wanted).min(stored_len);
            }
            ParsedHeader::NeedMore { .. } => {
                return Err(Refusal::header_cut_short(stored_len).into());
            }
        }
    }
}

impl<S: ReadAt> RangeOpener<S> {
    /// Checks commitment and header tag as [`crate::Opener::begin`] does. `header` was read from `source`, for example with [`read_header`].
    ///
    /// # Errors
    /// The refusals of [`crate::Opener::begin`]; [`RefusalReason::FinalFrameMissing`] for a length that no message has;
    /// [`RangeError::SignedMessage`].
    pub fn begin(source: S, header: &Header, data_key: &DataKey) -> Result<Self, RangeError> {
        Self::begin_with_required(source, header, &Context::empty(), data_key)
    }

    /// As [`RangeOpener::begin`], with required context as in [`crate::Opener::begin_with_required`].
    ///
    /// # Errors
    /// As [`RangeOpener::begin`].
    pub fn begin_with_required(
        mut source: S,
        header: &Header,
        required: &Context,
        data_key: &DataKey,
    ) -> Result<Self, RangeError> {
        let key = open::authenticate(header, required, data_key)?;
        if header.suite() == Suite::CommittedSigned {
            return Err(RangeError::SignedMessage);
        }
        let stored_len = source.stored_len()?;
        let layout = Layout::new(header, stored_len).ok_or(Refusal {
            offset: stored_len,
            reason: RefusalReason::FinalFrameMissing,
        })?;
        Ok(Self {
            source,
            key,
            layout,
            end: None,
            sealed: Vec::new(),
            partial: Vec::new(),
        })
    }

    /// Appends the plaintext bytes `range` to `out`.
    ///
    /// # Errors
    /// [`RangeError`]. For a refusal and a failed read, `out` ends with the frames that verified before; for the others it is as it was.
    /// Cost: reads and opens the frames that the range touches, and the final frame where the range does not fit.
    pub fn open(&mut self, range: Range<u64>, out: &mut Vec<u8>) -> Result<(), RangeError> {
        self.open_to(range, out)
    }

    /// Fills `out` with the plaintext bytes that begin at `start`.
    ///
    /// Frames of which all is wanted are opened straight into `out`: no copy, no fill.
    ///
    /// # Errors
    /// As [`RangeOpener::open`]. Nothing that did not verify is in `out`, but how much of it was filled is not said.
    pub fn open_into(&mut self, start: u64, out: &mut [u8]) -> Result<(), RangeError> {
        let end = start.saturating_add(out.len() as u64);
        self.open_to(start..end, &mut Buffer::new(out))
    }

    /// Whether `range` lies within the plaintext, as far as the message's length tells. For knowing it before the first byte is out.
    ///
    /// # Errors
    /// [`RangeError::Backwards`] or [`RangeError::BeyondEnd`]; for the latter the final frame is opened, so also what
    /// [`RangeOpener::verify_end`] says.
    pub fn check(&mut self, range: &Range<u64>) -> Result<(), RangeError> {
        let Range { start, end } = *range;
        if start > end {
            return Err(RangeError::Backwards { start, end });
        }
        if end > self.layout.plaintext_len {
            // Where the plaintext ends is a claim as well. A message that was cut short must not pass for a shorter one.
            let plaintext_len_bytes = self.verify_end()?.plaintext_len_bytes;
            return Err(RangeError::BeyondEnd {
                start,
                end,
                plaintext_len_bytes,
            });
        }
        Ok(())
    }

    fn open_to(&mut self, range: Range<u64>, out: &mut impl Output) -> Result<(), RangeError> {
        self.check(&range)?;
        let Range { start, end } = range;
        if start == end {
            return Ok(());
        }
        let frames = start / self.layout.frame_len..end.div_ceil(self.layout.frame_len);
        let frames_at_once = (RANGE_READ_LEN_BYTES as u64
            / (self.layout.frame_len + REGULAR_OVERHEAD_BYTES as u64))
            .max(1);
        let mut next = frames.start;
        while next < frames.end {
            let after = frames.end.min(next + frames_at_once);
            self.open_frames(next..after, &(start..end), out)?;
            next = after;
        }
        Ok(())
    }

    /// Opens the final frame, once: afterwards the plaintext's length is known for certain.
    ///
    /// # Errors
    /// [`RangeError::Refused`] when the message does not end where its length says, or [`RangeError::Read`].
    pub fn verify_end(&mut self) -> Result<VerifiedEnd, RangeError> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let last = self.layout.regular_frames;
        self.open_frames(last..last + 1, &(0..0), &mut Buffer::new(&mut []))?;
        let end = VerifiedEnd {
            plaintext_len_bytes: self.layout.plaintext_len,
        };
        self.end = Some(end);
        Ok(end)
    }

    /// Gives the source back.
    pub fn into_source(self) -> S {
        self.source
    }

    /// Reads `frames` and opens each; appends what is in `wanted`.
    fn open_frames(
        &mut self,
        frames: Range<u64>,
        wanted: &Range<u64>,
        out: &mut impl Output,
    ) -> Result<(), RangeError> {
        let mut sealed = std::mem::take(&mut self.sealed);
        let opened = self.read_frames(&frames, &mut sealed).and_then(|len| {
            let mut rest = &sealed[..len];
            for index in frames {
                let len = self.layout.frame_end(index) - self.layout.frame_at(index);
                let (frame, after) = rest.split_at(len as usize);
                self.open_frame(index, frame, wanted, out)?;
                rest = after;
            }
            Ok(())
        });
        self.sealed = sealed;
        opened
    }

    /// Reads `frames` to the start of `sealed`, which only ever grows; gives how long they are.
    fn read_frames(
        &mut self,
        frames: &Range<u64>,
        sealed: &mut Vec<u8>,
    ) -> Result<usize, RangeError> {
        let start = self.layout.frame_at(frames.start);
        let len = self.layout.frame_end(frames.end - 1) - start;
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        if sealed.len() < len {
            sealed.resize(len, 0);
        }
        self.source.read_exact_at(start, &mut sealed[..len])?;
        Ok(len)
    }

    /// Opens the frame that comes after `index` others, and appends what is in `wanted`.
    fn open_frame(
        &mut self,
        index: u64,
        sealed: &[u8],
        wanted: &Range<u64>,
        out: &mut impl Output,
    ) -> Result<(), Refusal> {
        let frame = self.inspect(index, sealed)?;
        let part = part_of(wanted, index * self.layout.frame_len, frame.plaintext_len);
        let open = |plaintext: &mut [u8]| self.key.open_frame(&frame, sealed, plaintext);
        let opened = if part.len() == frame.plaintext_len {
            out.append_with(frame.plaintext_len, open)
        } else {
            if self.partial.len() < frame.plaintext_len {
                self.partial.resize(frame.plaintext_len, 0);
            }
            let plaintext = &mut self.partial[..frame.plaintext_len];
            let opened = open(plaintext).and_then(|()| {
                out.append_with(part.len(), |wanted| {
                    wanted.copy_from_slice(&plaintext[part]);
                    Ok(())
                })
            });
            wipe(plaintext);
            opened
        };
        opened.map_err(|_| Refusal {
            offset: self.layout.frame_at(index),
            reason: RefusalReason::FrameTagMismatch {
                frame: frame.number,
            },
        })
    }

    /// Reads a frame's head and holds it to what the message's length says must stand there.
    fn inspect(&self, index: u64, bytes: &[u8]) -> Result<Frame, Refusal> {
        let frame_at = self.layout.frame_at(index);
        let refuse = |within: usize, reason| {
            Err(Refusal {
                offset: frame_at + within as u64,
                reason,
            })
        };
        let number = u32::try_from(index + 1).expect("`opened_len` bounds the count of frames");
        let frame = match frame::read_head(bytes, number, self.layout.frame_len as u32) {
            Ok(FrameHead::Whole(frame)) => frame,
            Ok(FrameHead::NeedMore { .. }) => {
                return refuse(bytes.len(), RefusalReason::FinalFrameMissing);
            }
            Err((within, reason)) => return refuse(within, reason),
        };
        // A frame that ends elsewhere, or a final one where more must follow, means that the message was cut or extended.
        let is_last = index == self.layout.regular_frames;
        if frame.total_len() < bytes.len() || (frame.kind == FrameKind::Final && !is_last) {
            return refuse(frame.total_len(), RefusalReason::BytesAfterEnd);
        }
        if frame.total_len() > bytes.len() || (frame.kind == FrameKind::Regular && is_last) {
            return refuse(bytes.len(), RefusalReason::FinalFrameMissing);
        }
        Ok(frame)
    }
}

/// The part of a frame that is wanted, where its plaintext begins at `first` in the whole.
fn part_of(wanted: &Range<u64>, first: u64, len: usize) -> Range<usize> {
    let within = |at: u64| usize::try_from(at.saturating_sub(first)).map_or(len, |at| at.min(len));
    within(wanted.start)..within(wanted.end)
}
