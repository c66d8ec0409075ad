//! The seed of an X-Wing private key: 32 bytes, the form in which the draft has private keys kept (draft-connolly-cfrg-xwing-kem, §5.2).
//!
//! ```text
//! seed --SHAKE256--> d | z | X25519 private key     d | z --ML-KEM-768 KeyGen--> decapsulation key
//! ```
//!
//! The one place where ML-KEM is not aws-lc's: its Rust interface makes no key from a seed. Only the expansion is done here; what is
//! wrapped and unwrapped with the key goes through aws-lc.

use aws_lc_rs::rand;
use ml_kem::{DecapsulationKey, MlKem768, Seed};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use zeroize::{Zeroize, Zeroizing};

use super::KeyError;
use super::xwing::{XWING_PRIVATE_KEY_LEN_BYTES, XwingPrivateKey};
use crate::data_key::RandomUnavailable;

/// Length of a seed.
pub const XWING_SEED_LEN_BYTES: usize = 32;

/// ML-KEM's two seeds, `d` and `z`.
const ML_KEM_SEED_LEN_BYTES: usize = 64;
const EXPANDED_LEN_BYTES: usize = ML_KEM_SEED_LEN_BYTES + 32;

/// What an X-Wing private key is made from, and how it is kept. It has no `Debug` and is wiped on drop.
pub struct XwingSeed {
    bytes: Box<Zeroizing<[u8; XWING_SEED_LEN_BYTES]>>,
}

impl XwingSeed {
    /// A fresh seed.
    ///
    /// # Errors
    /// [`RandomUnavailable`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        let mut seed = Self::from_bytes(&[0; XWING_SEED_LEN_BYTES]);
        rand::fill(seed.bytes.as_mut_slice()).map_err(|_| RandomUnavailable)?;
        Ok(seed)
    }

    /// The seed with these bytes. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; XWING_SEED_LEN_BYTES]) -> Self {
        Self {
            bytes: Box::new(Zeroizing::new(*bytes)),
        }
    }

    /// The secret bytes, for keeping them.
    #[must_use]
    pub fn expose(&self) -> &[u8; XWING_SEED_LEN_BYTES] {
        &self.bytes
    }

    /// The private key: X-Wing's `expandDecapsulationKey`.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] where the library refuses the expanded key: a bug, since every seed has one.
    pub fn private_key(&self) -> Result<XwingPrivateKey, KeyError> {
        let mut expanded = Zeroizing::new([0; EXPANDED_LEN_BYTES]);
        let mut shake = Shake256::default();
        shake.update(self.bytes.as_slice());
        shake.finalize_xof().read(expanded.as_mut_slice());

        let (ml_kem_seed, x25519) = expanded.split_at(ML_KEM_SEED_LEN_BYTES);
        let mut seed = Seed::try_from(ml_kem_seed).map_err(|_| KeyError::Malformed)?;
        let ml_kem = DecapsulationKey::<MlKem768>::from_seed(seed);
        seed.zeroize();

        let mut bytes = Zeroizing::new([0; XWING_PRIVATE_KEY_LEN_BYTES]);
        let (ml_kem_part, x25519_part) =
            bytes.split_at_mut(XWING_PRIVATE_KEY_LEN_BYTES - x25519.len());
        let mut expanded_key = expanded_bytes(&ml_kem);
        ml_kem_part.copy_from_slice(&expanded_key);
        expanded_key.zeroize();
        x25519_part.copy_from_slice(x25519);
        XwingPrivateKey::from_bytes(&bytes)
    }
}

#[expect(
    deprecated,
    reason = "the expanded form is what the other library takes; it is never stored"
)]
fn expanded_bytes(key: &DecapsulationKey<MlKem768>) -> ml_kem::ExpandedDecapsulationKey<MlKem768> {
    ml_kem::ExpandedKeyEncoding::to_expanded_bytes(key)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        seed: String,
        private_key_expanded: String,
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn expands_as_the_draft_does() {
        let vectors = include_str!("../../tests/vectors/xwing/xwing.json");
        let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let seed = hex(&vector.seed);
            let key = XwingSeed::from_bytes(seed.first_chunk().unwrap())
                .private_key()
                .ok()
                .unwrap();
            let expanded = hex(&vector.private_key_expanded);
            assert_eq!(key.to_bytes().unwrap().as_slice(), expanded);
        }
    }

    #[test]
    fn seeds_are_fresh() {
        let (one, other) = (
            XwingSeed::generate().unwrap(),
            XwingSeed::generate().unwrap(),
        );
        assert_ne!(one.expose(), other.expose());
    }
}
