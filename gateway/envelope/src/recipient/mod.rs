//! Recipients: each carries the message's data key wrapped for one holder. The AWS Encryption SDK calls them encrypted data keys.
//!
//! Recipients of kinds that nobody here holds a key for are skipped, not refused.

pub(crate) mod pad;
pub(crate) mod raw_aes;
pub(crate) mod raw_ecdh;
pub(crate) mod raw_rsa;
pub(crate) mod xwing;
pub(crate) mod xwing_seed;

use thiserror::Error;

use crate::data_key::RandomUnavailable;

pub use pad::PAD_PROVIDER_ID;

/// A recipient to be written into a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The three fields, each after its length, as they go into the header.
    serialized: Vec<u8>,
}

/// One of a recipient's three fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientField {
    /// The provider id, which for raw keys is the key's namespace.
    ProviderId,
    /// The provider info, which for raw keys holds the key's name.
    ProviderInfo,
    /// The wrapped data key.
    Ciphertext,
}

/// A recipient that is not written. The caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecipientError {
    /// An empty field: the Node SDK refuses whole messages over an empty provider info.
    #[error("empty field {field:?}")]
    EmptyField {
        /// Which field.
        field: RecipientField,
    },
    /// A field longer than its length can say.
    #[error("field {field:?} of {len_bytes} bytes, at most 65535")]
    FieldTooLong {
        /// Which field.
        field: RecipientField,
        /// Its length.
        len_bytes: usize,
    },
}

/// A data key that could not be wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WrapError {
    /// The system gave no random nonce.
    #[error(transparent)]
    RandomUnavailable(#[from] RandomUnavailable),
    /// The cryptographic library failed: a bug, or no memory.
    #[error("the cipher failed")]
    CipherFailed,
}

/// A recipient that this key does not unwrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnwrapError {
    /// The recipient is of another kind or names another key. Skip it.
    #[error("the recipient is not this key's")]
    NotAddressed,
    /// The recipient names this key, but its bytes or the context are not what was written for it.
    #[error("the wrapped data key does not verify under this key and context")]
    NotAuthentic,
}

/// A wrapping key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Its namespace or name does not fit a header.
    #[error(transparent)]
    Name(#[from] RecipientError),
    /// Its bytes are not a key of the kind that is expected: another encoding, another curve, or too short for its use.
    #[error("the key's bytes are not a key of this kind")]
    Malformed,
}

impl Recipient {
    /// The recipient with these fields.
    ///
    /// # Errors
    /// [`RecipientError`] when a field is empty or longer than 65,535 bytes.
    pub fn new(
        provider_id: &[u8],
        provider_info: &[u8],
        ciphertext: &[u8],
    ) -> Result<Self, RecipientError> {
        let fields = [
            (RecipientField::ProviderId, provider_id),
            (RecipientField::ProviderInfo, provider_info),
            (RecipientField::Ciphertext, ciphertext),
        ];
        let mut serialized = Vec::with_capacity(serialized_len(
            provider_id.len(),
            provider_info.len(),
            ciphertext.len(),
        ));
        for (field, bytes) in fields {
            if bytes.is_empty() {
                return Err(RecipientError::EmptyField { field });
            }
            let len = u16::try_from(bytes.len()).map_err(|_| RecipientError::FieldTooLong {
                field,
                len_bytes: bytes.len(),
            })?;
            serialized.extend_from_slice(&len.to_be_bytes());
            serialized.extend_from_slice(bytes);
        }
        Ok(Self { serialized })
    }

    /// The recipient as it stands in a header.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.serialized
    }

    /// Its fields.
    #[must_use]
    pub fn fields(&self) -> RecipientRef<'_> {
        RecipientRef::read(&self.serialized)
            .expect("serialised by `new`")
            .0
    }
}

/// A recipient as it stands in somebody's header. Its fields are foreign bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipientRef<'a> {
    /// The provider id, which for raw keys is the key's namespace.
    pub provider_id: &'a [u8],
    /// The provider info, which for raw keys holds the key's name.
    pub provider_info: &'a [u8],
    /// The wrapped data key.
    pub ciphertext: &'a [u8],
}

impl<'a> RecipientRef<'a> {
    /// Reads one recipient; gives the bytes after it. `None` where the bytes end too early.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (provider_id, rest) = read_field(bytes)?;
        let (provider_info, rest) = read_field(rest)?;
        let (ciphertext, rest) = read_field(rest)?;
        Some((
            Self {
                provider_id,
                provider_info,
                ciphertext,
            },
            rest,
        ))
    }
}

/// Length of a recipient in the header.
pub(crate) const fn serialized_len(
    provider_id_len: usize,
    provider_info_len: usize,
    ciphertext_len: usize,
) -> usize {
    6 + provider_id_len + provider_info_len + ciphertext_len
}

/// Refuses a namespace or a name that no header can hold; `tail_len` bytes follow the name in the provider info.
fn check_names(namespace: &str, name: &str, tail_len: usize) -> Result<(), RecipientError> {
    for (field, text, tail_len) in [
        (RecipientField::ProviderId, namespace, 0),
        (RecipientField::ProviderInfo, name, tail_len),
    ] {
        if text.is_empty() {
            return Err(RecipientError::EmptyField { field });
        }
        let len_bytes = text.len() + tail_len;
        if len_bytes > usize::from(u16::MAX) {
            return Err(RecipientError::FieldTooLong { field, len_bytes });
        }
    }
    Ok(())
}

fn read_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_reads() {
        let recipient = Recipient::new(b"id", b"info", b"wrapped").unwrap();
        assert_eq!(recipient.as_bytes(), b"\0\x02id\0\x04info\0\x07wrapped");
        let (read, rest) = RecipientRef::read(recipient.as_bytes()).unwrap();
        assert_eq!(
            (read.provider_id, read.provider_info, read.ciphertext, rest),
            (&b"id"[..], &b"info"[..], &b"wrapped"[..], &b""[..])
        );
        for cut in 0..recipient.as_bytes().len() {
            assert!(
                RecipientRef::read(&recipient.as_bytes()[..cut]).is_none(),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn refuses_empty_and_overlong_fields() {
        let empty = Recipient::new(b"id", b"", b"wrapped").unwrap_err();
        assert_eq!(
            empty,
            RecipientError::EmptyField {
                field: RecipientField::ProviderInfo
            }
        );
        let long = Recipient::new(b"id", b"i", &[0; 65_536]).unwrap_err();
        assert_eq!(
            long,
            RecipientError::FieldTooLong {
                field: RecipientField::Ciphertext,
                len_bytes: 65_536
            }
        );
    }
}
