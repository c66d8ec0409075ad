//! Tenants: who a connection belongs to, under which policy, and with which keys.

mod keys;
mod resolve;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;

pub use keys::{Keys, NoKeys, SharedKeys};
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
    /// Where its keyring is; sealed routes need one. Settings hold no keys: those have lifetimes.
    pub keyring: Option<PathBuf>,
}

/// How long keys stay in memory, and when new ones come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysSettings {
    /// From this age on a keyring is loaded anew, beside the traffic.
    pub soft: Duration,
    /// At this age it is dropped, whatever happens: the bound on revocation.
    pub hard: Duration,
    /// Unused for so long, it is dropped.
    pub unused: Duration,
    /// How long an epoch seals; `None`: until it has wrapped often enough, or an operator rotates it.
    pub rotate_epoch_after: Option<Duration>,
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
