//! Frames that are refused, and that nothing of them is released.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use sealgate_envelope::{Refusal, RefusalReason};
use support::Message;

/// A regular frame of `Message::small`: number, IV, 64 bytes, tag.
const FRAME: usize = 96;

fn refuse(message: &Message, body: &[u8]) -> (usize, Refusal) {
    let (released, result) = message.open_body(body, &[]);
    let refusal = result.expect_err("refused");
    for chunk_lens in [&[1][..], &[FRAME], &[7, 200]] {
        let (again, result) = message.open_body(body, chunk_lens);
        assert_eq!(
            (again.len(), result),
            (released.len(), Err(refusal)),
            "chunks of {chunk_lens:?}"
        );
    }
    assert_eq!(released, message.plaintext[..released.len()]);
    (released.len(), refusal)
}

fn at(message: &Message, within_body: usize, reason: RefusalReason) -> Refusal {
    Refusal {
        offset: (message.header_len + within_body) as u64,
        reason,
    }
}

#[test]
fn a_flipped_bit_in_any_frame_releases_nothing_of_it() {
    let message = Message::small();
    for bit in 0..message.body().len() * 8 {
        let mut body = message.body().to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        let (released, refusal) = refuse(&message, &body);
        let frame = (bit / 8 / FRAME).min(3);
        assert_eq!(released, frame * 64, "bit {bit}: {refusal}");
        assert!(
            refusal.offset >= (message.header_len + frame * FRAME) as u64,
            "bit {bit}: {refusal}"
        );
    }
}

#[test]
fn each_field_of_a_frame_has_its_refusal() {
    let message = Message::small();
    let reason = |byte: usize| {
        let mut body = message.body().to_vec();
        body[byte] ^= 1;
        refuse(&message, &body).1
    };
    assert_eq!(
        reason(3),
        at(
            &message,
            0,
            RefusalReason::FrameOutOfOrder {
                expected: 1,
                found: 0
            }
        )
    );
    assert_eq!(
        reason(FRAME + 15),
        at(&message, FRAME + 4, RefusalReason::FrameNonce { frame: 2 })
    );
    assert_eq!(
        reason(FRAME + 16),
        at(
            &message,
            FRAME,
            RefusalReason::FrameTagMismatch { frame: 2 }
        )
    );
    assert_eq!(
        reason(FRAME - 1),
        at(&message, 0, RefusalReason::FrameTagMismatch { frame: 1 })
    );
    let last = 3 * FRAME;
    assert_eq!(
        reason(last + 7),
        at(
            &message,
            last + 4,
            RefusalReason::FrameOutOfOrder {
                expected: 4,
                found: 5
            }
        )
    );
    assert_eq!(
        reason(last + 19),
        at(&message, last + 8, RefusalReason::FrameNonce { frame: 4 })
    );
    assert_eq!(
        reason(last + 24),
        at(&message, last, RefusalReason::FrameTagMismatch { frame: 4 })
    );
    let mut body = message.body().to_vec();
    body[last + 23] = 65;
    let too_long = RefusalReason::FinalFrameTooLong {
        len_bytes: 65,
        most: 64,
    };
    assert_eq!(refuse(&message, &body).1, at(&message, last + 20, too_long));
}

#[test]
fn a_cut_at_every_byte_misses_the_final_frame() {
    let message = Message::small();
    for cut in 0..message.body().len() {
        let (released, refusal) = refuse(&message, &message.body()[..cut]);
        assert_eq!(refusal, at(&message, cut, RefusalReason::FinalFrameMissing));
        assert_eq!(released, (cut / FRAME).min(3) * 64);
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let message = Message::small();
    let end = message.body().len();
    for tail in [&b"\0"[..], message.body(), &message.bytes] {
        let body = [message.body(), tail].concat();
        let (released, refusal) = refuse(&message, &body);
        assert_eq!(refusal, at(&message, end, RefusalReason::BytesAfterEnd));
        assert_eq!(released, message.plaintext.len());
    }
}

#[test]
fn frames_swapped_left_out_or_twice_are_refused() {
    let message = Message::small();
    let frames: Vec<&[u8]> = message.body().chunks(FRAME).collect();
    let build = |order: &[usize]| {
        order
            .iter()
            .flat_map(|i| frames[*i].to_vec())
            .collect::<Vec<u8>>()
    };
    let out_of_order = |expected, found| RefusalReason::FrameOutOfOrder { expected, found };
    let cases = [
        (&[1, 0, 2, 3][..], 0, out_of_order(1, 2)),
        (&[0, 2, 3], 1, out_of_order(2, 3)),
        (&[0, 0, 1, 2, 3], 1, out_of_order(2, 1)),
    ];
    for (order, at_frame, reason) in cases {
        let (released, refusal) = refuse(&message, &build(order));
        assert_eq!(
            (released, refusal),
            (at_frame * 64, at(&message, at_frame * FRAME, reason)),
            "{order:?}"
        );
    }
    // The final frame too early: its number, after the mark, is not the next.
    let (released, refusal) = refuse(&message, &build(&[0, 3]));
    assert_eq!(
        (released, refusal),
        (64, at(&message, FRAME + 4, out_of_order(2, 4)))
    );
}

#[test]
fn a_frame_of_another_message_is_refused() {
    let (message, other) = (Message::small(), Message::small());
    let body = [&message.body()[..FRAME], &other.body()[FRAME..]].concat();
    let (released, refusal) = refuse(&message, &body);
    assert_eq!(
        (released, refusal),
        (
            64,
            at(
                &message,
                FRAME,
                RefusalReason::FrameTagMismatch { frame: 2 }
            )
        )
    );
}

#[test]
fn a_regular_frame_does_not_pass_as_the_final_one() {
    let message = Message::small();
    let regular = &message.body()[..FRAME];
    let mut as_final = vec![0xFF; 4];
    as_final.extend_from_slice(&regular[..16]);
    as_final.extend_from_slice(&64_u32.to_be_bytes());
    as_final.extend_from_slice(&regular[16..]);
    let (released, refusal) = refuse(&message, &as_final);
    assert_eq!(
        (released, refusal),
        (
            0,
            at(&message, 0, RefusalReason::FrameTagMismatch { frame: 1 })
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_the_opener_panic(
        start in 0_usize..400,
        bytes in vec(any::<u8>(), 0..500),
        chunk_lens in vec(1_usize..300, 0..4),
    ) {
        let message = Message::small();
        let start = start.min(message.body().len() - 1);
        let mut body = message.body()[..start].to_vec();
        body.extend_from_slice(&bytes);
        prop_assume!(!body.starts_with(message.body()));
        let (released, result) = message.open_body(&body, &chunk_lens);
        prop_assert!(result.is_err());
        prop_assert_eq!(&released[..], &message.plaintext[..released.len()]);
    }
}
