//! TLS clients and servers of rustls, blocking, with deadlines.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedCipherSuite, SupportedProtocolVersion,
};

use super::DEADLINE;
use super::pki::{Ca, Identity, Site};

/// A client's end of a TLS connection.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;
/// A server's end of a TLS connection.
pub type ServerTls = StreamOwned<ServerConnection, TcpStream>;

/// What a client is like.
#[derive(Clone)]
pub struct Client {
    roots: Arc<RootCertStore>,
    provider: CryptoProvider,
    versions: Vec<&'static SupportedProtocolVersion>,
    identity: Option<(Vec<CertificateDer<'static>>, Vec<u8>)>,
    alpn: Vec<Vec<u8>>,
    resumption: Option<Resumption>,
}

pub fn roots(ca: &Ca) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der()).unwrap();
    Arc::new(roots)
}

impl Site {
    /// A client that trusts this site's CA.
    pub fn client(&self) -> Client {
        Client {
            roots: roots(&self.ca),
            provider: aws_lc_rs::default_provider(),
            versions: vec![&rustls::version::TLS13, &rustls::version::TLS12],
            identity: None,
            alpn: Vec::new(),
            resumption: None,
        }
    }

    /// Connects to this site's gateway.
    pub fn connect(&self, name: &str) -> Tls {
        self.client().connect(self.listen, name).unwrap()
    }
}

impl Client {
    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    pub fn tls12(self) -> Self {
        self.versions(&[&rustls::version::TLS12])
    }

    pub fn groups(mut self, groups: &[&'static dyn SupportedKxGroup]) -> Self {
        self.provider.kx_groups = groups.to_vec();
        self
    }

    pub fn suite(mut self, suite: SupportedCipherSuite) -> Self {
        self.provider.cipher_suites = vec![suite];
        self
    }

    pub fn identity(mut self, identity: &Identity) -> Self {
        let key = identity.key().secret_der().to_vec();
        self.identity = Some((identity.chain.clone(), key));
        self
    }

    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    pub fn resumption(mut self, resumption: Resumption) -> Self {
        self.resumption = Some(resumption);
        self
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(self.provider.clone()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match &self.identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone().try_into().unwrap())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        if let Some(resumption) = &self.resumption {
            config.resumption = resumption.clone();
        }
        Arc::new(config)
    }

    /// Connects and completes the handshake, as far as the client's side knows.
    pub fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Tls> {
        connect_with(self.config(), address, name)
    }
}

/// As [`Client::connect`], with a configuration that remembers tickets.
pub fn connect_with(config: Arc<ClientConfig>, address: SocketAddr, name: &str) -> io::Result<Tls> {
    let socket = dial(address)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    tls.flush()?;
    Ok(tls)
}

/// A TCP connection with deadlines.
pub fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, DEADLINE)?;
    bounded(&socket);
    Ok(socket)
}

/// Bounds every wait on the socket.
pub fn bounded(socket: &TcpStream) {
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.set_write_timeout(Some(DEADLINE)).unwrap();
    socket.set_nodelay(true).unwrap();
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// `close_notify`, or FIN on plain TCP.
    Clean,
    /// FIN without `close_notify`.
    Truncated,
    /// RST.
    Reset,
    /// A TLS alert, or another error of TLS.
    Tls(String),
}

impl End {
    /// What an error at reading says; a deadline is a failed test.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                panic!("no end within {DEADLINE:?}")
            }
            _ => Self::Tls(error.to_string()),
        }
    }
}

/// Reads to the end: what came, and how it ended.
pub fn read_to_end(stream: &mut impl Read) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut room = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut room) {
            Ok(0) => return (bytes, End::Clean),
            Ok(n) => bytes.extend_from_slice(&room[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (bytes, End::of(&error)),
        }
    }
}

/// Reads exactly `len` bytes.
pub fn read_exactly(stream: &mut impl Read, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream
        .read_exact(&mut bytes)
        .unwrap_or_else(|error| panic!("{len} bytes expected: {error}"));
    bytes
}

/// Sends `close_notify`; reading goes on.
pub fn close_notify(tls: &mut Tls) {
    tls.conn.send_close_notify();
    while tls.conn.wants_write() {
        tls.conn.write_tls(&mut tls.sock).unwrap();
    }
}

/// Sends `data` and expects it back.
pub fn echo(stream: &mut (impl Read + Write), data: &[u8]) {
    stream.write_all(data).unwrap();
    stream.flush().unwrap();
    assert!(read_exactly(stream, data.len()) == data, "the echo differs");
}

/// The TLS side of an upstream. `client_ca`: it demands certificates of it.
pub fn server_config(identity: &Identity, client_ca: Option<&Ca>) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .unwrap();
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots(ca), provider)
                .build()
                .unwrap(),
        ),
    };
    Arc::new(
        builder
            .with_single_cert(identity.chain.clone(), identity.key())
            .unwrap(),
    )
}

/// Answers the handshake of whoever connected.
pub fn accept(config: Arc<ServerConfig>, socket: TcpStream) -> io::Result<ServerTls> {
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}
