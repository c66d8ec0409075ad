//! The context as the command line gives it.

use sealgate_envelope::{Context, Header};
use sealgate_keys::{Keyring, context_key};

use super::message_arguments::ContextArgs;
use super::message_error::{ContextDifference, MessageError};
use super::shown;

/// The pairs of `--context` and of `--required-context`.
#[derive(Debug, Clone)]
pub(super) struct Contexts {
    pub(super) stored: Context,
    pub(super) required: Context,
}

impl Contexts {
    /// # Errors
    /// [`MessageError::Context`]: a key that is there twice, or too much text.
    pub(super) fn new(args: &ContextArgs) -> Result<Self, MessageError> {
        let pairs = |pairs: &[(String, String)]| {
            Context::from_pairs(pairs.iter().map(|(key, value)| (key, value)))
        };
        Ok(Self {
            stored: pairs(&args.context)?,
            required: pairs(&args.required_context)?,
        })
    }

    /// For a message that is sealed with `keyring`: its tenant is added.
    ///
    /// # Errors
    /// [`MessageError::OtherTenant`] where another one was given.
    pub(super) fn of_tenant(mut self, keyring: &Keyring) -> Result<Self, MessageError> {
        match self.stored.value(context_key::TENANT) {
            Some(given) if given == keyring.pseudonym() => Ok(self),
            Some(given) => Err(MessageError::OtherTenant {
                given: given.into(),
                pseudonym: keyring.pseudonym().into(),
            }),
            None => {
                let tenant = [(context_key::TENANT, keyring.pseudonym())];
                self.stored = self.stored.joined_with(&Context::from_pairs(tenant)?)?;
                Ok(self)
            }
        }
    }

    /// Holds a message to the expected pairs: each of the stored ones has to be there and equal.
    ///
    /// # Errors
    /// [`MessageError::ContextDiffers`].
    pub(super) fn check(&self, name: &str, header: &Header) -> Result<(), MessageError> {
        let found = header.context();
        for (key, expected) in self.stored.pairs() {
            let difference = match found.value(key) {
                Some(found) if found == expected => continue,
                Some(found) => ContextDifference::Other {
                    key: key.into(),
                    found: shown::text(found).into(),
                    expected: expected.into(),
                },
                None => ContextDifference::Absent { key: key.into() },
            };
            return Err(differs(name, difference));
        }
        match self
            .required
            .pairs()
            .find(|(key, _)| found.value(key).is_some())
        {
            Some((key, _)) => {
                let key = key.into();
                Err(differs(name, ContextDifference::StoredNotRequired { key }))
            }
            None => Ok(()),
        }
    }

    /// As [`Contexts::check`], for a message of the keyring's tenant: one that stands at a path opens only where that path is expected.
    ///
    /// # Errors
    /// [`MessageError::ContextDiffers`].
    pub(super) fn check_for(
        &self,
        name: &str,
        header: &Header,
        keyring: &Keyring,
    ) -> Result<(), MessageError> {
        self.check(name, header)?;
        let found = header.context();
        if keyring.check_context(found, &self.stored).is_ok() {
            return Ok(());
        }
        let difference = match found.value(context_key::PATH) {
            Some(path) if found.value(context_key::TENANT) == Some(keyring.pseudonym()) => {
                ContextDifference::PathNotExpected {
                    found: shown::text(path).into(),
                }
            }
            _ => ContextDifference::Tenant,
        };
        Err(differs(name, difference))
    }
}

fn differs(name: &str, difference: ContextDifference) -> MessageError {
    MessageError::ContextDiffers {
        name: name.into(),
        difference,
    }
}
