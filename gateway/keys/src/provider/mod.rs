//! Where a tenant's KEK lives, and what is asked of that place. `gateway/docs/adr/0004-key-provider-trait.md` holds the trait against KMIP,
//! PKCS#11, AWS KMS and Vault Transit.
//!
//! A provider does not retry, does not cache and does not know epochs: the cache and the keyring do.

mod file;

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use thiserror::Error;

pub use file::FileProvider;
pub(crate) use file::WRAPPED_LEN_BYTES;

use crate::secret::Secret;

/// What a call of a provider gives.
pub type ProviderFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// One version of one tenant's KEK.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KekName {
    /// The tenant's pseudonym.
    pub pseudonym: Box<str>,
    /// Its version, from 1 up. We give it, not the provider.
    pub version: u32,
}

/// What a wrapped branch key is bound to: it does not unwrap in another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapContext {
    /// The tenant's pseudonym.
    pub pseudonym: Box<str>,
    /// The branch.
    pub branch: Box<str>,
    /// The epoch of the wrapped key.
    pub epoch: u32,
}

impl WrapContext {
    const LABEL: &'static [u8] = b"sealgate keyring branch key";

    /// As bytes, for providers that take additional authenticated data. The texts go after their lengths.
    #[must_use]
    pub fn to_aad(&self) -> Vec<u8> {
        let mut aad = Self::LABEL.to_vec();
        for text in [&self.pseudonym, &self.branch] {
            aad.extend_from_slice(&(text.len() as u64).to_be_bytes());
            aad.extend_from_slice(text.as_bytes());
        }
        aad.extend_from_slice(&self.epoch.to_be_bytes());
        aad
    }

    /// As pairs, for providers that take an encryption context.
    #[must_use]
    pub fn to_pairs(&self) -> [(&'static str, String); 3] {
        [
            ("tenant", self.pseudonym.to_string()),
            ("branch", self.branch.to_string()),
            ("epoch", self.epoch.to_string()),
        ]
    }
}

/// A branch key under a KEK: bytes that only the provider understands. Not a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey(pub Vec<u8>);

/// In which state a KEK version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KekState {
    /// It wraps and unwraps.
    Enabled,
    /// An operator switched it off at the provider.
    Disabled,
    /// It will be gone; until then the provider refuses to use it.
    DestructionScheduled {
        /// Not before this time.
        earliest: SystemTime,
    },
}

/// What became of a KEK version that was to be destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destruction {
    /// It is gone.
    Done,
    /// The provider keeps it for a while, unusable.
    Scheduled {
        /// Not gone before this time.
        earliest: SystemTime,
    },
}

/// A call that a provider did not do. The provider's state is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("key provider `{provider}`, KEK version {version}: {fault}")]
pub struct ProviderError {
    /// [`KeyProvider::name`].
    pub provider: &'static str,
    /// The KEK version that was asked for.
    pub version: u32,
    /// Why.
    pub fault: ProviderFault,
}

/// Why a provider did not do what it was asked. `Denied`, `NotFound` and `Disabled` are its own word; `Unreachable` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProviderFault {
    /// This gateway may not use the key. The operator's fault.
    #[error("this gateway may not use the key; grant it the right at the provider")]
    Denied,
    /// There is no such KEK version: never made, or destroyed.
    #[error("there is no such key")]
    NotFound,
    /// The KEK version is switched off.
    #[error("the key is disabled")]
    Disabled,
    /// No answer, or an answer that says to come back.
    #[error("the provider does not answer{}", RetryWords(*retry_after))]
    Unreachable {
        /// When the provider said to come back, if it did.
        retry_after: Option<Duration>,
    },
    /// The wrapped key does not verify: damaged, of another KEK version, or bound to another place.
    #[error("the wrapped key does not verify")]
    NotAuthentic,
    /// The KEK version exists already and is not made anew.
    #[error("there is such a key already")]
    AlreadyExists,
    /// The cryptographic library failed, or the system gave no random bytes.
    #[error("the cipher failed")]
    CipherFailed,
}

impl ProviderFault {
    /// Whether the provider itself said no, so that keys that were cached must go.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Denied | Self::NotFound | Self::Disabled | Self::NotAuthentic => true,
            Self::Unreachable { .. } | Self::AlreadyExists | Self::CipherFailed => false,
        }
    }
}

struct RetryWords(Option<Duration>);

impl fmt::Display for RetryWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, "; try again in {} s", wait.as_secs().max(1)),
            None => Ok(()),
        }
    }
}

/// A place that holds KEKs and uses them for us. Every call may be repeated after an error.
pub trait KeyProvider: Send + Sync {
    /// What logs and metrics call it: one word.
    fn name(&self) -> &'static str;

    /// Makes a KEK version.
    ///
    /// # Errors
    /// [`ProviderFault::AlreadyExists`]; `Denied`, `Unreachable`.
    fn generate<'a>(&'a self, kek: &'a KekName) -> ProviderFuture<'a, ()>;

    /// Wraps a branch key under a KEK version.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Disabled`, `Unreachable`.
    fn wrap<'a>(
        &'a self,
        kek: &'a KekName,
        secret: &'a Secret<32>,
        context: &'a WrapContext,
    ) -> ProviderFuture<'a, WrappedKey>;

    /// Unwraps what [`KeyProvider::wrap`] gave under the same KEK version and context.
    ///
    /// # Errors
    /// As `wrap`, and [`ProviderFault::NotAuthentic`].
    fn unwrap<'a>(
        &'a self,
        kek: &'a KekName,
        wrapped: &'a WrappedKey,
        context: &'a WrapContext,
    ) -> ProviderFuture<'a, Secret<32>>;

    /// The state of a KEK version.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Unreachable`.
    fn state<'a>(&'a self, kek: &'a KekName) -> ProviderFuture<'a, KekState>;

    /// Destroys a KEK version. What it wraps is lost with it.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Unreachable`.
    fn destroy<'a>(&'a self, kek: &'a KekName) -> ProviderFuture<'a, Destruction>;
}

/// The result of a future that waits for nothing, as all of [`FileProvider`]'s and what only awaits those.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the file provider never waits"),
    }
}
