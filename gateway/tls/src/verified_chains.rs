//! Verifies a server's chain, and remembers what was verified within the same second.
//!
//! A server shows the same chain on every connection, and verifying that costs more than the key exchange. The
//! outcome depends on chain, name, trust roots and time alone, and time is in whole seconds here: the same question
//! again has the same answer. The signature in CertificateVerify, by which the server shows that it has the key, is
//! another every time and always verified.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Chains that are remembered at most, the oldest going first.
const CHAINS: usize = 16;
/// Bytes of a chain that is remembered, at most: with [`CHAINS`], 256 KiB of a configuration.
const CHAIN_BYTES: usize = 16 * 1024;

/// What verifies servers against `roots`: chain, name, and that the server has the key. Without revocation.
///
/// # Errors
/// [`Error::General`] when nobody is trusted.
pub fn server_verifier(
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|error| Error::General(format!("servers cannot be verified: {error}")))?;
    Ok(Arc::new(VerifiedChains {
        verifier: webpki,
        verified: Mutex::default(),
    }))
}

/// A verifier that remembers. See the module.
struct VerifiedChains<V> {
    verifier: Arc<V>,
    /// Held to look and to note, never while verifying. Who finds it taken verifies.
    verified: Mutex<VecDeque<Verified>>,
}

/// A chain that was found good for a name, at a time.
struct Verified {
    now: UnixTime,
    name: ServerName<'static>,
    chain: Vec<CertificateDer<'static>>,
}

impl Verified {
    fn is(&self, chain: &Chain<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
        self.now == now
            && self.name == *name
            && self.chain.len() == 1 + chain.intermediates.len()
            && self.chain.iter().eq(chain.certificates())
    }
}

/// What a server showed.
#[derive(Clone, Copy)]
struct Chain<'a> {
    end_entity: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
}

impl<'a> Chain<'a> {
    fn certificates(&self) -> impl Iterator<Item = &'a CertificateDer<'a>> {
        std::iter::once(self.end_entity).chain(self.intermediates)
    }

    fn len_bytes(&self) -> usize {
        self.certificates()
            .map(|certificate| certificate.len())
            .sum()
    }
}

impl<V> VerifiedChains<V> {
    fn remembers(&self, chain: &Chain<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
        self.verified
            .try_lock()
            .is_ok_and(|verified| verified.iter().any(|one| one.is(chain, name, now)))
    }

    fn remember(&self, chain: &Chain<'_>, name: &ServerName<'_>, now: UnixTime) {
        if chain.len_bytes() > CHAIN_BYTES {
            return;
        }
        if let Ok(mut verified) = self.verified.try_lock() {
            // Whose second is over will not be asked for again.
            verified.retain(|one| one.now == now);
            verified.truncate(CHAINS - 1);
            verified.push_front(Verified {
                now,
                name: name.to_owned(),
                chain: chain
                    .certificates()
                    .map(|certificate| certificate.clone().into_owned())
                    .collect(),
            });
        }
    }
}

impl<V> fmt::Debug for VerifiedChains<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifiedChains")
    }
}

impl<V: ServerCertVerifier> ServerCertVerifier for VerifiedChains<V> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = Chain {
            end_entity,
            intermediates,
        };
        if self.remembers(&chain, server_name, now) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        self.remember(&chain, server_name, now);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use rustls::CertificateError;

    use super::*;

    /// Trusts certificates that begin with a zero, and counts how often it was asked.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl ServerCertVerifier for Counting {
        fn verify_server_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match end_entity.first() {
                Some(0) => Ok(ServerCertVerified::assertion()),
                _ => Err(CertificateError::UnknownIssuer.into()),
            }
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            unreachable!("no handshake here")
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            unreachable!("no handshake here")
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            Vec::new()
        }
    }

    struct Asked {
        verifier: VerifiedChains<Counting>,
    }

    impl Asked {
        fn new() -> Asked {
            let verifier = VerifiedChains {
                verifier: Arc::default(),
                verified: Mutex::default(),
            };
            Asked { verifier }
        }

        /// Whether the chain is good, and whether that had to be found out.
        fn ask(&self, chain: &[&[u8]], name: &str, second: u64) -> (bool, bool) {
            let before = self.verifier.verifier.0.load(Ordering::Relaxed);
            let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
            let name = ServerName::try_from(name).unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_secs(second));
            let verdict = self
                .verifier
                .verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
            let after = self.verifier.verifier.0.load(Ordering::Relaxed);
            (verdict.is_ok(), after > before)
        }
    }

    const GOOD: &[u8] = &[0, 1, 2];
    const AUTHORITY: &[u8] = &[3, 4];

    #[test]
    fn the_same_question_is_answered_once() {
        let asked = Asked::new();
        assert_eq!(asked.ask(&[GOOD, AUTHORITY], "a.test", 7), (true, true));
        assert_eq!(asked.ask(&[GOOD, AUTHORITY], "a.test", 7), (true, false));
    }

    #[test]
    fn another_second_name_or_chain_is_another_question() {
        let asked = Asked::new();
        asked.ask(&[GOOD, AUTHORITY], "a.test", 7);
        assert_eq!(asked.ask(&[GOOD, AUTHORITY], "b.test", 7), (true, true));
        assert_eq!(asked.ask(&[GOOD], "a.test", 7), (true, true));
        assert_eq!(asked.ask(&[GOOD, GOOD], "a.test", 7), (true, true));
        assert_eq!(
            asked.ask(&[GOOD, AUTHORITY, GOOD], "a.test", 7),
            (true, true)
        );
        assert_eq!(asked.ask(&[&[9], AUTHORITY], "a.test", 7), (false, true));
        assert_eq!(asked.ask(&[GOOD, AUTHORITY], "a.test", 7), (true, false));
        assert_eq!(asked.ask(&[GOOD, AUTHORITY], "a.test", 8), (true, true));
        // The clock was set back: what was found out then is gone.
        assert_eq!(asked.ask(&[GOOD, AUTHORITY], "a.test", 7), (true, true));
    }

    #[test]
    fn what_is_no_good_is_never_remembered() {
        let asked = Asked::new();
        assert_eq!(asked.ask(&[&[9]], "a.test", 7), (false, true));
        assert_eq!(asked.ask(&[&[9]], "a.test", 7), (false, true));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let asked = Asked::new();
        let name = |number: usize| format!("n{number}.test");
        for number in 0..=CHAINS {
            asked.ask(&[GOOD], &name(number), 7);
        }
        assert_eq!(asked.ask(&[GOOD], &name(CHAINS), 7), (true, false));
        assert_eq!(asked.ask(&[GOOD], &name(1), 7), (true, false));
        assert_eq!(asked.ask(&[GOOD], &name(0), 7), (true, true));
        let long = vec![0; CHAIN_BYTES + 1];
        assert_eq!(asked.ask(&[&long], "a.test", 7), (true, true));
        assert_eq!(asked.ask(&[&long], "a.test", 7), (true, true));
    }

    #[test]
    fn who_trusts_nobody_is_told() {
        let roots = Arc::new(RootCertStore::empty());
        let error = server_verifier(roots, crate::provider()).unwrap_err();
        assert!(error.to_string().contains("verified"), "{error}");
    }
}
