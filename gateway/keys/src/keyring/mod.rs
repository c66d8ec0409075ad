//! The keyring of one tenant: seals under the current epoch's branch key, opens under any epoch's.

mod data_key;
mod description;
mod disk;
pub(crate) mod errors;
mod fields;
mod file;
mod local;
mod recovery;
mod revocation;
mod rotation;
mod text;

pub use description::{Description, EpochDescription};
pub use file::KeyringState;
pub use local::LocalKeyring;
pub use recovery::RecoveryFault;
pub use revocation::Shredded;
pub use rotation::{KekRotation, RewrapProgress, Role, RotationDue, RotationPolicy};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sealgate_envelope::{
    Context, ContextError, DataKey, Header, Opener, RandomUnavailable, RecipientRef, Refusal,
    SealError, SealSettings, Sealer, UnwrapError, WrapError, sizes,
};
use thiserror::Error;

use crate::branch_key::{BranchKey, WrapCounts};
use errors::{KeyringError, KeyringFault};
use file::KeyringFile;

/// What the raw AES provider info holds after the key's name.
const INFO_TAIL_LEN_BYTES: usize = 20;

/// Keys of the context that every message of the gateway carries (`ENVELOPE.md`, "Defaults").
pub mod context_key {
    /// The tenant's pseudonym.
    pub const TENANT: &str = "tenant";
    /// The version of the policy under which the message was sealed.
    pub const POLICY: &str = "policy";
    /// The canonical object path, or its HMAC where paths are private.
    pub const PATH: &str = "path";
}

/// A tenant's keyring. Cloning it is cheap; clones share their keys and their count of wraps. It has no `Debug`.
///
/// It is immutable: a rotation or a reload gives a new keyring, to be swapped in whole. Sealing and opening take no lock.
#[derive(Clone)]
pub struct Keyring {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    tenant: Box<str>,
    pseudonym: Box<str>,
    namespace: Box<str>,
    /// `<branch>/`, which begins the names of its keys.
    name_prefix: Box<str>,
    /// The one key that seals. That retired ones do not is thereby a matter of type and not of a check.
    current: BranchKey,
    /// By rising epoch; they open only.
    retired: Vec<BranchKey>,
    /// Made ahead: another node may seal with it before this one does. It opens only.
    next: Option<BranchKey>,
}

/// A message that was not begun. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealBeginError {
    /// The context names another tenant than the keyring's, or none. The caller's fault; see [`Keyring::context`].
    #[error("the context's `tenant` is not this keyring's pseudonym")]
    NotThisTenantsContext,
    /// The current branch key has wrapped as often as it may. The operator's fault: rotate the epoch.
    #[error("the branch key of epoch {epoch} has wrapped as often as it may; rotate the epoch")]
    WrapsExhausted {
        /// The current epoch.
        epoch: u32,
    },
    /// The data key could not be made.
    #[error(transparent)]
    RandomUnavailable(#[from] RandomUnavailable),
    /// The data key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The header could not be written.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// A message that is not opened with this keyring. Nothing of it was released.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenBeginError {
    /// No recipient of the message is in this tenant's namespace.
    #[error("the message is not sealed for this tenant")]
    NotForThisTenant,
    /// The message is for this tenant, under an epoch that the keyring does not hold: from a newer keyring, or one that was cut.
    #[error("the message is sealed under epoch {epoch}, which this keyring does not hold")]
    UnknownEpoch {
        /// The epoch.
        epoch: u32,
    },
    /// The message is in this tenant's namespace but names a key in no way that this keyring does.
    #[error("the message names a key of this tenant that this keyring cannot have")]
    UnknownKeyName,
    /// The message's context is not what is expected of it: it stands at another path, or belongs to another tenant.
    #[error("the message's context differs in `{key}`")]
    ContextMismatch {
        /// The first key whose value differs or is absent. The values are not told.
        key: Box<str>,
    },
    /// The wrapped data key does not verify: the message's header was changed, or the keyring holds other bytes under that epoch.
    #[error("the data key wrapped under epoch {epoch} does not verify")]
    WrappedKeyNotAuthentic {
        /// The epoch.
        epoch: u32,
    },
    /// The header does not verify under the data key.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Keyring {
    /// Creates a keyring file for `tenant`, mode 0600, with a random pseudonym, a random KEK and one epoch, and loads it. File and folder
    /// are on disk when it returns. Back the file up before anything is sealed under it.
    ///
    /// # Errors
    /// [`KeyringError`]; an existing file is never touched, an unfinished one is removed.
    pub fn create(path: impl AsRef<Path>, tenant: &str) -> Result<Self, KeyringError> {
        let path = path.as_ref();
        let create = || {
            let file = KeyringFile::generate(tenant, rotation::unix_seconds(SystemTime::now()))?;
            disk::create(path, &file.to_text())?;
            Self::from_file(path, &file)
        };
        create().map_err(|fault| KeyringError {
            path: path.to_owned(),
            fault,
        })
    }

    /// Loads a keyring file: refuses it unless it is a regular file that nobody else can access, and unwraps every branch key.
    ///
    /// # Errors
    /// [`KeyringError`], which names the file, the key and what would be right.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyringError> {
        let path = path.as_ref();
        let load = || Self::from_file(path, &KeyringFile::parse(&disk::read(path)?)?);
        load().map_err(|fault| KeyringError {
            path: path.to_owned(),
            fault,
        })
    }

    /// Loads the file again. The counts of wraps go on; use this, not [`Keyring::load`], when the configuration is reloaded.
    ///
    /// # Errors
    /// As [`Keyring::load`]; [`KeyringFault::AnotherKeyring`] when the file has another pseudonym now. `self` stays usable.
    pub fn reload(&self) -> Result<Self, KeyringError> {
        let path = &self.inner.path;
        let reload = || self.succeeded_by(&KeyringFile::parse(&disk::read(path)?)?);
        reload().map_err(|fault| KeyringError {
            path: path.clone(),
            fault,
        })
    }

    /// The tenant's name, as the operator wrote it. It never goes into a message.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.inner.tenant
    }

    /// What stands for the tenant in messages: random, 32 hexadecimal digits.
    #[must_use]
    pub fn pseudonym(&self) -> &str {
        &self.inner.pseudonym
    }

    /// The branch key that seals.
    #[must_use]
    pub fn current(&self) -> &BranchKey {
        &self.inner.current
    }

    /// The epochs that this keyring opens, rising; the current one, and after it the next where it is made.
    pub fn epochs(&self) -> impl Iterator<Item = u32> {
        self.branch_keys().map(BranchKey::epoch)
    }

    /// The context of a message of this tenant: its pseudonym, the policy's version and the object's path.
    ///
    /// # Errors
    /// [`ContextError`] when a value is longer than a header can say.
    pub fn context(&self, policy: &str, path: &str) -> Result<Context, ContextError> {
        Context::from_pairs([
            (context_key::TENANT, self.pseudonym()),
            (context_key::POLICY, policy),
            (context_key::PATH, path),
        ])
    }

    /// Length of the header that [`Keyring::seal_begin`] would write, tag included.
    #[must_use]
    pub fn header_len_bytes(&self, context: &Context, settings: SealSettings) -> usize {
        let bare_len = sizes::header_len(context, [self.inner.current.recipient_len_bytes()]);
        settings
            .header_len_bytes
            .map_or(bare_len, |fixed| fixed as usize)
    }

    /// Begins a message under the current branch key with a fresh data key. Gives the sealer and the header, which goes out first.
    ///
    /// # Errors
    /// [`SealBeginError`]; nothing was written. Cost: one wrap besides that of [`Sealer::begin`]; an atomic count and no lock.
    pub fn seal_begin(
        &self,
        context: &Context,
        settings: SealSettings,
    ) -> Result<(Sealer, Vec<u8>), SealBeginError> {
        self.seal_begin_counted(context, settings, |current| current.take_wraps(1).map(drop))
    }

    /// [`Keyring::seal_begin`]; `count` takes the wrap.
    fn seal_begin_counted(
        &self,
        context: &Context,
        settings: SealSettings,
        count: impl FnOnce(&BranchKey) -> Result<(), SealBeginError>,
    ) -> Result<(Sealer, Vec<u8>), SealBeginError> {
        if context.value(context_key::TENANT) != Some(self.pseudonym()) {
            return Err(SealBeginError::NotThisTenantsContext);
        }
        count(&self.inner.current)?;
        let data_key = DataKey::generate()?;
        let recipient = self.inner.current.wrap(&data_key, context)?;
        Ok(Sealer::begin(&data_key, context, &[recipient], settings)?)
    }

    /// Begins to open a message of this tenant: finds the recipient of this keyring, compares the context, unwraps the data key and
    /// authenticates the header.
    ///
    /// Every pair of `expected` must stand in the message. Its `tenant` must be this keyring's pseudonym in any case, and its `path` the
    /// one that is expected: a message with a path is not opened where none is expected. Other pairs, such as the policy's version at the
    /// time of sealing, may differ from today's; leave them out of `expected`.
    ///
    /// # Errors
    /// [`OpenBeginError`]; nothing was released.
    pub fn open_begin(
        &self,
        header: &Header,
        expected: &Context,
    ) -> Result<Opener, OpenBeginError> {
        if self.own_recipients(header).next().is_none() {
            return Err(OpenBeginError::NotForThisTenant);
        }
        self.check_context(header.context(), expected)?;
        let data_key = self.unwrap_data_key(header, header.context())?;
        Ok(Opener::begin(header, &data_key)?)
    }

    /// Holds a message's context, `found`, to what is expected, as [`Keyring::open_begin`] does.
    ///
    /// # Errors
    /// [`OpenBeginError::ContextMismatch`].
    pub fn check_context(&self, found: &Context, expected: &Context) -> Result<(), OpenBeginError> {
        let mismatch = |key: &str| Err(OpenBeginError::ContextMismatch { key: key.into() });
        if found.value(context_key::TENANT) != Some(self.pseudonym()) {
            return mismatch(context_key::TENANT);
        }
        if found.value(context_key::PATH) != expected.value(context_key::PATH) {
            return mismatch(context_key::PATH);
        }
        match expected
            .pairs()
            .find(|(key, value)| found.value(key) != Some(value))
        {
            Some((key, _)) => mismatch(key),
            None => Ok(()),
        }
    }

    fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, OpenBeginError> {
        let epoch = self
            .epoch_of(recipient)
            .ok_or(OpenBeginError::UnknownKeyName)?;
        let key = self
            .branch_key(epoch)
            .ok_or(OpenBeginError::UnknownEpoch { epoch })?;
        key.unwrap(recipient, context).map_err(|error| match error {
            UnwrapError::NotAddressed => OpenBeginError::UnknownKeyName,
            UnwrapError::NotAuthentic => OpenBeginError::WrappedKeyNotAuthentic { epoch },
        })
    }

    /// The epoch in the key's name, `<branch>/<epoch>`.
    fn epoch_of(&self, recipient: &RecipientRef<'_>) -> Option<u32> {
        let name_len = recipient
            .provider_info
            .len()
            .checked_sub(INFO_TAIL_LEN_BYTES)?;
        let epoch =
            recipient.provider_info[..name_len].strip_prefix(self.inner.name_prefix.as_bytes())?;
        std::str::from_utf8(epoch).ok()?.parse().ok()
    }

    fn branch_key(&self, epoch: u32) -> Option<&BranchKey> {
        let newer = [&self.inner.current]
            .into_iter()
            .chain(&self.inner.next)
            .find(|key| key.epoch() == epoch);
        if newer.is_some() {
            return newer;
        }
        let retired = &self.inner.retired;
        retired
            .binary_search_by_key(&epoch, BranchKey::epoch)
            .ok()
            .map(|at| &retired[at])
    }

    /// Goes on counting wraps in `counts`. Only for a keyring that has no clone yet: another one counts for itself.
    pub(crate) fn continue_counts(&mut self, counts: &mut WrapCounts) {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            let counts = counts.of(&inner.pseudonym);
            inner
                .branch_keys_mut()
                .for_each(|key| key.continue_count_in(counts));
        }
    }

    fn from_file(path: &Path, file: &KeyringFile) -> Result<Self, KeyringFault> {
        Ok(Self {
            inner: Arc::new(Inner::from_file(path, file)?),
        })
    }

    /// The keyring in `file`, which goes on counting where this one stopped.
    fn succeeded_by(&self, file: &KeyringFile) -> Result<Self, KeyringFault> {
        if file.pseudonym != self.inner.pseudonym {
            return Err(KeyringFault::AnotherKeyring);
        }
        let mut inner = Inner::from_file(&self.inner.path, file)?;
        for key in inner.branch_keys_mut() {
            if let Some(earlier) = self.branch_key(key.epoch()) {
                key.continue_count_of(earlier);
            }
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

impl Inner {
    fn branch_keys_mut(&mut self) -> impl Iterator<Item = &mut BranchKey> {
        let newer = [&mut self.current].into_iter().chain(&mut self.next);
        self.retired.iter_mut().chain(newer)
    }

    fn from_file(path: &Path, file: &KeyringFile) -> Result<Self, KeyringFault> {
        if file.state == KeyringState::Disabled {
            return Err(KeyringFault::Disabled);
        }
        let namespace = format!("sealgate/{}", file.pseudonym);
        let mut retired: Vec<BranchKey> = file
            .unwrap_branch_keys()?
            .iter()
            .map(|key| {
                BranchKey::new(
                    &key.secret,
                    &namespace,
                    &file.branch,
                    key.epoch,
                    key.active_from,
                )
            })
            .collect();
        let next = file.next.and_then(|_| retired.pop());
        let current = retired.pop().expect("a keyring file has its current epoch");
        Ok(Self {
            path: path.to_owned(),
            tenant: file.tenant.clone(),
            pseudonym: file.pseudonym.clone(),
            namespace: namespace.into(),
            name_prefix: format!("{}/", file.branch).into(),
            current,
            retired,
            next,
        })
    }
}
