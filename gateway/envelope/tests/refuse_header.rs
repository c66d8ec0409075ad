//! Headers that are refused: damaged, cut, too long, or never to be written.

mod support;

use proptest::prelude::*;
use sealgate_envelope::{
    Context, ContextFault, DataKey, Header, HeaderLimits, Opener, ParsedHeader, Recipient,
    RecipientRef, Refusal, RefusalReason, SealError, SealSettings, Sealer,
};
use support::{Message, context, header, recipients};

/// Offset of the recipient count in the header of `Message::small`.
fn recipients_at() -> usize {
    37 + context().as_bytes().len()
}

fn refusal(bytes: &[u8]) -> Refusal {
    Header::parse(bytes).expect_err("refused")
}

fn changed(bytes: &[u8], at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

#[test]
fn every_single_flipped_bit_is_refused() {
    let message = Message::small();
    let (mut by_parser, mut by_commitment, mut by_tag) = (0, 0, 0);
    for bit in 0..message.header_len * 8 {
        let mut bytes = message.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match Header::parse(&bytes) {
            Err(_) | Ok(ParsedHeader::NeedMore { .. }) => by_parser += 1,
            // With the right data key at hand, so that no recipient's tag is what refuses.
            Ok(ParsedHeader::Complete { header, .. }) => {
                match Opener::begin(&header, &message.data_key) {
                    Ok(_) => panic!("bit {bit}: opened"),
                    Err(Refusal {
                        reason: RefusalReason::CommitmentMismatch,
                        ..
                    }) => by_commitment += 1,
                    Err(Refusal {
                        reason: RefusalReason::HeaderTagMismatch,
                        ..
                    }) => by_tag += 1,
                    Err(refusal) => panic!("bit {bit}: {refusal}"),
                }
            }
        }
    }
    assert_eq!(by_parser + by_commitment + by_tag, 512 * 8);
    // Message id and commitment change what is committed to; the rest only the tag can tell.
    assert_eq!(by_commitment, (32 + 32) * 8);
    assert!(by_tag > 256 * 8, "{by_tag}");
}

#[test]
fn a_cut_at_every_byte_asks_for_more() {
    let message = Message::small();
    let mut steps = 0;
    let mut len = 0;
    for cut in 0..message.header_len {
        let ParsedHeader::NeedMore { at_least_bytes } =
            Header::parse(&message.bytes[..cut]).unwrap()
        else {
            panic!("complete at {cut}")
        };
        assert!(
            (cut + 1..=message.header_len).contains(&at_least_bytes),
            "cut at {cut}"
        );
    }
    // Who waits for what is asked for parses in as many steps as there are fields.
    while let ParsedHeader::NeedMore { at_least_bytes } =
        Header::parse(&message.bytes[..len]).unwrap()
    {
        (len, steps) = (at_least_bytes, steps + 1);
    }
    assert_eq!(len, message.header_len);
    assert!(steps < 40, "{steps}");
    let cut_short = Refusal::header_cut_short(100);
    assert_eq!(
        (cut_short.offset, cut_short.reason),
        (100, RefusalReason::HeaderCutShort)
    );
}

#[test]
fn another_data_key_is_refused_by_the_commitment() {
    let message = Message::small();
    let (header, len_bytes) = header(&message.bytes);
    let refused = Opener::begin(&header, &DataKey::generate().unwrap())
        .err()
        .unwrap();
    assert_eq!(
        refused,
        Refusal {
            offset: len_bytes as u64 - 48,
            reason: RefusalReason::CommitmentMismatch
        }
    );
}

#[test]
fn the_commitment_is_compared_before_the_header_tag() {
    let message = Message::small();
    let mut bytes = message.bytes.clone();
    bytes[message.header_len - 1] ^= 1;
    let begin = |data_key| Opener::begin(&header(&bytes).0, data_key).err().unwrap();
    assert_eq!(
        begin(&message.data_key),
        Refusal {
            offset: 0,
            reason: RefusalReason::HeaderTagMismatch
        }
    );
    assert_eq!(
        begin(&DataKey::generate().unwrap()).reason,
        RefusalReason::CommitmentMismatch
    );
}

#[test]
fn versions_and_suites_are_refused_with_their_first_bytes() {
    let refuse = |offset, reason| Refusal { offset, reason };
    assert_eq!(
        refusal(&[1]),
        refuse(0, RefusalReason::Version { version: 1 })
    );
    assert_eq!(
        refusal(&[2, 0x01, 0x78]),
        refuse(1, RefusalReason::SuiteWithoutCommitment { suite: 0x0178 })
    );
    assert_eq!(
        refusal(&[2, 0x03, 0x78]),
        refuse(1, RefusalReason::SuiteWithoutCommitment { suite: 0x0378 })
    );
    assert_eq!(
        refusal(&[2, 0x06, 0x78]),
        refuse(1, RefusalReason::UnknownSuite { suite: 0x0678 })
    );
}

#[test]
fn recipient_counts_are_bounded() {
    let message = Message::small();
    let at = recipients_at();
    let with_count = |count: u16| changed(&message.bytes, at, &count.to_be_bytes());
    let none = Refusal {
        offset: at as u64,
        reason: RefusalReason::NoRecipients,
    };
    assert_eq!(refusal(&with_count(0)), none);
    // Refused with the count itself, before any of the recipients is there.
    let many = Refusal {
        offset: at as u64,
        reason: RefusalReason::TooManyRecipients {
            count: 17,
            most: 16,
        },
    };
    assert_eq!(refusal(&with_count(17)[..at + 2]), many);
    let limits = HeaderLimits {
        recipients_most: 2,
        ..HeaderLimits::default()
    };
    let three = Header::parse_within(&message.bytes, limits).expect_err("refused");
    assert_eq!(
        three.reason,
        RefusalReason::TooManyRecipients { count: 3, most: 2 }
    );
}

#[test]
fn content_type_and_frame_length_are_bounded() {
    let message = Message::small();
    let at = message.header_len - 16 - 32 - 4;
    let not_framed = refusal(&changed(&message.bytes, at - 1, &[1]));
    assert_eq!(
        not_framed,
        Refusal {
            offset: at as u64 - 1,
            reason: RefusalReason::NotFramed { content_type: 1 }
        }
    );
    for frame_len_bytes in [0, (4 << 20) + 1, u32::MAX] {
        let refused =
            refusal(&changed(&message.bytes, at, &frame_len_bytes.to_be_bytes())[..at + 4]);
        let reason = RefusalReason::FrameLen {
            frame_len_bytes,
            most: 4 << 20,
        };
        assert_eq!(
            refused,
            Refusal {
                offset: at as u64,
                reason
            }
        );
    }
}

#[test]
fn a_header_beyond_the_limit_is_refused_before_it_arrives() {
    // A recipient that announces more than what is left of 64 KiB.
    let mut bytes = Message::small().bytes[..recipients_at()].to_vec();
    bytes.extend_from_slice(&[0, 2, 0, 1, b'a', 0, 1, b'b', 0xFF, 0xFF]);
    let reason = RefusalReason::HeaderTooLong { most: 65_536 };
    assert_eq!(
        refusal(&bytes),
        Refusal {
            offset: bytes.len() as u64,
            reason
        }
    );
    // A context of the greatest length leaves no room for the rest, and its last byte is not waited for.
    let mut bytes = Message::small().bytes[..35].to_vec();
    bytes.extend_from_slice(&[0xFF, 0xFF]);
    assert_eq!(refusal(&bytes).reason, reason);
    let limits = HeaderLimits {
        header_len_bytes_most: 511,
        ..HeaderLimits::default()
    };
    let refused = Header::parse_within(&Message::small().bytes, limits).expect_err("refused");
    assert_eq!(refused.reason, RefusalReason::HeaderTooLong { most: 511 });
}

#[test]
fn a_malformed_context_is_refused_at_its_place() {
    let bytes = Message::small().bytes;
    // The count of pairs, one more than there are.
    let refused = refusal(&changed(&bytes, 37, &[0, 4]));
    assert_eq!(
        refused.reason,
        RefusalReason::Context(ContextFault::CutShort)
    );
    assert_eq!(refused.offset, recipients_at() as u64);
    let refused = refusal(&changed(&bytes, 41, &[0xFF]));
    assert_eq!(
        refused,
        Refusal {
            offset: 39,
            reason: RefusalReason::Context(ContextFault::NotUtf8)
        }
    );
}

#[test]
fn what_no_reader_accepts_is_not_written() {
    let (data_key, context) = (DataKey::generate().unwrap(), context());
    let recipients = recipients(&data_key, &context);
    let begin = |context: &Context, recipients: &[Recipient], settings| {
        Sealer::begin(&data_key, context, recipients, settings).err()
    };
    let default = SealSettings::default();
    assert_eq!(begin(&context, &recipients, default), None);
    assert_eq!(begin(&context, &[], default), Some(SealError::NoRecipients));

    let many = vec![recipients[0].clone(); 17];
    assert_eq!(
        begin(&context, &many, default),
        Some(SealError::TooManyRecipients {
            count: 17,
            most: 16
        })
    );
    let padded = SealSettings {
        header_len_bytes: Some(4096),
        ..default
    };
    assert_eq!(
        begin(&context, &many[..16], padded),
        Some(SealError::TooManyRecipients {
            count: 17,
            most: 16
        })
    );
    assert_eq!(begin(&context, &many[..16], default), None);

    for frame_len_bytes in [0, (4 << 20) + 1] {
        let refused = begin(
            &context,
            &recipients,
            SealSettings {
                frame_len_bytes,
                ..default
            },
        );
        assert_eq!(
            refused,
            Some(SealError::FrameLen {
                frame_len_bytes,
                most: 4 << 20
            })
        );
    }
    let reserved = Context::from_pairs([("aws-crypto-public-key", "x")]).unwrap();
    assert_eq!(
        begin(&reserved, &recipients, default),
        Some(SealError::ReservedContextKey)
    );

    let wide = Recipient::new(b"id", b"info", &[0; 65_500]).unwrap();
    let refused = begin(&context, &[wide], default);
    assert!(
        matches!(refused, Some(SealError::HeaderTooLong { most: 65_536, .. })),
        "{refused:?}"
    );
}

#[test]
fn a_header_that_does_not_fit_its_fixed_length_says_what_would() {
    let (data_key, context) = (DataKey::generate().unwrap(), context());
    let recipients = recipients(&data_key, &context);
    let begin = |header_len_bytes: usize| {
        let header_len_bytes = Some(u32::try_from(header_len_bytes).unwrap());
        Sealer::begin(
            &data_key,
            &context,
            &recipients,
            SealSettings {
                header_len_bytes,
                ..SealSettings::default()
            },
        )
    };
    let bare_len = sealgate_envelope::sizes::header_len(
        &context,
        recipients.iter().map(|r| r.as_bytes().len()),
    );
    let Some(SealError::HeaderDoesNotFit {
        needed_bytes,
        fixed_bytes: 128,
    }) = begin(128).err()
    else {
        panic!("fits")
    };
    assert!(needed_bytes > bare_len);
    for fixed in bare_len - 1..needed_bytes + 10 {
        match begin(fixed) {
            Ok((_, header)) => {
                assert!(header.len() == fixed && (fixed == bare_len || fixed >= needed_bytes))
            }
            Err(error) => assert_eq!(
                error,
                SealError::HeaderDoesNotFit {
                    needed_bytes,
                    fixed_bytes: fixed
                }
            ),
        }
    }
}

#[test]
fn foreign_recipients_are_read_and_left_alone() {
    let (data_key, context) = (DataKey::generate().unwrap(), context());
    let foreign = Recipient::new(b"aws-kms", b"arn:aws:kms:x", b"opaque").unwrap();
    let (_, bytes) = Sealer::begin(&data_key, &context, &[foreign], SealSettings::default())
        .ok()
        .unwrap();
    let (header, _) = header(&bytes);
    let found: Vec<_> = header.recipients().collect();
    let expected = RecipientRef {
        provider_id: b"aws-kms",
        provider_info: b"arn:aws:kms:x",
        ciphertext: b"opaque",
    };
    assert_eq!(found, [expected]);
    assert!(Opener::begin(&header, &data_key).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_the_parser_panic(start in 0_usize..128, bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let whole = Message::small().bytes;
        let mut mixed = whole[..start].to_vec();
        mixed.extend_from_slice(&bytes);
        for input in [&bytes[..], &mixed] {
            match Header::parse(input) {
                Ok(ParsedHeader::NeedMore { at_least_bytes }) => prop_assert!(at_least_bytes > input.len()),
                Ok(ParsedHeader::Complete { header, len_bytes }) => {
                    prop_assert!(len_bytes <= input.len());
                    prop_assert!(header.recipients().count() <= 16);
                    prop_assert!(Opener::begin(&header, &DataKey::from_bytes(&[0; 32])).is_err());
                }
                Err(refusal) => prop_assert!(refusal.offset <= input.len() as u64),
            }
        }
    }

    #[test]
    fn no_bytes_make_the_context_panic(bytes in proptest::collection::vec(0_u8..4, 0..64)) {
        if let Ok(context) = Context::parse(&bytes) {
            let rebuilt = Context::from_pairs(context.pairs()).unwrap();
            prop_assert_eq!(rebuilt.as_bytes(), &bytes[..]);
        }
    }
}
