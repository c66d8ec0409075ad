//! A message of 1 KiB under a branch key that is at hand, as a gateway's route writes it, beside its derivations, AEAD calls and random
//! bytes.

use std::hint::black_box;

use sealgate_envelope::{
    Context, DataKey, Header, Opener, ParsedHeader, RawAesKey, SealSettings, Sealer,
};

use crate::by_hand;
use crate::interleave::{Measured, Target, measure};

const LEN: usize = 1024;
const BRANCH_KEY: [u8; 32] = [7; 32];
const TARGET: Target = Target::CostAtMost(1.3);

struct Route {
    branch_key: RawAesKey,
    context: Context,
}

impl Route {
    fn new() -> Self {
        let branch_key =
            RawAesKey::new(&BRANCH_KEY, "sealgate/5f0c9a", "main/1").expect("names fit");
        let pairs = [("tenant", "5f0c9a"), ("path", "/objects/42")];
        Self {
            branch_key,
            context: Context::from_pairs(pairs).expect("a small context"),
        }
    }

    fn seal(&self, plaintext: &[u8], out: &mut Vec<u8>) {
        let data_key = DataKey::generate().expect("random bytes");
        let recipient = self
            .branch_key
            .wrap(&data_key, &self.context)
            .expect("random bytes");
        let settings = SealSettings {
            header_len_bytes: Some(512),
            ..SealSettings::default()
        };
        let (mut sealer, header) =
            Sealer::begin(&data_key, &self.context, &[recipient], settings).expect("fits");
        out.extend_from_slice(&header);
        sealer.write(plaintext, out).expect("one frame");
        sealer.finish(out).expect("one frame");
    }

    fn open(&self, message: &[u8], out: &mut Vec<u8>) {
        let (header, len_bytes) = parse(message);
        let ours = header
            .recipients()
            .find(|recipient| self.branch_key.is_named_by(recipient))
            .expect("sealed here");
        let data_key = self
            .branch_key
            .unwrap(&ours, header.context())
            .expect("sealed here");
        let mut opener = Opener::begin(&header, &data_key).expect("sealed here");
        opener
            .write(&message[len_bytes..], out)
            .expect("sealed here");
        black_box(opener.finish().expect("sealed here"));
    }
}

fn parse(message: &[u8]) -> (Header, usize) {
    match Header::parse(message) {
        Ok(ParsedHeader::Complete { header, len_bytes }) => (header, len_bytes),
        _ => panic!("sealed here"),
    }
}

pub fn seal() -> (Measured, Target) {
    let (route, plaintext) = (Route::new(), [0x5A; LEN]);
    let mut message = Vec::new();
    route.seal(&plaintext, &mut message);
    let (header, _) = parse(&message);
    let (like, key) = (by_hand::parts(&message, &header), by_hand::key(&BRANCH_KEY));
    let (mut out, mut frame) = (Vec::with_capacity(2 * LEN), [0; LEN + by_hand::TAG_LEN]);
    let measured = measure(
        "seal a message of 1 KiB",
        || {
            out.clear();
            route.seal(black_box(&plaintext), &mut out);
        },
        || by_hand::seal_small(&key, &like, black_box(&plaintext), &mut frame),
    );
    (measured, TARGET)
}

pub fn open() -> (Measured, Target) {
    let (route, plaintext) = (Route::new(), [0x5A; LEN]);
    let mut message = Vec::new();
    route.seal(&plaintext, &mut message);
    let (header, _) = parse(&message);
    let (small, key) = (by_hand::parts(&message, &header), by_hand::key(&BRANCH_KEY));
    let (mut out, mut opened) = (Vec::with_capacity(LEN), [0; LEN]);
    let measured = measure(
        "open a message of 1 KiB",
        || {
            out.clear();
            route.open(black_box(&message), &mut out);
        },
        || by_hand::open_small(&key, black_box(&small), &mut opened),
    );
    assert_eq!((&out[..], &opened), (&plaintext[..], &plaintext));
    (measured, TARGET)
}
