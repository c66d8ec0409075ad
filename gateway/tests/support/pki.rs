//! A throwaway place on disk: a CA, certificates, configuration files.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::program::{Gateway, free_address};

/// A certificate authority.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, also on disk as `<name>.pem` and `<name>.key`.
pub struct Identity {
    pub name: String,
    pub chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pub certificate_path: PathBuf,
    pub key_path: PathBuf,
}

impl Identity {
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone().into())
    }
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }
}

/// A directory with one CA for servers (`ca.pem`), in which everything of one test is made.
pub struct Site {
    dir: TempDir,
    pub ca: Ca,
    /// Where the gateway of this site listens.
    pub listen: SocketAddr,
    pub admin: SocketAddr,
}

impl Site {
    pub fn new() -> Self {
        let site = Self {
            dir: TempDir::new().unwrap(),
            ca: Ca::new("sealgate test servers"),
            listen: free_address(),
            admin: free_address(),
        };
        site.write("ca.pem", &site.ca.pem());
        site
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file that only we may read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let mut file = fs::OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        file.open(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path
    }

    /// Another CA, as `<name>.pem`.
    pub fn other_ca(&self, name: &str) -> Ca {
        let ca = Ca::new(name);
        self.write(&format!("{name}.pem"), &ca.pem());
        ca
    }

    /// A server certificate of this site's CA for these names.
    pub fn server(&self, name: &str, dns: &[&str]) -> Identity {
        self.issue(&self.ca, name, dns, Validity::Now)
    }

    /// A certificate of `ca`.
    pub fn issue(&self, ca: &Ca, name: &str, dns: &[&str], validity: Validity) -> Identity {
        let names: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if let Validity::Past = validity {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca.issuer).unwrap();
        Identity {
            name: name.to_owned(),
            chain: vec![certificate.der().clone()],
            certificate_path: self.write(&format!("{name}.pem"), &certificate.pem()),
            key_path: self.write(&format!("{name}.key"), &key.serialize_pem()),
            key: key.serialize_der(),
        }
    }

    /// Makes a tenant's certificate and gives its table; `more` are further keys.
    pub fn tenant(&self, id: &str, names: &[&str], more: &str) -> String {
        self.server(id, names);
        format!(
            "[[tenant]]\nid = \"{id}\"\nnames = {names:?}\ncertificate = \"{id}.pem\"\nkey = \"{id}.key\"\n{more}\n"
        )
    }

    /// Makes a keyring for the tenant, as `<tenant>.keyring`, with the real program.
    pub fn keyring(&self, tenant: &str) -> PathBuf {
        let path = self.path(&format!("{tenant}.keyring"));
        let made = Command::new(super::program::SEALGATE)
            .args(["keys", "new", "--tenant", tenant, "--out"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(made.status.success(), "keys new: {made:?}");
        path
    }

    /// Writes `gateway.toml`: one listener, `main`, the admin listener, JSON logs; then `body`.
    pub fn configure(&self, body: &str) -> PathBuf {
        let text = format!(
            "workers = 2\n[admin]\nlisten = \"{}\"\n[log]\nformat = \"json\"\n\
             [[listener]]\nname = \"main\"\nlisten = [\"{}\"]\n{body}",
            self.admin, self.listen
        );
        self.write("gateway.toml", &text)
    }

    /// Runs the gateway with this configuration, until it listens.
    pub fn run(&self, body: &str) -> Gateway {
        let config = self.configure(body);
        Gateway::start(
            &["run", "--config", config.to_str().unwrap()],
            &[self.listen],
        )
    }

    /// Runs `sealgate tcp` or `sealgate http` with the certificate of `identity` and more flags.
    pub fn run_flags(&self, command: &str, identity: &Identity, flags: &[&str]) -> Gateway {
        let listen = self.listen.to_string();
        let admin = self.admin.to_string();
        let mut args = vec![
            command,
            "--listen",
            &listen,
            "--cert",
            identity.certificate_path.to_str().unwrap(),
            "--key",
            identity.key_path.to_str().unwrap(),
            "--workers",
            "2",
            "--admin",
            &admin,
            "--log-format",
            "json",
        ];
        args.extend(flags);
        Gateway::start(&args, &[self.listen])
    }
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub enum Validity {
    Now,
    Past,
}

/// A `tcp` route of class `terminated`, with further keys.
pub fn tcp_route(tenant: &str, upstreams: &[SocketAddr], more: &str) -> String {
    let upstreams: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    format!(
        "[[route]]\nname = \"{tenant}-tcp\"\ntenant = \"{tenant}\"\nprotocol = \"tcp\"\n\
         class = \"terminated\"\nupstream = {upstreams:?}\n{more}\n"
    )
}

/// An `http` route of this class, with further keys.
pub fn http_route(tenant: &str, class: &str, upstreams: &[SocketAddr], more: &str) -> String {
    let upstreams: Vec<String> = upstreams
        .iter()
        .map(|address| format!("http://{address}"))
        .collect();
    format!(
        "[[route]]\nname = \"{tenant}-{class}\"\ntenant = \"{tenant}\"\nprotocol = \"http\"\n\
         class = \"{class}\"\nupstream = {upstreams:?}\n{more}\n"
    )
}
