//! Keys from files, as flags name them: raw AES and RSA with their namespace and name, and device keys.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use sealgate_envelope::{KeyError, OaepHash, RawAesKey, RawRsaPrivateKey, RawRsaPublicKey};
use zeroize::Zeroizing;

use super::message_error::{KeyFileFault, MessageError};
use super::secret_file;

const RSA_PRIVATE: &str = "an RSA private key of 2048 to 8192 bits, PKCS #8 (BEGIN PRIVATE KEY)";
const RSA_PUBLIC: &str = "an RSA public key of 2048 to 8192 bits (BEGIN PUBLIC KEY)";

/// The three values of `--raw-aes` and `--raw-rsa`.
pub(super) struct Named<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) path: &'a Path,
}

/// The values of a flag that takes three, as the command line's parser gives them: in a row.
pub(super) fn named(values: &[String]) -> impl Iterator<Item = Named<'_>> {
    values.chunks_exact(3).map(|values| Named {
        namespace: &values[0],
        name: &values[1],
        path: Path::new(&values[2]),
    })
}

/// An AES-256 key from a file with its 32 bytes.
pub(super) fn raw_aes(named: &Named<'_>) -> Result<RawAesKey, MessageError> {
    let bytes = secret_file::read(named.path)?;
    let key = bytes
        .as_slice()
        .try_into()
        .map_err(|_| KeyFileFault::NotRawAes { found: bytes.len() })
        .and_then(|key| Ok(RawAesKey::new(key, named.namespace, named.name)?));
    key.map_err(at(named.path))
}

/// An RSA private key from a PEM file.
pub(super) fn rsa_private(
    named: &Named<'_>,
    hash: OaepHash,
) -> Result<RawRsaPrivateKey, MessageError> {
    let pem = secret_file::read(named.path)?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem)
        .map_err(|_| KeyFileFault::NotPem {
            expected: RSA_PRIVATE,
        })
        .map_err(at(named.path))?;
    let der = Zeroizing::new(der);
    RawRsaPrivateKey::from_pkcs8(der.secret_pkcs8_der(), hash, named.namespace, named.name)
        .map_err(|error| key_fault(error, RSA_PRIVATE))
        .map_err(at(named.path))
}

/// An RSA public key from a PEM file.
pub(super) fn rsa_public(
    named: &Named<'_>,
    hash: OaepHash,
) -> Result<RawRsaPublicKey, MessageError> {
    let pem = secret_file::read(named.path)?;
    let der = SubjectPublicKeyInfoDer::from_pem_slice(&pem)
        .map_err(|_| KeyFileFault::NotPem {
            expected: RSA_PUBLIC,
        })
        .map_err(at(named.path))?;
    RawRsaPublicKey::from_der(&der, hash, named.namespace, named.name)
        .map_err(|error| key_fault(error, RSA_PUBLIC))
        .map_err(at(named.path))
}

fn key_fault(error: KeyError, expected: &'static str) -> KeyFileFault {
    match error {
        KeyError::Name(error) => KeyFileFault::Name(error),
        error @ KeyError::Malformed => KeyFileFault::NotAKey { error, expected },
    }
}

fn at(path: &Path) -> impl FnOnce(KeyFileFault) -> MessageError {
    let path = PathBuf::from(path);
    move |fault| MessageError::KeyFile { path, fault }
}
