//! A grant out of foreign bytes, and one that a holder of the grant's key made up: refused, or the message's own data key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_envelope::grant::{self, GrantError};
use sealgate_envelope::{
    DataKey, Header, Opener, ParsedHeader, Recipient, SealError, SealSettings, Sealer,
};

const DATA_KEY: [u8; 32] = [0x42; 32];
const GRANT_KEY: [u8; 32] = [0x43; 32];
const MESSAGE: &[u8] = include_bytes!("../fixtures/committed.esdk");

fuzz_target!(|bytes: &[u8]| {
    let Ok(ParsedHeader::Complete { header, .. }) = Header::parse(MESSAGE) else {
        panic!("the fixture is a message")
    };
    let grant_key = DataKey::from_bytes(&GRANT_KEY);
    match grant::open(bytes, &grant_key, &header) {
        Ok(data_key) => assert!(Opener::begin(&header, &data_key).is_ok()),
        Err(GrantError::Refused(refusal)) => assert!(refusal.offset <= bytes.len() as u64),
        // Nobody who fuzzes finds a tag.
        Err(error) => panic!("authentic, but {error}"),
    }

    let made_up = seal(&header, &grant_key, bytes).expect("it can be sealed");
    match grant::open(&made_up, &grant_key, &header) {
        Ok(data_key) => {
            assert!(bytes.ends_with(&DATA_KEY));
            assert!(Opener::begin(&header, &data_key).is_ok());
        }
        Err(GrantError::OtherMessage | GrantError::OtherDataKey) => assert_eq!(bytes.len(), 65),
        Err(GrantError::NotAGrant) => assert!(bytes.len() != 65 || bytes[0] != 1),
        Err(error) => panic!("sealed just now, but {error}"),
    }
});

/// A message with a grant's context, whose plaintext is not looked at.
fn seal(message: &Header, grant_key: &DataKey, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let nobody = Recipient::new(b"somebody", b"else", b"wrapped").expect("short fields fit");
    let settings = SealSettings {
        frame_len_bytes: 128,
        header_len_bytes: None,
    };
    let (mut sealer, mut bytes) =
        Sealer::begin(grant_key, &grant::context(message), &[nobody], settings)?;
    sealer.write(plaintext, &mut bytes)?;
    sealer.finish(&mut bytes)?;
    Ok(bytes)
}
