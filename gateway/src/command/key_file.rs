//! Keys from files, as flags name them: raw AES and RSA with their namespace and name, and device keys.

use std::path::Path;

use sealgate_envelope::{OaepHash, RawAesKey, RawRsaPrivateKey, RawRsaPublicKey};

use super::answer::CommandError;
use super::device_key::{DeviceKey, Half, PrivateKey, PublicKey};
use super::message_error::{KeyFileFault, MessageError};
use super::secret_file;

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
pub(super) fn raw_aes(named: &Named<'_>) -> Result<RawAesKey, CommandError> {
    let bytes = secret_file::read(named.path)?;
    let Ok(key) = bytes.as_slice().try_into() else {
        let found = bytes.len();
        return Err(fault(named.path, KeyFileFault::NotRawAes { found }));
    };
    RawAesKey::new(key, named.namespace, named.name)
        .map_err(|error| fault(named.path, error.into()))
}

/// An RSA private key under the name that messages know it by.
pub(super) fn rsa_private(
    named: &Named<'_>,
    hash: OaepHash,
) -> Result<RawRsaPrivateKey, CommandError> {
    let key = match DeviceKey::read(named.path)?.half {
        Half::Private(PrivateKey::Rsa(der)) => {
            RawRsaPrivateKey::from_pkcs8(&der, hash, named.namespace, named.name)
        }
        Half::Private(_) => return Err(fault(named.path, KeyFileFault::NotRsa)),
        Half::Public(_) => return Err(fault(named.path, KeyFileFault::PublicHalf)),
    };
    key.map_err(|error| fault(named.path, error.into()))
}

/// An RSA public key under the name that its holder knows it by.
pub(super) fn rsa_public(
    named: &Named<'_>,
    hash: OaepHash,
) -> Result<RawRsaPublicKey, CommandError> {
    let key = match DeviceKey::read(named.path)?.half {
        Half::Public(PublicKey::Rsa(der)) => {
            RawRsaPublicKey::from_der(&der, hash, named.namespace, named.name)
        }
        Half::Public(_) => return Err(fault(named.path, KeyFileFault::NotRsa)),
        Half::Private(_) => return Err(fault(named.path, KeyFileFault::PrivateHalf)),
    };
    key.map_err(|error| fault(named.path, error.into()))
}

/// What is wrong with the key file at `path`.
pub(super) fn fault(path: &Path, fault: KeyFileFault) -> CommandError {
    let path = path.to_owned();
    MessageError::KeyFile { path, fault }.into()
}
