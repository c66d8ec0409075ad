//! A header out of foreign bytes, as they arrive: the verdict does not depend on where the bytes are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_envelope::limits::{HEADER_LEN_BYTES_MOST, RECIPIENTS_MOST};
use sealgate_envelope::{DataKey, Header, Opener, ParsedHeader};

fuzz_target!(|bytes: &[u8]| {
    let verdict = Header::parse(bytes);
    match &verdict {
        Ok(ParsedHeader::NeedMore { at_least_bytes }) => {
            assert!(*at_least_bytes > bytes.len());
            assert!(*at_least_bytes <= HEADER_LEN_BYTES_MOST);
        }
        Ok(ParsedHeader::Complete { header, len_bytes }) => {
            assert_eq!(header.as_bytes(), &bytes[..*len_bytes]);
            let recipients = header.recipients().count();
            assert!((1..=usize::from(RECIPIENTS_MOST)).contains(&recipients));
            // Nobody who fuzzes finds a commitment.
            assert!(Opener::begin(header, &DataKey::from_bytes(&[1; 32])).is_err());
        }
        Err(refusal) => assert!(refusal.offset <= bytes.len() as u64),
    }
    // Byte for byte is too slow for long inputs; what is asked for next is where a reader would call again.
    let mut len = 0;
    loop {
        let prefix = &bytes[..len];
        match (Header::parse(prefix), &verdict) {
            (Ok(ParsedHeader::NeedMore { at_least_bytes }), _) if at_least_bytes <= bytes.len() => {
                assert!(at_least_bytes > len);
                len = at_least_bytes;
            }
            (Ok(ParsedHeader::NeedMore { .. }), Ok(ParsedHeader::NeedMore { .. })) => break,
            (
                Ok(ParsedHeader::Complete { len_bytes: a, .. }),
                Ok(ParsedHeader::Complete { len_bytes: b, .. }),
            ) => {
                assert_eq!(a, *b);
                break;
            }
            (Err(a), Err(b)) => {
                assert_eq!(a, *b);
                break;
            }
            (step, whole) => panic!("{step:?} after {len} bytes, {whole:?} after all"),
        }
    }
});
