//! What the cache promises: one load a tenant at a time, nobody waits for another tenant's provider, a provider that is away is lived
//! without until the hard lifetime, and a purged key does not come back. Time is an argument; nothing sleeps.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use sealgate_envelope::SealSettings;
use sealgate_keys::cache::{
    CacheSettings, FileSource, Flight, KeyringCache, KeyringSource, LoadFault, Lookup,
    SourceFuture, Unavailable, UnavailableCause,
};
use sealgate_keys::provider::ProviderFault;
use sealgate_keys::{Keyring, KeyringFault};
use tempfile::TempDir;

const SETTINGS: CacheSettings = CacheSettings {
    soft: secs(60),
    hard: secs(600),
    unused: secs(300),
    waiters: 3,
    retry_first: secs(1),
    retry_most: secs(8),
    tenants: 4,
};
const AWAY: LoadFault = LoadFault::Provider(ProviderFault::Unreachable { retry_after: None });

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

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
            cache: KeyringCache::new("test", SETTINGS),
            begin: Instant::now(),
        }
    }

    fn load(&self, tenant: &str) -> Result<Keyring, LoadFault> {
        Ok(
            Keyring::load(self.folder.path().join(tenant))
                .unwrap_or_else(|error| panic!("{error}")),
        )
    }

    fn at(&self, seconds: u64) -> Instant {
        self.begin + secs(seconds)
    }

    fn lookup(&self, tenant: &str, seconds: u64) -> Lookup {
        self.cache.lookup(tenant, self.at(seconds))
    }

    fn flight(&self, tenant: &str, seconds: u64) -> Flight {
        match self.lookup(tenant, seconds) {
            Lookup::Absent(flight) | Lookup::Stale(_, flight) => flight,
            other => panic!("{}", name(&other)),
        }
    }

    fn filled(&self, tenant: &str, seconds: u64) {
        let flight = self.flight(tenant, seconds);
        flight.land(self.load(tenant), self.at(seconds));
    }

    fn unavailable(&self, tenant: &str, seconds: u64) -> Unavailable {
        match self.lookup(tenant, seconds) {
            Lookup::Unavailable(unavailable) => unavailable,
            other => panic!("{}", name(&other)),
        }
    }

    fn name(&self, tenant: &str, seconds: u64) -> &'static str {
        name(&self.lookup(tenant, seconds))
    }
}

fn name(lookup: &Lookup) -> &'static str {
    match lookup {
        Lookup::Fresh(_) => "fresh",
        Lookup::Stale(..) => "stale",
        Lookup::Absent(_) => "absent",
        Lookup::Wait(_) => "wait",
        Lookup::Unavailable(_) => "unavailable",
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(woken));
    future.poll(&mut Context::from_waker(&waker))
}

#[test]
fn a_keyring_is_fresh_then_stale_then_gone() {
    let place = Place::new();
    place.filled("acme", 0);
    assert_eq!(place.name("acme", 59), "fresh");
    // The one who is told so loads; everybody else goes on with what there is.
    let flight = place.flight("acme", 60);
    assert_eq!(place.name("acme", 61), "fresh");
    drop(flight);
    let flight = place.flight("acme", 62);
    flight.land(place.load("acme"), place.at(90));
    // Its age counts from when the load began.
    assert_eq!(place.name("acme", 121), "fresh");
    assert_eq!(place.name("acme", 122), "stale");
}

#[test]
fn an_unused_keyring_goes_and_a_sweep_drops_what_nobody_asks_for() {
    let place = Place::new();
    place.filled("acme", 0);
    place.filled("bolt", 0);
    assert_eq!(place.name("bolt", 200), "stale");
    place.cache.sweep(place.at(299));
    assert_eq!(place.cache.held(), 2);
    place.cache.sweep(place.at(300));
    assert_eq!(place.cache.held(), 1);
    assert_eq!(place.name("acme", 300), "absent");
}

#[test]
fn a_keyring_that_was_loaded_anew_and_not_used_goes_all_the_same() {
    let place = Place::new();
    place.filled("acme", 0);
    let flight = place.cache.renew("acme", place.at(299)).unwrap();
    flight.land(place.load("acme"), place.at(299));
    place.cache.sweep(place.at(299));
    assert_eq!(place.cache.held(), 1);
    place.cache.sweep(place.at(300));
    assert_eq!(place.cache.held(), 0);
}

#[test]
fn a_provider_that_is_away_is_lived_without_until_the_hard_lifetime() {
    let place = Place::new();
    place.filled("acme", 0);
    let mut asked = 0;
    for second in 1..600 {
        match place.lookup("acme", second) {
            Lookup::Fresh(_) => {}
            Lookup::Stale(_, flight) => {
                asked += 1;
                flight.land(Err(AWAY), place.at(second));
            }
            other => panic!("{} at {second}", name(&other)),
        }
    }
    // At 60, 61, 63, 67, then every eight seconds, and not with every message.
    assert_eq!(asked, 4 + (599 - 67) / 8);
    // The last failure was at 595.
    let unavailable = place.unavailable("acme", 600);
    assert_eq!(
        unavailable,
        Unavailable {
            tenant: "acme".into(),
            provider: "test",
            cause: UnavailableCause::Load(AWAY),
            retry_after: secs(3),
        }
    );
    assert_eq!(
        unavailable.to_string(),
        "no keys for tenant acme from test: the provider does not answer"
    );
    // It comes back.
    place.filled("acme", 603);
    assert_eq!(place.name("acme", 604), "fresh");
    assert_eq!(place.name("bolt", 604), "absent");
}

#[test]
fn a_provider_that_says_when_is_not_asked_before() {
    let place = Place::new();
    let retry_after = Some(secs(40));
    let fault = LoadFault::Provider(ProviderFault::Unreachable { retry_after });
    place.flight("acme", 0).land(Err(fault), place.at(5));
    assert_eq!(place.unavailable("acme", 5).retry_after, secs(40));
    assert_eq!(place.unavailable("acme", 44).retry_after, secs(1));
    assert_eq!(place.name("acme", 45), "absent");
}

#[test]
fn a_refusal_ends_what_is_held_at_once() {
    for fault in [
        ProviderFault::Denied,
        ProviderFault::Disabled,
        ProviderFault::NotFound,
    ] {
        let place = Place::new();
        place.filled("acme", 0);
        place.filled("bolt", 0);
        let flight = place.flight("acme", 60);
        flight.land(Err(fault.into()), place.at(60));
        assert_eq!(place.cache.held(), 1);
        assert_eq!(
            place.unavailable("acme", 60).cause,
            UnavailableCause::Load(fault.into())
        );
    }
}

#[test]
fn one_loads_and_the_others_wait_up_to_the_bulkhead() {
    let place = Place::new();
    let flight = place.flight("acme", 0);
    let woken = Arc::new(Woken::default());
    let mut waiting: Vec<_> = (0..3)
        .map(|_| match place.lookup("acme", 0) {
            Lookup::Wait(waiting) => Box::pin(waiting),
            other => panic!("{}", name(&other)),
        })
        .collect();
    for one in &mut waiting {
        assert!(poll(one.as_mut(), &woken).is_pending());
    }
    assert_eq!(
        place.unavailable("acme", 0).cause,
        UnavailableCause::Crowded { waiting: 3 }
    );
    // Another tenant is not held up.
    place.filled("bolt", 0);
    assert_eq!(place.name("bolt", 0), "fresh");
    // Who leaves makes room.
    drop(waiting.pop());
    assert_eq!(place.name("acme", 0), "wait");
    flight.land(place.load("acme"), place.at(1));
    assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    for one in &mut waiting {
        assert!(poll(one.as_mut(), &woken).is_ready());
    }
    assert_eq!(place.name("acme", 1), "fresh");
}

#[test]
fn a_flight_that_is_given_up_passes_to_who_waits() {
    let place = Place::new();
    let flight = place.flight("acme", 0);
    let woken = Arc::new(Woken::default());
    let Lookup::Wait(waiting) = place.lookup("acme", 0) else {
        panic!("should wait")
    };
    let mut waiting = pin!(waiting);
    assert!(poll(waiting.as_mut(), &woken).is_pending());
    drop(flight);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(poll(waiting.as_mut(), &woken).is_ready());
    assert_eq!(place.name("acme", 0), "absent");
}

#[test]
fn a_purged_keyring_does_not_come_back_with_a_load_that_was_under_way() {
    let place = Place::new();
    place.filled("acme", 0);
    place.filled("bolt", 0);
    let old = place.flight("acme", 60);
    let loaded_before = place.load("acme");
    place.cache.purge("acme");
    assert_eq!(place.cache.held(), 1);
    let new = place.flight("acme", 61);
    old.land(loaded_before, place.at(62));
    assert_eq!(place.cache.held(), 1);
    assert_eq!(place.name("acme", 62), "wait");
    new.land(Err(ProviderFault::NotFound.into()), place.at(62));
    assert_eq!(place.name("acme", 62), "unavailable");
    assert_eq!(place.name("bolt", 59), "fresh");
}

#[test]
fn wraps_go_on_counting_in_a_keyring_that_was_dropped_and_loaded_again() {
    let place = Place::new();
    place.filled("acme", 0);
    let wraps_after_one = |seconds| match place.lookup("acme", seconds) {
        Lookup::Fresh(held) => {
            let keyring = held.keyring();
            let context = keyring.context("1", "/a").unwrap();
            keyring
                .seal_begin(&context, SealSettings::default())
                .ok()
                .unwrap();
            keyring.current().wraps()
        }
        other => panic!("{}", name(&other)),
    };
    assert_eq!(wraps_after_one(0), 1);
    place.filled("acme", 60);
    assert_eq!(wraps_after_one(61), 2);
    place.cache.sweep(place.at(5000));
    assert_eq!(place.cache.held(), 0);
    place.filled("acme", 5000);
    assert_eq!(wraps_after_one(5001), 3);
}

#[test]
fn there_is_room_for_so_many_tenants_and_idle_ones_make_room() {
    let place = Place::new();
    let flights: Vec<_> = ["a", "b", "c", "d"]
        .map(|tenant| place.flight(tenant, 0))
        .into();
    assert_eq!(
        place.unavailable("e", 0).cause,
        UnavailableCause::Full { tenants: 4 }
    );
    drop(flights);
    assert_eq!(place.name("e", 0), "absent");
}

#[test]
fn a_load_from_before_a_purge_does_not_land_when_its_tenant_has_made_room_and_come_back() {
    let place = Place::new();
    let old = place.flight("acme", 0);
    let loaded_before = place.load("acme");
    place.cache.purge("acme");
    // The others fill the cache, and then make room again.
    let flights = ["b", "c", "d", "e"].map(|tenant| place.flight(tenant, 1));
    drop(flights);
    let _new = place.flight("acme", 2);
    old.land(loaded_before, place.at(3));
    assert_eq!(place.cache.held(), 0);
    assert_eq!(place.name("acme", 3), "wait");
}

/// Answers when told to.
#[derive(Default)]
struct Slow {
    loads: AtomicUsize,
    answer: Mutex<Option<Result<Keyring, LoadFault>>>,
}

impl KeyringSource for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn load<'a>(&'a self, _tenant: &'a str) -> SourceFuture<'a> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::poll_fn(|_| {
            match self.answer.lock().unwrap().take() {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending,
            }
        }))
    }
}

#[test]
fn many_callers_cause_one_load_and_all_get_the_keyring() {
    let place = Place::new();
    let (source, woken) = (Slow::default(), Arc::new(Woken::default()));
    let clock = || place.at(0);
    let mut callers: Vec<_> = (0..4)
        .map(|_| Box::pin(place.cache.keyring("acme", &source, &clock)))
        .collect();
    for caller in &mut callers {
        assert!(poll(caller.as_mut(), &woken).is_pending());
    }
    *source.answer.lock().unwrap() = Some(place.load("acme"));
    for caller in &mut callers {
        match poll(caller.as_mut(), &woken) {
            Poll::Ready(Ok((keyring, None))) => assert_eq!(keyring.tenant(), "acme"),
            _ => panic!("no keyring"),
        }
    }
    assert_eq!(source.loads.load(Ordering::Relaxed), 1);
}

#[test]
fn files_are_a_source() {
    let place = Place::new();
    let paths = ["acme", "gone"].map(|tenant| (tenant.into(), place.folder.path().join(tenant)));
    let source = FileSource::new(paths);
    let clock = || place.at(0);
    let woken = Arc::new(Woken::default());
    let get = |tenant: &'static str| {
        let mut caller = Box::pin(place.cache.keyring(tenant, &source, &clock));
        match poll(caller.as_mut(), &woken) {
            Poll::Ready(result) => result.map(|(keyring, _)| keyring.tenant().to_owned()),
            Poll::Pending => panic!("a file was waited for"),
        }
    };
    assert_eq!(get("acme").unwrap(), "acme");
    assert!(matches!(
        get("gone").unwrap_err().cause,
        UnavailableCause::Load(LoadFault::Keyring(KeyringFault::Io { .. }))
    ));
    assert_eq!(
        get("nobody").unwrap_err().cause,
        UnavailableCause::Load(LoadFault::UnknownTenant)
    );
}
