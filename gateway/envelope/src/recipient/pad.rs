//! The pad: a recipient that nobody holds a key for. It fills the header to a fixed size, so that a plaintext's size follows from the
//! message's size alone.

use super::{Recipient, serialized_len};

/// The provider id of the pad.
pub const PAD_PROVIDER_ID: &str = "sealgate-pad";

/// The provider info of the pad. Not empty, because the Node SDK refuses messages with an empty one.
const PAD_PROVIDER_INFO: &[u8] = b"pad";

/// The shortest pad: one byte of ciphertext.
pub(crate) const PAD_LEN_BYTES_LEAST: usize = pad_len_bytes(1);

/// The pad that takes `len_bytes` in the header; `None` where none is that short or that long.
pub(crate) fn pad(len_bytes: usize) -> Option<Recipient> {
    let fill_len = len_bytes.checked_sub(pad_len_bytes(0))?;
    Recipient::new(
        PAD_PROVIDER_ID.as_bytes(),
        PAD_PROVIDER_INFO,
        &vec![0; fill_len],
    )
    .ok()
}

const fn pad_len_bytes(fill_len: usize) -> usize {
    serialized_len(PAD_PROVIDER_ID.len(), PAD_PROVIDER_INFO.len(), fill_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pad_is_as_long_as_asked() {
        for len in [PAD_LEN_BYTES_LEAST, PAD_LEN_BYTES_LEAST + 1, 4096, 65_000] {
            assert_eq!(pad(len).unwrap().as_bytes().len(), len);
        }
        assert!(pad(PAD_LEN_BYTES_LEAST - 1).is_none());
        assert!(pad(0).is_none());
        assert!(pad(70_000).is_none());
    }
}
