//! Who takes part: a certificate authority, a server and a client, made by `make.py`.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use sealgate_tls::provider;

/// The name in the server's certificate.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("server.bench.test").expect("a DNS name")
}

/// The authority that signed both certificates.
pub fn roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from(&include_bytes!("ca.der")[..]);
    roots.add(authority).expect("a certificate");
    Arc::new(roots)
}

/// The server's certificate and key, P-256.
pub fn server() -> Arc<CertifiedKey> {
    certified(
        include_bytes!("server.der"),
        include_bytes!("server.key.der"),
    )
}

/// The client's certificate and key, P-256.
pub fn client() -> Arc<CertifiedKey> {
    certified(
        include_bytes!("client.der"),
        include_bytes!("client.key.der"),
    )
}

fn certified(certificate: &'static [u8], key: &'static [u8]) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::Pkcs8(key.into());
    let certified = CertifiedKey::from_der(vec![certificate.into()], key, &provider());
    Arc::new(certified.expect("the key of the certificate"))
}
