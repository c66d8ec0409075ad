//! Who may talk to whom: both sides show certificates, and TLS 1.3 is spoken.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    files::Files,
    pem::{self, PemError},
};

/// So that a server of something else is not taken for an agent.
const ALPN: &[u8] = b"loadgen-agent";

/// Files of one side.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Its certificate chain.
    pub cert: &'a Path,
    /// Its key.
    pub key: &'a Path,
    /// Authorities of the other side.
    pub ca: &'a Path,
}

impl Identity<'_> {
    /// For an agent: clients without a certificate of the authorities are refused.
    ///
    /// # Errors
    ///
    /// When a file is of no use.
    pub fn agent(&self) -> Result<Arc<ServerConfig>, PemError> {
        let provider = Arc::new(default_provider());
        let roots = Arc::new(self.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier = verifier.build().map_err(|_| PemError::Empty {
            path: self.ca.to_owned(),
        })?;
        let (chain, key) = self.own()?;
        let builder = ServerConfig::builder_with_provider(provider);
        let mut config = builder
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| self.rejected(error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| self.rejected(error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A coordinator comes once; each time it has to show its certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// For a coordinator: agents have to have the names that they are called by.
    ///
    /// # Errors
    ///
    /// When a file is of no use.
    pub fn coordinator(&self) -> Result<Arc<ClientConfig>, PemError> {
        let (chain, key) = self.own()?;
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let mut config = builder
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| self.rejected(error))?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)
            .map_err(|error| self.rejected(error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// The authorities by name.
    ///
    /// # Errors
    ///
    /// When the file is of no use.
    pub fn authorities(&self) -> Result<Vec<String>, PemError> {
        let all = pem::certificates(&Files::Disk, self.ca)?;
        Ok(all.iter().map(subject).collect())
    }

    fn own(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PemError> {
        let chain = pem::certificates(&Files::Disk, self.cert)?;
        Ok((chain, pem::private_key(&Files::Disk, self.key)?))
    }

    fn roots(&self) -> Result<RootCertStore, PemError> {
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(&Files::Disk, self.ca)? {
            let added = roots.add(certificate);
            added.map_err(|error| PemError::Rejected {
                path: self.ca.to_owned(),
                error,
            })?;
        }
        Ok(roots)
    }

    fn rejected(&self, error: rustls::Error) -> PemError {
        PemError::Rejected {
            path: self.cert.to_owned(),
            error,
        }
    }
}

/// The subject of a certificate, for people.
pub fn subject(certificate: &CertificateDer<'_>) -> String {
    match X509Certificate::from_der(certificate) {
        // Whoever had it signed chose the name.
        Ok((_, parsed)) => parsed.subject().to_string().escape_debug().to_string(),
        Err(_) => "an unreadable name".to_owned(),
    }
}
