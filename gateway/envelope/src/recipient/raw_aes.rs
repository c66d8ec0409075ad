//! The raw AES recipient: the data key wrapped under an AES-256 key that both sides hold, exactly as the raw AES keyring of the AWS
//! Encryption SDK does it (AWS Encryption SDK Specification, `framework/raw-aes-keyring.md`).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::{
    Recipient, RecipientError, RecipientRef, UnwrapError, WrapError, check_names, serialized_len,
};
use crate::context::Context;
use crate::data_key::{DATA_KEY_LEN_BYTES, DataKey, RandomUnavailable};

const TAG_LEN_BYTES: usize = 16;
const TAG_LEN_BITS: u32 = 128;
const WRAPPED_LEN_BYTES: usize = DATA_KEY_LEN_BYTES + TAG_LEN_BYTES;
/// What follows the key's name in the provider info: tag length in bits, IV length, IV.
const INFO_TAIL_LEN_BYTES: usize = 4 + 4 + NONCE_LEN;

/// An AES-256 key that wraps data keys, with the namespace and name by which messages refer to it. It has no `Debug`; the library wipes
/// the key schedule on drop.
///
/// Nonces are random: count the wraps and stop at [`crate::limits::WRAPS_MOST`]. This type does not count, because several values may
/// hold the same key.
pub struct RawAesKey {
    key: LessSafeKey,
    namespace: Box<str>,
    name: Box<str>,
}

impl RawAesKey {
    /// The wrapping key with these bytes. `namespace` becomes the provider id; `name` opens the provider info. The caller wipes its copy
    /// of `key`.
    ///
    /// # Errors
    /// [`RecipientError`] when namespace or name is empty or too long for a header field.
    pub fn new(key: &[u8; 32], namespace: &str, name: &str) -> Result<Self, RecipientError> {
        check_names(namespace, name, INFO_TAIL_LEN_BYTES)?;
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes every key of 32 bytes");
        Ok(Self {
            key: LessSafeKey::new(key),
            namespace: namespace.into(),
            name: name.into(),
        })
    }

    /// The namespace: the provider id of its recipients.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The key's name within the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Length of each of its recipients in a header.
    #[must_use]
    pub fn recipient_len_bytes(&self) -> usize {
        serialized_len(
            self.namespace.len(),
            self.name.len() + INFO_TAIL_LEN_BYTES,
            WRAPPED_LEN_BYTES,
        )
    }

    /// Wraps `data_key` for the holders of this key, bound to `context`.
    ///
    /// # Errors
    /// [`WrapError`]: the system's fault; nothing was written.
    pub fn wrap(&self, data_key: &DataKey, context: &Context) -> Result<Recipient, WrapError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| RandomUnavailable)?;

        let mut info = Vec::with_capacity(self.name.len() + INFO_TAIL_LEN_BYTES);
        info.extend_from_slice(self.name.as_bytes());
        info.extend_from_slice(&INFO_LENGTHS);
        info.extend_from_slice(&nonce);

        let mut wrapped = [0; WRAPPED_LEN_BYTES];
        let (ciphertext, tag) = wrapped.split_at_mut(DATA_KEY_LEN_BYTES);
        self.key
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                data_key.as_bytes(),
                ciphertext,
                &[],
                tag,
            )
            .map_err(|_| WrapError::CipherFailed)?;
        Ok(Recipient::new(self.namespace.as_bytes(), &info, &wrapped)
            .expect("`new` checked the lengths"))
    }

    /// Whether `recipient` names this key and has the shape of a raw AES recipient.
    #[must_use]
    pub fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        self.nonce_for(recipient).is_some()
    }

    /// Unwraps the data key that `recipient` carries for this key.
    ///
    /// # Errors
    /// [`UnwrapError::NotAddressed`]: try the next recipient. [`UnwrapError::NotAuthentic`]: wrong key bytes, wrong context, or damage.
    pub fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, UnwrapError> {
        let nonce = self.nonce_for(recipient).ok_or(UnwrapError::NotAddressed)?;
        let (ciphertext, tag) = recipient
            .ciphertext
            .split_at_checked(DATA_KEY_LEN_BYTES)
            .ok_or(UnwrapError::NotAuthentic)?;
        if tag.len() != TAG_LEN_BYTES {
            return Err(UnwrapError::NotAuthentic);
        }
        let mut data_key = DataKey::zero();
        self.key
            .open_separate_gather(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                ciphertext,
                tag,
                data_key.as_mut_bytes(),
            )
            .map_err(|_| UnwrapError::NotAuthentic)?;
        Ok(data_key)
    }

    fn nonce_for(&self, recipient: &RecipientRef<'_>) -> Option<[u8; NONCE_LEN]> {
        if recipient.provider_id != self.namespace.as_bytes() {
            return None;
        }
        let tail = recipient.provider_info.strip_prefix(self.name.as_bytes())?;
        tail.strip_prefix(&INFO_LENGTHS)?.try_into().ok()
    }
}

/// Tag length in bits and IV length in bytes, as they stand in the provider info.
const INFO_LENGTHS: [u8; 8] = {
    let [a, b, c, d] = TAG_LEN_BITS.to_be_bytes();
    let [e, f, g, h] = (NONCE_LEN as u32).to_be_bytes();
    [a, b, c, d, e, f, g, h]
};

#[cfg(test)]
mod tests {
    use super::super::RecipientField;
    use super::*;

    fn key(byte: u8, name: &str) -> RawAesKey {
        RawAesKey::new(&[byte; 32], "sealgate/t", name).unwrap()
    }

    #[test]
    fn unwraps_what_it_wrapped_in_the_same_context_only() {
        let context = Context::from_pairs([("path", "/a")]).unwrap();
        let data_key = DataKey::generate().unwrap();
        let recipient = key(1, "main/1").wrap(&data_key, &context).unwrap();
        assert_eq!(
            recipient.as_bytes().len(),
            key(1, "main/1").recipient_len_bytes()
        );

        let recipient = recipient.fields();
        assert!(
            key(1, "main/1")
                .unwrap(&recipient, &context)
                .unwrap()
                .as_bytes()
                == data_key.as_bytes()
        );
        let other = Context::from_pairs([("path", "/b")]).unwrap();
        assert_eq!(
            key(1, "main/1").unwrap(&recipient, &other).err(),
            Some(UnwrapError::NotAuthentic)
        );
        assert_eq!(
            key(2, "main/1").unwrap(&recipient, &context).err(),
            Some(UnwrapError::NotAuthentic)
        );
    }

    #[test]
    fn skips_other_keys_and_shapes() {
        let context = Context::empty();
        let recipient = key(1, "main/1")
            .wrap(&DataKey::generate().unwrap(), &context)
            .unwrap();
        for name in ["main/2", "main/", "main/11"] {
            assert_eq!(
                key(1, name).unwrap(&recipient.fields(), &context).err(),
                Some(UnwrapError::NotAddressed),
                "{name}"
            );
        }
        let elsewhere = RawAesKey::new(&[1; 32], "sealgate/u", "main/1").unwrap();
        assert!(!elsewhere.is_named_by(&recipient.fields()));

        let fields = recipient.fields();
        let mut other_tag_len = fields.provider_info.to_vec();
        other_tag_len["main/1".len() + 3] = 96;
        let short = RecipientRef {
            provider_info: &other_tag_len,
            ..fields
        };
        assert_eq!(
            key(1, "main/1").unwrap(&short, &context).err(),
            Some(UnwrapError::NotAddressed)
        );
        let cut = RecipientRef {
            ciphertext: &fields.ciphertext[..47],
            ..fields
        };
        assert_eq!(
            key(1, "main/1").unwrap(&cut, &context).err(),
            Some(UnwrapError::NotAuthentic)
        );
    }

    #[test]
    fn refuses_names_that_no_header_can_hold() {
        let refused = |namespace: &str, name: &str| RawAesKey::new(&[0; 32], namespace, name).err();
        assert_eq!(
            refused("", "n"),
            Some(RecipientError::EmptyField {
                field: RecipientField::ProviderId
            })
        );
        assert_eq!(
            refused("n", ""),
            Some(RecipientError::EmptyField {
                field: RecipientField::ProviderInfo
            })
        );
        let long = "x".repeat(65_535);
        assert_eq!(refused(&long, "n"), None);
        assert_eq!(
            refused("n", &long),
            Some(RecipientError::FieldTooLong {
                field: RecipientField::ProviderInfo,
                len_bytes: 65_555
            })
        );
    }
}
