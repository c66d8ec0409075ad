//! The keyring file's text: TOML to keys and keys to TOML. No I/O.
//!
//! The TOML is taken apart by hand and not by serde, for two reasons: each fault names its key, and no message of a parser, which may quote
//! the file, gets near a log. The parser never sees a KEK: the values are cut out of the text before, because its copies are not wiped.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::errors::{Encoding, KeyPath, KeyringFault};
use super::fields::{bytes, entries, integer, number, string};
use super::file::{FORMAT, KeyringFile, KeyringState, PSEUDONYM_LEN_BYTES, WrappedBranchKey};
use super::recovery::RecoveryKey;
use crate::limits::{EPOCHS_MOST, KEKS_MOST, TENANT_LEN_BYTES_MOST};
use crate::provider::{FileProvider, WRAPPED_LEN_BYTES, WrappedKey};
use crate::secret::{Secret, SecretText};

const BRANCH_LEN_BYTES_MOST: usize = 32;
const FORMAT_1_NONCE_LEN_BYTES: usize = 12;
const FORMAT_1_WRAPPED_LEN_BYTES: usize = 48;
const KEK_LEN_BYTES: usize = 32;
const SHREDDED: &str = "shredded";
const FITS: &str = "a string takes every text";

impl KeyringFile {
    /// The file's text.
    pub(super) fn to_text(&self) -> SecretText {
        const HEAD_LEN_BYTES: usize = 2048;
        const KEK_ENTRY_LEN_BYTES: usize = 128;
        const ENTRY_LEN_BYTES: usize = 256;
        // Reserved whole, so that no copy of the text stays behind where the buffer grew.
        let mut text = Zeroizing::new(String::with_capacity(
            HEAD_LEN_BYTES
                + self.keks.versions().len() * KEK_ENTRY_LEN_BYTES
                + self.branch_keys.len() * ENTRY_LEN_BYTES,
        ));
        text.push_str("# The keys of one tenant. Who reads this file can open everything that was sealed for the tenant;\n");
        text.push_str("# who loses it can open nothing. Keep it at mode 0600, keep a backup, and do not edit it.\n");
        let mut line = |key: &str, value: Value| writeln!(text, "{key} = {value}").expect(FITS);
        line("format", Value::Integer(FORMAT));
        line("tenant", Value::String(self.tenant.to_string()));
        line("pseudonym", Value::String(self.pseudonym.to_string()));
        line("branch", Value::String(self.branch.to_string()));
        line("state", Value::String(state_word(self.state).to_owned()));
        line("kek_version", Value::Integer(self.kek_version.into()));
        line("current_epoch", Value::Integer(self.current.into()));
        if let Some(next) = self.next {
            line("next_epoch", Value::Integer(next.into()));
        }
        if let Some(public) = &self.recovery {
            line("recovery_public", Value::String(STANDARD.encode(public)));
        }
        self.keks.for_each(|version, kek| {
            let kek = Zeroizing::new(STANDARD.encode(kek.expose()));
            write!(text, "\n[[kek]]\nversion = {version}\nsecret = \"").expect(FITS);
            text.push_str(&kek);
            text.push_str("\"\n");
        });
        for key in &self.branch_keys {
            write!(
                text,
                "\n[[branch_key]]\nepoch = {}\nkek_version = {}\n",
                key.epoch, key.kek_version
            )
            .expect(FITS);
            if let Some(active_from) = key.active_from {
                writeln!(text, "active_from = {active_from}").expect(FITS);
            }
            let wrapped = STANDARD.encode(&key.wrapped.0);
            writeln!(text, "wrapped = \"{wrapped}\"").expect(FITS);
        }
        text
    }

    /// Reads the file's text, of this format or the first. Every fault names its key.
    pub(super) fn parse(text: &str) -> Result<Self, KeyringFault> {
        let (text, cut) = cut_secrets(text);
        let mut table = parse_table(&text)?;
        let format = integer(&mut table, KeyPath::Top("format"))?;
        let tenant = |table: &mut Table| checked_tenant(&string(table, KeyPath::Top("tenant"))?);
        let file = match format {
            1 => Self {
                tenant: tenant(&mut table)?,
                pseudonym: checked_pseudonym(string(&mut table, KeyPath::Top("pseudonym"))?)?,
                branch: checked_branch(string(&mut table, KeyPath::Top("branch"))?)?,
                state: KeyringState::Enabled,
                keks: format_1_kek(&mut table, &cut)?,
                kek_version: 1,
                current: number(&mut table, KeyPath::Top("current_epoch"))?,
                next: None,
                recovery: None,
                branch_keys: entries(&mut table, "branch_key", EPOCHS_MOST, format_1_branch_key)?,
            },
            FORMAT => Self {
                tenant: tenant(&mut table)?,
                pseudonym: checked_pseudonym(string(&mut table, KeyPath::Top("pseudonym"))?)?,
                branch: checked_branch(string(&mut table, KeyPath::Top("branch"))?)?,
                state: state(&mut table)?,
                keks: keks(&mut table, &cut)?,
                kek_version: number(&mut table, KeyPath::Top("kek_version"))?,
                current: number(&mut table, KeyPath::Top("current_epoch"))?,
                next: match table.contains_key("next_epoch") {
                    true => Some(number(&mut table, KeyPath::Top("next_epoch"))?),
                    false => None,
                },
                recovery: recovery(&mut table)?,
                branch_keys: entries(&mut table, "branch_key", EPOCHS_MOST, branch_key)?,
            },
            found => return Err(KeyringFault::Format { found }),
        };
        reject_unknown(&table)?;
        file.checked()
    }

    /// What stands in the file's place when its keys are destroyed.
    pub(super) fn tombstone(&self, now: u64) -> String {
        let tenant = Value::String(self.tenant.to_string());
        format!(
            "# The keys of this tenant were destroyed. What was sealed with them cannot be opened.\n\
             format = {FORMAT}\ntenant = {tenant}\npseudonym = \"{}\"\nbranch = \"{}\"\n\
             state = \"{SHREDDED}\"\nshredded_at = {now}\n",
            self.pseudonym, self.branch
        )
    }

    /// Whether the parts fit each other.
    pub(super) fn checked(mut self) -> Result<Self, KeyringFault> {
        self.branch_keys.sort_by_key(|key| key.epoch);
        let twice = |pair: &&[WrappedBranchKey]| pair[0].epoch == pair[1].epoch;
        if let Some(pair) = self.branch_keys.windows(2).find(twice) {
            return Err(KeyringFault::DuplicateEpoch {
                epoch: pair[0].epoch,
            });
        }
        let has = |epoch| self.branch_keys.iter().any(|key| key.epoch == epoch);
        if !has(self.current) {
            let epoch = self.current;
            return Err(KeyringFault::CurrentEpochUnknown { epoch });
        }
        let mut newer = self
            .branch_keys
            .iter()
            .map(|key| key.epoch)
            .filter(|epoch| *epoch > self.current);
        if let Some(newest) = newer.clone().next_back()
            && (newer.next() != self.next || newer.next().is_some())
        {
            return Err(KeyringFault::CurrentEpochNotNewest {
                epoch: self.current,
                newest,
            });
        }
        if let Some(epoch) = self.next
            && (!has(epoch) || epoch <= self.current)
        {
            return Err(KeyringFault::NextEpochUnknown { epoch });
        }
        let held = self.keks.versions();
        let missing = |version: &&u32| held.binary_search(version).is_err();
        if let Some(version) = self.needed_keks().iter().find(missing) {
            return Err(KeyringFault::KekUnknown { version: *version });
        }
        match held.last() {
            Some(newest) if *newest > self.kek_version => Err(KeyringFault::KekNotNewest {
                version: self.kek_version,
                newest: *newest,
            }),
            _ => Ok(self),
        }
    }
}

/// The text as a table.
pub(super) fn parse_table(text: &str) -> Result<Table, KeyringFault> {
    text.parse()
        .map_err(|error: toml::de::Error| KeyringFault::NotToml {
            line: 1 + error.span().map_or(0, |span| {
                let before = text.as_bytes().get(..span.start).unwrap_or_default();
                before.iter().filter(|byte| **byte == b'\n').count()
            }),
        })
}

/// Whatever was not taken out of a table is unknown.
pub(super) fn reject_unknown(table: &Table) -> Result<(), KeyringFault> {
    match table.keys().next() {
        None => Ok(()),
        Some(key) => Err(KeyringFault::UnknownKey {
            key: key.as_str().into(),
        }),
    }
}

/// The text with each KEK's value replaced by its number, and the values. Only lines as this program writes them are cut.
fn cut_secrets(text: &str) -> (SecretText, Vec<SecretText>) {
    let mut shown = Zeroizing::new(String::with_capacity(text.len() + 1));
    let mut cut = Vec::new();
    for line in text.split_inclusive('\n') {
        let value = ["kek = \"", "secret = \""].iter().find_map(|key| {
            let value = line.strip_prefix(key)?.trim_end().strip_suffix('"')?;
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
            // Long enough that its number is not longer than it.
            let is_secret = value.len() >= KEK_LEN_BYTES && value.bytes().all(is_base64);
            is_secret.then_some((*key, value))
        });
        match value {
            None => shown.push_str(line),
            Some((key, value)) => {
                writeln!(shown, "{key}@{}\"", cut.len()).expect(FITS);
                cut.push(Zeroizing::new(value.to_owned()));
            }
        }
    }
    (shown, cut)
}

/// A KEK's value: one that was cut out, or, in a file that was edited by hand, the text itself.
fn secret(
    table: &mut Table,
    key: KeyPath,
    cut: &[SecretText],
) -> Result<Secret<KEK_LEN_BYTES>, KeyringFault> {
    let text = Zeroizing::new(string(table, key)?);
    let number = text
        .strip_prefix('@')
        .and_then(|number| number.parse().ok());
    let text = number
        .and_then(|number: usize| cut.get(number))
        .unwrap_or(&text);
    let mut decoded = Zeroizing::new(STANDARD.decode(text.as_bytes()).unwrap_or_default());
    Secret::take_from(&mut decoded).map_err(|_| KeyringFault::NotBytes {
        key,
        len_bytes: KEK_LEN_BYTES,
        encoding: Encoding::Base64,
    })
}

fn recovery(table: &mut Table) -> Result<Option<RecoveryKey>, KeyringFault> {
    if !table.contains_key("recovery_public") {
        return Ok(None);
    }
    let public = bytes::<KEK_LEN_BYTES>(table, KeyPath::Top("recovery_public"))?;
    Ok(public.try_into().ok())
}

fn state_word(state: KeyringState) -> &'static str {
    match state {
        KeyringState::Enabled => "enabled",
        KeyringState::Disabled => "disabled",
    }
}

fn state(table: &mut Table) -> Result<KeyringState, KeyringFault> {
    let word = string(table, KeyPath::Top("state"))?;
    if word == SHREDDED {
        let at = integer(table, KeyPath::Top("shredded_at"))?.unsigned_abs();
        return Err(KeyringFault::Shredded { at });
    }
    [KeyringState::Enabled, KeyringState::Disabled]
        .into_iter()
        .find(|state| state_word(*state) == word)
        .ok_or(KeyringFault::State)
}

fn keks(table: &mut Table, cut: &[SecretText]) -> Result<FileProvider, KeyringFault> {
    let read = |entry: &mut Table, index| {
        let path = |key| KeyPath::Kek { index, key };
        let version = number(entry, path("version"))?;
        Ok((version, secret(entry, path("secret"), cut)?))
    };
    let provider = FileProvider::new();
    for (version, kek) in entries(table, "kek", KEKS_MOST, read)? {
        if !provider.insert(version, kek) {
            return Err(KeyringFault::DuplicateKek { version });
        }
    }
    Ok(provider)
}

fn format_1_kek(table: &mut Table, cut: &[SecretText]) -> Result<FileProvider, KeyringFault> {
    let provider = FileProvider::new();
    provider.insert(1, secret(table, KeyPath::Top("kek"), cut)?);
    Ok(provider)
}

fn branch_key(entry: &mut Table, index: usize) -> Result<WrappedBranchKey, KeyringFault> {
    let path = |key| KeyPath::BranchKey { index, key };
    let active_from = match entry.contains_key("active_from") {
        true => Some(integer(entry, path("active_from"))?.unsigned_abs()),
        false => None,
    };
    Ok(WrappedBranchKey {
        epoch: number(entry, path("epoch"))?,
        kek_version: number(entry, path("kek_version"))?,
        active_from,
        wrapped: WrappedKey(bytes::<WRAPPED_LEN_BYTES>(entry, path("wrapped"))?),
    })
}

fn format_1_branch_key(entry: &mut Table, index: usize) -> Result<WrappedBranchKey, KeyringFault> {
    let path = |key| KeyPath::BranchKey { index, key };
    let epoch = number(entry, path("epoch"))?;
    let mut wrapped = bytes::<FORMAT_1_NONCE_LEN_BYTES>(entry, path("nonce"))?;
    wrapped.extend(bytes::<FORMAT_1_WRAPPED_LEN_BYTES>(entry, path("wrapped"))?);
    Ok(WrappedBranchKey {
        epoch,
        kek_version: 1,
        active_from: None,
        wrapped: WrappedKey(wrapped),
    })
}

pub(super) fn checked_tenant(tenant: &str) -> Result<Box<str>, KeyringFault> {
    let fits = (1..=TENANT_LEN_BYTES_MOST).contains(&tenant.len())
        && !tenant.chars().any(char::is_control);
    fits.then(|| tenant.into()).ok_or(KeyringFault::TenantName)
}

pub(super) fn checked_pseudonym(text: String) -> Result<Box<str>, KeyringFault> {
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

pub(super) fn checked_branch(text: String) -> Result<Box<str>, KeyringFault> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=BRANCH_LEN_BYTES_MOST).contains(&text.len()) && text.bytes().all(allowed);
    if fits {
        Ok(text.into())
    } else {
        Err(KeyringFault::BranchName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toml_parser_is_shown_no_kek() {
        let mut file = KeyringFile::generate("acme", 0).unwrap();
        file.add_kek().unwrap();
        let text = file.to_text();
        let format_1 = text.replace("secret = ", "kek = ");
        for text in [text.as_str(), format_1.as_str()] {
            let (shown, cut) = cut_secrets(text);
            assert_eq!(cut.len(), 2);
            assert!(cut.iter().all(|kek| text.contains(kek.as_str())));
            assert!(cut.iter().all(|kek| !shown.contains(kek.as_str())));
            assert_eq!(shown.lines().count(), text.lines().count());
        }
    }
}
