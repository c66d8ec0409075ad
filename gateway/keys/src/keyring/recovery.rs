//! Recovery: the branch keys, wrapped to a public key whose private half is split into SLIP-39 shares.
//!
//! The envelopes are HPKE in base mode (RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM), as rustls and aws-lc-rs do it.
//! The shares' secret is the X25519 private key. This is not post-quantum; neither the public key nor the envelopes leave the
//! operator's disk.

use std::path::Path;
use std::time::SystemTime;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
use std::fmt::Write as _;
use thiserror::Error;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::Keyring;
use super::disk::{self, Locked, RECOVERY};
use super::errors::{KeyPath, KeyringError, KeyringFault};
use super::fields::{bytes, entries, integer, number, string};
use super::file::KeyringFile;
use super::revocation::record;
use super::rotation::unix_seconds;
use super::text::{checked_branch, checked_pseudonym, checked_tenant, parse_table, reject_unknown};
use crate::limits::EPOCHS_MOST;
use crate::secret::{Secret, SecretText};
use crate::slip39::{self, CombineError, Mnemonic, Scheme, SplitError};

const FORMAT: i64 = 1;
const KEY_LEN_BYTES: usize = 32;
const WRAPPED_LEN_BYTES: usize = KEY_LEN_BYTES + 16;
const INFO: &[u8] = b"sealgate keyring recovery";
const FITS: &str = "a string takes every text";

/// The public key that branch keys are wrapped to.
pub(super) type RecoveryKey = [u8; KEY_LEN_BYTES];

/// A recovery that was not set up or not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecoveryFault {
    /// The secret was not split.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The shares gave no secret.
    #[error(transparent)]
    Combine(#[from] CombineError),
    /// The shares are good, but those of another recovery key: an earlier export's, or another tenant's.
    #[error("the shares are those of another recovery key; take the shares of the last export")]
    OtherKey,
    /// An envelope does not open.
    #[error("the envelope of epoch {epoch} does not open; the recovery file is damaged")]
    Envelope {
        /// The epoch.
        epoch: u32,
    },
    /// The cryptographic library failed.
    #[error("the cipher failed")]
    CipherFailed,
}

impl Keyring {
    /// Makes a recovery key for the keyring file at `path`, writes the branch keys wrapped to it into the file `<path>.recovery`, and gives
    /// the shares of its private half, which exist nowhere else. From now on every new epoch is put there before it seals. An earlier export's
    /// shares open no epoch of the new file.
    ///
    /// # Errors
    /// [`KeyringError`]; the keyring is as it was.
    pub fn export_recovery(
        path: impl AsRef<Path>,
        scheme: Scheme,
        now: SystemTime,
    ) -> Result<Vec<Mnemonic>, KeyringError> {
        let path = path.as_ref();
        let export = || {
            let locked = Locked::open(path)?;
            let mut file = KeyringFile::parse(&locked.read()?)?;
            let secret = Secret::generate()?;
            let shares = slip39::split(secret.expose(), scheme, "").map_err(RecoveryFault::from)?;
            file.recovery = Some(public_half(&secret)?);
            record(path, "recovery-exported", &file, now)?;
            // First, so that no keyring says that it can be recovered when it cannot.
            write_envelopes(locked.path(), &file)?;
            locked.replace(&file.to_text())?;
            Ok(shares)
        };
        export().map_err(|fault| KeyringError {
            path: path.to_owned(),
            fault,
        })
    }

    /// Makes the keyring file `out` from the recovery file at `path` and enough shares. It opens what the lost one opened, and seals under a
    /// new epoch, because a recovery file proves nothing about who wrote it. It has a new KEK and the same recovery key.
    ///
    /// # Errors
    /// [`KeyringError`], with [`KeyringFault::Recovery`] for shares that do not fit; nothing was written.
    pub fn recover(
        path: impl AsRef<Path>,
        shares: &[&str],
        out: impl AsRef<Path>,
        now: SystemTime,
    ) -> Result<Self, KeyringError> {
        let (path, out) = (path.as_ref(), out.as_ref());
        let file = disk::read(path)
            .and_then(|text| {
                let file = RecoveryFile::parse(&text)?;
                let secret = slip39::combine(shares, "").map_err(RecoveryFault::from)?;
                file.recovered(secret, unix_seconds(now))
            })
            .map_err(|fault| KeyringError {
                path: path.to_owned(),
                fault,
            })?;
        let create = || {
            if out.symlink_metadata().is_ok() {
                return Err(KeyringFault::AlreadyExists);
            }
            write_envelopes(out, &file)?;
            disk::create(out, &file.to_text())?;
            record(out, "recovered", &file, now)?;
            Self::from_file(out, &file)
        };
        create().map_err(|fault| KeyringError {
            path: out.to_owned(),
            fault,
        })
    }
}

/// Writes the recovery file beside the keyring at `path`, when it has a recovery key.
pub(super) fn write_envelopes(path: &Path, file: &KeyringFile) -> Result<(), KeyringFault> {
    match &file.recovery {
        Some(public) => disk::put(&disk::beside(path, RECOVERY), &to_text(file, public)?),
        None => Ok(()),
    }
}

fn public_half(secret: &Secret<KEY_LEN_BYTES>) -> Result<RecoveryKey, RecoveryFault> {
    PrivateKey::from_private_key(&X25519, secret.expose())
        .ok()
        .and_then(|private| private.compute_public_key().ok())
        .and_then(|public| public.as_ref().try_into().ok())
        .ok_or(RecoveryFault::CipherFailed)
}

fn to_text(file: &KeyringFile, public: &RecoveryKey) -> Result<SecretText, KeyringFault> {
    let mut text = Zeroizing::new(String::new());
    text.push_str("# The branch keys of one tenant, for who holds enough recovery shares. `sealgate keys recover` reads it.\n");
    let mut line = |key: &str, value: Value| writeln!(text, "{key} = {value}").expect(FITS);
    line("recovery_format", Value::Integer(FORMAT));
    line("tenant", Value::String(file.tenant.to_string()));
    line("pseudonym", Value::String(file.pseudonym.to_string()));
    line("branch", Value::String(file.branch.to_string()));
    line("current_epoch", Value::Integer(file.current.into()));
    line("public", Value::String(STANDARD.encode(public)));
    let public = HpkePublicKey(public.to_vec());
    for key in file.unwrap_branch_keys()? {
        let aad = file.context(key.epoch).to_aad();
        let (encapsulated, wrapped) = SUITE
            .seal(INFO, &aad, key.secret.expose(), &public)
            .map_err(|_| RecoveryFault::CipherFailed)?;
        write!(text, "\n[[envelope]]\nepoch = {}\n", key.epoch).expect(FITS);
        if let Some(active_from) = key.active_from {
            writeln!(text, "active_from = {active_from}").expect(FITS);
        }
        let [encapsulated, wrapped] = [encapsulated.0, wrapped].map(|raw| STANDARD.encode(raw));
        writeln!(
            text,
            "encapsulated = \"{encapsulated}\"\nwrapped = \"{wrapped}\""
        )
        .expect(FITS);
    }
    Ok(text)
}

struct Envelope {
    epoch: u32,
    active_from: Option<u64>,
    encapsulated: Vec<u8>,
    wrapped: Vec<u8>,
}

fn envelope(entry: &mut Table, index: usize) -> Result<Envelope, KeyringFault> {
    let path = |key| KeyPath::Envelope { index, key };
    Ok(Envelope {
        epoch: number(entry, path("epoch"))?,
        active_from: match entry.contains_key("active_from") {
            true => Some(integer(entry, path("active_from"))?.unsigned_abs()),
            false => None,
        },
        encapsulated: bytes::<KEY_LEN_BYTES>(entry, path("encapsulated"))?,
        wrapped: bytes::<WRAPPED_LEN_BYTES>(entry, path("wrapped"))?,
    })
}

/// What a recovery file holds. Envelopes by rising epoch.
struct RecoveryFile {
    tenant: Box<str>,
    pseudonym: Box<str>,
    branch: Box<str>,
    current: u32,
    public: Vec<u8>,
    envelopes: Vec<Envelope>,
}

impl RecoveryFile {
    fn parse(text: &str) -> Result<Self, KeyringFault> {
        let mut table = parse_table(text)?;
        let found = integer(&mut table, KeyPath::Top("recovery_format"))?;
        if found != FORMAT {
            return Err(KeyringFault::Format { found });
        }
        let mut file = Self {
            tenant: checked_tenant(&string(&mut table, KeyPath::Top("tenant"))?)?,
            pseudonym: checked_pseudonym(string(&mut table, KeyPath::Top("pseudonym"))?)?,
            branch: checked_branch(string(&mut table, KeyPath::Top("branch"))?)?,
            current: number(&mut table, KeyPath::Top("current_epoch"))?,
            public: bytes::<KEY_LEN_BYTES>(&mut table, KeyPath::Top("public"))?,
            envelopes: entries(&mut table, "envelope", EPOCHS_MOST, envelope)?,
        };
        reject_unknown(&table)?;
        file.envelopes.sort_by_key(|envelope| envelope.epoch);
        Ok(file)
    }

    /// The keyring that it gives, with a new KEK and a new epoch.
    fn recovered(
        self,
        mut secret: Zeroizing<Vec<u8>>,
        now: u64,
    ) -> Result<KeyringFile, KeyringFault> {
        let secret = Secret::take_from(&mut secret).map_err(|_| RecoveryFault::OtherKey)?;
        let ours = public_half(&secret)?;
        if self.public != ours {
            return Err(RecoveryFault::OtherKey.into());
        }
        let private = HpkePrivateKey::from(secret.expose().to_vec());
        let mut file = KeyringFile::empty(self.tenant, self.pseudonym, self.branch)?;
        file.recovery = Some(ours);
        let newest = self.envelopes.last().map_or(0, |envelope| envelope.epoch);
        for envelope in self.envelopes {
            let epoch = envelope.epoch;
            let aad = file.context(epoch).to_aad();
            let encapsulated = EncapsulatedSecret(envelope.encapsulated);
            let mut opened = SUITE
                .open(&encapsulated, INFO, &aad, &envelope.wrapped, &private)
                .map(Zeroizing::new)
                .map_err(|_| RecoveryFault::Envelope { epoch })?;
            let key =
                Secret::take_from(&mut opened).map_err(|_| RecoveryFault::Envelope { epoch })?;
            file.wrap_branch_key(epoch, envelope.active_from, &key)?;
        }
        file.current = self.current.max(newest);
        file = file.checked()?;
        file.advance_epoch(now)?;
        Ok(file)
    }
}
