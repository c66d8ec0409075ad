//! Every message in `tests/vectors/` opens or is refused as the index says. The official Python SDK wrote them.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use sealgate_envelope::{
    Context, DataKey, Header, HeaderLimits, Opener, ParsedHeader, RangeError, RangeOpener,
    RawAesKey, Refusal, RefusalReason, UnwrapError, read_header,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Vector {
    file: String,
    key_hex: String,
    namespace: String,
    key_name: String,
    encryption_context: BTreeMap<String, String>,
    frame_length: u32,
    suite: String,
    plaintext_len: usize,
    plaintext_sha256: String,
    expect: Expect,
    note: String,
}

#[derive(Deserialize, PartialEq, Eq, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Open,
    Refuse,
}

#[derive(Debug, PartialEq, Eq)]
enum Failed {
    Refused(Refusal),
    NotAuthentic,
    NotAddressed,
}

fn open(vector: &Vector, message: &[u8], chunk_len: usize) -> Result<Vec<u8>, Failed> {
    let key = hex(&vector.key_hex).try_into().expect("32 bytes");
    let key = RawAesKey::new(&key, &vector.namespace, &vector.key_name).expect("names fit");
    let (header, len_bytes) = match Header::parse(message).map_err(Failed::Refused)? {
        ParsedHeader::Complete { header, len_bytes } => (header, len_bytes),
        ParsedHeader::NeedMore { .. } => {
            return Err(Failed::Refused(Refusal::header_cut_short(message.len())));
        }
    };
    let addressed = header
        .recipients()
        .find(|recipient| key.is_named_by(recipient));
    let data_key = key
        .unwrap(&addressed.ok_or(Failed::NotAddressed)?, header.context())
        .map_err(|error| match error {
            UnwrapError::NotAuthentic => Failed::NotAuthentic,
            UnwrapError::NotAddressed => Failed::NotAddressed,
        })?;
    if vector.expect == Expect::Open {
        assert_eq!(
            format!("{:04x}", header.suite().id()),
            vector.suite,
            "{}",
            vector.file
        );
        assert_eq!(
            header.frame_len_bytes(),
            vector.frame_length,
            "{}",
            vector.file
        );
        let stored: Vec<_> = header
            .context()
            .pairs()
            .filter(|(k, _)| *k != "aws-crypto-public-key")
            .collect();
        let context = Context::from_pairs(&vector.encryption_context).expect("a valid context");
        assert_eq!(
            stored,
            context.pairs().collect::<Vec<_>>(),
            "{}",
            vector.file
        );
    }
    let mut opener = Opener::begin(&header, &data_key).map_err(Failed::Refused)?;
    let mut plaintext = Vec::new();
    for chunk in message[len_bytes..].chunks(chunk_len) {
        opener
            .write(chunk, &mut plaintext)
            .map_err(Failed::Refused)?;
    }
    let whole = opener.finish().map_err(Failed::Refused)?;
    assert_eq!(whole.plaintext_len_bytes(), plaintext.len() as u64);
    Ok(plaintext)
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
        let opener = RangeOpener::begin(source, &header, &data_key(vector, &header));
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

fn data_key(vector: &Vector, header: &Header) -> DataKey {
    let key = hex(&vector.key_hex).try_into().expect("32 bytes");
    let key = RawAesKey::new(&key, &vector.namespace, &vector.key_name).expect("names fit");
    let recipient = header
        .recipients()
        .find(|recipient| key.is_named_by(recipient));
    key.unwrap(&recipient.expect("it is named"), header.context())
        .expect("it is its key")
}

/// A refusal is for the reason that the vector was made for, not for some accident on the way.
fn check_reason(vector: &Vector, message: &[u8], failed: &Failed) {
    let kind = vector.file.split(['-', '.']).next().expect("a name");
    let as_made = match (kind, failed) {
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

fn vectors() -> Vec<(Vector, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let index = fs::read(folder.join("index.json")).expect("the index is there");
    let vectors: Vec<Vector> = serde_json::from_slice(&index).expect("the index is JSON");
    vectors
        .into_iter()
        .map(|vector| (fs::read(folder.join(&vector.file)).expect("listed"), vector))
        .map(|(m, v)| (v, m))
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
        .collect()
}
