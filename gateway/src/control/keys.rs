//! Who loads keyrings, lets go of old ones, and rotates those that are due. Beside the data path: the workers only ask.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use sealgate_keys::cache::{
    CacheSettings, FileSource, Flight, KeyringCache, KeyringSource, LoadFault, Lookup,
};
use sealgate_keys::{Keyring, KeyringFault, RotationDue, RotationPolicy};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use zeroize::Zeroizing;

use super::faults::Faults;
use crate::limits::{KEY_LOADS, KEY_LOADS_WAITING};
use crate::metrics::{KeyCounters, KeyLoad, KeyMetrics, KeyRotation};
use crate::settings::Settings;
use crate::tenant::{KeysSettings, SharedKeys};
use crate::worker::{Message, WorkerHandle};

/// What keyrings come from, in errors and logs.
const PROVIDER: &str = "file";
/// How long a start or reload waits for the keyrings; those that take longer are loaded when they are asked for.
const WARM: Duration = Duration::from_secs(5);
/// The longest time between two sweeps.
const SWEEP_MOST: Duration = Duration::from_secs(30);
const SWEEP_LEAST: Duration = Duration::from_millis(100);

/// Keeps the keys of the process.
pub(super) struct KeyKeeper {
    shared: SharedKeys,
    loader: Arc<Loader>,
    policy: RotationPolicy,
    rotation: Option<JoinHandle<()>>,
    sweep: tokio::time::Interval,
}

/// Loads keyrings.
struct Loader {
    source: ArcSwap<FileSource>,
    counters: Arc<KeyCounters>,
    loads_failing: Faults<LoadFault>,
    rotations_failing: Faults<KeyringFault>,
}

/// So deep do the calls go that handle keys, and more.
const STACK_WIPED: usize = 64 * 1024;

impl KeyKeeper {
    /// Begins to load what is asked for.
    pub(super) fn start(settings: &Settings) -> KeyKeeper {
        let (loads, waiting) = mpsc::channel(KEY_LOADS_WAITING);
        let loader = Arc::new(Loader::new(source(settings)));
        tokio::spawn(Arc::clone(&loader).serve(waiting));
        let cache = KeyringCache::new(PROVIDER, lifetimes(&settings.keys));
        KeyKeeper {
            shared: SharedKeys { cache, loads },
            loader,
            policy: policy(&settings.keys),
            rotation: None,
            sweep: sweeps(&settings.keys),
        }
    }

    /// For the workers.
    pub(super) fn shared(&self) -> &SharedKeys {
        &self.shared
    }

    /// For the admin listener.
    pub(super) fn metrics(&self) -> KeyMetrics {
        KeyMetrics {
            counters: Arc::clone(&self.loader.counters),
            cache: self.shared.cache.clone(),
        }
    }

    /// Puts new settings in force and drops every keyring: what a tenant has now is loaded again.
    pub(super) fn reload(&mut self, settings: &Settings) {
        let source = Arc::new(source(settings));
        self.loader.source.store(Arc::clone(&source));
        let is_kept = |tenant: &str| source.path(tenant).is_some();
        self.loader.loads_failing.retain(is_kept);
        self.loader.rotations_failing.retain(is_kept);
        self.shared.cache.configure(lifetimes(&settings.keys));
        self.shared.cache.purge_all();
        self.policy = policy(&settings.keys);
        self.sweep = sweeps(&settings.keys);
    }

    /// Loads the keyrings of all tenants, so that no message waits for one and `/status` knows which are withdrawn.
    pub(super) async fn warm(&self, settings: &Settings) {
        let tenants = settings.tenants.iter();
        let tenants = tenants.filter(|tenant| tenant.keyring.is_some());
        let all = load_all(&self.shared, tenants.map(|tenant| tenant.id.as_str()));
        if tokio::time::timeout(WARM, all).await.is_err() {
            tracing::warn!("not all keyrings are loaded yet");
        }
    }

    /// Ends when it is time for [`KeyKeeper::sweep`].
    pub(super) async fn sweep_is_due(&mut self) {
        self.sweep.tick().await;
    }

    /// Drops keyrings whose time is over, here and in the workers.
    pub(super) fn sweep(&self, workers: &[Arc<WorkerHandle>]) {
        self.shared.cache.sweep(Instant::now());
        wipe_below();
        for worker in workers {
            // A worker that is stuck is swept the next time.
            if worker.messages.push(Message::SweepKeys).is_ok() {
                worker.signal.signal();
            }
        }
    }

    /// Rotates the keyrings that are due, elsewhere; not while the last round goes on.
    pub(super) fn rotate(&mut self) {
        if self
            .rotation
            .as_ref()
            .is_some_and(|round| !round.is_finished())
        {
            return;
        }
        let now = SystemTime::now();
        let due = due(&self.shared.cache, &self.policy, now);
        if due.is_empty() {
            return;
        }
        let (shared, policy) = (self.shared.clone(), self.policy);
        let loader = Arc::clone(&self.loader);
        self.rotation = Some(spawn_blocking(move || {
            for (tenant, keyring) in due {
                loader.rotate(&tenant, keyring, &policy, now);
                // The others that share the file hear of it within the soft lifetime, this process at once.
                if let Some(flight) = shared.cache.renew(&tenant, Instant::now()) {
                    let _ = shared.loads.try_send(flight);
                }
            }
        }));
    }
}

impl Loader {
    fn new(source: FileSource) -> Loader {
        Loader {
            source: ArcSwap::from_pointee(source),
            counters: Arc::default(),
            loads_failing: Faults::default(),
            rotations_failing: Faults::default(),
        }
    }

    /// Runs the flights that come. A provider that hangs for one tenant holds no other up, until it does so for [`KEY_LOADS`] of them.
    async fn serve(self: Arc<Self>, mut waiting: mpsc::Receiver<Flight>) {
        let places = Arc::new(Semaphore::new(KEY_LOADS));
        while let Some(flight) = waiting.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let loader = Arc::clone(&self);
            // Reading a file blocks.
            spawn_blocking(move || {
                loader.load(flight);
                drop(place);
            });
        }
    }

    fn load(&self, flight: Flight) {
        let source = self.source.load_full();
        let loaded = Handle::current().block_on(source.load(flight.tenant()));
        self.tell(&source, flight.tenant(), loaded.as_ref().err());
        flight.land(loaded, Instant::now());
    }

    /// Counts every load, and logs what is new.
    fn tell(&self, source: &FileSource, tenant: &str, fault: Option<&LoadFault>) {
        let outcome = match fault {
            None => KeyLoad::Loaded,
            Some(fault) if fault.is_refusal() => KeyLoad::Refused,
            Some(_) => KeyLoad::Failed,
        };
        self.counters.load(outcome);
        let (provider, keyring) = (source.name(), source.path(tenant).unwrap_or("-".as_ref()));
        let keyring = keyring.display();
        match fault {
            None if self.loads_failing.is_over(tenant) => {
                tracing::info!(tenant, provider, %keyring, "keyring loaded again");
            }
            None => tracing::debug!(tenant, provider, %keyring, "keyring loaded"),
            Some(fault) => {
                let outcome = outcome.name();
                if self.loads_failing.is_new(tenant, fault) {
                    tracing::warn!(tenant, provider, %keyring, outcome, error = %fault, "keyring not loaded");
                } else {
                    tracing::debug!(tenant, provider, %keyring, outcome, error = %fault, "keyring still not loaded");
                }
            }
        }
    }

    /// Rotates one keyring that is due. Where another gateway was quicker, that one's epoch counts.
    fn rotate(&self, tenant: &str, keyring: Keyring, policy: &RotationPolicy, now: SystemTime) {
        let old_epoch = keyring.current().epoch();
        match keyring.rotate_when_due(policy, now) {
            Ok(None) => {}
            Ok(Some(rotated)) if rotated.current().epoch() != old_epoch => {
                self.rotations_failing.is_over(tenant);
                self.counters.rotation(KeyRotation::Rotated);
                let new_epoch = rotated.current().epoch();
                tracing::info!(tenant, old_epoch, new_epoch, "epoch rotated");
            }
            Ok(Some(prepared)) => {
                self.rotations_failing.is_over(tenant);
                let next_epoch = prepared.epochs().last();
                tracing::info!(tenant, epoch = old_epoch, next_epoch, "next epoch made");
            }
            // Another gateway or an operator is at it.
            Err(error) if error.fault == KeyringFault::Busy => {}
            // Disabled or shredded since it was loaded: the load that follows says so.
            Err(error) if error.fault.is_refusal() => {}
            Err(error) => {
                self.counters.rotation(KeyRotation::Failed);
                if self.rotations_failing.is_new(tenant, &error.fault) {
                    tracing::error!(tenant, old_epoch, %error, "epoch not rotated; it is tried again every minute, and `sealgate keys rotate` does it by hand");
                }
            }
        }
    }
}

/// Loads the keyrings of `tenants`. What messages ask for meanwhile waits behind a few of them and not behind all, and one that hangs holds
/// none up.
async fn load_all(shared: &SharedKeys, tenants: impl Iterator<Item = &str>) {
    let mut waiting = JoinSet::new();
    for tenant in tenants {
        let look = || shared.cache.lookup(tenant, Instant::now());
        if let Lookup::Absent(flight) = look() {
            // The receiver is there for as long as the runtime.
            let _ = shared.loads.send(flight).await;
        }
        if let Lookup::Wait(wait) = look() {
            waiting.spawn(wait);
        }
        if waiting.len() >= KEY_LOADS {
            waiting.join_next().await;
        }
    }
    while waiting.join_next().await.is_some() {}
}

/// Overwrites what this thread's calls have left below: keys that were moved or copied from one place to another there stay
/// behind until another call happens to use the same place.
#[inline(never)]
fn wipe_below() {
    let mut below = Zeroizing::new([0u8; STACK_WIPED]);
    std::hint::black_box(&mut *below);
}

fn source(settings: &Settings) -> FileSource {
    let tenants = settings.tenants.iter();
    FileSource::new(
        tenants.filter_map(|tenant| Some((tenant.id.as_str().into(), tenant.keyring.clone()?))),
    )
}

fn lifetimes(keys: &KeysSettings) -> CacheSettings {
    CacheSettings {
        soft: keys.soft,
        hard: keys.hard,
        unused: keys.unused,
        ..CacheSettings::default()
    }
}

/// By wraps always, long before the hard stop. The next epoch is made a hard lifetime ahead: by then every gateway that shares the file has
/// loaded it, or has no keys any more.
fn policy(keys: &KeysSettings) -> RotationPolicy {
    RotationPolicy {
        period: keys.rotate_epoch_after,
        lead: keys.hard,
        ..RotationPolicy::default()
    }
}

fn sweeps(keys: &KeysSettings) -> tokio::time::Interval {
    let every = (keys.hard.min(keys.unused) / 10).clamp(SWEEP_LEAST, SWEEP_MOST);
    let mut sweeps = tokio::time::interval(every);
    sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    sweeps
}

fn due(cache: &KeyringCache, policy: &RotationPolicy, now: SystemTime) -> Vec<(Box<str>, Keyring)> {
    let mut keyrings = cache.keyrings();
    keyrings.retain(|(_, keyring)| keyring.rotation_due(policy, now) != RotationDue::No);
    keyrings
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use sealgate_envelope::SealSettings;

    use super::*;

    /// Few wraps; time rotates nothing.
    const POLICY: RotationPolicy = RotationPolicy {
        period: None,
        wraps: 10,
        lead: Duration::from_secs(3600),
    };

    #[test]
    fn an_epoch_that_has_wrapped_often_enough_is_rotated_and_the_next_made_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        drop(Keyring::create(&path, "one").unwrap_or_else(|error| panic!("{error}")));
        let cache = KeyringCache::new(PROVIDER, CacheSettings::default());
        let source = FileSource::new([("one".into(), path.clone())]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let keyring = |now| {
            let found = runtime.block_on(cache.keyring("one", &source, &|| now));
            found.ok().unwrap().0
        };
        let loader = Loader::new(FileSource::new([]));
        let begin = Instant::now();
        let mut epochs = Vec::new();
        for wraps in 1..=10 {
            let keyring = keyring(begin);
            let context = keyring.context("1", "/a").unwrap();
            let begun = keyring.seal_begin(&context, SealSettings::default());
            assert!(begun.is_ok());
            for (tenant, keyring) in due(&cache, &POLICY, SystemTime::now()) {
                loader.rotate(&tenant, keyring, &POLICY, SystemTime::now());
                let flight = cache.renew(&tenant, begin).unwrap();
                runtime.block_on(flight.load(&source, &|| begin));
                epochs.push((wraps, Keyring::load(&path).ok().unwrap().epochs().count()));
            }
        }
        assert_eq!(
            epochs,
            [(9, 2), (10, 2)],
            "made at nine tenths, not made again"
        );
        let keyring = keyring(begin);
        assert_eq!(keyring.current().epoch(), 2);
        assert_eq!(keyring.current().wraps(), 0);
        assert!(due(&cache, &POLICY, SystemTime::now()).is_empty());
    }

    #[test]
    fn messages_are_not_held_up_by_the_keyrings_that_a_reload_loads() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (loads, mut waiting) = mpsc::channel(KEY_LOADS_WAITING);
            let cache = KeyringCache::new(PROVIDER, CacheSettings::default());
            let shared = SharedKeys { cache, loads };
            let tenants: Vec<String> = (0..2 * KEY_LOADS_WAITING)
                .map(|number| number.to_string())
                .collect();
            let mut all = pin!(load_all(&shared, tenants.iter().map(String::as_str)));
            let mut context = Context::from_waker(Waker::noop());
            assert!(all.as_mut().poll(&mut context).is_pending());
            assert_eq!(waiting.len(), KEY_LOADS, "the rest of the queue is free");
            let mut loaded = 1;
            // The first one hangs.
            let hanging = waiting.try_recv().unwrap();
            while loaded < tenants.len() {
                let flight = waiting.try_recv().unwrap();
                flight.land(Err(LoadFault::UnknownTenant), Instant::now());
                loaded += 1;
                tokio::task::yield_now().await;
                assert!(all.as_mut().poll(&mut context).is_pending());
            }
            drop(hanging);
            tokio::task::yield_now().await;
            all.await;
        });
    }

    #[test]
    fn a_gateway_that_was_told_nothing_rotates_by_wraps_long_before_the_hard_stop() {
        let keys = KeysSettings {
            soft: Duration::from_secs(300),
            hard: Duration::from_secs(3600),
            unused: Duration::from_secs(1800),
            rotate_epoch_after: None,
        };
        let policy = policy(&keys);
        assert_eq!(policy.period, None);
        assert_eq!(policy.wraps, sealgate_keys::limits::WRAPS_MOST / 2);
        assert_eq!(policy.lead, keys.hard);
    }
}
