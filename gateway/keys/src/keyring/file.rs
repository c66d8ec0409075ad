//! The keyring file's text: TOML to keys and keys to TOML. No I/O.
//!
//! The TOML is taken apart by hand and not by serde, for two reasons: each fault names its key, and no message of a parser, which may quote
//! the file, gets near a log. The parser's own copies of the text are not wiped; the KEK's is.

use std::fmt::Write as _;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealgate_envelope::RandomUnavailable;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::errors::{Encoding, KeyPath, KeyringFault};
use crate::limits::{EPOCHS_MOST, TENANT_LEN_BYTES_MOST};
use crate::secret::{Secret, SecretText};

/// The format that is written and read.
pub(super) const FORMAT: i64 = 1;

const KEY_LEN_BYTES: usize = 32;
const WRAPPED_LEN_BYTES: usize = KEY_LEN_BYTES + 16;
const PSEUDONYM_LEN_BYTES: usize = 16;
const BRANCH_LEN_BYTES_MOST: usize = 32;
const BRANCH_DEFAULT: &str = "main";
const AAD_LABEL: &[u8] = b"sealgate keyring branch key";

/// What a keyring file holds.
pub(super) struct KeyringFile {
    pub(super) tenant: Box<str>,
    pub(super) pseudonym: Box<str>,
    pub(super) branch: Box<str>,
    kek: Secret<KEY_LEN_BYTES>,
    /// By rising epoch, never empty; the last one is the current.
    branch_keys: Vec<WrappedBranchKey>,
}

struct WrappedBranchKey {
    epoch: u32,
    nonce: [u8; NONCE_LEN],
    wrapped: [u8; WRAPPED_LEN_BYTES],
}

impl KeyringFile {
    /// A new keyring with one epoch.
    pub(super) fn generate(tenant: &str) -> Result<Self, KeyringFault> {
        let mut pseudonym = [0; PSEUDONYM_LEN_BYTES];
        rand::fill(&mut pseudonym).map_err(|_| RandomUnavailable)?;
        let mut file = Self {
            tenant: checked_tenant(tenant)?,
            pseudonym: hex(&pseudonym),
            branch: BRANCH_DEFAULT.into(),
            kek: Secret::generate()?,
            branch_keys: Vec::new(),
        };
        file.add_epoch()?;
        Ok(file)
    }

    /// Adds the next epoch, which becomes the current one.
    pub(super) fn add_epoch(&mut self) -> Result<(), KeyringFault> {
        let newest = self.branch_keys.last().map_or(0, |key| key.epoch);
        let epoch = newest.checked_add(1).ok_or(KeyringFault::TooManyEpochs)?;
        if self.branch_keys.len() == EPOCHS_MOST {
            return Err(KeyringFault::TooManyEpochs);
        }
        let secret = Secret::<KEY_LEN_BYTES>::generate()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| RandomUnavailable)?;
        let mut wrapped = [0; WRAPPED_LEN_BYTES];
        let (ciphertext, tag) = wrapped.split_at_mut(KEY_LEN_BYTES);
        self.kek_cipher()
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.aad(epoch)),
                secret.expose(),
                ciphertext,
                &[],
                tag,
            )
            .map_err(|_| KeyringFault::CipherFailed)?;
        self.branch_keys.push(WrappedBranchKey {
            epoch,
            nonce,
            wrapped,
        });
        Ok(())
    }

    /// Unwraps every branch key, by rising epoch.
    pub(super) fn unwrap_branch_keys(
        &self,
    ) -> Result<Vec<(u32, Secret<KEY_LEN_BYTES>)>, KeyringFault> {
        let kek = self.kek_cipher();
        let unwrap = |key: &WrappedBranchKey| {
            let (ciphertext, tag) = key.wrapped.split_at(KEY_LEN_BYTES);
            let mut secret = Secret::zero();
            kek.open_separate_gather(
                Nonce::assume_unique_for_key(key.nonce),
                Aad::from(self.aad(key.epoch)),
                ciphertext,
                tag,
                secret.as_mut_bytes(),
            )
            .map_err(|_| KeyringFault::WrapDamaged { epoch: key.epoch })?;
            Ok((key.epoch, secret))
        };
        self.branch_keys.iter().map(unwrap).collect()
    }

    fn kek_cipher(&self) -> LessSafeKey {
        LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, self.kek.expose())
                .expect("AES-256 takes every key of 32 bytes"),
        )
    }

    /// Binds a wrapped branch key to its place: label, pseudonym, branch, epoch. The texts go after their lengths.
    fn aad(&self, epoch: u32) -> Vec<u8> {
        let mut aad = AAD_LABEL.to_vec();
        for text in [&self.pseudonym, &self.branch] {
            aad.extend_from_slice(&(text.len() as u64).to_be_bytes());
            aad.extend_from_slice(text.as_bytes());
        }
        aad.extend_from_slice(&epoch.to_be_bytes());
        aad
    }

    /// The file's text.
    pub(super) fn to_text(&self) -> SecretText {
        const HEAD_LEN_BYTES: usize = 2048;
        const ENTRY_LEN_BYTES: usize = 256;
        // Reserved whole, so that no copy of the text stays behind where the buffer grew.
        let mut text = Zeroizing::new(String::with_capacity(
            HEAD_LEN_BYTES + self.branch_keys.len() * ENTRY_LEN_BYTES,
        ));
        let kek = Zeroizing::new(STANDARD.encode(self.kek.expose()));
        let current = self.branch_keys.last().map_or(0, |key| key.epoch);
        text.push_str("# The keys of one tenant. Who reads this file can open everything that was sealed for the tenant;\n");
        text.push_str("# who loses it can open nothing. Keep it at mode 0600, keep a backup, and do not edit it.\n");
        let mut line = |key: &str, value: Value| {
            writeln!(text, "{key} = {value}").expect("a string takes every text")
        };
        line("format", Value::Integer(FORMAT));
        line("tenant", Value::String(self.tenant.to_string()));
        line("pseudonym", Value::String(self.pseudonym.to_string()));
        line("branch", Value::String(self.branch.to_string()));
        line("current_epoch", Value::Integer(current.into()));
        writeln!(text, "kek = \"{}\"", kek.as_str()).expect("a string takes every text");
        for key in &self.branch_keys {
            let (nonce, wrapped) = (STANDARD.encode(key.nonce), STANDARD.encode(key.wrapped));
            write!(
                text,
                "\n[[branch_key]]\nepoch = {}\nnonce = \"{nonce}\"\nwrapped = \"{wrapped}\"\n",
                key.epoch
            )
            .expect("a string takes every text");
        }
        text
    }

    /// Reads the file's text. Every fault names its key.
    pub(super) fn parse(text: &str) -> Result<Self, KeyringFault> {
        let mut table: Table =
            text.parse()
                .map_err(|error: toml::de::Error| KeyringFault::NotToml {
                    line: 1 + error.span().map_or(0, |span| {
                        text[..span.start.min(text.len())].matches('\n').count()
                    }),
                })?;
        // Out of the table before anything can fail, so that it is wiped in every case.
        let kek = table.remove("kek").map(|value| match value {
            Value::String(text) => Some(Zeroizing::new(text)),
            _ => None,
        });
        let format = integer(&mut table, KeyPath::Top("format"))?;
        if format != FORMAT {
            return Err(KeyringFault::Format { found: format });
        }
        let tenant = checked_tenant(&string(&mut table, KeyPath::Top("tenant"))?)?;
        let pseudonym = checked_pseudonym(string(&mut table, KeyPath::Top("pseudonym"))?)?;
        let branch = checked_branch(string(&mut table, KeyPath::Top("branch"))?)?;
        let current = epoch(&mut table, KeyPath::Top("current_epoch"))?;
        let branch_keys = branch_keys(&mut table, current)?;
        if let Some(key) = table.keys().next() {
            return Err(KeyringFault::UnknownKey {
                key: key.as_str().into(),
            });
        }
        const KEK: KeyPath = KeyPath::Top("kek");
        let kek = kek
            .ok_or(KeyringFault::Missing(KEK))?
            .ok_or(KeyringFault::WrongType {
                key: KEK,
                expected: TEXT,
            })?;
        let mut kek_bytes: Zeroizing<[u8; KEY_LEN_BYTES]> = Zeroizing::new(base64(&kek, KEK)?);
        let kek =
            Secret::take_from(kek_bytes.as_mut_slice()).expect("as many bytes as the secret has");
        Ok(Self {
            tenant,
            pseudonym,
            branch,
            kek,
            branch_keys,
        })
    }
}

const TEXT: &str = "text in quotes";
const NUMBER: &str = "a whole number";
const TABLES: &str = "[[branch_key]] tables";

fn branch_keys(table: &mut Table, current: u32) -> Result<Vec<WrappedBranchKey>, KeyringFault> {
    const KEYS: KeyPath = KeyPath::Top("branch_key");
    let Value::Array(entries) = take(table, KEYS)? else {
        return Err(KeyringFault::WrongType {
            key: KEYS,
            expected: TABLES,
        });
    };
    if entries.len() > EPOCHS_MOST {
        return Err(KeyringFault::TooManyEpochs);
    }
    let mut keys = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let Value::Table(mut entry) = entry else {
            return Err(KeyringFault::WrongType {
                key: KEYS,
                expected: TABLES,
            });
        };
        keys.push(branch_key(&mut entry, index)?);
    }
    keys.sort_by_key(|key| key.epoch);
    if let Some(pair) = keys.windows(2).find(|pair| pair[0].epoch == pair[1].epoch) {
        return Err(KeyringFault::DuplicateEpoch {
            epoch: pair[0].epoch,
        });
    }
    match keys.last() {
        Some(newest) if newest.epoch == current => Ok(keys),
        Some(newest) if newest.epoch > current => Err(KeyringFault::CurrentEpochNotNewest {
            epoch: current,
            newest: newest.epoch,
        }),
        _ => Err(KeyringFault::CurrentEpochUnknown { epoch: current }),
    }
}

fn branch_key(entry: &mut Table, index: usize) -> Result<WrappedBranchKey, KeyringFault> {
    let path = |key| KeyPath::BranchKey { index, key };
    let epoch = epoch(entry, path("epoch"))?;
    let nonce = base64(&string(entry, path("nonce"))?, path("nonce"))?;
    let wrapped = base64(&string(entry, path("wrapped"))?, path("wrapped"))?;
    match entry.keys().next() {
        None => Ok(WrappedBranchKey {
            epoch,
            nonce,
            wrapped,
        }),
        Some(key) => Err(KeyringFault::UnknownKey {
            key: format!("branch_key[{index}].{key}").into(),
        }),
    }
}

fn take(table: &mut Table, key: KeyPath) -> Result<Value, KeyringFault> {
    let (KeyPath::Top(name) | KeyPath::BranchKey { key: name, .. }) = key;
    table.remove(name).ok_or(KeyringFault::Missing(key))
}

fn string(table: &mut Table, key: KeyPath) -> Result<String, KeyringFault> {
    match take(table, key)? {
        Value::String(text) => Ok(text),
        _ => Err(KeyringFault::WrongType {
            key,
            expected: TEXT,
        }),
    }
}

fn integer(table: &mut Table, key: KeyPath) -> Result<i64, KeyringFault> {
    take(table, key)?
        .as_integer()
        .ok_or(KeyringFault::WrongType {
            key,
            expected: NUMBER,
        })
}

fn epoch(table: &mut Table, key: KeyPath) -> Result<u32, KeyringFault> {
    let epoch = u32::try_from(integer(table, key)?).unwrap_or(0);
    if epoch == 0 {
        Err(KeyringFault::EpochOutOfRange(key))
    } else {
        Ok(epoch)
    }
}

fn base64<const N: usize>(text: &str, key: KeyPath) -> Result<[u8; N], KeyringFault> {
    let decoded = Zeroizing::new(STANDARD.decode(text).unwrap_or_default());
    decoded
        .as_slice()
        .try_into()
        .map_err(|_| KeyringFault::NotBytes {
            key,
            len_bytes: N,
            encoding: Encoding::Base64,
        })
}

fn hex(bytes: &[u8]) -> Box<str> {
    bytes
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes every text");
            text
        })
        .into()
}

fn checked_tenant(tenant: &str) -> Result<Box<str>, KeyringFault> {
    let fits = (1..=TENANT_LEN_BYTES_MOST).contains(&tenant.len())
        && !tenant.chars().any(char::is_control);
    fits.then(|| tenant.into()).ok_or(KeyringFault::TenantName)
}

fn checked_pseudonym(text: String) -> Result<Box<str>, KeyringFault> {
    let is_hex = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if is_hex && text.len() == 2 * PSEUDONYM_LEN_BYTES {
        return Ok(text.into());
    }
    Err(KeyringFault::NotBytes {
        key: KeyPath::Top("pseudonym"),
        len_bytes: PSEUDONYM_LEN_BYTES,
        encoding: Encoding::Hex,
    })
}

fn checked_branch(text: String) -> Result<Box<str>, KeyringFault> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=BRANCH_LEN_BYTES_MOST).contains(&text.len()) && text.bytes().all(allowed);
    if fits {
        Ok(text.into())
    } else {
        Err(KeyringFault::BranchName)
    }
}
