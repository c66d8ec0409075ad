//! What was sealed opens again, whatever the chunks, and is as long as the sizes say.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use sealgate_envelope::{SealSettings, sizes};
use support::{Message, header, plaintext};

fn settings(frame_len_bytes: u32) -> SealSettings {
    SealSettings {
        frame_len_bytes,
        ..SealSettings::default()
    }
}

fn check(message: &Message, chunk_lens: &[usize]) {
    let (released, finished) = message.open_body(message.body(), chunk_lens);
    assert_eq!(released, message.plaintext);
    assert_eq!(finished, Ok(message.plaintext.len() as u64));
    let (header_len, frame_len) = (
        message.header_len as u64,
        u32::try_from(message.frame_len).unwrap(),
    );
    let (plaintext_len, sealed_len) = (message.plaintext.len() as u64, message.bytes.len() as u64);
    assert_eq!(
        sizes::sealed_len(plaintext_len, header_len, frame_len),
        Some(sealed_len)
    );
    assert_eq!(
        sizes::opened_len(sealed_len, header_len, frame_len),
        Some(plaintext_len)
    );
}

#[test]
fn sizes_around_the_frame_length() {
    for frame_len in [1_u32, 2, 16, 1000, 65_536] {
        let f = frame_len as usize;
        for len in [0, 1, f - 1, f, f + 1, 2 * f - 1, 2 * f, 2 * f + 1, 5 * f] {
            for chunk_lens in [&[][..], &[1], &[f], &[f + 1], &[3 * f], &[1, f, 7]] {
                if chunk_lens == [1] && f > 1000 {
                    continue;
                }
                let message = Message::seal(plaintext(len), settings(frame_len), chunk_lens);
                check(&message, &[]);
                check(&message, chunk_lens);
            }
        }
    }
}

#[test]
fn regular_frames_leave_as_soon_as_another_byte_follows() {
    let (data_key, context) = (
        sealgate_envelope::DataKey::generate().unwrap(),
        support::context(),
    );
    let recipients = support::recipients(&data_key, &context);
    let (mut sealer, _header) =
        sealgate_envelope::Sealer::begin(&data_key, &context, &recipients, settings(10))
            .ok()
            .unwrap();
    let mut out = Vec::new();
    for written in 1..=100 {
        let most = sealer.output_len_most(1);
        let before = out.len();
        sealer.write(b"x", &mut out).unwrap();
        assert_eq!(out.len(), (written - 1) / 10 * 42, "after {written} bytes");
        assert!(out.len() - before <= most);
    }
    sealer.finish(&mut out).unwrap();
    assert_eq!(out.len(), 9 * 42 + 40 + 10);
}

#[test]
fn a_frames_plaintext_leaves_with_its_last_byte() {
    let message = Message::small();
    let (mut opener, mut released) = (message.opener(), Vec::new());
    for (i, byte) in message.body().iter().enumerate() {
        let most = opener.output_len_most(1);
        let before = released.len();
        opener.write(&[*byte], &mut released).unwrap();
        assert!(released.len() - before <= most);
        let whole_frames = (i + 1) / 96;
        let is_all = i + 1 == message.body().len();
        assert_eq!(
            released.len(),
            if is_all {
                3 * 64 + 10
            } else {
                whole_frames.min(3) * 64
            },
            "after {} bytes",
            i + 1
        );
        assert_eq!(opener.is_at_end(), is_all);
    }
}

#[test]
fn a_fixed_header_has_its_length_and_reads_back() {
    for fixed in [512_u32, 1024, 4096, 65_536] {
        let settings = SealSettings {
            frame_len_bytes: 64,
            header_len_bytes: Some(fixed),
        };
        let message = Message::seal(plaintext(100), settings, &[]);
        assert_eq!(message.header_len, fixed as usize);
        let (header, len_bytes) = header(&message.bytes);
        assert_eq!(len_bytes, fixed as usize);
        assert_eq!(header.as_bytes(), &message.bytes[..len_bytes]);
        assert_eq!(header.context(), &support::context());
        let providers: Vec<_> = header
            .recipients()
            .map(|recipient| recipient.provider_id.to_vec())
            .collect();
        assert_eq!(
            providers,
            [&b"sealgate/5f0c"[..], b"sealgate/5f0c", b"sealgate-pad"]
        );
        assert!(
            header
                .recipients()
                .all(|recipient| !recipient.provider_info.is_empty())
        );
        check(&message, &[]);
    }
}

#[test]
fn messages_share_nothing() {
    let (a, b) = (Message::small(), Message::small());
    assert_ne!(a.bytes[3..35], b.bytes[3..35], "message ids");
    assert_ne!(a.body(), b.body());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_chunking_of_any_size(
        len in 0_usize..5000,
        frame_len in prop_oneof![1_u32..40, 500_u32..2000],
        seal_chunks in vec(1_usize..3000, 1..6),
        open_chunks in vec(1_usize..3000, 1..6),
        header_len_bytes in prop_oneof![Just(None), Just(Some(512)), Just(Some(1024))],
    ) {
        let settings = SealSettings { frame_len_bytes: frame_len, header_len_bytes };
        check(&Message::seal(plaintext(len), settings, &seal_chunks), &open_chunks);
    }

    #[test]
    fn sizes_invert(len in any::<u64>(), header_len in 0_u64..65_536, frame_len in 1_u32..=(4 << 20)) {
        if let Some(sealed_len) = sizes::sealed_len(len, header_len, frame_len) {
            prop_assert_eq!(sizes::opened_len(sealed_len, header_len, frame_len), Some(len));
        }
        if let Some(opened_len) = sizes::opened_len(len, header_len, frame_len) {
            // Only another writer's empty final frame makes it longer than ours.
            let ours = sizes::sealed_len(opened_len, header_len, frame_len).unwrap();
            prop_assert!(ours == len || ours + 32 == len);
        }
    }
}
