//! Every message in `tests/vectors/` opens or is refused as the index says. The official Python SDK wrote them.

mod support;

use std::io::Cursor;

use aws_lc_rs::digest::{SHA256, digest};
use sealgate_envelope::{
    Context, HeaderLimits, RangeError, RangeOpener, Refusal, RefusalReason, read_header,
};
use support::header;
use support::vector::{Expect, Failed, Vector, hex, vectors};

/// The plaintext of `message`, or why there is none.
fn open(vector: &Vector, message: &[u8], chunk_len: usize) -> Result<Vec<u8>, Failed> {
    let (released, ended) = vector.open(message, chunk_len);
    ended.map(|()| released)
}

#[test]
fn every_header_is_read_as_the_index_says() {
    for (vector, message) in &vectors() {
        if vector.expect == Expect::Refuse {
            continue;
        }
        let (header, _) = header(message);
        assert_eq!(format!("{:04x}", header.suite().id()), vector.suite);
        assert_eq!(header.frame_len_bytes(), vector.frame_length);
        let stored: Vec<_> = header
            .context()
            .pairs()
            .filter(|(k, _)| *k != "aws-crypto-public-key")
            .collect();
        let context = Context::from_pairs(&vector.encryption_context).expect("a valid context");
        let expected: Vec<_> = context.pairs().collect();
        assert_eq!(stored, expected, "{}", vector.file);
    }
}

#[test]
fn every_vector_opens_or_is_refused_as_the_index_says() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 50);
    let mut opened = 0;
    for (vector, message) in &vectors {
        for chunk_len in [1, 7, 1000, 65_568, usize::MAX] {
            let result = open(vector, message, chunk_len);
            match (vector.expect, result) {
                (Expect::Open, Ok(plaintext)) => {
                    opened += 1;
                    assert_eq!(plaintext.len(), vector.plaintext_len, "{}", vector.file);
                    let found = digest(&SHA256, &plaintext);
                    assert_eq!(
                        found.as_ref(),
                        hex(&vector.plaintext_sha256),
                        "{}",
                        vector.file
                    );
                }
                (Expect::Refuse, Err(failed)) => check_reason(vector, message, &failed),
                (expect, result) => {
                    panic!(
                        "{}: expected to {expect:?}, got {:?} ({})",
                        vector.file,
                        result.map(|p| p.len()),
                        vector.note
                    )
                }
            }
        }
    }
    assert_eq!(opened, 13 * 5);
}

#[test]
fn a_range_of_a_vector_is_the_slice() {
    let mut ranges = 0;
    for (vector, message) in &vectors() {
        if vector.expect != Expect::Open {
            continue;
        }
        let plaintext = open(vector, message, usize::MAX).expect("it opens");
        let mut source = Cursor::new(message);
        let header = read_header(&mut source, HeaderLimits::default()).expect("well formed");
        let data_key = vector.data_key(&header).expect("it is its key");
        let opener = RangeOpener::begin(source, &header, &data_key);
        if vector.suite == "0578" {
            assert!(matches!(opener.err(), Some(RangeError::SignedMessage)));
            continue;
        }
        let mut opener = opener.expect("it opens");
        let end = opener.verify_end().expect("it is whole");
        assert_eq!(end.plaintext_len_bytes(), plaintext.len() as u64);
        let len = plaintext.len();
        for (start, end) in [
            (0, len),
            (len / 3, len / 2),
            (len, len),
            (len.saturating_sub(1), len),
        ] {
            let mut part = Vec::new();
            let opened = opener.open(start as u64..end as u64, &mut part);
            opened.expect("it is in range");
            assert_eq!(part, plaintext[start..end], "{}", vector.file);
            ranges += 1;
        }
    }
    assert_eq!(ranges, 12 * 4);
}

/// A refusal is for the reason that the vector was made for, not for some accident on the way.
fn check_reason(vector: &Vector, message: &[u8], failed: &Failed) {
    let as_made = match (vector.kind(), failed) {
        ("wrongkey", Failed::NotAuthentic) => true,
        ("trailing", Failed::Refused(refusal)) => {
            refusal.reason == RefusalReason::BytesAfterEnd
                && refusal.offset == message.len() as u64 - 1
        }
        ("truncated", Failed::Refused(refusal)) => {
            matches!(
                refusal.reason,
                RefusalReason::FinalFrameMissing | RefusalReason::HeaderCutShort
            ) && refusal.offset == message.len() as u64
        }
        ("uncommitted", Failed::Refused(refusal)) => {
            matches!(
                refusal.reason,
                RefusalReason::Version { .. } | RefusalReason::SuiteWithoutCommitment { .. }
            )
        }
        ("tampered", _) => true,
        _ => false,
    };
    assert!(as_made, "{}: {failed:?} ({})", vector.file, vector.note);
}

#[test]
fn a_changed_signature_is_refused_at_the_end() {
    let vectors = vectors();
    let (vector, message) = vectors
        .iter()
        .find(|(vector, _)| vector.suite == "0578")
        .expect("there is one");
    for bit in 0..8 {
        let mut message = message.clone();
        let last = message.len() - 1;
        message[last] ^= 1 << bit;
        let Err(Failed::Refused(refusal)) = open(vector, &message, 4096) else {
            panic!("bit {bit}: opened")
        };
        assert_eq!(
            refusal.reason,
            RefusalReason::SignatureMismatch,
            "bit {bit}"
        );
    }
    let mut longer = message.clone();
    longer.push(0);
    assert!(matches!(
        open(vector, &longer, 4096),
        Err(Failed::Refused(Refusal {
            reason: RefusalReason::BytesAfterEnd,
            ..
        }))
    ));
    for missing in 1..110 {
        let Err(Failed::Refused(refusal)) = open(vector, &message[..message.len() - missing], 4096)
        else {
            panic!("opened without its last {missing} bytes")
        };
        assert!(
            matches!(
                refusal.reason,
                RefusalReason::FooterMissing | RefusalReason::FinalFrameMissing
            ),
            "{refusal:?}"
        );
    }
}
