//! A grant opens the message that it names for a further recipient, without a byte of the message having changed.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use sealgate_envelope::grant::{self, GrantError};
use sealgate_envelope::{
    Context, DataKey, Opener, RefusalReason, SealSettings, Sealer, XwingPrivateKey,
};
use support::{Message, header};

/// Seals a grant for `message`; gives it and its own data key.
fn grant_for(message: &Message, device: &XwingPrivateKey) -> (Vec<u8>, DataKey) {
    let (header, _) = header(&message.bytes);
    let grant_key = DataKey::generate().unwrap();
    let wrapped = device
        .public_key()
        .wrap(&grant_key, &grant::context(&header))
        .unwrap();
    let grant = grant::seal(&header, &message.data_key, &grant_key, &[wrapped]);
    (grant.ok().unwrap(), grant_key)
}

fn open(bytes: &[u8], grant_key: &DataKey, message: &Message) -> Result<DataKey, GrantError> {
    grant::open(bytes, grant_key, &header(&message.bytes).0)
}

#[test]
fn a_further_recipient_opens_the_message() {
    let (message, device) = (Message::small(), XwingPrivateKey::generate().unwrap());
    let (grant, _) = grant_for(&message, &device);
    assert!(grant.len() < 1600, "{} bytes", grant.len());

    let (grant_header, _) = header(&grant);
    let (message_header, header_len) = header(&message.bytes);
    let recipient = grant_header.recipients().next().unwrap();
    let grant_key = device.unwrap(&recipient, grant_header.context()).unwrap();
    let data_key = grant::open(&grant, &grant_key, &message_header)
        .ok()
        .unwrap();
    let mut opener = Opener::begin(&message_header, &data_key).ok().unwrap();
    let mut released = Vec::new();
    opener
        .write(&message.bytes[header_len..], &mut released)
        .unwrap();
    opener.finish().unwrap();
    assert_eq!(released, message.plaintext);
}

#[test]
fn a_grant_names_its_message_in_the_clear() {
    let message = Message::small();
    let (grant, _) = grant_for(&message, &XwingPrivateKey::generate().unwrap());
    let (grant, _) = header(&grant);
    let named = grant.context().value(grant::GRANT_FOR).unwrap();
    let id: String = message.bytes[3..35]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(named, id);
    assert_ne!(grant.message_id(), header(&message.bytes).0.message_id());
}

#[test]
fn a_grant_is_for_one_message_and_one_key() {
    let (message, other) = (Message::small(), Message::small());
    let device = XwingPrivateKey::generate().unwrap();
    let (grant, grant_key) = grant_for(&message, &device);
    assert!(open(&grant, &grant_key, &message).is_ok());
    assert_eq!(
        open(&grant, &grant_key, &other).err(),
        Some(GrantError::OtherMessage)
    );
    let Some(GrantError::Refused(refusal)) = open(&grant, &message.data_key, &message).err() else {
        panic!("opened with another key")
    };
    assert_eq!(refusal.reason, RefusalReason::CommitmentMismatch);

    let (header, _) = header(&message.bytes);
    let wrong = grant::seal(&header, &other.data_key, &grant_key, &[]);
    assert_eq!(wrong.err(), Some(GrantError::OtherDataKey));
}

#[test]
fn every_cut_and_every_flip_is_refused() {
    let message = Message::small();
    let (grant, grant_key) = grant_for(&message, &XwingPrivateKey::generate().unwrap());
    for at in 0..grant.len() {
        assert!(
            open(&grant[..at], &grant_key, &message).is_err(),
            "cut {at}"
        );
        let mut damaged = grant.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(open(&damaged, &grant_key, &message).is_err(), "byte {at}");
    }
    let longer = [&grant[..], &[0]].concat();
    assert!(open(&longer, &grant_key, &message).is_err());
}

#[test]
fn what_its_writer_made_up_is_refused() {
    // Somebody who may seal to us, but does not know the message's data key.
    let message = Message::small();
    let grant_key = DataKey::generate().unwrap();
    let message_header = header(&message.bytes).0;
    let seal = |context: &Context, plaintext: &[u8]| {
        let recipients = support::recipients(&grant_key, context);
        let settings = SealSettings::default();
        let (mut sealer, mut bytes) = Sealer::begin(&grant_key, context, &recipients, settings)
            .ok()
            .unwrap();
        sealer.write(plaintext, &mut bytes).unwrap();
        sealer.finish(&mut bytes).unwrap();
        open(&bytes, &grant_key, &message).err()
    };
    let id = message_header.message_id();
    let made_up = [&[1], &id[..], &[7; 32]].concat();
    let context = grant::context(&message_header);
    assert_eq!(seal(&context, &made_up), Some(GrantError::OtherDataKey));
    let other_id = [&[1][..], &[9; 32], &[7; 32]].concat();
    assert_eq!(seal(&context, &other_id), Some(GrantError::OtherMessage));
    let elsewhere = grant::context(&header(&Message::small().bytes).0);
    assert_eq!(seal(&elsewhere, &made_up), Some(GrantError::OtherMessage));
    assert_eq!(seal(&context, b"hello"), Some(GrantError::NotAGrant));
    let other_version = [&[2], &made_up[1..]].concat();
    assert_eq!(seal(&context, &other_version), Some(GrantError::NotAGrant));
    assert_eq!(
        seal(&support::context(), &made_up),
        Some(GrantError::NotAGrant)
    );
}
