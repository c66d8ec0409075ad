//! Tenants: who a connection belongs to, and under which policy.

mod resolve;

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use sealgate_keys::Keyring;

pub use resolve::{NameTable, NoTenant};

/// One tenant of the gateway.
pub struct TenantSettings {
    /// Its name in config, logs and metrics; unique.
    pub id: String,
    /// Names by which TLS clients (SNI) and HTTP requests (Host) call it.
    pub names: Vec<NamePattern>,
    /// Whether it takes connections that name nobody else, or nobody.
    pub default: DefaultTenant,
    /// Certificate chain and key; `None` where all its routes are passthrough.
    pub certificate: Option<Arc<CertifiedKey>>,
    /// Whether clients show certificates.
    pub client_auth: ClientAuth,
    /// Its keyring; sealed routes need one.
    pub keyring: TenantKeyring,
}

/// The keys of a tenant.
#[derive(Clone)]
pub enum TenantKeyring {
    /// None is configured.
    None,
    /// It seals and opens.
    Ready(Keyring),
    /// Its operator has disabled or shredded it: sealed routes answer 503, and everybody else's go on.
    Withdrawn,
}

impl TenantKeyring {
    /// The keyring, where it may be used.
    pub fn ready(&self) -> Option<&Keyring> {
        match self {
            TenantKeyring::Ready(keyring) => Some(keyring),
            TenantKeyring::None | TenantKeyring::Withdrawn => None,
        }
    }
}

/// Whether a tenant takes what names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultTenant {
    /// It takes unknown names, and clients without SNI.
    Yes,
    /// It takes its own names only.
    No,
}

/// A DNS name, exact or with one wildcard label in front; lower case, no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamePattern {
    /// `acme.example`
    Exact(String),
    /// `*.acme.example` as `acme.example`: matches exactly one label in front of it.
    Wildcard(String),
}

/// Whether clients authenticate with certificates.
#[derive(Clone)]
pub enum ClientAuth {
    /// No certificate is asked for.
    None,
    /// A certificate may be shown, and then has to verify against these roots.
    Optional(Arc<RootCertStore>),
    /// A certificate that verifies against these roots is demanded.
    Required(Arc<RootCertStore>),
}
