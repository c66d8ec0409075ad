//! What rotation promises: new epochs come by time and by wraps, a node that has loaded the next epoch opens what others seal with it, and
//! a KEK rotation that was stopped anywhere loses nothing and says what it still needs.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealgate_envelope::{Context, Header, ParsedHeader, SealSettings};
use sealgate_keys::limits::REWRAP_BATCH;
use sealgate_keys::{
    Keyring, KeyringFault, OpenBeginError, RewrapProgress, Role, RotationDue, RotationPolicy,
};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

fn keyring() -> (TempDir, PathBuf, Keyring) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.keyring");
    let keyring = Keyring::create(&path, "acme").unwrap();
    (folder, path, keyring)
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

fn opens(keyring: &Keyring, message: &[u8]) -> Result<(), OpenBeginError> {
    let ParsedHeader::Complete { header, .. } = Header::parse(message).unwrap() else {
        panic!("incomplete")
    };
    let expected = Context::from_pairs([("path", "/a")]).unwrap();
    keyring.open_begin(&header, &expected).map(|_| ())
}

fn at(hours: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_900_000_000) + hours * HOUR
}

/// Ten hours, a hundred wraps, an hour ahead.
const POLICY: RotationPolicy = RotationPolicy {
    period: Some(Duration::from_secs(10 * 3600)),
    wraps: 100,
    lead: HOUR,
};

#[test]
fn epochs_come_by_time_and_the_next_one_is_made_ahead() {
    let (_folder, path, keyring) = keyring();
    let keyring = keyring.rotate_epoch_at(at(0)).unwrap();
    assert_eq!(keyring.current().active_from(), Some(at(0)));
    let due = |keyring: &Keyring, hours| keyring.rotation_due(&POLICY, at(hours));
    assert_eq!([due(&keyring, 0), due(&keyring, 8)], [RotationDue::No; 2]);
    assert_eq!(due(&keyring, 9), RotationDue::Prepare);
    let prepared = keyring.rotate_when_due(&POLICY, at(9)).unwrap().unwrap();
    assert_eq!(due(&prepared, 9), RotationDue::No);
    assert_eq!(
        prepared.roles().collect::<Vec<_>>(),
        [(1, Role::Previous), (2, Role::Current), (3, Role::Next)]
    );
    assert_eq!(due(&prepared, 10), RotationDue::ByAge);
    let rotated = prepared.rotate_when_due(&POLICY, at(10)).unwrap().unwrap();
    assert_eq!(
        rotated.roles().collect::<Vec<_>>(),
        [(1, Role::Retired), (2, Role::Previous), (3, Role::Current)]
    );
    let loaded = Keyring::load(path).ok().unwrap();
    assert_eq!(loaded.current().active_from(), Some(at(10)));
    assert!(loaded.rotate_when_due(&POLICY, at(11)).unwrap().is_none());
    // A clock that goes back is no reason.
    assert_eq!(due(&loaded, 0), RotationDue::No);
}

#[test]
fn epochs_come_by_wraps() {
    let (_folder, _path, keyring) = keyring();
    let keyring = keyring.rotate_epoch_at(at(0)).unwrap();
    let due_after = |wraps| {
        while keyring.current().wraps() < wraps {
            seal(&keyring);
        }
        keyring.rotation_due(&POLICY, at(1))
    };
    assert_eq!(due_after(89), RotationDue::No);
    assert_eq!(due_after(90), RotationDue::Prepare);
    assert_eq!(due_after(100), RotationDue::ByWraps);
}

#[test]
fn time_ends_no_epoch_where_no_period_is_set() {
    let (_folder, _path, keyring) = keyring();
    let policy = RotationPolicy {
        period: None,
        ..POLICY
    };
    assert_eq!(
        keyring.rotation_due(&policy, at(1_000_000)),
        RotationDue::No
    );
}

#[test]
fn of_many_nodes_that_find_an_epoch_due_one_rotates() {
    let (_folder, path, keyring) = keyring();
    keyring.rotate_epoch_at(at(0)).unwrap();
    let nodes: Vec<Keyring> = (0..8).map(|_| Keyring::load(&path).ok().unwrap()).collect();
    let barrier = std::sync::Barrier::new(nodes.len());
    std::thread::scope(|scope| {
        for node in &nodes {
            scope.spawn(|| {
                barrier.wait();
                loop {
                    match node.rotate_when_due(&POLICY, at(10)) {
                        Ok(rotated) => {
                            let epoch = rotated.map(|keyring| keyring.current().epoch());
                            assert_eq!(epoch, Some(3), "by this node or by another");
                            return;
                        }
                        Err(error) if error.fault == KeyringFault::Busy => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let epochs: Vec<u32> = Keyring::load(&path).ok().unwrap().epochs().collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn a_node_with_the_next_epoch_opens_what_is_sealed_with_it_first_elsewhere() {
    let (_folder, path, keyring) = keyring();
    let unaware = Keyring::load(&path).ok().unwrap();
    keyring.prepare_epoch().unwrap();
    keyring.prepare_epoch().unwrap();
    let aware = Keyring::load(&path).ok().unwrap();
    assert_eq!(aware.epochs().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(aware.current().epoch(), 1);
    let rotated = aware.rotate_epoch().unwrap();
    assert_eq!(rotated.current().epoch(), 2);
    let message = seal(&rotated);
    assert_eq!(opens(&aware, &message), Ok(()));
    assert_eq!(
        opens(&unaware, &message),
        Err(OpenBeginError::UnknownEpoch { epoch: 2 })
    );
}

#[test]
fn a_kek_rotation_rewraps_every_branch_key_and_destroys_the_old_kek() {
    let (_folder, path, keyring) = keyring();
    let first = seal(&keyring);
    let keyring = keyring.rotate_epoch().unwrap().prepare_epoch().unwrap();
    let second = seal(&keyring);
    let before = fs::read_to_string(&path).unwrap();
    let mut told = Vec::new();
    let rotation = keyring
        .rotate_kek(|progress| {
            told.push(progress);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(told, [RewrapProgress { done: 3, total: 3 }]);
    assert_eq!((rotation.version, rotation.rewrapped), (2, 3));
    assert_eq!((rotation.needed, rotation.destroyed), (vec![2], vec![1]));
    let after = fs::read_to_string(&path).unwrap();
    for line in before.lines() {
        let is_key = line.starts_with("secret") || line.starts_with("wrapped");
        assert!(!is_key || !after.contains(line), "an old key stayed");
    }
    let loaded = Keyring::load(&path).ok().unwrap();
    assert!(loaded.epochs().eq(keyring.epochs()));
    for keyring in [&keyring, &rotation.keyring, &loaded] {
        assert_eq!(opens(keyring, &first), Ok(()));
        assert_eq!(opens(keyring, &second), Ok(()));
    }
    assert_eq!(rotation.keyring.current().wraps(), 1, "the count goes on");
}

#[test]
fn a_stopped_kek_rotation_says_what_it_needs_and_goes_on_later() {
    let (_folder, path, mut keyring) = keyring();
    let first = seal(&keyring);
    let total = 2 * REWRAP_BATCH + 1;
    for _ in 1..total {
        keyring = keyring.rotate_epoch().unwrap();
    }
    let stopped = keyring.rotate_kek(|_| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.version, stopped.rewrapped), (2, REWRAP_BATCH));
    assert_eq!((stopped.needed, stopped.destroyed), (vec![1, 2], vec![]));
    // As after a crash: what is on disk opens everything.
    let loaded = Keyring::load(&path).ok().unwrap();
    assert_eq!(opens(&loaded, &first), Ok(()));
    // An epoch that comes in between is under the new KEK.
    let loaded = loaded.rotate_epoch().unwrap();

    let mut told = Vec::new();
    let done = loaded
        .rotate_kek(|progress| {
            told.push((progress.done, progress.total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((done.version, done.rewrapped), (2, total - REWRAP_BATCH));
    assert_eq!((done.needed, done.destroyed), (vec![2], vec![1]));
    assert_eq!(
        told,
        [(2 * REWRAP_BATCH + 1, total + 1), (total + 1, total + 1)]
    );
    assert_eq!(opens(&Keyring::load(&path).ok().unwrap(), &first), Ok(()));
    let again = done
        .keyring
        .rotate_kek(|_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!((again.version, again.needed), (3, vec![3]));
}
