//! Rotation: new epochs by time and by wraps, new KEK versions under which the branch keys are wrapped anew.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::disk::Locked;
use super::errors::{KeyringError, KeyringFault};
use super::file::KeyringFile;
use super::recovery::write_envelopes;
use super::{Inner, Keyring};
use crate::branch_key::BranchKey;
use crate::limits::{REWRAP_BATCH, WRAPS_MOST};

/// When an epoch has sealed for long enough, or often enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// How long an epoch seals; `None`: time does not end it.
    pub period: Option<Duration>,
    /// How often an epoch wraps in this process. A fleet divides it by its nodes.
    pub wraps: u64,
    /// How long before that the next epoch is made, so that every node has loaded it when the first one seals with it. Of the wraps, a tenth
    /// before.
    pub lead: Duration,
}

impl Default for RotationPolicy {
    /// 90 days, half of the hard limit of wraps, the next epoch a day ahead.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            period: Some(90 * DAY),
            wraps: WRAPS_MOST / 2,
            lead: DAY,
        }
    }
}

/// What a policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationDue {
    /// Nothing.
    No,
    /// The next epoch has to be made.
    Prepare,
    /// The current epoch has sealed for long enough.
    ByAge,
    /// The current epoch has wrapped often enough.
    ByWraps,
}

/// What an epoch of a keyring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It sealed before the previous one. It opens only.
    Retired,
    /// It sealed before the current one. It opens only.
    Previous,
    /// It seals.
    Current,
    /// It will seal. Until then it opens only.
    Next,
}

impl Role {
    /// The role of `epoch` where `current` seals and `previous` did before.
    pub(super) fn of(epoch: u32, current: u32, previous: Option<u32>) -> Self {
        match epoch {
            epoch if epoch == current => Self::Current,
            epoch if epoch > current => Self::Next,
            epoch if Some(epoch) == previous => Self::Previous,
            _ => Self::Retired,
        }
    }
}

/// How far a KEK rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewrapProgress {
    /// Branch keys under the new KEK version; that is on disk.
    pub done: usize,
    /// All branch keys.
    pub total: usize,
}

/// What a KEK rotation came to.
pub struct KekRotation {
    /// The keyring. Its branch keys are the same as before.
    pub keyring: Keyring,
    /// The KEK version that wraps.
    pub version: u32,
    /// How many branch keys were wrapped anew.
    pub rewrapped: usize,
    /// KEK versions that are still needed, rising. More than one when the rotation was stopped: rotate again to go on.
    pub needed: Vec<u32>,
    /// KEK versions that were destroyed.
    pub destroyed: Vec<u32>,
}

impl Keyring {
    /// Makes the next epoch the one that seals, makes it first where it is missing, and gives the keyring that seals under it. `self` still
    /// seals under the old one until it is swapped out.
    ///
    /// After a crash at any moment the file holds the old keyring or the new, whole. Two rotations at a time are kept apart by a lock on
    /// the file; nodes that share it must reload before they can open what this one seals next, unless they have loaded it since
    /// [`Keyring::prepare_epoch`].
    ///
    /// # Errors
    /// [`KeyringError`]; the file is as it was, unless only forcing the folder to disk failed.
    pub fn rotate_epoch(&self) -> Result<Self, KeyringError> {
        self.rotate_epoch_at(SystemTime::now())
    }

    /// [`Keyring::rotate_epoch`] with the time that the file will say the epoch seals from.
    ///
    /// # Errors
    /// As [`Keyring::rotate_epoch`].
    pub fn rotate_epoch_at(&self, now: SystemTime) -> Result<Self, KeyringError> {
        let (keyring, ()) = self.change(|file| file.advance_epoch(unix_seconds(now)))?;
        Ok(keyring)
    }

    /// Makes the epoch that will seal next, unless it is there. The keyring that is given opens it and still seals under the current one.
    ///
    /// # Errors
    /// As [`Keyring::rotate_epoch`].
    pub fn prepare_epoch(&self) -> Result<Self, KeyringError> {
        let (keyring, _) = self.change(KeyringFile::prepare_epoch)?;
        Ok(keyring)
    }

    /// What `policy` asks for at `now`. An epoch that does not say since when it seals is old.
    #[must_use]
    pub fn rotation_due(&self, policy: &RotationPolicy, now: SystemTime) -> RotationDue {
        let current = &self.inner.current;
        // A clock that went back makes no epoch old.
        let age = current.active_from().map_or(Duration::MAX, |from| {
            now.duration_since(from).unwrap_or_default()
        });
        let is_old = |lead| {
            policy
                .period
                .is_some_and(|period| age >= period.saturating_sub(lead))
        };
        if is_old(Duration::ZERO) {
            return RotationDue::ByAge;
        }
        if current.wraps() >= policy.wraps {
            return RotationDue::ByWraps;
        }
        let is_near = is_old(policy.lead) || current.wraps() >= policy.wraps - policy.wraps / 10;
        match &self.inner.next {
            None if is_near => RotationDue::Prepare,
            _ => RotationDue::No,
        }
    }

    /// Does what `policy` asks for at `now`. Gives the keyring as it is then, or `None` where nothing is due.
    ///
    /// Whether it is still to be done is looked at under the file's lock: of several nodes that find the same epoch due, one rotates, and the
    /// others get what it made.
    ///
    /// # Errors
    /// As [`Keyring::rotate_epoch`]; [`KeyringFault::Busy`] where another node is at it at this moment.
    pub fn rotate_when_due(
        &self,
        policy: &RotationPolicy,
        now: SystemTime,
    ) -> Result<Option<Self>, KeyringError> {
        let due = self.rotation_due(policy, now);
        if due == RotationDue::No {
            return Ok(None);
        }
        let judged = self.inner.current.epoch();
        let (keyring, ()) = self.change(|file| match due {
            _ if file.current != judged => Ok(()),
            RotationDue::No => Ok(()),
            RotationDue::Prepare => file.prepare_epoch().map(drop),
            RotationDue::ByAge | RotationDue::ByWraps => file.advance_epoch(unix_seconds(now)),
        })?;
        Ok(Some(keyring))
    }

    /// Makes a new KEK version, wraps every branch key anew under it, and destroys the versions that nothing needs any more. No message
    /// changes, and no epoch.
    ///
    /// The file is written after every [`REWRAP_BATCH`] keys and `progress` hears of it; when it breaks off, or after a crash, what was
    /// written holds, all KEK versions that are needed stay, and the next call goes on where this one stopped, under the same new version.
    /// An old KEK lives on in the backups of the file.
    ///
    /// # Errors
    /// As [`Keyring::rotate_epoch`], for the batch that failed.
    pub fn rotate_kek(
        &self,
        mut progress: impl FnMut(RewrapProgress) -> ControlFlow<()>,
    ) -> Result<KekRotation, KeyringError> {
        let (mut rewrapped, mut is_begun) = (0, false);
        loop {
            let (keyring, (version, batch, progress_now, needed, destroyed)) =
                self.change(|file| {
                    if !is_begun && file.needed_keks().len() == 1 {
                        file.add_kek()?;
                    }
                    let batch = file.rewrap(REWRAP_BATCH)?;
                    let destroyed = file.destroy_unneeded_keks()?;
                    let progress = RewrapProgress {
                        done: file.wrapped_by_newest(),
                        total: file.branch_keys.len(),
                    };
                    Ok((
                        file.kek_version,
                        batch,
                        progress,
                        file.needed_keks(),
                        destroyed,
                    ))
                })?;
            is_begun = true;
            rewrapped += batch;
            let is_stopped = progress(progress_now).is_break();
            if is_stopped || needed.len() == 1 {
                return Ok(KekRotation {
                    keyring,
                    version,
                    rewrapped,
                    needed,
                    destroyed,
                });
            }
        }
    }

    /// What each epoch is, by rising epoch.
    pub fn roles(&self) -> impl Iterator<Item = (u32, Role)> {
        let current = self.inner.current.epoch();
        let previous = self.inner.retired.last().map(BranchKey::epoch);
        self.epochs()
            .map(move |epoch| (epoch, Role::of(epoch, current, previous)))
    }

    /// By rising epoch.
    pub(super) fn branch_keys(&self) -> impl Iterator<Item = &BranchKey> {
        let inner: &Inner = &self.inner;
        inner
            .retired
            .iter()
            .chain([&inner.current])
            .chain(&inner.next)
    }

    /// Changes the file under its lock, and gives the keyring that it holds then.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut KeyringFile) -> Result<T, KeyringFault>,
    ) -> Result<(Self, T), KeyringError> {
        change_file(&self.inner.path, |file| {
            let told = change(file)?;
            Ok((self.succeeded_by(file)?, told))
        })
    }
}

/// Reads, changes and replaces the keyring file at `path` under its lock. A change that changes nothing writes nothing.
pub(super) fn change_file<T>(
    path: &Path,
    change: impl FnOnce(&mut KeyringFile) -> Result<T, KeyringFault>,
) -> Result<T, KeyringError> {
    let work = || {
        let locked = Locked::open(path)?;
        let mut file = KeyringFile::parse(&locked.read()?)?;
        let (epochs, before) = (file.branch_keys.len(), file.to_text());
        let told = change(&mut file)?;
        let text = file.to_text();
        if *text == *before {
            return Ok(told);
        }
        // First, so that no epoch seals that could not be recovered.
        if file.branch_keys.len() != epochs {
            write_envelopes(locked.path(), &file)?;
        }
        locked.replace(&text)?;
        Ok(told)
    };
    work().map_err(|fault| KeyringError {
        path: path.to_owned(),
        fault,
    })
}

/// As the file writes times. A clock before 1970 is taken for 1970.
pub(super) fn unix_seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
