//! Taking TOML apart, field by field. Each fault names its key; whoever reads a table removes what it knows, so that the rest is unknown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toml::{Table, Value};
use zeroize::Zeroize;

use super::errors::{Encoding, KeyPath, KeyringFault};

/// The tables of an array, each read by `read`, which is to take all of its keys.
pub(super) fn entries<T>(
    table: &mut Table,
    name: &'static str,
    most: usize,
    read: impl Fn(&mut Table, usize) -> Result<T, KeyringFault>,
) -> Result<Vec<T>, KeyringFault> {
    let wrong = KeyringFault::WrongType {
        key: KeyPath::Top(name),
        expected: "[[double-bracketed]] tables",
    };
    let Value::Array(values) = take(table, KeyPath::Top(name))? else {
        return Err(wrong);
    };
    if values.len() > most {
        return Err(match name {
            "kek" => KeyringFault::TooManyKeks,
            _ => KeyringFault::TooManyEpochs,
        });
    }
    let mut read_all = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let Value::Table(mut entry) = value else {
            return Err(wrong);
        };
        read_all.push(read(&mut entry, index)?);
        if let Some(key) = entry.keys().next() {
            let key = format!("{name}[{index}].{key}").into();
            return Err(KeyringFault::UnknownKey { key });
        }
    }
    Ok(read_all)
}

pub(super) fn take(table: &mut Table, key: KeyPath) -> Result<Value, KeyringFault> {
    let (KeyPath::Top(name)
    | KeyPath::Kek { key: name, .. }
    | KeyPath::Envelope { key: name, .. }
    | KeyPath::BranchKey { key: name, .. }) = key;
    table.remove(name).ok_or(KeyringFault::Missing(key))
}

pub(super) fn string(table: &mut Table, key: KeyPath) -> Result<String, KeyringFault> {
    match take(table, key)? {
        Value::String(text) => Ok(text),
        _ => Err(KeyringFault::WrongType {
            key,
            expected: "text in quotes",
        }),
    }
}

pub(super) fn integer(table: &mut Table, key: KeyPath) -> Result<i64, KeyringFault> {
    take(table, key)?
        .as_integer()
        .ok_or(KeyringFault::WrongType {
            key,
            expected: "a whole number",
        })
}

/// An epoch or a version.
pub(super) fn number(table: &mut Table, key: KeyPath) -> Result<u32, KeyringFault> {
    let number = u32::try_from(integer(table, key)?).unwrap_or(0);
    if number == 0 {
        Err(KeyringFault::NumberOutOfRange(key))
    } else {
        Ok(number)
    }
}

pub(super) fn bytes<const N: usize>(
    table: &mut Table,
    key: KeyPath,
) -> Result<Vec<u8>, KeyringFault> {
    let mut text = string(table, key)?;
    let decoded = STANDARD.decode(&text).unwrap_or_default();
    text.zeroize();
    if decoded.len() == N {
        return Ok(decoded);
    }
    Err(KeyringFault::NotBytes {
        key,
        len_bytes: N,
        encoding: Encoding::Base64,
    })
}
