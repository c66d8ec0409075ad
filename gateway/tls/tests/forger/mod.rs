//! A peer that shakes hands honestly and then writes whatever records it is told to.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::sign::CertifiedKey;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets, RootCertStore, ServerConfig};
use sealgate_tls::{
    ClientSettings, ClientVerification, Engine, EpochSecrets, ServerSettings, Session, TicketScope,
    Ticketer, client_config, client_session, provider, server_configs, server_session,
};

/// Which side the forger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerSide {
    Client,
    Server,
}

struct Key {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Key {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Key {
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else {
            panic!("another suite")
        };
        Key {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap()),
            iv: iv.as_ref().try_into().unwrap(),
            sequence,
        }
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= sequence;
        }
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

type NextKeys = Box<dyn FnMut(Direction) -> (u64, ConnectionTrafficSecrets)>;

enum Direction {
    Sealing,
    Opening,
}

/// The forging peer, established.
pub struct Forger {
    sealing: Key,
    opening: Key,
    next: NextKeys,
}

impl Forger {
    /// A record of this inner content type, with padding behind it.
    pub fn seal(&mut self, content_type: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let mut body = content.to_vec();
        body.push(content_type);
        body.resize(body.len() + padding, 0);
        let mut record = vec![23, 3, 3];
        record.extend(u16::try_from(body.len() + 16).unwrap().to_be_bytes());
        let (nonce, aad) = (self.sealing.nonce(), Aad::from(record.clone()));
        self.sealing
            .key
            .seal_in_place_append_tag(nonce, aad, &mut body)
            .unwrap();
        record.extend(body);
        record
    }

    pub fn next_sealing_key(&mut self) {
        self.sealing = Key::new((self.next)(Direction::Sealing));
    }

    /// The content types and contents of whole records, following KeyUpdates.
    pub fn open_all(&mut self, mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut records = Vec::new();
        while !wire.is_empty() {
            let (header, rest) = wire.split_at(5);
            let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let mut body = rest[..len].to_vec();
            wire = &rest[len..];
            let (nonce, aad) = (self.opening.nonce(), Aad::from(header));
            let inner = self
                .opening
                .key
                .open_in_place(nonce, aad, &mut body)
                .unwrap();
            let at = inner.iter().rposition(|byte| *byte != 0).unwrap();
            let (content_type, content) = (inner[at], inner[..at].to_vec());
            if content_type == 22 && content[0] == 24 {
                self.opening = Key::new((self.next)(Direction::Opening));
            }
            records.push((content_type, content));
        }
        records
    }
}

/// A session of `engine` and a forger on the other side, which is `peer`; their handshake is done.
pub fn established(engine: Engine, peer: PeerSide) -> (Box<dyn Session>, Forger) {
    match peer {
        PeerSide::Client => with_forging_client(engine),
        PeerSide::Server => with_forging_server(engine),
    }
}

/// What both sides are configured with.
pub struct Pki {
    pub roots: Arc<RootCertStore>,
    pub certificate: Arc<CertifiedKey>,
}

pub fn pki() -> Pki {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let chain = vec![made.cert.der().clone()];
    let certificate = CertifiedKey::from_der(chain, key, &provider()).unwrap();
    Pki {
        roots: Arc::new(roots),
        certificate: Arc::new(certificate),
    }
}

/// A server's configuration for TLS 1.3, of this engine.
pub fn server(pki: &Pki, engine: Engine) -> ServerConfig {
    let secrets = Arc::new(EpochSecrets::generate().unwrap());
    let scope = TicketScope {
        tenant: "a",
        listener: "l",
        policy: &[],
    };
    let configs = server_configs(ServerSettings {
        certificate: Arc::clone(&pki.certificate),
        client_verification: ClientVerification::None,
        alpn: Vec::new(),
        tickets: Ticketer::new(secrets, &scope),
        engine,
    })
    .unwrap();
    Arc::unwrap_or_clone(configs.choose(true))
}

/// A client's configuration, of this engine.
pub fn client(pki: &Pki, engine: Engine) -> rustls::ClientConfig {
    let config = client_config(ClientSettings {
        roots: Arc::clone(&pki.roots),
        certificate: None,
        alpn: Vec::new(),
        resumable_sessions: 4,
        engine,
    })
    .unwrap();
    Arc::unwrap_or_clone(config)
}

fn with_forging_client(engine: Engine) -> (Box<dyn Session>, Forger) {
    let pki = pki();
    let mut session = server_session(Arc::new(server(&pki, engine))).unwrap();
    let config = Arc::new(client(&pki, Engine::Direct));
    let name = ServerName::try_from("a.test").unwrap();
    let mut peer = UnbufferedClientConnection::new(config, name).unwrap();
    shake(&mut session, |incoming| {
        step(peer.process_tls_records(incoming))
    });
    let (secrets, mut kernel) = peer.dangerous_into_kernel_connection().unwrap();
    let next: NextKeys = Box::new(move |direction| match direction {
        Direction::Sealing => kernel.update_tx_secret().unwrap(),
        Direction::Opening => kernel.update_rx_secret().unwrap(),
    });
    (Box::new(session), forger(secrets, next))
}

fn with_forging_server(engine: Engine) -> (Box<dyn Session>, Forger) {
    let pki = pki();
    let name = ServerName::try_from("a.test").unwrap();
    let mut session = client_session(Arc::new(client(&pki, engine)), name).unwrap();
    let config = Arc::new(server(&pki, Engine::Direct));
    let mut peer = UnbufferedServerConnection::new(config).unwrap();
    shake(&mut session, |incoming| {
        step(peer.process_tls_records(incoming))
    });
    let (secrets, mut kernel) = peer.dangerous_into_kernel_connection().unwrap();
    let next: NextKeys = Box::new(move |direction| match direction {
        Direction::Sealing => kernel.update_tx_secret().unwrap(),
        Direction::Opening => kernel.update_rx_secret().unwrap(),
    });
    (Box::new(session), forger(secrets, next))
}

fn forger(secrets: ExtractedSecrets, next: NextKeys) -> Forger {
    Forger {
        sealing: Key::new(secrets.tx),
        opening: Key::new(secrets.rx),
        next,
    }
}

/// What one step of the peer's handshake did: bytes taken, bytes to send, whether it can go no further.
struct Step {
    taken: usize,
    sent: Vec<u8>,
    waits: bool,
}

fn step<D>(status: UnbufferedStatus<'_, '_, D>) -> Step {
    let (mut sent, mut waits) = (Vec::new(), false);
    match status.state.unwrap() {
        ConnectionState::EncodeTlsData(mut data) => {
            sent.resize(20_000, 0);
            let n = data.encode(&mut sent).unwrap();
            sent.truncate(n);
        }
        ConnectionState::TransmitTlsData(data) => data.done(),
        _ => waits = true,
    }
    Step {
        taken: status.discard,
        sent,
        waits,
    }
}

/// Carries the handshake until the session's is done and both have nothing more to say.
fn shake(session: &mut dyn Session, mut peer: impl FnMut(&mut [u8]) -> Step) {
    let (mut to_peer, mut to_session) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut out = vec![0; 100_000];
        let n = session.transmit(&mut out);
        to_peer.extend_from_slice(&out[..n]);
        loop {
            let Step { taken, sent, waits } = peer(&mut to_peer);
            to_peer.drain(..taken);
            to_session.extend(sent);
            if waits {
                break;
            }
        }
        let opened = session.open(&mut to_session, &mut []).unwrap();
        to_session.drain(..opened.consumed);
        let is_quiet = to_peer.is_empty() && to_session.is_empty() && !session.wants_transmit();
        if !session.is_handshaking() && is_quiet {
            return;
        }
        if !session.is_handshaking() && !to_session.is_empty() {
            // Tickets, for who has room for plaintext.
            let opened = session.open(&mut to_session, &mut [0; 16_384]).unwrap();
            to_session.drain(..opened.consumed);
        }
    }
    panic!("the handshake does not end");
}
