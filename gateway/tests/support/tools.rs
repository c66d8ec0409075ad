//! The programs that everybody has: curl and openssl.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use super::watch::Watch;
use super::{DEADLINE, Site};

/// Waits for the end of a program within the deadline, and kills it after.
pub fn output_of(mut child: Child) -> Output {
    let reads = [
        child.stdout.take().map(read_all),
        child.stderr.take().map(read_all),
    ];
    let ended = Watch::new(0);
    for read in reads.iter().flatten() {
        let (ended, bytes) = (ended.clone(), read.clone());
        thread::spawn(move || {
            bytes.wait("output", |(_, done)| done.then_some(()));
            ended.change(|count| *count += 1);
        });
    }
    let wanted = reads.iter().flatten().count();
    let in_time = ended
        .try_wait(|count| (*count == wanted).then_some(()))
        .is_some();
    if !in_time {
        let _ = child.kill();
    }
    let status = child.wait().unwrap();
    let [stdout, stderr] = reads.map(|read| {
        read.map(|read| read.read(|(bytes, _)| bytes.clone()))
            .unwrap_or_default()
    });
    let output = Output {
        status,
        stdout,
        stderr,
    };
    assert!(in_time, "the program does not end: {output:?}");
    output
}

fn read_all(mut pipe: impl Read + Send + 'static) -> Watch<(Vec<u8>, bool)> {
    let watch = Watch::new((Vec::new(), false));
    thread::spawn({
        let watch = watch.clone();
        move || {
            let mut room = [0; 16 * 1024];
            while let Ok(n) = pipe.read(&mut room) {
                if n == 0 {
                    break;
                }
                watch.change(|(bytes, _)| bytes.extend_from_slice(&room[..n]));
            }
            watch.change(|(_, done)| *done = true);
        }
    });
    watch
}

/// What curl said.
#[derive(Debug)]
pub struct Curl {
    /// curl's own exit code; 0 is success.
    pub code: i32,
    /// Status of the last response; 0 without one.
    pub status: u16,
    pub body: Vec<u8>,
    pub stderr: String,
}

impl Site {
    /// curl against this site's gateway under `name`, trusting its CA.
    pub fn curl(&self, name: &str, path: &str, more: &[&str]) -> Curl {
        let port = self.listen.port();
        let body = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--verbose",
                "--http1.1",
                "--noproxy",
                "*",
            ])
            .args(["--max-time", &DEADLINE.as_secs().to_string()])
            .args(["--resolve", &format!("{name}:{port}:{}", self.listen.ip())])
            .args(["--cacert", &self.arg("ca.pem")])
            .arg("--output")
            .arg(body.path())
            .args(["--write-out", "%{http_code}"])
            .args(more)
            .arg(format!("https://{name}:{port}{path}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = output_of(child);
        Curl {
            code: output.status.code().unwrap_or(-1),
            status: String::from_utf8_lossy(&output.stdout).parse().unwrap_or(0),
            body: std::fs::read(body.path()).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `openssl s_client` against this site's gateway, trusting its CA; without `-servername`.
    pub fn s_client(&self, more: &[impl AsRef<OsStr>]) -> SClient {
        SClient::start(self.listen, &self.arg("ca.pem"), more)
    }
}

/// A running `openssl s_client`.
pub struct SClient {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Lines of both outputs, and how many outputs have ended.
    seen: Watch<(String, usize)>,
    readers: Vec<JoinHandle<()>>,
}

impl SClient {
    pub fn start(address: SocketAddr, ca: &str, more: &[impl AsRef<OsStr>]) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &address.to_string(), "-CAfile", ca])
            .args(["-verify_return_error"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let seen = Watch::new((String::new(), 0));
        let readers = vec![
            gather(child.stdout.take().unwrap(), seen.clone()),
            gather(child.stderr.take().unwrap(), seen.clone()),
        ];
        Self {
            stdin: child.stdin.take(),
            child,
            seen,
            readers,
        }
    }

    /// Waits until the text stands in what it printed.
    pub fn wait(&self, text: &str) {
        self.wait_times(1, text);
    }

    /// Waits until the text stands so often in what it printed.
    pub fn wait_times(&self, times: usize, text: &str) {
        let found = self.seen.try_wait(|(seen, ended)| {
            let found = seen.matches(text).count() >= times;
            (found || *ended == 2).then_some(found)
        });
        assert_eq!(
            found,
            Some(true),
            "no {text:?} in:\n{}",
            self.seen.read(|(seen, _)| seen.clone())
        );
    }

    /// Sends a line and waits for its echo.
    pub fn echo(&mut self, line: &str) {
        self.send(line);
        self.wait(line);
    }

    pub fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Ends the input, which sends `close_notify`; gives all that it printed.
    pub fn finish(mut self) -> String {
        drop(self.stdin.take());
        self.wait_end()
    }

    /// Waits for it to end by itself; gives all that it printed.
    pub fn wait_end(&mut self) -> String {
        let ended = self.seen.try_wait(|(_, ended)| (*ended == 2).then_some(()));
        let text = self.seen.read(|(seen, _)| seen.clone());
        assert!(ended.is_some(), "s_client does not end:\n{text}");
        text
    }
}

impl Drop for SClient {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

fn gather(pipe: impl Read + Send + 'static, seen: Watch<(String, usize)>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            seen.change(|(text, _)| text.push_str(&String::from_utf8_lossy(&line)));
            line.clear();
        }
        seen.change(|(_, ended)| *ended += 1);
    })
}
