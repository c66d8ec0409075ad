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
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    files::Files,
    pem::{self, PemError},
};

/// So that a server of something else is not taken for an agent.
const ALPN: &[u8] = b"loadgen-agent";

/// The flags that name the files of one side.
#[derive(Debug, Clone, Copy)]
struct Flags {
    cert: &'static str,
    key: &'static str,
    ca: &'static str,
}

const OF_AGENT: Flags = Flags {
    cert: "--cert",
    key: "--key",
    ca: "--ca",
};

const OF_COORDINATOR: Flags = Flags {
    cert: "--agents-cert",
    key: "--agents-key",
    ca: "--agents-ca",
};

/// A file of one side is of no use. The operator's fault.
#[derive(Debug, Error)]
#[error("{flag}: {error}")]
pub struct IdentityError {
    /// The flag that names it.
    flag: &'static str,
    /// Why.
    error: PemError,
}

/// Says which flag an error is of.
fn of(flag: &'static str) -> impl Fn(PemError) -> IdentityError {
    move |error| IdentityError { flag, error }
}

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
    pub fn agent(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        let provider = Arc::new(default_provider());
        let roots = Arc::new(self.roots().map_err(of(OF_AGENT.ca))?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let empty = |_| PemError::Empty {
            path: self.ca.to_owned(),
        };
        let verifier = verifier.build().map_err(empty).map_err(of(OF_AGENT.ca))?;
        let (chain, key) = self.own(OF_AGENT)?;
        let builder = ServerConfig::builder_with_provider(provider);
        let mut config = builder
            .with_protocol_versions(&[&TLS13])
            .map(|builder| builder.with_client_cert_verifier(verifier))
            .and_then(|builder| builder.with_single_cert(chain, key))
            .map_err(|error| self.rejected(OF_AGENT, error))?;
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
    pub fn coordinator(&self) -> Result<Arc<ClientConfig>, IdentityError> {
        let (chain, key) = self.own(OF_COORDINATOR)?;
        let roots = self.roots().map_err(of(OF_COORDINATOR.ca))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let mut config = builder
            .with_protocol_versions(&[&TLS13])
            .map(|builder| builder.with_root_certificates(roots))
            .and_then(|builder| builder.with_client_auth_cert(chain, key))
            .map_err(|error| self.rejected(OF_COORDINATOR, error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// The authorities of coordinators by name.
    ///
    /// # Errors
    ///
    /// When the file is of no use.
    pub fn authorities(&self) -> Result<Vec<String>, IdentityError> {
        let all = pem::certificates(&Files::Disk, self.ca).map_err(of(OF_AGENT.ca))?;
        Ok(all.iter().map(subject).collect())
    }

    fn own(&self, flags: Flags) -> Result<Own, IdentityError> {
        let chain = pem::certificates(&Files::Disk, self.cert).map_err(of(flags.cert))?;
        let key = pem::private_key(&Files::Disk, self.key).map_err(of(flags.key))?;
        Ok((chain, key))
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

    /// What rustls says of a certificate with its key.
    fn rejected(&self, flags: Flags, error: rustls::Error) -> IdentityError {
        of(flags.cert)(PemError::Rejected {
            path: self.cert.to_owned(),
            error,
        })
    }
}

/// A certificate chain and its key.
type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The subject of a certificate, for people.
pub fn subject(certificate: &CertificateDer<'_>) -> String {
    match X509Certificate::from_der(certificate) {
        // Whoever had it signed chose the name.
        Ok((_, parsed)) => parsed.subject().to_string().escape_debug().to_string(),
        Err(_) => "an unreadable name".to_owned(),
    }
}
