//! Frames of 64 KiB beside bare AES-256-GCM on the same buffers: a message in its middle, header and end left out.

use std::cell::RefCell;
use std::hint::black_box;

use sealgate_envelope::{
    Context, DataKey, Header, Opener, ParsedHeader, RawAesKey, SealSettings, Sealer,
};

use crate::by_hand::{self, FRAME_LEN, FRAME_OVERHEAD, Keys};
use crate::interleave::{Measured, Target, measure};

/// Plaintext of one call: as much as a file command hands over at once.
const CALL_LEN: usize = 16 * FRAME_LEN;
const SEALED_CALL_LEN: usize = 16 * (FRAME_LEN + FRAME_OVERHEAD);
/// What a TLS record of 16 KiB brings beside HTTP's own bytes, so that frames and chunks never meet.
const RECORD_LEN: usize = 16 * 1024 - 40;
/// Calls in the message that is opened over and over.
const CALLS_IN_A_MESSAGE: usize = 8;

const DATA_KEY: [u8; 32] = [3; 32];
const TARGET: Target = Target::SpeedAtLeast(0.90);

/// A message that has begun, with its keys as derived by hand.
struct Begun {
    sealer: Sealer,
    header: Header,
    keys: Keys,
}

impl Begun {
    fn new() -> Self {
        let data_key = DataKey::from_bytes(&DATA_KEY);
        let context = Context::empty();
        let recipient = RawAesKey::new(&[7; 32], "sealgate/5f0c9a", "main/1")
            .expect("names fit")
            .wrap(&data_key, &context)
            .expect("random bytes");
        let settings = SealSettings::default();
        let (sealer, bytes) =
            Sealer::begin(&data_key, &context, &[recipient], settings).expect("one recipient");
        let Ok(ParsedHeader::Complete { header, .. }) = Header::parse(&bytes) else {
            panic!("written here");
        };
        let keys = Keys::derive(&DATA_KEY, header.message_id());
        Self {
            sealer,
            header,
            keys,
        }
    }
}

pub fn seal_aligned() -> (Measured, Target) {
    let what = "seal 64 KiB frames, 1 MiB at a time";
    let measured = measure_sealing(what, |sealer, plaintext, out| {
        sealer.write_into(plaintext, out).expect("room");
    });
    (measured, TARGET)
}

pub fn seal_records() -> Measured {
    measure_sealing("seal, a TLS record at a time", |sealer, plaintext, out| {
        let mut at = 0;
        for chunk in plaintext.chunks(RECORD_LEN) {
            at += sealer.write_into(chunk, &mut out[at..]).expect("room");
        }
    })
}

pub fn seal_aligned_into_vec() -> Measured {
    let mut vec = Vec::with_capacity(SEALED_CALL_LEN + FRAME_LEN);
    measure_sealing(
        "seal, 1 MiB at a time, into a vector",
        |sealer, plaintext, _| {
            vec.clear();
            sealer.write(plaintext, &mut vec).expect("few frames");
        },
    )
}

/// Seals one message on and on; it ends long before its frames run out of numbers.
fn measure_sealing(
    what: &'static str,
    mut seal: impl FnMut(&mut Sealer, &[u8], &mut [u8]),
) -> Measured {
    let Begun {
        mut sealer, keys, ..
    } = Begun::new();
    let plaintext = vec![0x5A; CALL_LEN];
    let out = RefCell::new(vec![0; SEALED_CALL_LEN + FRAME_LEN]);
    measure(
        what,
        || seal(&mut sealer, black_box(&plaintext), &mut out.borrow_mut()),
        || by_hand::seal_frames(&keys, black_box(&plaintext), &mut out.borrow_mut()),
    )
}

pub fn open_aligned() -> (Measured, Target) {
    let what = "open 64 KiB frames, 1 MiB at a time";
    let measured = measure_opening(what, |opener, sealed, out| {
        black_box(opener.write_into(sealed, out).expect("sealed here"));
    });
    (measured, TARGET)
}

pub fn open_records() -> Measured {
    measure_opening("open, a TLS record at a time", |opener, sealed, out| {
        let mut at = 0;
        for chunk in sealed.chunks(RECORD_LEN) {
            at += opener.write_into(chunk, &mut out[at..]).expect("room");
        }
    })
}

pub fn open_aligned_into_vec() -> Measured {
    let mut vec = Vec::with_capacity(CALL_LEN);
    measure_opening(
        "open, 1 MiB at a time, into a vector",
        |opener, sealed, _| {
            vec.clear();
            opener.write(sealed, &mut vec).expect("sealed here");
        },
    )
}

/// Opens a message's frames over and over, each call the next MiB, both sides at the same places.
fn measure_opening(
    what: &'static str,
    mut open: impl FnMut(&mut Opener, &[u8], &mut [u8]),
) -> Measured {
    let Begun {
        mut sealer,
        header,
        keys,
    } = Begun::new();
    let data_key = DataKey::from_bytes(&DATA_KEY);
    let mut body = Vec::new();
    // A byte more, so that every frame which is opened is a regular one.
    let plaintext = vec![0x5A; CALLS_IN_A_MESSAGE * CALL_LEN + 1];
    sealer.write(&plaintext, &mut body).expect("few frames");

    let begin = || Opener::begin(&header, &data_key).expect("sealed here");
    let (mut opener, mut next, mut next_by_hand) = (begin(), 0, 0);
    let out = RefCell::new(vec![0; CALL_LEN + 2 * FRAME_LEN]);
    let call = |index: usize| &body[index * SEALED_CALL_LEN..][..SEALED_CALL_LEN];
    measure(
        what,
        || {
            if next == 0 {
                opener = begin();
            }
            open(&mut opener, black_box(call(next)), &mut out.borrow_mut());
            next = (next + 1) % CALLS_IN_A_MESSAGE;
        },
        || {
            let first = (next_by_hand * 16 + 1) as u32;
            let sealed = black_box(call(next_by_hand));
            by_hand::open_frames(&keys, first, sealed, &mut out.borrow_mut()[..CALL_LEN]);
            next_by_hand = (next_by_hand + 1) % CALLS_IN_A_MESSAGE;
        },
    )
}
