//! What is loaded: Debian's nginx with one worker.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::work::{LARGE_LEN_BYTES, SMALL_LEN_BYTES};
use crate::certificate::{Certificate, self_signed};
use crate::error::BenchError;
use crate::process::{self, Server};

/// An nginx on one core.
pub struct Target {
    address: SocketAddr,
    plain: SocketAddr,
    certificate: Certificate,
    configuration: String,
    directory: PathBuf,
    _server: Server,
}

impl Target {
    /// Starts it, with its files in `directory`.
    ///
    /// # Errors
    /// [`BenchError`]: it is not installed, or does not start.
    pub fn start(core: usize, directory: &Path) -> Result<Self, BenchError> {
        let nginx = process::find("nginx", "install it: apt-get install nginx-light")?;
        let certificate = self_signed(directory)?;
        let (address, plain) = (process::free_address()?, process::free_address()?);
        for (name, len) in [("small", SMALL_LEN_BYTES), ("large", LARGE_LEN_BYTES)] {
            write(&directory.join(name), &vec![b'x'; len])?;
        }
        let configuration = configuration(address, plain, &certificate, directory);
        let file = directory.join("nginx.conf");
        write(&file, configuration.as_bytes())?;
        let path = |path: &Path| path.display().to_string();
        let command = [
            nginx,
            "-p".into(),
            path(directory),
            "-c".into(),
            path(&file),
        ];
        let mut server = Server::start("nginx", &command, &[core], directory)?;
        server.ready(&[address, plain])?;
        Ok(Self {
            address,
            plain,
            certificate,
            configuration,
            directory: directory.to_owned(),
            _server: server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of one of its two files.
    pub fn url(&self, file: &str) -> String {
        format!("https://{}/{file}", self.address)
    }

    /// The same without TLS.
    pub fn plain_url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.plain)
    }

    /// What it is verified by.
    pub fn authority(&self) -> &PathBuf {
        &self.certificate.chain
    }

    /// Where its files are, and those of the run.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it was started with.
    pub fn configuration(&self) -> &str {
        &self.configuration
    }
}

/// One process: the master would outlive a kill of its own. A file that is open twice is sent from the page cache.
fn configuration(
    address: SocketAddr,
    plain: SocketAddr,
    certificate: &Certificate,
    directory: &Path,
) -> String {
    let (chain, key, place) = (
        certificate.chain.display(),
        certificate.key.display(),
        directory.display(),
    );
    format!(
        "daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/nginx-error.log;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\n    access_log off; open_file_cache max=8; keepalive_requests 1000000000; keepalive_timeout 600s;\n    \
         server {{\n        listen {address} ssl backlog=4096; listen {plain}; root {place};\n        \
         ssl_certificate {chain}; ssl_certificate_key {key};\n        \
         ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384; ssl_ecdh_curve X25519;\n    }}\n}}\n"
    )
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BenchError> {
    fs::write(path, bytes).map_err(|source| BenchError::File {
        path: path.to_owned(),
        source,
    })
}
