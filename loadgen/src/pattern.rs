//! The bytes that are sent: the same pseudo-random chunk over and over, shared and never copied.

use std::sync::OnceLock;

use bytes::Bytes;

/// Bytes in the repeated chunk: one write of the stream.
pub const PATTERN_LEN_BYTES: usize = 256 * 1024;

/// A handle to the process-wide chunk.
#[derive(Debug, Clone)]
pub struct Pattern(Bytes);

impl Pattern {
    /// The chunk; the first call of the process makes it.
    pub fn new() -> Self {
        static CHUNK: OnceLock<Bytes> = OnceLock::new();
        Self(
            CHUNK
                .get_or_init(|| xorshift(PATTERN_LEN_BYTES).into())
                .clone(),
        )
    }

    /// The next chunk of a body of which `left` bytes are still to send.
    pub fn chunk(&self, left: u64) -> Bytes {
        self.0.slice(
            ..usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.0.len()),
        )
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::new()
    }
}

/// Fixed bytes that do not compress (xorshift64*, Vigna 2016): every run sends the same.
fn xorshift(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
