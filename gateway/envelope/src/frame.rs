//! A frame as it stands in a message: its head, its IV, and what its tag authenticates.

use aws_lc_rs::aead::NONCE_LEN;

use crate::header::TAG_LEN_BYTES;
use crate::refusal::RefusalReason;
use crate::suite::MESSAGE_ID_LEN_BYTES;

/// What announces a final frame, where a regular one carries its number.
const FINAL_MARK: [u8; 4] = [0xFF; 4];
/// Before a regular frame's ciphertext: number and IV.
const REGULAR_HEAD_LEN_BYTES: usize = 4 + NONCE_LEN;
/// Before a final frame's ciphertext: mark, number, IV, length.
const FINAL_HEAD_LEN_BYTES: usize = 4 + 4 + NONCE_LEN + 4;
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

/// The first bytes of a frame, as far as they are there.
pub(crate) enum FrameHead {
    NeedMore { total_len: usize },
    Whole(Frame),
}

/// A frame whose head was read: what and how long it is, before its tag was looked at.
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) number: u32,
    pub(crate) head_len: usize,
    pub(crate) plaintext_len: usize,
}

impl Frame {
    pub(crate) fn total_len(&self) -> usize {
        self.head_len + self.plaintext_len + TAG_LEN_BYTES
    }
}

/// Writes the head of a frame to the start of `sealed`; gives the rest, for ciphertext and tag.
pub(crate) fn write_head(
    kind: FrameKind,
    number: u32,
    plaintext_len: usize,
    sealed: &mut [u8],
) -> &mut [u8] {
    let mut rest = sealed;
    let mut put = |field: &[u8]| {
        let (head, after) = std::mem::take(&mut rest).split_at_mut(field.len());
        head.copy_from_slice(field);
        rest = after;
    };
    if kind == FrameKind::Final {
        put(&FINAL_MARK);
    }
    put(&number.to_be_bytes());
    put(&iv(number));
    if kind == FrameKind::Final {
        let len = u32::try_from(plaintext_len).expect("a frame is at most 4 MiB");
        put(&len.to_be_bytes());
    }
    rest
}

/// Reads as much of a frame's head as `bytes` hold, and refuses what can be refused without its tag. A refusal comes with its offset in
/// the frame.
pub(crate) fn read_head(
    bytes: &[u8],
    expected: u32,
    frame_len: u32,
) -> Result<FrameHead, (usize, RefusalReason)> {
    let Some(mark) = bytes.first_chunk::<4>() else {
        return Ok(FrameHead::NeedMore { total_len: 4 });
    };
    let (kind, number_at, head_len) = if *mark == FINAL_MARK {
        (FrameKind::Final, 4, FINAL_HEAD_LEN_BYTES)
    } else {
        (FrameKind::Regular, 0, REGULAR_HEAD_LEN_BYTES)
    };
    let number = match be_u32(bytes, number_at) {
        Some(found) if found != expected => {
            return Err((
                number_at,
                RefusalReason::FrameOutOfOrder { expected, found },
            ));
        }
        Some(number) => number,
        None => {
            return Ok(FrameHead::NeedMore {
                total_len: head_len,
            });
        }
    };
    if bytes.len() < head_len {
        return Ok(FrameHead::NeedMore {
            total_len: head_len,
        });
    }
    if !bytes[number_at + 4..].starts_with(&iv(number)) {
        return Err((number_at + 4, RefusalReason::FrameNonce { frame: number }));
    }
    let len_bytes = match kind {
        FrameKind::Regular => frame_len,
        FrameKind::Final => {
            be_u32(bytes, FINAL_HEAD_LEN_BYTES - 4).expect("the whole head is there")
        }
    };
    if len_bytes > frame_len {
        let reason = RefusalReason::FinalFrameTooLong {
            len_bytes,
            most: frame_len,
        };
        return Err((FINAL_HEAD_LEN_BYTES - 4, reason));
    }
    Ok(FrameHead::Whole(Frame {
        kind,
        number,
        head_len,
        plaintext_len: len_bytes as usize,
    }))
}

/// A frame's IV: its number, big endian.
pub(crate) fn iv(number: u32) -> [u8; NONCE_LEN] {
    let mut iv = [0; NONCE_LEN];
    iv[NONCE_LEN - 4..].copy_from_slice(&number.to_be_bytes());
    iv
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
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
