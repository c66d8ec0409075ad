//! Certificates and keys from PEM files.

use std::path::{Path, PathBuf};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use thiserror::Error;

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
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let unreadable = |error| PemError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let all = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
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
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| PemError::Unreadable {
        path: path.to_owned(),
        error,
    })
}
