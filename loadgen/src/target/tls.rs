//! The client's TLS configurations: one for full handshakes, one per connection for resumed ones.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime},
    version::{TLS12, TLS13},
};
use thiserror::Error;

use super::{key_update::Every, tickets::Tickets};
use crate::{
    cli::{TlsArgs, TlsVersion},
    pem::{self, PemError},
    report::model::TlsConfiguration,
};

/// Where Debian, Alpine and Arch keep the system's certificate authorities.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// TLS flags that cannot be used. The operator's fault.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file is of no use.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// New keys for a version that keeps its keys.
    #[error("TLS 1.2 has no KeyUpdate: drop --key-update or --tls 1.2")]
    KeyUpdateTls12,
    /// No such group.
    #[error("no key exchange group is called {name}; there are {known}")]
    UnknownGroup {
        /// As it was written.
        name: String,
        /// Names that would do.
        known: String,
    },
    /// rustls refuses the combination.
    #[error("these TLS settings do not fit together: {0}")]
    Refused(#[from] rustls::Error),
    /// The server name is none.
    #[error("{name} is no server name ({error}); set one with --sni")]
    ServerName {
        /// As it was written.
        name: String,
        /// Why.
        error: InvalidDnsNameError,
    },
}

/// What is checked of the target's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Neither chain, name, nor the signature in CertificateVerify.
    Nothing,
    /// Everything, against the authorities of this file.
    Everything(PathBuf),
}

impl Verification {
    /// The words in the report.
    pub fn describe(&self) -> String {
        match self {
            Verification::Nothing => "none (neither chain nor signature)".to_owned(),
            Verification::Everything(roots) => {
                format!("chain, name and signature ({})", roots.display())
            }
        }
    }
}

/// The configurations of one run.
#[derive(Debug, Clone)]
pub struct Configs {
    /// Never resumes.
    pub full: Arc<ClientConfig>,
    /// Name in the ClientHello and in verification.
    pub server_name: ServerName<'static>,
    /// What is verified.
    pub verification: Verification,
    /// When a connection asks for new keys.
    pub key_update: Option<Every>,
    versions: Vec<String>,
    groups: Vec<String>,
}

impl Configs {
    /// Builds the configuration from flags. `host` is the server name unless `--sni` names one;
    /// `alpn` is what is offered.
    ///
    /// # Errors
    ///
    /// When a file or a name is of no use.
    pub fn new(args: &TlsArgs, host: &str, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(names) = &args.groups {
            provider.kx_groups = groups(names)?;
        }
        let offered = provider.kx_groups.iter();
        let groups = offered.map(|group| format!("{:?}", group.name())).collect();
        let provider = Arc::new(provider);
        let verification = match (&args.cacert, args.verify) {
            (Some(path), _) => Verification::Everything(path.clone()),
            (None, true) => Verification::Everything(SYSTEM_ROOTS.into()),
            (None, false) => Verification::Nothing,
        };
        let versions = versions(args)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?;
        let builder = match &verification {
            Verification::Everything(path) => builder.with_root_certificates(roots(path)?),
            Verification::Nothing => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TrustAnyone { provider })),
        };
        let mut config = match (&args.cert, &args.key) {
            (Some(cert), Some(key)) => {
                builder.with_client_auth_cert(pem::certificates(cert)?, pem::private_key(key)?)?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::disabled();
        config.enable_secret_extraction = true;
        let name = args.sni.as_deref().unwrap_or(host);
        let server_name =
            ServerName::try_from(name.to_owned()).map_err(|error| TlsError::ServerName {
                name: name.to_owned(),
                error,
            })?;
        Ok(Self {
            full: Arc::new(config),
            server_name,
            verification,
            versions: versions
                .iter()
                .map(|version| version_name(version))
                .collect(),
            groups,
            key_update: args.key_update,
        })
    }

    /// The settings for the report.
    pub fn describe(&self) -> TlsConfiguration {
        TlsConfiguration {
            server_name: self.server_name.to_str().into_owned(),
            versions: self.versions.clone(),
            groups: self.groups.clone(),
            client_certificate: self.full.client_auth_cert_resolver.has_certs(),
            verification: self.verification.describe(),
            key_update: self.key_update.map(|every| every.to_string()),
        }
    }

    /// A configuration that takes its sessions from `tickets` and puts new ones there.
    pub fn resuming(&self, tickets: Arc<Tickets>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.full);
        config.resumption = Resumption::store(tickets);
        Arc::new(config)
    }
}

/// What is offered: only a version that can do what was asked for.
fn versions(args: &TlsArgs) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    match (args.tls, args.key_update) {
        (Some(TlsVersion::Tls12), Some(_)) => Err(TlsError::KeyUpdateTls12),
        (Some(TlsVersion::Tls12), None) => Ok(vec![&TLS12]),
        (Some(TlsVersion::Tls13), _) | (None, Some(_)) => Ok(vec![&TLS13]),
        (None, None) => Ok(vec![&TLS13, &TLS12]),
    }
}

fn version_name(version: &SupportedProtocolVersion) -> String {
    match version.version {
        ProtocolVersion::TLSv1_2 => "1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "1.3".to_owned(),
        other => format!("{other:?}"),
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(pem::certificates(path)?);
    match added {
        0 => Err(PemError::Empty {
            path: path.to_owned(),
        }
        .into()),
        _ => Ok(roots),
    }
}

/// Reads `X25519MLKEM768:X25519:P-256`. OpenSSL's names are understood as well.
fn groups(names: &str) -> Result<Vec<&'static dyn SupportedKxGroup>, TlsError> {
    const KNOWN: [(&str, &str, &dyn SupportedKxGroup); 5] = [
        (
            "X25519MLKEM768",
            "X25519MLKEM768",
            aws_lc_rs::kx_group::X25519MLKEM768,
        ),
        (
            "SECP256R1MLKEM768",
            "SecP256r1MLKEM768",
            aws_lc_rs::kx_group::SECP256R1MLKEM768,
        ),
        ("X25519", "X25519", aws_lc_rs::kx_group::X25519),
        ("P-256", "secp256r1", aws_lc_rs::kx_group::SECP256R1),
        ("P-384", "secp384r1", aws_lc_rs::kx_group::SECP384R1),
    ];
    names
        .split([':', ','])
        .map(|name| {
            KNOWN
                .iter()
                .find(|(ours, other, _)| {
                    name.eq_ignore_ascii_case(ours) || name.eq_ignore_ascii_case(other)
                })
                .map(|(_, _, group)| *group)
                .ok_or_else(|| TlsError::UnknownGroup {
                    name: name.to_owned(),
                    known: KNOWN.map(|(ours, _, _)| ours).join(", "),
                })
        })
        .collect()
}

/// Checks nothing, not even the signature: a client that costs as little as possible. Its use is
/// in the report. No secret ever goes over such a connection: the bodies are a fixed pattern.
#[derive(Debug)]
struct TrustAnyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_both_names() {
        let names = |list| {
            groups(list)
                .unwrap()
                .iter()
                .map(|g| g.name())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("x25519:P-256"), names("X25519,secp256r1"));
        let error = groups("X448").unwrap_err().to_string();
        assert!(error.contains("X25519MLKEM768"), "{error}");
    }
}
