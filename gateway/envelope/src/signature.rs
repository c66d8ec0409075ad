//! The footer of suite `0x0578`: an ECDSA P-384 signature over everything before it.

use aws_lc_rs::digest::{self, SHA384};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::context::Context;
use crate::refusal::RefusalReason;
use crate::seal::{SealError, begin};

/// The context key under which the signer's public key travels.
const PUBLIC_KEY: &str = "aws-crypto-public-key";
/// A compressed P-384 point: sign byte and one coordinate.
const COMPRESSED_POINT_LEN_BYTES: usize = 49;

/// Length of every signature that is written. Shorter and longer ones are drawn anew, as the SDKs do, so that a message's size says nothing
/// and follows from its plaintext's.
const WRITTEN_LEN_BYTES: u16 = 103;
/// A signature has the wanted length about every other time, so this bound is met once in 2^100 messages.
const DRAWS_MOST: usize = 128;
/// Length of every footer that is written.
pub(crate) const FOOTER_LEN_BYTES: usize = 2 + WRITTEN_LEN_BYTES as usize;

/// Whether the context carries a signer's public key.
pub(crate) fn has_public_key(context: &Context) -> bool {
    context.value(PUBLIC_KEY).is_some()
}

/// The pairs beside the signer's public key.
pub(crate) fn without_public_key(context: &Context) -> Context {
    let pairs = context.pairs().filter(|(key, _)| *key != PUBLIC_KEY);
    Context::from_pairs(pairs).expect("part of a context is a context")
}

/// Digests a message as it passes, to verify its footer in the end.
pub(crate) struct FooterVerifier {
    public_key: ParsedPublicKey,
    digest: digest::Context,
}

impl FooterVerifier {
    /// The verifier under the public key in the (authenticated) context.
    pub(crate) fn new(context: &Context) -> Result<Self, RefusalReason> {
        let encoded = context
            .value(PUBLIC_KEY)
            .ok_or(RefusalReason::SignerKeyMissing)?;
        let point = STANDARD
            .decode(encoded)
            .map_err(|_| RefusalReason::SignerKeyMalformed)?;
        if point.len() != COMPRESSED_POINT_LEN_BYTES {
            return Err(RefusalReason::SignerKeyMalformed);
        }
        let public_key = ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point)
            .map_err(|_| RefusalReason::SignerKeyMalformed)?;
        Ok(Self {
            public_key,
            digest: digest::Context::new(&SHA384),
        })
    }

    /// Takes the next bytes that the signature covers.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// Whether `signature` is the signer's over all bytes so far.
    pub(crate) fn verify(&self, signature: &[u8]) -> bool {
        self.public_key
            .verify_digest_sig(&self.digest.clone().finish(), signature)
            .is_ok()
    }
}

/// A key pair that signs one message of suite `0x0578`, with the context that carries its public half.
///
/// The pair is fresh, so the signature names nobody. It lets those who trust the data key's wrap tell whether another holder of the data
/// key changed the message, and it costs about 200 bytes and three operations on P-384.
pub struct Signer {
    key_pair: EcdsaKeyPair,
    digest: digest::Context,
    context: Context,
}

impl Signer {
    /// A fresh key pair for a message that stores `context`.
    ///
    /// # Errors
    /// [`SealError::ReservedContextKey`], [`SealError::ContextTooLong`], or [`SealError::CipherFailed`] where the library fails.
    pub fn new(context: &Context) -> Result<Self, SealError> {
        begin::refuse_reserved_keys(context)?;
        let key_pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
            .map_err(|_| SealError::CipherFailed)?;
        let point: EcPublicKeyCompressedBin<'_> = key_pair
            .public_key()
            .as_be_bytes()
            .map_err(|_| SealError::CipherFailed)?;
        let pair = [(PUBLIC_KEY, STANDARD.encode(point.as_ref()))];
        let pair = Context::from_pairs(pair).map_err(|_| SealError::ContextTooLong)?;
        Ok(Self {
            key_pair,
            digest: digest::Context::new(&SHA384),
            context: context
                .joined_with(&pair)
                .map_err(|_| SealError::ContextTooLong)?,
        })
    }

    /// The context with the public key: what recipients are wrapped in.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Takes the next bytes that the signature covers.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The footer: the signature over all bytes so far, after its length.
    pub(crate) fn footer(self) -> Result<[u8; FOOTER_LEN_BYTES], Unspecified> {
        let digest = self.digest.finish();
        for _ in 0..DRAWS_MOST {
            let signature = self.key_pair.sign_digest(&digest)?;
            if signature.as_ref().len() == usize::from(WRITTEN_LEN_BYTES) {
                let mut footer = [0; FOOTER_LEN_BYTES];
                footer[..2].copy_from_slice(&WRITTEN_LEN_BYTES.to_be_bytes());
                footer[2..].copy_from_slice(signature.as_ref());
                return Ok(footer);
            }
        }
        Err(Unspecified)
    }
}
