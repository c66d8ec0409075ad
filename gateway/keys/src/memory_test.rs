//! Looks for key bytes in the process's own memory after their owners are dropped.

#[path = "../../envelope/tests/support/memory.rs"]
mod memory;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

use crate::keyring::Keyring;
use crate::secret::Secret;
use memory::{Needle, Search};

fn of_base64(secret: &[u8]) -> Needle {
    let mut text = STANDARD.encode(secret);
    let needle = Needle::of(text.as_bytes());
    text.zeroize();
    needle
}

#[test]
fn a_secret_is_found_while_it_lives_and_not_after() {
    let mut search = Search::new();
    let secret = Secret::<32>::generate().unwrap();
    let needle = Needle::of(secret.expose());
    assert_eq!(
        search.count([&needle]),
        [1],
        "the search finds what is there"
    );
    drop(secret);
    assert_eq!(search.count([&needle]), [0]);
}

#[test]
fn no_key_of_a_keyring_is_in_memory_after_it_is_dropped() {
    let mut search = Search::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.keyring");
    drop(Keyring::create(&path, "acme").unwrap());
    let (kek, kek_text, branch_key) = Keyring::show_secrets(&path, |kek, branch_key| {
        (Needle::of(kek), of_base64(kek), Needle::of(branch_key))
    });
    let needles = [&kek, &kek_text, &branch_key];
    assert_eq!(search.count(needles), [0; 3], "after it was created");

    let keyring = Keyring::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let [kek_count, kek_text_count, branch_key_count] = search.count(needles);
    assert_eq!(
        (kek_count, kek_text_count),
        (0, 0),
        "the KEK is needed no more"
    );
    assert!(branch_key_count > 0, "the search finds what is there");
    let rotated = keyring
        .rotate_epoch()
        .unwrap_or_else(|error| panic!("{error}"));
    drop((keyring, rotated));
    assert_eq!(
        search.count(needles),
        [0; 3],
        "after it was loaded, rotated and dropped"
    );
}
