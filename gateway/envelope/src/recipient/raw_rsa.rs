//! The raw RSA recipient: the data key encrypted to an RSA key with OAEP, exactly as the raw RSA keyring of the AWS Encryption SDK does it
//! (AWS Encryption SDK Specification, `framework/raw-rsa-keyring.md`). All SDKs read it.
//!
//! What it does not do: bind the context. RSA-OAEP authenticates nothing, so anybody can write a recipient for a public key; that the
//! context is the writer's follows from the header tag alone. Padding of PKCS #1 v1.5 is deliberately absent.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use super::{
    KeyError, Recipient, RecipientRef, UnwrapError, WrapError, check_names, serialized_len,
};
use crate::data_key::{DATA_KEY_LEN_BYTES, DataKey};

/// The hash of OAEP and of its mask generation. The recipient does not say which one it was: writer and reader agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OaepHash {
    /// SHA-256 for both.
    Sha256,
    /// SHA-1 for both. For readers that know no other; OAEP does not rest on its collision resistance.
    Sha1,
}

impl OaepHash {
    fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::Sha256 => &OAEP_SHA256_MGF1SHA256,
            Self::Sha1 => &OAEP_SHA1_MGF1SHA1,
        }
    }
}

/// How messages refer to an RSA key, and the hash it is used with.
struct Address {
    hash: OaepHash,
    namespace: Box<str>,
    name: Box<str>,
}

impl Address {
    fn new(hash: OaepHash, namespace: &str, name: &str) -> Result<Self, KeyError> {
        check_names(namespace, name, 0)?;
        Ok(Self {
            hash,
            namespace: namespace.into(),
            name: name.into(),
        })
    }

    fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        recipient.provider_id == self.namespace.as_bytes()
            && recipient.provider_info == self.name.as_bytes()
    }
}

/// An RSA public key that data keys are wrapped for, with the namespace and name by which messages refer to it.
pub struct RawRsaPublicKey {
    key: OaepPublicEncryptingKey,
    address: Address,
}

impl RawRsaPublicKey {
    /// The key in this DER `SubjectPublicKeyInfo` (RFC 5280 §4.1), of 2048 to 8192 bits. `namespace` becomes the provider id, `name` the
    /// provider info.
    ///
    /// # Errors
    /// [`KeyError`]: the operator's fault.
    pub fn from_der(
        der: &[u8],
        hash: OaepHash,
        namespace: &str,
        name: &str,
    ) -> Result<Self, KeyError> {
        let address = Address::new(hash, namespace, name)?;
        let key = PublicEncryptingKey::from_der(der).map_err(|_| KeyError::Malformed)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| KeyError::Malformed)?;
        Ok(Self { key, address })
    }

    /// Whether `recipient` names this key. What it carries is not looked at: only the private key can.
    #[must_use]
    pub fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        self.address.is_named_by(recipient)
    }

    /// Length of each of its recipients in a header.
    #[must_use]
    pub fn recipient_len_bytes(&self) -> usize {
        serialized_len(
            self.address.namespace.len(),
            self.address.name.len(),
            self.key.ciphertext_size(),
        )
    }

    /// Wraps `data_key` for the holder of the private key. The context is not bound; see the module.
    ///
    /// # Errors
    /// [`WrapError::CipherFailed`]: the system's fault; nothing was written.
    pub fn wrap(&self, data_key: &DataKey) -> Result<Recipient, WrapError> {
        let mut wrapped = vec![0; self.key.ciphertext_size()];
        let algorithm = self.address.hash.algorithm();
        let wrapped = self
            .key
            .encrypt(algorithm, data_key.as_bytes(), &mut wrapped, None)
            .map_err(|_| WrapError::CipherFailed)?;
        let (namespace, name) = (&self.address.namespace, &self.address.name);
        Ok(
            Recipient::new(namespace.as_bytes(), name.as_bytes(), wrapped)
                .expect("`Address::new` checked the lengths"),
        )
    }
}

/// An RSA private key that unwraps data keys. It has no `Debug`.
pub struct RawRsaPrivateKey {
    key: OaepPrivateDecryptingKey,
    address: Address,
}

impl RawRsaPrivateKey {
    /// The key in this DER `PrivateKeyInfo` (PKCS #8, RFC 5958), of 2048 to 8192 bits. The caller wipes its copy of `der`.
    ///
    /// # Errors
    /// [`KeyError`]: the operator's fault.
    pub fn from_pkcs8(
        der: &[u8],
        hash: OaepHash,
        namespace: &str,
        name: &str,
    ) -> Result<Self, KeyError> {
        let address = Address::new(hash, namespace, name)?;
        let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| KeyError::Malformed)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Malformed)?;
        Ok(Self { key, address })
    }

    /// Whether `recipient` names this key.
    #[must_use]
    pub fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        self.address.is_named_by(recipient)
    }

    /// Unwraps the data key that `recipient` carries for this key.
    ///
    /// # Errors
    /// [`UnwrapError::NotAddressed`]: try the next recipient. [`UnwrapError::NotAuthentic`]: wrong key, wrong hash, or damage.
    pub fn unwrap(&self, recipient: &RecipientRef<'_>) -> Result<DataKey, UnwrapError> {
        if !self.is_named_by(recipient) {
            return Err(UnwrapError::NotAddressed);
        }
        let mut plaintext = Zeroizing::new(vec![0; self.key.min_output_size()]);
        let unwrapped = self
            .key
            .decrypt(
                self.address.hash.algorithm(),
                recipient.ciphertext,
                &mut plaintext,
                None,
            )
            .map_err(|_| UnwrapError::NotAuthentic)?;
        let bytes: &[u8; DATA_KEY_LEN_BYTES] = (&*unwrapped)
            .try_into()
            .map_err(|_| UnwrapError::NotAuthentic)?;
        Ok(DataKey::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;

    use super::*;

    fn pair() -> (Vec<u8>, Vec<u8>) {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = private.public_key().as_der().unwrap().as_ref().to_vec();
        (private.as_der().unwrap().as_ref().to_vec(), public)
    }

    #[test]
    fn unwraps_what_was_wrapped_for_it_with_the_same_hash_and_name_only() {
        let (private, public) = pair();
        let open = |hash, name| RawRsaPrivateKey::from_pkcs8(&private, hash, "exit", name).unwrap();
        for (hash, other) in [
            (OaepHash::Sha256, OaepHash::Sha1),
            (OaepHash::Sha1, OaepHash::Sha256),
        ] {
            let key = RawRsaPublicKey::from_der(&public, hash, "exit", "rsa/1").unwrap();
            let data_key = DataKey::generate().unwrap();
            let recipient = key.wrap(&data_key).unwrap();
            assert_eq!(recipient.as_bytes().len(), key.recipient_len_bytes());
            let fields = recipient.fields();
            let named_apart = RawRsaPublicKey::from_der(&public, hash, "exit", "rsa/2").unwrap();
            assert!(key.is_named_by(&fields) && !named_apart.is_named_by(&fields));
            let unwrapped = open(hash, "rsa/1").unwrap(&fields).unwrap();
            assert!(unwrapped.as_bytes() == data_key.as_bytes());
            assert_eq!(
                open(other, "rsa/1").unwrap(&fields).err(),
                Some(UnwrapError::NotAuthentic)
            );
            assert_eq!(
                open(hash, "rsa/").unwrap(&fields).err(),
                Some(UnwrapError::NotAddressed)
            );
            for len in [0, 255] {
                let cut = RecipientRef {
                    ciphertext: &fields.ciphertext[..len],
                    ..fields
                };
                assert_eq!(
                    open(hash, "rsa/1").unwrap(&cut).err(),
                    Some(UnwrapError::NotAuthentic)
                );
            }
        }
    }

    #[test]
    fn a_plaintext_of_another_length_is_no_data_key() {
        let (private, public) = pair();
        let key = PublicEncryptingKey::from_der(&public).unwrap();
        let key = OaepPublicEncryptingKey::new(key).unwrap();
        let private =
            RawRsaPrivateKey::from_pkcs8(&private, OaepHash::Sha256, "exit", "rsa/1").unwrap();
        for len in [0, 16, 31, 33] {
            let mut wrapped = vec![0; key.ciphertext_size()];
            let algorithm = OaepHash::Sha256.algorithm();
            key.encrypt(algorithm, &vec![7; len], &mut wrapped, None)
                .unwrap();
            let recipient = Recipient::new(b"exit", b"rsa/1", &wrapped).unwrap();
            assert_eq!(
                private.unwrap(&recipient.fields()).err(),
                Some(UnwrapError::NotAuthentic)
            );
        }
    }

    #[test]
    fn refuses_what_is_no_key() {
        let (private, public) = pair();
        let as_public = RawRsaPublicKey::from_der(&private, OaepHash::Sha256, "n", "n");
        assert_eq!(as_public.err(), Some(KeyError::Malformed));
        let as_private = RawRsaPrivateKey::from_pkcs8(&public, OaepHash::Sha256, "n", "n");
        assert_eq!(as_private.err(), Some(KeyError::Malformed));
        let unnamed = RawRsaPublicKey::from_der(&public, OaepHash::Sha256, "n", "");
        assert!(matches!(unnamed.err(), Some(KeyError::Name(_))));
    }
}
