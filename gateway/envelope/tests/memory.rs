//! After their owners are dropped, no data key, no message key, no wrapping key and no held plaintext is in the process's own memory.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

#[path = "support/memory.rs"]
mod memory;

use std::io::Cursor;

use aws_lc_rs::hkdf::{HKDF_SHA512, Salt};
use aws_lc_rs::rand;
use memory::{Needle, Search};
use sealgate_envelope::{
    Context, DataKey, Header, Opener, ParsedHeader, RangeOpener, RawAesKey, SealSettings, Sealer,
    grant,
};
use zeroize::{Zeroize, Zeroizing};

const SETTINGS: SealSettings = SealSettings {
    frame_len_bytes: 4096,
    header_len_bytes: None,
};

/// Random bytes that only their owner is to hold. What made them is wiped by hand.
fn secret<const N: usize>() -> Box<[u8; N]> {
    let mut bytes = Box::new([0; N]);
    rand::fill(bytes.as_mut_slice()).unwrap();
    bytes
}

fn wipe<const N: usize>(bytes: &mut Box<[u8; N]>) {
    bytes.as_mut_slice().zeroize();
}

/// A data key, and what its bytes end with.
fn data_key() -> (DataKey, Needle) {
    let mut bytes = secret::<32>();
    let made = (DataKey::from_bytes(&bytes), Needle::of(bytes.as_slice()));
    wipe(&mut bytes);
    made
}

fn wrapping_key() -> (RawAesKey, Needle) {
    let mut bytes = secret::<32>();
    let key = RawAesKey::new(&bytes, "sealgate/5f0c", "main/1").unwrap();
    let needle = Needle::of(bytes.as_slice());
    wipe(&mut bytes);
    (key, needle)
}

/// The key of a message's frames, derived as `ENVELOPE.md` has it.
fn message_key(data_key: &[u8; 32], message_id: &[u8; 32]) -> Needle {
    let mut okm = Box::new([0; 32]);
    let prk = Salt::new(HKDF_SHA512, message_id).extract(data_key);
    let info: [&[u8]; 2] = [&[0x04, 0x78], b"DERIVEKEY"];
    prk.expand(&info, Len32)
        .unwrap()
        .fill(okm.as_mut_slice())
        .unwrap();
    let needle = Needle::of(okm.as_slice());
    wipe(&mut okm);
    needle
}

struct Len32;

impl aws_lc_rs::hkdf::KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

fn header(bytes: &[u8]) -> (Header, usize) {
    match Header::parse(bytes).unwrap() {
        ParsedHeader::Complete { header, len_bytes } => (header, len_bytes),
        ParsedHeader::NeedMore { at_least_bytes } => panic!("needs {at_least_bytes} bytes"),
    }
}

/// Everything that a message goes through, in a frame of the stack that is left afterwards. Gives what is not to be found any more.
#[inline(never)]
fn seal_and_open(search: &mut Search, is_finished: bool) -> [(&'static str, Needle); 4] {
    let context = Context::from_pairs([("path", "/a")]).unwrap();
    let mut key_bytes = secret::<32>();
    let data_key = DataKey::from_bytes(&key_bytes);
    let (wrapping_key, of_wrapping_key) = wrapping_key();
    let recipient = wrapping_key.wrap(&data_key, &context).unwrap();
    let (mut sealer, mut message) =
        Sealer::begin(&data_key, &context, &[recipient], SETTINGS).unwrap();
    let (header, header_len) = header(&message);
    let of_data_key = Needle::of(key_bytes.as_slice());
    let of_message_key = message_key(&key_bytes, header.message_id());
    wipe(&mut key_bytes);

    let mut plaintext = secret::<1000>();
    sealer.write(plaintext.as_slice(), &mut message).unwrap();
    let held = Needle::of(plaintext.as_slice());
    wipe(&mut plaintext);
    assert_eq!(search.count([&held]), [1], "the sealer holds it");
    assert!(
        search.count([&of_message_key])[0] > 0,
        "the search finds what is there"
    );
    let needles = [
        ("data key", of_data_key),
        ("message key", of_message_key),
        ("wrapping key", of_wrapping_key),
        ("held plaintext", held),
    ];
    let [(_, of_data_key), _, _, (_, held)] = &needles;
    if !is_finished {
        drop((sealer, data_key, wrapping_key));
        return needles;
    }
    sealer.finish(&mut message).unwrap();
    assert_eq!(search.count([held]), [0], "it is sealed");

    let recipient = header.recipients().next().unwrap();
    let unwrapped = wrapping_key.unwrap(&recipient, &context).unwrap();
    assert!(
        search.count([of_data_key])[0] >= 2,
        "two data keys of the same bytes"
    );
    let mut opener = Opener::begin(&header, &unwrapped).unwrap();
    let mut opened = Zeroizing::new(Vec::with_capacity(2000));
    // In two parts, so that the opener holds a frame.
    let (first, second) = message[header_len..].split_at(500);
    opener.write(first, &mut opened).unwrap();
    opener.write(second, &mut opened).unwrap();
    assert!(opener.finish().is_ok());
    assert_eq!(search.count([held]), [1], "what the caller got");
    drop(opened);

    let mut range = RangeOpener::begin(Cursor::new(&message), &header, &unwrapped).unwrap();
    let mut part = Zeroizing::new(Vec::with_capacity(100));
    range.open(980..1000, &mut part).unwrap();
    assert_eq!(search.count([held]), [1], "what the caller got");
    drop(part);
    assert_eq!(
        search.count([held]),
        [0],
        "the frame that the part was taken from"
    );
    drop((data_key, unwrapped, wrapping_key, range));
    needles
}

fn assert_gone<const N: usize>(search: &mut Search, needles: &[(&str, Needle); N]) {
    let counts = search.count(needles.each_ref().map(|(_, needle)| needle));
    let names = needles.each_ref().map(|(name, _)| *name);
    let left = names.iter().zip(counts).filter(|(_, count)| *count > 0);
    assert_eq!(left.collect::<Vec<_>>(), []);
}

#[test]
fn a_data_key_is_found_while_it_lives_and_not_after() {
    let (mut search, (data_key, needle)) = (Search::new(), data_key());
    assert_eq!(
        search.count([&needle]),
        [1],
        "the search finds what is there"
    );
    drop(data_key);
    assert_eq!(search.count([&needle]), [0]);
}

#[test]
fn nothing_of_a_finished_message_stays_behind() {
    let mut search = Search::new();
    let needles = seal_and_open(&mut search, true);
    assert_gone(&mut search, &needles);
}

#[test]
fn nothing_of_an_abandoned_message_stays_behind() {
    let mut search = Search::new();
    let needles = seal_and_open(&mut search, false);
    assert_gone(&mut search, &needles);
}

#[test]
fn a_grant_leaves_neither_of_its_keys_behind() {
    let mut search = Search::new();
    let ((granted, of_granted), (grant_key, of_grant_key)) = (data_key(), data_key());
    let (wrapping_key, _) = wrapping_key();
    let context = Context::empty();
    let recipient = wrapping_key.wrap(&granted, &context).unwrap();
    let (_, message) = Sealer::begin(&granted, &context, &[recipient], SETTINGS).unwrap();
    let (header, _) = header(&message);
    let recipient = wrapping_key
        .wrap(&grant_key, &grant::context(&header))
        .unwrap();
    let grant = grant::seal(&header, &granted, &grant_key, &[recipient]).unwrap();
    let opened = grant::open(&grant, &grant_key, &header).unwrap();
    assert!(
        search.count([&of_granted])[0] >= 2,
        "two data keys of the same bytes"
    );
    let needles = [("data key", of_granted), ("grant's key", of_grant_key)];
    drop((granted, grant_key, opened));
    assert_gone(&mut search, &needles);
}
