//! Making a device key: a pair, as PEM text, and the two files.

use std::fs;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealgate_envelope::XwingSeed;
use zeroize::Zeroizing;

use super::device_file;
use super::device_key::{DeviceKey, DeviceKeyError, DeviceKeyFault, XWING_PRIVATE_PREFIX};

const PEM_LINE_LEN: usize = 64;

/// The kind of a device key that is made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceKeyType {
    /// ECDH on P-256: the AWS Encryption SDKs for Python, Java, .NET, Rust and Go open with it
    P256,
    /// ECDH on P-384: the same SDKs
    P384,
    /// ML-KEM-768 and X25519 together: safe against quantum computers; Sealgate alone opens with it
    Xwing,
}

/// Makes a key pair and writes its halves; the public one where `public` says so. Gives the private half.
///
/// # Errors
/// [`DeviceKeyError`]; an existing file is never touched, and neither half is left without the other.
pub(super) fn create(
    key_type: DeviceKeyType,
    private: &Path,
    public: Option<&Path>,
) -> Result<DeviceKey, DeviceKeyError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |fault| DeviceKeyError { path, fault }
    };
    let der = private_der(key_type)
        .ok_or(DeviceKeyFault::NotGenerated)
        .map_err(at(private))?;
    let private_pem = pem_text("PRIVATE KEY", &der);
    let key = DeviceKey::from_private(der).map_err(at(private))?;
    if let Some(public) = public {
        let public_pem = pem_text("PUBLIC KEY", key.public_key_info());
        device_file::create(public, &public_pem, device_file::PUBLIC).map_err(at(public))?;
    }
    device_file::create(private, &private_pem, device_file::PRIVATE).map_err(|fault| {
        if let Some(public) = public {
            let _ = fs::remove_file(public);
        }
        at(private)(fault)
    })?;
    Ok(key)
}

fn private_der(key_type: DeviceKeyType) -> Option<Zeroizing<Vec<u8>>> {
    let algorithm = match key_type {
        DeviceKeyType::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        DeviceKeyType::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        DeviceKeyType::Xwing => {
            let seed = XwingSeed::generate().ok()?;
            let der = [XWING_PRIVATE_PREFIX.as_slice(), seed.expose()].concat();
            return Some(Zeroizing::new(der));
        }
    };
    // An ECDH key and an ECDSA key are the same; the library writes PKCS #8 of the latter.
    let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).ok()?;
    Some(Zeroizing::new(der.as_ref().to_vec()))
}

/// RFC 7468 §3.
pub(super) fn pem_text(label: &str, der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let len = encoded.len() + encoded.len() / PEM_LINE_LEN + 2 * label.len() + 40;
    // Reserved whole, so that no copy stays behind where the text grew.
    let mut text = Zeroizing::new(String::with_capacity(len));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_LEN));
        text.extend([line, "\n"]);
        rest = after;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}
