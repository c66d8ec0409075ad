//! The client's TLS configurations: one for full handshakes, one per connection for resumed ones.

use std::{
    borrow::Cow,
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

use super::{
    key_update::Every,
    sni::Sni,
    tenant_tls::{MAX_CERTIFICATES, TenantTls},
    tickets::Tickets,
};
use crate::{
    cli::{TlsArgs, TlsVersion},
    files::Files,
    pem::{self, PemError},
    placeholder::{Filling, Text, UnknownPlaceholder},
    report::model::TlsConfiguration,
    tenants::Tenants,
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
    /// A placeholder is none.
    #[error(transparent)]
    Placeholder(#[from] UnknownPlaceholder),
    /// Too many client certificates.
    #[error(
        "{tenants} tenants with certificates of their own are more than {MAX_CERTIFICATES}: name fewer tenants, or one certificate for all"
    )]
    ManyCertificates {
        /// How many were asked for.
        tenants: usize,
    },
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

/// What ALPN has to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Whatever the target says.
    Any,
    /// One of those that `--alpn` named.
    OfThose,
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
    /// What differs between tenants; none when nothing does.
    of_tenants: Option<TenantTls>,
    /// The server name as it was written.
    written_name: String,
    /// Whether one of the protocols offered has to be chosen.
    pub protocol: Protocol,
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
    pub fn new(
        args: &TlsArgs,
        host: &str,
        alpn: &[&[u8]],
        tenants: Option<&Arc<Tenants>>,
    ) -> Result<Self, TlsError> {
        let files = &args.files;
        let mut provider = CryptoProvider::clone(&sealgate_tls::provider());
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
        let verifier = match &verification {
            Verification::Everything(path) => {
                sealgate_tls::server_verifier(Arc::new(roots(files, path)?), provider)?
            }
            Verification::Nothing => Arc::new(TrustAnyone { provider }),
        };
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let identity = Identity::new(args)?;
        let alpn: Vec<_> = match &args.alpn {
            Some(names) => names.iter().map(|name| name.clone().into_bytes()).collect(),
            None => alpn.iter().map(|name| name.to_vec()).collect(),
        };
        let config = |tenant: usize| -> Result<Arc<ClientConfig>, TlsError> {
            let builder = builder.clone();
            let mut config = match identity.files(tenants, tenant) {
                Some((cert, key)) => builder.with_client_auth_cert(
                    pem::certificates(files, &cert)?,
                    pem::private_key(files, &key)?,
                )?,
                None => builder.with_no_client_auth(),
            };
            config.alpn_protocols.clone_from(&alpn);
            config.resumption = Resumption::disabled();
            config.enable_secret_extraction = true;
            Ok(Arc::new(config))
        };
        let asked = args.sni.as_ref();
        let written_name = asked.map_or(host.to_owned(), ToString::to_string);
        let text = Text::strict(asked.map_or(host, Sni::text))?;
        let name = text.filled(Filling {
            tenants: tenants.map(|all| &**all),
            ..Filling::default()
        });
        let server_name = ServerName::try_from(name.clone())
            .map_err(|error| TlsError::ServerName { name, error })?;
        let own_name = Some(text).filter(Text::names_tenant);
        let of_tenants = match tenants {
            Some(tenants) if own_name.is_some() || identity.names_tenant() => {
                let count = match identity.names_tenant() {
                    true => tenants.count(),
                    false => 0,
                };
                if count > MAX_CERTIFICATES {
                    return Err(TlsError::ManyCertificates { tenants: count });
                }
                let configs = (0..count).map(config).collect::<Result<_, _>>()?;
                Some(TenantTls::new(tenants, own_name, configs)?)
            }
            _ => None,
        };
        Ok(Self {
            full: config(0)?,
            server_name,
            of_tenants,
            written_name,
            verification,
            versions: versions
                .iter()
                .map(|version| version_name(version))
                .collect(),
            groups,
            key_update: args.key_update,
            protocol: match args.alpn {
                Some(_) => Protocol::OfThose,
                None => Protocol::Any,
            },
        })
    }

    /// The settings for the report.
    pub fn describe(&self) -> TlsConfiguration {
        TlsConfiguration {
            server_name: self.written_name.clone(),
            versions: self.versions.clone(),
            groups: self.groups.clone(),
            client_certificate: self.full.client_auth_cert_resolver.has_certs(),
            verification: self.verification.describe(),
            key_update: self.key_update.map(|every| every.to_string()),
            alpn: self
                .full
                .alpn_protocols
                .iter()
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect(),
        }
    }

    /// Whether a connection is one tenant's own.
    pub fn belong_to_tenants(&self) -> bool {
        self.of_tenants.is_some()
    }

    /// The configuration for full handshakes of a tenant.
    pub fn full_of(&self, tenant: usize) -> &Arc<ClientConfig> {
        let own = self.of_tenants.as_ref().and_then(|all| all.config(tenant));
        own.unwrap_or(&self.full)
    }

    /// The server name of a tenant.
    pub fn server_name_of(&self, tenant: usize) -> ServerName<'static> {
        let own = self.of_tenants.as_ref();
        let own = own.and_then(|all| all.server_name(tenant));
        own.unwrap_or_else(|| self.server_name.clone())
    }

    /// The name to count a connection of a tenant under: few names, however many tenants.
    pub fn counted_name(&self, tenant: usize) -> Cow<'_, str> {
        let own = self.of_tenants.as_ref();
        let own = own.and_then(|all| all.counted_name(tenant));
        own.unwrap_or_else(|| self.server_name.to_str())
    }

    /// A configuration of a tenant that takes its sessions from `tickets` and puts new ones there.
    pub fn resuming(&self, tenant: usize, tickets: Arc<Tickets>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(self.full_of(tenant));
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

/// Where the client certificate and its key are.
struct Identity(Option<(Text, Text)>);

impl Identity {
    fn new(args: &TlsArgs) -> Result<Self, TlsError> {
        let text = |path: &Path| Text::strict(&path.to_string_lossy());
        Ok(Self(match (&args.cert, &args.key) {
            (Some(cert), Some(key)) => Some((text(cert)?, text(key)?)),
            _ => None,
        }))
    }

    fn names_tenant(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|(cert, key)| cert.names_tenant() || key.names_tenant())
    }

    /// The files of a tenant; none when no certificate is shown.
    fn files(&self, tenants: Option<&Arc<Tenants>>, tenant: usize) -> Option<(PathBuf, PathBuf)> {
        let filling = Filling {
            tenants: tenants.map(|all| &**all),
            tenant,
            object: 0,
        };
        let (cert, key) = self.0.as_ref()?;
        Some((cert.filled(filling).into(), key.filled(filling).into()))
    }
}

fn version_name(version: &SupportedProtocolVersion) -> String {
    match version.version {
        ProtocolVersion::TLSv1_2 => "1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "1.3".to_owned(),
        other => format!("{other:?}"),
    }
}

fn roots(files: &Files, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(pem::certificates(files, path)?);
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
