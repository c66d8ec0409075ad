//! rustls's own server, in the test, which counts what its clients do: it shares no code with the
//! generator's engine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod nginx;
pub mod openssl;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};

use rustls::{
    HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use crate::program::{TlsFiles, service};

/// The largest early data that tickets allow.
pub const EARLY_DATA_MOST: u32 = 1000;

/// A record that holds five bytes, such as a KeyUpdate, and nothing that the tests send: content
/// type and tag take 17 bytes more (RFC 8446 §5.2).
const KEY_UPDATE_RECORD: (u8, usize) = (23, 5 + 17);

/// What the server saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Handshakes that were finished: full, resumed, and of these with early data taken.
    pub full: u64,
    pub resumed: u64,
    pub early_data_taken: u64,
    /// Full handshakes in which a client certificate was shown.
    pub certificates: u64,
    /// KeyUpdates.
    pub key_updates: u64,
    /// Handshakes that did not end well.
    pub failed: u64,
    /// Finished handshakes by name, and by protocol.
    pub names: BTreeMap<String, u64>,
    pub protocols: BTreeMap<String, u64>,
    /// HTTP requests and KeyUpdates by connection; and requests that came as early data.
    pub connections: BTreeMap<usize, OfConnection>,
    pub early_requests: u64,
}

/// What a server does with what it gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speaks {
    /// Sends it back.
    #[default]
    Echo,
    /// Answers each request, which has no body, with two bytes.
    Http,
}

/// What went over one connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct OfConnection {
    pub requests: u64,
    pub key_updates: u64,
}

/// How a server is to behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behaviour {
    /// Client certificates are asked for, and need not be shown.
    pub asks_for_certificates: bool,
    /// Of all connections, every so many-th takes no early data; 0 for none.
    pub refuses_early_data_every: usize,
    /// Tickets allow no early data.
    pub allows_no_early_data: bool,
    /// Protocols of ALPN.
    pub alpn: &'static [&'static str],
    /// Server names, each with the name that its certificate has; none for one certificate.
    pub names: &'static [(&'static str, &'static str)],
    /// What goes over its connections.
    pub speaks: Speaks,
    /// Requests that come as early data are answered with 425.
    pub finds_too_early: bool,
}

/// A running server.
pub struct TlsServer {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl TlsServer {
    /// Starts a server that sends back what it gets, early data excepted.
    pub fn start(files: &TlsFiles, behaviour: Behaviour) -> Self {
        let config = config(files, behaviour);
        // The same tickets, and no early data.
        let mut refusing = ServerConfig::clone(&config);
        refusing.max_early_data_size = 0;
        let (config, refusing) = (Arc::new(config), Arc::new(refusing));
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (counts, connections) = (Arc::clone(&seen), Mutex::new(0));
        let address = service(move |stream| {
            let number = {
                let mut connections = connections.lock().unwrap();
                *connections += 1;
                *connections
            };
            let every = behaviour.refuses_early_data_every;
            let refuses = every > 0 && number % every == 0;
            let config = if refuses { &refusing } else { &config };
            let mut serving = Serving::new(stream, config, &counts);
            (serving.number, serving.behaviour) = (number, behaviour);
            serving.run();
        });
        Self { address, seen }
    }

    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// What it saw so far. A client that waits for the end of its connections finds all of it.
    pub fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap()
}

fn config(files: &TlsFiles, behaviour: Behaviour) -> ServerConfig {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match behaviour.asks_for_certificates {
        false => builder.with_no_client_auth(),
        true => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_file(files.path("ca.pem")).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            let verifier = verifier.allow_unauthenticated().build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = match behaviour.names {
        [] => {
            let (chain, key) = identity(files, "server");
            builder.with_single_cert(chain, key).unwrap()
        }
        names => builder.with_cert_resolver(Arc::new(ByName::new(files, names))),
    };
    // Early data needs tickets that are used once, and so a memory of them.
    config.session_storage = ServerSessionMemoryCache::new(4096);
    config.max_early_data_size = match behaviour.allows_no_early_data {
        true => 0,
        false => EARLY_DATA_MOST,
    };
    let alpn = behaviour.alpn.iter();
    config.alpn_protocols = alpn.map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn identity(
    files: &TlsFiles,
    name: &str,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(files.path(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(files.path(&format!("{name}.key"))).unwrap();
    (chain.map(Result::unwrap).collect(), key)
}

/// A certificate for each server name; the name in it may be another.
#[derive(Debug)]
struct ByName(BTreeMap<&'static str, Arc<CertifiedKey>>);

impl ByName {
    fn new(files: &TlsFiles, names: &[(&'static str, &'static str)]) -> Self {
        let certified = names.iter().map(|(asked, certified)| {
            files.certify(asked, &[certified]);
            let (chain, key) = identity(files, asked);
            let key = CertifiedKey::from_der(chain, key, &default_provider()).unwrap();
            (*asked, Arc::new(key))
        });
        Self(certified.collect())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.get(hello.server_name()?).cloned()
    }
}

/// One connection.
struct Serving<'a> {
    stream: TcpStream,
    tls: ServerConnection,
    seen: &'a Mutex<Seen>,
    /// Headers of records that came, from the last one on.
    unparsed: Vec<u8>,
    took_early_data: bool,
    number: usize,
    behaviour: Behaviour,
    /// What came of a request's head.
    head: Vec<u8>,
}

impl<'a> Serving<'a> {
    fn new(stream: TcpStream, config: &Arc<ServerConfig>, seen: &'a Mutex<Seen>) -> Self {
        Self {
            stream,
            tls: ServerConnection::new(Arc::clone(config)).unwrap(),
            seen,
            unparsed: Vec::new(),
            took_early_data: false,
            number: 0,
            behaviour: Behaviour::default(),
            head: Vec::new(),
        }
    }

    fn run(mut self) {
        let mut shaken = false;
        loop {
            let turned = self.turn();
            // A client that has a ticket may be gone already.
            if !shaken && !self.tls.is_handshaking() {
                shaken = true;
                self.count();
            }
            if turned.is_err() {
                // An alert may wait.
                let _ = self.tls.write_tls(&mut self.stream);
                lock(self.seen).failed += u64::from(!shaken);
                return;
            }
        }
    }

    /// Reads once, and answers.
    fn turn(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        let mut bytes = [0; 4096];
        let len = self.stream.read(&mut bytes)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.find_key_updates(&bytes[..len]);
        let mut unread = &bytes[..len];
        while !unread.is_empty() {
            self.tls.read_tls(&mut unread)?;
            let state = self.tls.process_new_packets();
            let state = state.map_err(|_| io::ErrorKind::InvalidData)?;
            let mut early = Vec::new();
            if let Some(mut reader) = self.tls.early_data() {
                reader.read_to_end(&mut early)?;
            }
            if !early.is_empty() {
                self.took_early_data = true;
                if self.behaviour.speaks == Speaks::Http {
                    let status = match self.behaviour.finds_too_early {
                        true => "425 Too Early",
                        false => "200 OK",
                    };
                    let requests = self.answer(&early, status)?;
                    lock(self.seen).early_requests += requests;
                }
            }
            let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut plaintext)?;
            match self.behaviour.speaks {
                Speaks::Echo => self.tls.writer().write_all(&plaintext)?,
                Speaks::Http => {
                    self.answer(&plaintext, "200 OK")?;
                }
            }
            if state.peer_has_closed() {
                self.tls.send_close_notify();
            }
        }
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    /// Answers the requests that end with `bytes`; gives their number.
    fn answer(&mut self, bytes: &[u8], status: &str) -> io::Result<u64> {
        self.head.extend_from_slice(bytes);
        let mut requests = 0;
        while let Some(at) = self.head.windows(4).position(|end| end == b"\r\n\r\n") {
            self.head.drain(..at + 4);
            requests += 1;
            let mut seen = lock(self.seen);
            seen.connections.entry(self.number).or_default().requests += 1;
            drop(seen);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
            self.tls.writer().write_all(answer.as_bytes())?;
        }
        Ok(requests)
    }

    fn find_key_updates(&mut self, bytes: &[u8]) {
        self.unparsed.extend_from_slice(bytes);
        while let Some(&[kind, _, _, high, low]) = self.unparsed.first_chunk() {
            let len = usize::from(u16::from_be_bytes([high, low]));
            if self.unparsed.len() < 5 + len {
                return;
            }
            self.unparsed.drain(..5 + len);
            if (kind, len) == KEY_UPDATE_RECORD {
                let mut seen = lock(self.seen);
                seen.key_updates += 1;
                seen.connections.entry(self.number).or_default().key_updates += 1;
            }
        }
    }

    fn count(&self) {
        let mut seen = lock(self.seen);
        match self.tls.handshake_kind().unwrap() {
            HandshakeKind::Resumed => seen.resumed += 1,
            _ => {
                seen.full += 1;
                seen.certificates += u64::from(self.tls.peer_certificates().is_some());
            }
        }
        seen.early_data_taken += u64::from(self.took_early_data);
        let name = self.tls.server_name().unwrap_or("-").to_owned();
        *seen.names.entry(name).or_default() += 1;
        let protocol = self.tls.alpn_protocol().unwrap_or(b"-");
        let protocol = String::from_utf8(protocol.to_vec()).unwrap();
        *seen.protocols.entry(protocol).or_default() += 1;
    }
}
