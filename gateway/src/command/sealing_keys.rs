//! The keys that a message is sealed for.

use std::path::Path;

use sealgate_envelope::{
    Context, DataKey, Header, PAD_PROVIDER_ID, RawAesKey, RawEcdhPublicKey, RawRsaPublicKey,
    Recipient, RecipientRef, WrapError, XwingPublicKey,
};
use sealgate_keys::Keyring;

use super::answer::CommandError;
use super::context::Contexts;
use super::device_key::{DeviceKey, Half, PublicKey};
use super::key_file;
use super::message_arguments::SealingKeyArgs;
use super::message_error::{KeyFileFault, MessageError};

const EXPECTED: &str = "--keyring, --raw-aes, --raw-rsa and --recipient";

/// Keys that are sealed for. It has no `Debug`: raw AES keys open as well.
pub(super) struct SealingKeys {
    keyring: Option<Keyring>,
    keys: Vec<SealingKey>,
}

/// A key that wraps, of any kind.
enum SealingKey {
    RawAes(RawAesKey),
    RawRsa(RawRsaPublicKey),
    Ecdh(RawEcdhPublicKey),
    Xwing(Box<XwingPublicKey>),
}

impl SealingKey {
    /// The key of a device.
    fn of_device(path: &Path) -> Result<Self, CommandError> {
        match DeviceKey::read(path)?.half {
            Half::Public(PublicKey::Ecdh(key)) => Ok(Self::Ecdh(key)),
            Half::Public(PublicKey::Xwing(key)) => Ok(Self::Xwing(key)),
            Half::Public(PublicKey::Rsa(_)) => {
                Err(key_file::fault(path, KeyFileFault::RsaNeedsName))
            }
            Half::Private(_) => Err(key_file::fault(path, KeyFileFault::PrivateHalf)),
        }
    }

    fn is_named_by(&self, recipient: &RecipientRef<'_>) -> bool {
        match self {
            Self::RawAes(key) => key.is_named_by(recipient),
            Self::RawRsa(key) => key.is_named_by(recipient),
            Self::Ecdh(key) => key.is_named_by(recipient),
            Self::Xwing(key) => key.is_named_by(recipient),
        }
    }

    fn wrap(&self, data_key: &DataKey, context: &Context) -> Result<Recipient, WrapError> {
        match self {
            Self::RawAes(key) => key.wrap(data_key, context),
            // Its wrap binds no context; the header's tag does.
            Self::RawRsa(key) => key.wrap(data_key),
            Self::Ecdh(key) => key.wrap(data_key, context),
            Self::Xwing(key) => key.wrap(data_key, context),
        }
    }
}

impl SealingKeys {
    /// Loads every key that the flags name.
    ///
    /// # Errors
    /// [`MessageError`] and the keyring's own errors; [`MessageError::NoKeyGiven`] where the flags name none.
    pub(super) fn load(args: &SealingKeyArgs) -> Result<Self, CommandError> {
        let keyring = args.keyring.as_ref().map(Keyring::load).transpose()?;
        let mut keys = Vec::new();
        for named in key_file::named(&args.raw_aes) {
            keys.push(SealingKey::RawAes(key_file::raw_aes(&named)?));
        }
        for named in key_file::named(&args.raw_rsa) {
            let key = key_file::rsa_public(&named, args.oaep.into())?;
            keys.push(SealingKey::RawRsa(key));
        }
        for path in &args.recipient {
            keys.push(SealingKey::of_device(path)?);
        }
        if keyring.is_none() && keys.is_empty() {
            return Err(MessageError::NoKeyGiven { expected: EXPECTED }.into());
        }
        Ok(Self { keyring, keys })
    }

    /// The contexts of a message for them: a keyring adds its tenant.
    ///
    /// # Errors
    /// [`MessageError::OtherTenant`].
    pub(super) fn contexts(&self, given: Contexts) -> Result<Contexts, MessageError> {
        match &self.keyring {
            Some(keyring) => given.of_tenant(keyring),
            None => Ok(given),
        }
    }

    /// Wraps `data_key` for each of them, bound to `context`: the message's stored and required context together. The keyring comes first.
    ///
    /// # Errors
    /// [`MessageError::Keyring`] or [`MessageError::Wrap`].
    pub(super) fn wrap(
        &self,
        data_key: &DataKey,
        context: &Context,
    ) -> Result<Vec<Recipient>, MessageError> {
        let mut recipients = Vec::with_capacity(1 + self.keys.len());
        if let Some(keyring) = &self.keyring {
            recipients.push(keyring.wrap_data_key(data_key, context)?);
        }
        for key in &self.keys {
            recipients.push(key.wrap(data_key, context)?);
        }
        Ok(recipients)
    }

    /// The keyring, where there is one.
    pub(super) fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_ref()
    }

    /// Whether a message is for these keys and for nobody else, as its header says; the keyring by the key that seals now. What its
    /// recipients carry is not looked at.
    pub(super) fn are_the_recipients_of(&self, header: &Header) -> bool {
        let is_pad =
            |recipient: &RecipientRef<'_>| recipient.provider_id == PAD_PROVIDER_ID.as_bytes();
        let found: Vec<_> = header
            .recipients()
            .filter(|recipient| !is_pad(recipient))
            .collect();
        let wanted = usize::from(self.keyring.is_some()) + self.keys.len();
        let keyring = self.keyring.iter().map(|keyring| {
            Box::new(|recipient: &_| keyring.is_current(recipient)) as Box<dyn Fn(&_) -> bool>
        });
        let keys = self.keys.iter().map(|key| {
            Box::new(|recipient: &_| key.is_named_by(recipient)) as Box<dyn Fn(&_) -> bool>
        });
        let names: Vec<_> = keyring.chain(keys).collect();
        found.len() == wanted
            && names.iter().all(|names| found.iter().any(names))
            && found
                .iter()
                .all(|recipient| names.iter().any(|names| names(recipient)))
    }
}
