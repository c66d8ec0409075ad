//! A folder with everything that the configurations of these tests name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use sealgate::control::config::{self, ConfigErrors};
use sealgate::settings::Settings;
use sealgate_keys::Keyring;
use tempfile::TempDir;

/// A good configuration; tests change lines of it.
pub const GOOD: &str = r#"
[admin]
listen = "127.0.0.1:9900"
[log]
format = "text"
level = "info"
[limits]
max_connections = 10
[timeouts]
handshake = "10s"
[[listener]]
name = "public"
listen = "127.0.0.1:8443"
[[tenant]]
id = "acme"
names = ["acme.example"]
certificate = "acme.pem"
key = "acme.key"
client_auth = "required"
client_ca = "acme-clients.pem"
keyring = "acme.keyring"
[[route]]
name = "objects"
tenant = "acme"
protocol = "http"
class = "sealed"
readers = "mtls"
upstream = "http://127.0.0.1:9080"
"#;

pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, names) in [
            ("acme", &["acme.example", "*.acme.example"][..]),
            ("bravo", &["bravo.example"]),
            ("server", &["server.example"]),
            ("acme-to-backend", &["gateway.internal"]),
        ] {
            let params = CertificateParams::new(
                names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>(),
            );
            folder.certificate(name, params.unwrap());
        }
        for name in ["acme-clients", "bravo-clients", "backend-ca"] {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            folder.certificate(name, params);
        }
        for tenant in ["acme", "bravo"] {
            Keyring::create(folder.path(&format!("{tenant}.keyring")), tenant).unwrap();
        }
        folder
    }

    /// `name.pem` and `name.key`, self-signed.
    pub fn certificate(&self, name: &str, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        self.write(&format!("{name}.pem"), certificate.pem());
        self.write(&format!("{name}.key"), key.serialize_pem());
    }

    /// A file that only its owner may read.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        self.mode(name, 0o600);
        path
    }

    pub fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn load(&self, text: impl AsRef<[u8]>) -> Result<Settings, ConfigErrors> {
        config::load(&self.write("gateway.toml", text))
    }

    /// The settings of a configuration that has to be good.
    pub fn good(&self, text: impl AsRef<[u8]>) -> Settings {
        match self.load(text) {
            Ok(settings) => settings,
            Err(errors) => panic!("{errors}"),
        }
    }

    /// The errors of a configuration that has to be bad, without the folder: `gateway.toml:7: key: text`.
    pub fn bad(&self, text: impl AsRef<[u8]>) -> Vec<String> {
        match self.load(text) {
            Ok(_) => panic!("a bad configuration was loaded"),
            Err(errors) => self.strip(&errors.to_string()),
        }
    }

    /// The lines of a text, without this folder's path.
    pub fn strip(&self, text: &str) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        text.lines().map(|line| line.replace(&folder, "")).collect()
    }
}

/// A configuration of the repository.
pub fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// `GOOD` with some lines replaced: `(line, what stands there instead)`, and with more at the end.
pub fn changed(changes: &[(&str, &str)], more: &str) -> String {
    let mut text = GOOD.to_owned();
    for (old, new) in changes {
        let line = format!("\n{old}\n");
        assert_eq!(
            text.matches(&line).count(),
            1,
            "{old} does not stand in the text once"
        );
        text = text.replace(&line, &format!("\n{new}\n"));
    }
    text + more
}
