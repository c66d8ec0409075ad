//! The branch key: what wraps the data keys of one tenant in one epoch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealgate_envelope::{Context, DataKey, RawAesKey, Recipient, RecipientRef, UnwrapError};

use crate::keyring::SealBeginError;
use crate::limits::WRAPS_MOST;
use crate::secret::Secret;

/// How often the keys of one keyring have wrapped, by epoch. It outlives them.
#[derive(Default)]
pub(crate) struct WrapCounts {
    pseudonym: Box<str>,
    by_epoch: BTreeMap<u32, Arc<AtomicU64>>,
}

impl WrapCounts {
    /// The counts of the keyring with this pseudonym. Those of another one that stood in its place before end.
    pub(crate) fn of(&mut self, pseudonym: &str) -> &mut Self {
        if *self.pseudonym != *pseudonym {
            *self = Self {
                pseudonym: pseudonym.into(),
                by_epoch: BTreeMap::new(),
            };
        }
        self
    }
}

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

    /// How many data keys this process has wrapped under it since it was first loaded, those included that a thread has taken and not yet
    /// done ([`crate::LocalKeyring`]). Rotate the epoch long before
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
                .by_epoch
                .entry(self.epoch)
                .or_insert_with(|| Arc::clone(&self.wraps)),
        );
    }

    /// Counts up to `wanted` wraps before they are done, and gives how many may be.
    ///
    /// # Errors
    /// [`SealBeginError::WrapsExhausted`] where it is none.
    pub(crate) fn take_wraps(&self, wanted: u64) -> Result<u64, SealBeginError> {
        // Counted first: of two racing callers at the limit, one is refused. The count cannot wrap around within a machine's life.
        let before = self.wraps.fetch_add(wanted, Ordering::Relaxed);
        match WRAPS_MOST.saturating_sub(before).min(wanted) {
            0 => Err(SealBeginError::WrapsExhausted { epoch: self.epoch }),
            granted => Ok(granted),
        }
    }

    /// Counts down by wraps that were taken and not done.
    pub(crate) fn return_wraps(&self, unused: u64) {
        self.wraps.fetch_sub(unused, Ordering::Relaxed);
    }

    /// Wraps a message's data key, for which a wrap was taken.
    pub(crate) fn wrap(
        &self,
        data_key: &DataKey,
        context: &Context,
    ) -> Result<Recipient, SealBeginError> {
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
        assert_eq!(key.take_wraps(1), Ok(1));
        assert!(key.wrap(&data_key, &context).is_ok());
        for _ in 0..2 {
            assert_eq!(
                key.take_wraps(1),
                Err(SealBeginError::WrapsExhausted { epoch: 3 })
            );
        }
        assert_eq!(key.wraps(), WRAPS_MOST);
    }

    #[test]
    fn a_block_at_the_limit_is_cut_and_returning_it_does_not_free_more() {
        let key = BranchKey::new(&Secret::generate().unwrap(), "sealgate/t", "main", 3, None);
        key.wraps.store(WRAPS_MOST - 10, Ordering::Relaxed);
        assert_eq!(key.take_wraps(64), Ok(10));
        key.return_wraps(10);
        assert!(key.take_wraps(64).is_err());
    }
}
