//! The certificate of every server in a measurement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::BenchError;
use crate::process;

/// The certificate that every server shows.
pub struct Certificate {
    /// PEM, certificate only.
    pub chain: PathBuf,
    /// PEM, key only.
    pub key: PathBuf,
    /// PEM, both, as haproxy wants it.
    pub both: PathBuf,
}

/// One self-signed ECDSA P-256 certificate for `localhost` and 127.0.0.1.
pub fn self_signed(directory: &Path) -> Result<Certificate, BenchError> {
    let certificate = Certificate {
        chain: directory.join("proxy.pem"),
        key: directory.join("proxy.key"),
        both: directory.join("proxy-both.pem"),
    };
    let openssl = process::find("openssl", "install it: apt-get install openssl")?;
    let output = Command::new(openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        // A server's, so that it can be verified as one, with itself as the authority.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate.chain)
        .arg("-keyout")
        .arg(&certificate.key)
        .output()
        .map_err(|source| BenchError::Start {
            name: String::from("openssl"),
            source,
        })?;
    let read = |path: &Path| {
        fs::read(path).map_err(|source| {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            BenchError::File {
                path: path.to_owned(),
                source,
            }
        })
    };
    let both = [read(&certificate.chain)?, read(&certificate.key)?].concat();
    fs::write(&certificate.both, both).map_err(|source| BenchError::File {
        path: certificate.both.clone(),
        source,
    })?;
    Ok(certificate)
}
