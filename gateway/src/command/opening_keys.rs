//! The keys that a message is opened with, and the way from its header to its data key.

use std::path::Path;

use sealgate_envelope::{
    Context, DataKey, Header, RawAesKey, RawEcdhPrivateKey, RawRsaPrivateKey, RecipientRef,
    UnwrapError, XwingPrivateKey,
};
use sealgate_keys::{Keyring, OpenBeginError};

use super::answer::CommandError;
use super::context::Contexts;
use super::device_key::{DeviceKey, Half, PrivateKey};
use super::key_file;
use super::message_arguments::OpeningKeyArgs;
use super::message_error::{KeyFileFault, MessageError, NoKeyOpens};
use super::recipient_kind;

const EXPECTED: &str = "--keyring, --raw-aes, --raw-rsa and --private-key";

/// Keys that open. It has no `Debug`.
pub(super) struct OpeningKeys {
    keyring: Option<Keyring>,
    keys: Vec<OpeningKey>,
}

/// A key that unwraps, of any kind.
enum OpeningKey {
    RawAes(RawAesKey),
    RawRsa(RawRsaPrivateKey),
    Ecdh(RawEcdhPrivateKey),
    Xwing(Box<XwingPrivateKey>),
}

impl OpeningKey {
    /// The key of a device.
    fn of_device(path: &Path) -> Result<Self, CommandError> {
        match DeviceKey::read(path)?.half {
            Half::Private(PrivateKey::Ecdh(key)) => Ok(Self::Ecdh(key)),
            Half::Private(PrivateKey::Xwing(key)) => Ok(Self::Xwing(key)),
            Half::Private(PrivateKey::Rsa(_)) => {
                Err(key_file::fault(path, KeyFileFault::RsaNeedsName))
            }
            Half::Public(_) => Err(key_file::fault(path, KeyFileFault::PublicHalf)),
        }
    }

    fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, UnwrapError> {
        match self {
            Self::RawAes(key) => key.unwrap(recipient, context),
            // Its wrap binds no context; the header's tag does.
            Self::RawRsa(key) => key.unwrap(recipient),
            Self::Ecdh(key) => key.unwrap(recipient, context),
            Self::Xwing(key) => key.unwrap(recipient, context),
        }
    }
}

impl OpeningKeys {
    /// Loads every key that the flags name.
    ///
    /// # Errors
    /// [`MessageError`] and the keyring's own errors; [`MessageError::NoKeyGiven`] where the flags name none.
    pub(super) fn load(args: &OpeningKeyArgs) -> Result<Self, CommandError> {
        let keyring = args.keyring.as_ref().map(Keyring::load).transpose()?;
        let mut keys = Vec::new();
        for named in key_file::named(&args.raw_aes) {
            keys.push(OpeningKey::RawAes(key_file::raw_aes(&named)?));
        }
        for named in key_file::named(&args.raw_rsa) {
            let key = key_file::rsa_private(&named, args.oaep.into())?;
            keys.push(OpeningKey::RawRsa(key));
        }
        for path in &args.private_key {
            keys.push(OpeningKey::of_device(path)?);
        }
        if keyring.is_none() && keys.is_empty() {
            return Err(MessageError::NoKeyGiven { expected: EXPECTED }.into());
        }
        Ok(Self { keyring, keys })
    }

    /// The data key of the message `name`, whose context is held to `expected`. The header is not authenticated yet: opening does that.
    ///
    /// # Errors
    /// [`MessageError::ContextDiffers`] or [`MessageError::NoKeyOpens`].
    pub(super) fn data_key(
        &self,
        name: &str,
        header: &Header,
        expected: &Contexts,
    ) -> Result<DataKey, MessageError> {
        expected.check(name, header)?;
        let context = header.context().joined_with(&expected.required)?;
        let (data_key, keyring) = self.unwrap(name, header, &context)?;
        if let Some(keyring) = keyring {
            expected.check_for(name, header, keyring)?;
        }
        Ok(data_key)
    }

    /// As [`OpeningKeys::data_key`], at whichever path the message stands: for resealing, which keeps its context and so its path.
    ///
    /// # Errors
    /// As [`OpeningKeys::data_key`].
    pub(super) fn data_key_anywhere(
        &self,
        name: &str,
        header: &Header,
        expected: &Contexts,
    ) -> Result<DataKey, MessageError> {
        expected.check(name, header)?;
        let context = header.context().joined_with(&expected.required)?;
        Ok(self.unwrap(name, header, &context)?.0)
    }

    /// The data key of a grant. Its context is not held to anything here: opening the grant does that.
    ///
    /// # Errors
    /// [`MessageError::NoKeyOpens`].
    pub(super) fn grant_key(&self, name: &str, grant: &Header) -> Result<DataKey, MessageError> {
        Ok(self.unwrap(name, grant, grant.context())?.0)
    }

    /// The data key, and the keyring where that is what unwrapped it.
    fn unwrap(
        &self,
        name: &str,
        header: &Header,
        context: &Context,
    ) -> Result<(DataKey, Option<&Keyring>), MessageError> {
        let mut why = NoKeyOpens::NotAddressed;
        for key in &self.keys {
            for recipient in header.recipients() {
                match key.unwrap(&recipient, context) {
                    Ok(data_key) => return Ok((data_key, None)),
                    Err(UnwrapError::NotAddressed) => {}
                    Err(UnwrapError::NotAuthentic) => why = NoKeyOpens::NotAuthentic,
                }
            }
        }
        if let Some(keyring) = &self.keyring {
            match keyring.unwrap_data_key(header, context) {
                Ok(data_key) => return Ok((data_key, Some(keyring))),
                Err(OpenBeginError::NotForThisTenant) => {}
                Err(error) => why = NoKeyOpens::Keyring(error),
            }
        }
        Err(MessageError::NoKeyOpens {
            name: name.into(),
            why,
            recipients: recipient_kind::list(header).into(),
        })
    }
}
