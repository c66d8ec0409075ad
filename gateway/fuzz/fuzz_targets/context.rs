//! A context out of foreign bytes: refused, or read into exactly what stands there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_envelope::Context;

fuzz_target!(|bytes: &[u8]| {
    match Context::parse(bytes) {
        Ok(context) => {
            assert_eq!(context.as_bytes(), bytes);
            let pairs: Vec<_> = context.pairs().collect();
            assert!(pairs.is_sorted_by(|(a, _), (b, _)| a.as_bytes() < b.as_bytes()));
            let again = Context::from_pairs(pairs.iter().rev().copied());
            assert!(again == Ok(context.clone()));
            for (key, value) in pairs {
                assert_eq!(context.value(key), Some(value));
            }
        }
        Err(error) => assert!(error.offset <= bytes.len()),
    }
});
