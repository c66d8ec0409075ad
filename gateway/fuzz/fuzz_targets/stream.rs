//! A message's body out of foreign bytes, behind a header that is authentic: chunking changes nothing, and whatever the bytes are, only
//! plaintext that was sealed comes out, and all of it where the opener says so.
//!
//! Input: which message (one byte), how many chunk lengths (one byte), those (one byte each), then the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_envelope::{DataKey, Header, Opener, ParsedHeader, Refusal};

const DATA_KEY: [u8; 32] = [0x42; 32];
const MESSAGES: [&[u8]; 2] = [
    include_bytes!("../fixtures/committed.esdk"),
    include_bytes!("../fixtures/signed.esdk"),
];
const PLAINTEXT: &[u8] = include_bytes!("../fixtures/plaintext");

fuzz_target!(|input: &[u8]| {
    let [which, count, rest @ ..] = input else {
        return;
    };
    let (chunk_lens, body) = rest.split_at(usize::from(*count).min(rest.len()));
    let message = MESSAGES[usize::from(*which) % MESSAGES.len()];
    let Ok(ParsedHeader::Complete { header, len_bytes }) = Header::parse(message) else {
        panic!("the fixture is a message")
    };

    let (whole, verdict) = open(&header, body, &[]);
    let (chunked, chunked_verdict) = open(&header, body, chunk_lens);
    assert_eq!(whole, chunked);
    assert_eq!(verdict, chunked_verdict);
    assert!(PLAINTEXT.starts_with(&whole));
    match verdict {
        // An ECDSA signature has other encodings of the same length, so the footer may differ.
        Ok(len) => {
            assert_eq!(len, PLAINTEXT.len() as u64);
            assert_eq!(whole, PLAINTEXT);
        }
        Err(refusal) => assert!(refusal.offset <= (len_bytes + body.len()) as u64),
    }
});

fn open(header: &Header, body: &[u8], chunk_lens: &[u8]) -> (Vec<u8>, Result<u64, Refusal>) {
    let data_key = DataKey::from_bytes(&DATA_KEY);
    let mut opener = Opener::begin(header, &data_key).expect("the fixture's header is authentic");
    let (mut released, mut rest) = (Vec::new(), body);
    let mut lens = chunk_lens.iter().cycle();
    while !rest.is_empty() {
        let len = lens
            .next()
            .map_or(rest.len(), |len| usize::from(*len).max(1));
        let (chunk, after) = rest.split_at(len.min(rest.len()));
        if let Err(refusal) = opener.write(chunk, &mut released) {
            return (released, Err(refusal));
        }
        rest = after;
    }
    let verdict = opener.finish().map(|whole| whole.plaintext_len_bytes());
    (released, verdict)
}
