//! What the first answers of a run were, which later ones are held to where the target names no digest.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

/// The first answers of a run by tenant, so at most as many as it has tenants. A tenant gets one path,
/// or objects by number, whose contents are known.
#[derive(Debug, Default)]
pub struct FirstAnswers {
    digests: First<[u8; 32]>,
    lengths: First<u64>,
}

#[derive(Debug)]
struct First<T>(RwLock<HashMap<usize, T>>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: Copy> First<T> {
    /// The first one of a tenant: `this` one, if there was none.
    fn of(&self, tenant: usize, this: T) -> T {
        // Nothing that holds the lock can panic halfway.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = known.get(&tenant) {
            return *first;
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *known.entry(tenant).or_insert(this)
    }
}

impl FirstAnswers {
    /// The digest that answers to a tenant have: that of `this` one, if it is the first.
    pub fn digest(&self, tenant: usize, this: [u8; 32]) -> [u8; 32] {
        self.digests.of(tenant, this)
    }

    /// The length that they have, alike.
    pub fn length(&self, tenant: usize, this: u64) -> u64 {
        self.lengths.of(tenant, this)
    }
}
