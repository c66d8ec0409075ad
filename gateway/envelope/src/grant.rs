//! Grants: a further recipient for a message that is already written.
//!
//! ```text
//! message (never touched)         grant: a message of its own, sealed to the further recipient
//! id, context, frames     <-----  context: sealgate-grant-for = id     plaintext: 01 | id (32) | data key (32)
//! ```
//!
//! A header cannot take another recipient: its tag would be a second one under the same key and nonce, and two of them give the
//! authentication key away (`tests/header_rewrite.rs` does it). So the further recipient gets the data key in a message of its own, and
//! whoever holds that and the message opens it as any other recipient.
//!
//! What it does not do: take a recipient away. Who has once held a data key may have kept it; seal the object anew for that.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::context::Context;
use crate::data_key::{DATA_KEY_LEN_BYTES, DataKey};
use crate::header::{Header, ParsedHeader};
use crate::open::{self, Opener};
use crate::recipient::Recipient;
use crate::refusal::Refusal;
use crate::seal::{SealError, SealSettings, Sealer};
use crate::suite::MESSAGE_ID_LEN_BYTES;

/// The context key under which a grant says which message it is for: 64 hexadecimal digits, in lower case.
pub const GRANT_FOR: &str = "sealgate-grant-for";

const VERSION: u8 = 1;
const DATA_KEY_AT: usize = 1 + MESSAGE_ID_LEN_BYTES;
const PLAINTEXT_LEN_BYTES: usize = DATA_KEY_AT + DATA_KEY_LEN_BYTES;
/// A grant is one final frame.
const FRAME_LEN_BYTES: u32 = 128;

/// A grant that was not written or not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GrantError {
    /// The data key is not the message's, so the grant would open nothing, or opens nothing.
    #[error("the message commits to another data key")]
    OtherDataKey,
    /// The grant is for another message.
    #[error("the grant is for another message")]
    OtherMessage,
    /// The message is whole and authentic, but no grant.
    #[error("the message is no grant")]
    NotAGrant,
    /// The grant could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The grant's bytes are not what its writer wrote.
    #[error("grant: {0}")]
    Refused(#[from] Refusal),
}

/// The context of a grant for the message with this header. The grant's recipients are wrapped in it.
#[must_use]
pub fn context(message: &Header) -> Context {
    let id = message
        .message_id()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    Context::from_pairs([(GRANT_FOR, id)]).expect("one short pair is a context")
}

/// Writes a grant: seals the message's `data_key` to `recipients`, who carry `grant_key` wrapped in [`context`].
///
/// `grant_key` is fresh. It is not the message's data key: that one serves its own message.
///
/// # Errors
/// [`GrantError::OtherDataKey`] when `data_key` does not open `message`; [`GrantError::Seal`]. Nothing was written.
pub fn seal(
    message: &Header,
    data_key: &DataKey,
    grant_key: &DataKey,
    recipients: &[Recipient],
) -> Result<Vec<u8>, GrantError> {
    open::commits_to(message, data_key).map_err(|_| GrantError::OtherDataKey)?;
    let settings = SealSettings {
        frame_len_bytes: FRAME_LEN_BYTES,
        header_len_bytes: None,
    };
    let (mut sealer, mut grant) =
        Sealer::begin(grant_key, &context(message), recipients, settings)?;
    let mut plaintext = Zeroizing::new([VERSION; PLAINTEXT_LEN_BYTES]);
    plaintext[1..DATA_KEY_AT].copy_from_slice(message.message_id());
    plaintext[DATA_KEY_AT..].copy_from_slice(data_key.as_bytes());
    sealer.write(plaintext.as_slice(), &mut grant)?;
    sealer.finish(&mut grant)?;
    Ok(grant)
}

/// Opens a grant, all of `bytes`, for the message with the header `message`; gives that message's data key.
///
/// `grant_key` was unwrapped from a recipient of the grant, in the grant's own context.
///
/// # Errors
/// [`GrantError`]. Also [`GrantError::OtherDataKey`] where the grant's writer put a key in it that the message does not commit to.
pub fn open(bytes: &[u8], grant_key: &DataKey, message: &Header) -> Result<DataKey, GrantError> {
    let ParsedHeader::Complete { header, len_bytes } = Header::parse(bytes)? else {
        return Err(Refusal::header_cut_short(bytes.len()).into());
    };
    let mut opener = Opener::begin(&header, grant_key)?;
    // Reserved for all that there can be, so that the data key does not stay behind where a growing buffer was.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(bytes.len()));
    opener.write(&bytes[len_bytes..], &mut plaintext)?;
    opener.finish()?;

    if header.context().value(GRANT_FOR).is_none() {
        return Err(GrantError::NotAGrant);
    }
    let plaintext: &[u8; PLAINTEXT_LEN_BYTES] = plaintext
        .as_slice()
        .try_into()
        .map_err(|_| GrantError::NotAGrant)?;
    if plaintext[0] != VERSION {
        return Err(GrantError::NotAGrant);
    }
    // Twice: what a reader sees in the clear and what the grant carries have to be the same message.
    if header.context() != &context(message)
        || verify_slices_are_equal(&plaintext[1..DATA_KEY_AT], message.message_id()).is_err()
    {
        return Err(GrantError::OtherMessage);
    }
    let mut data_key = DataKey::zero();
    data_key
        .as_mut_bytes()
        .copy_from_slice(&plaintext[DATA_KEY_AT..]);
    if open::commits_to(message, &data_key).is_err() {
        data_key.zeroize();
        return Err(GrantError::OtherDataKey);
    }
    Ok(data_key)
}
