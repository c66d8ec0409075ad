//! The key that messages are sealed and opened with.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sealgate_envelope::{
    Context, ContextError, DataKey, Header, KeyError, RandomUnavailable, RawAesKey, Recipient,
    SealError, SealSettings, Sealer, UnwrapError, WrapError,
};
use sealgate_keys::{Keyring, KeyringError, OpenBeginError, SealBeginError, context_key};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{holders::MAX_HOLDERS, opening::Unopened, ready::MAX_READY_BYTES};

/// Bytes of an AES-256 key.
const RAW_AES_LEN: usize = 32;

/// Sealed messages that cannot be had. The operator's fault.
#[derive(Debug, Error)]
pub enum EnvelopeError {
    /// There is nothing to seal or open with.
    #[error(
        "{0} needs a key: add --keyring KEYRING, or --raw-aes NAMESPACE NAME KEYFILE, as `sealgate seal` takes them"
    )]
    NoKey(&'static str),
    /// A key that nobody uses.
    #[error("nothing is sealed or opened with this key: add --envelope N or --check open")]
    UnusedKey,
    /// Bodies are other bytes than the answer's check expects.
    #[error("--check echo compares with plain bodies: use --check open with --envelope")]
    EchoOfSealed,
    /// The keys file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds no AES-256 key.
    #[error(
        "{} is no AES-256 key: it has to hold {RAW_AES_LEN} bytes and nothing else, as `openssl rand {RAW_AES_LEN}` writes them",
        .0.display()
    )]
    NotRawAes(PathBuf),
    /// The key cannot be used under its names.
    #[error("--raw-aes: {0}")]
    Key(#[from] KeyError),
    /// A key for each tenant, and there are none.
    #[error("{0}: {{tenant}} stands for each tenant, and there are none: add --tenants")]
    NoTenants(String),
    /// Too many keys.
    #[error(
        "{0} tenants with a key of their own are more than {MAX_HOLDERS}: lower --tenants, or give one key to all"
    )]
    TooManyKeys(usize),
    /// Keys stay where they are.
    #[error(
        "tenants' keys do not go to agents, which read no files: drop --agents, or --keyring and --raw-aes"
    )]
    OnAgents,
    /// The keyring cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The messages do not fit into memory.
    #[error(
        "{envelopes} messages of these sizes, for each key, take more than the {} MiB that are kept ready: lower --envelope or --size",
        MAX_READY_BYTES >> 20
    )]
    TooLarge {
        /// How many were asked for.
        envelopes: u32,
    },
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// The context does not fit into a header.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A data key cannot be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The keyring does not wrap.
    #[error(transparent)]
    SealBegin(#[from] SealBeginError),
    /// A message cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// A key, of either kind. It has no secrets in its `Debug`.
pub enum Keys {
    /// A tenant's.
    Keyring(Box<Keyring>),
    /// One by itself.
    RawAes(RawAesKey),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Keys {
    /// The key of a keyring.
    ///
    /// # Errors
    ///
    /// When the file is of no use.
    pub fn of_keyring(path: &Path) -> Result<Self, EnvelopeError> {
        Ok(Self::Keyring(Box::new(Keyring::load(path)?)))
    }

    /// The AES-256 key in a file, under its names.
    ///
    /// # Errors
    ///
    /// When the file is of no use.
    pub fn of_raw_aes(namespace: &str, name: &str, path: &Path) -> Result<Self, EnvelopeError> {
        let bytes = read(path).map_err(|error| EnvelopeError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        let key = bytes.as_slice().try_into();
        let key = key.map_err(|_| EnvelopeError::NotRawAes(path.to_owned()))?;
        let named = RawAesKey::new(key, namespace, name).map_err(KeyError::from)?;
        Ok(Self::RawAes(named))
    }

    /// Its kind, for the report.
    pub fn name(&self) -> &'static str {
        match self {
            Keys::Keyring(_) => "keyring",
            Keys::RawAes(_) => "raw_aes",
        }
    }

    /// Begins a message; gives its header.
    ///
    /// # Errors
    ///
    /// When the key wraps no more, or the system has no randomness.
    pub fn begin(&self) -> Result<(Sealer, Vec<u8>), EnvelopeError> {
        let data_key = DataKey::generate()?;
        let (context, recipient): (Context, Recipient) = match self {
            Keys::Keyring(keyring) => {
                let pairs = [(context_key::TENANT, keyring.pseudonym())];
                let context = Context::from_pairs(pairs)?;
                let recipient = keyring.wrap_data_key(&data_key, &context)?;
                (context, recipient)
            }
            Keys::RawAes(key) => {
                let context = Context::empty();
                let recipient = key.wrap(&data_key, &context)?;
                (context, recipient)
            }
        };
        let settings = SealSettings::default();
        Ok(Sealer::begin(&data_key, &context, &[recipient], settings)?)
    }

    /// The data key of a message, whatever path stands in its context.
    ///
    /// # Errors
    ///
    /// When the message is for another key, or what it has for this one was changed.
    pub fn data_key(&self, header: &Header) -> Result<DataKey, Unopened> {
        let context = header.context();
        match self {
            Keys::Keyring(keyring) => {
                let unwrapped = keyring.unwrap_data_key(header, context);
                unwrapped.map_err(|error| match error {
                    OpenBeginError::WrappedKeyNotAuthentic { .. } | OpenBeginError::Refused(_) => {
                        Unopened::KeyNotAuthentic
                    }
                    OpenBeginError::NotForThisTenant
                    | OpenBeginError::UnknownEpoch { .. }
                    | OpenBeginError::UnknownKeyName
                    | OpenBeginError::ContextMismatch { .. } => Unopened::NoKey,
                })
            }
            Keys::RawAes(key) => {
                let mut failure = Unopened::NoKey;
                for recipient in header.recipients() {
                    match key.unwrap(&recipient, context) {
                        Ok(data_key) => return Ok(data_key),
                        Err(UnwrapError::NotAddressed) => {}
                        Err(UnwrapError::NotAuthentic) => failure = Unopened::KeyNotAuthentic,
                    }
                }
                Err(failure)
            }
        }
    }
}

/// Reads a key, and one byte more where there is more.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Reserved whole, so that no copy stays behind where it grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(RAW_AES_LEN + 1));
    let file = File::open(path)?;
    file.take(RAW_AES_LEN as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
