//! What stands in a keyring file, told without its keys.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Keyring;
use super::disk;
use super::errors::{KeyringError, KeyringFault};
use super::file::{KeyringFile, KeyringState};
use super::rotation::Role;

/// A keyring file without its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The tenant.
    pub tenant: Box<str>,
    /// Its pseudonym in messages.
    pub pseudonym: Box<str>,
    /// Whether it may be used.
    pub state: KeyringState,
    /// The KEK version that wraps.
    pub kek_version: u32,
    /// The KEK versions that are needed; more than one where a rotation was stopped.
    pub needed_keks: Vec<u32>,
    /// Whether there is a recovery key.
    pub has_recovery: bool,
    /// By rising epoch.
    pub epochs: Vec<EpochDescription>,
}

/// One epoch of a keyring file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochDescription {
    /// The epoch.
    pub epoch: u32,
    /// What it does.
    pub role: Role,
    /// The KEK version that wraps its branch key.
    pub kek_version: u32,
    /// Since when it seals or sealed, where the file says so.
    pub active_from: Option<SystemTime>,
}

impl Keyring {
    /// Describes the keyring file at `path`, also one that is disabled. Nothing is unwrapped, so a wrap that is damaged goes unnoticed.
    ///
    /// # Errors
    /// [`KeyringError`] where the file cannot be read or is wrong; [`KeyringFault::Shredded`] where its keys were destroyed.
    pub fn describe(path: impl AsRef<Path>) -> Result<Description, KeyringError> {
        let path = path.as_ref();
        let describe = || -> Result<Description, KeyringFault> {
            Ok(KeyringFile::parse(&disk::read(path)?)?.description())
        };
        describe().map_err(|fault| KeyringError {
            path: path.to_owned(),
            fault,
        })
    }

    /// Shows a keyring file's newest KEK and branch key, for the test that looks for them in memory.
    #[cfg(test)]
    pub(crate) fn show_secrets<T>(path: &Path, show: impl FnOnce(&[u8], &[u8]) -> T) -> T {
        let file = KeyringFile::parse(&disk::read(path).unwrap()).unwrap();
        let keys = file.unwrap_branch_keys().unwrap();
        let (mut show, mut shown) = (Some(show), None);
        file.keks.for_each(|_, kek| {
            if let Some(show) = show.take() {
                shown = Some(show(kek.expose(), keys[0].secret.expose()));
            }
        });
        shown.unwrap()
    }
}

impl KeyringFile {
    fn description(&self) -> Description {
        let previous = self
            .branch_keys
            .iter()
            .map(|key| key.epoch)
            .rfind(|epoch| *epoch < self.current);
        let epochs = self.branch_keys.iter().map(|key| EpochDescription {
            epoch: key.epoch,
            role: Role::of(key.epoch, self.current, previous),
            kek_version: key.kek_version,
            active_from: key
                .active_from
                .and_then(|from| UNIX_EPOCH.checked_add(Duration::from_secs(from))),
        });
        Description {
            tenant: self.tenant.clone(),
            pseudonym: self.pseudonym.clone(),
            state: self.state,
            kek_version: self.kek_version,
            needed_keks: self.needed_keks(),
            has_recovery: self.recovery.is_some(),
            epochs: epochs.collect(),
        }
    }
}
