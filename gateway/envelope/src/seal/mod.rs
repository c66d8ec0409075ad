//! Sealing: plaintext of any chunking in, header and frames out.

pub(crate) mod begin;
mod parallel;

pub use begin::{SealError, SealSettings};

use begin::Begun;
use parallel::Run;

use std::num::NonZeroUsize;

use aws_lc_rs::error::Unspecified;

use crate::context::Context;
use crate::data_key::DataKey;
use crate::frame::{FINAL_OVERHEAD_BYTES, FrameKind, REGULAR_OVERHEAD_BYTES};
use crate::limits::FRAMES_MOST;
use crate::message_key::MessageKey;
use crate::output::{Buffer, Output, wipe};
use crate::recipient::Recipient;
use crate::signature::{FOOTER_LEN_BYTES, Signer};
use crate::suite::Suite;

/// Seals one message, suite `0x0478`, or `0x0578` where it is asked for with [`Sealer::begin_signed`].
///
/// It holds the message key, which the library wipes on drop, and at most one frame of plaintext, which is wiped on drop. It has no
/// `Debug`. Drop it instead of calling [`Sealer::finish`] to abandon a message: what was written then has no final frame, and every reader
/// refuses it.
pub struct Sealer {
    key: MessageKey,
    frame_len: usize,
    /// Regular frames sealed so far.
    sealed_frames: u32,
    /// Plaintext that may yet turn out to be the final frame. Reserved whole before its first byte, so that it never moves.
    held: Vec<u8>,
    /// The most that was ever held: plaintext of earlier frames stands behind the end of `held` until it is wiped.
    held_most: usize,
    /// Set once plaintext was taken but not sealed: the message must not be ended as if it were whole.
    failed: Option<SealError>,
    signer: Option<Signer>,
}

impl Sealer {
    /// Begins a message: gives the sealer and the header, which goes out first, once and never again.
    ///
    /// `data_key` is fresh, `recipients` carry it wrapped in this `context`. They are written in the given order, the pad last.
    ///
    /// # Errors
    /// [`SealError`]; nothing was written. Cost: two HKDF derivations, one tag, the header's bytes.
    pub fn begin(
        data_key: &DataKey,
        context: &Context,
        recipients: &[Recipient],
        settings: SealSettings,
    ) -> Result<(Self, Vec<u8>), SealError> {
        Self::begin_with_required(data_key, context, &Context::empty(), recipients, settings)
    }

    /// As [`Sealer::begin`], with pairs that every reader has to bring along: they are authenticated but not stored. See the crate's table
    /// of which SDKs can.
    ///
    /// `recipients` carry the data key wrapped in both together: `stored.joined_with(required)`.
    ///
    /// # Errors
    /// As [`Sealer::begin`]; [`SealError::ContextKeyTwice`] when a key is both stored and required.
    pub fn begin_with_required(
        data_key: &DataKey,
        stored: &Context,
        required: &Context,
        recipients: &[Recipient],
        settings: SealSettings,
    ) -> Result<(Self, Vec<u8>), SealError> {
        begin::refuse_reserved_keys(stored)?;
        let suite = Suite::Committed;
        let begun = begin::begin(suite, data_key, stored, required, recipients, settings)?;
        Ok(Self::after(begun, settings, None))
    }

    /// As [`Sealer::begin_with_required`], for a message of suite `0x0578`: a signature over all of it follows its final frame.
    ///
    /// The stored context is [`Signer::context`], and `recipients` carry the data key wrapped in it. Readers of a signed message cannot
    /// believe a byte before they have read the last, and no range of it opens: use it where that is wanted.
    ///
    /// # Errors
    /// As [`Sealer::begin_with_required`].
    pub fn begin_signed(
        data_key: &DataKey,
        mut signer: Signer,
        required: &Context,
        recipients: &[Recipient],
        settings: SealSettings,
    ) -> Result<(Self, Vec<u8>), SealError> {
        let (suite, stored) = (Suite::CommittedSigned, signer.context());
        let begun = begin::begin(suite, data_key, stored, required, recipients, settings)?;
        signer.update(&begun.header);
        Ok(Self::after(begun, settings, Some(signer)))
    }

    fn after(begun: Begun, settings: SealSettings, signer: Option<Signer>) -> (Self, Vec<u8>) {
        let sealer = Self {
            key: begun.key,
            frame_len: settings.frame_len_bytes as usize,
            sealed_frames: 0,
            held: Vec::new(),
            held_most: 0,
            failed: None,
            signer,
        };
        (sealer, begun.header)
    }

    /// Takes plaintext and appends to `out` every frame that is now known not to be the last.
    ///
    /// A chunk may have any length. Where `plaintext` holds whole frames and nothing is held back, they are sealed from there straight into
    /// `out`. Cost: no allocation besides `out`'s growth and, once per message, the held frame.
    ///
    /// # Errors
    /// [`SealError::TooManyFrames`] or [`SealError::CipherFailed`]. Frames before the failed one are in `out`; the message has to be
    /// abandoned: every later call gives the same error.
    pub fn write(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        self.write_on(NonZeroUsize::MIN, plaintext, out)
    }

    /// As [`Sealer::write`], sealing whole frames in `plaintext` on up to `threads` cores, this one among them. The bytes are the same.
    ///
    /// It pays off for some megabytes at a time; under twice [`crate::limits::SEAL_PART_LEN_BYTES`] no thread is begun. All have ended when it
    /// returns.
    ///
    /// # Errors
    /// As [`Sealer::write`]; no frame that was sealed beside a failed one is in `out`.
    pub fn write_on(
        &mut self,
        threads: NonZeroUsize,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        out.reserve(self.write_len(plaintext.len()));
        self.write_to(threads, plaintext, out)
    }

    /// As [`Sealer::write`], into a buffer that is there already, from its start; gives how many bytes it wrote, which is
    /// [`Sealer::write_len`].
    ///
    /// Cost: whole frames in `plaintext` are sealed from there straight into `out`; no copy besides, no fill, and no allocation but, once
    /// per message, the held frame.
    ///
    /// # Errors
    /// As [`Sealer::write`]; what `out` holds is then of no use. [`SealError::OutputTooShort`] when it is shorter than
    /// [`Sealer::write_len`]: nothing was taken.
    pub fn write_into(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        self.write_into_on(NonZeroUsize::MIN, plaintext, out)
    }

    /// [`Sealer::write_into`] on several cores, as [`Sealer::write_on`].
    ///
    /// # Errors
    /// As [`Sealer::write_into`].
    pub fn write_into_on(
        &mut self,
        threads: NonZeroUsize,
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        self.check_room(self.write_len(plaintext.len()), out)?;
        let mut out = Buffer::new(out);
        self.write_to(threads, plaintext, &mut out)?;
        Ok(out.written())
    }

    /// Ends the message: appends the final frame to `out`, and the footer of a signed one. An empty plaintext has an empty final frame.
    ///
    /// # Errors
    /// [`SealError::TooManyFrames`] or [`SealError::CipherFailed`]; `out` is as it was.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), SealError> {
        self.finish_to(out)
    }

    /// As [`Sealer::finish`], into a buffer that is there already, from its start; gives how many bytes it wrote, which is
    /// [`Sealer::finish_len`].
    ///
    /// # Errors
    /// As [`Sealer::finish`]; [`SealError::OutputTooShort`] when the buffer is shorter than [`Sealer::finish_len`]. The message is then
    /// abandoned.
    pub fn finish_into(self, out: &mut [u8]) -> Result<usize, SealError> {
        self.check_room(self.finish_len(), out)?;
        let mut out = Buffer::new(out);
        self.finish_to(&mut out)?;
        Ok(out.written())
    }

    /// How many bytes the next [`Sealer::write`] of `plaintext_len` bytes appends.
    #[must_use]
    pub fn write_len(&self, plaintext_len: usize) -> usize {
        self.frames_in(plaintext_len) * (self.frame_len + REGULAR_OVERHEAD_BYTES)
    }

    /// How many bytes [`Sealer::finish`] appends, if no plaintext comes before it.
    #[must_use]
    pub fn finish_len(&self) -> usize {
        let footer_len = self.signer.as_ref().map_or(0, |_| FOOTER_LEN_BYTES);
        self.held.len() + FINAL_OVERHEAD_BYTES + footer_len
    }

    /// Most bytes that the next [`Sealer::write`] of `plaintext_len` bytes, or [`Sealer::finish`] after it, appends in total.
    #[must_use]
    pub fn output_len_most(&self, plaintext_len: usize) -> usize {
        let frames = self.frames_in(plaintext_len);
        self.finish_len() + plaintext_len + frames * REGULAR_OVERHEAD_BYTES
    }

    /// Frames that are known not to be the last once so much plaintext has come.
    fn frames_in(&self, plaintext_len: usize) -> usize {
        (self.held.len() + plaintext_len).saturating_sub(1) / self.frame_len
    }

    fn check_room(&self, needed_bytes: usize, out: &[u8]) -> Result<(), SealError> {
        match self.failed {
            Some(error) => Err(error),
            None if out.len() < needed_bytes => Err(SealError::OutputTooShort {
                needed_bytes,
                len_bytes: out.len(),
            }),
            None => Ok(()),
        }
    }

    fn write_to(
        &mut self,
        threads: NonZeroUsize,
        plaintext: &[u8],
        out: &mut impl Output,
    ) -> Result<(), SealError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let start = out.as_slice().len();
        self.seal_frames(plaintext, threads, out)
            .inspect_err(|error| self.failed = Some(*error))?;
        if let Some(signer) = &mut self.signer {
            signer.update(&out.as_slice()[start..]);
        }
        Ok(())
    }

    fn finish_to(mut self, out: &mut impl Output) -> Result<(), SealError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let number = self
            .sealed_frames
            .checked_add(1)
            .ok_or(SealError::TooManyFrames { most: FRAMES_MOST })?;
        let signer = self.signer.take();
        let frame_len = self.finish_len();
        let footer_len = signer.as_ref().map_or(0, |_| FOOTER_LEN_BYTES);
        let finished = out.append_with(frame_len + footer_len, |sealed| {
            let (frame, footer) = sealed.split_at_mut(frame_len);
            self.key
                .seal_frame(FrameKind::Final, number, &self.held, frame)?;
            if let Some(mut signer) = signer {
                signer.update(frame);
                footer.copy_from_slice(&signer.footer()?);
            }
            Ok(())
        });
        finished.map_err(|_: Unspecified| SealError::CipherFailed)
    }

    fn seal_frames(
        &mut self,
        plaintext: &[u8],
        threads: NonZeroUsize,
        out: &mut impl Output,
    ) -> Result<(), SealError> {
        let mut rest = plaintext;
        let mut frames = self.frames_in(rest.len());
        if frames > 0 && !self.held.is_empty() {
            // Not from two places, as the library's `extra_in` would allow to save a copy: it was measured and is no faster.
            rest = self.hold(rest);
            self.seal_regular(&self.held, out)?;
            self.held.clear();
            self.sealed_frames += 1;
            frames -= 1;
        }
        let (whole, rest) = rest.split_at(frames * self.frame_len);
        if Run::is_worth_threads(whole.len(), threads) {
            self.seal_run(whole, threads, out)?;
        } else {
            for plaintext in whole.chunks_exact(self.frame_len) {
                self.seal_regular(plaintext, out)?;
                self.sealed_frames += 1;
            }
        }
        self.hold(rest);
        Ok(())
    }

    /// Seals `plaintext` as the next regular frame.
    fn seal_regular(&self, plaintext: &[u8], out: &mut impl Output) -> Result<(), SealError> {
        let number = self.next_regular_number()?;
        out.append_with(plaintext.len() + REGULAR_OVERHEAD_BYTES, |sealed| {
            self.key
                .seal_frame(FrameKind::Regular, number, plaintext, sealed)
        })
        .map_err(|_| SealError::CipherFailed)
    }

    fn seal_run(
        &mut self,
        whole: &[u8],
        threads: NonZeroUsize,
        out: &mut impl Output,
    ) -> Result<(), SealError> {
        let first = self.next_regular_number()?;
        let last = u32::try_from(whole.len() / self.frame_len)
            .ok()
            .and_then(|frames| self.sealed_frames.checked_add(frames))
            .filter(|last| *last < FRAMES_MOST)
            .ok_or(SealError::TooManyFrames { most: FRAMES_MOST })?;
        let sealed_len =
            whole.len() + (last - self.sealed_frames) as usize * REGULAR_OVERHEAD_BYTES;
        let run = Run {
            key: &self.key,
            frame_len: self.frame_len,
            first,
        };
        out.append_with(sealed_len, |sealed| run.seal(whole, threads, sealed))
            .map_err(|_| SealError::CipherFailed)?;
        self.sealed_frames = last;
        Ok(())
    }

    /// Fills the held frame from `plaintext`; gives what did not fit.
    fn hold<'a>(&mut self, plaintext: &'a [u8]) -> &'a [u8] {
        if plaintext.is_empty() {
            return plaintext;
        }
        if self.held.capacity() == 0 {
            self.held.reserve_exact(self.frame_len);
        }
        let room = self.frame_len - self.held.len();
        let (fits, rest) = plaintext.split_at(room.min(plaintext.len()));
        self.held.extend_from_slice(fits);
        self.held_most = self.held_most.max(self.held.len());
        rest
    }

    /// Wipes all that was ever held. No allocation: the whole frame was reserved before its first byte.
    fn wipe_held(&mut self) {
        self.held.resize(self.held_most, 0);
        wipe(&mut self.held);
    }

    fn next_regular_number(&self) -> Result<u32, SealError> {
        // The highest number is left to the final frame: as a regular frame's it would read as the final mark.
        match self.sealed_frames + 1 {
            FRAMES_MOST => Err(SealError::TooManyFrames { most: FRAMES_MOST }),
            number => Ok(number),
        }
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.wipe_held();
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};

    use super::*;
    use crate::limits::SEAL_PART_LEN_BYTES;

    fn sealer_after(sealed_frames: u32) -> Sealer {
        let data_key = DataKey::generate().unwrap();
        let recipient = Recipient::new(b"id", b"info", b"wrapped").unwrap();
        let settings = SealSettings {
            frame_len_bytes: 1,
            header_len_bytes: None,
        };
        let (mut sealer, _) = Sealer::begin(&data_key, &Context::empty(), &[recipient], settings)
            .ok()
            .unwrap();
        sealer.sealed_frames = sealed_frames;
        sealer
    }

    #[test]
    fn frame_numbers_end_before_they_read_as_the_final_mark() {
        let too_many = Err(SealError::TooManyFrames { most: FRAMES_MOST });
        let mut out = Vec::new();
        let mut sealer = sealer_after(FRAMES_MOST - 2);
        assert_eq!(sealer.write(b"ab", &mut out), Ok(()));
        assert_eq!(out.len(), 33);
        assert_eq!(sealer.write(b"c", &mut out), too_many);
        assert_eq!(sealer.write(b"", &mut out), too_many);
        assert_eq!(sealer.finish(&mut out), too_many);
        assert_eq!(out.len(), 33);

        let mut sealer = sealer_after(FRAMES_MOST - 1);
        assert_eq!(sealer.write(b"a", &mut out), Ok(()));
        assert_eq!(sealer.finish(&mut out), Ok(()));
        assert_eq!(out[33..41], [0xFF; 8]);
    }

    #[test]
    fn all_that_was_ever_held_is_wiped() {
        let mut sealer = sealer_after(0);
        sealer.frame_len = 100;
        let mut out = Vec::new();
        for chunk in [70, 50, 40] {
            sealer.write(&vec![7; chunk], &mut out).unwrap();
        }
        assert_eq!((sealer.held.len(), sealer.held_most), (60, 100));
        sealer.wipe_held();
        assert_eq!(sealer.held, [0; 100]);
    }

    #[test]
    fn several_cores_write_the_same_bytes() {
        let plaintext: Vec<u8> = (0..9_000_001_u32).map(|i| (i >> 7) as u8).collect();
        for (frame_len_bytes, first_len, threads) in [
            (65_536, 0, 2),
            (65_536, 1, 3),
            (65_536, 65_536, 4),
            (100_000, 99_999, 1000),
            (4 << 20, 5, 2),
            (1000, 4_000_000, 2),
        ] {
            let settings = SealSettings {
                frame_len_bytes,
                header_len_bytes: None,
            };
            let begin = || {
                let data_key = DataKey::from_bytes(&[3; 32]);
                let recipient = Recipient::new(b"id", b"info", b"wrapped").unwrap();
                let context = Context::empty();
                let (sealer, _) = Sealer::begin(&data_key, &context, &[recipient], settings)
                    .ok()
                    .unwrap();
                sealer
            };
            let (mut alone, mut together) = (begin(), begin());
            // The same message twice, as only a test may write it.
            for sealer in [&mut alone, &mut together] {
                let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap();
                sealer.key = MessageKey::new(LessSafeKey::new(key), [9; 32]);
            }
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            alone.write(&plaintext, &mut expected).unwrap();
            alone.finish(&mut expected).unwrap();
            let threads = NonZeroUsize::new(threads).unwrap();
            let (first, rest) = plaintext.split_at(first_len);
            together.write_on(threads, first, &mut found).unwrap();
            together.write_on(threads, rest, &mut found).unwrap();
            together.finish(&mut found).unwrap();
            assert!(expected == found, "{frame_len_bytes}, {first_len}");
        }
    }

    #[test]
    fn a_run_ends_before_the_final_mark_too() {
        let plaintext = vec![0; 4 * SEAL_PART_LEN_BYTES];
        let mut sealer = sealer_after(FRAMES_MOST - 3);
        let mut out = Vec::new();
        let two = NonZeroUsize::new(2).unwrap();
        assert_eq!(
            sealer.write_on(two, &plaintext, &mut out),
            Err(SealError::TooManyFrames { most: FRAMES_MOST })
        );
        assert_eq!(out, b"");

        // With the last number that a regular frame may have, and one byte for the final frame.
        let frames = 64;
        sealer = sealer_after(FRAMES_MOST - 1 - frames);
        sealer.frame_len = plaintext.len() / frames as usize;
        sealer.write_on(two, &plaintext, &mut out).unwrap();
        assert_eq!(out.len(), 63 * (sealer.frame_len + 32));
        sealer.write_on(two, &[0], &mut out).unwrap();
        assert_eq!(sealer.sealed_frames, FRAMES_MOST - 1);
        assert!(sealer.write_on(two, &plaintext, &mut out).is_err());
    }

    #[test]
    fn a_run_may_end_with_the_last_regular_number() {
        let frames = 32_u32;
        let plaintext = vec![0; frames as usize * 65_536];
        let mut sealer = sealer_after(FRAMES_MOST - 1 - frames);
        sealer.frame_len = 65_536;
        let mut out = Vec::new();
        let two = NonZeroUsize::new(2).unwrap();
        sealer.seal_run(&plaintext, two, &mut out).unwrap();
        assert_eq!(out[31 * 65_568..][..4], (FRAMES_MOST - 1).to_be_bytes());
        assert_eq!(sealer.finish(&mut out), Ok(()));
        assert_eq!(out[32 * 65_568..][..8], [0xFF; 8]);
    }
}
