//! Whatever is sealed, opens: for any size, frame length, chunking, suite, context and set of recipients; and whatever is done to it, no
//! chunking makes a reader see it differently.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::subsequence;
use sealgate_envelope::{
    Context, DataKey, Opener, Recipient, SealSettings, Sealer, Signer, Suite, sizes,
};
use support::holder::HOLDERS;
use support::{Message, chunks, header, plaintext};

/// What a message is to be.
#[derive(Debug, Clone)]
struct Plan {
    len: usize,
    frame_len: u32,
    header_len_bytes: Option<u32>,
    is_signed: bool,
    stored: BTreeMap<String, String>,
    required: BTreeMap<String, String>,
    holders: Vec<usize>,
    foreign_at: usize,
    chunk_lens: Vec<usize>,
}

prop_compose! {
    fn plans()(
        (frame_len, len) in prop_oneof![1_u32..40, 500_u32..2000].prop_flat_map(|frame_len| {
            // Also exactly at a frame's end.
            let whole = (0..4_usize).prop_map(move |frames| frames * frame_len as usize);
            (Just(frame_len), prop_oneof![3 => 0..5000_usize, 1 => whole])
        }),
        // The longest header without a pad is below 16 KiB.
        header_len_bytes in prop_oneof![Just(None), Just(Some(16_384)), Just(Some(65_536))],
        is_signed in any::<bool>(),
        pairs in btree_map("[a-zäß/ ]{0,12}", ".{0,40}", 0..8),
        stored_most in 0..8_usize,
        holders in subsequence((0..HOLDERS.len()).collect::<Vec<_>>(), 1..=HOLDERS.len()).prop_shuffle(),
        foreign_at in 0..9_usize,
        chunk_lens in vec(1..3000_usize, 0..6),
    ) -> Plan {
        let (stored, required) = pairs.into_iter().enumerate().partition::<Vec<_>, _>(|(at, _)| *at < stored_most);
        let collect = |pairs: Vec<(usize, _)>| pairs.into_iter().map(|(_, pair)| pair).collect();
        let (stored, required) = (collect(stored), collect(required));
        Plan { len, frame_len, header_len_bytes, is_signed, stored, required, holders, foreign_at, chunk_lens }
    }
}

/// Seals as planned; gives the message and its header's length.
fn seal(plan: &Plan, plaintext: &[u8]) -> (Vec<u8>, usize) {
    let settings = SealSettings {
        frame_len_bytes: plan.frame_len,
        header_len_bytes: plan.header_len_bytes,
    };
    let (mut stored, required) = contexts(plan);
    let signer = plan.is_signed.then(|| Signer::new(&stored).ok().unwrap());
    if let Some(signer) = &signer {
        stored = signer.context().clone();
    }
    let (data_key, both) = (
        DataKey::generate().unwrap(),
        stored.joined_with(&required).unwrap(),
    );
    let mut recipients: Vec<Recipient> = plan
        .holders
        .iter()
        .map(|holder| HOLDERS[*holder].wrap(&data_key, &both))
        .collect();
    let foreign = Recipient::new(b"aws-kms", b"arn:aws:kms:x", b"opaque").unwrap();
    recipients.insert(plan.foreign_at.min(recipients.len()), foreign);
    let begun = match signer {
        Some(signer) => Sealer::begin_signed(&data_key, signer, &required, &recipients, settings),
        None => Sealer::begin_with_required(&data_key, &stored, &required, &recipients, settings),
    };
    let (mut sealer, mut message) = begun.ok().unwrap();
    let header_len = message.len();
    for chunk in chunks(plaintext, &plan.chunk_lens) {
        sealer.write(chunk, &mut message).unwrap();
    }
    sealer.finish(&mut message).unwrap();
    (message, header_len)
}

fn contexts(plan: &Plan) -> (Context, Context) {
    let context = |pairs: &BTreeMap<String, String>| Context::from_pairs(pairs).unwrap();
    (context(&plan.stored), context(&plan.required))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_holder_alone_opens_what_was_sealed(plan in plans(), open_chunks in vec(1..3000_usize, 0..6)) {
        let plaintext = plaintext(plan.len);
        let (message, header_len) = seal(&plan, &plaintext);
        let (header, parsed_len) = header(&message);
        prop_assert_eq!(parsed_len, header_len);
        prop_assert_eq!(plan.header_len_bytes.map_or(header_len, |fixed| fixed as usize), header_len);
        prop_assert_eq!(header.suite() == Suite::CommittedSigned, plan.is_signed);
        let (stored, required) = contexts(&plan);
        prop_assert!(stored.pairs().all(|(key, value)| header.context().value(key) == Some(value)));
        prop_assert_eq!(header.context().pairs().count(), plan.stored.len() + usize::from(plan.is_signed));

        let unsigned_len = message.len() - if plan.is_signed { sizes::FOOTER_LEN_BYTES } else { 0 };
        let (len, unsigned_len, header_len) = (plan.len as u64, unsigned_len as u64, header_len as u64);
        prop_assert_eq!(sizes::sealed_len(len, header_len, plan.frame_len), Some(unsigned_len));
        prop_assert_eq!(sizes::opened_len(unsigned_len, header_len, plan.frame_len), Some(len));

        let both = header.context().joined_with(&required).unwrap();
        for (at, holder) in HOLDERS.iter().enumerate() {
            let mut opened = header.recipients().filter_map(|recipient| holder.unwrap(&recipient, &both).ok());
            let Some(data_key) = opened.next() else {
                prop_assert!(!plan.holders.contains(&at), "{}", at);
                continue;
            };
            prop_assert!(plan.holders.contains(&at) && opened.next().is_none(), "{}", at);
            let mut opener = Opener::begin_with_required(&header, &required, &data_key).unwrap_or_else(|refusal| panic!("{refusal}"));
            let mut released = Vec::new();
            for chunk in chunks(&message[parsed_len..], &open_chunks) {
                opener.write(chunk, &mut released).unwrap();
            }
            prop_assert_eq!(opener.finish().unwrap().plaintext_len_bytes(), len);
            prop_assert_eq!(&released, &plaintext);
        }
    }

    #[test]
    fn no_chunking_changes_what_is_released_or_refused(
        len in 0..3000_usize,
        frame_len_bytes in prop_oneof![1_u32..40, 500_u32..2000],
        damage in prop_oneof![
            Just(Damage::Nothing),
            any::<usize>().prop_map(Damage::Cut),
            (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
            vec(any::<u8>(), 1..100).prop_map(Damage::Longer),
        ],
        one in vec(1..2500_usize, 0..6),
        other in vec(1..100_usize, 1..6),
    ) {
        let settings = SealSettings { frame_len_bytes, ..SealSettings::default() };
        let message = Message::seal(plaintext(len), settings, &[]);
        let body = damage.done_to(message.body());
        let (released, ended) = message.open_body(&body, &one);
        prop_assert_eq!((&released, &ended), (&message.open_body(&body, &other).0, &message.open_body(&body, &other).1));
        prop_assert_eq!(ended.is_ok(), body == message.body());
        prop_assert!(message.plaintext.starts_with(&released));
        // Frame by whole frame, and all of them only at the end.
        prop_assert!(released.len() == len || released.len().is_multiple_of(message.frame_len));
    }
}

#[derive(Debug, Clone)]
enum Damage {
    Nothing,
    Cut(usize),
    Flip(usize, u8),
    Longer(Vec<u8>),
}

impl Damage {
    fn done_to(&self, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        match self {
            Self::Nothing => {}
            Self::Cut(at) => body.truncate(at % body.len()),
            Self::Flip(at, bit) => {
                let at = at % body.len();
                body[at] ^= 1 << bit;
            }
            Self::Longer(tail) => body.extend_from_slice(tail),
        }
        body
    }
}
