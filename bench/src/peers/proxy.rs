//! The proxies that are compared, each set up for the same job on one thread.
//!
//! The same certificate, TLS 1.3 with AES-256-GCM, no access log. What is not written here is the
//! program's own default.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::load::Kind;
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
    /// `None`: the default buffer of 16 KiB.
    Nginx {
        buffer: Option<&'static str>,
    },
    Hitch,
}

/// Where Debian keeps nginx's module for streams.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Every proxy of the comparison; Sealgate is the first.
pub fn all() -> Result<Vec<Proxy>, BenchError> {
    let sealgate = process::find("sealgate", "build it: cargo build --release")?;
    let haproxy = process::find("haproxy", "install it: apt-get install haproxy")?;
    let stunnel = process::find("stunnel4", "install it: apt-get install stunnel4")?;
    let nginx = process::find("nginx", "install it: apt-get install nginx-light")?;
    if !Path::new(NGINX_STREAM).exists() {
        return Err(BenchError::NoProgram {
            name: "nginx's stream module",
            remedy: "install it: apt-get install libnginx-mod-stream",
        });
    }
    let hitch = process::find("hitch", "install it: apt-get install hitch")?;
    let sealgate_version = host::version(&sealgate, "--version", "sealgate");
    let haproxy_version = host::version(&haproxy, "-v", "version");
    let stunnel_version = host::version(&stunnel, "-version", "stunnel");
    let nginx_version = host::version(&nginx, "-v", "nginx");
    let hitch_version = host::version(&hitch, "--version", "hitch");
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
        proxy(
            "nginx, default",
            &nginx_version,
            &nginx,
            Setup::Nginx { buffer: None },
        ),
        proxy(
            "nginx, 128 KiB buffers",
            &nginx_version,
            &nginx,
            Setup::Nginx {
                buffer: Some("128k"),
            },
        ),
        proxy("hitch", &hitch_version, &hitch, Setup::Hitch),
    ])
}

impl Proxy {
    /// One that is not run.
    #[cfg(test)]
    pub fn named(name: &'static str, version: &str) -> Self {
        Self {
            name,
            version: version.to_owned(),
            program: String::new(),
            setup: Setup::Sealgate,
        }
    }

    /// Whether an operation of this kind can end well through it. The answer to an upload comes when the
    /// client has ended its direction: who ends both then loses it.
    pub fn carries(&self, kind: Kind) -> bool {
        match self.setup {
            Setup::Sealgate | Setup::Haproxy { .. } | Setup::Stunnel => true,
            Setup::Nginx { .. } | Setup::Hitch => kind != Kind::Upload,
        }
    }

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
            Setup::Nginx { .. } => "nginx.conf",
            Setup::Hitch => "hitch.conf",
        });
        let text = self.config(listen, upstream, certificate);
        if let Err(source) = fs::write(&file, text) {
            return Err(BenchError::File { path: file, source });
        }
        let file = file.display().to_string();
        Ok(match self.setup {
            Setup::Haproxy { .. } => vec![self.program.clone(), "-db".into(), "-f".into(), file],
            Setup::Nginx { .. } => {
                let prefix = directory.display().to_string();
                vec![self.program.clone(), "-p".into(), prefix, "-c".into(), file]
            }
            Setup::Hitch => vec![self.program.clone(), format!("--config={file}")],
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
            Setup::Haproxy { .. } | Setup::Stunnel | Setup::Nginx { .. } | Setup::Hitch => {
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
            Setup::Nginx { buffer } => nginx(listen, upstream, certificate, buffer),
            Setup::Hitch => hitch(listen, upstream, certificate),
        }
    }
}

/// One process: the master would outlive a kill of its own. Its files are where the certificate is.
fn nginx(
    listen: SocketAddr,
    upstream: SocketAddr,
    certificate: &Certificate,
    buffer: Option<&str>,
) -> String {
    let place = certificate.chain.parent().unwrap_or(Path::new("."));
    let place = place.display();
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let buffer = buffer.map_or_else(String::new, |size| {
        format!("    proxy_buffer_size {size};\n")
    });
    format!(
        "load_module {NGINX_STREAM};\n\
         daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/nginx-error.log;\n\
         events {{ worker_connections 4096; }}\n\
         stream {{\n{buffer}    server {{\n        listen {listen} ssl; proxy_pass {upstream};\n        \
         ssl_certificate {chain}; ssl_certificate_key {key};\n        \
         ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;\n    }}\n}}\n"
    )
}

/// Its workers do not run as root: they are nobody's then.
fn hitch(listen: SocketAddr, upstream: SocketAddr, certificate: &Certificate) -> String {
    let user = match rustix::process::geteuid().is_root() {
        true => "user = \"nobody\"\n",
        false => "",
    };
    format!(
        "frontend = \"[{}]:{}\"\nbackend = \"[{}]:{}\"\npem-file = \"{}\"\n\
         {user}workers = 1\ndaemon = off\nsyslog = off\nlog-level = 1\nocsp-dir = \"\"\n\
         tls-protos = TLSv1.3\nciphersuites = \"TLS_AES_256_GCM_SHA384\"\n",
        listen.ip(),
        listen.port(),
        upstream.ip(),
        upstream.port(),
        certificate.both.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_has_addresses_certificate_and_suite() {
        let (listen, upstream) = ("127.0.0.1:1".parse(), "127.0.0.1:2".parse());
        let (listen, upstream) = (listen.expect("valid"), upstream.expect("valid"));
        let certificate = Certificate {
            chain: "/place/c.pem".into(),
            key: "/place/k.pem".into(),
            both: "/place/both.pem".into(),
        };
        for (setup, both) in [
            (Setup::Haproxy { bufsize: Some(9) }, true),
            (Setup::Stunnel, false),
            (Setup::Nginx { buffer: Some("9k") }, false),
            (Setup::Hitch, true),
        ] {
            let proxy = Proxy {
                name: "p",
                version: "v".into(),
                program: "p".into(),
                setup,
            };
            let text = proxy.config(listen, upstream, &certificate);
            let file = if both {
                "/place/both.pem"
            } else {
                "/place/k.pem"
            };
            for wanted in [file, "TLS_AES_256_GCM_SHA384", "TLSv1.3", "127.0.0.1"] {
                assert!(text.contains(wanted), "{wanted}: {text}");
            }
            assert!(
                proxy
                    .describe(&certificate, upstream)
                    .starts_with("# p (v)\n")
            );
        }
        let tuned = nginx(listen, upstream, &certificate, Some("9k"));
        assert!(tuned.contains("proxy_buffer_size 9k;"), "{tuned}");
    }
}
