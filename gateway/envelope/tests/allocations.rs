//! Sealing and opening allocate once for each message, for the held frame, and never for a frame.
//!
//! What is counted are calls of Rust's allocator in this thread.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use allocation_counter::measure;
use sealgate_envelope::{DataKey, Opener, RangeOpener, SealSettings, Sealer};
use support::{Message, header, plaintext};

const FRAME_LEN: usize = 64 * 1024;
const SEALED_FRAME_LEN: usize = FRAME_LEN + 32;
const FRAMES: u64 = 10_000;
/// What a TLS record of 16 KiB brings beside HTTP's own bytes.
const RECORD_LEN: usize = 16 * 1024 - 40;

fn begin() -> (Sealer, Opener) {
    let (data_key, context) = (DataKey::generate().unwrap(), support::context());
    let recipients = support::recipients(&data_key, &context);
    let settings = SealSettings::default();
    let (sealer, bytes) = Sealer::begin(&data_key, &context, &recipients, settings)
        .ok()
        .unwrap();
    let opener = Opener::begin(&header(&bytes).0, &data_key).ok().unwrap();
    (sealer, opener)
}

/// How often sealing and opening allocated.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    sealing: u64,
    opening: u64,
}

/// Passes plaintext through both in chunks until the opener has released so many frames more; gives what they allocated meanwhile.
fn pass(
    frames: u64,
    (seal_len, open_len): (usize, usize),
    mut seal: impl FnMut(&[u8], &mut [u8]) -> usize,
    mut open: impl FnMut(&[u8]) -> usize,
) -> Counted {
    let plaintext = vec![0x5A; seal_len];
    let mut sealed = vec![0; seal_len + 2 * SEALED_FRAME_LEN];
    let mut counted = Counted {
        sealing: 0,
        opening: 0,
    };
    let mut released = 0;
    while released < frames * FRAME_LEN as u64 {
        let mut written = 0;
        let sealing = measure(|| written = seal(&plaintext, &mut sealed));
        counted.sealing += sealing.count_total;
        for piece in sealed[..written].chunks(open_len) {
            let mut opened = 0;
            counted.opening += measure(|| opened = open(piece)).count_total;
            released += opened as u64;
        }
    }
    counted
}

#[test]
fn no_allocation_for_a_frame_of_whole_chunks_into_buffers() {
    let (mut sealer, mut opener) = begin();
    let mut out = vec![0; 8 * FRAME_LEN];
    let mut go = |frames| {
        pass(
            frames,
            (4 * FRAME_LEN, 4 * SEALED_FRAME_LEN),
            |plaintext, sealed| sealer.write_into(plaintext, sealed).unwrap(),
            |sealed| opener.write_into(sealed, &mut out).unwrap(),
        )
    };
    let first = go(1);
    assert_eq!((first.sealing, first.opening), (1, 0), "the held frame");
    assert_eq!(go(FRAMES), NONE);
}

#[test]
fn no_allocation_for_a_frame_of_records_into_buffers() {
    let (mut sealer, mut opener) = begin();
    let mut out = vec![0; FRAME_LEN + RECORD_LEN];
    let mut go = |frames| {
        pass(
            frames,
            (RECORD_LEN, RECORD_LEN),
            |plaintext, sealed| sealer.write_into(plaintext, sealed).unwrap(),
            |sealed| opener.write_into(sealed, &mut out).unwrap(),
        )
    };
    let first = go(1);
    assert_eq!((first.sealing, first.opening), (1, 1), "the held frames");
    assert_eq!(go(FRAMES), NONE);
}

#[test]
fn no_allocation_for_a_frame_of_records_into_vectors_that_have_room() {
    let (mut sealer, mut opener) = begin();
    let (mut sealed_vec, mut out) = (Vec::new(), Vec::new());
    sealed_vec.reserve_exact(SEALED_FRAME_LEN);
    out.reserve_exact(FRAME_LEN);
    let mut go = |frames| {
        pass(
            frames,
            (RECORD_LEN, RECORD_LEN),
            |plaintext, sealed| {
                sealed_vec.clear();
                sealer.write(plaintext, &mut sealed_vec).unwrap();
                sealed[..sealed_vec.len()].copy_from_slice(&sealed_vec);
                sealed_vec.len()
            },
            |sealed| {
                out.clear();
                opener.write(sealed, &mut out).unwrap();
                out.len()
            },
        )
    };
    let first = go(1);
    assert_eq!((first.sealing, first.opening), (1, 1), "the held frames");
    assert_eq!(go(FRAMES), NONE);
}

/// Not one.
const NONE: Counted = Counted {
    sealing: 0,
    opening: 0,
};

#[test]
fn no_allocation_for_a_range_after_the_first() {
    let settings = SealSettings {
        frame_len_bytes: 4096,
        ..SealSettings::default()
    };
    let message = Message::seal(plaintext(1 << 20), settings, &[]);
    let source = std::io::Cursor::new(message.bytes.as_slice());
    let (header, _) = header(&message.bytes);
    let mut opener = RangeOpener::begin(source, &header, &message.data_key).unwrap();
    let mut out = vec![0; 500_000];
    opener.open_into(1, &mut out).unwrap();
    let counted = measure(|| {
        for start in 0..200 {
            opener.open_into(start * 2_500, &mut out).unwrap();
        }
        opener.verify_end().unwrap();
    });
    assert_eq!(counted.count_total, 0);
}
