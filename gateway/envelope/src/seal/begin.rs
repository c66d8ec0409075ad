//! The first step of sealing: what is asked for is checked, the keys are derived, the header is written.

use aws_lc_rs::rand;
use thiserror::Error;

use crate::context::{Context, ContextFault};
use crate::data_key::{DataKey, RandomUnavailable};
use crate::header;
use crate::limits::{
    FRAME_LEN_BYTES_DEFAULT, FRAME_LEN_BYTES_MOST, HEADER_LEN_BYTES_MOST, RECIPIENTS_MOST,
};
use crate::message_key::MessageKey;
use crate::recipient::Recipient;
use crate::recipient::pad::{PAD_LEN_BYTES_LEAST, pad};
use crate::suite::{Derivation, MESSAGE_ID_LEN_BYTES, Suite};

/// Keys of the context that the AWS Encryption SDK keeps for itself.
const RESERVED_KEY_PREFIX: &str = "aws-crypto-";

/// How a message is laid out. A route's setting; every message of the route has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealSettings {
    /// Plaintext bytes in each regular frame: 1 to 4 MiB, 64 KiB by default. What a reader must buffer before it may release a byte.
    pub frame_len_bytes: u32,
    /// The header's length on the wire, tag included, which a pad recipient fills; `None` for no pad. With it a plaintext's size follows
    /// from the message's size.
    pub header_len_bytes: Option<u32>,
}

impl Default for SealSettings {
    fn default() -> Self {
        Self {
            frame_len_bytes: FRAME_LEN_BYTES_DEFAULT,
            header_len_bytes: None,
        }
    }
}

/// A message that could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// No recipient: nobody could open the message. The caller's fault.
    #[error("no recipients")]
    NoRecipients,
    /// More recipients than readers accept, the pad included. The caller's fault.
    #[error("{count} recipients, at most {most}")]
    TooManyRecipients {
        /// How many there would be.
        count: usize,
        /// The limit.
        most: u16,
    },
    /// A key of the context begins with `aws-crypto-`. The caller's fault.
    #[error("a context key begins with `aws-crypto-`, which the format reserves")]
    ReservedContextKey,
    /// A frame length of zero or above the limit. The configuration's fault.
    #[error("frame length {frame_len_bytes}, expected 1 to {most}")]
    FrameLen {
        /// The frame length that was asked for.
        frame_len_bytes: u32,
        /// The limit.
        most: u32,
    },
    /// Context and recipients do not fit the route's fixed header length. The configuration's fault, or a path that is too long.
    #[error("the header needs {needed_bytes} bytes, the route fixes {fixed_bytes}")]
    HeaderDoesNotFit {
        /// The shortest fixed length that would do.
        needed_bytes: usize,
        /// The length that was asked for.
        fixed_bytes: usize,
    },
    /// The header would be longer than readers accept.
    #[error("header of {len_bytes} bytes, at most {most}")]
    HeaderTooLong {
        /// How long it would be.
        len_bytes: usize,
        /// The limit.
        most: usize,
    },
    /// The plaintext needs more frames than the format can number.
    #[error("more than {most} frames")]
    TooManyFrames {
        /// The limit.
        most: u32,
    },
    /// A key is both stored and required. The caller's fault.
    #[error("a context key is both stored and required")]
    ContextKeyTwice,
    /// Stored and required context are longer together than a wrap can authenticate. The caller's fault.
    #[error("stored and required context are longer than 65535 bytes together")]
    ContextTooLong,
    /// The buffer is too short for the frames. The caller's fault. Nothing was taken: call again with a longer one.
    #[error("a buffer of {len_bytes} bytes, {needed_bytes} are needed")]
    OutputTooShort {
        /// How long it has to be.
        needed_bytes: usize,
        /// How long it is.
        len_bytes: usize,
    },
    /// The system gave no message id.
    #[error(transparent)]
    RandomUnavailable(#[from] RandomUnavailable),
    /// The cryptographic library failed: a bug, or no memory.
    #[error("the cipher failed")]
    CipherFailed,
}

/// A message of which nothing but the header is written.
pub(crate) struct Begun {
    pub(super) key: MessageKey,
    pub(super) header: Vec<u8>,
}

/// Draws the message id, derives the keys and writes the header.
pub(super) fn begin(
    suite: Suite,
    data_key: &DataKey,
    stored: &Context,
    required: &Context,
    recipients: &[Recipient],
    settings: SealSettings,
) -> Result<Begun, SealError> {
    let frame_len_bytes = settings.frame_len_bytes;
    if frame_len_bytes == 0 || frame_len_bytes > FRAME_LEN_BYTES_MOST {
        return Err(SealError::FrameLen {
            frame_len_bytes,
            most: FRAME_LEN_BYTES_MOST,
        });
    }
    check_required(stored, required)?;
    let pad = pad_for(stored, recipients, settings.header_len_bytes)?;

    let mut message_id = [0; MESSAGE_ID_LEN_BYTES];
    rand::fill(&mut message_id).map_err(|_| RandomUnavailable)?;
    let derivation =
        Derivation::new(suite, data_key, &message_id).map_err(|_| SealError::CipherFailed)?;
    let commitment = derivation
        .commitment()
        .map_err(|_| SealError::CipherFailed)?;
    let key = derivation
        .message_key()
        .map_err(|_| SealError::CipherFailed)?;

    let mut header = header::write(
        suite,
        &message_id,
        stored,
        recipients.iter().chain(&pad),
        frame_len_bytes,
        &commitment,
    );
    header::append_tag(&key, &mut header, required).map_err(|_| SealError::CipherFailed)?;
    Ok(Begun { key, header })
}

/// Refuses context keys that the format keeps for itself.
pub(crate) fn refuse_reserved_keys(context: &Context) -> Result<(), SealError> {
    if context
        .pairs()
        .any(|(key, _)| key.starts_with(RESERVED_KEY_PREFIX))
    {
        return Err(SealError::ReservedContextKey);
    }
    Ok(())
}

fn check_required(stored: &Context, required: &Context) -> Result<(), SealError> {
    if required.is_empty() {
        return Ok(());
    }
    refuse_reserved_keys(required)?;
    match stored.joined_with(required) {
        Ok(_) => Ok(()),
        Err(error) if error.fault == ContextFault::DuplicateKey => Err(SealError::ContextKeyTwice),
        Err(_) => Err(SealError::ContextTooLong),
    }
}

/// The pad that fills the header to `fixed_len_bytes`; none where none is asked for or none is needed.
fn pad_for(
    context: &Context,
    recipients: &[Recipient],
    fixed_len_bytes: Option<u32>,
) -> Result<Option<Recipient>, SealError> {
    let bare_len = header::header_len(
        context,
        recipients
            .iter()
            .map(|recipient| recipient.as_bytes().len())
            .sum(),
    );
    let pad_len = match fixed_len_bytes.map(|fixed| fixed as usize) {
        None => 0,
        Some(fixed) if fixed == bare_len => 0,
        Some(fixed) if fixed >= bare_len + PAD_LEN_BYTES_LEAST => fixed - bare_len,
        Some(fixed_bytes) => {
            return Err(SealError::HeaderDoesNotFit {
                needed_bytes: bare_len + PAD_LEN_BYTES_LEAST,
                fixed_bytes,
            });
        }
    };
    let len_bytes = bare_len + pad_len;
    if len_bytes > HEADER_LEN_BYTES_MOST {
        return Err(SealError::HeaderTooLong {
            len_bytes,
            most: HEADER_LEN_BYTES_MOST,
        });
    }
    let count = recipients.len() + usize::from(pad_len > 0);
    if recipients.is_empty() {
        return Err(SealError::NoRecipients);
    }
    if count > usize::from(RECIPIENTS_MOST) {
        return Err(SealError::TooManyRecipients {
            count,
            most: RECIPIENTS_MOST,
        });
    }
    Ok((pad_len > 0).then(|| {
        pad(pad_len).expect("the header is at most 64 KiB, so the pad's fill fits its length")
    }))
}
