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
            local: LocalCache::new(shared.cache),
            loads: shared.loads,
        }
    }

    /// The keyring of `tenant`, for one message that begins now. Where it has to be loaded first, this waits; one that has aged is loaded
    /// anew meanwhile.
    ///
    /// # Errors
    /// [`NoKeys`]. Cost where the keyring is there: a map lookup and a clock read; no lock, no allocation.
    pub async fn keyring(&self, tenant: &str) -> Result<Rc<LocalKeyring>, NoKeys> {
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
                    let left = KEYS_WAIT.saturating_sub(begun.elapsed());
                    // Nothing of the ring is pending in there.
                    let waited = tokio::time::timeout(left, waiting).await;
                    waited.map_err(|_| NoKeys::NotInTime {
                        tenant: tenant.into(),
                        waited: KEYS_WAIT,
                    })?;
                }
                Lookup::Unavailable(unavailable) => return Err(unavailable.into()),
            }
        }
    }

    /// Lets go of keyrings whose time is over, or that were taken away.
    pub fn sweep(&self) {
        self.local.sweep(Instant::now());
    }
}
