//! What disabling and shredding promise: reads stop within the hard lifetime; after a shred nothing of that tenant opens, by any file or
//! cache, and everything of the others does; and the record says so.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sealgate_envelope::{Context, Header, ParsedHeader, SealSettings};
use sealgate_keys::cache::{
    CacheSettings, FileSource, KeyringCache, LoadFault, Lookup, Unavailable, UnavailableCause,
};
use sealgate_keys::{Keyring, KeyringFault, KeyringState};
use tempfile::TempDir;

const NOW: SystemTime = UNIX_EPOCH;

struct Place {
    folder: TempDir,
    cache: KeyringCache,
    begin: Instant,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for tenant in ["acme", "bolt"] {
            Keyring::create(folder.path().join(tenant), tenant).unwrap();
        }
        Self {
            folder,
            cache: KeyringCache::new("file", CacheSettings::default()),
            begin: Instant::now(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The tenant's keyring out of the cache.
    fn cached(&self, tenant: &str, after: Duration) -> Result<Keyring, Unavailable> {
        let source =
            FileSource::new(["acme", "bolt"].map(|tenant| (tenant.into(), self.path(tenant))));
        let clock = || self.begin + after;
        match now(self.cache.keyring(tenant, &source, &clock))? {
            (keyring, None) => Ok(keyring),
            (keyring, Some(flight)) => {
                now(flight.load(&source, &clock));
                Ok(keyring)
            }
        }
    }

    fn audit(&self, tenant: &str) -> String {
        fs::read_to_string(self.path(&format!("{tenant}.audit"))).unwrap()
    }
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a file was waited for"),
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

fn load_fault(path: PathBuf) -> KeyringFault {
    Keyring::load(path).err().unwrap().fault
}

#[test]
fn a_disabled_tenant_is_not_read_after_the_hard_lifetime_and_others_are() {
    let place = Place::new();
    let settings = CacheSettings::default();
    for tenant in ["acme", "bolt"] {
        place.cached(tenant, Duration::ZERO).ok().unwrap();
    }
    Keyring::set_state(place.path("acme"), KeyringState::Disabled, NOW).unwrap();
    assert_eq!(load_fault(place.path("acme")), KeyringFault::Disabled);
    // Still within the soft lifetime.
    assert!(place.cached("acme", Duration::from_secs(1)).is_ok());
    // The last read, whose refresh hears of it.
    assert!(place.cached("acme", settings.soft).is_ok());
    for after in [settings.soft, settings.hard, settings.hard * 2] {
        assert_eq!(
            place.cached("acme", after).err().unwrap().cause,
            UnavailableCause::Load(LoadFault::Keyring(KeyringFault::Disabled))
        );
        assert!(place.cached("bolt", after).is_ok());
    }
    // Without a refresh the hard lifetime ends it.
    let untold = KeyringCache::new("file", settings);
    let Lookup::Absent(flight) = untold.lookup("bolt", place.begin) else {
        panic!("not absent")
    };
    flight.land(
        Keyring::load(place.path("bolt")).map_err(|error| error.fault.into()),
        place.begin,
    );
    assert!(matches!(
        untold.lookup("bolt", place.begin + settings.hard),
        Lookup::Absent(_)
    ));
}

#[test]
fn disabling_can_be_undone_and_both_are_recorded_once() {
    let place = Place::new();
    let keyring = Keyring::load(place.path("acme")).ok().unwrap();
    let message = seal(&keyring);
    for state in [KeyringState::Disabled, KeyringState::Disabled] {
        Keyring::set_state(place.path("acme"), state, NOW + Duration::from_secs(7)).unwrap();
    }
    for refused in [keyring.reload(), keyring.rotate_epoch()] {
        assert_eq!(refused.err().unwrap().fault, KeyringFault::Disabled);
    }
    Keyring::set_state(place.path("acme"), KeyringState::Enabled, NOW).unwrap();
    assert!(opens(&keyring.reload().unwrap(), &message));
    let audit = place.audit("acme");
    let pseudonym = keyring.pseudonym();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(
        audit.lines().next(),
        Some(
            format!(
                "{{\"at\":7,\"event\":\"disabled\",\"tenant\":\"acme\",\"pseudonym\":\"{pseudonym}\",\"kek_versions\":[1],\"epochs\":1,\"uid\":{uid}}}"
            )
            .as_str()
        )
    );
    assert_eq!(audit.lines().count(), 2);
    let mode = fs::metadata(place.path("acme.audit"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn after_a_shred_nothing_of_that_tenant_opens_and_everything_of_others_does() {
    let place = Place::new();
    let acme = place.cached("acme", Duration::ZERO).ok().unwrap();
    let bolt = place.cached("bolt", Duration::ZERO).ok().unwrap();
    acme.rotate_epoch().unwrap();
    let (acme_message, bolt_message) = (seal(&acme), seal(&bolt));
    let before = fs::read_to_string(place.path("acme")).unwrap();
    // What the path names, and not only what it leads to, has to be destroyed.
    fs::hard_link(place.path("acme"), place.path("second-name")).unwrap();
    for leftover in ["acme.new", "acme.recovery"] {
        fs::write(place.path(leftover), "keys").unwrap();
    }
    fs::set_permissions(place.path("acme"), fs::Permissions::from_mode(0o400)).unwrap();

    let at = NOW + Duration::from_secs(9);
    let shredded =
        Keyring::shred(place.path("acme"), at, std::slice::from_ref(&place.cache)).unwrap();
    assert_eq!(&*shredded.tenant, "acme");
    assert_eq!(
        (shredded.kek_versions, shredded.epochs),
        (vec![1], vec![1, 2])
    );
    assert!(shredded.had_recovery);

    assert_eq!(place.cache.held(), 1);
    assert!(place.cached("acme", Duration::ZERO).is_err());
    assert!(opens(
        &place.cached("bolt", Duration::ZERO).ok().unwrap(),
        &bolt_message
    ));
    assert!(opens(
        &Keyring::load(place.path("bolt")).ok().unwrap(),
        &bolt_message
    ));
    for name in ["acme", "second-name"] {
        assert_eq!(
            load_fault(place.path(name)),
            KeyringFault::Shredded { at: 9 }
        );
    }
    assert!(!opens(&bolt, &acme_message));
    for name in ["acme.new", "acme.recovery"] {
        assert!(!place.path(name).exists(), "{name}");
    }
    // No secret of the file stands in any file.
    let secrets: Vec<&str> = before
        .lines()
        .filter(|line| line.starts_with("secret") || line.starts_with("wrapped"))
        .collect();
    assert_eq!(secrets.len(), 3);
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(secrets.iter().all(|secret| !text.contains(secret)));
    }
    let events: Vec<String> = place
        .audit("acme")
        .lines()
        .map(|line| {
            line.split("\"event\":\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .into()
        })
        .collect();
    assert_eq!(events, ["shred-begun", "shredded"]);
    // Nothing brings it back or is done twice.
    assert!(acme.reload().is_err() && acme.rotate_epoch().is_err());
    assert!(Keyring::set_state(place.path("acme"), KeyringState::Enabled, NOW).is_err());
    assert!(Keyring::create(place.path("acme"), "acme").is_err());
    assert!(Keyring::shred(place.path("acme"), at, &[]).is_err());
}

#[test]
fn a_disabled_keyring_can_be_shredded() {
    let place = Place::new();
    Keyring::set_state(place.path("acme"), KeyringState::Disabled, NOW).unwrap();
    Keyring::shred(place.path("acme"), NOW, &[]).unwrap();
    assert_eq!(
        load_fault(place.path("acme")),
        KeyringFault::Shredded { at: 0 }
    );
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let place = Place::new();
    fs::create_dir(place.path("acme.audit")).unwrap();
    fs::write(place.path("acme.recovery"), "keys").unwrap();
    for fault in [
        Keyring::shred(place.path("acme"), NOW, &[])
            .err()
            .unwrap()
            .fault,
        Keyring::set_state(place.path("acme"), KeyringState::Disabled, NOW)
            .err()
            .unwrap()
            .fault,
    ] {
        assert!(matches!(fault, KeyringFault::Audit { .. }), "{fault}");
    }
    assert!(Keyring::load(place.path("acme")).is_ok());
    assert!(place.path("acme.recovery").exists());
    // A record that others could have written is none.
    fs::write(place.path("bolt.audit"), "").unwrap();
    fs::set_permissions(place.path("bolt.audit"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Keyring::shred(place.path("bolt"), NOW, &[]).is_err());
    assert!(Keyring::load(place.path("bolt")).is_ok());
}
