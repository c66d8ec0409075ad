//! Sealing into and opening into buffers that the caller keeps: the same bytes as with vectors, exact lengths, and no plaintext in a
//! buffer that did not verify.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use std::num::NonZeroUsize;

use proptest::collection::vec;
use proptest::prelude::*;
use sealgate_envelope::{
    Context, DataKey, OpenIntoError, Recipient, Refusal, RefusalReason, SealError, SealSettings,
    Sealer, Signer,
};
use support::{Message, plaintext};

/// What stands in a buffer before: neither a plaintext nor a wiped byte.
const BEFORE: u8 = 0xAA;
/// A regular frame of `Message::small`: number, IV, 64 bytes, tag.
const FRAME: usize = 96;

/// Seals in chunks into one buffer that is used over and over; each call writes as many bytes as it said.
fn seal(plaintext: &[u8], frame_len_bytes: u32, chunk_lens: &[usize]) -> Message {
    let settings = SealSettings {
        frame_len_bytes,
        ..SealSettings::default()
    };
    let (data_key, context) = (DataKey::generate().unwrap(), support::context());
    let recipients = support::recipients(&data_key, &context);
    let (mut sealer, mut bytes) = Sealer::begin(&data_key, &context, &recipients, settings)
        .ok()
        .unwrap();
    let header_len = bytes.len();
    let mut buffer = vec![BEFORE; plaintext.len() * 40 + 100];
    for chunk in support::chunks(plaintext, chunk_lens) {
        let len = sealer.write_len(chunk.len());
        let most = sealer.output_len_most(chunk.len());
        assert_eq!(sealer.write_into(chunk, &mut buffer[..len]), Ok(len));
        assert_eq!(len + sealer.finish_len(), most);
        bytes.extend_from_slice(&buffer[..len]);
    }
    let len = sealer.finish_len();
    assert_eq!(sealer.finish_into(&mut buffer), Ok(len));
    bytes.extend_from_slice(&buffer[..len]);
    Message {
        bytes,
        header_len,
        frame_len: frame_len_bytes as usize,
        plaintext: plaintext.to_vec(),
        data_key,
    }
}

/// Opens `body` in chunks, each into a buffer that is just long enough. Gives what verified, and the last buffer whole.
fn open(
    message: &Message,
    body: &[u8],
    chunk_lens: &[usize],
) -> (Vec<u8>, Vec<u8>, Result<u64, Refusal>) {
    let (mut opener, mut released) = (message.opener(), Vec::new());
    for chunk in support::chunks(body, chunk_lens) {
        let mut buffer = vec![BEFORE; opener.output_len_most(chunk.len())];
        match opener.write_into(chunk, &mut buffer) {
            Ok(written) => released.extend_from_slice(&buffer[..written]),
            Err(OpenIntoError::Refused { refusal, written }) => {
                released.extend_from_slice(&buffer[..written]);
                let again = opener.write_into(chunk, &mut []);
                let expected = OpenIntoError::Refused {
                    refusal,
                    written: 0,
                };
                assert_eq!(again, Err(expected), "a refusal is final");
                return (released, buffer.split_off(written), Err(refusal));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let finished = opener.finish().map(|whole| whole.plaintext_len_bytes());
    (released, Vec::new(), finished)
}

#[test]
fn buffers_of_the_announced_length_are_enough_at_every_size() {
    for frame_len in [1_u32, 16, 1000] {
        let f = frame_len as usize;
        for len in [0, 1, f - 1, f, f + 1, 2 * f, 5 * f + 1] {
            for chunk_lens in [&[][..], &[1], &[f], &[f + 1], &[3 * f], &[1, f, 7]] {
                let message = seal(&plaintext(len), frame_len, chunk_lens);
                let (released, finished) = message.open_body(message.body(), chunk_lens);
                assert_eq!((released, finished), (plaintext(len), Ok(len as u64)));
                for chunk_lens in [chunk_lens, &[], &[f + 32], &[f + 31, 33]] {
                    let (released, _, finished) = open(&message, message.body(), chunk_lens);
                    assert_eq!((released, finished), (plaintext(len), Ok(len as u64)));
                }
            }
        }
    }
}

#[test]
fn a_frame_and_a_chunk_are_always_room_enough() {
    let (frame_len, chunk_len) = (1000, 700);
    let message = seal(&plaintext(10_500), frame_len, &[]);
    let mut opener = message.opener();
    let mut buffer = vec![0; frame_len as usize + chunk_len];
    for chunk in message.body().chunks(chunk_len) {
        opener.write_into(chunk, &mut buffer).unwrap();
    }
    opener.finish().unwrap();
}

#[test]
fn whole_frames_need_exactly_their_plaintexts_room() {
    let message = Message::small();
    let opener = message.opener();
    assert_eq!(opener.output_len_most(FRAME), 64);
    assert_eq!(opener.output_len_most(3 * FRAME), 3 * 64);
    assert_eq!(opener.output_len_most(message.body().len()), 3 * 64 + 10);
}

#[test]
fn a_buffer_that_is_too_short_takes_nothing_and_a_longer_one_goes_on() {
    let expected = plaintext(3 * 64 + 10);
    let message = Message::small();
    let mut opener = message.opener();
    let mut buffer = [BEFORE; 256];
    let needed_bytes = expected.len();
    let error = opener.write_into(message.body(), &mut buffer[..needed_bytes - 1]);
    let too_short = OpenIntoError::OutputTooShort {
        needed_bytes,
        len_bytes: needed_bytes - 1,
    };
    assert_eq!(error, Err(too_short));
    assert_eq!(buffer, [BEFORE; 256]);
    assert_eq!(
        opener.write_into(message.body(), &mut buffer[..needed_bytes]),
        Ok(needed_bytes)
    );
    assert_eq!(buffer[..needed_bytes], expected);
    opener.finish().unwrap();

    let mut sealer = begin(&Recipient::new(b"id", b"info", b"wrapped").unwrap());
    let too_short = |needed_bytes, len_bytes| {
        Err(SealError::OutputTooShort {
            needed_bytes,
            len_bytes,
        })
    };
    let error = sealer.write_into(&expected, &mut buffer[..3 * FRAME - 1 - 64]);
    assert_eq!(error, too_short(3 * FRAME, 3 * FRAME - 65));
    let mut sealed = [BEFORE; 3 * FRAME];
    assert_eq!(sealer.write_into(&expected, &mut sealed), Ok(3 * FRAME));
    assert_eq!(sealed[2 * FRAME..][..4], 3_u32.to_be_bytes());
    assert_eq!(sealer.finish_into(&mut sealed[..49]), too_short(50, 49));
}

fn begin(recipient: &Recipient) -> Sealer {
    let data_key = DataKey::generate().unwrap();
    let settings = SealSettings {
        frame_len_bytes: 64,
        header_len_bytes: None,
    };
    let recipients = std::slice::from_ref(recipient);
    Sealer::begin(&data_key, &Context::empty(), recipients, settings)
        .ok()
        .unwrap()
        .0
}

#[test]
fn a_frame_that_does_not_verify_leaves_its_area_wiped_and_the_rest_alone() {
    let message = Message::small();
    // Alone in its chunk, from the held bytes, and between others.
    for chunk_lens in [&[FRAME][..], &[FRAME - 1], &[7, 200], &[]] {
        for bad in 0..4 {
            let mut body = message.body().to_vec();
            let at = bad * FRAME + 24;
            body[at] ^= 1;
            let (released, behind, result) = open(&message, &body, chunk_lens);
            let reason = RefusalReason::FrameTagMismatch {
                frame: bad as u32 + 1,
            };
            assert_eq!(result.unwrap_err().reason, reason);
            assert_eq!(released, message.plaintext[..bad * 64]);
            let bad_len = if bad == 3 { 10 } else { 64 };
            let (area, untouched) = behind.split_at(bad_len);
            assert!(area.iter().all(|byte| *byte == 0), "frame {bad}: {area:?}");
            assert!(
                untouched.iter().all(|byte| *byte == BEFORE),
                "frame {bad}: {untouched:?}"
            );
        }
    }
}

#[test]
fn a_vector_gives_nothing_of_a_bad_frame_back() {
    let message = Message::small();
    let mut body = message.body().to_vec();
    body[FRAME + 20] ^= 1;
    let (mut opener, mut out) = (message.opener(), b"before".to_vec());
    opener.write(&body, &mut out).unwrap_err();
    assert_eq!(out, [b"before", &message.plaintext[..64]].concat());
}

#[test]
fn a_signed_message_ends_in_a_buffer_too() {
    let (data_key, context) = (DataKey::generate().unwrap(), support::context());
    let signer = Signer::new(&context).unwrap();
    let recipients = support::recipients(&data_key, signer.context());
    let (settings, required) = (SealSettings::default(), Context::empty());
    let (mut sealer, mut bytes) =
        Sealer::begin_signed(&data_key, signer, &required, &recipients, settings)
            .ok()
            .unwrap();
    let header_len = bytes.len();
    let plaintext = plaintext(200_000);
    let mut buffer = vec![BEFORE; sealer.output_len_most(plaintext.len())];
    let written = sealer.write_into(&plaintext, &mut buffer).unwrap();
    let written = written + sealer.finish_into(&mut buffer[written..]).unwrap();
    assert_eq!(written, buffer.len());
    bytes.extend_from_slice(&buffer);
    let message = Message {
        bytes,
        header_len,
        frame_len: settings.frame_len_bytes as usize,
        plaintext,
        data_key,
    };
    let (released, _, finished) = open(&message, message.body(), &[70_000]);
    assert_eq!(
        (released, finished),
        (message.plaintext.clone(), Ok(200_000))
    );
}

#[test]
fn several_cores_fill_a_buffer() {
    let expected = plaintext(5_000_000);
    let mut sealer = begin(&Recipient::new(b"id", b"info", b"wrapped").unwrap());
    let mut buffer = vec![BEFORE; sealer.output_len_most(expected.len())];
    let (two, len) = (
        NonZeroUsize::new(2).unwrap(),
        sealer.write_len(expected.len()),
    );
    assert_eq!(sealer.write_into_on(two, &expected, &mut buffer), Ok(len));
    for (frame, number) in buffer[..len].chunks_exact(FRAME).zip(1_u32..) {
        assert_eq!(frame[..4], number.to_be_bytes());
    }
    assert!(buffer[len..].iter().all(|byte| *byte == BEFORE));
    assert_eq!(sealer.finish_into(&mut buffer[len..]), Ok(40 + 64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_chunking_of_any_size(
        len in 0_usize..5000,
        frame_len in prop_oneof![1_u32..40, 500_u32..2000],
        seal_chunks in vec(1_usize..3000, 1..6),
        open_chunks in vec(1_usize..3000, 1..6),
    ) {
        let message = seal(&plaintext(len), frame_len, &seal_chunks);
        let (released, _, finished) = open(&message, message.body(), &open_chunks);
        prop_assert_eq!((released, finished), (plaintext(len), Ok(len as u64)));
    }
}
