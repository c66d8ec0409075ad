//! The certificate of every server in a measurement.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
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
///
/// # Errors
/// [`BenchError`]: openssl is not there, or the files cannot be written.
pub fn self_signed(directory: &Path) -> Result<Certificate, BenchError> {
    let key = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    of_key(directory, "proxy", &key)
}

/// The same with an RSA-2048 key.
///
/// # Errors
/// As for [`self_signed`].
pub fn self_signed_rsa(directory: &Path) -> Result<Certificate, BenchError> {
    of_key(directory, "proxy-rsa", &["rsa:2048"])
}

fn of_key(directory: &Path, name: &str, key: &[&str]) -> Result<Certificate, BenchError> {
    let certificate = Certificate {
        chain: directory.join(format!("{name}.pem")),
        key: directory.join(format!("{name}.key")),
        both: directory.join(format!("{name}-both.pem")),
    };
    let openssl = process::find("openssl", "install it: apt-get install openssl")?;
    let output = Command::new(openssl)
        .args(["req", "-x509", "-newkey"])
        .args(key)
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
    // A key is in it, so it is for its owner alone, as openssl makes the key's own file.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&certificate.both);
    file.and_then(|mut file| file.write_all(&both))
        .map_err(|source| BenchError::File {
            path: certificate.both.clone(),
            source,
        })?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_with_a_key_in_them_are_for_their_owner_alone() {
        let place = tempfile::tempdir().expect("a folder");
        let certificate = self_signed(place.path()).expect("openssl is there");
        let text = |path: &Path| fs::read_to_string(path).expect("it is there");
        for path in [&certificate.key, &certificate.both] {
            assert!(text(path).contains("PRIVATE KEY"));
            let mode = fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
        assert!(!text(&certificate.chain).contains("PRIVATE KEY"));
    }
}
