//! A reseal gives another message with the same plaintext and context, and nothing at all where either end does not verify.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use proptest::prelude::*;
use sealgate_envelope::reseal::{self, Reseal, ResealError, Unproven};
use sealgate_envelope::{
    Context, DataKey, Header, Opener, RawAesKey, RefusalReason, SealError, SealSettings, Sealer,
    Signer, Suite,
};
use support::{header, plaintext};

/// How an old message is made.
#[derive(Debug, Clone)]
struct Shape {
    plaintext_len: usize,
    layout: SealSettings,
    required: bool,
    signed: bool,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let layout = (
        1_u32..200,
        prop::option::of(prop::sample::select(vec![700, 1024])),
    );
    (0_usize..1500, layout, any::<bool>(), any::<bool>()).prop_map(
        |(plaintext_len, (frame_len_bytes, header_len_bytes), required, signed)| Shape {
            plaintext_len,
            layout: SealSettings {
                frame_len_bytes,
                header_len_bytes,
            },
            required,
            signed,
        },
    )
}

fn key(byte: u8) -> RawAesKey {
    RawAesKey::new(&[byte; 32], "sealgate/5f0c", &format!("main/{byte}")).unwrap()
}

impl Shape {
    fn required(&self) -> Context {
        let pairs = self.required.then_some(("asked", "for"));
        Context::from_pairs(pairs).unwrap()
    }

    /// An old message, for `key(1)`.
    fn seal(&self) -> Vec<u8> {
        let (stored, required) = (support::context(), self.required());
        let data_key = DataKey::generate().unwrap();
        let wrap = |stored: &Context| {
            let context = stored.joined_with(&required).unwrap();
            [key(1).wrap(&data_key, &context).unwrap()]
        };
        let (mut sealer, mut bytes) = if self.signed {
            let signer = Signer::new(&stored).ok().unwrap();
            let recipients = wrap(signer.context());
            Sealer::begin_signed(&data_key, signer, &required, &recipients, self.layout)
        } else {
            let recipients = wrap(&stored);
            Sealer::begin_with_required(&data_key, &stored, &required, &recipients, self.layout)
        }
        .ok()
        .unwrap();
        sealer
            .write(&plaintext(self.plaintext_len), &mut bytes)
            .unwrap();
        sealer.finish(&mut bytes).unwrap();
        bytes
    }

    fn data_key(&self, header: &Header, key: &RawAesKey) -> Option<DataKey> {
        let context = header.context().joined_with(&self.required()).unwrap();
        header
            .recipients()
            .find_map(|recipient| key.unwrap(&recipient, &context).ok())
    }

    fn open(&self, bytes: &[u8], key: &RawAesKey) -> Option<Vec<u8>> {
        let (header, header_len) = header(bytes);
        let data_key = self.data_key(&header, key)?;
        let mut opener = Opener::begin_with_required(&header, &self.required(), &data_key).ok()?;
        let mut out = Vec::new();
        opener.write(&bytes[header_len..], &mut out).ok()?;
        opener.finish().ok()?;
        Some(out)
    }

    /// Reseals for `key(2)`; gives what was written and how it ended.
    fn reseal(&self, old: &[u8], chunk_len: usize) -> (Vec<u8>, Result<Unproven, ResealError>) {
        let (old_header, header_len) = header(old);
        let required = self.required();
        let mut written = Vec::new();
        let mut reseal = || {
            let reseal = Reseal::of(&old_header, &required)?;
            let recipient = key(2).wrap(reseal.data_key(), &reseal.context()?).unwrap();
            let old_key = self.data_key(&old_header, &key(1)).unwrap();
            let layout = reseal::layout_of(&old_header);
            let (mut resealer, header) = reseal.begin(&old_key, &[recipient], layout)?;
            written = header;
            for chunk in old[header_len..].chunks(chunk_len) {
                resealer.write(chunk, &mut written)?;
            }
            resealer.finish(&mut written)
        };
        let done = reseal();
        (written, done)
    }
}

/// Reads `bytes` back as what `unproven` wrote.
fn read_back(unproven: Unproven, bytes: &[u8], chunk_len: usize) -> Result<u64, ResealError> {
    let (header, header_len) = header(bytes);
    let mut read_back = unproven.read_back(&header)?;
    for chunk in bytes[header_len..].chunks(chunk_len) {
        read_back.write(chunk)?;
    }
    Ok(read_back.finish()?.plaintext_len_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reseal_is_another_message_with_the_same_plaintext(shape in shapes(), chunk_len in 1_usize..600) {
        let old = shape.seal();
        let (new, unproven) = shape.reseal(&old, chunk_len);
        let unproven = unproven.ok().unwrap();
        prop_assert_eq!(read_back(unproven, &new, chunk_len), Ok(shape.plaintext_len as u64));

        prop_assert_eq!(shape.open(&new, &key(2)), Some(plaintext(shape.plaintext_len)));
        prop_assert_eq!(shape.open(&new, &key(1)), None, "the old recipient");
        let (old_header, new_header) = (header(&old).0, header(&new).0);
        prop_assert_ne!(old_header.message_id(), new_header.message_id());
        let old_key = shape.data_key(&old_header, &key(1)).unwrap();
        let with_old_key = Opener::begin_with_required(&new_header, &shape.required(), &old_key);
        prop_assert_eq!(with_old_key.err().map(|refusal| refusal.reason), Some(RefusalReason::CommitmentMismatch));

        prop_assert_eq!(old_header.suite(), new_header.suite());
        for (name, value) in support::context().pairs() {
            prop_assert_eq!(new_header.context().value(name), Some(value));
        }
        prop_assert_eq!(old_header.context().pairs().count(), new_header.context().pairs().count());
        prop_assert_eq!(reseal::layout_of(&new_header), reseal::layout_of(&old_header));
        if shape.layout.header_len_bytes.is_some() {
            prop_assert_eq!(new.len(), old.len());
        }
    }

    #[test]
    fn damage_anywhere_finishes_nothing(shape in shapes(), at in any::<prop::sample::Index>(), bit in 0..8_u32, chunk_len in 1_usize..600) {
        let old = shape.seal();
        let header_len = header(&old).1;
        let at = header_len + at.index(old.len() - header_len);
        let mut flipped = old.clone();
        flipped[at] ^= 1 << bit;
        let longer = [&old[..], &[0]].concat();
        for damaged in [&flipped[..], &old[..at], &longer[..]] {
            let (written, done) = shape.reseal(damaged, chunk_len);
            prop_assert!(matches!(done.err(), Some(ResealError::Refused(_))));
            prop_assert_eq!(shape.open(&written, &key(2)), None, "it has an end");
        }
    }

    #[test]
    fn what_does_not_read_back_is_not_resealed(shape in shapes(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let old = shape.seal();
        let (new, _) = shape.reseal(&old, 500);
        let header_len = header(&new).1;
        let at = header_len + at.index(new.len() - header_len);
        let again = || {
            let (bytes, unproven) = shape.reseal(&old, 500);
            (bytes, unproven.ok().unwrap())
        };
        let (mut flipped, unproven) = again();
        let at = at.min(flipped.len() - 1);
        flipped[at] ^= 1 << bit;
        prop_assert!(matches!(read_back(unproven, &flipped, 64), Err(ResealError::WrittenRefused(_))));
        let (bytes, unproven) = again();
        prop_assert!(matches!(read_back(unproven, &bytes[..at], 64), Err(ResealError::WrittenRefused(_))));
        // Another message, however valid, is not the one that was written.
        let (_, unproven) = again();
        prop_assert_eq!(read_back(unproven, &new, 64), Err(ResealError::WrittenDiffers));
    }
}

fn shape() -> Shape {
    Shape {
        plaintext_len: 300,
        layout: SealSettings {
            frame_len_bytes: 64,
            header_len_bytes: Some(512),
        },
        required: false,
        signed: false,
    }
}

#[test]
fn a_damaged_header_begins_nothing() {
    let old = shape().seal();
    let (old_header, _) = header(&old);
    let old_key = shape().data_key(&old_header, &key(1)).unwrap();
    let none = Context::empty();
    for at in [48, old_header.as_bytes().len() - 1] {
        let mut damaged = old.clone();
        damaged[at] ^= 1;
        let (damaged, _) = header(&damaged);
        let reseal = Reseal::of(&damaged, &none).ok().unwrap();
        let recipient = key(2).wrap(reseal.data_key(), damaged.context()).unwrap();
        let layout = reseal::layout_of(&damaged);
        let refused = reseal.begin(&old_key, &[recipient], layout).err();
        let Some(ResealError::Refused(refusal)) = refused else {
            panic!("byte {at}: {refused:?}")
        };
        assert_eq!(refusal.reason, RefusalReason::HeaderTagMismatch);
    }
}

#[test]
fn the_layout_may_be_another() {
    let old = shape().seal();
    let (old_header, header_len) = header(&old);
    let none = Context::empty();
    let reseal = Reseal::of(&old_header, &none).ok().unwrap();
    let recipient = key(2).wrap(reseal.data_key(), old_header.context());
    let layout = SealSettings::default();
    let old_key = shape().data_key(&old_header, &key(1)).unwrap();
    let (mut resealer, mut new) = reseal
        .begin(&old_key, &[recipient.unwrap()], layout)
        .ok()
        .unwrap();
    resealer.write(&old[header_len..], &mut new).unwrap();
    let unproven = resealer.finish(&mut new).ok().unwrap();
    assert_eq!(read_back(unproven, &new, 1000), Ok(300));
    assert_eq!(header(&new).0.frame_len_bytes(), 65_536);
    assert_eq!(reseal::layout_of(&header(&new).0).header_len_bytes, None);
}

#[test]
fn recipients_that_do_not_fit_the_kept_header_are_refused() {
    let old = shape().seal();
    let (old_header, _) = header(&old);
    let none = Context::empty();
    let reseal = Reseal::of(&old_header, &none).ok().unwrap();
    let recipient = key(2)
        .wrap(reseal.data_key(), old_header.context())
        .unwrap();
    let old_key = shape().data_key(&old_header, &key(1)).unwrap();
    let recipients = vec![recipient; 5];
    let refused = reseal.begin(&old_key, &recipients, reseal::layout_of(&old_header));
    assert!(matches!(
        refused.err(),
        Some(ResealError::Seal(SealError::HeaderDoesNotFit {
            fixed_bytes: 512,
            ..
        }))
    ));
}

#[test]
fn a_signed_message_stays_signed_by_another_signer() {
    let signed = Shape {
        signed: true,
        layout: SealSettings::default(),
        ..shape()
    };
    let old = signed.seal();
    let (new, done) = signed.reseal(&old, 100);
    assert!(done.is_ok());
    let (old, new) = (header(&old).0, header(&new).0);
    assert_eq!(new.suite(), Suite::CommittedSigned);
    let signer = |header: &Header| {
        header
            .context()
            .value("aws-crypto-public-key")
            .map(str::to_owned)
    };
    assert!(signer(&new).is_some());
    assert_ne!(signer(&new), signer(&old));
}
