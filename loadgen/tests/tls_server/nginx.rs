//! nginx, whose log says of each handshake whether it was resumed, and of each request what it was.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use crate::program::TlsFiles;

/// A running nginx; ended on drop.
pub struct Nginx {
    child: Child,
    pub address: SocketAddr,
    log: String,
}

impl Nginx {
    /// One that ends each connection behind its handshake.
    pub fn start(files: &TlsFiles) -> Self {
        Self::run(files, |address, log, tls| {
            format!(
                "stream {{
                     log_format kinds '$ssl_session_reused $ssl_protocol $ssl_server_name';
                     access_log {log} kinds;
                     server {{ listen {address} ssl; {tls} return ''; }}
                 }}"
            )
        })
    }

    /// One that speaks HTTP/2 within these limits, and answers `hello`.
    pub fn start_http2(files: &TlsFiles, limits: &str) -> Self {
        Self::run(files, |address, log, tls| {
            format!(
                "http {{
                     log_format requests '$server_protocol $request_method $status';
                     access_log {log} requests;
                     server {{
                         listen {address} ssl http2; {tls} {limits}
                         location / {{ return 200 hello; }}
                     }}
                 }}"
            )
        })
    }

    fn run(files: &TlsFiles, block: impl FnOnce(SocketAddr, &str, &str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let [log, errors, pid, cert, key] =
            ["access.log", "error.log", "pid", "server.pem", "server.key"].map(|f| files.path(f));
        let tls = format!(
            "ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;"
        );
        let block = block(address, &log, &tls);
        let configuration = format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
             daemon off; pid {pid}; error_log {errors};
             events {{ worker_connections 512; }}
             {block}"
        );
        let file = files.path("nginx.conf");
        fs::write(&file, configuration).unwrap();
        // It takes sockets over from an nginx before it, by their numbers: so it gets one that
        // listens already, on a port that the kernel chose.
        let child = Command::new("nginx")
            .args(["-c", &file, "-e", &errors])
            .env("NGINX", "0;")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .expect("nginx runs; scripts/test installs it");
        Self {
            child,
            address,
            log,
        }
    }

    /// Ends it, and gives how often each line was logged.
    pub fn lines(mut self) -> BTreeMap<String, u64> {
        self.end("-QUIT");
        let mut counts = BTreeMap::new();
        for line in fs::read_to_string(&self.log).unwrap().lines() {
            *counts.entry(line.to_owned()).or_default() += 1;
        }
        counts
    }
}

impl Nginx {
    /// Its worker ends with it when it is asked to end, and not when it is killed.
    fn end(&mut self, signal: &str) {
        if let Ok(None) = self.child.try_wait() {
            let pid = self.child.id().to_string();
            let _ = Command::new("kill").args([signal, &pid]).status();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end("-TERM");
    }
}
