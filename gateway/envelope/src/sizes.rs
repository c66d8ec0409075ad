//! Sizes: how long a message is, and how long the plaintext is of a message that one sees from outside (`ENVELOPE.md`, "Sizes").
//!
//! With a header of known length (see [`crate::SealSettings::header_len_bytes`]) both are arithmetic. The inverse also holds for writers that end
//! with an empty final frame.

use crate::context::Context;
use crate::frame::{FINAL_OVERHEAD_BYTES, REGULAR_OVERHEAD_BYTES};
use crate::header;
use crate::limits::{FRAME_LEN_BYTES_MOST, FRAMES_MOST};
use crate::signature;

/// What a message of suite `0x0578` as [`crate::Sealer`] writes it adds after its final frame. Other writers may differ by a byte or two.
pub const FOOTER_LEN_BYTES: usize = signature::FOOTER_LEN_BYTES;

/// Length of a header with `context` and recipients of these lengths, tag included, before any pad. A pad fills it to the fixed length.
#[must_use]
pub fn header_len(
    context: &Context,
    recipient_lens_bytes: impl IntoIterator<Item = usize>,
) -> usize {
    header::header_len(
        context,
        recipient_lens_bytes
            .into_iter()
            .fold(0, usize::saturating_add),
    )
}

/// Length of the message of suite `0x0478` that [`crate::Sealer`] writes for `plaintext_len` bytes after a header of `header_len` bytes.
///
/// `None` when the frame length is out of range, or when no message is that long: 2^32-1 frames are the most.
#[must_use]
pub fn sealed_len(plaintext_len: u64, header_len: u64, frame_len: u32) -> Option<u64> {
    let frame_len = frame_len_in_range(frame_len)?;
    let regular_frames = plaintext_len.div_ceil(frame_len).saturating_sub(1);
    if regular_frames >= u64::from(FRAMES_MOST) {
        return None;
    }
    let overhead = regular_frames * REGULAR_OVERHEAD_BYTES as u64 + FINAL_OVERHEAD_BYTES as u64;
    plaintext_len.checked_add(overhead)?.checked_add(header_len)
}

/// Length of the plaintext of a message of `sealed_len` bytes with a header of `header_len` bytes.
///
/// `None` when no message has that length. Only the final frame's tag says that the message is whole.
#[must_use]
pub fn opened_len(sealed_len: u64, header_len: u64, frame_len: u32) -> Option<u64> {
    let frame_len = frame_len_in_range(frame_len)?;
    let body = sealed_len
        .checked_sub(header_len)?
        .checked_sub(FINAL_OVERHEAD_BYTES as u64)?;
    let regular_frame = frame_len + REGULAR_OVERHEAD_BYTES as u64;
    let (regular_frames, rest) = (body / regular_frame, body % regular_frame);
    if rest > frame_len || regular_frames >= u64::from(FRAMES_MOST) {
        return None;
    }
    Some(regular_frames * frame_len + rest)
}

fn frame_len_in_range(frame_len: u32) -> Option<u64> {
    (1..=FRAME_LEN_BYTES_MOST)
        .contains(&frame_len)
        .then_some(u64::from(frame_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_formula() {
        assert_eq!(sealed_len(0, 512, 1024), Some(512 + 40));
        assert_eq!(sealed_len(1024, 512, 1024), Some(512 + 40 + 1024));
        assert_eq!(sealed_len(1025, 512, 1024), Some(512 + 40 + 1025 + 32));
        assert_eq!(
            sealed_len(3 * 1024, 512, 1024),
            Some(512 + 40 + 3 * 1024 + 2 * 32)
        );
    }

    #[test]
    fn an_empty_final_frame_of_another_writer_counts_too() {
        assert_eq!(opened_len(512 + 1024 + 32 + 40, 512, 1024), Some(1024));
    }

    #[test]
    fn lengths_that_no_message_has() {
        assert_eq!(opened_len(512 + 39, 512, 1024), None);
        assert_eq!(opened_len(10, 512, 1024), None);
        assert_eq!(opened_len(512 + 40 + 1025, 512, 1024), None);
        assert_eq!(opened_len(512 + 40 + 1055, 512, 1024), None);
        assert_eq!(opened_len(512 + 40, 512, 0), None);
        assert_eq!(sealed_len(1, 512, FRAME_LEN_BYTES_MOST + 1), None);
    }

    #[test]
    fn the_frame_count_is_the_bound() {
        let most = u64::from(FRAMES_MOST);
        assert_eq!(sealed_len(most, 0, 1), Some(most + (most - 1) * 32 + 40));
        assert_eq!(sealed_len(most + 1, 0, 1), None);
        assert_eq!(sealed_len(u64::MAX, u64::MAX, 1), None);
        assert_eq!(sealed_len(5, u64::MAX, 1), None);
        assert_eq!(opened_len(u64::MAX, 0, 1), None);
    }
}
