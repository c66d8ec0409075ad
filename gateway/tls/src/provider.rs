//! Algorithms: what is offered, and in which order.

use std::sync::{Arc, LazyLock, OnceLock};

use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider, kx_group};
use rustls::crypto::tls13::Hkdf;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{SupportedCipherSuite, Tls13CipherSuite};

use crate::hkdf::{HKDF_SHA256, HKDF_SHA384};

/// The one provider of the process: aws-lc-rs, which picks AES-NI, VAES or the ARMv8 instructions
/// at run time.
///
/// Suites: AES-GCM and ChaCha20-Poly1305, with ECDHE only in TLS 1.2. Groups: X25519MLKEM768,
/// X25519, P-256, P-384, in that order.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let made = PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                SupportedCipherSuite::Tls13(&AES_256_GCM_SHA384),
                SupportedCipherSuite::Tls13(&AES_128_GCM_SHA256),
                SupportedCipherSuite::Tls13(&CHACHA20_POLY1305_SHA256),
                suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            ],
            kx_groups: vec![
                kx_group::X25519MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            ..default_provider()
        })
    });
    Arc::clone(made)
}

static AES_256_GCM_SHA384: LazyLock<Tls13CipherSuite> =
    LazyLock::new(|| with_hkdf(suite::TLS13_AES_256_GCM_SHA384, &HKDF_SHA384));
static AES_128_GCM_SHA256: LazyLock<Tls13CipherSuite> =
    LazyLock::new(|| with_hkdf(suite::TLS13_AES_128_GCM_SHA256, &HKDF_SHA256));
static CHACHA20_POLY1305_SHA256: LazyLock<Tls13CipherSuite> =
    LazyLock::new(|| with_hkdf(suite::TLS13_CHACHA20_POLY1305_SHA256, &HKDF_SHA256));

/// The suite of rustls's own provider, with our key derivation.
fn with_hkdf(suite: SupportedCipherSuite, hkdf: &'static dyn Hkdf) -> Tls13CipherSuite {
    let Some(theirs) = suite.tls13() else {
        unreachable!("it is named TLS13_");
    };
    Tls13CipherSuite {
        common: CipherSuiteCommon { ..theirs.common },
        hkdf_provider: hkdf,
        aead_alg: theirs.aead_alg,
        quic: None,
    }
}

/// Draws the first random bytes of the process. That took 72 ms once: better before listening than
/// in somebody's handshake.
///
/// # Errors
/// When the system has no randomness to give: nothing can run then.
pub fn warm_up() -> Result<(), rustls::Error> {
    let mut bytes = [0; 32];
    provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| rustls::Error::FailedToGetRandomBytes)
}
