//! TLS with a certificate that is made on the spot: for a server that only this process asks.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::{
    OriginError,
    tls::{Alpn, complete},
};

/// A configuration with a new P-256 key for `localhost`.
///
/// # Errors
///
/// When the system has no randomness.
pub fn server_config(alpn: Alpn) -> Result<Arc<ServerConfig>, OriginError> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).map_err(OriginError::Certificate)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key)
        })
        .map_err(OriginError::Tls)?;
    complete(config, alpn).map_err(OriginError::Tls)
}
