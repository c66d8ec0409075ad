//! The proxies that are compared, each set up for the same job on one thread.
//!
//! The same certificate, TLS 1.3 with AES-256-GCM, no access log. What is not written here is the
//! program's own default.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::work::{Service, Wire, Work};
use crate::certificate::Certificate;
use crate::error::BenchError;
use crate::{host, process};

/// Where Debian keeps nginx's module for streams.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// The most that `limits.handshakes_per_turn` takes: as good as none.
const NO_BUDGET: usize = 1024;

/// One way to run one program.
pub struct Proxy {
    /// As it stands in the table.
    pub name: &'static str,
    /// As the program says it.
    pub version: String,
    /// How it is run.
    pub setup: Setup,
    program: String,
}

/// How a proxy is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    Sealgate,
    /// With its budget of handshakes off: what that is good for.
    NoBudget,
    /// Not flooded, where all others are: what a flood costs.
    NoFlood,
    /// The same program as a relay that opens nothing: what passing bytes on costs without any cryptography, on
    /// the same ring.
    Floor,
    HaproxyDefault,
    /// With large buffers.
    HaproxyTuned,
    Nginx,
    /// With large buffers.
    NginxTuned,
    Hitch,
    Stunnel,
}

/// Where a proxy stands.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What stands behind it.
    pub upstream: SocketAddr,
    /// What it shows.
    pub certificate: &'a Certificate,
    /// What an upstream that speaks TLS shows.
    pub authority: &'a Certificate,
    /// Where its files go.
    pub directory: &'a Path,
}

/// Every proxy of the comparison; Sealgate is the first.
///
/// # Errors
/// [`BenchError::NoProgram`]
pub fn all() -> Result<Vec<Proxy>, BenchError> {
    if !Path::new(NGINX_STREAM).exists() {
        return Err(BenchError::NoProgram {
            name: "nginx's stream module",
            remedy: "install it: apt-get install libnginx-mod-stream",
        });
    }
    let proxy = |name, setup: Setup| {
        let (program, flag, marker, remedy) = match setup {
            Setup::Sealgate | Setup::NoBudget | Setup::NoFlood | Setup::Floor => (
                "sealgate",
                "--version",
                "sealgate",
                "build it: cargo build --release",
            ),
            Setup::HaproxyDefault | Setup::HaproxyTuned => (
                "haproxy",
                "-v",
                "version",
                "install it: apt-get install haproxy",
            ),
            Setup::Nginx | Setup::NginxTuned => (
                "nginx",
                "-v",
                "nginx",
                "install it: apt-get install nginx-light libnginx-mod-stream",
            ),
            Setup::Hitch => (
                "hitch",
                "--version",
                "hitch",
                "install it: apt-get install hitch",
            ),
            Setup::Stunnel => (
                "stunnel4",
                "-version",
                "stunnel",
                "install it: apt-get install stunnel4",
            ),
        };
        let program = process::find(program, remedy)?;
        Ok(Proxy {
            name,
            version: host::version(&program, flag, marker),
            setup,
            program,
        })
    };
    [
        ("sealgate", Setup::Sealgate),
        ("sealgate, no budget", Setup::NoBudget),
        ("sealgate, no flood", Setup::NoFlood),
        ("sealgate, opening nothing", Setup::Floor),
        ("haproxy, default", Setup::HaproxyDefault),
        ("haproxy, 128 KiB buffers", Setup::HaproxyTuned),
        ("nginx, default", Setup::Nginx),
        ("nginx, 128 KiB buffers", Setup::NginxTuned),
        ("hitch", Setup::Hitch),
        ("stunnel", Setup::Stunnel),
    ]
    .into_iter()
    .map(|(name, setup)| proxy(name, setup))
    .collect()
}

impl Setup {
    /// Whether it takes part in this work.
    pub fn does(self, work: Work) -> bool {
        let is_transfer = work.unit() == "CPU-s/GB";
        let is_echo = matches!(work, Work::Echo100 | Work::Echo4k);
        match self {
            Setup::Sealgate => true,
            Setup::NoBudget | Setup::NoFlood => work == Work::Flood,
            // Without TLS of its own there is nothing to encrypt anew, and no handshake.
            Setup::Floor => (is_transfer && work.wire() == Wire::Plain) || is_echo,
            Setup::HaproxyTuned => is_transfer,
            // They end both directions when the client ends one: the answer to a whole upload does not come back.
            Setup::Nginx | Setup::NginxTuned | Setup::Hitch if work.service() == Service::Sink => {
                false
            }
            Setup::NginxTuned => is_transfer,
            // TLS on one side only. Its memory is its workers', and the load generator looks at the process that was started.
            Setup::Hitch => {
                !matches!(work, Work::FullHybrid | Work::Idle | Work::IdleHttp)
                    && work.wire() == Wire::Plain
            }
            // Debian's OpenSSL has no ML-KEM, and here they have no HTTP route.
            Setup::HaproxyDefault | Setup::Nginx => {
                !matches!(work, Work::FullHybrid | Work::IdleHttp)
            }
            // A thread for each connection, and TLS on one side only.
            Setup::Stunnel => matches!(work, Work::Down8 | Work::Up8 | Work::Echo100),
        }
    }

    /// How its upstream speaks for this work.
    pub fn wire(self, work: Work) -> Wire {
        match self {
            Setup::Floor => Wire::Tls,
            _ => work.wire(),
        }
    }

    fn file(self) -> Option<&'static str> {
        match self {
            Setup::Sealgate | Setup::NoFlood => None,
            Setup::NoBudget | Setup::Floor => Some("sealgate.toml"),
            Setup::HaproxyDefault | Setup::HaproxyTuned => Some("haproxy.cfg"),
            Setup::Nginx | Setup::NginxTuned => Some("nginx.conf"),
            Setup::Hitch => Some("hitch.conf"),
            Setup::Stunnel => Some("stunnel.conf"),
        }
    }
}

impl Proxy {
    /// One that is not run.
    #[cfg(test)]
    pub fn named(name: &'static str, version: &str, setup: Setup) -> Self {
        Self {
            name,
            version: version.to_owned(),
            program: String::new(),
            setup,
        }
    }

    /// The command line that takes TLS and passes its content on. Writes the configuration file, where the program wants
    /// one.
    ///
    /// # Errors
    /// [`BenchError::File`]
    pub fn command(&self, work: Work, post: &Post<'_>) -> Result<Vec<String>, BenchError> {
        let Some(name) = self.setup.file() else {
            return Ok(self.flags(work, post));
        };
        let file = post.directory.join(name);
        if let Err(source) = fs::write(&file, self.config(work, post)) {
            return Err(BenchError::File { path: file, source });
        }
        let (program, file) = (self.program.clone(), file.display().to_string());
        let place = post.directory.display().to_string();
        Ok(match self.setup {
            Setup::Sealgate | Setup::NoFlood | Setup::NoBudget | Setup::Floor => {
                vec![program, "run".into(), "--config".into(), file]
            }
            Setup::HaproxyDefault | Setup::HaproxyTuned => {
                vec![program, "-db".into(), "-f".into(), file]
            }
            Setup::Nginx | Setup::NginxTuned => {
                vec![program, "-p".into(), place, "-c".into(), file]
            }
            Setup::Hitch => vec![program, format!("--config={file}")],
            Setup::Stunnel => vec![program, file],
        })
    }

    /// What `command` runs, for a reader.
    pub fn describe(&self, work: Work, post: &Post<'_>) -> String {
        let mut text = format!("# {}: {} ({})\n", work.name(), self.name, self.version);
        let _ = match self.setup {
            Setup::Sealgate | Setup::NoFlood => {
                writeln!(text, "{}\n", self.flags(work, post)[1..].join(" "))
            }
            _ => writeln!(text, "{}", self.config(work, post)),
        };
        text
    }

    fn flags(&self, work: Work, post: &Post<'_>) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let (command, upstream) = match work.service() {
            Service::Http => ("http", format!("http://{}", post.upstream)),
            _ => ("tcp", post.upstream.to_string()),
        };
        let mut words = vec![self.program.clone(), command.into()];
        for (flag, value) in [
            ("--listen", post.listen.to_string()),
            ("--upstream", upstream),
            ("--cert", path(&post.certificate.chain)),
            ("--key", path(&post.certificate.key)),
            ("--workers", "1".into()),
        ] {
            words.extend([flag.to_owned(), value]);
        }
        if work.wire() == Wire::Tls {
            words.push("--upstream-tls".into());
            words.extend(["--upstream-ca".into(), path(&post.authority.chain)]);
            words.extend(["--upstream-name".into(), "localhost".into()]);
        }
        words
    }

    fn config(&self, work: Work, post: &Post<'_>) -> String {
        let Post {
            listen, upstream, ..
        } = post;
        let (chain, key, both) = (
            post.certificate.chain.display(),
            post.certificate.key.display(),
            post.certificate.both.display(),
        );
        let authority = post.authority.chain.display();
        let place = post.directory.display();
        let encrypts = work.wire() == Wire::Tls;
        let where_encrypting = |text: String| if encrypts { text } else { String::new() };
        match self.setup {
            Setup::Sealgate | Setup::NoFlood => String::new(),
            Setup::NoBudget => format!(
                "workers = 1\n[limits]\nhandshakes_per_turn = {NO_BUDGET}\n\
                 [[listener]]\nname = \"bench\"\nlisten = \"{listen}\"\n\
                 [[tenant]]\nid = \"bench\"\ndefault = true\ncertificate = \"{chain}\"\nkey = \"{key}\"\n\
                 [[route]]\nname = \"bench\"\ntenant = \"bench\"\nprotocol = \"tcp\"\n\
                 class = \"terminated\"\nupstream = \"{upstream}\"\n"
            ),
            Setup::Floor => format!(
                "workers = 1\n[[listener]]\nname = \"bench\"\nlisten = \"{listen}\"\n\
                 [[tenant]]\nid = \"bench\"\ndefault = true\n\
                 [[route]]\nname = \"bench\"\ntenant = \"bench\"\nprotocol = \"tcp\"\n\
                 class = \"passthrough\"\nupstream = \"{upstream}\"\n"
            ),
            Setup::HaproxyDefault | Setup::HaproxyTuned => {
                let bufsize = match self.setup {
                    Setup::HaproxyTuned => "    tune.bufsize 131072\n",
                    _ => "",
                };
                let server = where_encrypting(format!(
                    " ssl verify required ca-file {authority} sni str(localhost) verifyhost localhost"
                ));
                format!(
                    "global\n    nbthread 1\n    maxconn 8000\n{bufsize}    \
                     ssl-default-bind-options ssl-min-ver TLSv1.3\n    \
                     ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384\n    \
                     ssl-default-server-ciphersuites TLS_AES_256_GCM_SHA384\n\
                     defaults\n    mode tcp\n    timeout connect 5s\n    \
                     timeout client 60s\n    timeout server 60s\n\
                     listen bench\n    bind {listen} ssl crt {both}\n    server origin {upstream}{server}\n"
                )
            }
            Setup::Nginx | Setup::NginxTuned => {
                let buffer = match self.setup {
                    Setup::NginxTuned => "    proxy_buffer_size 128k;\n",
                    _ => "",
                };
                let server = where_encrypting(format!(
                    "        proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate {authority};\n        \
                     proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;\n"
                ));
                format!(
                    "load_module {NGINX_STREAM};\n\
                     daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/nginx-error.log;\n\
                     events {{ worker_connections 16384; }}\n\
                     stream {{\n{buffer}    server {{\n        listen {listen} ssl backlog=4096; proxy_pass {upstream};\n        \
                     ssl_certificate {chain}; ssl_certificate_key {key};\n        \
                     ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384; \
                     ssl_ecdh_curve X25519;\n{server}    }}\n}}\n"
                )
            }
            Setup::Hitch => {
                // Its workers do not run as root: they are nobody's then.
                let user = match rustix::process::geteuid().is_root() {
                    true => "user = \"nobody\"\n",
                    false => "",
                };
                format!(
                    "frontend = \"[{}]:{}\"\nbackend = \"[{}]:{}\"\npem-file = \"{both}\"\n\
                     {user}workers = 1\ndaemon = off\nsyslog = off\nlog-level = 1\nocsp-dir = \"\"\n\
                     tls-protos = TLSv1.3\nciphersuites = \"TLS_AES_256_GCM_SHA384\"\n",
                    listen.ip(),
                    listen.port(),
                    upstream.ip(),
                    upstream.port(),
                )
            }
            Setup::Stunnel => format!(
                "foreground = yes\npid =\nsyslog = no\ndebug = err\n\
                 [bench]\naccept = {listen}\nconnect = {upstream}\ncert = {chain}\nkey = {key}\n\
                 sslVersionMin = TLSv1.3\nciphersuites = TLS_AES_256_GCM_SHA384\n"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn certificate(name: &str) -> Certificate {
        Certificate {
            chain: format!("/place/{name}.pem").into(),
            key: format!("/place/{name}.key").into(),
            both: format!("/place/{name}-both.pem").into(),
        }
    }

    #[test]
    fn every_configuration_has_addresses_certificate_and_suite() {
        let (own, authority) = (certificate("own"), certificate("authority"));
        let post = Post {
            listen: SocketAddr::from(([127, 0, 0, 1], 1111)),
            upstream: SocketAddr::from(([127, 0, 0, 1], 2222)),
            certificate: &own,
            authority: &authority,
            directory: Path::new("/place"),
        };
        for setup in [
            Setup::HaproxyDefault,
            Setup::HaproxyTuned,
            Setup::Nginx,
            Setup::NginxTuned,
            Setup::Hitch,
            Setup::Stunnel,
        ] {
            let proxy = Proxy::named("p", "v", setup);
            let text = proxy.describe(Work::Down8, &post);
            for wanted in [
                "1111",
                "2222",
                "/place/own",
                "TLS_AES_256_GCM_SHA384",
                "TLSv1.3",
            ] {
                assert!(text.contains(wanted), "{setup:?}, {wanted}: {text}");
            }
            let encrypts = setup.does(Work::Reencrypt);
            let text = proxy.config(Work::Reencrypt, &post);
            assert_eq!(text.contains("/place/authority.pem"), encrypts, "{text}");
        }
        let free = Proxy::named("p", "v", Setup::NoBudget).config(Work::Flood, &post);
        for wanted in ["1111", "2222", "/place/own.pem", "handshakes_per_turn"] {
            assert!(free.contains(wanted), "{wanted}: {free}");
        }
        let floor = Proxy::named("p", "v", Setup::Floor).config(Work::Down8, &post);
        assert!(floor.contains("class = \"passthrough\""), "{floor}");
    }

    #[test]
    fn sealgate_does_every_kind_of_work_and_has_somebody_beside_it_for_what_is_promised() {
        for work in Work::value_variants() {
            assert!(Setup::Sealgate.does(*work));
            let alone = !Setup::HaproxyDefault.does(*work);
            assert_eq!(alone, matches!(work, Work::FullHybrid | Work::IdleHttp));
        }
    }
}
