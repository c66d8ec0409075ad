//! Whose key a message is sealed and opened with: one for all, or each tenant's own.

use std::{borrow::Cow, fmt, path::Path, sync::Arc};

use super::keys::{EnvelopeError, Keys};
use crate::{
    placeholder::{Filling, Text},
    tenants::Tenants,
};

/// Tenants that may have a key of their own: all are read before the run.
pub const MAX_HOLDERS: usize = 4096;

/// A key as it was named. With `{tenant}` in a name there is one for each tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// The path of a keyring.
    Keyring(&'a str),
    /// Namespace, name and file of an AES-256 key.
    RawAes([&'a str; 3]),
}

impl<'a> Named<'a> {
    fn texts(&self) -> &[&'a str] {
        match self {
            Named::Keyring(path) => std::slice::from_ref(path),
            Named::RawAes(names) => names,
        }
    }

    /// The first name that differs between tenants.
    fn of_tenant(&self) -> Option<&'a str> {
        let mut texts = self.texts().iter().copied();
        texts.find(|text| Text::of_tenant(text).names_tenant())
    }

    fn load(&self, fill: impl Fn(&'a str) -> Cow<'a, str>) -> Result<Keys, EnvelopeError> {
        match self {
            Named::Keyring(path) => Keys::of_keyring(Path::new(&*fill(path))),
            Named::RawAes(names) => {
                let [namespace, name, path] = names.map(fill);
                Keys::of_raw_aes(&namespace, &name, Path::new(&*path))
            }
        }
    }
}

/// The keys of a load.
pub enum Holders {
    /// The same for everybody.
    All(Arc<Keys>),
    /// Each tenant's, by its index.
    Each(Vec<Arc<Keys>>),
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Holders {
    /// Loads what was named.
    ///
    /// # Errors
    ///
    /// When a file is of no use, or there are no tenants, or too many.
    pub fn load(named: Named<'_>, tenants: Option<&Tenants>) -> Result<Self, EnvelopeError> {
        let Some(text) = named.of_tenant() else {
            return Ok(Self::All(Arc::new(named.load(Cow::Borrowed)?)));
        };
        let tenants = tenants.ok_or_else(|| EnvelopeError::NoTenants(text.to_owned()))?;
        if tenants.count() > MAX_HOLDERS {
            return Err(EnvelopeError::TooManyKeys(tenants.count()));
        }
        let each = (0..tenants.count()).map(|tenant| {
            let filling = Filling {
                tenants: Some(tenants),
                tenant,
                object: 0,
            };
            let keys = named.load(|text| Text::of_tenant(text).filled(filling).into())?;
            Ok(Arc::new(keys))
        });
        Ok(Self::Each(each.collect::<Result<_, EnvelopeError>>()?))
    }

    /// All keys.
    pub fn all(&self) -> &[Arc<Keys>] {
        match self {
            Holders::All(keys) => std::slice::from_ref(keys),
            Holders::Each(all) => all,
        }
    }

    /// The key of a tenant.
    pub fn of(&self, tenant: usize) -> Option<&Arc<Keys>> {
        match self {
            Holders::All(keys) => Some(keys),
            Holders::Each(all) => all.get(tenant),
        }
    }

    /// Their kind, for the report.
    pub fn name(&self) -> &'static str {
        self.all().first().map_or("none", |keys| keys.name())
    }
}
