//! Client certificates in a share of the handshakes, and whether one was shown.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rustls::{ClientConfig, SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey};

/// When the client certificate is shown, if there is one and the target asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In every full handshake.
    Always,
    /// In those that are of this kind, and in no other.
    InItsShare,
}

/// Sees whether a certificate is shown; one handshake at a time.
#[derive(Debug, Default)]
pub struct Witness {
    shown: AtomicBool,
}

impl Witness {
    /// Whether a certificate was shown since the last time.
    pub fn take_shown(&self) -> bool {
        self.shown.swap(false, Ordering::Relaxed)
    }

    /// `config`, whose certificates are seen when they are shown.
    pub fn watch(self: &Arc<Self>, config: &ClientConfig) -> Arc<ClientConfig> {
        let mut config = config.clone();
        config.client_auth_cert_resolver = Arc::new(Watched {
            inner: Arc::clone(&config.client_auth_cert_resolver),
            witness: Arc::clone(self),
        });
        Arc::new(config)
    }
}

#[derive(Debug)]
struct Watched {
    inner: Arc<dyn ResolvesClientCert>,
    witness: Arc<Witness>,
}

impl ResolvesClientCert for Watched {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let chosen = self.inner.resolve(hints, schemes)?;
        self.witness.shown.store(true, Ordering::Relaxed);
        Some(chosen)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

/// Shows no certificate. rustls resumes a session only with the very resolver that it was made
/// with, so there is one of these for all handshakes of a slot.
#[derive(Debug)]
pub struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
