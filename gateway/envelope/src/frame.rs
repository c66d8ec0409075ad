//! What sealing and opening a frame share: its layout, its IV, and what its tag authenticates.

use aws_lc_rs::aead::{NONCE_LEN, Nonce};

use crate::header::TAG_LEN_BYTES;
use crate::suite::MESSAGE_ID_LEN_BYTES;

/// What announces a final frame, where a regular one carries its number.
pub(crate) const FINAL_MARK: [u8; 4] = [0xFF; 4];
/// Before a regular frame's ciphertext: number and IV.
pub(crate) const REGULAR_HEAD_LEN_BYTES: usize = 4 + NONCE_LEN;
/// Before a final frame's ciphertext: mark, number, IV, length.
pub(crate) const FINAL_HEAD_LEN_BYTES: usize = 4 + 4 + NONCE_LEN + 4;
/// What a regular frame adds to its plaintext.
pub(crate) const REGULAR_OVERHEAD_BYTES: usize = REGULAR_HEAD_LEN_BYTES + TAG_LEN_BYTES;
/// What the final frame adds to its plaintext.
pub(crate) const FINAL_OVERHEAD_BYTES: usize = FINAL_HEAD_LEN_BYTES + TAG_LEN_BYTES;

const REGULAR_LABEL: &[u8] = b"AWSKMSEncryptionClient Frame";
const FINAL_LABEL: &[u8] = b"AWSKMSEncryptionClient Final Frame";
const AAD_LEN_BYTES_MOST: usize = MESSAGE_ID_LEN_BYTES + FINAL_LABEL.len() + 4 + 8;

/// Which of the two kinds a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Regular,
    Final,
}

/// A frame's IV: its number, big endian.
pub(crate) fn iv(number: u32) -> [u8; NONCE_LEN] {
    let mut iv = [0; NONCE_LEN];
    iv[NONCE_LEN - 4..].copy_from_slice(&number.to_be_bytes());
    iv
}

/// The frame's IV as a nonce. A message key seals each number once.
pub(crate) fn nonce(number: u32) -> Nonce {
    Nonce::assume_unique_for_key(iv(number))
}

/// What a frame's tag authenticates besides its ciphertext. It lives on the stack.
pub(crate) struct FrameAad {
    bytes: [u8; AAD_LEN_BYTES_MOST],
    len: usize,
}

impl FrameAad {
    pub(crate) fn new(
        message_id: &[u8; MESSAGE_ID_LEN_BYTES],
        kind: FrameKind,
        number: u32,
        plaintext_len: usize,
    ) -> Self {
        let label = match kind {
            FrameKind::Regular => REGULAR_LABEL,
            FrameKind::Final => FINAL_LABEL,
        };
        let mut aad = Self {
            bytes: [0; AAD_LEN_BYTES_MOST],
            len: 0,
        };
        aad.push(message_id);
        aad.push(label);
        aad.push(&number.to_be_bytes());
        aad.push(&(plaintext_len as u64).to_be_bytes());
        aad
    }

    fn push(&mut self, field: &[u8]) {
        self.bytes[self.len..self.len + field.len()].copy_from_slice(field);
        self.len += field.len();
    }
}

impl AsRef<[u8]> for FrameAad {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
