//! Certificates, private keys and trusted roots from PEM files.
//!
//! Private keys stay in memory as long as it takes to hand them to the crypto provider; the file's text
//! and the DER are wiped then. (The PEM decoder's own scratch buffer is not: it is the library's.)

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use super::draft::{Field, Located};
use super::errors::{At, Report};
use super::problem::{Problem, Warning};
use crate::tenant::NamePattern;

/// A bundle of all public roots is 250 KiB.
const MAX_PEM_BYTES: usize = 4 << 20;

/// What files are read against: where relative paths start, and the moment.
pub(super) struct Files<'a> {
    pub(super) directory: &'a Path,
    pub(super) now: SystemTime,
}

impl Files<'_> {
    /// A path as a configuration writes it.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        self.directory.join(written)
    }
}

/// A certificate chain and its key; `Some(None)` where neither is configured, `None` where the report
/// says what is wrong. `missing` names the two keys for the case that one of them is not given.
pub(super) fn certified_key(
    certificate: &Field<String>,
    key: &Field<String>,
    missing: [&'static str; 2],
    names: &[NamePattern],
    files: &Files<'_>,
    report: &mut Report,
) -> Option<Option<Arc<CertifiedKey>>> {
    if certificate.is_absent() && key.is_absent() {
        return Some(None);
    }
    // Both files are read before either decides: all errors at once.
    let chain = certificate
        .given()
        .and_then(|certificate| chain(certificate, names, files, report));
    let signer = key.given().and_then(|key| signing_key(key, files, report));
    let (certificate, key) = match (certificate, key) {
        (Field::Given(certificate), Field::Given(key)) => (certificate, key),
        (Field::Given(certificate), Field::Absent) => {
            report.error(
                &certificate.at,
                Problem::CertificateWithoutKey {
                    missing: missing[1],
                },
            );
            return None;
        }
        (Field::Absent, Field::Given(key)) => {
            report.error(
                &key.at,
                Problem::KeyWithoutCertificate {
                    missing: missing[0],
                },
            );
            return None;
        }
        _ => return None,
    };
    let certified = CertifiedKey::new(chain?, signer?);
    if certified.keys_match().is_err() {
        let problem = Problem::KeyMismatch {
            key: key.value.clone(),
            certificate: certificate.value.clone(),
        };
        report.error(&key.at, problem);
        return None;
    }
    Some(Some(Arc::new(certified)))
}

/// Trusted roots.
pub(super) fn roots(
    written: &Located<String>,
    files: &Files<'_>,
    report: &mut Report,
) -> Option<Arc<RootCertStore>> {
    let certificates = certificates(written, files, report)?;
    let mut roots = RootCertStore::empty();
    let mut all_good = true;
    for (index, certificate) in certificates.into_iter().enumerate() {
        if let Err(cause) = roots.add(certificate) {
            all_good = false;
            let problem = Problem::BadCertificate {
                file: written.value.clone(),
                number: index + 1,
                cause,
            };
            report.error(&written.at, problem);
        }
    }
    all_good.then(|| Arc::new(roots))
}

fn chain(
    written: &Located<String>,
    names: &[NamePattern],
    files: &Files<'_>,
    report: &mut Report,
) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = certificates(written, files, report)?;
    let mut all_good = true;
    for (index, certificate) in certificates.iter().enumerate() {
        let parsed = X509Certificate::from_der(certificate)
            .map_err(|_| rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding));
        // The first one has to be good for rustls too; of the others it reads nothing.
        let cause = match (index, parsed) {
            (_, Err(cause)) => Some(cause),
            (0, Ok((_, parsed))) => {
                warn_of_time_and_names(&parsed, written, names, files.now, report);
                rustls::server::ParsedCertificate::try_from(certificate).err()
            }
            (_, Ok(_)) => None,
        };
        if let Some(cause) = cause {
            all_good = false;
            let problem = Problem::BadCertificate {
                file: written.value.clone(),
                number: index + 1,
                cause,
            };
            report.error(&written.at, problem);
        }
    }
    all_good.then_some(certificates)
}

fn certificates(
    written: &Located<String>,
    files: &Files<'_>,
    report: &mut Report,
) -> Option<Vec<CertificateDer<'static>>> {
    const WANTED: &str = "a certificate";
    // A combined file has a private key in it, so this text is wiped like one.
    let (text, _) = read(written, WANTED, files, report)?;
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        match certificate {
            Ok(certificate) => certificates.push(certificate),
            Err(cause) => {
                let file = written.value.clone();
                report.error(
                    &written.at,
                    Problem::NotPem {
                        file,
                        wanted: WANTED,
                        cause: Some(cause),
                    },
                );
                return None;
            }
        }
    }
    if certificates.is_empty() {
        let file = written.value.clone();
        report.error(
            &written.at,
            Problem::PemWithout {
                file,
                wanted: WANTED,
                label: "CERTIFICATE",
            },
        );
        return None;
    }
    Some(certificates)
}

fn signing_key(
    written: &Located<String>,
    files: &Files<'_>,
    report: &mut Report,
) -> Option<Arc<dyn SigningKey>> {
    const WANTED: &str = "a private key";
    let (text, mode) = read(written, WANTED, files, report)?;
    let file = || written.value.clone();
    if mode & 0o044 != 0 {
        report.warn(
            &written.at,
            Warning::KeyReadable {
                file: file(),
                mode: mode & 0o777,
            },
        );
    }
    let der = match PrivateKeyDer::pem_slice_iter(&text).next() {
        Some(Ok(der)) => Zeroizing::new(der),
        Some(Err(cause)) => {
            report.error(
                &written.at,
                Problem::NotPem {
                    file: file(),
                    wanted: WANTED,
                    cause: Some(cause),
                },
            );
            return None;
        }
        None if contains(&text, b"ENCRYPTED PRIVATE KEY") => {
            report.error(&written.at, Problem::EncryptedKey { file: file() });
            return None;
        }
        None => {
            let label = "PRIVATE KEY";
            report.error(
                &written.at,
                Problem::PemWithout {
                    file: file(),
                    wanted: WANTED,
                    label,
                },
            );
            return None;
        }
    };
    match any_supported_type(&der) {
        Ok(signer) => Some(signer),
        Err(cause) => {
            report.error(
                &written.at,
                Problem::BadKey {
                    file: file(),
                    cause,
                },
            );
            None
        }
    }
}

/// The text of a PEM file and the file's permission bits; the text is wiped on drop.
fn read(
    written: &Located<String>,
    wanted: &'static str,
    files: &Files<'_>,
    report: &mut Report,
) -> Option<(Zeroizing<Vec<u8>>, u32)> {
    let file = || written.value.clone();
    let problem = match read_file(&files.path(&written.value)) {
        Err(error) => Problem::FileUnreadable {
            file: file(),
            cause: error.kind(),
        },
        Ok((text, _)) if text.len() > MAX_PEM_BYTES => Problem::FileTooLong {
            file: file(),
            limit: MAX_PEM_BYTES,
        },
        Ok((text, _)) if text.trim_ascii().is_empty() => Problem::FileEmpty {
            file: file(),
            wanted,
        },
        Ok((text, _)) if !contains(&text, b"-----BEGIN") => Problem::NotPem {
            file: file(),
            wanted,
            cause: None,
        },
        Ok(good) => return Some(good),
    };
    report.error(&written.at, problem);
    None
}

fn read_file(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // Room for all of it at once: growing would leave unwiped copies behind.
    let expected = usize::try_from(metadata.len())
        .unwrap_or(MAX_PEM_BYTES)
        .min(MAX_PEM_BYTES);
    let mut text = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(MAX_PEM_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok((text, metadata.permissions().mode()))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn warn_of_time_and_names(
    certificate: &X509Certificate<'_>,
    written: &Located<String>,
    names: &[NamePattern],
    now: SystemTime,
    report: &mut Report,
) {
    let validity = certificate.validity();
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let file = || written.value.clone();
    if now > validity.not_after.timestamp() {
        report.warn(
            &written.at,
            Warning::Expired {
                file: file(),
                when: validity.not_after.to_string(),
            },
        );
    }
    if now < validity.not_before.timestamp() {
        report.warn(
            &written.at,
            Warning::NotYetValid {
                file: file(),
                when: validity.not_before.to_string(),
            },
        );
    }
    warn_of_names(certificate, &written.at, &written.value, names, report);
}

fn warn_of_names(
    certificate: &X509Certificate<'_>,
    at: &At,
    file: &str,
    names: &[NamePattern],
    report: &mut Report,
) {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative
        .as_ref()
        .map_or(&[][..], |extension| &extension.value.general_names);
    let covered: Vec<String> = alternative
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    for name in names {
        let (name, wild) = match name {
            NamePattern::Exact(name) => {
                let parent = name
                    .split_once('.')
                    .map(|(_, parent)| format!("*.{parent}"));
                (name.clone(), parent)
            }
            NamePattern::Wildcard(base) => (format!("*.{base}"), None),
        };
        if !covered.contains(&name) && !wild.is_some_and(|wild| covered.contains(&wild)) {
            report.warn(
                at,
                Warning::NameNotCovered {
                    file: file.to_owned(),
                    name,
                },
            );
        }
    }
}
