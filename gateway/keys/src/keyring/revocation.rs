//! Switching a keyring off, and destroying it. Both leave a line in the audit record beside the keyring.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Keyring;
use super::disk::{self, AUDIT, Locked, NEW, RECOVERY};
use super::errors::{KeyringError, KeyringFault};
use super::file::{KeyringFile, KeyringState};
use super::rotation::{change_file, unix_seconds};
use crate::cache::KeyringCache;

/// What a shred destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shredded {
    /// The tenant.
    pub tenant: Box<str>,
    /// Its pseudonym, which stands in the messages that nobody can open any more.
    pub pseudonym: Box<str>,
    /// The KEK versions that are gone.
    pub kek_versions: Vec<u32>,
    /// The epochs whose branch keys are gone.
    pub epochs: Vec<u32>,
    /// Whether there were recovery envelopes beside the keyring. They are gone too.
    pub had_recovery: bool,
    /// Where it is recorded.
    pub audit: PathBuf,
}

impl Keyring {
    /// Switches the keyring file at `path` off or on. A keyring that is off does not load: a cache drops it with the next load, at the latest
    /// at its hard lifetime. Keyrings that are held in other ways go on until they are reloaded.
    ///
    /// # Errors
    /// [`KeyringError`]; the file is as it was. [`KeyringFault::Audit`] when it could not be recorded.
    pub fn set_state(
        path: impl AsRef<Path>,
        state: KeyringState,
        now: SystemTime,
    ) -> Result<(), KeyringError> {
        let path = path.as_ref();
        change_file(path, |file| {
            if file.state != state {
                let event = match state {
                    KeyringState::Enabled => "enabled",
                    KeyringState::Disabled => "disabled",
                };
                record(path, event, file, now)?;
                file.state = state;
            }
            Ok(())
        })
    }

    /// Destroys the keys in the keyring file at `path`, for good: KEKs, branch keys, what an interrupted rotation left, and the recovery
    /// envelopes beside it. A note stays in the file's place, so that no new keyring takes it by mistake. Drops the tenant's keyring from
    /// `caches`.
    ///
    /// The audit record says `shred-begun` before and `shredded` after; a shred that broke off in between is done again by calling this
    /// again. Copies of the file elsewhere, and blocks that the file system or the device has moved, are beyond this call.
    ///
    /// # Errors
    /// [`KeyringError`]. With [`KeyringFault::Audit`] and all faults of reading the file, nothing was destroyed.
    pub fn shred(
        path: impl AsRef<Path>,
        now: SystemTime,
        caches: &[KeyringCache],
    ) -> Result<Shredded, KeyringError> {
        let path = path.as_ref();
        shred(path, now, caches).map_err(|fault| KeyringError {
            path: path.to_owned(),
            fault,
        })
    }
}

fn shred(path: &Path, now: SystemTime, caches: &[KeyringCache]) -> Result<Shredded, KeyringFault> {
    let locked = Locked::open(path)?;
    let file = KeyringFile::parse(&locked.read()?)?;
    record(path, "shred-begun", &file, now)?;
    for cache in caches {
        cache.purge(&file.tenant);
    }
    let real_path = locked.path().to_owned();
    let had_recovery = disk::destroy(&disk::beside(&real_path, RECOVERY))?;
    for leftover in [NEW, ".recovery.new"] {
        disk::destroy(&disk::beside(&real_path, leftover))?;
    }
    // Last, because what is left to do is found through it.
    locked.overwrite(&file.tombstone(unix_seconds(now)))?;
    let audit = record(path, "shredded", &file, now)?;
    // Once more: what was being loaded when the file was still whole.
    for cache in caches {
        cache.purge(&file.tenant);
    }
    Ok(Shredded {
        tenant: file.tenant.clone(),
        pseudonym: file.pseudonym.clone(),
        kek_versions: file.keks.versions(),
        epochs: file.branch_keys.iter().map(|key| key.epoch).collect(),
        had_recovery,
        audit,
    })
}

/// Appends one line of JSON to the audit record beside the keyring. Gives where that is.
pub(super) fn record(
    path: &Path,
    event: &str,
    file: &KeyringFile,
    now: SystemTime,
) -> Result<PathBuf, KeyringFault> {
    let real_path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let audit = disk::beside(&real_path, AUDIT);
    // A tenant's name has no control characters.
    let tenant = file.tenant.replace('\\', "\\\\").replace('"', "\\\"");
    let line = format!(
        "{{\"at\":{},\"event\":\"{event}\",\"tenant\":\"{tenant}\",\"pseudonym\":\"{}\",\
         \"kek_versions\":{:?},\"epochs\":{},\"uid\":{}}}\n",
        unix_seconds(now),
        file.pseudonym,
        file.keks.versions(),
        file.branch_keys.len(),
        rustix::process::getuid().as_raw(),
    );
    match disk::append(&audit, &line) {
        Ok(()) => Ok(audit),
        Err(cause) => Err(KeyringFault::Audit {
            path: audit,
            cause: Box::new(cause),
        }),
    }
}
