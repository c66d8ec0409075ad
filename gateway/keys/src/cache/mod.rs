//! Keyrings in memory, for as long as they may be there.
//!
//! ```text
//! lookup -> Fresh                          younger than the soft lifetime
//!        -> Stale + Flight -> source -> land   usable; this caller has another one loaded meanwhile
//!        -> Absent + Flight -> source -> land  nothing usable; this caller loads, alone for its tenant
//!        -> Waiting -> lookup              another caller loads
//!        -> Unavailable                    nothing usable, and the source said no or is not asked again yet
//! ```
//!
//! What a lookup found may be used until it says, unless it was ended meanwhile, without looking up again: [`LocalCache`] is a thread's own
//! view, so that a message costs no lock.
//!
//! The cache does no I/O, reads no clock and starts no task. Its lock is held for a lookup in a map and never while something loads, so a
//! provider that hangs for one tenant is waited for by that tenant alone, and by a bounded number of its callers.
//!
//! The hard lifetime is the published bound on revocation. It holds for who looks up at the beginning of each message and keeps the
//! keyring no longer than the message.

mod local;
mod source;
mod tenant;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::keyring::Keyring;
use crate::limits::LOOK_AGAIN;
pub use local::LocalCache;
pub use source::{FileSource, KeyringSource, LoadFault, SourceFuture};
use tenant::{Step, Tenant};

/// How long keyrings stay, and who waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// From this age on a keyring is loaded again; until that has succeeded it stays in use.
    pub soft: Duration,
    /// At this age it is dropped, whatever happens. This bounds how long a disabled tenant can still be read.
    pub hard: Duration,
    /// Unused for so long, it is dropped.
    pub unused: Duration,
    /// Most callers of one tenant that wait for its keyring at a time.
    pub waiters: usize,
    /// How long after a failure the source is asked again; doubles with each further one.
    pub retry_first: Duration,
    /// Longest time between two tries.
    pub retry_most: Duration,
    /// Most tenants.
    pub tenants: usize,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            soft: Duration::from_secs(5 * 60),
            hard: Duration::from_secs(60 * 60),
            unused: Duration::from_secs(30 * 60),
            waiters: 256,
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(30),
            tenants: 100_000,
        }
    }
}

impl CacheSettings {
    /// How long after a lookup the next one is due.
    fn look_again(&self) -> Duration {
        LOOK_AGAIN.min(self.soft).min(self.unused / 2)
    }
}

/// A keyring that the cache holds, as a lookup found it.
#[derive(Clone)]
pub struct Held {
    keyring: Keyring,
    until: Instant,
    /// Set when the cache lets go of it or has a newer one. It is written once, so reading it for each message shares no cache line that
    /// others write.
    ended: Arc<AtomicBool>,
}

impl Held {
    /// The keyring.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Whether it may be used at `now` without another lookup. Never beyond the hard lifetime.
    #[must_use]
    pub fn is_good(&self, now: Instant) -> bool {
        now < self.until && !self.ended.load(Ordering::Acquire)
    }
}

/// There is no keyring for this tenant now: answer 503 with Retry-After. Nothing was sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no keys for tenant {tenant} from {provider}: {cause}")]
pub struct Unavailable {
    /// The tenant.
    pub tenant: Box<str>,
    /// [`KeyringSource::name`].
    pub provider: &'static str,
    /// Why.
    pub cause: UnavailableCause,
    /// When to come back.
    pub retry_after: Duration,
}

/// Why there is no keyring.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnavailableCause {
    /// It could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadFault),
    /// As many callers of this tenant wait as may.
    #[error("{waiting} callers wait for them already")]
    Crowded {
        /// How many.
        waiting: usize,
    },
    /// There is no room for one more tenant.
    #[error("the cache holds {tenants} tenants, its limit, and all are in use")]
    Full {
        /// How many.
        tenants: usize,
    },
}

/// What a lookup found.
pub enum Lookup<K = Held> {
    /// A keyring to use for one message.
    Fresh(K),
    /// A keyring to use for one message. It has aged: load another with the flight, apart from the message.
    Stale(K, Flight),
    /// No keyring; load it with the flight and look up again.
    Absent(Flight),
    /// Somebody else loads it; await this and look up again.
    Wait(Waiting),
    /// No keyring, and none to be had now.
    Unavailable(Unavailable),
}

/// Keyrings by tenant. Clones share them.
#[derive(Clone)]
pub struct KeyringCache {
    shared: Arc<Shared>,
}

struct Shared {
    provider: &'static str,
    state: Mutex<State>,
}

struct State {
    settings: CacheSettings,
    tenants: HashMap<Box<str>, Tenant>,
    /// Where who comes in begins to number its flights: above those of all who made room, one of which may still be under way.
    numbers_from: u64,
}

impl KeyringCache {
    /// An empty cache of keyrings that come from `provider`, which is what errors call it.
    #[must_use]
    pub fn new(provider: &'static str, settings: CacheSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                provider,
                state: Mutex::new(State {
                    settings,
                    tenants: HashMap::new(),
                    numbers_from: 0,
                }),
            }),
        }
    }

    /// Puts other settings in force. A keyring that is too old by them goes with the next lookup or sweep.
    pub fn configure(&self, settings: CacheSettings) {
        self.shared.lock().settings = settings;
    }

    /// The keyring of `tenant`, or what to do for it. Cost: a lock, a map lookup, a reference count.
    #[must_use]
    pub fn lookup(&self, tenant: &str, now: Instant) -> Lookup {
        let mut state = self.shared.lock();
        if !state.tenants.contains_key(tenant) && !state.take_in(tenant, now) {
            let tenants = state.tenants.len();
            return self.unavailable(
                tenant,
                UnavailableCause::Full { tenants },
                state.settings.retry_first,
            );
        }
        let State {
            settings, tenants, ..
        } = &mut *state;
        let Some(entry) = tenants.get_mut(tenant) else {
            unreachable!("it was put there above")
        };
        let flight = |number| self.flight(tenant, number, now);
        match entry.step(settings, now) {
            Step::Use(held) => Lookup::Fresh(held),
            Step::UseAndLoad(held, number) => Lookup::Stale(held, flight(number)),
            Step::Load(number) => Lookup::Absent(flight(number)),
            Step::Wait { flight, slot } => Lookup::Wait(self.waiting(tenant, flight, slot)),
            Step::Crowded(waiting) => self.unavailable(
                tenant,
                UnavailableCause::Crowded { waiting },
                settings.retry_first,
            ),
            Step::Failed(fault, wait) => {
                self.unavailable(tenant, UnavailableCause::Load(fault), wait)
            }
        }
    }

    /// The keyring of `tenant`, loaded by this caller or another where there is none. With it, when it has aged, the flight that is to be
    /// given to [`Flight::load`] on a task of its own. `clock` is read after every wait.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn keyring(
        &self,
        tenant: &str,
        source: &dyn KeyringSource,
        clock: &(dyn Fn() -> Instant + Sync),
    ) -> Result<(Keyring, Option<Flight>), Unavailable> {
        loop {
            match self.lookup(tenant, clock()) {
                Lookup::Fresh(held) => return Ok((held.keyring, None)),
                Lookup::Stale(held, flight) => return Ok((held.keyring, Some(flight))),
                Lookup::Absent(flight) => flight.load(source, clock).await,
                Lookup::Wait(waiting) => waiting.await,
                Lookup::Unavailable(unavailable) => return Err(unavailable),
            }
        }
    }

    /// The right to load the keyring of `tenant` now, because it is known to have changed. What is held stays in use until the flight has
    /// landed. `None` where nothing is held, where another flight is under way, and where it is too early after a failure.
    #[must_use]
    pub fn renew(&self, tenant: &str, now: Instant) -> Option<Flight> {
        let mut state = self.shared.lock();
        let number = state.tenants.get_mut(tenant)?.renew(now)?;
        Some(self.flight(tenant, number, now))
    }

    /// As [`KeyringCache::renew`], where what somebody sent lets one suspect a change. `None` also where what is held is younger than
    /// [`LOOK_AGAIN`]; that doubles with each load in a row that found no newer epoch, up to the longest time between two tries, so that
    /// nobody who makes such messages up can have the source asked all the time.
    #[must_use]
    pub fn renew_on_suspicion(&self, tenant: &str, now: Instant) -> Option<Flight> {
        let mut state = self.shared.lock();
        let number = state.tenants.get_mut(tenant)?.renew_on_suspicion(now)?;
        Some(self.flight(tenant, number, now))
    }

    /// The end of the flight that is under way for `tenant`. `None` where there is none, or where as many wait for it as may.
    #[must_use]
    pub fn landing(&self, tenant: &str) -> Option<Waiting> {
        let State {
            settings, tenants, ..
        } = &mut *self.shared.lock();
        let (flight, slot) = tenants.get_mut(tenant)?.join(settings)?;
        Some(self.waiting(tenant, flight, slot))
    }

    /// Drops the keyring of `tenant`, and what is being loaded for it right now when it arrives. Call it when the tenant is disabled or
    /// shredded, to be faster than the hard lifetime.
    pub fn purge(&self, tenant: &str) {
        if let Some(entry) = self.shared.lock().tenants.get_mut(tenant) {
            entry.purge();
        }
    }

    /// Purges every tenant.
    pub fn purge_all(&self) {
        self.shared
            .lock()
            .tenants
            .values_mut()
            .for_each(Tenant::purge);
    }

    /// Drops every keyring whose time is over. Call it now and then, or keys of tenants that nobody asks for stay in memory.
    pub fn sweep(&self, now: Instant) {
        let State {
            settings, tenants, ..
        } = &mut *self.shared.lock();
        for entry in tenants.values_mut() {
            entry.expire(settings, now);
        }
    }

    /// How many keyrings are held.
    #[must_use]
    pub fn held(&self) -> usize {
        let state = self.shared.lock();
        state
            .tenants
            .values()
            .filter(|entry| entry.held().is_some())
            .count()
    }

    /// Every keyring that is held, with its tenant. It counts as no use. Let go of them soon: whoever has one keeps its keys in memory.
    #[must_use]
    pub fn keyrings(&self) -> Vec<(Box<str>, Keyring)> {
        let state = self.shared.lock();
        let tenants = state.tenants.iter();
        tenants
            .filter_map(|(tenant, entry)| Some((tenant.clone(), entry.held()?.clone())))
            .collect()
    }

    /// The tenants whose keys were refused when they were last asked for: disabled, shredded, denied. Sorted.
    #[must_use]
    pub fn refused(&self) -> Vec<Box<str>> {
        let state = self.shared.lock();
        let refused = state.tenants.iter().filter(|(_, entry)| entry.is_refused());
        let mut tenants: Vec<Box<str>> = refused.map(|(tenant, _)| tenant.clone()).collect();
        tenants.sort();
        tenants
    }

    fn flight(&self, tenant: &str, number: u64, begun: Instant) -> Flight {
        Flight {
            shared: Arc::clone(&self.shared),
            tenant: tenant.into(),
            number,
            begun,
        }
    }

    fn waiting(&self, tenant: &str, flight: u64, slot: u64) -> Waiting {
        Waiting {
            shared: Arc::clone(&self.shared),
            tenant: tenant.into(),
            flight,
            slot,
        }
    }

    fn unavailable(&self, tenant: &str, cause: UnavailableCause, retry_after: Duration) -> Lookup {
        Lookup::Unavailable(Unavailable {
            tenant: tenant.into(),
            provider: self.shared.provider,
            cause,
            retry_after,
        })
    }
}

impl Shared {
    /// An entry is changed by steps that do not panic halfway.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes an entry for a tenant that has none. Gives whether there is room.
    fn take_in(&mut self, tenant: &str, now: Instant) -> bool {
        if self.tenants.len() >= self.settings.tenants && !self.make_room(now) {
            return false;
        }
        let entry = Tenant::numbered_from(self.numbers_from);
        self.tenants.insert(tenant.into(), entry);
        true
    }

    /// Forgets a tenant that holds nothing, and with it how often its keys have wrapped. Gives whether there was one.
    fn make_room(&mut self, now: Instant) -> bool {
        let idle = self.tenants.iter_mut().find_map(|(name, entry)| {
            entry.expire(&self.settings, now);
            entry.is_idle().then(|| name.clone())
        });
        let Some(entry) = idle.and_then(|name| self.tenants.remove(&name)) else {
            return false;
        };
        self.numbers_from = self.numbers_from.max(entry.last_number());
        true
    }
}

/// The right to load one tenant's keyring; there is one at a time. Dropped before it has landed, the next caller gets it.
pub struct Flight {
    shared: Arc<Shared>,
    tenant: Box<str>,
    number: u64,
    begun: Instant,
}

impl Flight {
    /// Whose keyring is to be loaded.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Loads the keyring and puts it, or the failure, into the cache.
    pub async fn load(self, source: &dyn KeyringSource, clock: &(dyn Fn() -> Instant + Sync)) {
        let loaded = source.load(&self.tenant).await;
        self.land(loaded, clock());
    }

    /// Puts what was loaded into the cache and wakes who waits for it. A keyring's age counts from the beginning of the flight, as the
    /// source may have read it then. A tenant that was purged meanwhile stays without.
    pub fn land(self, loaded: Result<Keyring, LoadFault>, now: Instant) {
        let shared = Arc::clone(&self.shared);
        let State {
            settings, tenants, ..
        } = &mut *shared.lock();
        if let Some(entry) = tenants.get_mut(&self.tenant) {
            entry.land(self.number, loaded, [self.begun, now], settings);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(entry) = self.shared.lock().tenants.get_mut(&self.tenant) {
            entry.abandon(self.number);
        }
    }
}

/// Ends when the flight that it waits for has landed or was given up.
pub struct Waiting {
    shared: Arc<Shared>,
    tenant: Box<str>,
    flight: u64,
    slot: u64,
}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.shared.lock().tenants.get_mut(&self.tenant) {
            Some(entry) if entry.is_in_flight(self.flight) => {
                entry.wait(self.slot, context.waker());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(entry) = self.shared.lock().tenants.get_mut(&self.tenant) {
            entry.leave(self.slot);
        }
    }
}
