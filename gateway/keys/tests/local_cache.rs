//! What a thread's own view of the cache promises: one look a second and not one a message, never beyond the hard lifetime, and what is taken
//! away is not used once more. Time is an argument; nothing sleeps.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::rc::Rc;
use std::time::{Duration, Instant};

use sealgate_keys::cache::{
    CacheSettings, Flight, KeyringCache, LoadFault, LocalCache, Lookup, UnavailableCause,
};
use sealgate_keys::limits::LOOK_AGAIN;
use sealgate_keys::provider::ProviderFault;
use sealgate_keys::{Keyring, LocalKeyring};
use tempfile::TempDir;

const MS: Duration = Duration::from_millis(1);
const AWAY: LoadFault = LoadFault::Provider(ProviderFault::Unreachable { retry_after: None });

struct Place {
    folder: TempDir,
    cache: KeyringCache,
    local: LocalCache,
    begin: Instant,
}

impl Place {
    fn new() -> Self {
        Self::with(CacheSettings::default())
    }

    fn with(settings: CacheSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for tenant in ["acme", "bolt"] {
            Keyring::create(folder.path().join(tenant), tenant).unwrap();
        }
        let cache = KeyringCache::new("test", settings);
        let place = Self {
            folder,
            local: LocalCache::new(cache.clone()),
            cache,
            begin: Instant::now(),
        };
        for tenant in ["acme", "bolt"] {
            place.land(place.absent(tenant), tenant);
        }
        place
    }

    fn absent(&self, tenant: &str) -> Flight {
        match self.local.lookup(tenant, self.begin) {
            Lookup::Absent(flight) => flight,
            _ => panic!("not absent"),
        }
    }

    fn land(&self, flight: Flight, tenant: &str) {
        let loaded = Keyring::load(self.folder.path().join(tenant));
        flight.land(loaded.map_err(|error| error.fault.into()), self.begin);
    }

    fn found(&self, tenant: &str, after: Duration) -> Rc<LocalKeyring> {
        match self.local.lookup(tenant, self.begin + after) {
            Lookup::Fresh(keyring) | Lookup::Stale(keyring, _) => keyring,
            _ => panic!("not found"),
        }
    }

    fn is_absent(&self, tenant: &str, after: Duration) -> bool {
        matches!(
            self.local.lookup(tenant, self.begin + after),
            Lookup::Absent(_)
        )
    }
}

#[test]
fn a_view_is_used_for_a_while_and_then_the_cache_is_asked() {
    let place = Place::new();
    let first = place.found("acme", Duration::ZERO);
    assert!(Rc::ptr_eq(&first, &place.found("acme", LOOK_AGAIN - MS)));
    assert!(!Rc::ptr_eq(&first, &place.found("acme", LOOK_AGAIN)));
    assert_eq!(first.tenant(), "acme");
}

#[test]
fn a_view_that_is_used_keeps_the_keyring_in_use() {
    let unused = Duration::from_secs(60);
    let place = Place::with(CacheSettings {
        unused,
        ..CacheSettings::default()
    });
    let mut after = Duration::ZERO;
    while after < 2 * unused {
        place.found("acme", after);
        after += unused / 2;
    }
    place.cache.sweep(place.begin + after);
    assert_eq!(place.cache.held(), 1, "acme and not bolt");
}

#[test]
fn a_view_ends_with_the_hard_lifetime() {
    let settings = CacheSettings {
        unused: Duration::from_secs(24 * 3600),
        ..CacheSettings::default()
    };
    let place = Place::with(settings);
    let last = settings.hard - MS;
    match place.local.lookup("acme", place.begin + last) {
        Lookup::Stale(_, flight) => flight.land(Err(AWAY), place.begin + last),
        _ => panic!("not stale"),
    }
    // The view is a millisecond old.
    match place.local.lookup("acme", place.begin + settings.hard) {
        Lookup::Unavailable(unavailable) => {
            assert_eq!(unavailable.cause, UnavailableCause::Load(AWAY));
        }
        _ => panic!("used beyond the hard lifetime"),
    }
}

#[test]
fn what_is_purged_or_refused_is_not_used_once_more_and_others_are() {
    let place = Place::new();
    let bolt = place.found("bolt", Duration::ZERO);
    place.found("acme", Duration::ZERO);
    place.cache.purge("acme");
    assert!(place.is_absent("acme", MS));
    assert!(Rc::ptr_eq(&bolt, &place.found("bolt", MS)));

    let flight = place.cache.renew("bolt", place.begin).unwrap();
    assert!(
        place.cache.renew("bolt", place.begin).is_none(),
        "one flight a tenant"
    );
    assert!(
        Rc::ptr_eq(&bolt, &place.found("bolt", MS)),
        "until it has landed"
    );
    flight.land(Err(ProviderFault::Denied.into()), place.begin);
    assert!(matches!(
        place.local.lookup("bolt", place.begin + MS),
        Lookup::Unavailable(_)
    ));
    assert_eq!(place.cache.refused(), ["bolt".into()]);
}

#[test]
fn a_keyring_that_was_loaded_anew_is_seen_at_once() {
    let place = Place::new();
    let old = place.found("acme", Duration::ZERO);
    let rotated = old.rotate_epoch().unwrap();
    place.land(place.cache.renew("acme", place.begin).unwrap(), "acme");
    assert_eq!(
        place.found("acme", MS).current().epoch(),
        rotated.current().epoch()
    );
}

#[test]
fn shorter_lifetimes_end_what_is_held() {
    let place = Place::new();
    place.cache.configure(CacheSettings {
        soft: Duration::from_secs(1),
        hard: Duration::from_secs(2),
        ..CacheSettings::default()
    });
    place.cache.sweep(place.begin + Duration::from_secs(2));
    assert_eq!(place.cache.held(), 0);
}

#[test]
fn a_sweep_lets_go_of_what_is_not_good_any_more() {
    let place = Place::new();
    let weak = ["acme", "bolt"].map(|tenant| Rc::downgrade(&place.found(tenant, Duration::ZERO)));
    place.cache.purge("acme");
    place.local.sweep(place.begin + MS);
    assert_eq!(weak.each_ref().map(|view| view.strong_count()), [0, 1]);
    place.local.sweep(place.begin + LOOK_AGAIN);
    assert_eq!(weak.map(|view| view.strong_count()), [0, 0]);
}

#[test]
fn a_keyring_is_renewed_on_suspicion_not_more_often_than_is_said_and_not_after_a_failure() {
    let place = Place::new();
    let renew = |after| place.cache.renew_on_suspicion("acme", place.begin + after);
    assert!(renew(LOOK_AGAIN - MS).is_none(), "it is young");
    assert!(place.cache.landing("acme").is_none(), "nothing to wait for");
    let flight = renew(LOOK_AGAIN).unwrap();
    assert!(renew(LOOK_AGAIN).is_none(), "one flight a tenant");
    assert!(place.cache.landing("acme").is_some());
    flight.land(Err(AWAY), place.begin + LOOK_AGAIN);
    assert!(
        renew(LOOK_AGAIN + MS).is_none(),
        "too early after a failure"
    );
    assert!(renew(LOOK_AGAIN * 2).is_some());
    assert!(
        place
            .cache
            .renew_on_suspicion("nobody", place.begin)
            .is_none()
    );
}

#[test]
fn suspicions_that_come_to_nothing_are_followed_ever_more_rarely() {
    let place = Place::new();
    let settings = CacheSettings::default();
    let suspect = |at| place.cache.renew_on_suspicion("acme", place.begin + at);
    let load = |flight: Flight, at| {
        let loaded = Keyring::load(place.folder.path().join("acme"))
            .ok()
            .unwrap();
        flight.land(Ok(loaded), place.begin + at);
    };
    let mut at = Duration::ZERO;
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        let due = Duration::from_secs(seconds);
        assert!(suspect(at + due - MS).is_none(), "{seconds} s");
        at += due;
        load(suspect(at).unwrap(), at);
    }
    assert_eq!(settings.retry_most, Duration::from_secs(30));
    // What is known to have changed is loaded all the same.
    let keyring = place.found("acme", at);
    keyring.rotate_epoch().unwrap();
    load(place.cache.renew("acme", place.begin + at).unwrap(), at);
    assert!(suspect(at + LOOK_AGAIN).is_some());
}

#[test]
fn another_keyring_that_stands_in_the_place_of_one_counts_for_itself() {
    let place = Place::new();
    let first = place.found("acme", Duration::ZERO);
    let context = first.context("1", "/a").unwrap();
    assert!(first.seal_begin(&context, Default::default()).is_ok());
    let path = place.folder.path().join("acme");
    std::fs::remove_file(&path).unwrap();
    Keyring::create(&path, "acme").unwrap();
    let flight = place.cache.renew("acme", place.begin);
    place.land(flight.unwrap(), "acme");
    assert!(first.current().wraps() > 0);
    assert_eq!(place.found("acme", MS).current().wraps(), 0);
}
