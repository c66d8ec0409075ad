//! Who loads keyrings, lets go of old ones, and rotates those that are due. Beside the data path: the workers only ask.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use sealgate_keys::cache::{
    CacheSettings, FileSource, Flight, KeyringCache, KeyringSource, LoadFault, Lookup,
};
use sealgate_keys::{Keyring, KeyringFault, RotationDue, RotationPolicy};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

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
    /// Tenants whose last load failed, so that the log says when it is over.
    failing: Mutex<HashSet<Box<str>>>,
}

impl KeyKeeper {
    /// Begins to load what is asked for.
    pub(super) fn start(settings: &Settings) -> KeyKeeper {
        let (loads, waiting) = mpsc::channel(KEY_LOADS_WAITING);
        let loader = Arc::new(Loader {
            source: ArcSwap::from_pointee(source(settings)),
            counters: Arc::default(),
            failing: Mutex::default(),
        });
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
        self.loader.source.store(Arc::new(source(settings)));
        self.shared.cache.configure(lifetimes(&settings.keys));
        self.shared.cache.purge_all();
        self.policy = policy(&settings.keys);
        self.sweep = sweeps(&settings.keys);
    }

    /// Loads the keyrings of all tenants, so that no message waits for one and `/status` knows which are withdrawn.
    pub(super) async fn warm(&self, settings: &Settings) {
        let all = async {
            let mut waiting = Vec::new();
            let tenants = settings.tenants.iter();
            for tenant in tenants.filter(|tenant| tenant.keyring.is_some()) {
                let look = || self.shared.cache.lookup(&tenant.id, Instant::now());
                if let Lookup::Absent(flight) = look() {
                    // The receiver is there for as long as the runtime.
                    let _ = self.shared.loads.send(flight).await;
                }
                if let Lookup::Wait(wait) = look() {
                    waiting.push(wait);
                }
            }
            for wait in waiting {
                wait.await;
            }
        };
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
        let counters = Arc::clone(&self.loader.counters);
        self.rotation = Some(spawn_blocking(move || {
            for (tenant, keyring) in due {
                rotate(&tenant, keyring, &policy, now, &counters);
                // The others that share the file hear of it within the soft lifetime, this process at once.
                if let Some(flight) = shared.cache.renew(&tenant, Duration::ZERO, Instant::now()) {
                    let _ = shared.loads.try_send(flight);
                }
            }
        }));
    }
}

impl Loader {
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

    /// Counts and logs. The cache keeps the time between two loads, so a provider that is away fills no disk.
    fn tell(&self, source: &FileSource, tenant: &str, fault: Option<&LoadFault>) {
        let outcome = match fault {
            None => KeyLoad::Loaded,
            Some(fault) if fault.is_refusal() => KeyLoad::Refused,
            Some(_) => KeyLoad::Failed,
        };
        self.counters.load(outcome);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let (provider, keyring) = (source.name(), source.path(tenant).unwrap_or("-".as_ref()));
        let keyring = keyring.display();
        match fault {
            None if failing.remove(tenant) => {
                tracing::info!(tenant, provider, %keyring, "keyring loaded again");
            }
            None => tracing::debug!(tenant, provider, %keyring, "keyring loaded"),
            Some(fault) => {
                failing.insert(tenant.into());
                let outcome = outcome.name();
                tracing::warn!(tenant, provider, %keyring, outcome, error = %fault, "keyring not loaded");
            }
        }
    }
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

/// Rotates one keyring that is due. Where another gateway was quicker, that one's epoch counts.
fn rotate(
    tenant: &str,
    keyring: Keyring,
    policy: &RotationPolicy,
    now: SystemTime,
    counters: &KeyCounters,
) {
    let old_epoch = keyring.current().epoch();
    match keyring.rotate_when_due(policy, now) {
        Ok(None) => {}
        Ok(Some(rotated)) if rotated.current().epoch() != old_epoch => {
            counters.rotation(KeyRotation::Rotated);
            let new_epoch = rotated.current().epoch();
            tracing::info!(tenant, old_epoch, new_epoch, "epoch rotated");
        }
        Ok(Some(prepared)) => {
            let next_epoch = prepared.epochs().last();
            tracing::info!(tenant, epoch = old_epoch, next_epoch, "next epoch made");
        }
        // Another gateway or an operator is at it.
        Err(error) if error.fault == KeyringFault::Busy => {}
        Err(error) => {
            counters.rotation(KeyRotation::Failed);
            tracing::error!(tenant, old_epoch, %error, "epoch not rotated; `sealgate keys rotate` does it by hand");
        }
    }
}

#[cfg(test)]
mod tests {
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
        let counters = KeyCounters::default();
        let begin = Instant::now();
        let mut epochs = Vec::new();
        for wraps in 1..=10 {
            let keyring = keyring(begin);
            let context = keyring.context("1", "/a").unwrap();
            let begun = keyring.seal_begin(&context, SealSettings::default());
            assert!(begun.is_ok());
            for (tenant, keyring) in due(&cache, &POLICY, SystemTime::now()) {
                rotate(&tenant, keyring, &POLICY, SystemTime::now(), &counters);
                let flight = cache.renew(&tenant, Duration::ZERO, begin).unwrap();
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
