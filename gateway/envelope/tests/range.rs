//! A range of a message opens to the same bytes as that slice of the whole, touches only its own frames, and never says how long the
//! whole is without the final frame.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use std::cell::RefCell;
use std::io::{self, Cursor};
use std::rc::Rc;

use proptest::prelude::*;
use sealgate_envelope::{
    DataKey, HeaderLimits, RangeError, RangeOpener, ReadAt, RefusalReason, SealSettings,
    read_header,
};
use support::{Message, plaintext};

fn message(len: usize, frame_len_bytes: u32) -> Message {
    let settings = SealSettings {
        frame_len_bytes,
        header_len_bytes: Some(512),
    };
    Message::seal(plaintext(len), settings, &[])
}

fn opener(bytes: &[u8], data_key: &DataKey) -> Result<RangeOpener<Cursor<Vec<u8>>>, RangeError> {
    let mut source = Cursor::new(bytes.to_vec());
    let header = read_header(&mut source, HeaderLimits::default())?;
    RangeOpener::begin(source, &header, data_key)
}

fn refusal<T>(result: Result<T, RangeError>) -> (u64, RefusalReason) {
    match result.err() {
        Some(RangeError::Refused(refusal)) => (refusal.offset, refusal.reason),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Records which bytes were asked for.
struct Recorded {
    bytes: Cursor<Vec<u8>>,
    reads: Rc<RefCell<Vec<(u64, usize)>>>,
}

impl io::Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads
            .borrow_mut()
            .push((self.bytes.position(), buffer.len()));
        self.bytes.read(buffer)
    }
}

impl io::Seek for Recorded {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn a_range_reads_its_own_frames_only() {
    // Regular frames take 1032 bytes; the seventh and the eighth hold what is asked for.
    let message = message(20_000, 1000);
    let reads = Rc::new(RefCell::new(Vec::new()));
    let mut source = Recorded {
        bytes: Cursor::new(message.bytes.clone()),
        reads: Rc::clone(&reads),
    };
    let header = read_header(&mut source, HeaderLimits::default()).unwrap();
    let mut opener = RangeOpener::begin(source, &header, &message.data_key).unwrap();
    reads.borrow_mut().clear();
    let mut out = Vec::new();
    opener.open(6_999..7_001, &mut out).unwrap();
    assert_eq!(out, message.plaintext[6_999..7_001]);
    assert_eq!(*reads.borrow(), [(512 + 6 * 1032, 2 * 1032)]);
}

#[test]
fn damage_elsewhere_does_not_matter_and_damage_inside_is_refused() {
    let mut message = message(10_000, 1000);
    message.bytes[512 + 5 * 1032 + 100] ^= 1;
    let mut opener = opener(&message.bytes, &message.data_key).unwrap();
    let mut out = Vec::new();
    opener.open(0..5_000, &mut out).unwrap();
    opener.open(6_000..10_000, &mut out).unwrap();
    assert_eq!(out[..5_000], message.plaintext[..5_000]);
    assert_eq!(out[5_000..], message.plaintext[6_000..]);
    assert_eq!(opener.verify_end().unwrap().plaintext_len_bytes(), 10_000);

    // One byte, so that the frame is opened aside; then a run of whole frames. Neither gives a byte of the bad frame.
    let bad = (512 + 5 * 1032, RefusalReason::FrameTagMismatch { frame: 6 });
    out.clear();
    assert_eq!(refusal(opener.open(5_500..5_501, &mut out)), bad);
    assert_eq!(out, b"");
    assert_eq!(refusal(opener.open(4_000..10_000, &mut out)), bad);
    assert_eq!(out, message.plaintext[4_000..5_000]);
}

#[test]
fn a_buffer_holds_nothing_of_a_bad_frame() {
    let mut message = message(10_000, 1000);
    message.bytes[512 + 5 * 1032 + 100] ^= 1;
    let mut opener = opener(&message.bytes, &message.data_key).unwrap();
    let bad = (512 + 5 * 1032, RefusalReason::FrameTagMismatch { frame: 6 });
    let mut buffer = [0xAA; 3000];
    assert_eq!(refusal(opener.open_into(4_500, &mut buffer)), bad);
    assert_eq!(buffer[..500], message.plaintext[4_500..5_000]);
    assert_eq!(buffer[500..1500], [0; 1000]);
    assert_eq!(buffer[1500..], [0xAA; 1500]);
    // A part of the bad frame: it was opened aside.
    assert_eq!(refusal(opener.open_into(5_500, &mut buffer[..10])), bad);
    assert_eq!(buffer[..10], message.plaintext[4_500..4_510]);

    let beyond = opener.open_into(9_999, &mut buffer[..2]);
    assert!(matches!(
        beyond,
        Err(RangeError::BeyondEnd {
            start: 9_999,
            end: 10_001,
            plaintext_len_bytes: 10_000
        })
    ));
    assert!(opener.open_into(u64::MAX, &mut buffer).is_err());
}

#[test]
fn beyond_the_end_is_said_only_after_the_final_frame() {
    for (len, frame_len) in [(0, 100), (99, 100), (100, 100), (1000, 100), (1001, 100)] {
        let message = message(len, frame_len);
        let mut opener = opener(&message.bytes, &message.data_key).unwrap();
        let mut out = Vec::new();
        let (len, stored) = (len as u64, message.bytes.len());
        opener.open(len..len, &mut out).unwrap();
        for range in [0..len + 1, len..len + 1, len + 5..len + 9, 0..u64::MAX] {
            match opener.open(range.clone(), &mut out) {
                Err(RangeError::BeyondEnd {
                    start,
                    end,
                    plaintext_len_bytes,
                }) => assert_eq!((start..end, plaintext_len_bytes), (range, len)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(out, b"");

        let mut damaged = message.bytes.clone();
        damaged[stored - 1] ^= 1;
        let mut opener = self::opener(&damaged, &message.data_key).unwrap();
        let frame = u32::try_from(len.div_ceil(100).max(1)).unwrap();
        for _again in 0..2 {
            let (_, reason) = refusal(opener.open(0..len + 1, &mut out));
            assert_eq!(reason, RefusalReason::FrameTagMismatch { frame });
            assert!(opener.verify_end().is_err());
        }
    }
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
fn a_range_that_runs_backwards_is_refused() {
    let message = message(100, 10);
    let mut opener = opener(&message.bytes, &message.data_key).unwrap();
    let refused = opener.open(7..3, &mut Vec::new());
    assert!(matches!(
        refused,
        Err(RangeError::Backwards { start: 7, end: 3 })
    ));
}

#[test]
fn a_cut_or_extended_message_has_no_end() {
    let message = message(1050, 100);
    let mut extended = message.bytes.clone();
    for len in 0..message.bytes.len() {
        // Every length either belongs to no message, or its last frame is not a final one that ends there.
        match opener(&message.bytes[..len], &message.data_key) {
            Ok(mut opener) => {
                refusal(opener.verify_end());
                refusal(opener.open(0..u64::MAX, &mut Vec::new()));
            }
            Err(error) => drop(refusal::<()>(Err(error))),
        }
        extended.push(0);
        match opener(&extended, &message.data_key) {
            Ok(mut opener) => drop(refusal(opener.verify_end())),
            Err(error) => drop(refusal::<()>(Err(error))),
        }
    }
}

#[test]
fn another_data_key_and_a_changed_header_are_refused() {
    let mut message = message(100, 10);
    let other = DataKey::generate().unwrap();
    let (_, reason) = refusal(opener(&message.bytes, &other));
    assert_eq!(reason, RefusalReason::CommitmentMismatch);
    message.bytes[40] ^= 1;
    assert!(opener(&message.bytes, &message.data_key).is_err());
}

#[test]
fn a_failing_source_is_no_refusal() {
    struct Failing(Cursor<Vec<u8>>);
    impl ReadAt for Failing {
        fn stored_len(&mut self) -> io::Result<u64> {
            self.0.stored_len()
        }
        fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            match offset {
                0 => self.0.read_exact_at(offset, buffer),
                _ => Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
    }
    let message = message(100, 10);
    let mut source = Failing(Cursor::new(message.bytes.clone()));
    let header = read_header(&mut source, HeaderLimits::default()).unwrap();
    let mut opener = RangeOpener::begin(source, &header, &message.data_key).unwrap();
    let failed = opener.open(50..60, &mut Vec::new());
    assert!(
        matches!(failed, Err(RangeError::Read(error)) if error.kind() == io::ErrorKind::ConnectionReset)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_range_is_the_slice(
        len in 0_usize..5000,
        frame_len in prop_oneof![1_u32..40, 500_u32..2000],
        // As parts of the length, in permille, so that many end in the last frame and some behind it; and a few bytes more or less.
        bounds in proptest::collection::vec((0_usize..1100, 0_usize..1100, 0_usize..3), 1..8),
    ) {
        let message = message(len, frame_len);
        let mut opener = opener(&message.bytes, &message.data_key).unwrap();
        let last = (len.saturating_sub(1), len, 0);
        let places = bounds.into_iter().map(|(a, b, more)| (len * a / 1000, len * b / 1000, more));
        for (a, b, more) in places.chain([last, (len, len, 0), (0, len, 0), (0, len, 1)]) {
            let (start, end) = (a.min(b), a.max(b) + more);
            let mut out = b"before".to_vec();
            let opened = opener.open(start as u64..end as u64, &mut out);
            match opened {
                Ok(()) => prop_assert_eq!(Some(&out[6..]), message.plaintext.get(start..end)),
                Err(RangeError::BeyondEnd { plaintext_len_bytes, .. }) => {
                    prop_assert!(end > len);
                    prop_assert_eq!(plaintext_len_bytes, len as u64);
                    prop_assert_eq!(&out[..], b"before");
                }
                Err(error) => panic!("{start}..{end} of {len}: {error}"),
            }
        }
        prop_assert_eq!(opener.verify_end().unwrap().plaintext_len_bytes(), len as u64);
    }
}
