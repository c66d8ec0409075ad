//! What a recipient in a foreign header looks like, without any key. A guess by its shape, for people: nothing is decided by it.

use sealgate_envelope::{Header, PAD_PROVIDER_ID, RecipientRef, XWING_PROVIDER_ID};

use super::shown;

/// The provider id of raw ECDH recipients (AWS Encryption SDK Specification, `framework/raw-ecdh-keyring.md`).
const ECDH_PROVIDER_ID: &[u8] = b"raw-ecdh";
const KMS_PROVIDER_IDS: [&[u8]; 3] = [b"aws-kms", b"aws-kms-hierarchy", b"aws-kms-rsa"];
/// After a raw AES key's name: tag length in bits, IV length, IV.
const AES_INFO_TAIL_LEN_BYTES: usize = 4 + 4 + 12;
const AES_INFO_LENGTHS: [u8; 8] = [0, 0, 0, 128, 0, 0, 0, 12];

/// What kind a recipient seems to be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RawAes,
    RawRsa,
    RawEcdh,
    Xwing,
    Pad,
    Kms,
}

impl Kind {
    pub(super) fn of(recipient: &RecipientRef<'_>) -> Self {
        let id = recipient.provider_id;
        if id == PAD_PROVIDER_ID.as_bytes() {
            Self::Pad
        } else if id == XWING_PROVIDER_ID.as_bytes() {
            Self::Xwing
        } else if id == ECDH_PROVIDER_ID {
            Self::RawEcdh
        } else if KMS_PROVIDER_IDS.contains(&id) {
            Self::Kms
        } else if aes_name(recipient).is_some() {
            Self::RawAes
        } else {
            Self::RawRsa
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::RawAes => "raw AES",
            Self::RawRsa => "raw RSA",
            Self::RawEcdh => "raw ECDH",
            Self::Xwing => "X-Wing",
            Self::Pad => "pad",
            Self::Kms => "AWS KMS",
        }
    }
}

/// The name of the key that a recipient is for, escaped; for kinds that name a key by its bytes, those in hexadecimal.
pub(super) fn key_name(recipient: &RecipientRef<'_>) -> String {
    match Kind::of(recipient) {
        Kind::RawAes => shown::bytes(aes_name(recipient).unwrap_or_default()),
        Kind::RawEcdh | Kind::Xwing => hex(recipient.provider_info),
        Kind::RawRsa | Kind::Pad | Kind::Kms => shown::bytes(recipient.provider_info),
    }
}

/// The recipients of a message in one line, for an error.
pub(super) fn list(header: &Header) -> String {
    let words: Vec<String> = header
        .recipients()
        .filter(|recipient| Kind::of(recipient) != Kind::Pad)
        .map(|recipient| {
            let kind = Kind::of(&recipient);
            match kind {
                Kind::RawEcdh | Kind::Xwing => kind.word().to_owned(),
                _ => {
                    let id = shown::bytes(recipient.provider_id);
                    format!("{} \"{id}\" \"{}\"", kind.word(), key_name(&recipient))
                }
            }
        })
        .collect();
    words.join(", ")
}

/// `bytes` in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn aes_name<'a>(recipient: &RecipientRef<'a>) -> Option<&'a [u8]> {
    let name_len = recipient
        .provider_info
        .len()
        .checked_sub(AES_INFO_TAIL_LEN_BYTES)?;
    let (name, tail) = recipient.provider_info.split_at(name_len);
    tail.starts_with(&AES_INFO_LENGTHS).then_some(name)
}
