//! Why a message was refused, and where. Every reason is the fault of whoever wrote the bytes, or of a wrong key.

use thiserror::Error;

use crate::context::ContextFault;

/// A refused message: the first byte that is wrong, and what is wrong with it. It holds no bytes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("message refused at byte {offset}: {reason}")]
pub struct Refusal {
    /// Offset from the first byte of the message: of the field at fault, or, where a tag does not verify, of what the tag protects.
    pub offset: u64,
    /// What is wrong there.
    pub reason: RefusalReason,
}

/// What is wrong with a refused message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RefusalReason {
    /// A message format other than version 2.
    #[error("message version {version}, expected 2")]
    Version {
        /// The version that stands there.
        version: u8,
    },
    /// A suite of the AWS Encryption SDK that does not commit to its key.
    #[error("algorithm suite {suite:#06x} does not commit to its key, expected 0x0478 or 0x0578")]
    SuiteWithoutCommitment {
        /// The suite's number.
        suite: u16,
    },
    /// A suite number that the format does not define.
    #[error("unknown algorithm suite {suite:#06x}, expected 0x0478 or 0x0578")]
    UnknownSuite {
        /// The suite's number.
        suite: u16,
    },
    /// The context is malformed.
    #[error("context: {0}")]
    Context(ContextFault),
    /// No recipient at all: nobody could open the message.
    #[error("no recipients")]
    NoRecipients,
    /// More recipients than the limit.
    #[error("{count} recipients, at most {most}")]
    TooManyRecipients {
        /// How many the header announces.
        count: u16,
        /// The limit.
        most: u16,
    },
    /// The header does not end within the limit.
    #[error("header longer than {most} bytes")]
    HeaderTooLong {
        /// The limit.
        most: usize,
    },
    /// The bytes ended inside the header.
    #[error("cut short inside the header")]
    HeaderCutShort,
    /// Content that is not framed.
    #[error("content type {content_type}, expected 2 (framed)")]
    NotFramed {
        /// The content type that stands there.
        content_type: u8,
    },
    /// A frame length of zero or above the limit.
    #[error("frame length {frame_len_bytes}, expected 1 to {most}")]
    FrameLen {
        /// The frame length that stands there.
        frame_len_bytes: u32,
        /// The limit.
        most: u32,
    },
    /// The header commits to another data key.
    #[error("the header commits to another data key")]
    CommitmentMismatch,
    /// The header is not what the holder of the data key wrote.
    #[error("header tag does not verify")]
    HeaderTagMismatch,
    /// A signer's public key in the context of a suite that has no signature.
    #[error("a signer's public key in a suite without signatures")]
    SignerKeyUnexpected,
    /// No signer's public key in the context of a suite that has a signature.
    #[error("no signer's public key in a suite with signatures")]
    SignerKeyMissing,
    /// The signer's public key is not a compressed P-384 point in base64.
    #[error("the signer's public key is not a compressed P-384 point in base64")]
    SignerKeyMalformed,
    /// A frame number other than the next one.
    #[error("frame number {found}, expected {expected}")]
    FrameOutOfOrder {
        /// The number that was due.
        expected: u32,
        /// The number that stands there.
        found: u32,
    },
    /// A frame whose IV is not its number.
    #[error("the IV of frame {frame} is not its number")]
    FrameNonce {
        /// The frame's number.
        frame: u32,
    },
    /// A final frame longer than the header's frame length.
    #[error("final frame of {len_bytes} bytes, at most {most}")]
    FinalFrameTooLong {
        /// The length that stands there.
        len_bytes: u32,
        /// The header's frame length.
        most: u32,
    },
    /// A frame is not what the holder of the data key wrote. Nothing of it was released.
    #[error("the tag of frame {frame} does not verify")]
    FrameTagMismatch {
        /// The frame's number.
        frame: u32,
    },
    /// The bytes ended before the final frame was complete.
    #[error("cut short: the final frame is missing")]
    FinalFrameMissing,
    /// The bytes ended before the footer of suite `0x0578` was complete.
    #[error("cut short: the signature is missing")]
    FooterMissing,
    /// A signature longer than any on P-384, or an empty one.
    #[error("signature of {len_bytes} bytes, expected 1 to {most}")]
    SignatureLen {
        /// The length that stands there.
        len_bytes: u16,
        /// The limit.
        most: u16,
    },
    /// The signature over the whole message does not verify. Plaintext that was released before is not to be believed.
    #[error("the signature does not verify")]
    SignatureMismatch,
    /// Bytes stand after the end of the message.
    #[error("bytes after the end of the message")]
    BytesAfterEnd,
}

impl Refusal {
    /// A refusal at a place in memory, which is always within `u64`.
    pub(crate) fn at(offset: usize, reason: RefusalReason) -> Self {
        Self {
            offset: offset as u64,
            reason,
        }
    }

    /// The refusal that is due when the bytes end while [`crate::Header::parse`] still needs more; `len_bytes` is how many there were.
    #[must_use]
    pub fn header_cut_short(len_bytes: usize) -> Self {
        Self::at(len_bytes, RefusalReason::HeaderCutShort)
    }
}
