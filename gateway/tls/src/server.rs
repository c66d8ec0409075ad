//! Server configurations: one pair per tenant and listener.

use std::fmt;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use crate::engine::Engine;
use crate::provider::provider;
use crate::ticket::Ticketer;

/// Whether clients show certificates.
#[derive(Clone)]
pub enum ClientVerification {
    /// None is asked for.
    None,
    /// One may be shown, and then has to verify.
    Optional(Arc<RootCertStore>),
    /// One has to be shown and to verify.
    Required(Arc<RootCertStore>),
}

/// What a server configuration is made of.
pub struct ServerSettings {
    /// Chain and key shown to clients.
    pub certificate: Arc<CertifiedKey>,
    /// Client certificates.
    pub client_verification: ClientVerification,
    /// Protocols, most wanted first; empty: ALPN is not answered.
    pub alpn: Vec<Vec<u8>>,
    /// The name for which the session was chosen: the certificate is shown for no other.
    pub tickets: Ticketer,
    /// What established TLS 1.3 sessions run on.
    pub engine: Engine,
}

/// The configurations of one tenant on one listener.
#[derive(Clone)]
pub struct ServerConfigs {
    /// For clients that offer TLS 1.3.
    modern: Arc<ServerConfig>,
    /// For clients that do not: TLS 1.2 without tickets, whose keys would outlive forward secrecy.
    legacy: Arc<ServerConfig>,
}

impl ServerConfigs {
    /// The configuration for a client that offers TLS 1.3 or does not.
    pub fn choose(&self, offers_tls13: bool) -> Arc<ServerConfig> {
        Arc::clone(if offers_tls13 {
            &self.modern
        } else {
            &self.legacy
        })
    }
}

/// Builds the configurations: TLS 1.3 with one ticket after the handshake (with none, clients with
/// Nagle stall on their first request; two cost 7 µs more), TLS 1.2 without; never early data.
///
/// # Errors
/// [`rustls::Error`] when client roots are empty or unusable: the operator's fault.
pub fn server_configs(settings: ServerSettings) -> Result<ServerConfigs, rustls::Error> {
    let verifier = verifier(&settings.client_verification)?;
    let certificate = Arc::new(OneCertificate(settings.certificate));
    let build = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.alpn_protocols = settings.alpn.clone();
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 1;
        config.enable_secret_extraction = settings.engine == Engine::Direct;
        Ok::<_, rustls::Error>(config)
    };
    let mut modern = build(&[&TLS13, &TLS12])?;
    modern.ticketer = Arc::new(settings.tickets);
    let legacy = build(&[&TLS12])?;
    Ok(ServerConfigs {
        modern: Arc::new(modern),
        legacy: Arc::new(legacy),
    })
}

fn verifier(
    verification: &ClientVerification,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    let (roots, optional) = match verification {
        ClientVerification::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientVerification::Optional(roots) => (roots, true),
        ClientVerification::Required(roots) => (roots, false),
    };
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
    let builder = if optional {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    builder
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

struct OneCertificate(Arc<CertifiedKey>);

impl fmt::Debug for OneCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneCertificate")
    }
}

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
