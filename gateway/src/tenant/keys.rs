//! A tenant's keys as a worker uses them: looked up when a message begins, loaded elsewhere.

use std::rc::Rc;
use std::time::{Duration, Instant};

use sealgate_keys::LocalKeyring;
use sealgate_keys::cache::{
    Flight, KeyringCache, LocalCache, Lookup, Unavailable, UnavailableCause,
};
use tokio::sync::mpsc;

use crate::error::Cause;
use crate::limits::KEYS_WAIT;

/// What the workers share: the cache, and the queue to who loads what is not in it.
#[derive(Clone)]
pub struct SharedKeys {
    /// The keyrings of the process.
    pub cache: KeyringCache,
    /// Keyrings to load. Bounded; what does not fit is dropped, and the next message asks again.
    pub loads: mpsc::Sender<Flight>,
}

/// The keys of all tenants, as one worker sees them.
pub struct Keys {
    local: LocalCache,
    cache: KeyringCache,
    loads: mpsc::Sender<Flight>,
}

/// There are no keys for a message now.
#[derive(Debug, thiserror::Error)]
pub enum NoKeys {
    /// They were refused, or could not be loaded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// More keyrings wait to be loaded than may.
    #[error("no keys for tenant {tenant}: too many keyrings wait to be loaded")]
    QueueFull {
        /// The tenant.
        tenant: Box<str>,
    },
    /// Their load takes too long.
    #[error("no keys for tenant {tenant}: not loaded within {waited:?}")]
    NotInTime {
        /// The tenant.
        tenant: Box<str>,
        /// How long the message has waited.
        waited: Duration,
    },
}

impl NoKeys {
    /// What it comes down to.
    pub fn cause(&self) -> Cause {
        match self {
            NoKeys::Unavailable(Unavailable {
                cause: UnavailableCause::Load(fault),
                ..
            }) if fault.is_refusal() => Cause::KeysWithdrawn,
            NoKeys::Unavailable(_) | NoKeys::QueueFull { .. } | NoKeys::NotInTime { .. } => {
                Cause::KeysUnavailable
            }
        }
    }

    /// When to come back.
    pub fn retry_after(&self) -> Duration {
        match self {
            NoKeys::Unavailable(unavailable) => unavailable.retry_after,
            NoKeys::QueueFull { .. } | NoKeys::NotInTime { .. } => Duration::from_secs(1),
        }
    }
}

impl Keys {
    /// A worker's view of what all share.
    pub fn new(shared: SharedKeys) -> Keys {
        Keys {
            local: LocalCache::new(shared.cache.clone()),
            cache: shared.cache,
            loads: shared.loads,
        }
    }

    /// The keyring of `tenant`, for one message that begins now. Where it has to be loaded first, this waits; one that has aged is loaded
    /// anew meanwhile.
    ///
    /// # Errors
    /// [`NoKeys`]. Cost where the keyring is there: a map lookup and a clock read; no lock, no allocation.
    pub async fn keyring(&self, tenant: &str) -> Result<Rc<LocalKeyring>, NoKeys> {
        self.keyring_within(tenant, KEYS_WAIT).await
    }

    async fn keyring_within(
        &self,
        tenant: &str,
        limit: Duration,
    ) -> Result<Rc<LocalKeyring>, NoKeys> {
        let begun = Instant::now();
        loop {
            match self.local.lookup(tenant, Instant::now()) {
                Lookup::Fresh(keyring) => return Ok(keyring),
                Lookup::Stale(keyring, flight) => {
                    // A full queue drops the flight, and the next message gets it.
                    let _ = self.loads.try_send(flight);
                    return Ok(keyring);
                }
                Lookup::Absent(flight) => self.loads.try_send(flight).map_err(|_| {
                    let tenant = tenant.into();
                    NoKeys::QueueFull { tenant }
                })?,
                Lookup::Wait(waiting) => {
                    let left = limit.saturating_sub(begun.elapsed());
                    // Nothing of the ring is pending in there.
                    let waited = tokio::time::timeout(left, waiting).await;
                    waited.map_err(|_| NoKeys::NotInTime {
                        tenant: tenant.into(),
                        waited: limit,
                    })?;
                }
                Lookup::Unavailable(unavailable) => return Err(unavailable.into()),
            }
        }
    }

    /// The keyring of `tenant` as it is now, for a message under an epoch that what is held does not have: another gateway may have rotated
    /// it. Loaded once a second at most, whatever stands in messages, and ever more rarely where that brings nothing.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub async fn renewed_keyring(&self, tenant: &str) -> Result<Rc<LocalKeyring>, NoKeys> {
        if let Some(flight) = self.cache.renew_on_suspicion(tenant, Instant::now()) {
            // Where the queue is full, what is held is the last word.
            let _ = self.loads.try_send(flight);
        }
        if let Some(landing) = self.cache.landing(tenant) {
            // Late, it is as if there were nothing new.
            let _ = tokio::time::timeout(KEYS_WAIT, landing).await;
        }
        self.keyring(tenant).await
    }

    /// Lets go of keyrings whose time is over, or that were taken away.
    pub fn sweep(&self) {
        self.local.sweep(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use sealgate_keys::Keyring;
    use sealgate_keys::cache::{CacheSettings, LoadFault};
    use sealgate_keys::provider::ProviderFault;

    use super::*;

    fn worker(queue: usize) -> (Keys, mpsc::Receiver<Flight>) {
        let (loads, waiting) = mpsc::channel(queue);
        let cache = KeyringCache::new("test", CacheSettings::default());
        (Keys::new(SharedKeys { cache, loads }), waiting)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    fn land(flight: Flight, loaded: Result<(), LoadFault>) {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::create(folder.path().join("one"), "one")
            .unwrap_or_else(|error| panic!("{error}"));
        flight.land(loaded.map(|()| keyring), Instant::now());
    }

    #[test]
    fn many_messages_of_a_tenant_ask_for_one_load_and_all_go_on() {
        runtime().block_on(async {
            let (keys, mut waiting) = worker(8);
            let mut context = Context::from_waker(Waker::noop());
            let mut messages: Vec<_> = (0..5).map(|_| Box::pin(keys.keyring("one"))).collect();
            for message in &mut messages {
                assert!(message.as_mut().poll(&mut context).is_pending());
            }
            let flight = waiting.try_recv().unwrap();
            assert!(waiting.try_recv().is_err(), "one load");
            land(flight, Ok(()));
            for message in messages {
                assert_eq!(message.await.unwrap().tenant(), "one");
            }
        });
    }

    #[test]
    fn a_full_queue_refuses_and_the_next_message_asks_again() {
        runtime().block_on(async {
            let (keys, mut waiting) = worker(1);
            let mut context = Context::from_waker(Waker::noop());
            let mut other = pin!(keys.keyring("other"));
            assert!(other.as_mut().poll(&mut context).is_pending());
            for _ in 0..2 {
                let no_keys = keys.keyring("one").await.err().unwrap();
                assert!(matches!(no_keys, NoKeys::QueueFull { .. }), "{no_keys}");
                assert_eq!(no_keys.cause(), Cause::KeysUnavailable);
            }
            assert_eq!(waiting.try_recv().unwrap().tenant(), "other");
            let mut one = pin!(keys.keyring("one"));
            assert!(one.as_mut().poll(&mut context).is_pending());
            land(waiting.try_recv().unwrap(), Ok(()));
            assert!(matches!(
                one.as_mut().poll(&mut context),
                Poll::Ready(Ok(_))
            ));
        });
    }

    #[test]
    fn a_load_that_hangs_is_waited_for_so_long_and_for_its_tenant_alone() {
        runtime().block_on(async {
            let (keys, mut waiting) = worker(8);
            let mut context = Context::from_waker(Waker::noop());
            let mut hung = pin!(keys.keyring_within("hung", Duration::from_millis(1)));
            assert!(hung.as_mut().poll(&mut context).is_pending());
            let hanging = waiting.try_recv().unwrap();
            let mut one = pin!(keys.keyring("one"));
            assert!(one.as_mut().poll(&mut context).is_pending());
            land(waiting.try_recv().unwrap(), Ok(()));
            assert!(one.await.is_ok());
            let no_keys = hung.await.err().unwrap();
            assert!(matches!(no_keys, NoKeys::NotInTime { .. }), "{no_keys}");
            drop(hanging);
        });
    }

    #[test]
    fn a_refusal_is_told_from_a_provider_that_is_away() {
        runtime().block_on(async {
            for (fault, cause) in [
                (ProviderFault::Denied, Cause::KeysWithdrawn),
                (
                    ProviderFault::Unreachable { retry_after: None },
                    Cause::KeysUnavailable,
                ),
            ] {
                let (keys, mut waiting) = worker(1);
                let mut context = Context::from_waker(Waker::noop());
                let mut message = pin!(keys.keyring("one"));
                assert!(message.as_mut().poll(&mut context).is_pending());
                land(waiting.try_recv().unwrap(), Err(fault.into()));
                let no_keys = message.await.err().unwrap();
                assert_eq!(no_keys.cause(), cause);
                assert!(no_keys.retry_after() > Duration::ZERO);
            }
        });
    }
}
