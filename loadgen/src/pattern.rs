//! The bytes that are sent: the same pseudo-random chunk over and over, shared and never copied.

use std::sync::OnceLock;

/// Bytes in the repeated chunk: one write of the stream.
pub const PATTERN_LEN_BYTES: usize = 256 * 1024;

/// The process-wide chunk.
#[derive(Debug, Clone, Copy)]
pub struct Pattern(&'static [u8]);

impl Pattern {
    /// The chunk; the first call of the process makes it.
    pub fn new() -> Self {
        // Not counted references: threads that count together would meet on every request.
        static CHUNK: OnceLock<Vec<u8>> = OnceLock::new();
        Self(CHUNK.get_or_init(|| xorshift(PATTERN_LEN_BYTES)))
    }

    /// The next chunk of a body of which `left` bytes are still to send.
    pub fn chunk(self, left: u64) -> &'static [u8] {
        let len = usize::try_from(left).unwrap_or(usize::MAX);
        &self.0[..len.min(self.0.len())]
    }

    /// Where `bytes` first differ from those of a body at `offset`; none when they are the same.
    pub fn first_difference(self, offset: u64, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let start = ((offset + at as u64) % self.0.len() as u64) as usize;
            let expected = &self.0[start..];
            let len = expected.len().min(bytes.len() - at);
            let (found, expected) = (&bytes[at..at + len], &expected[..len]);
            // The comparison of slices is vectorised; the search runs only where they differ.
            if found != expected {
                let differs = found.iter().zip(expected).position(|(a, b)| a != b);
                return differs.map(|differs| at + differs);
            }
            at += len;
        }
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_byte_is_found_wherever_it_is() {
        let pattern = Pattern::new();
        let body = [pattern.0, pattern.0, &pattern.0[..5]].concat();
        assert_eq!(pattern.first_difference(0, &body), None);
        assert_eq!(pattern.first_difference(3, &body[3..]), None);
        for at in [
            0,
            1,
            PATTERN_LEN_BYTES - 1,
            PATTERN_LEN_BYTES,
            body.len() - 1,
        ] {
            let mut damaged = body.clone();
            damaged[at] ^= 0x80;
            assert_eq!(pattern.first_difference(0, &damaged), Some(at));
        }
    }
}
