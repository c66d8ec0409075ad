//! Required context is authenticated by the header tag and by each wrap, and stands nowhere in the message.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use std::io::Cursor;

use sealgate_envelope::{
    Context, DataKey, Opener, RangeError, RangeOpener, RawAesKey, Refusal, RefusalReason,
    SealError, SealSettings, Sealer, UnwrapError,
};
use support::header;

fn required() -> Context {
    Context::from_pairs([("object", "7f3a"), ("zone", "b")]).unwrap()
}

fn key() -> RawAesKey {
    RawAesKey::new(&[7; 32], "sealgate/5f0c", "main/1").unwrap()
}

fn seal(data_key: &DataKey) -> Vec<u8> {
    let (stored, required) = (support::context(), required());
    let both = stored.joined_with(&required).unwrap();
    let recipients = [key().wrap(data_key, &both).unwrap()];
    let settings = SealSettings::default();
    let (mut sealer, mut message) =
        Sealer::begin_with_required(data_key, &stored, &required, &recipients, settings)
            .ok()
            .unwrap();
    sealer.write(b"plaintext", &mut message).unwrap();
    sealer.finish(&mut message).unwrap();
    message
}

/// The contexts that a reader might bring instead, each wrong in its own way.
fn wrong() -> Vec<Context> {
    let pairs = |pairs: &[(&str, &str)]| Context::from_pairs(pairs.iter().copied()).unwrap();
    vec![
        Context::empty(),
        pairs(&[("object", "7f3a")]),
        pairs(&[("object", "7f3a"), ("zone", "c")]),
        pairs(&[("object", "7f3a"), ("zone", "b"), ("more", "")]),
        pairs(&[("object", "7f3az"), ("one", "b")]),
    ]
}

#[test]
fn opens_with_the_same_pairs_only() {
    let data_key = DataKey::generate().unwrap();
    let message = seal(&data_key);
    assert!(!message.windows(4).any(|bytes| bytes == b"7f3a"));
    let (header, header_len) = header(&message);
    assert_eq!(header.context(), &support::context());

    let mut opener = Opener::begin_with_required(&header, &required(), &data_key)
        .ok()
        .unwrap();
    let mut released = Vec::new();
    opener.write(&message[header_len..], &mut released).unwrap();
    opener.finish().unwrap();
    assert_eq!(released, b"plaintext");

    let mismatch = Refusal {
        offset: 0,
        reason: RefusalReason::HeaderTagMismatch,
    };
    for wrong in wrong() {
        let refused = Opener::begin_with_required(&header, &wrong, &data_key).err();
        assert_eq!(refused, Some(mismatch), "{wrong:?}");
    }
}

#[test]
fn a_range_wants_it_too() {
    let data_key = DataKey::generate().unwrap();
    let message = seal(&data_key);
    let (header, _) = header(&message);
    let begin = |required: &Context| {
        RangeOpener::begin_with_required(Cursor::new(&message), &header, required, &data_key)
    };
    let mut part = Vec::new();
    begin(&required())
        .ok()
        .unwrap()
        .open(5..9, &mut part)
        .unwrap();
    assert_eq!(part, b"text");
    for wrong in wrong() {
        let refused = begin(&wrong).err();
        assert!(
            matches!(refused, Some(RangeError::Refused(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn a_wrap_authenticates_both_contexts() {
    let data_key = DataKey::generate().unwrap();
    let message = seal(&data_key);
    let (header, _) = header(&message);
    let recipient = header.recipients().next().unwrap();
    let both = header.context().joined_with(&required()).unwrap();
    assert!(key().unwrap(&recipient, &both).is_ok());
    for wrong in wrong() {
        let wrong = header.context().joined_with(&wrong).unwrap();
        let refused = key().unwrap(&recipient, &wrong).err();
        assert_eq!(refused, Some(UnwrapError::NotAuthentic));
    }
}

#[test]
fn refuses_keys_twice_and_reserved_keys() {
    let data_key = DataKey::generate().unwrap();
    let stored = support::context();
    let recipients = support::recipients(&data_key, &stored);
    let refused = |required: [(&str, &str); 1]| {
        let required = Context::from_pairs(required).unwrap();
        let settings = SealSettings::default();
        Sealer::begin_with_required(&data_key, &stored, &required, &recipients, settings).err()
    };
    assert_eq!(refused([("path", "/")]), Some(SealError::ContextKeyTwice));
    assert_eq!(
        refused([("aws-crypto-x", "")]),
        Some(SealError::ReservedContextKey)
    );
    let long = "x".repeat(65_520);
    assert_eq!(refused([("k", &long)]), Some(SealError::ContextTooLong));
}
