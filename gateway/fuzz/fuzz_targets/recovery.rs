//! A recovery file out of foreign bytes, with good shares: refused, or a keyring that loads and seals under an epoch of its own.

#![no_main]

use std::fs;
use std::time::UNIX_EPOCH;

use libfuzzer_sys::fuzz_target;
use sealgate_keys::Keyring;

const SHARE: &str = include_str!("../fixtures/recovery-share");

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("the folder of temporary files takes one");
    let (path, out) = (
        folder.path().join("acme.recovery"),
        folder.path().join("out"),
    );
    fs::write(&path, bytes).expect("it takes the bytes");
    make_private(&path);
    match Keyring::recover(&path, &[SHARE], &out, UNIX_EPOCH) {
        Ok(recovered) => {
            let loaded = Keyring::load(&out).unwrap_or_else(|error| panic!("{error}"));
            assert!(loaded.epochs().eq(recovered.epochs()));
            let newest = loaded.epochs().last();
            assert_eq!(newest, Some(loaded.current().epoch()));
            assert!(
                loaded.epochs().count() > 1,
                "what it recovered, and its own"
            );
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(!out.exists(), "nothing is written");
        }
    }
});

fn make_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, mode).expect("it is ours");
}
