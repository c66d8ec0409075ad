//! A range of 1 MiB of a message of 1 GiB, header and keys included, beside the same range of a small message, and beside its frames
//! opened by hand.

use std::cell::RefCell;
use std::hint::black_box;
use std::io;
use std::ops::Range;

use sealgate_envelope::{
    Context, DataKey, HeaderLimits, RangeOpener, RawAesKey, ReadAt, SealSettings, Sealer,
    read_header,
};

use crate::by_hand::{self, FRAME_LEN, FRAME_OVERHEAD};
use crate::interleave::{Measured, Target, measure};

const GIB: u64 = 1 << 30;
const RANGE_LEN: u64 = 1 << 20;
/// In the middle of a frame, so that the range touches as many frames as it can.
const WITHIN_FRAME: u64 = FRAME_LEN as u64 / 2;
const FRAMES: u64 = RANGE_LEN / FRAME_LEN as u64 + 1;
/// Frames before the range in the large message.
const FIRST: u64 = 8000;
const DATA_KEY: [u8; 32] = [3; 32];
const BRANCH_KEY: [u8; 32] = [7; 32];

/// What is read in one go when a header is looked for.
const HEAD_LEN: usize = 1024;

/// A stored message of which only the head and the frames of one range are kept. Reading anything else fails, so it shows as well that
/// nothing else is read.
struct Stored {
    /// The header and what comes after it, as far as a first read goes.
    head: Vec<u8>,
    len: u64,
    kept_at: u64,
    kept: Vec<u8>,
    /// Where the range begins.
    start: u64,
}

impl Stored {
    /// Seals `plaintext_len` bytes, a MiB at a time, and keeps the frames of the range that begins in frame `first` (from 0).
    fn seal(plaintext_len: u64, first: u64) -> Self {
        let (data_key, context) = (DataKey::from_bytes(&DATA_KEY), Context::empty());
        let recipient = branch_key()
            .wrap(&data_key, &context)
            .expect("random bytes");
        let settings = SealSettings::default();
        let (mut sealer, header) =
            Sealer::begin(&data_key, &context, &[recipient], settings).expect("one recipient");
        let frame_len = (FRAME_LEN + FRAME_OVERHEAD) as u64;
        let kept_at = header.len() as u64 + first * frame_len;
        let mut stored = Self {
            len: header.len() as u64,
            head: header,
            kept_at,
            kept: Vec::new(),
            start: first * FRAME_LEN as u64 + WITHIN_FRAME,
        };
        let plaintext = vec![0x5A; 1 << 20];
        let mut sealed = Vec::new();
        for _ in 0..plaintext_len / plaintext.len() as u64 {
            sealer.write(&plaintext, &mut sealed).expect("few frames");
            stored.keep(&mut sealed, kept_at..kept_at + FRAMES * frame_len);
        }
        sealer.finish(&mut sealed).expect("few frames");
        stored.keep(&mut sealed, kept_at..kept_at + FRAMES * frame_len);
        stored
    }

    fn keep(&mut self, sealed: &mut Vec<u8>, kept: Range<u64>) {
        let missing = (HEAD_LEN - self.head.len()).min(sealed.len());
        self.head.extend_from_slice(&sealed[..missing]);
        let within = |at: u64| at.saturating_sub(self.len).min(sealed.len() as u64) as usize;
        self.kept
            .extend_from_slice(&sealed[within(kept.start)..within(kept.end)]);
        self.len += sealed.len() as u64;
        sealed.clear();
    }

    /// From the first byte of the header to the last of the range.
    fn open_range(&self, branch_key: &RawAesKey, out: &mut [u8]) {
        let mut source = self;
        let header = read_header(&mut source, HeaderLimits::default()).expect("kept");
        let recipient = header.recipients().next().expect("one recipient");
        let data_key = branch_key
            .unwrap(&recipient, header.context())
            .expect("sealed here");
        let mut opener = RangeOpener::begin(source, &header, &data_key).expect("sealed here");
        opener.open_into(self.start, out).expect("kept");
    }
}

impl ReadAt for &Stored {
    fn stored_len(&mut self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (bytes, at) = match offset.checked_sub(self.kept_at) {
            Some(at) => (&self.kept, at),
            None => (&self.head, offset),
        };
        let at = at as usize;
        let bytes = bytes
            .get(at..at + buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

fn branch_key() -> RawAesKey {
    RawAesKey::new(&BRANCH_KEY, "sealgate/5f0c9a", "main/1").expect("names fit")
}

pub fn beside_small_message() -> (Measured, Target) {
    let (large, small) = (Stored::seal(GIB, FIRST), Stored::seal(2 << 20, 0));
    let branch_key = branch_key();
    let out = RefCell::new(vec![0; RANGE_LEN as usize]);
    let open = |stored: &Stored| {
        black_box(stored).open_range(&branch_key, &mut out.borrow_mut());
    };
    let what = "1 MiB from 1 GiB, beside 1 MiB from 2 MiB";
    let measured = measure(what, || open(&large), || open(&small));
    (measured, Target::CostAtMost(1.05))
}

pub fn beside_frames_by_hand() -> (Measured, Target) {
    let stored = Stored::seal(GIB, FIRST);
    let header = read_header(&mut &stored, HeaderLimits::default()).expect("kept");
    let parts = by_hand::parts(&stored.head, &header);
    let (branch_key, other_key) = (branch_key(), by_hand::key(&BRANCH_KEY));
    let mut out = vec![0; RANGE_LEN as usize];
    let mut read = vec![0; FRAMES as usize * (FRAME_LEN + FRAME_OVERHEAD)];
    let mut opened = vec![0; FRAMES as usize * FRAME_LEN];
    let measured = measure(
        "1 MiB from 1 GiB, beside its header and frames by hand",
        || {
            black_box(&stored).open_range(&branch_key, &mut out);
        },
        || {
            let keys = by_hand::open_header(&other_key, black_box(&parts));
            let mut source = &stored;
            source
                .read_exact_at(stored.kept_at, &mut read)
                .expect("kept");
            by_hand::open_frames(&keys, FIRST as u32 + 1, &read, &mut opened);
        },
    );
    (measured, Target::CostAtMost(1.1))
}
