//! Certificates and keys from PEM files.

use std::path::{Path, PathBuf};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use thiserror::Error;

use crate::files::Files;

/// Longest file of certificates or keys.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A file that was named on the command line is of no use. The operator's fault.
#[derive(Debug, Error)]
pub enum PemError {
    /// It cannot be read, or it is not PEM.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: pem::Error,
    },
    /// It holds no certificate.
    #[error("{} holds no certificate: a PEM file with BEGIN CERTIFICATE is needed", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// rustls refuses what it holds.
    #[error("{} cannot be used: {error}", path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
}

/// All certificates of `path`, in their order.
///
/// # Errors
///
/// When the file cannot be read or holds none.
pub fn certificates(files: &Files, path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let unreadable = |error| PemError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let bytes = files.read(path, MAX_FILE_BYTES);
    let bytes = bytes.map_err(|error| unreadable(pem::Error::Io(error)))?;
    let all = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if all.is_empty() {
        return Err(PemError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(all)
}

/// The first private key of `path`.
///
/// # Errors
///
/// When the file cannot be read or holds none.
pub fn private_key(files: &Files, path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let bytes = files.read(path, MAX_FILE_BYTES).map_err(pem::Error::Io);
    let key = bytes.and_then(|bytes| PrivateKeyDer::from_pem_slice(&bytes));
    key.map_err(|error| PemError::Unreadable {
        path: path.to_owned(),
        error,
    })
}
