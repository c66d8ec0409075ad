//! What the trait promises, held by the file provider: a wrap opens in its own place and under its own KEK only, and each no has its type.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sealgate_keys::provider::{
    Destruction, FileProvider, KekName, KekState, KeyProvider, ProviderFault, WrapContext,
};
use sealgate_keys::{Keyring, KeyringFault, Secret};

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the file provider waited"),
    }
}

fn kek(version: u32) -> KekName {
    KekName {
        pseudonym: "p".into(),
        version,
    }
}

fn place(pseudonym: &str, branch: &str, epoch: u32) -> WrapContext {
    WrapContext {
        pseudonym: pseudonym.into(),
        branch: branch.into(),
        epoch,
    }
}

#[test]
fn wraps_open_in_their_place_only() {
    let provider: &dyn KeyProvider = &FileProvider::new();
    for version in [1, 2] {
        now(provider.generate(&kek(version))).unwrap();
    }
    let secret = Secret::generate().unwrap();
    let home = place("p", "main", 1);
    let wrapped = now(provider.wrap(&kek(1), &secret, &home)).unwrap();
    let opened = now(provider.unwrap(&kek(1), &wrapped, &home)).ok().unwrap();
    assert!(opened.ct_eq(&secret));

    let refusal = |kek: &KekName, context: &WrapContext| {
        let refused = now(provider.unwrap(kek, &wrapped, context)).err().unwrap();
        (refused.provider, refused.fault)
    };
    for elsewhere in [
        place("q", "main", 1),
        place("p", "side", 1),
        place("p", "main", 2),
        place("pm", "ain", 1),
    ] {
        assert_eq!(
            refusal(&kek(1), &elsewhere),
            ("file", ProviderFault::NotAuthentic)
        );
    }
    assert_eq!(
        refusal(&kek(2), &home),
        ("file", ProviderFault::NotAuthentic)
    );
    assert_eq!(refusal(&kek(3), &home), ("file", ProviderFault::NotFound));
}

#[test]
fn a_damaged_or_cut_wrap_is_refused() {
    let provider = FileProvider::new();
    now(provider.generate(&kek(1))).unwrap();
    let home = place("p", "main", 1);
    let wrapped = now(provider.wrap(&kek(1), &Secret::generate().unwrap(), &home)).unwrap();
    for at in 0..wrapped.0.len() {
        let (mut damaged, mut cut) = (wrapped.clone(), wrapped.clone());
        damaged.0[at] ^= 1;
        cut.0.truncate(at);
        for bad in [damaged, cut] {
            let refused = now(provider.unwrap(&kek(1), &bad, &home)).err().unwrap();
            assert_eq!(refused.fault, ProviderFault::NotAuthentic, "byte {at}");
        }
    }
}

#[test]
fn a_destroyed_kek_is_not_found_and_a_made_one_is_not_made_again() {
    let provider = FileProvider::new();
    now(provider.generate(&kek(1))).unwrap();
    assert_eq!(
        now(provider.generate(&kek(1))).unwrap_err().fault,
        ProviderFault::AlreadyExists
    );
    assert_eq!(now(provider.state(&kek(1))), Ok(KekState::Enabled));
    assert_eq!(now(provider.destroy(&kek(1))), Ok(Destruction::Done));
    assert_eq!(provider.versions(), []);
    let home = place("p", "main", 1);
    let faults = [
        now(provider.state(&kek(1))).unwrap_err(),
        now(provider.destroy(&kek(1))).unwrap_err(),
        now(provider.wrap(&kek(1), &Secret::generate().unwrap(), &home)).unwrap_err(),
    ]
    .map(|error| error.fault);
    assert_eq!(faults, [ProviderFault::NotFound; 3]);
}

#[test]
fn a_refusal_is_the_providers_word_and_silence_is_not() {
    let silence = ProviderFault::Unreachable { retry_after: None };
    assert!(!silence.is_refusal());
    for fault in [
        ProviderFault::Denied,
        ProviderFault::NotFound,
        ProviderFault::Disabled,
    ] {
        assert!(fault.is_refusal());
    }
}

#[test]
fn the_context_is_told_as_bytes_and_as_pairs() {
    let context = place("p", "main", 7);
    assert_eq!(
        context.to_aad(),
        b"sealgate keyring branch key\0\0\0\0\0\0\0\x01p\0\0\0\0\0\0\0\x04main\0\0\0\x07"
    );
    assert_eq!(
        context
            .to_pairs()
            .map(|(key, value)| format!("{key}={value}")),
        ["tenant=p", "branch=main", "epoch=7"]
    );
}

/// A keyring of format 1 as the program of that format wrote it, with one epoch.
const FORMAT_1: &str = include_str!("keyring-format-1.toml");

#[test]
fn a_keyring_of_format_1_loads_and_becomes_format_2_with_the_next_change() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.keyring");
    std::fs::write(&path, FORMAT_1).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let old = Keyring::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(old.epochs().collect::<Vec<_>>(), [1]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), FORMAT_1);

    old.rotate_epoch().unwrap_or_else(|error| panic!("{error}"));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("format = 2\n") && !text.contains("format = 1\n"));
    let new = Keyring::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(new.epochs().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(new.pseudonym(), old.pseudonym());

    std::fs::write(&path, text.replace("format = 2", "format = 3")).unwrap();
    let fault = Keyring::load(&path).err().unwrap().fault;
    assert_eq!(fault, KeyringFault::Format { found: 3 });
    assert!(fault.to_string().contains("expected 2"));
}
