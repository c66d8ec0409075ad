//! What recovery promises: enough shares and the recovery file give a keyring that opens everything, fewer give nothing, every new epoch is
//! covered before it seals, and a shred ends it.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use sealgate_envelope::{Context, Header, ParsedHeader, SealSettings};
use sealgate_keys::slip39::{CombineError, Mnemonic, Scheme};
use sealgate_keys::{Keyring, KeyringFault, RecoveryFault};
use tempfile::TempDir;

const NOW: SystemTime = UNIX_EPOCH;

struct Place {
    folder: TempDir,
    keyring: Keyring,
    shares: Vec<Mnemonic>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme");
        let keyring = Keyring::create(&path, "acme").unwrap();
        let keyring = keyring.rotate_epoch().unwrap();
        let shares = Keyring::export_recovery(&path, Scheme::new(2, 3).unwrap(), NOW);
        let shares = shares.unwrap_or_else(|error| panic!("{error}"));
        Self {
            folder,
            keyring,
            shares,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn recover(&self, shares: &[&Mnemonic]) -> Result<Keyring, KeyringFault> {
        let shares: Vec<&str> = shares.iter().map(|share| share.expose()).collect();
        Keyring::recover(self.path("acme.recovery"), &shares, self.path("new"), NOW)
            .map_err(|error| error.fault)
    }
}

fn seal(keyring: &Keyring) -> Vec<u8> {
    let context = keyring.context("1", "/a").unwrap();
    let (sealer, mut message) = keyring
        .seal_begin(&context, SealSettings::default())
        .ok()
        .unwrap();
    sealer.finish(&mut message).unwrap();
    message
}

fn opens(keyring: &Keyring, message: &[u8]) -> bool {
    let ParsedHeader::Complete { header, .. } = Header::parse(message).unwrap() else {
        panic!("incomplete")
    };
    let expected = Context::from_pairs([("path", "/a")]).unwrap();
    keyring.open_begin(&header, &expected).is_ok()
}

#[test]
fn enough_shares_open_everything_and_seal_under_a_new_epoch() {
    let place = Place::new();
    let before = seal(&place.keyring);
    let rotated = place.keyring.reload().unwrap().rotate_epoch().unwrap();
    let after = seal(&rotated);
    let ahead = rotated.prepare_epoch().unwrap();
    assert_eq!(ahead.epochs().collect::<Vec<_>>(), [1, 2, 3, 4]);
    fs::remove_file(place.path("acme")).unwrap();

    let [a, b, c] = [0, 1, 2].map(|at| &place.shares[at]);
    let recovered = place.recover(&[c, a]).unwrap();
    assert_eq!(recovered.tenant(), "acme");
    assert_eq!(recovered.pseudonym(), place.keyring.pseudonym());
    assert!(opens(&recovered, &before) && opens(&recovered, &after));
    // A forged recovery file would otherwise choose the key that seals.
    assert_eq!(recovered.current().epoch(), 5);
    // The new keyring can be recovered with the same shares.
    let next = seal(&recovered.rotate_epoch().unwrap());
    let words = [b.expose(), c.expose()];
    let again = Keyring::recover(place.path("new.recovery"), &words, place.path("third"), NOW);
    assert!(opens(&again.unwrap(), &next));
    let audit = fs::read_to_string(place.path("new.audit")).unwrap();
    assert!(audit.contains("\"event\":\"recovered\",\"tenant\":\"acme\""));
}

#[test]
fn too_few_or_foreign_shares_give_nothing() {
    let (place, other) = (Place::new(), Place::new());
    assert_eq!(
        place.recover(&[&place.shares[1]]).err().unwrap(),
        RecoveryFault::Combine(CombineError::TooFew {
            found: 1,
            needed: 2
        })
        .into()
    );
    assert_eq!(
        place
            .recover(&[&other.shares[0], &other.shares[1]])
            .err()
            .unwrap(),
        RecoveryFault::OtherKey.into()
    );
    // A later export makes the shares of the earlier one worthless for the new file.
    let scheme = Scheme::new(1, 1).unwrap();
    let newer = Keyring::export_recovery(place.path("acme"), scheme, NOW).unwrap();
    assert_eq!(
        place
            .recover(&[&place.shares[0], &place.shares[1]])
            .err()
            .unwrap(),
        RecoveryFault::OtherKey.into()
    );
    assert!(!place.path("new").exists());
    assert!(place.recover(&[&newer[0]]).is_ok());
    assert_eq!(
        place.recover(&[&newer[0]]).err().unwrap(),
        KeyringFault::AlreadyExists
    );
}

#[test]
fn the_recovery_file_holds_no_key_and_says_where_it_is_damaged() {
    let place = Place::new();
    let text = fs::read_to_string(place.path("acme.recovery")).unwrap();
    let keyring = fs::read_to_string(place.path("acme")).unwrap();
    let secret = keyring
        .lines()
        .find_map(|line| line.strip_prefix("secret = "))
        .unwrap();
    assert!(!text.contains(secret));
    let shares = [&place.shares[0], &place.shares[1]];
    let refused = |edit: &str, with: &str| {
        assert!(text.contains(edit), "{edit}");
        fs::write(place.path("acme.recovery"), text.replacen(edit, with, 1)).unwrap();
        place.recover(&shares).err().unwrap().to_string()
    };
    for (edit, with, said) in [
        (
            "epoch = 2\nact",
            "epoch = 3\nact",
            "envelope of epoch 3 does not open",
        ),
        (
            "branch = \"main\"",
            "branch = \"side\"",
            "envelope of epoch 1 does not open",
        ),
        (
            "recovery_format = 1",
            "recovery_format = 9",
            "`format` is 9",
        ),
        (
            "encapsulated = \"",
            "encapsulated = \"AAAA",
            "`envelope[0].encapsulated` should be 32 bytes",
        ),
        (
            "epoch = 2\nact",
            "epoch = 1\nact",
            "envelope of epoch 1 does not open",
        ),
    ] {
        let found = refused(edit, with);
        assert!(found.contains(said), "{found}");
    }
    assert!(!place.path("new").exists());
}

#[test]
fn a_shred_ends_recovery() {
    let place = Place::new();
    assert!(
        Keyring::shred(place.path("acme"), NOW, &[])
            .unwrap()
            .had_recovery
    );
    let refused = place
        .recover(&[&place.shares[0], &place.shares[1]])
        .err()
        .unwrap();
    assert!(matches!(refused, KeyringFault::Io { .. }), "{refused}");
}
