//! The real program, started and asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod schema;
pub mod search;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_loadgen");

/// An address that refuses connections, and that nobody else on this machine is given while this lives.
pub struct Nowhere {
    pub address: SocketAddr,
    /// Bound, and not listening.
    _socket: socket2::Socket,
}

impl Nowhere {
    pub fn new() -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        Self {
            address: socket.local_addr().unwrap().as_socket().unwrap(),
            _socket: socket,
        }
    }
}

/// A running origin; killed on drop.
pub struct Origin {
    child: Child,
    listeners: HashMap<String, SocketAddr>,
}

impl Origin {
    /// Starts an origin with all four services on free ports, and waits until it listens.
    pub fn start(flags: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("origin");
        for service in ["--http", "--echo", "--sink", "--source"] {
            command.args([service, "127.0.0.1:0"]);
        }
        let mut child = command.args(flags).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut listeners = HashMap::new();
        while listeners.len() < 4 {
            let line = lines
                .next()
                .expect("the origin ended before it listened")
                .unwrap();
            let mut words = line.split(' ').skip(1);
            let name = words.next().unwrap().to_owned();
            listeners.insert(name, words.next().unwrap().parse().unwrap());
        }
        Self { child, listeners }
    }

    /// Starts an origin that speaks TLS with the certificate of `files`.
    pub fn start_tls(files: &TlsFiles, flags: &[&str]) -> Self {
        let (cert, key) = (files.path("server.pem"), files.path("server.key"));
        let mut all = vec!["--tls-cert", &cert, "--tls-key", &key];
        all.extend(flags);
        Self::start(&all)
    }

    pub fn address(&self, service: &str) -> SocketAddr {
        self.listeners[service]
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address("http"))
    }

    pub fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address("http"))
    }

    pub fn tls(&self, service: &str) -> String {
        format!("tls://{}", self.address(service))
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// One of the origin's totals, by way of its TLS or plain listener.
    pub fn totals(&self, base: &str) -> Value {
        let (_, body) = curl(&["-k", &format!("{base}/.origin/counts")]);
        let counts: Value = serde_json::from_slice(&body).unwrap();
        counts["totals"].clone()
    }

    /// Waits until so many requests have come of a program that sends them without an end.
    pub fn await_requests(&self, requests: u64, of: &mut Child) {
        while self.totals(&self.url(""))["requests"].as_u64().unwrap() < requests {
            thread::yield_now();
            assert!(of.try_wait().unwrap().is_none(), "it has ended");
        }
    }

    /// Sends SIGTERM and gives the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        assert!(
            Command::new("kill")
                .arg(self.pid())
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the program did.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program to its end.
pub fn loadgen(args: &[&str]) -> Ran {
    let output = Command::new(PROGRAM).args(args).output().unwrap();
    Ran {
        code: output.status.code().expect("not ended by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Starts the program in a directory.
pub fn start_in(dir: &str, args: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    let command = command.args(args).current_dir(dir);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for its end; gives the exit code, and the JSON on its standard output.
pub fn ended(child: Child) -> (i32, Value) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{said}"));
    (output.status.code().unwrap(), json)
}

/// Runs the program with `--json -` and gives its exit code and result.
pub fn result(args: &[&str]) -> (i32, Value) {
    let ran = loadgen(&[args, &["--json", "-"]].concat());
    let json: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", ran.stdout, ran.stderr));
    schema::assert_valid(&json);
    // What was written can be read, and means the same.
    let report = loadgen::report::parse::parse(&ran.stdout).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), json);
    (ran.code, json)
}

/// Reasons of a verdict that speak of the machine on which the run was, and not of what it did.
const OF_THE_MACHINE: [&str; 8] = [
    "achieved",
    "generator_busy",
    "no_free_connection",
    "send_lag",
    "short",
    "starved",
    "stolen",
    "waited_for_core",
];

/// Asserts that a run did all that it planned, `n` operations, without an error. On a busy machine
/// it may say that its times prove nothing (4): that, and no other doubt, is let pass.
pub fn assert_whole(code: i32, json: &Value, n: u64) {
    assert!(matches!(code, 0 | 4), "{code}: {json:#}");
    let operations = &json["totals"]["operations"];
    let counts = ["planned", "succeeded", "failed", "unsent"].map(|name| &operations[name]);
    assert_eq!(
        counts.map(Value::as_u64),
        [Some(n), Some(n), Some(0), Some(0)],
        "{json:#}"
    );
    assert_eq!(json["errors"], serde_json::json!([]), "{json:#}");
    for reason in json["verdict"]["reasons"].as_array().unwrap() {
        let code = reason["code"].as_str().unwrap();
        assert!(OF_THE_MACHINE.contains(&code), "{json:#}");
    }
}

/// Runs curl; gives the status and the body.
pub fn curl(args: &[&str]) -> (u16, Vec<u8>) {
    let (status, body, _) = curl_headers(args);
    (status, body)
}

/// Runs curl; gives the status, the body, and the header block of the last answer.
pub fn curl_headers(args: &[&str]) -> (u16, Vec<u8>, String) {
    let dir = tempfile::tempdir().unwrap();
    let (body, head) = (dir.path().join("body"), dir.path().join("head"));
    let output = Command::new("curl")
        .args(["-s", "-w", "%{http_code}", "-o"])
        .arg(&body)
        .arg("-D")
        .arg(&head)
        .args(args)
        .output()
        .unwrap();
    let status = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let head = std::fs::read_to_string(head).unwrap_or_default();
    let last = head
        .trim_end()
        .rsplit("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_lowercase();
    (status, std::fs::read(body).unwrap_or_default(), last)
}

/// Certificates in a directory that goes away with this value: `ca.pem`, `server.pem`,
/// `server.key`, `client.pem`, `client.key`.
pub struct TlsFiles {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl TlsFiles {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let files = Self { dir, issuer };
        files.write("ca.pem", &ca.pem());
        files.certify("server", &["localhost", "127.0.0.1"]);
        files.certify("client", &["me"]);
        files
    }

    /// Writes `name.pem` and `name.key`: a certificate for `names`.
    pub fn certify(&self, name: &str, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        // OpenSSL takes a leaf with its issuer's name for self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = Path::new(&self.path(name)).to_owned();
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A service of the test that treats every connection with `serve`.
pub fn service(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    address
}
