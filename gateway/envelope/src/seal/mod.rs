//! Sealing: plaintext of any chunking in, header and frames out.

pub(crate) mod begin;
mod parallel;

pub use begin::{SealError, SealSettings};

use begin::Begun;
use parallel::Run;

use std::num::NonZeroUsize;

use aws_lc_rs::aead::{Aad, LessSafeKey};
use zeroize::Zeroize;

use crate::context::Context;
use crate::data_key::DataKey;
use crate::frame::{self, FINAL_OVERHEAD_BYTES, FrameAad, FrameKind, REGULAR_OVERHEAD_BYTES};
use crate::header::TAG_LEN_BYTES;
use crate::limits::FRAMES_MOST;
use crate::recipient::Recipient;
use crate::signature::{FOOTER_LEN_BYTES, Signer};
use crate::suite::{MESSAGE_ID_LEN_BYTES, Suite};

/// Seals one message, suite `0x0478`, or `0x0578` where it is asked for with [`Sealer::begin_signed`].
///
/// It holds the message key, which the library wipes on drop, and at most one frame of plaintext, which is wiped on drop. It has no
/// `Debug`. Drop it instead of calling [`Sealer::finish`] to abandon a message: what was written then has no final frame, and every reader
/// refuses it.
pub struct Sealer {
    key: LessSafeKey,
    message_id: [u8; MESSAGE_ID_LEN_BYTES],
    frame_len: usize,
    /// Regular frames sealed so far.
    sealed_frames: u32,
    /// Plaintext that may yet turn out to be the final frame. Reserved whole before its first byte, so that it never moves.
    held: Vec<u8>,
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
            message_id: begun.message_id,
            frame_len: settings.frame_len_bytes as usize,
            sealed_frames: 0,
            held: Vec::new(),
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
        if let Some(error) = self.failed {
            return Err(error);
        }
        let start = out.len();
        self.seal_frames(plaintext, threads, out)
            .inspect_err(|error| self.failed = Some(*error))?;
        if let Some(signer) = &mut self.signer {
            signer.update(&out[start..]);
        }
        Ok(())
    }

    /// Ends the message: appends the final frame to `out`, and the footer of a signed one. An empty plaintext has an empty final frame.
    ///
    /// # Errors
    /// [`SealError::TooManyFrames`] or [`SealError::CipherFailed`]; `out` is as it was.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), SealError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let number = self
            .sealed_frames
            .checked_add(1)
            .ok_or(SealError::TooManyFrames { most: FRAMES_MOST })?;
        let len = u32::try_from(self.held.len()).expect("at most one frame is held");
        out.reserve(self.held.len() + FINAL_OVERHEAD_BYTES);
        let start = out.len();
        frame::write_final_head(out, number, len);
        self.seal_held(FrameKind::Final, number, out, start)?;
        let Some(mut signer) = self.signer.take() else {
            return Ok(());
        };
        signer.update(&out[start..]);
        signer.write_footer(out).map_err(|_| {
            out.truncate(start);
            SealError::CipherFailed
        })
    }

    /// Most bytes that the next [`Sealer::write`] of `plaintext_len` bytes, or [`Sealer::finish`] after it, appends in total.
    #[must_use]
    pub fn output_len_most(&self, plaintext_len: usize) -> usize {
        let len = self.held.len() + plaintext_len;
        let footer_len = self.signer.as_ref().map_or(0, |_| FOOTER_LEN_BYTES);
        len + len / self.frame_len * REGULAR_OVERHEAD_BYTES + FINAL_OVERHEAD_BYTES + footer_len
    }

    fn seal_frames(
        &mut self,
        plaintext: &[u8],
        threads: NonZeroUsize,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let mut rest = plaintext;
        let mut frames = (self.held.len() + rest.len()).saturating_sub(1) / self.frame_len;
        out.reserve(frames * (self.frame_len + REGULAR_OVERHEAD_BYTES));
        if frames > 0 && !self.held.is_empty() {
            let number = self.next_regular_number()?;
            let start = out.len();
            out.extend_from_slice(&frame::regular_head(number));
            rest = self.hold(rest);
            self.seal_held(FrameKind::Regular, number, out, start)?;
            self.sealed_frames = number;
            frames -= 1;
        }
        let (whole, rest) = rest.split_at(frames * self.frame_len);
        if Run::is_worth_threads(whole.len(), threads) {
            self.seal_run(whole, threads, out)?;
        } else {
            for plaintext in whole.chunks_exact(self.frame_len) {
                let number = self.next_regular_number()?;
                let start = out.len();
                out.extend_from_slice(&frame::regular_head(number));
                self.seal_regular(number, plaintext, out, start)?;
                self.sealed_frames = number;
            }
        }
        self.hold(rest);
        Ok(())
    }

    fn seal_run(
        &mut self,
        whole: &[u8],
        threads: NonZeroUsize,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let first = self.next_regular_number()?;
        let last = u32::try_from(whole.len() / self.frame_len)
            .ok()
            .and_then(|frames| self.sealed_frames.checked_add(frames))
            .filter(|last| *last < FRAMES_MOST)
            .ok_or(SealError::TooManyFrames { most: FRAMES_MOST })?;
        let run = Run {
            key: &self.key,
            message_id: &self.message_id,
            frame_len: self.frame_len,
            first,
        };
        run.seal(whole, threads, out)
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
        rest
    }

    fn next_regular_number(&self) -> Result<u32, SealError> {
        // The highest number is left to the final frame: as a regular frame's it would read as the final mark.
        match self.sealed_frames + 1 {
            FRAMES_MOST => Err(SealError::TooManyFrames { most: FRAMES_MOST }),
            number => Ok(number),
        }
    }

    /// Appends ciphertext and tag of `plaintext` after a frame's head, which begins at `start`; takes the head back on failure.
    fn seal_regular(
        &self,
        number: u32,
        plaintext: &[u8],
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), SealError> {
        let ciphertext_at = out.len();
        out.resize(ciphertext_at + plaintext.len() + TAG_LEN_BYTES, 0);
        let (ciphertext, tag) = out[ciphertext_at..].split_at_mut(plaintext.len());
        let aad = FrameAad::new(
            &self.message_id,
            FrameKind::Regular,
            number,
            plaintext.len(),
        );
        let (nonce, aad) = (frame::nonce(number), Aad::from(aad));
        let sealed =
            self.key
                .seal_out_of_place_scatter(nonce, aad, plaintext, ciphertext, &[], tag);
        sealed.map_err(|_| {
            out.truncate(start);
            SealError::CipherFailed
        })
    }

    /// As [`Sealer::seal_regular`] with the held plaintext. It is sealed where it is and then copied, so that sealing wipes it: wiping it
    /// afterwards would cost more than sealing.
    fn seal_held(
        &mut self,
        kind: FrameKind,
        number: u32,
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), SealError> {
        let aad = FrameAad::new(&self.message_id, kind, number, self.held.len());
        let (nonce, aad) = (frame::nonce(number), Aad::from(aad));
        match self
            .key
            .seal_in_place_separate_tag(nonce, aad, &mut self.held)
        {
            Ok(tag) => {
                out.extend_from_slice(&self.held);
                out.extend_from_slice(tag.as_ref());
                self.held.clear();
                Ok(())
            }
            Err(_) => {
                out.truncate(start);
                Err(SealError::CipherFailed)
            }
        }
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        // What lies behind the length is ciphertext: nothing leaves the held frame but by sealing in place.
        self.held.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_256_GCM, UnboundKey};

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
            alone.message_id = [9; 32];
            together.message_id = [9; 32];
            for sealer in [&mut alone, &mut together] {
                let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap();
                sealer.key = LessSafeKey::new(key);
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
