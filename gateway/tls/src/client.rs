//! Client configurations: towards upstreams, and for the load generator.

use std::fmt;
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use crate::engine::Engine;
use crate::provider::provider;
use crate::verified_chains::server_verifier;

/// What a client configuration is made of. The server is always verified.
pub struct ClientSettings {
    /// Trust roots.
    pub roots: Arc<RootCertStore>,
    /// Chain and key shown to servers that ask for them.
    pub certificate: Option<Arc<CertifiedKey>>,
    /// Protocols offered; empty: none.
    pub alpn: Vec<Vec<u8>>,
    /// Sessions kept for resumption; 0: none.
    pub resumable_sessions: usize,
    /// What established TLS 1.3 sessions run on.
    pub engine: Engine,
}

/// Builds the configuration: TLS 1.2 and 1.3, never early data.
///
/// # Errors
/// [`rustls::Error`] when `roots` is empty, or the provider lacks what the versions need, which is a bug.
pub fn client_config(settings: ClientSettings) -> Result<Arc<ClientConfig>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(server_verifier(settings.roots, provider())?);
    let mut config = match settings.certificate {
        Some(certificate) => {
            builder.with_client_cert_resolver(Arc::new(OneCertificate(certificate)))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = settings.alpn;
    config.enable_early_data = false;
    config.enable_secret_extraction = settings.engine == Engine::Direct;
    config.resumption = match settings.resumable_sessions {
        0 => Resumption::disabled(),
        n => Resumption::in_memory_sessions(n),
    };
    Ok(Arc::new(config))
}

struct OneCertificate(Arc<CertifiedKey>);

impl fmt::Debug for OneCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneCertificate")
    }
}

impl ResolvesClientCert for OneCertificate {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0
            .key
            .choose_scheme(schemes)
            .map(|_| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
