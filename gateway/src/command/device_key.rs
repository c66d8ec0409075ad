//! Device keys in standard PEM: what `openssl pkey` reads, and the AWS Encryption SDKs take.
//!
//! ```text
//! private: PKCS #8 (RFC 5958)               P-256, P-384, X-Wing (a seed of 32 bytes), RSA
//! public:  SubjectPublicKeyInfo (RFC 5280)  the same; its SHA-256 is the fingerprint
//! ```
//!
//! An RSA key says nothing of the namespace and name under which messages know it, so its DER is handed on to who knows them.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{PrivateDecryptingKey, PublicEncryptingKey};
use rustix::io::Errno;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use sealgate_envelope::{
    Curve, RawEcdhPrivateKey, RawEcdhPublicKey, XWING_PUBLIC_KEY_LEN_BYTES, XWING_SEED_LEN_BYTES,
    XwingPrivateKey, XwingPublicKey, XwingSeed,
};
use sealgate_keys::FileOperation;
use thiserror::Error;
use zeroize::Zeroizing;

use super::device_file::Contents;

/// What stands before the seed in the `PrivateKeyInfo` of an X-Wing key (draft-connolly-cfrg-xwing-kem, §5.7): OID 1.3.6.1.4.1.62253.25722.
pub(super) const XWING_PRIVATE_PREFIX: &[u8; 22] =
    b"\x30\x34\x02\x01\x00\x30\x0d\x06\x0b\x2b\x06\x01\x04\x01\x83\xe6\x2d\x81\xc8\x7a\x04\x20";
/// What stands before the key in its `SubjectPublicKeyInfo`.
const XWING_PUBLIC_PREFIX: &[u8; 24] = b"\x30\x82\x04\xd4\x30\x0d\x06\x0b\x2b\x06\x01\x04\x01\x83\xe6\x2d\x81\xc8\x7a\x03\x82\x04\xc1\x00";

/// A key file that was not read or not written.
#[derive(Debug, Error)]
#[error("key file {}: {fault}", path.display())]
pub(super) struct DeviceKeyError {
    /// The file.
    pub(super) path: PathBuf,
    /// What is wrong with it.
    pub(super) fault: DeviceKeyFault,
}

/// What is wrong with a key file. No byte of the file is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum DeviceKeyFault {
    /// The system refused an operation.
    #[error("{operation}: {errno}")]
    Io {
        /// Which.
        operation: FileOperation,
        /// Why.
        errno: Errno,
    },
    /// There is a file already.
    #[error(
        "there is a file already; keys are never overwritten, choose another path or move it away"
    )]
    AlreadyExists,
    /// A directory, a pipe, a device.
    #[error("not a regular file; give the path of a PEM file")]
    NotRegularFile,
    /// Group or others have some access to a private key.
    #[error("mode {mode:04o} lets group or others at a private key; run `chmod 600` on it")]
    OpenToOthers {
        /// The permission bits.
        mode: u32,
    },
    /// A private key of another user.
    #[error(
        "owned by user {owner}, who can read and change the private key; make it belong to user {expected}"
    )]
    ForeignOwner {
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// Longer than a key can be.
    #[error("longer than {most} bytes; this is not one key in PEM")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// A PEM section that is not whole, or not base64.
    #[error("damaged PEM; the lines between BEGIN and END should be base64")]
    DamagedPem,
    /// No PEM section that is a key.
    #[error(
        "no key in it; it should hold one section BEGIN PRIVATE KEY or BEGIN PUBLIC KEY, as `sealgate device new` and `openssl pkey` write it"
    )]
    NoKey,
    /// A private key under a passphrase.
    #[error(
        "the private key is encrypted; `openssl pkey -in FILE -out NEW` takes the passphrase off"
    )]
    Encrypted,
    /// Two keys or more.
    #[error("more than one key in it; keep one key a file")]
    SeveralKeys,
    /// A certificate or a key in another wrapping than PKCS #8 and SPKI.
    #[error(
        "a key in another form; `openssl pkey -in FILE -out NEW` writes a private key as PKCS #8, `openssl x509 -in FILE -noout -pubkey` takes the public key out of a certificate"
    )]
    OtherForm,
    /// A key of another kind.
    #[error("not a key on P-256 or P-384, X-Wing, or RSA of 2048 to 8192 bits")]
    OtherKind,
    /// The system gave no random bytes, or the cryptographic library failed.
    #[error("the system gave no key; try again")]
    NotGenerated,
}

/// The private half of a device key.
pub(super) enum PrivateKey {
    Ecdh(RawEcdhPrivateKey),
    Xwing(Box<XwingPrivateKey>),
    /// PKCS #8, for [`sealgate_envelope::RawRsaPrivateKey::from_pkcs8`].
    Rsa(Zeroizing<Vec<u8>>),
}

/// The public half of a device key.
pub(super) enum PublicKey {
    Ecdh(RawEcdhPublicKey),
    Xwing(Box<XwingPublicKey>),
    /// SPKI, for [`sealgate_envelope::RawRsaPublicKey::from_der`].
    Rsa(Vec<u8>),
}

/// One half of a device key.
pub(super) enum Half {
    Private(PrivateKey),
    Public(PublicKey),
}

/// A device key as it was read from a file.
pub(super) struct DeviceKey {
    pub(super) half: Half,
    /// `SubjectPublicKeyInfo` of its public half.
    spki: Vec<u8>,
}

/// SHA-256 of a public key's `SubjectPublicKeyInfo`, shown in sixteen groups of four to be read out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl DeviceKey {
    /// Reads the one key in the PEM file at `path`, private or public. A private one has to be its owner's alone.
    ///
    /// # Errors
    /// [`DeviceKeyError`], which names the file and what would be right.
    pub(super) fn read(path: &Path) -> Result<Self, DeviceKeyError> {
        let read = || {
            let contents = Contents::read(path)?;
            let key = Self::parse(&contents.bytes)?;
            if matches!(key.half, Half::Private(_)) {
                contents.refuse_others()?;
            }
            Ok(key)
        };
        read().map_err(|fault| DeviceKeyError {
            path: path.to_owned(),
            fault,
        })
    }

    fn parse(text: &[u8]) -> Result<Self, DeviceKeyFault> {
        let mut found = None;
        for section in Section::pem_slice_iter(text) {
            let section = section.map_err(|error| match error {
                pem::Error::NoItemsFound => DeviceKeyFault::NoKey,
                _ => DeviceKeyFault::DamagedPem,
            })?;
            if found.replace(section).is_some() {
                return Err(DeviceKeyFault::SeveralKeys);
            }
        }
        let Some(Section { kind, der }) = found else {
            let is_encrypted = text.windows(9).any(|words| words == b"ENCRYPTED");
            return Err(if is_encrypted {
                DeviceKeyFault::Encrypted
            } else {
                DeviceKeyFault::NoKey
            });
        };
        match kind {
            SectionKind::PrivateKey | SectionKind::EcPrivateKey => Self::from_private(der),
            SectionKind::PublicKey => Self::from_public(&der),
            _ => Err(DeviceKeyFault::OtherForm),
        }
    }

    pub(super) fn from_private(der: Zeroizing<Vec<u8>>) -> Result<Self, DeviceKeyFault> {
        if let Some(seed) = der.strip_prefix(XWING_PRIVATE_PREFIX) {
            let seed: &[u8; XWING_SEED_LEN_BYTES] =
                seed.try_into().map_err(|_| DeviceKeyFault::OtherKind)?;
            let key = XwingSeed::from_bytes(seed).private_key();
            let key = key.map_err(|_| DeviceKeyFault::OtherKind)?;
            let spki = xwing_spki(key.public_key());
            return Ok(Self::private(PrivateKey::Xwing(Box::new(key)), spki));
        }
        for (curve, algorithm) in [(Curve::P256, &ECDH_P256), (Curve::P384, &ECDH_P384)] {
            if let Ok(key) = RawEcdhPrivateKey::from_pkcs8(&der, curve) {
                let spki = agreement::PrivateKey::from_private_key_der(algorithm, &der)
                    .ok()
                    .and_then(|key| ecdh_spki(&key));
                let spki = spki.ok_or(DeviceKeyFault::OtherKind)?;
                return Ok(Self::private(PrivateKey::Ecdh(key), spki));
            }
        }
        let key = PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| DeviceKeyFault::OtherKind)?;
        let spki = rsa_spki(&key.public_key()).ok_or(DeviceKeyFault::OtherKind)?;
        Ok(Self::private(PrivateKey::Rsa(der), spki))
    }

    fn from_public(der: &[u8]) -> Result<Self, DeviceKeyFault> {
        if let Some(bytes) = der.strip_prefix(XWING_PUBLIC_PREFIX) {
            let bytes: &[u8; XWING_PUBLIC_KEY_LEN_BYTES] =
                bytes.try_into().map_err(|_| DeviceKeyFault::OtherKind)?;
            let key = XwingPublicKey::from_bytes(bytes).map_err(|_| DeviceKeyFault::OtherKind)?;
            let spki = xwing_spki(&key);
            return Ok(Self::public(PublicKey::Xwing(Box::new(key)), spki));
        }
        for curve in [Curve::P256, Curve::P384] {
            if let Ok(key) = RawEcdhPublicKey::from_der(der, curve) {
                return Ok(Self::public(PublicKey::Ecdh(key), der.to_vec()));
            }
        }
        let key = PublicEncryptingKey::from_der(der).map_err(|_| DeviceKeyFault::OtherKind)?;
        let spki = rsa_spki(&key).ok_or(DeviceKeyFault::OtherKind)?;
        Ok(Self::public(PublicKey::Rsa(spki.clone()), spki))
    }

    fn private(key: PrivateKey, spki: Vec<u8>) -> Self {
        Self {
            half: Half::Private(key),
            spki,
        }
    }

    fn public(key: PublicKey, spki: Vec<u8>) -> Self {
        Self {
            half: Half::Public(key),
            spki,
        }
    }

    /// `SubjectPublicKeyInfo` of its public half, in DER.
    pub(super) fn public_key_info(&self) -> &[u8] {
        &self.spki
    }

    /// The fingerprint of its public half, whichever half it is.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki)
    }

    /// What kind of key it is, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match &self.half {
            Half::Private(PrivateKey::Xwing(_)) | Half::Public(PublicKey::Xwing(_)) => "xwing",
            Half::Private(PrivateKey::Rsa(_)) | Half::Public(PublicKey::Rsa(_)) => "rsa",
            Half::Private(PrivateKey::Ecdh(key)) => curve_word(&key.public_key()),
            Half::Public(PublicKey::Ecdh(key)) => curve_word(key),
        }
    }
}

impl Fingerprint {
    fn of(spki: &[u8]) -> Self {
        let digest = digest(&SHA256, spki);
        Self(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// All of it in 64 hexadecimal digits, as `sha256sum` writes it.
    pub(super) fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.0.chunks_exact(2).enumerate() {
            let gap = if i == 0 { "" } else { " " };
            write!(f, "{gap}{:02x}{:02x}", group[0], group[1])?;
        }
        Ok(())
    }
}

/// A section of a PEM file that holds a key or a certificate.
struct Section {
    kind: SectionKind,
    der: Zeroizing<Vec<u8>>,
}

impl PemObject for Section {
    fn from_pem(kind: SectionKind, der: Vec<u8>) -> Option<Self> {
        let der = Zeroizing::new(der);
        Some(Self { kind, der })
    }
}

fn xwing_spki(key: &XwingPublicKey) -> Vec<u8> {
    [XWING_PUBLIC_PREFIX.as_slice(), key.as_bytes()].concat()
}

fn ecdh_spki(key: &agreement::PrivateKey) -> Option<Vec<u8>> {
    let public = key.compute_public_key().ok()?;
    let der: PublicKeyX509Der<'_> = public.as_der().ok()?;
    Some(der.as_ref().to_vec())
}

fn rsa_spki(key: &PublicEncryptingKey) -> Option<Vec<u8>> {
    Some(key.as_der().ok()?.as_ref().to_vec())
}

fn curve_word(key: &RawEcdhPublicKey) -> &'static str {
    match key.as_point().len() {
        33 => "p256",
        _ => "p384",
    }
}

#[cfg(test)]
mod tests {
    use super::super::device_pair::pem_text;
    use super::*;

    #[test]
    fn an_xwing_key_is_written_as_in_the_draft() {
        // The example of draft-connolly-cfrg-xwing-kem, appendix D: the seed 00 01 02 .. 1f.
        let pem = "-----BEGIN PRIVATE KEY-----\n\
            MDQCAQAwDQYLKwYBBAGD5i2ByHoEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ\n\
            GhscHR4f\n\
            -----END PRIVATE KEY-----\n";
        let seed: [u8; 32] = std::array::from_fn(|i| i as u8);
        let der = [XWING_PRIVATE_PREFIX.as_slice(), &seed].concat();
        assert_eq!(*pem_text("PRIVATE KEY", &der), pem);
        let key = DeviceKey::parse(pem.as_bytes()).ok().unwrap();
        assert_eq!((key.kind(), key.spki.len()), ("xwing", 1240));
        let public_pem = pem_text("PUBLIC KEY", &key.spki);
        let first_lines = "-----BEGIN PUBLIC KEY-----\n\
            MIIE1DANBgsrBgEEAYPmLYHIegOCBMEAb1QJigoOZBFGYUtpYLpg2GA9YvRH+atJ\n";
        assert!(public_pem.starts_with(first_lines));
        let public = DeviceKey::parse(public_pem.as_bytes()).ok().unwrap();
        assert_eq!(public.fingerprint(), key.fingerprint());
    }

    #[test]
    fn what_is_no_key_says_what_it_is() {
        let section = |label: &str, body: &str| {
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let spki = section("PUBLIC KEY", "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgAC");
        for (text, fault) in [
            (String::new(), DeviceKeyFault::NoKey),
            ("hello".to_owned(), DeviceKeyFault::NoKey),
            (
                section("ENCRYPTED PRIVATE KEY", "AAAA"),
                DeviceKeyFault::Encrypted,
            ),
            (section("CERTIFICATE", "AAAA"), DeviceKeyFault::OtherForm),
            (
                section("RSA PRIVATE KEY", "AAAA"),
                DeviceKeyFault::OtherForm,
            ),
            (section("PRIVATE KEY", "A!AA"), DeviceKeyFault::DamagedPem),
            (section("PRIVATE KEY", "AAAA"), DeviceKeyFault::OtherKind),
            (spki.clone(), DeviceKeyFault::OtherKind),
            (format!("{spki}{spki}"), DeviceKeyFault::SeveralKeys),
            (
                section("PRIVATE KEY", "AAAA").replace("-----END", "----"),
                DeviceKeyFault::DamagedPem,
            ),
        ] {
            assert_eq!(
                DeviceKey::parse(text.as_bytes()).err(),
                Some(fault),
                "{text}"
            );
        }
    }
}
