//! Certificates for agents and a coordinator, made on the spot: an authority whose key is forgotten,
//! one certificate for all agents, and one for the coordinator. An agent's does not give work, and a
//! coordinator's is no agent's: each has its purpose in it.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use super::AgentError;

/// How long they hold.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// For clocks that are behind.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// Names that every agent has: those of a machine for itself.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes `ca.pem`, `agent.pem`, `agent.key`, `coordinator.pem` and `coordinator.key` in `directory`, and
/// gives their names.
///
/// # Errors
///
/// When a name is none, or a file is there already or cannot be written.
pub fn make(directory: &Path, names: &[String]) -> Result<Vec<PathBuf>, AgentError> {
    let ca_key = KeyPair::generate()?;
    let mut ca = params(&[], "loadgen agents")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let own = OWN_NAMES.map(str::to_owned);
    let all = [&own[..], names].concat();
    let agent = leaf(
        &issuer,
        &all,
        "loadgen agent",
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    let purpose = ExtendedKeyUsagePurpose::ClientAuth;
    let coordinator = leaf(&issuer, &[], "loadgen coordinator", purpose)?;
    let written = |path: PathBuf, error| AgentError::Write { path, error };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| written(directory.to_owned(), error))?;
    let files = [
        ("ca.pem", Zeroizing::new(certificate), 0o644),
        ("agent.pem", agent.0, 0o644),
        ("agent.key", agent.1, 0o600),
        ("coordinator.pem", coordinator.0, 0o644),
        ("coordinator.key", coordinator.1, 0o600),
    ];
    let path = |name: &str| directory.join(name);
    // Looked at first, so that none is written where one is there.
    for (name, ..) in &files {
        if fs::exists(path(name)).unwrap_or(true) {
            let there = std::io::ErrorKind::AlreadyExists.into();
            return Err(written(path(name), there));
        }
    }
    let made = files.iter().map(|(name, text, mode)| {
        write(&path(name), text, *mode).map_err(|error| written(path(name), error))?;
        Ok(path(name))
    });
    made.collect()
}

fn params(names: &[String], called: &str) -> Result<CertificateParams, AgentError> {
    for name in names {
        // rcgen takes what no certificate can have.
        if ServerName::try_from(name.as_str()).is_err() {
            return Err(AgentError::Name(name.clone()));
        }
    }
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, called);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = date_time_ymd(1970, 1, 1) + now.unwrap_or_default();
    params.not_before = now - BEFORE;
    params.not_after = now + LIFETIME;
    Ok(params)
}

/// A certificate and its key, as PEM.
fn leaf(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    called: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<(Zeroizing<String>, Zeroizing<String>), AgentError> {
    let key = KeyPair::generate()?;
    let mut params = params(names, called)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    let certificate = params.signed_by(&key, issuer)?.pem();
    Ok((
        Zeroizing::new(certificate),
        Zeroizing::new(key.serialize_pem()),
    ))
}

fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_private_and_nothing_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let certs = dir.path().join("certs");
        let made = make(&certs, &["load1.example".to_owned()]).unwrap();
        assert_eq!(made.len(), 5);
        for path in &made {
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let private = path.extension().unwrap() == "key";
            assert_eq!(mode & 0o077 == 0, private, "{}", path.display());
            assert!(fs::read_to_string(path).unwrap().starts_with("-----BEGIN "));
        }
        let first = fs::read(&made[1]).unwrap();
        fs::remove_file(&made[4]).unwrap();
        let error = make(&certs, &[]).unwrap_err().to_string();
        assert!(error.contains("never replaced"), "{error}");
        assert_eq!(fs::read(&made[1]).unwrap(), first);
        assert!(!made[4].exists(), "nor is a part written");
        let error = make(dir.path(), &["a b".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("write a host name"), "{error}");
    }
}
