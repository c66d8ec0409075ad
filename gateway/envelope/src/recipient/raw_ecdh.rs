//! The raw ECDH recipient: the data key wrapped under a key agreed with an elliptic-curve key, exactly as the raw ECDH keyring of the AWS
//! Encryption SDK does it (AWS Encryption SDK Specification, `framework/raw-ecdh-keyring.md`). Python, Java, .NET, Rust and Go read it; Node
//! does not.
//!
//! ```text
//! info:       01 | u32 length, recipient's point | u32 length, sender's point         (points compressed)
//! ciphertext: salt (32) | commitment (32) | wrapped data key (32) | tag (16)
//! ```
//!
//! What is written has a fresh sender key per wrap, so it says nothing about who wrote it. What is read may come from any sender.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{
    self, Algorithm, ECDH_P256, ECDH_P384, ParsedPublicKey, PrivateKey, UnparsedPublicKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::{KeyError, Recipient, RecipientRef, UnwrapError, WrapError, serialized_len};
use crate::context::Context;
use crate::data_key::{DATA_KEY_LEN_BYTES, DataKey, RandomUnavailable};

const PROVIDER_ID: &[u8] = b"raw-ecdh";
const VERSION: u8 = 1;
const SALT_LEN_BYTES: usize = 32;
const COMMITMENT_LEN_BYTES: usize = 32;
const TAG_LEN_BYTES: usize = 16;
const WRAPPED_AT: usize = SALT_LEN_BYTES + COMMITMENT_LEN_BYTES;
const CIPHERTEXT_LEN_BYTES: usize = WRAPPED_AT + DATA_KEY_LEN_BYTES + TAG_LEN_BYTES;
/// What is derived: commitment and wrapping key.
const DERIVED_LEN_BYTES: usize = 64;

/// The curve of a raw ECDH recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Curve {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::P384 => &ECDH_P384,
        }
    }

    /// Length of a coordinate, and of a private key.
    fn field_len_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn name(self) -> &'static [u8] {
        match self {
            Self::P256 => b"p256",
            Self::P384 => b"p384",
        }
    }

    /// What stands before an uncompressed point in a DER `SubjectPublicKeyInfo` of the curve (RFC 5480 §2).
    fn public_key_info_prefix(self) -> &'static [u8] {
        match self {
            Self::P256 => {
                b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"
            }
            Self::P384 => {
                b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00"
            }
        }
    }
}

/// An elliptic-curve public key that data keys are wrapped for.
pub struct RawEcdhPublicKey {
    curve: Curve,
    /// Compressed, as recipients name it.
    point: Vec<u8>,
}

impl RawEcdhPublicKey {
    /// The key in this DER `SubjectPublicKeyInfo` with an uncompressed point, as every tool writes it.
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: another curve or encoding, or a point that is not on the curve.
    pub fn from_der(der: &[u8], curve: Curve) -> Result<Self, KeyError> {
        let point = der.strip_prefix(curve.public_key_info_prefix());
        Self::from_point(point.ok_or(KeyError::Malformed)?, curve)
    }

    /// The key with this point, compressed or not (SEC 1 §2.3.3).
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: another length, or a point that is not on the curve.
    pub fn from_point(point: &[u8], curve: Curve) -> Result<Self, KeyError> {
        let field_len = curve.field_len_bytes();
        let compressed = match point {
            [2 | 3, x @ ..] if x.len() == field_len => point.to_vec(),
            [4, xy @ ..] if xy.len() == 2 * field_len => {
                let (x, y) = xy.split_at(field_len);
                let sign = 2 | (y[field_len - 1] & 1);
                [&[sign], x].concat()
            }
            _ => return Err(KeyError::Malformed),
        };
        let parsed = ParsedPublicKey::try_from(UnparsedPublicKey::new(curve.algorithm(), point));
        parsed.map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            curve,
            point: compressed,
        })
    }

    /// The compressed point, by which recipients name the key.
    #[must_use]
    pub fn as_point(&self) -> &[u8] {
        &self.point
    }

    /// Whether `recipient` names this key. What it carries is not looked at: only the private key can.
    #[must_use]
    pub fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        let after_point = || {
            let rest = recipient.provider_info.strip_prefix(&[VERSION])?;
            strip_point(rest, self.point.len())?.strip_prefix(self.point.as_slice())
        };
        recipient.provider_id == PROVIDER_ID && after_point().is_some()
    }

    /// Length of each of its recipients in a header.
    #[must_use]
    pub fn recipient_len_bytes(&self) -> usize {
        serialized_len(
            PROVIDER_ID.len(),
            1 + 2 * (4 + self.point.len()),
            CIPHERTEXT_LEN_BYTES,
        )
    }

    /// Wraps `data_key` for the holder of the private key, bound to `context`. The sender's key is fresh and forgotten.
    ///
    /// # Errors
    /// [`WrapError`]: the system's fault; nothing was written.
    pub fn wrap(&self, data_key: &DataKey, context: &Context) -> Result<Recipient, WrapError> {
        let sender =
            PrivateKey::generate(self.curve.algorithm()).map_err(|_| WrapError::CipherFailed)?;
        let sender_point = compressed_point(&sender).map_err(|_| WrapError::CipherFailed)?;
        let mut salt = [0; SALT_LEN_BYTES];
        rand::fill(&mut salt).map_err(|_| RandomUnavailable)?;

        let binding = Binding::new(self.curve, &sender_point, &self.point, context);
        let ciphertext = agree(&sender, &self.point)
            .and_then(|secret| binding.derive(&secret, &salt))
            .and_then(|derived| binding.wrap(&derived, &salt, data_key))
            .map_err(|_| WrapError::CipherFailed)?;
        Ok(
            Recipient::new(PROVIDER_ID, &info(&self.point, &sender_point), &ciphertext)
                .expect("every field is short"),
        )
    }
}

/// An elliptic-curve private key that unwraps data keys. It has no `Debug`.
pub struct RawEcdhPrivateKey {
    curve: Curve,
    key: PrivateKey,
    /// The public key, compressed.
    point: Vec<u8>,
}

impl RawEcdhPrivateKey {
    /// The key in this DER `PrivateKeyInfo` (PKCS #8, RFC 5958). The caller wipes its copy of `der`.
    ///
    /// # Errors
    /// [`KeyError::Malformed`]: another curve or encoding.
    pub fn from_pkcs8(der: &[u8], curve: Curve) -> Result<Self, KeyError> {
        let key = PrivateKey::from_private_key_der(curve.algorithm(), der)
            .map_err(|_| KeyError::Malformed)?;
        let point = compressed_point(&key).map_err(|_| KeyError::Malformed)?;
        Ok(Self { curve, key, point })
    }

    /// The key's public half.
    #[must_use]
    pub fn public_key(&self) -> RawEcdhPublicKey {
        RawEcdhPublicKey {
            curve: self.curve,
            point: self.point.clone(),
        }
    }

    /// Whether `recipient` names this key.
    #[must_use]
    pub fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        self.sender_of(recipient).is_some()
    }

    /// Unwraps the data key that `recipient` carries for this key, whoever sent it.
    ///
    /// # Errors
    /// [`UnwrapError::NotAddressed`]: try the next recipient. [`UnwrapError::NotAuthentic`]: wrong context, or damage.
    pub fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, UnwrapError> {
        let sender_point = self.sender_of(recipient).ok_or(UnwrapError::NotAddressed)?;
        let ciphertext: &[u8; CIPHERTEXT_LEN_BYTES] = recipient
            .ciphertext
            .try_into()
            .map_err(|_| UnwrapError::NotAuthentic)?;
        let binding = Binding::new(self.curve, sender_point, &self.point, context);
        agree(&self.key, sender_point)
            .and_then(|secret| binding.derive(&secret, &ciphertext[..SALT_LEN_BYTES]))
            .and_then(|derived| binding.unwrap(&derived, &ciphertext[SALT_LEN_BYTES..]))
            .map_err(|_| UnwrapError::NotAuthentic)
    }

    /// The sender's point, where the recipient's is this key's.
    fn sender_of<'a>(&self, recipient: &RecipientRef<'a>) -> Option<&'a [u8]> {
        if recipient.provider_id != PROVIDER_ID {
            return None;
        }
        let rest = recipient.provider_info.strip_prefix(&[VERSION])?;
        let rest = strip_point(rest, self.point.len())?.strip_prefix(self.point.as_slice())?;
        strip_point(rest, self.point.len()).filter(|sender| sender.len() == self.point.len())
    }
}

/// The provider info: whose keys were agreed.
fn info(recipient_point: &[u8], sender_point: &[u8]) -> Vec<u8> {
    let mut info = vec![VERSION];
    for point in [recipient_point, sender_point] {
        let len = u32::try_from(point.len()).expect("a compressed point is short");
        info.extend_from_slice(&len.to_be_bytes());
        info.extend_from_slice(point);
    }
    info
}

/// What follows a length field that holds `expected`.
fn strip_point(bytes: &[u8], expected: usize) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*len) as usize == expected).then_some(rest)
}

fn compressed_point(key: &PrivateKey) -> Result<Vec<u8>, Unspecified> {
    let point: EcPublicKeyCompressedBin<'_> = key.compute_public_key()?.as_be_bytes()?;
    Ok(point.as_ref().to_vec())
}

fn agree(key: &PrivateKey, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let peer = UnparsedPublicKey::new(key.algorithm(), point);
    agreement::agree(key, peer, Unspecified, |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

/// What ties a wrap to its curve, both public keys and the context: it goes into the derivation and is the wrap's associated data.
struct Binding(Vec<u8>);

impl Binding {
    fn new(curve: Curve, sender: &[u8], recipient: &[u8], context: &Context) -> Self {
        // The specification's text writes the first label in capitals. The SDKs write it so, and they agree.
        Self(
            [
                b"ecdh-key-derivation\0",
                curve.name(),
                b"\0HMAC_SHA384\0",
                sender,
                recipient,
                &[0, VERSION, 0],
                context.as_bytes(),
            ]
            .concat(),
        )
    }

    /// NIST SP 800-108 in counter mode with HMAC-SHA384; the salt stands where that document has its context.
    fn derive(
        &self,
        secret: &[u8],
        salt: &[u8],
    ) -> Result<Zeroizing<[u8; DERIVED_LEN_BYTES]>, Unspecified> {
        let len_bits = (DERIVED_LEN_BYTES as u32 * 8).to_be_bytes();
        let info = [self.0.as_slice(), &[0], salt, &len_bits].concat();
        let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha384);
        let mut derived = Zeroizing::new([0; DERIVED_LEN_BYTES]);
        kbkdf_ctr_hmac(
            algorithm.ok_or(Unspecified)?,
            secret,
            &info,
            derived.as_mut_slice(),
        )?;
        Ok(derived)
    }

    fn wrap(
        &self,
        derived: &[u8; DERIVED_LEN_BYTES],
        salt: &[u8],
        data_key: &DataKey,
    ) -> Result<[u8; CIPHERTEXT_LEN_BYTES], Unspecified> {
        let (commitment, wrapping_key) = derived.split_at(COMMITMENT_LEN_BYTES);
        let mut out = [0; CIPHERTEXT_LEN_BYTES];
        out[..SALT_LEN_BYTES].copy_from_slice(salt);
        out[SALT_LEN_BYTES..WRAPPED_AT].copy_from_slice(commitment);
        let (wrapped, tag) = out[WRAPPED_AT..].split_at_mut(DATA_KEY_LEN_BYTES);
        wrapping(wrapping_key)?.seal_out_of_place_scatter(
            zero_nonce(),
            Aad::from(&self.0),
            data_key.as_bytes(),
            wrapped,
            &[],
            tag,
        )?;
        Ok(out)
    }

    /// Compares the commitment in constant time, then opens. `rest` is the ciphertext without its salt.
    fn unwrap(
        &self,
        derived: &[u8; DERIVED_LEN_BYTES],
        rest: &[u8],
    ) -> Result<DataKey, Unspecified> {
        let (commitment, wrapping_key) = derived.split_at(COMMITMENT_LEN_BYTES);
        let (found, wrapped) = rest.split_at(COMMITMENT_LEN_BYTES);
        verify_slices_are_equal(commitment, found)?;
        let (wrapped, tag) = wrapped.split_at(DATA_KEY_LEN_BYTES);
        let mut data_key = DataKey::zero();
        wrapping(wrapping_key)?.open_separate_gather(
            zero_nonce(),
            Aad::from(&self.0),
            wrapped,
            tag,
            data_key.as_mut_bytes(),
        )?;
        Ok(data_key)
    }
}

fn wrapping(key: &[u8]) -> Result<LessSafeKey, Unspecified> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?))
}

/// The format's nonce: a wrapping key wraps once, since its salt is random.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, EcPublicKeyUncompressedBin, Pkcs8V1Der};

    use super::*;

    const CURVES: [Curve; 2] = [Curve::P256, Curve::P384];

    fn key(curve: Curve) -> RawEcdhPrivateKey {
        let key = PrivateKey::generate(curve.algorithm()).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        RawEcdhPrivateKey::from_pkcs8(der.as_ref(), curve).unwrap()
    }

    fn context() -> Context {
        Context::from_pairs([("path", "/a")]).unwrap()
    }

    #[test]
    fn unwraps_what_was_wrapped_for_it_in_the_same_context_only() {
        for curve in CURVES {
            let (key, other) = (key(curve), key(curve));
            let data_key = DataKey::generate().unwrap();
            let public = key.public_key();
            let recipient = public.wrap(&data_key, &context()).unwrap();
            assert_eq!(recipient.as_bytes().len(), public.recipient_len_bytes());
            let fields = recipient.fields();
            assert!(public.is_named_by(&fields) && !other.public_key().is_named_by(&fields));
            let unwrapped = key.unwrap(&fields, &context()).unwrap();
            assert!(unwrapped.as_bytes() == data_key.as_bytes());
            assert_eq!(
                key.unwrap(&fields, &Context::empty()).err(),
                Some(UnwrapError::NotAuthentic)
            );
            assert_eq!(
                other.unwrap(&fields, &context()).err(),
                Some(UnwrapError::NotAddressed)
            );
        }
    }

    #[test]
    fn every_byte_counts() {
        for curve in CURVES {
            let key = key(curve);
            let data_key = DataKey::generate().unwrap();
            let recipient = key.public_key().wrap(&data_key, &context()).unwrap();
            let fields = recipient.fields();
            for place in 0..fields.ciphertext.len() {
                let mut damaged = fields.ciphertext.to_vec();
                damaged[place] ^= 1;
                let damaged = RecipientRef {
                    ciphertext: &damaged,
                    ..fields
                };
                let refused = key.unwrap(&damaged, &context()).err();
                assert_eq!(refused, Some(UnwrapError::NotAuthentic), "byte {place}");
            }
            for place in 0..fields.provider_info.len() {
                let mut damaged = fields.provider_info.to_vec();
                damaged[place] ^= 1;
                let damaged = RecipientRef {
                    provider_info: &damaged,
                    ..fields
                };
                assert!(key.unwrap(&damaged, &context()).is_err(), "info {place}");
                let cut = RecipientRef {
                    provider_info: &fields.provider_info[..place],
                    ..fields
                };
                assert_eq!(
                    key.unwrap(&cut, &context()).err(),
                    Some(UnwrapError::NotAddressed)
                );
            }
        }
    }

    #[test]
    fn reads_every_encoding_of_a_public_key_and_no_other_curve() {
        for (curve, other) in [(CURVES[0], CURVES[1]), (CURVES[1], CURVES[0])] {
            let private = key(curve);
            let public = private.key.compute_public_key().unwrap();
            let point: EcPublicKeyUncompressedBin<'_> = public.as_be_bytes().unwrap();
            let der = [curve.public_key_info_prefix(), point.as_ref()].concat();
            for read in [
                RawEcdhPublicKey::from_der(&der, curve),
                RawEcdhPublicKey::from_point(point.as_ref(), curve),
                RawEcdhPublicKey::from_point(&private.point, curve),
            ] {
                assert_eq!(read.ok().unwrap().as_point(), private.point);
            }
            let refused = |read: Result<RawEcdhPublicKey, KeyError>| {
                assert_eq!(read.err(), Some(KeyError::Malformed));
            };
            refused(RawEcdhPublicKey::from_der(&der, other));
            refused(RawEcdhPublicKey::from_der(point.as_ref(), curve));
            refused(RawEcdhPublicKey::from_point(&private.point, other));
            let mut off_curve = point.as_ref().to_vec();
            *off_curve.last_mut().unwrap() ^= 2;
            refused(RawEcdhPublicKey::from_point(&off_curve, curve));
            refused(RawEcdhPublicKey::from_point(&[0], curve));
            assert!(RawEcdhPrivateKey::from_pkcs8(&der, curve).is_err());
            let private: Pkcs8V1Der<'_> = private.key.as_der().unwrap();
            assert!(RawEcdhPrivateKey::from_pkcs8(private.as_ref(), other).is_err());
        }
    }
}
