//! Sealing a run of regular frames on several cores. Frames are independent: a frame's nonce is its number and its place follows from it,
//! so who seals it, and when, changes no byte of the message.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use aws_lc_rs::error::Unspecified;

use crate::frame::{FrameKind, REGULAR_OVERHEAD_BYTES};
use crate::limits::{SEAL_PART_LEN_BYTES, SEAL_THREADS_MOST};
use crate::message_key::MessageKey;

/// What a run of frames is sealed under.
pub(super) struct Run<'a> {
    pub(super) key: &'a MessageKey,
    pub(super) frame_len: usize,
    /// Number of the first frame. The caller has checked that the last one's is below the final mark.
    pub(super) first: u32,
}

/// Frames that one thread seals before it looks for more: their first number, plaintext, and where they go.
type Part<'a> = (u32, &'a [u8], &'a mut [u8]);

impl Run<'_> {
    /// Whether so much plaintext is worth more than one thread.
    pub(super) fn is_worth_threads(plaintext_len: usize, threads: NonZeroUsize) -> bool {
        threads.get() > 1 && plaintext_len >= 2 * SEAL_PART_LEN_BYTES
    }

    /// Seals `plaintext`, whole frames all of it: fills `sealed`, which has the frames' length.
    pub(super) fn seal(
        &self,
        plaintext: &[u8],
        threads: NonZeroUsize,
        sealed: &mut [u8],
    ) -> Result<(), Unspecified> {
        let frames_in_part = (SEAL_PART_LEN_BYTES / self.frame_len).max(1);
        let sealed_len = frames_in_part * (self.frame_len + REGULAR_OVERHEAD_BYTES);
        // Numbers come last in each zip: they are not counted on past the end, where they would overflow.
        let parts = plaintext
            .chunks(frames_in_part * self.frame_len)
            .zip(sealed.chunks_mut(sealed_len))
            .zip((self.first..).step_by(frames_in_part))
            .map(|((plaintext, sealed), first)| (first, plaintext, sealed));
        let parts = Mutex::new(parts);
        let failed = AtomicBool::new(false);
        let work = || {
            while let Some(part) = next(&parts) {
                if self.seal_part(part).is_err() {
                    failed.store(true, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads.get().min(SEAL_THREADS_MOST) {
                // This thread works as well, so one that the system does not give is only missed.
                if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        if failed.into_inner() {
            return Err(Unspecified);
        }
        Ok(())
    }

    fn seal_part(&self, (first, plaintext, sealed): Part<'_>) -> Result<(), Unspecified> {
        let frames = plaintext
            .chunks_exact(self.frame_len)
            .zip(sealed.chunks_exact_mut(self.frame_len + REGULAR_OVERHEAD_BYTES));
        for ((plaintext, sealed), number) in frames.zip(first..) {
            self.key
                .seal_frame(FrameKind::Regular, number, plaintext, sealed)?;
        }
        Ok(())
    }
}

fn next<T>(parts: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    // Nothing that can panic runs under the lock.
    parts.lock().ok()?.next()
}
