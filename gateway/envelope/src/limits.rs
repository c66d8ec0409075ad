//! Every bound of the format, in one place. Sources: `ENVELOPE.md`, "Refuse, with a typed error" and "Limits".

/// Longest header that is read or written, tag included.
pub const HEADER_LEN_BYTES_MOST: usize = 64 * 1024;

/// Most recipients of one message, the pad included, unless [`crate::HeaderLimits`] says otherwise.
pub const RECIPIENTS_MOST: u16 = 16;

/// Longest frame that is read or written: 4 MiB. One frame is the most that a [`crate::Sealer`] or [`crate::Opener`] buffers.
pub const FRAME_LEN_BYTES_MOST: u32 = 4 * 1024 * 1024;

/// The frame length that is written unless the route says otherwise.
pub const FRAME_LEN_BYTES_DEFAULT: u32 = 64 * 1024;

/// Most frames of one message, the final one included. The number `0xFFFF_FFFF` may only be a final frame's, because the same bytes
/// announce a final frame where a regular one would carry its number.
pub const FRAMES_MOST: u32 = u32::MAX;

/// Longest signature in the footer of suite `0x0578`. A DER signature on P-384 has at most 104 bytes.
pub const SIGNATURE_LEN_BYTES_MOST: u16 = 104;

/// Hard stop for wraps under one wrapping key with random 96-bit nonces: 2^30 keeps the chance of a repeated nonce near 2^-37.
pub const WRAPS_MOST: u64 = 1 << 30;

/// Most ciphertext that [`crate::RangeOpener`] reads at once, unless a single frame is longer.
pub const RANGE_READ_LEN_BYTES: usize = 256 * 1024;

/// Plaintext that one thread of [`crate::Sealer::write_on`] seals before it looks for more. About a fifth of a millisecond of work, next to
/// which taking the next part costs nothing.
pub const SEAL_PART_LEN_BYTES: usize = 1024 * 1024;

/// Most threads of one [`crate::Sealer::write_on`].
pub const SEAL_THREADS_MOST: usize = 64;
