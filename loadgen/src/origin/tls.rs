//! The origin's TLS server configuration.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::{Ticketer, default_provider},
    server::WebPkiClientVerifier,
};

use crate::{
    files::Files,
    pem::{self, PemError},
};

/// Where the files are that make the listeners speak TLS.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// Certificate chain, PEM, leaf first.
    pub cert: &'a Path,
    /// Private key, PEM.
    pub key: &'a Path,
    /// Certificate authorities of clients; with them, a client has to show a certificate.
    pub client_ca: Option<&'a Path>,
}

/// Protocols offered in ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// Nothing is negotiated: raw TCP services.
    None,
    /// `http/1.1`.
    Http1,
}

/// Builds the configuration that all connections of one listener share.
///
/// Tickets are stateless and one is sent per handshake: the built-in session store of rustls is
/// one lock for all threads, and a second ticket costs time and is not used.
///
/// # Errors
///
/// When a file cannot be read or does not hold what it should.
pub fn server_config(identity: &Identity<'_>, alpn: Alpn) -> Result<Arc<ServerConfig>, PemError> {
    let chain = pem::certificates(&Files::Disk, identity.cert)?;
    let key = pem::private_key(&Files::Disk, identity.key)?;
    let rejected = |path: &Path| {
        let path = path.to_owned();
        move |error: rustls::Error| PemError::Rejected { path, error }
    };
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(rejected(identity.cert))?;
    let builder = match identity.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in pem::certificates(&Files::Disk, path)? {
                roots.add(certificate).map_err(rejected(path))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|_| PemError::Empty {
                    path: path.to_owned(),
                })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(rejected(identity.cert))?;
    complete(config, alpn).map_err(rejected(identity.key))
}

/// What all of the origin's configurations have: tickets, and the keys for an own record layer.
///
/// # Errors
///
/// When there is no randomness for ticket keys.
pub fn complete(mut config: ServerConfig, alpn: Alpn) -> Result<Arc<ServerConfig>, rustls::Error> {
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    config.enable_secret_extraction = true;
    if alpn == Alpn::Http1 {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    Ok(Arc::new(config))
}
