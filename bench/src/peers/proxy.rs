//! The proxies that are compared, each set up for the same job on one thread.
//!
//! The same certificate, TLS 1.3 with AES-256-GCM, no access log. What is not written here is the
//! program's own default.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::certificate::Certificate;
use crate::error::BenchError;
use crate::{host, process};

/// One way to run one program.
pub struct Proxy {
    /// As it stands in the table.
    pub name: &'static str,
    /// As the program says it.
    pub version: String,
    program: String,
    setup: Setup,
}

#[derive(Clone, Copy)]
enum Setup {
    Sealgate,
    /// `None`: the default buffer of 16 KiB.
    Haproxy {
        bufsize: Option<u32>,
    },
    Stunnel,
}

/// Every proxy of the comparison; Sealgate is the first.
pub fn all() -> Result<Vec<Proxy>, BenchError> {
    let sealgate = process::find("sealgate", "build it: cargo build --release")?;
    let haproxy = process::find("haproxy", "install it: apt-get install haproxy")?;
    let stunnel = process::find("stunnel4", "install it: apt-get install stunnel4")?;
    let sealgate_version = host::version(&sealgate, "--version", "sealgate");
    let haproxy_version = host::version(&haproxy, "-v", "version");
    let stunnel_version = host::version(&stunnel, "-version", "stunnel");
    let proxy = |name, version: &String, program: &String, setup| Proxy {
        name,
        version: version.clone(),
        program: program.clone(),
        setup,
    };
    let (default, tuned) = (
        Setup::Haproxy { bufsize: None },
        Setup::Haproxy {
            bufsize: Some(128 << 10),
        },
    );
    Ok(vec![
        proxy("sealgate", &sealgate_version, &sealgate, Setup::Sealgate),
        proxy("haproxy, default", &haproxy_version, &haproxy, default),
        proxy(
            "haproxy, 128 KiB buffers",
            &haproxy_version,
            &haproxy,
            tuned,
        ),
        proxy("stunnel", &stunnel_version, &stunnel, Setup::Stunnel),
    ])
}

impl Proxy {
    /// The command line that takes TLS at `listen` and passes its content on to `upstream`. Writes
    /// the configuration file, where the program wants one.
    pub fn command(
        &self,
        listen: SocketAddr,
        upstream: SocketAddr,
        certificate: &Certificate,
        directory: &Path,
    ) -> Result<Vec<String>, BenchError> {
        let file = directory.join(match self.setup {
            Setup::Sealgate => return Ok(self.sealgate(listen, upstream, certificate)),
            Setup::Haproxy { .. } => "haproxy.cfg",
            Setup::Stunnel => "stunnel.conf",
        });
        let text = self.config(listen, upstream, certificate);
        if let Err(source) = fs::write(&file, text) {
            return Err(BenchError::File { path: file, source });
        }
        let file = file.display().to_string();
        Ok(match self.setup {
            Setup::Haproxy { .. } => vec![self.program.clone(), "-db".into(), "-f".into(), file],
            Setup::Sealgate | Setup::Stunnel => vec![self.program.clone(), file],
        })
    }

    /// What `command` runs, for a reader.
    pub fn describe(&self, certificate: &Certificate, upstream: SocketAddr) -> String {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8443));
        let mut text = format!("# {} ({})\n", self.name, self.version);
        match self.setup {
            Setup::Sealgate => {
                let words = self.sealgate(listen, upstream, certificate);
                let _ = writeln!(text, "{}\n", words[1..].join(" "));
            }
            Setup::Haproxy { .. } | Setup::Stunnel => {
                let _ = writeln!(text, "{}", self.config(listen, upstream, certificate));
            }
        }
        text
    }

    fn sealgate(
        &self,
        listen: SocketAddr,
        upstream: SocketAddr,
        certificate: &Certificate,
    ) -> Vec<String> {
        let mut words = vec![self.program.clone(), "tcp".into()];
        for (flag, value) in [
            ("--listen", listen.to_string()),
            ("--upstream", upstream.to_string()),
            ("--cert", certificate.chain.display().to_string()),
            ("--key", certificate.key.display().to_string()),
            ("--workers", "1".into()),
        ] {
            words.extend([flag.to_owned(), value]);
        }
        words
    }

    fn config(
        &self,
        listen: SocketAddr,
        upstream: SocketAddr,
        certificate: &Certificate,
    ) -> String {
        match self.setup {
            Setup::Sealgate => String::new(),
            Setup::Haproxy { bufsize } => {
                let bufsize =
                    bufsize.map_or_else(String::new, |size| format!("    tune.bufsize {size}\n"));
                format!(
                    "global\n    nbthread 1\n{bufsize}    \
                     ssl-default-bind-options ssl-min-ver TLSv1.3\n    \
                     ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384\n\
                     defaults\n    mode tcp\n    timeout connect 5s\n    \
                     timeout client 60s\n    timeout server 60s\n\
                     listen bench\n    bind {listen} ssl crt {}\n    server origin {upstream}\n",
                    certificate.both.display()
                )
            }
            Setup::Stunnel => format!(
                "foreground = yes\npid =\nsyslog = no\ndebug = err\n\
                 [bench]\naccept = {listen}\nconnect = {upstream}\ncert = {}\nkey = {}\n\
                 sslVersionMin = TLSv1.3\nciphersuites = TLS_AES_256_GCM_SHA384\n",
                certificate.chain.display(),
                certificate.key.display()
            ),
        }
    }
}
