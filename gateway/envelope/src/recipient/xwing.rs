//! The X-Wing recipient: the data key wrapped under a secret that ML-KEM-768 and X25519 agree on together
//! (draft-connolly-cfrg-xwing-kem), safe as long as either of the two is. It is this crate's own kind; SDKs skip it.
//!
//! ```text
//! info:       01 | first 16 bytes of SHA-256 of the public key
//! ciphertext: ML-KEM ciphertext (1088) | X25519 ephemeral (32) | wrapped data key (32) | tag (16)
//! ```
//!
//! The wrap is AES-256-GCM under HKDF-SHA512 of the shared secret, with the context as associated data and a nonce of zeros: each shared
//! secret wraps once.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{SHA3_256, SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA512, Salt};
use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

use super::{KeyError, Recipient, RecipientRef, UnwrapError, WrapError, serialized_len};
use crate::context::Context;
use crate::data_key::{DATA_KEY_LEN_BYTES, DataKey};

/// The provider id of X-Wing recipients.
pub const XWING_PROVIDER_ID: &str = "sealgate-xwing";
/// Length of a public key: ML-KEM-768 encapsulation key, then X25519.
pub const XWING_PUBLIC_KEY_LEN_BYTES: usize = ML_KEM_PUBLIC_LEN_BYTES + X25519_LEN_BYTES;
/// Length of a private key: expanded ML-KEM-768 decapsulation key (FIPS 203), then X25519.
pub const XWING_PRIVATE_KEY_LEN_BYTES: usize = ML_KEM_PRIVATE_LEN_BYTES + X25519_LEN_BYTES;

const ML_KEM_PUBLIC_LEN_BYTES: usize = 1184;
const ML_KEM_PRIVATE_LEN_BYTES: usize = 2400;
/// Where the encapsulation key stands in an expanded decapsulation key (FIPS 203, algorithm 16).
const ML_KEM_PUBLIC_AT: usize = 1152;
const ML_KEM_CIPHERTEXT_LEN_BYTES: usize = 1088;
const X25519_LEN_BYTES: usize = 32;
const SECRET_LEN_BYTES: usize = 32;
const KEM_LEN_BYTES: usize = ML_KEM_CIPHERTEXT_LEN_BYTES + X25519_LEN_BYTES;
const TAG_LEN_BYTES: usize = 16;
const CIPHERTEXT_LEN_BYTES: usize = KEM_LEN_BYTES + DATA_KEY_LEN_BYTES + TAG_LEN_BYTES;
const VERSION: u8 = 1;
const INFO_LEN_BYTES: usize = 1 + 16;
/// The combiner's label: an X-wing, `\.//^\`.
const LABEL: &[u8; 6] = b"\\.//^\\";
const WRAPPING_KEY_INFO: &[u8] = b"sealgate-xwing 1 wrapping key";

type Secret = Zeroizing<[u8; SECRET_LEN_BYTES]>;

/// A public key that data keys are wrapped for.
pub struct XwingPublicKey {
    ml_kem: EncapsulationKey,
    bytes: Box<[u8; XWING_PUBLIC_KEY_LEN_BYTES]>,
}

impl XwingPublicKey {
    /// The key with these bytes, as the draft encodes it.
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: bytes that encode no ML-KEM key.
    pub fn from_bytes(bytes: &[u8; XWING_PUBLIC_KEY_LEN_BYTES]) -> Result<Self, KeyError> {
        let ml_kem = EncapsulationKey::new(&ML_KEM_768, &bytes[..ML_KEM_PUBLIC_LEN_BYTES])
            .map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            ml_kem,
            bytes: Box::new(*bytes),
        })
    }

    /// The key's bytes, as the draft encodes it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; XWING_PUBLIC_KEY_LEN_BYTES] {
        &self.bytes
    }

    /// Whether `recipient` names this key. What it carries is not looked at: only the private key can.
    #[must_use]
    pub fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        recipient.provider_id == XWING_PROVIDER_ID.as_bytes()
            && recipient.provider_info == info(self.bytes.as_slice())
    }

    /// Length of each of its recipients in a header.
    #[must_use]
    pub fn recipient_len_bytes(&self) -> usize {
        serialized_len(
            XWING_PROVIDER_ID.len(),
            INFO_LEN_BYTES,
            CIPHERTEXT_LEN_BYTES,
        )
    }

    /// Wraps `data_key` for the holder of the private key, bound to `context`.
    ///
    /// # Errors
    /// [`WrapError::CipherFailed`]: the system's fault, or a public key that X25519 refuses; nothing was written.
    pub fn wrap(&self, data_key: &DataKey, context: &Context) -> Result<Recipient, WrapError> {
        let ciphertext = self
            .seal(data_key, context)
            .map_err(|_| WrapError::CipherFailed)?;
        Ok(Recipient::new(
            XWING_PROVIDER_ID.as_bytes(),
            &info(self.bytes.as_slice()),
            &ciphertext,
        )
        .expect("every field is short"))
    }

    fn seal(&self, data_key: &DataKey, context: &Context) -> Result<Vec<u8>, Unspecified> {
        let (mut out, secret) = self.encapsulate()?;
        out.resize(CIPHERTEXT_LEN_BYTES, 0);
        let (wrapped, tag) = out[KEM_LEN_BYTES..].split_at_mut(DATA_KEY_LEN_BYTES);
        wrapping_key(&secret)?.seal_out_of_place_scatter(
            zero_nonce(),
            Aad::from(context.as_bytes()),
            data_key.as_bytes(),
            wrapped,
            &[],
            tag,
        )?;
        Ok(out)
    }

    /// X-Wing's `Encapsulate`: its ciphertext and the shared secret.
    fn encapsulate(&self) -> Result<(Vec<u8>, Secret), Unspecified> {
        let x25519_public = &self.bytes[ML_KEM_PUBLIC_LEN_BYTES..];
        let ephemeral = PrivateKey::generate(&X25519)?;
        let (ml_kem_ciphertext, ml_kem_secret) = self.ml_kem.encapsulate()?;
        let ephemeral_public = ephemeral.compute_public_key()?;
        let x25519_secret = agree(&ephemeral, x25519_public)?;
        let secret = combine(
            ml_kem_secret.as_ref(),
            x25519_secret.as_slice(),
            ephemeral_public.as_ref(),
            x25519_public,
        )?;
        let ciphertext = [ml_kem_ciphertext.as_ref(), ephemeral_public.as_ref()].concat();
        Ok((ciphertext, secret))
    }
}

/// A private key that unwraps data keys. It has no `Debug`.
///
/// It is held expanded; [`crate::XwingSeed`] is the form in which the draft has it kept.
pub struct XwingPrivateKey {
    ml_kem: DecapsulationKey,
    x25519: PrivateKey,
    public: XwingPublicKey,
}

impl XwingPrivateKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`WrapError::CipherFailed`]: the system's fault.
    pub fn generate() -> Result<Self, WrapError> {
        let made = || -> Result<Zeroizing<Vec<u8>>, Unspecified> {
            let ml_kem = DecapsulationKey::generate(&ML_KEM_768)?;
            let x25519 = PrivateKey::generate(&X25519)?;
            join_private(&ml_kem, &x25519)
        };
        let bytes = made().map_err(|_| WrapError::CipherFailed)?;
        let bytes = bytes
            .first_chunk()
            .expect("`join_private` gives a whole key");
        Self::from_bytes(bytes).map_err(|_| WrapError::CipherFailed)
    }

    /// The key with these bytes. The caller wipes its copy.
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: bytes that encode no such key. ML-KEM takes most bytes for a key; a wrong one unwraps nothing.
    pub fn from_bytes(bytes: &[u8; XWING_PRIVATE_KEY_LEN_BYTES]) -> Result<Self, KeyError> {
        let (ml_kem_bytes, x25519_bytes) = bytes.split_at(ML_KEM_PRIVATE_LEN_BYTES);
        let ml_kem =
            DecapsulationKey::new(&ML_KEM_768, ml_kem_bytes).map_err(|_| KeyError::Malformed)?;
        let x25519 =
            PrivateKey::from_private_key(&X25519, x25519_bytes).map_err(|_| KeyError::Malformed)?;
        let x25519_public = x25519
            .compute_public_key()
            .map_err(|_| KeyError::Malformed)?;
        let mut public = [0; XWING_PUBLIC_KEY_LEN_BYTES];
        let (ml_kem_part, x25519_part) = public.split_at_mut(ML_KEM_PUBLIC_LEN_BYTES);
        ml_kem_part.copy_from_slice(&ml_kem_bytes[ML_KEM_PUBLIC_AT..][..ML_KEM_PUBLIC_LEN_BYTES]);
        x25519_part.copy_from_slice(x25519_public.as_ref());
        Ok(Self {
            ml_kem,
            x25519,
            public: XwingPublicKey::from_bytes(&public)?,
        })
    }

    /// The key's bytes, for keeping it.
    ///
    /// # Errors
    /// [`WrapError::CipherFailed`]: the library failed.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        join_private(&self.ml_kem, &self.x25519).map_err(|_| WrapError::CipherFailed)
    }

    /// The key's public half.
    #[must_use]
    pub fn public_key(&self) -> &XwingPublicKey {
        &self.public
    }

    /// Whether `recipient` names this key.
    #[must_use]
    pub fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        self.public.is_named_by(recipient)
    }

    /// Unwraps the data key that `recipient` carries for this key.
    ///
    /// # Errors
    /// [`UnwrapError::NotAddressed`]: try the next recipient. [`UnwrapError::NotAuthentic`]: wrong key, wrong context, or damage.
    pub fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, UnwrapError> {
        if !self.is_named_by(recipient) {
            return Err(UnwrapError::NotAddressed);
        }
        let ciphertext: &[u8; CIPHERTEXT_LEN_BYTES] = recipient
            .ciphertext
            .try_into()
            .map_err(|_| UnwrapError::NotAuthentic)?;
        self.open(ciphertext, context)
            .map_err(|_| UnwrapError::NotAuthentic)
    }

    fn open(
        &self,
        ciphertext: &[u8; CIPHERTEXT_LEN_BYTES],
        context: &Context,
    ) -> Result<DataKey, Unspecified> {
        let (kem, wrapped) = ciphertext.split_at(KEM_LEN_BYTES);
        let (wrapped, tag) = wrapped.split_at(DATA_KEY_LEN_BYTES);
        let secret = self.decapsulate(kem)?;
        let mut data_key = DataKey::zero();
        wrapping_key(&secret)?.open_separate_gather(
            zero_nonce(),
            Aad::from(context.as_bytes()),
            wrapped,
            tag,
            data_key.as_mut_bytes(),
        )?;
        Ok(data_key)
    }

    /// X-Wing's `Decapsulate`.
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret, Unspecified> {
        let (ml_kem, ephemeral) = ciphertext.split_at(ML_KEM_CIPHERTEXT_LEN_BYTES);
        let ml_kem_secret = self.ml_kem.decapsulate(ml_kem.into())?;
        let x25519_secret = agree(&self.x25519, ephemeral)?;
        combine(
            ml_kem_secret.as_ref(),
            x25519_secret.as_slice(),
            ephemeral,
            &self.public.bytes[ML_KEM_PUBLIC_LEN_BYTES..],
        )
    }
}

fn join_private(
    ml_kem: &DecapsulationKey,
    x25519: &PrivateKey,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let x25519: Curve25519SeedBin<'_> = x25519.as_be_bytes()?;
    let ml_kem = ml_kem.key_bytes()?;
    Ok(Zeroizing::new([ml_kem.as_ref(), x25519.as_ref()].concat()))
}

/// The provider info: version and fingerprint of the public key.
fn info(public: &[u8]) -> [u8; INFO_LEN_BYTES] {
    let mut info = [VERSION; INFO_LEN_BYTES];
    info[1..].copy_from_slice(&digest(&SHA256, public).as_ref()[..INFO_LEN_BYTES - 1]);
    info
}

/// X25519. The library refuses a secret of zeros, to which a peer's key of low order leads.
fn agree(key: &PrivateKey, peer: &[u8]) -> Result<Secret, Unspecified> {
    let peer = UnparsedPublicKey::new(&X25519, peer);
    agreement::agree(key, peer, Unspecified, |secret| {
        Ok(Zeroizing::new(secret.try_into().map_err(|_| Unspecified)?))
    })
}

/// X-Wing's `Combiner`. ML-KEM's ciphertext and public key are deliberately absent: ML-KEM binds them itself.
fn combine(
    ml_kem_secret: &[u8],
    x25519_secret: &[u8],
    x25519_ephemeral: &[u8],
    x25519_public: &[u8],
) -> Result<Secret, Unspecified> {
    let parts = [
        ml_kem_secret,
        x25519_secret,
        x25519_ephemeral,
        x25519_public,
        LABEL,
    ];
    let combined = digest(&SHA3_256, &Zeroizing::new(parts.concat()));
    Ok(Zeroizing::new(
        combined.as_ref().try_into().map_err(|_| Unspecified)?,
    ))
}

fn wrapping_key(secret: &Secret) -> Result<LessSafeKey, Unspecified> {
    let prk = Salt::new(HKDF_SHA512, &[]).extract(secret.as_slice());
    let okm = prk.expand(&[WRAPPING_KEY_INFO], &AES_256_GCM)?;
    Ok(LessSafeKey::new(UnboundKey::from(okm)))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        private_key_expanded: String,
        public_key: String,
        ciphertext: String,
        shared_secret: String,
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    fn context() -> Context {
        Context::from_pairs([("path", "/a")]).unwrap()
    }

    #[test]
    fn decapsulates_as_the_draft_does() {
        let vectors = include_str!("../../tests/vectors/xwing/xwing.json");
        let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let private = hex(&vector.private_key_expanded);
            let key = XwingPrivateKey::from_bytes(private.first_chunk().unwrap()).unwrap();
            assert_eq!(
                key.public_key().as_bytes().as_slice(),
                hex(&vector.public_key)
            );
            assert_eq!(key.to_bytes().unwrap().as_slice(), private);
            let secret = key.decapsulate(&hex(&vector.ciphertext)).unwrap();
            assert_eq!(secret.as_slice(), hex(&vector.shared_secret));
        }
    }

    #[test]
    fn unwraps_what_was_wrapped_for_it_in_the_same_context_only() {
        let (key, other) = (
            XwingPrivateKey::generate().unwrap(),
            XwingPrivateKey::generate().unwrap(),
        );
        let public = XwingPublicKey::from_bytes(key.public_key().as_bytes()).unwrap();
        let data_key = DataKey::generate().unwrap();
        let recipient = public.wrap(&data_key, &context()).unwrap();
        assert_eq!(recipient.as_bytes().len(), public.recipient_len_bytes());
        let again = public.wrap(&data_key, &context()).unwrap();
        assert_ne!(recipient, again, "a fresh secret each time");

        let fields = recipient.fields();
        assert!(public.is_named_by(&fields) && !other.public_key().is_named_by(&fields));
        let bytes = key.to_bytes().unwrap();
        let kept = XwingPrivateKey::from_bytes(bytes.first_chunk().unwrap()).unwrap();
        for key in [&key, &kept] {
            let unwrapped = key.unwrap(&fields, &context()).unwrap();
            assert!(unwrapped.as_bytes() == data_key.as_bytes());
        }
        assert_eq!(
            key.unwrap(&fields, &Context::empty()).err(),
            Some(UnwrapError::NotAuthentic)
        );
        assert_eq!(
            other.unwrap(&fields, &context()).err(),
            Some(UnwrapError::NotAddressed)
        );
        // A recipient that claims to be for the other key.
        let renamed = info(other.public_key().as_bytes());
        let misled = RecipientRef {
            provider_info: &renamed,
            ..fields
        };
        assert_eq!(
            other.unwrap(&misled, &context()).err(),
            Some(UnwrapError::NotAuthentic)
        );
    }

    #[test]
    fn every_part_of_the_ciphertext_counts() {
        let key = XwingPrivateKey::generate().unwrap();
        let recipient = key
            .public_key()
            .wrap(&DataKey::generate().unwrap(), &context())
            .unwrap();
        let fields = recipient.fields();
        let refused = |ciphertext: &[u8]| {
            let damaged = RecipientRef {
                ciphertext,
                ..fields
            };
            key.unwrap(&damaged, &context()).err() == Some(UnwrapError::NotAuthentic)
        };
        for place in [0, 500, 1087, 1088, 1119, 1120, 1151, 1152, 1167] {
            let mut damaged = fields.ciphertext.to_vec();
            damaged[place] ^= 1;
            assert!(refused(&damaged), "byte {place}");
        }
        assert!(refused(&fields.ciphertext[..1167]));
        assert!(refused(&[]));
        // A point of low order: the agreed secret would be zeros.
        let mut low_order = fields.ciphertext.to_vec();
        low_order[1088..1120].fill(0);
        assert!(refused(&low_order));
    }
}
