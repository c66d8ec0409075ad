//! Where keyrings are loaded from.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use thiserror::Error;

use crate::keyring::Keyring;
use crate::keyring::errors::KeyringFault;
use crate::provider::ProviderFault;

/// A keyring that is being loaded.
pub type SourceFuture<'a> = Pin<Box<dyn Future<Output = Result<Keyring, LoadFault>> + Send + 'a>>;

/// Gives the keyring of a tenant as it is now: the wrapped keys from where they lie, unwrapped by the provider.
pub trait KeyringSource: Send + Sync {
    /// What logs and errors call it.
    fn name(&self) -> &'static str;

    /// Loads a keyring. The cache sees to it that one load a tenant runs at a time, and to the time between two.
    ///
    /// # Errors
    /// [`LoadFault`].
    fn load<'a>(&'a self, tenant: &'a str) -> SourceFuture<'a>;
}

/// A keyring that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadFault {
    /// The source does not know the tenant.
    #[error("the tenant has no keyring")]
    UnknownTenant,
    /// What stands where this tenant's keyring should be is another tenant's.
    #[error("in its place is the keyring of tenant {owner}")]
    OfOther {
        /// Whose it is.
        owner: Box<str>,
    },
    /// The keyring file is wrong, disabled or shredded, or cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringFault),
    /// The key provider did not unwrap.
    #[error(transparent)]
    Provider(#[from] ProviderFault),
}

impl LoadFault {
    /// Whether it is the source's own word that these keys are not to be used. A file that is damaged or not there is none: what is held
    /// goes on until its hard lifetime, and the log says so.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::UnknownTenant => true,
            Self::OfOther { .. } => false,
            Self::Keyring(fault) => fault.is_refusal(),
            Self::Provider(fault) => fault.is_refusal(),
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Provider(ProviderFault::Unreachable { retry_after }) => *retry_after,
            Self::UnknownTenant | Self::OfOther { .. } | Self::Keyring(_) | Self::Provider(_) => {
                None
            }
        }
    }
}

/// Keyring files by tenant.
pub struct FileSource {
    paths: HashMap<Box<str>, PathBuf>,
}

impl FileSource {
    /// The keyring file of each tenant.
    #[must_use]
    pub fn new(paths: impl IntoIterator<Item = (Box<str>, PathBuf)>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
        }
    }

    /// The keyring file of `tenant`.
    #[must_use]
    pub fn path(&self, tenant: &str) -> Option<&Path> {
        self.paths.get(tenant).map(PathBuf::as_path)
    }
}

impl KeyringSource for FileSource {
    fn name(&self) -> &'static str {
        "file"
    }

    /// Reads at once; a keyring file is at most a megabyte.
    fn load<'a>(&'a self, tenant: &'a str) -> SourceFuture<'a> {
        Box::pin(async move {
            let path = self.paths.get(tenant).ok_or(LoadFault::UnknownTenant)?;
            let keyring = Keyring::load(path).map_err(|error| LoadFault::Keyring(error.fault))?;
            // Two tenants under one keyring would open each other's messages.
            if keyring.tenant() != tenant {
                let owner = keyring.tenant().into();
                return Err(LoadFault::OfOther { owner });
            }
            Ok(keyring)
        })
    }
}
