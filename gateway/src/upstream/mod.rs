//! Connections to the services behind the gateway.

mod connect;
mod pool;

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;

pub use connect::{ConnectError, ConnectReason, Upstream};
pub use pool::{HttpPool, Lease, LeaseError, Reuse};

/// The services behind one route: interchangeable addresses, tried in order from a rotating start.
pub struct UpstreamSettings {
    /// At least one address; names were resolved when the configuration was built.
    pub addresses: Vec<SocketAddr>,
    /// As the configuration wrote them, for logs and status.
    pub display: String,
    /// TLS towards them; `None`: plain TCP.
    pub tls: Option<UpstreamTlsSettings>,
}

/// TLS towards an upstream: always verified.
pub struct UpstreamTlsSettings {
    /// Trust roots of this tenant for this upstream.
    pub roots: Arc<RootCertStore>,
    /// The name its certificate has to carry; sent as SNI.
    pub server_name: ServerName<'static>,
    /// The tenant's own client certificate, where the upstream wants one.
    pub client_certificate: Option<Arc<CertifiedKey>>,
}
