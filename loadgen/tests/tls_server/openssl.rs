//! `openssl s_server`, whose log of handshake messages is counted.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
};

use crate::program::TlsFiles;

/// A running server that sends back what it gets, one connection at a time; killed on drop.
pub struct Openssl {
    child: Child,
    port: u16,
    log: String,
}

impl Openssl {
    pub fn start(files: &TlsFiles, flags: &[&str]) -> Self {
        let log = files.path("openssl-messages");
        // It does not tell which port it took, so it has to be given one.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut child = Command::new("openssl")
            .args(["s_server", "-quiet", "-tls1_3", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .args(["-cert", &files.path("server.pem")])
            .args(["-key", &files.path("server.key")])
            .args(["-msg", "-msgfile", &log])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // What it reads goes to its output, and what comes to its input is sent.
        let mut back = child.stdin.take().unwrap();
        let mut out = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 16 * 1024];
            while let Ok(len @ 1..) = out.read(&mut bytes) {
                if back.write_all(&bytes[..len]).is_err() {
                    return;
                }
            }
        });
        // A connection that says nothing is dropped, and the next one served.
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "openssl has ended");
            thread::yield_now();
        }
        Self { child, port, log }
    }

    pub fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it, and gives how many messages of this name it has read and written.
    pub fn messages(mut self, name: &str) -> (usize, usize) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let log = fs::read_to_string(&self.log).unwrap();
        let of = |way: &str| {
            let lines = log.lines();
            lines
                .filter(|line| line.starts_with(way) && line.ends_with(name))
                .count()
        };
        (of("<<<"), of(">>>"))
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
