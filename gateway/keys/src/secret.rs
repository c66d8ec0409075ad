//! Secret bytes: one place on the heap, wiped on drop, compared in constant time, never shown.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use sealgate_envelope::RandomUnavailable;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// `N` secret bytes. No `Debug`, no `Clone`, no `PartialEq`; see [`Secret::ct_eq`].
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize> {
    bytes: Box<[u8; N]>,
}

/// Bytes of the wrong number for a secret. It does not hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{found} bytes, expected {expected}")]
pub struct SecretLen {
    /// How many there were.
    pub found: usize,
    /// How many the secret has.
    pub expected: usize,
}

impl<const N: usize> Secret<N> {
    /// A fresh random secret.
    ///
    /// # Errors
    /// [`RandomUnavailable`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        let mut secret = Self::zero();
        rand::fill(secret.bytes.as_mut_slice()).map_err(|_| RandomUnavailable)?;
        Ok(secret)
    }

    /// Takes the secret over from `bytes`, which are wiped.
    ///
    /// # Errors
    /// [`SecretLen`] when there are not `N` of them; they are wiped all the same.
    pub fn take_from(bytes: &mut [u8]) -> Result<Self, SecretLen> {
        let mut secret = Self::zero();
        let found = bytes.len();
        if found == N {
            secret.bytes.copy_from_slice(bytes);
        }
        bytes.zeroize();
        if found == N {
            Ok(secret)
        } else {
            Err(SecretLen { found, expected: N })
        }
    }

    /// The secret bytes. Whoever borrows them makes no copy that outlives the use.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.bytes
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.bytes.as_slice(), other.bytes.as_slice()).is_ok()
    }

    /// A secret that is about to be filled in place.
    pub(crate) fn zero() -> Self {
        Self {
            bytes: Box::new([0; N]),
        }
    }

    /// Where an unwrapped secret is put.
    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8; N] {
        &mut self.bytes
    }
}

/// Text that holds a secret, wiped on drop.
pub(crate) type SecretText = Zeroizing<String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_over_and_wipes_the_source() {
        let mut source = [7; 4];
        let secret = Secret::<4>::take_from(&mut source).ok().unwrap();
        assert_eq!((source, *secret.expose()), ([0; 4], [7; 4]));
        let mut short = [7; 3];
        assert_eq!(
            Secret::<4>::take_from(&mut short).err(),
            Some(SecretLen {
                found: 3,
                expected: 4
            })
        );
        assert_eq!(short, [0; 3]);
    }

    #[test]
    fn equal_secrets_are_equal_and_others_are_not() {
        let [a, b, c] = [[1, 2], [1, 2], [1, 3]]
            .map(|mut bytes| Secret::<2>::take_from(&mut bytes).ok().unwrap());
        assert!(a.ct_eq(&b));
        assert!(!a.ct_eq(&c));
        assert!(
            !Secret::<32>::generate()
                .unwrap()
                .ct_eq(&Secret::generate().unwrap())
        );
    }
}
