//! Suite 0x0578, when it is asked for: what was signed opens, whatever the chunks, and a change by another holder of the data key is found.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use sealgate_envelope::{
    Context, DataKey, Opener, Refusal, RefusalReason, SealError, SealSettings, Sealer, Signer,
    Suite, sizes,
};
use support::{header, plaintext, recipients};

fn seal(data_key: &DataKey, plaintext: &[u8], frame_len_bytes: u32, chunk_len: usize) -> Vec<u8> {
    let signer = Signer::new(&support::context()).ok().unwrap();
    let settings = SealSettings {
        frame_len_bytes,
        header_len_bytes: Some(1024),
    };
    let recipients = recipients(data_key, signer.context());
    let (mut sealer, mut message) =
        Sealer::begin_signed(data_key, signer, &Context::empty(), &recipients, settings)
            .ok()
            .unwrap();
    for chunk in plaintext.chunks(chunk_len) {
        let (before, most) = (message.len(), sealer.output_len_most(chunk.len()));
        sealer.write(chunk, &mut message).unwrap();
        assert!(message.len() - before <= most);
    }
    let (before, most) = (message.len(), sealer.output_len_most(0));
    sealer.finish(&mut message).unwrap();
    assert!(message.len() - before <= most);
    message
}

fn open(data_key: &DataKey, message: &[u8], chunk_len: usize) -> Result<Vec<u8>, Refusal> {
    let (header, header_len) = header(message);
    assert_eq!(header.suite(), Suite::CommittedSigned);
    let mut opener = Opener::begin(&header, data_key)?;
    let mut released = Vec::new();
    for chunk in message[header_len..].chunks(chunk_len) {
        opener.write(chunk, &mut released)?;
    }
    opener.finish()?;
    Ok(released)
}

#[test]
fn what_was_signed_opens_and_has_the_size_that_was_said() {
    let data_key = DataKey::generate().unwrap();
    for len in [0, 1, 99, 100, 101, 1000, 1234] {
        for chunk_len in [1, 100, 333, 5000] {
            let plaintext = plaintext(len);
            let message = seal(&data_key, &plaintext, 100, chunk_len);
            let unsigned_len = sizes::sealed_len(len as u64, 1024, 100).unwrap() as usize;
            assert_eq!(message.len(), unsigned_len + sizes::FOOTER_LEN_BYTES);
            assert_eq!(open(&data_key, &message, chunk_len).unwrap(), plaintext);
        }
    }
}

#[test]
fn every_signature_has_the_same_length() {
    let data_key = DataKey::generate().unwrap();
    for _ in 0..40 {
        assert_eq!(seal(&data_key, b"", 100, 1).len(), 1024 + 40 + 105);
    }
}

#[test]
fn a_body_from_another_message_under_the_same_data_key_is_refused() {
    // Whoever holds the data key can write frames whose tags verify, but only under another signer's key in another header.
    let data_key = DataKey::generate().unwrap();
    let ours = seal(&data_key, b"pay 10", 100, 100);
    let theirs = seal(&data_key, b"pay 99", 100, 100);
    let footer_at = ours.len() - sizes::FOOTER_LEN_BYTES;
    let mixed = [&ours[..footer_at], &theirs[footer_at..]].concat();
    let refused = open(&data_key, &mixed, 100).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::SignatureMismatch);
    assert_eq!(refused.offset, footer_at as u64);
    let without = open(&data_key, &ours[..footer_at], 100).unwrap_err();
    assert_eq!(without.reason, RefusalReason::FooterMissing);
}

#[test]
fn each_message_has_a_signer_of_its_own_and_the_key_is_reserved() {
    let (a, b) = (
        Signer::new(&Context::empty()),
        Signer::new(&Context::empty()),
    );
    let (a, b) = (a.ok().unwrap(), b.ok().unwrap());
    let key = "aws-crypto-public-key";
    assert_ne!(a.context().value(key), b.context().value(key));
    assert_eq!(
        Signer::new(a.context()).err(),
        Some(SealError::ReservedContextKey)
    );
}
