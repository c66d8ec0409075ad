//! A keyring file out of foreign bytes, of either format: refused, or a keyring that opens what it seals.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use sealgate_envelope::{Header, ParsedHeader, SealSettings};
use sealgate_keys::{Keyring, KeyringFault};
use tempfile::NamedTempFile;

fuzz_target!(|bytes: &[u8]| {
    // Of mode 0600, and removed when it is dropped.
    let mut file = NamedTempFile::new().expect("the folder of temporary files takes one");
    file.write_all(bytes).expect("it takes the bytes");
    let (loaded, described) = (Keyring::load(file.path()), Keyring::describe(file.path()));
    let keyring = match (loaded, &described) {
        (Ok(keyring), Ok(description)) => {
            assert_eq!(keyring.tenant(), &*description.tenant);
            let epochs = description.epochs.iter().map(|epoch| epoch.epoch);
            assert!(epochs.eq(keyring.epochs()));
            keyring
        }
        // What unwraps nothing sees no damage in a wrap, and describes a keyring that may not be used.
        (Err(error), Ok(_)) => {
            assert!(matches!(
                error.fault,
                KeyringFault::WrapDamaged { .. } | KeyringFault::Disabled
            ));
            return;
        }
        (Err(a), Err(b)) => {
            assert_eq!(a, *b);
            assert!(!a.to_string().is_empty());
            return;
        }
        (Ok(_), Err(error)) => panic!("loaded, but not described: {error}"),
    };
    let epochs: Vec<u32> = keyring.epochs().collect();
    assert!(epochs.is_sorted_by(|a, b| a < b));
    assert!(epochs.contains(&keyring.current().epoch()));
    let context = keyring.context("1", "/a").expect("short pairs fit");
    let begun = keyring.seal_begin(&context, SealSettings::default());
    let (_, message) = begun.unwrap_or_else(|error| panic!("{error}"));
    let Ok(ParsedHeader::Complete { header, .. }) = Header::parse(&message) else {
        panic!("it is a header")
    };
    assert!(keyring.open_begin(&header, &context).is_ok());
});
