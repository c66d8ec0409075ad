//! Ranges of a message whose body is foreign bytes, from a source that may lie about its length: only the slice comes out, and only where
//! the final frame verified does anything say where the plaintext ends.
//!
//! Input: how much longer the source says it is (one signed byte), how many ranges (one byte), those (start and end, two bytes each),
//! then the body.

#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use sealgate_envelope::{
    DataKey, Header, HeaderLimits, ParsedHeader, RangeError, RangeOpener, ReadAt, read_header,
};

const DATA_KEY: [u8; 32] = [0x42; 32];
const MESSAGE: &[u8] = include_bytes!("../fixtures/committed.esdk");
const PLAINTEXT: &[u8] = include_bytes!("../fixtures/plaintext");

struct Lying<'a> {
    bytes: &'a [u8],
    excess: i8,
}

impl ReadAt for Lying<'_> {
    fn stored_len(&mut self) -> io::Result<u64> {
        Ok((self.bytes.len() as u64).saturating_add_signed(self.excess.into()))
    }

    fn read_exact_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..));
        let found = from.and_then(|from| from.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    let [excess, count, rest @ ..] = input else {
        return;
    };
    let excess = excess.cast_signed();
    let (ranges, body) = rest.split_at((4 * usize::from(*count)).min(rest.len()));
    // As a whole message: its header is foreign too.
    if let Ok(header) = read_header(
        &mut Lying {
            bytes: body,
            excess,
        },
        HeaderLimits::default(),
    ) {
        assert!(body.starts_with(header.as_bytes()));
    }

    let Ok(ParsedHeader::Complete { header, len_bytes }) = Header::parse(MESSAGE) else {
        panic!("the fixture is a message")
    };
    let bytes = [&MESSAGE[..len_bytes], body].concat();
    let is_whole = bytes == MESSAGE && excess == 0;
    let source = Lying {
        bytes: &bytes,
        excess,
    };
    let Ok(mut opener) = RangeOpener::begin(source, &header, &DataKey::from_bytes(&DATA_KEY))
    else {
        assert!(!is_whole);
        return;
    };
    for range in ranges.chunks_exact(4) {
        let [start, end] = [[range[0], range[1]], [range[2], range[3]]].map(u16::from_be_bytes);
        open(&mut opener, usize::from(start), usize::from(end), is_whole);
    }
    match opener.verify_end() {
        Ok(end) => assert_eq!(end.plaintext_len_bytes(), PLAINTEXT.len() as u64),
        Err(_) => assert!(!is_whole),
    }
});

fn open(opener: &mut RangeOpener<Lying<'_>>, start: usize, end: usize, is_whole: bool) {
    let mut part = b"before".to_vec();
    let opened = opener.open(start as u64..end as u64, &mut part);
    assert!(part.starts_with(b"before"));
    let part = &part[6..];
    match opened {
        // An empty range claims nothing, so it opens wherever the stored length allows it.
        Ok(()) if start == end => assert!(part.is_empty()),
        Ok(()) => assert_eq!(part, &PLAINTEXT[start..end]),
        Err(RangeError::Backwards { .. }) => assert!(start > end && part.is_empty()),
        Err(RangeError::BeyondEnd {
            plaintext_len_bytes,
            ..
        }) => {
            assert_eq!(plaintext_len_bytes, PLAINTEXT.len() as u64);
            assert!(end > PLAINTEXT.len() && part.is_empty());
        }
        Err(RangeError::Refused(_) | RangeError::Read(_)) => {
            assert!(!is_whole);
            assert!(
                PLAINTEXT
                    .get(start..)
                    .is_some_and(|rest| rest.starts_with(part))
                    || part.is_empty()
            );
        }
        Err(RangeError::SignedMessage) => panic!("it is not signed"),
    }
}
