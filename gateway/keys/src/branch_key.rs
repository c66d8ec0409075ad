//! The branch key: what wraps the data keys of one tenant in one epoch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealgate_envelope::{Context, DataKey, RawAesKey, Recipient, RecipientRef, UnwrapError};

use crate::keyring::SealBeginError;
use crate::limits::WRAPS_MOST;
use crate::secret::Secret;

/// How often keys have wrapped, by epoch. It outlives them.
pub(crate) type WrapCounts = BTreeMap<u32, Arc<AtomicU64>>;

/// A tenant's wrapping key of one epoch: raw AES, namespace `sealgate/<pseudonym>`, name `<branch>/<epoch>`.
///
/// From outside it is read-only; only the keyring of which it is the current key wraps with it.
pub struct BranchKey {
    key: RawAesKey,
    epoch: u32,
    active_from: Option<u64>,
    /// Shared with the same key of a reloaded keyring, so that a reload does not forget what was wrapped.
    wraps: Arc<AtomicU64>,
}

impl BranchKey {
    pub(crate) fn new(
        secret: &Secret<32>,
        namespace: &str,
        branch: &str,
        epoch: u32,
        active_from: Option<u64>,
    ) -> Self {
        let name = format!("{branch}/{epoch}");
        let key = RawAesKey::new(secret.expose(), namespace, &name)
            .expect("the keyring file bounds pseudonym and branch far below a header field");
        Self {
            key,
            epoch,
            active_from,
            wraps: Arc::default(),
        }
    }

    /// The epoch in which it is, or was, the key that seals.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Since when it seals. `None` for a next epoch, and for one of a keyring file of format 1, which did not say.
    #[must_use]
    pub fn active_from(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.active_from?))
    }

    /// Its name in messages: `<branch>/<epoch>`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.name()
    }

    /// How many data keys this process has wrapped under it since it was first loaded. Rotate the epoch long before
    /// [`crate::limits::WRAPS_MOST`], where sealing stops.
    #[must_use]
    pub fn wraps(&self) -> u64 {
        self.wraps.load(Ordering::Relaxed).min(WRAPS_MOST)
    }

    /// Length of its recipients in a header.
    pub(crate) fn recipient_len_bytes(&self) -> usize {
        self.key.recipient_len_bytes()
    }

    /// Goes on counting where the same key of an earlier keyring stopped.
    pub(crate) fn continue_count_of(&mut self, earlier: &Self) {
        self.wraps = Arc::clone(&earlier.wraps);
    }

    /// Goes on counting where `counts` stopped, or begins there.
    pub(crate) fn continue_count_in(&mut self, counts: &mut WrapCounts) {
        self.wraps = Arc::clone(
            counts
                .entry(self.epoch)
                .or_insert_with(|| Arc::clone(&self.wraps)),
        );
    }

    /// Wraps a message's data key, and counts it before it does.
    pub(crate) fn wrap(
        &self,
        data_key: &DataKey,
        context: &Context,
    ) -> Result<Recipient, SealBeginError> {
        // Counted first: of two racing callers at the limit, one is refused. The count cannot wrap around within a machine's life.
        if self.wraps.fetch_add(1, Ordering::Relaxed) >= WRAPS_MOST {
            return Err(SealBeginError::WrapsExhausted { epoch: self.epoch });
        }
        Ok(self.key.wrap(data_key, context)?)
    }

    pub(crate) fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, UnwrapError> {
        self.key.unwrap(recipient, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_stops_hard_at_the_limit() {
        let key = BranchKey::new(&Secret::generate().unwrap(), "sealgate/t", "main", 3, None);
        let (data_key, context) = (DataKey::generate().unwrap(), Context::empty());
        key.wraps.store(WRAPS_MOST - 1, Ordering::Relaxed);
        assert!(key.wrap(&data_key, &context).is_ok());
        for _ in 0..2 {
            assert_eq!(
                key.wrap(&data_key, &context),
                Err(SealBeginError::WrapsExhausted { epoch: 3 })
            );
        }
        assert_eq!(key.wraps(), WRAPS_MOST);
    }
}
