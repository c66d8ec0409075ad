//! The footer of suite `0x0578`: an ECDSA P-384 signature over everything before it.

use aws_lc_rs::digest::{self, SHA384};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::context::Context;
use crate::refusal::RefusalReason;

/// The context key under which the signer's public key travels.
const PUBLIC_KEY: &str = "aws-crypto-public-key";
/// A compressed P-384 point: sign byte and one coordinate.
const COMPRESSED_POINT_LEN_BYTES: usize = 49;

/// Whether the context carries a signer's public key.
pub(crate) fn has_public_key(context: &Context) -> bool {
    context.value(PUBLIC_KEY).is_some()
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
