//! Opening: a header and its data key first, then frames of any chunking in, verified plaintext out.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use thiserror::Error;

use crate::context::Context;
use crate::data_key::DataKey;
use crate::frame::{
    self, FINAL_OVERHEAD_BYTES, Frame, FrameHead, FrameKind, REGULAR_OVERHEAD_BYTES,
};
use crate::header::{self, CONTEXT_AT, Header};
use crate::limits::SIGNATURE_LEN_BYTES_MOST;
use crate::message_key::MessageKey;
use crate::output::{Buffer, Output};
use crate::refusal::{Refusal, RefusalReason};
use crate::signature::{self, FooterVerifier};
use crate::suite::{Derivation, Suite};

/// Opens one message, suite `0x0478` or `0x0578`.
///
/// Plaintext is released frame by frame, each after its own tag has verified. That the plaintext is *all* of the object is known only when
/// [`Opener::finish`] returns [`WholeMessage`]. Under suite `0x0578` a frame's tag says that a holder of the data key wrote it; that the
/// signer wrote it is vouched for by [`Opener::finish`] alone, so who relies on the signature must not act on plaintext before.
///
/// It buffers at most one frame, of ciphertext. It has no `Debug`; the library wipes the message key on drop.
pub struct Opener {
    key: MessageKey,
    frame_len: u32,
    footer: Option<FooterVerifier>,
    state: State,
    next_frame: u32,
    plaintext_len_bytes: u64,
    /// Offset in the message of the frame or footer that comes next; its first bytes may be in `held`.
    offset: u64,
    held: Vec<u8>,
}

/// Evidence that a message was opened to its end: every frame in order, the final one included, the signature where the suite has one,
/// and nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeMessage {
    plaintext_len_bytes: u64,
}

impl WholeMessage {
    /// How much plaintext was released in all.
    #[must_use]
    pub fn plaintext_len_bytes(&self) -> u64 {
        self.plaintext_len_bytes
    }
}

/// Why [`Opener::write_into`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenIntoError {
    /// The message is refused, now and in every later call. The area of the frame that did not verify is wiped.
    #[error("{refusal}")]
    Refused {
        /// What is wrong with it, and where.
        refusal: Refusal,
        /// So many bytes at the buffer's start had verified before.
        written: usize,
    },
    /// The buffer is shorter than [`Opener::output_len_most`] asks for. The caller's fault. Nothing was taken: call again with a longer one.
    #[error("a buffer of {len_bytes} bytes, {needed_bytes} are needed")]
    OutputTooShort {
        /// How long it has to be.
        needed_bytes: usize,
        /// How long it is.
        len_bytes: usize,
    },
}

#[derive(Clone, Copy)]
enum State {
    ExpectFrame,
    ExpectFooter,
    ExpectEnd,
    Refused(Refusal),
}

/// What the next bytes of a message are, as far as they are known.
enum Unit {
    NeedMore { total_len: usize },
    Frame(Frame),
    Footer { total_len: usize },
}

impl Unit {
    fn total_len(&self) -> usize {
        match self {
            Self::NeedMore { total_len } | Self::Footer { total_len } => *total_len,
            Self::Frame(frame) => frame.total_len(),
        }
    }
}

impl Opener {
    /// Checks the key commitment in constant time, then the header tag, and only then believes the header.
    ///
    /// # Errors
    /// [`RefusalReason::CommitmentMismatch`]: another data key. [`RefusalReason::HeaderTagMismatch`]: a changed header. For suite `0x0578` also
    /// the refusals of the signer's public key.
    pub fn begin(header: &Header, data_key: &DataKey) -> Result<Self, Refusal> {
        Self::begin_with_required(header, &Context::empty(), data_key)
    }

    /// As [`Opener::begin`], for a message whose writer required pairs that are not stored: `required` holds all of them. The data key was
    /// unwrapped in both together, `header.context().joined_with(required)`.
    ///
    /// # Errors
    /// As [`Opener::begin`]. A pair that is missing, changed or superfluous is a [`RefusalReason::HeaderTagMismatch`].
    pub fn begin_with_required(
        header: &Header,
        required: &Context,
        data_key: &DataKey,
    ) -> Result<Self, Refusal> {
        let key = authenticate(header, required, data_key)?;
        let footer = match header.suite() {
            Suite::CommittedSigned => {
                let mut footer = FooterVerifier::new(header.context())
                    .map_err(|reason| Refusal::at(CONTEXT_AT, reason))?;
                footer.update(header.as_bytes());
                Some(footer)
            }
            Suite::Committed if signature::has_public_key(header.context()) => {
                return Err(Refusal::at(CONTEXT_AT, RefusalReason::SignerKeyUnexpected));
            }
            Suite::Committed => None,
        };
        Ok(Self {
            key,
            frame_len: header.frame_len_bytes(),
            footer,
            state: State::ExpectFrame,
            next_frame: 1,
            plaintext_len_bytes: 0,
            offset: header.as_bytes().len() as u64,
            held: Vec::new(),
        })
    }

    /// Takes bytes that follow the header and appends to `out` the plaintext of every frame that they complete and that verifies.
    ///
    /// A chunk may have any length. Where `ciphertext` holds whole frames and nothing is held back, they are opened from there straight into
    /// `out`. Cost: no allocation besides `out`'s growth and, once per message, the held frame.
    ///
    /// # Errors
    /// A [`Refusal`]. `out` then ends with the frames that verified before; the area of the bad frame is wiped. Every later call gives the
    /// same refusal.
    pub fn write(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let whole_frames = self.total_len(ciphertext.len()) / self.regular_len();
        out.reserve(whole_frames * self.frame_len as usize);
        self.advance(ciphertext, out)
    }

    /// As [`Opener::write`], into a buffer that is there already, from its start; gives how many bytes it wrote. What stood behind them is
    /// left or overwritten, and never holds plaintext that did not verify.
    ///
    /// The buffer has at least [`Opener::output_len_most`] bytes: a frame and a chunk are always enough. Cost: whole frames in `ciphertext`
    /// are opened from there straight into `out`; no copy besides, no fill, and no allocation but, once per message, the held frame.
    ///
    /// # Errors
    /// [`OpenIntoError`], which says how much had verified before.
    pub fn write_into(
        &mut self,
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, OpenIntoError> {
        let needed_bytes = self.output_len_most(ciphertext.len());
        let is_refused = matches!(self.state, State::Refused(_));
        if out.len() < needed_bytes && !is_refused {
            return Err(OpenIntoError::OutputTooShort {
                needed_bytes,
                len_bytes: out.len(),
            });
        }
        let mut out = Buffer::new(out);
        let advanced = self.advance(ciphertext, &mut out);
        let written = out.written();
        match advanced {
            Ok(()) => Ok(written),
            Err(refusal) => Err(OpenIntoError::Refused { refusal, written }),
        }
    }

    /// Whether the message's end has been reached and verified. More bytes are then refused.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        matches!(self.state, State::ExpectEnd)
    }

    /// Most bytes that the next [`Opener::write`] of `ciphertext_len` bytes appends. For chunks of whole frames it is what they append.
    #[must_use]
    pub fn output_len_most(&self, ciphertext_len: usize) -> usize {
        let len = self.total_len(ciphertext_len);
        let (frames, rest) = (len / self.regular_len(), len % self.regular_len());
        frames * self.frame_len as usize + rest.saturating_sub(FINAL_OVERHEAD_BYTES)
    }

    /// Says that no more bytes follow.
    ///
    /// # Errors
    /// [`RefusalReason::FinalFrameMissing`] or [`RefusalReason::FooterMissing`] when the message was cut short; the earlier refusal if there
    /// was one.
    pub fn finish(self) -> Result<WholeMessage, Refusal> {
        let cut_at = self.offset + self.held.len() as u64;
        match self.state {
            State::ExpectEnd => Ok(WholeMessage {
                plaintext_len_bytes: self.plaintext_len_bytes,
            }),
            State::ExpectFrame => Err(Refusal {
                offset: cut_at,
                reason: RefusalReason::FinalFrameMissing,
            }),
            State::ExpectFooter => Err(Refusal {
                offset: cut_at,
                reason: RefusalReason::FooterMissing,
            }),
            State::Refused(refusal) => Err(refusal),
        }
    }

    /// Bytes that are not opened yet once so many more have come.
    fn total_len(&self, ciphertext_len: usize) -> usize {
        self.held.len() + ciphertext_len
    }

    fn regular_len(&self) -> usize {
        self.frame_len as usize + REGULAR_OVERHEAD_BYTES
    }

    fn advance(&mut self, ciphertext: &[u8], out: &mut impl Output) -> Result<(), Refusal> {
        if let State::Refused(refusal) = self.state {
            return Err(refusal);
        }
        self.take(ciphertext, out)
            .inspect_err(|refusal| self.state = State::Refused(*refusal))
    }

    fn take(&mut self, ciphertext: &[u8], out: &mut impl Output) -> Result<(), Refusal> {
        let mut rest = ciphertext;
        while !rest.is_empty() {
            if self.held.is_empty() {
                let unit = self.inspect(rest)?;
                let (bytes, after) = match rest.split_at_checked(unit.total_len()) {
                    Some(whole) => whole,
                    None => return self.hold(rest, &unit),
                };
                self.consume(&unit, bytes, out)?;
                rest = after;
            } else {
                rest = self.complete_held(rest, out)?;
            }
        }
        Ok(())
    }

    /// Feeds the held unit from `rest`, as far as its length is known; consumes it once it is whole. Gives what is left.
    fn complete_held<'a>(
        &mut self,
        rest: &'a [u8],
        out: &mut impl Output,
    ) -> Result<&'a [u8], Refusal> {
        let unit = self.inspect(&self.held)?;
        let missing = unit.total_len() - self.held.len();
        let (bytes, rest) = rest.split_at(missing.min(rest.len()));
        self.held.extend_from_slice(bytes);
        let unit = self.inspect(&self.held)?;
        if self.held.len() == unit.total_len() {
            let mut held = std::mem::take(&mut self.held);
            let consumed = self.consume(&unit, &held, out);
            held.clear();
            self.held = held;
            consumed?;
        }
        Ok(rest)
    }

    fn hold(&mut self, bytes: &[u8], unit: &Unit) -> Result<(), Refusal> {
        debug_assert!(bytes.len() < unit.total_len());
        if self.held.capacity() == 0 {
            self.held
                .reserve_exact(self.frame_len as usize + FINAL_OVERHEAD_BYTES);
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads as much of the next unit's head as `bytes` hold, and refuses what can be refused without its tag.
    fn inspect(&self, bytes: &[u8]) -> Result<Unit, Refusal> {
        match self.state {
            State::ExpectFrame => self.inspect_frame(bytes),
            State::ExpectFooter => self.inspect_footer(bytes),
            State::ExpectEnd => Err(self.refusal(0, RefusalReason::BytesAfterEnd)),
            State::Refused(refusal) => Err(refusal),
        }
    }

    fn inspect_frame(&self, bytes: &[u8]) -> Result<Unit, Refusal> {
        match frame::read_head(bytes, self.next_frame, self.frame_len) {
            Ok(FrameHead::NeedMore { total_len }) => Ok(Unit::NeedMore { total_len }),
            Ok(FrameHead::Whole(frame)) => Ok(Unit::Frame(frame)),
            Err((within_frame, reason)) => Err(self.refusal(within_frame, reason)),
        }
    }

    fn inspect_footer(&self, bytes: &[u8]) -> Result<Unit, Refusal> {
        let Some(len) = bytes.first_chunk::<2>() else {
            return Ok(Unit::NeedMore { total_len: 2 });
        };
        let len_bytes = u16::from_be_bytes(*len);
        if len_bytes == 0 || len_bytes > SIGNATURE_LEN_BYTES_MOST {
            return Err(self.refusal(
                0,
                RefusalReason::SignatureLen {
                    len_bytes,
                    most: SIGNATURE_LEN_BYTES_MOST,
                },
            ));
        }
        Ok(Unit::Footer {
            total_len: 2 + usize::from(len_bytes),
        })
    }

    /// Takes a unit that is whole in `bytes`. One of unknown length never is: it always needs more than there is.
    fn consume(&mut self, unit: &Unit, bytes: &[u8], out: &mut impl Output) -> Result<(), Refusal> {
        match unit {
            Unit::NeedMore { .. } => Ok(()),
            Unit::Frame(frame) => self.open_frame(frame, bytes, out),
            Unit::Footer { .. } => self.verify_footer(bytes),
        }
    }

    fn open_frame(
        &mut self,
        frame: &Frame,
        bytes: &[u8],
        out: &mut impl Output,
    ) -> Result<(), Refusal> {
        let opened = out.append_with(frame.plaintext_len, |plaintext| {
            self.key.open_frame(frame, bytes, plaintext)
        });
        if opened.is_err() {
            return Err(self.refusal(
                0,
                RefusalReason::FrameTagMismatch {
                    frame: frame.number,
                },
            ));
        }
        if let Some(footer) = &mut self.footer {
            footer.update(bytes);
        }
        self.offset += bytes.len() as u64;
        self.plaintext_len_bytes += frame.plaintext_len as u64;
        match frame.kind {
            // A regular frame's number is below the final mark, so this does not overflow.
            FrameKind::Regular => self.next_frame += 1,
            FrameKind::Final => {
                self.state = if self.footer.is_some() {
                    State::ExpectFooter
                } else {
                    State::ExpectEnd
                }
            }
        }
        Ok(())
    }

    fn verify_footer(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let verified = self
            .footer
            .as_ref()
            .is_some_and(|footer| footer.verify(&bytes[2..]));
        if !verified {
            return Err(self.refusal(0, RefusalReason::SignatureMismatch));
        }
        self.offset += bytes.len() as u64;
        self.state = State::ExpectEnd;
        Ok(())
    }

    /// A refusal at a place in the unit that comes next.
    fn refusal(&self, within_unit: usize, reason: RefusalReason) -> Refusal {
        Refusal {
            offset: self.offset + within_unit as u64,
            reason,
        }
    }
}

/// Checks the commitment in constant time, then the header tag; gives the message key.
pub(crate) fn authenticate(
    header: &Header,
    required: &Context,
    data_key: &DataKey,
) -> Result<MessageKey, Refusal> {
    let key = commits_to(header, data_key)?
        .message_key()
        .map_err(|_| commitment_mismatch(header))?;
    if !header::verify_tag(&key, header, required) {
        return Err(Refusal::at(0, RefusalReason::HeaderTagMismatch));
    }
    Ok(key)
}

/// Checks in constant time that the header commits to the data key; gives what its keys are derived from.
pub(crate) fn commits_to(header: &Header, data_key: &DataKey) -> Result<Derivation, Refusal> {
    let mismatch = |_| commitment_mismatch(header);
    let derivation =
        Derivation::new(header.suite(), data_key, header.message_id()).map_err(mismatch)?;
    let commitment = derivation.commitment().map_err(mismatch)?;
    verify_slices_are_equal(&commitment, header.commitment()).map_err(mismatch)?;
    Ok(derivation)
}

/// Also the refusal where the library itself fails: without a commitment nothing may be opened.
fn commitment_mismatch(header: &Header) -> Refusal {
    Refusal::at(header.commitment_at(), RefusalReason::CommitmentMismatch)
}
