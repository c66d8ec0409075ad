//! The data key of one message.

use aws_lc_rs::rand;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of a data key: both suites derive from 32 bytes.
pub const DATA_KEY_LEN_BYTES: usize = 32;

/// The system gave no random bytes. The operator's fault, or the kernel's; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gave no random bytes")]
pub struct RandomUnavailable;

/// The secret that one message's keys are derived from. It has no `Debug`, stays in one place on the heap and is wiped on drop.
///
/// A data key serves one message and one context: its wrapped form authenticates the context (`ENVELOPE.md`, "Recipient").
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DataKey {
    bytes: Box<[u8; DATA_KEY_LEN_BYTES]>,
}

impl DataKey {
    /// A fresh random data key.
    ///
    /// # Errors
    /// [`RandomUnavailable`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        let mut data_key = Self::zero();
        rand::fill(data_key.bytes.as_mut_slice()).map_err(|_| RandomUnavailable)?;
        Ok(data_key)
    }

    /// The data key with these bytes. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; DATA_KEY_LEN_BYTES]) -> Self {
        let mut data_key = Self::zero();
        data_key.bytes.copy_from_slice(bytes);
        data_key
    }

    /// A data key that is about to be filled in place, so that no copy stays behind on the stack.
    pub(crate) fn zero() -> Self {
        Self {
            bytes: Box::new([0; DATA_KEY_LEN_BYTES]),
        }
    }

    /// The secret bytes, for wrapping them.
    pub(crate) fn as_bytes(&self) -> &[u8; DATA_KEY_LEN_BYTES] {
        &self.bytes
    }

    /// Where an unwrapped key is put.
    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8; DATA_KEY_LEN_BYTES] {
        &mut self.bytes
    }
}
