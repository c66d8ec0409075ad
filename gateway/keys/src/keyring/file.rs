//! What a keyring file holds, and how its keys change. No I/O; `text` reads and writes it.

use std::fmt::Write as _;

use aws_lc_rs::rand;
use sealgate_envelope::RandomUnavailable;

use super::errors::KeyringFault;
use super::recovery::RecoveryKey;
use super::text::checked_tenant;
use crate::limits::EPOCHS_MOST;
use crate::provider::{FileProvider, KekName, KeyProvider, WrapContext, WrappedKey, ready};
use crate::secret::Secret;

/// The format that is written. Format 1 is read too.
pub(super) const FORMAT: i64 = 2;

pub(super) const PSEUDONYM_LEN_BYTES: usize = 16;
const BRANCH_DEFAULT: &str = "main";
const FIRST: u32 = 1;

/// What a keyring file holds.
pub(super) struct KeyringFile {
    pub(super) tenant: Box<str>,
    pub(super) pseudonym: Box<str>,
    pub(super) branch: Box<str>,
    pub(super) state: KeyringState,
    pub(super) keks: FileProvider,
    /// The KEK version that wraps; it is the newest.
    pub(super) kek_version: u32,
    /// The epoch that seals.
    pub(super) current: u32,
    /// The epoch that will seal, made ahead so that every node can open what the first one seals with it.
    pub(super) next: Option<u32>,
    /// Who can recover the branch keys.
    pub(super) recovery: Option<RecoveryKey>,
    /// By rising epoch, never empty; the last one is the next, or the current where there is no next.
    pub(super) branch_keys: Vec<WrappedBranchKey>,
}

/// Whether a keyring may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyringState {
    /// It seals and opens.
    Enabled,
    /// It does neither. Its keys are still there.
    Disabled,
}

pub(super) struct WrappedBranchKey {
    pub(super) epoch: u32,
    pub(super) kek_version: u32,
    /// Since when it seals, in seconds of Unix time. None for the next, and for keys of a file of format 1.
    pub(super) active_from: Option<u64>,
    pub(super) wrapped: WrappedKey,
}

/// A branch key as it comes out of the file.
pub(super) struct Unwrapped {
    pub(super) epoch: u32,
    pub(super) active_from: Option<u64>,
    pub(super) secret: Secret<32>,
}

impl KeyringFile {
    /// A new keyring with one KEK and one epoch, which seals from `now` on.
    pub(super) fn generate(tenant: &str, now: u64) -> Result<Self, KeyringFault> {
        let mut pseudonym = [0; PSEUDONYM_LEN_BYTES];
        rand::fill(&mut pseudonym).map_err(|_| RandomUnavailable)?;
        let mut file = Self::empty(
            checked_tenant(tenant)?,
            hex(&pseudonym),
            BRANCH_DEFAULT.into(),
        )?;
        file.add_branch_key(FIRST, Some(now))?;
        Ok(file)
    }

    /// A keyring with one KEK and no epoch yet, which has to get one.
    pub(super) fn empty(
        tenant: Box<str>,
        pseudonym: Box<str>,
        branch: Box<str>,
    ) -> Result<Self, KeyringFault> {
        let file = Self {
            tenant,
            pseudonym,
            branch,
            state: KeyringState::Enabled,
            keks: FileProvider::new(),
            kek_version: FIRST,
            current: FIRST,
            next: None,
            recovery: None,
            branch_keys: Vec::new(),
        };
        ready(file.keks.generate(&file.kek(FIRST)))?;
        Ok(file)
    }

    /// Makes the epoch that will seal next, unless it is there. Gives whether it was made.
    pub(super) fn prepare_epoch(&mut self) -> Result<bool, KeyringFault> {
        if self.next.is_some() {
            return Ok(false);
        }
        let epoch = self
            .current
            .checked_add(1)
            .ok_or(KeyringFault::TooManyEpochs)?;
        self.add_branch_key(epoch, None)?;
        self.next = Some(epoch);
        Ok(true)
    }

    /// The next epoch becomes the one that seals; it is made first where it is missing.
    pub(super) fn advance_epoch(&mut self, now: u64) -> Result<(), KeyringFault> {
        self.prepare_epoch()?;
        self.current = self.next.take().unwrap_or(self.current);
        if let Some(key) = self.branch_keys.last_mut() {
            key.active_from = Some(now);
        }
        Ok(())
    }

    /// Makes a new KEK version, which wraps from now on. What older ones wrap stays as it is.
    pub(super) fn add_kek(&mut self) -> Result<(), KeyringFault> {
        let version = self
            .kek_version
            .checked_add(1)
            .ok_or(KeyringFault::TooManyKeks)?;
        ready(self.keks.generate(&self.kek(version)))?;
        self.kek_version = version;
        Ok(())
    }

    /// Wraps up to `most` branch keys anew that are under older KEK versions. Gives how many.
    pub(super) fn rewrap(&mut self, most: usize) -> Result<usize, KeyringFault> {
        let to = self.kek(self.kek_version);
        let stale: Vec<usize> = (0..self.branch_keys.len())
            .filter(|at| self.branch_keys[*at].kek_version != to.version)
            .take(most)
            .collect();
        for at in &stale {
            let secret = self.unwrap(&self.branch_keys[*at])?;
            let context = self.context(self.branch_keys[*at].epoch);
            self.branch_keys[*at].wrapped = ready(self.keks.wrap(&to, &secret, &context))?;
            self.branch_keys[*at].kek_version = to.version;
        }
        Ok(stale.len())
    }

    /// The KEK versions without which some branch key would not unwrap, and the one that wraps; rising.
    pub(super) fn needed_keks(&self) -> Vec<u32> {
        let mut needed: Vec<u32> = self
            .branch_keys
            .iter()
            .map(|key| key.kek_version)
            .chain([self.kek_version])
            .collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// How many branch keys are under the KEK version that wraps.
    pub(super) fn wrapped_by_newest(&self) -> usize {
        let version = self.kek_version;
        self.branch_keys
            .iter()
            .filter(|key| key.kek_version == version)
            .count()
    }

    /// Destroys the KEK versions that nothing needs. Gives them.
    pub(super) fn destroy_unneeded_keks(&mut self) -> Result<Vec<u32>, KeyringFault> {
        let needed = self.needed_keks();
        let mut gone = self.keks.versions();
        gone.retain(|version| !needed.contains(version));
        for version in &gone {
            ready(self.keks.destroy(&self.kek(*version)))?;
        }
        Ok(gone)
    }

    /// Unwraps every branch key, by rising epoch.
    pub(super) fn unwrap_branch_keys(&self) -> Result<Vec<Unwrapped>, KeyringFault> {
        let unwrap = |key: &WrappedBranchKey| {
            Ok(Unwrapped {
                epoch: key.epoch,
                active_from: key.active_from,
                secret: self.unwrap(key)?,
            })
        };
        self.branch_keys.iter().map(unwrap).collect()
    }

    fn unwrap(&self, key: &WrappedBranchKey) -> Result<Secret<32>, KeyringFault> {
        let (kek, context) = (self.kek(key.kek_version), self.context(key.epoch));
        ready(self.keks.unwrap(&kek, &key.wrapped, &context))
            .map_err(|_| KeyringFault::WrapDamaged { epoch: key.epoch })
    }

    pub(super) fn wrap_branch_key(
        &mut self,
        epoch: u32,
        active_from: Option<u64>,
        secret: &Secret<32>,
    ) -> Result<(), KeyringFault> {
        if self.branch_keys.len() == EPOCHS_MOST {
            return Err(KeyringFault::TooManyEpochs);
        }
        let (kek, context) = (self.kek(self.kek_version), self.context(epoch));
        let wrapped = ready(self.keks.wrap(&kek, secret, &context))?;
        self.branch_keys.push(WrappedBranchKey {
            epoch,
            kek_version: self.kek_version,
            active_from,
            wrapped,
        });
        Ok(())
    }

    fn add_branch_key(&mut self, epoch: u32, active_from: Option<u64>) -> Result<(), KeyringFault> {
        self.wrap_branch_key(epoch, active_from, &Secret::generate()?)
    }

    fn kek(&self, version: u32) -> KekName {
        KekName {
            pseudonym: self.pseudonym.clone(),
            version,
        }
    }

    pub(super) fn context(&self, epoch: u32) -> WrapContext {
        WrapContext {
            pseudonym: self.pseudonym.clone(),
            branch: self.branch.clone(),
            epoch,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> Box<str> {
    bytes
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes every text");
            text
        })
        .into()
}
