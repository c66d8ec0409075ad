//! Data keys by themselves: for messages with other recipients beside this keyring, with required context, and for grants. Where a message
//! is for this tenant alone, [`Keyring::seal_begin`] and [`Keyring::open_begin`] do it all.

use sealgate_envelope::{Context, DataKey, Header, Recipient, RecipientRef};

use super::{Keyring, OpenBeginError, SealBeginError};

impl Keyring {
    /// Wraps `data_key` under the current branch key, bound to `context`: stored and required context of the message together.
    ///
    /// The message's own context should name this tenant ([`Keyring::context`]), or this keyring will not open it as its own.
    ///
    /// # Errors
    /// [`SealBeginError::WrapsExhausted`] or [`SealBeginError::Wrap`]; nothing was written. Cost: one wrap, an atomic count and no lock.
    pub fn wrap_data_key(
        &self,
        data_key: &DataKey,
        context: &Context,
    ) -> Result<Recipient, SealBeginError> {
        self.inner.current.take_wraps(1)?;
        self.inner.current.wrap(data_key, context)
    }

    /// Unwraps the data key from the first recipient of this keyring that verifies in `context`: stored and required context together.
    ///
    /// It compares no context with what is expected: call [`Keyring::check_context`] before, unless what the message is for is known
    /// otherwise, as a grant's is.
    ///
    /// # Errors
    /// [`OpenBeginError`]. The header is not authenticated yet: the key's holder does that by opening the message.
    pub fn unwrap_data_key(
        &self,
        header: &Header,
        context: &Context,
    ) -> Result<DataKey, OpenBeginError> {
        let mut failure = OpenBeginError::NotForThisTenant;
        for recipient in self.own_recipients(header) {
            match self.unwrap(&recipient, context) {
                Ok(data_key) => return Ok(data_key),
                // A message may name several keys of one tenant; one that is unknown here is not the last word.
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Whether `recipient` names the branch key that seals now. What it carries is not looked at.
    #[must_use]
    pub fn is_current(&self, recipient: &RecipientRef<'_>) -> bool {
        recipient.provider_id == self.inner.namespace.as_bytes()
            && self.epoch_of(recipient) == Some(self.inner.current.epoch())
    }

    /// Those in this tenant's namespace.
    pub(super) fn own_recipients<'a>(
        &'a self,
        header: &'a Header,
    ) -> impl Iterator<Item = RecipientRef<'a>> {
        header
            .recipients()
            .filter(|recipient| recipient.provider_id == self.inner.namespace.as_bytes())
    }
}
