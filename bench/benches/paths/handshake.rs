//! Handshakes of two sessions over a wire in memory, each side's work in functions of its own.

use std::hint::black_box;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ServerConfig};
use sealgate_tls::{
    ClientSettings, ClientVerification, Engine, EpochSecrets, ServerSettings, Session, TicketScope,
    Ticketer, client_session, provider, server_configs, server_session, warm_up,
};

use super::identity;

/// Turns that a handshake takes at most.
const TURNS_MOST: usize = 8;
const FLIGHT_LEN_MOST: usize = 32 * 1024;

/// What is particular about a handshake. All are TLS 1.3, with ECDSA P-256 certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// X25519, the server authenticates.
    Full,
    /// X25519, resumed with a ticket.
    Ticket,
    /// X25519, both sides authenticate.
    Mutual,
    /// X25519MLKEM768, the server authenticates.
    PostQuantum,
}

/// Both sides' configurations.
pub struct Handshake {
    kind: Kind,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// Two sessions with each other.
pub struct Pair {
    pub client: Box<dyn Session>,
    pub server: Box<dyn Session>,
}

/// What is under way between them, and room for a turn.
struct Wire {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    room: Room,
}

/// Where a session puts what it says, and what it opens: nothing, in a handshake.
struct Room {
    flight: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Handshake {
    /// A handshake of this kind, with the sessions' memory and randomness warm.
    pub fn new(kind: Kind, engine: Engine) -> Self {
        warm_up().expect("the system has randomness");
        let handshake = Self {
            kind,
            client: client(kind, engine),
            server: server(kind, engine),
        };
        // A ticket comes from an earlier handshake; the others' first one fills what the process keeps.
        handshake.pair_with(client_session_of, server_session_of, turn, turn);
        handshake
    }

    /// Shakes hands once, by way of the functions whose instructions are counted.
    pub fn run(&self) -> Pair {
        let pair = self.pair_with(client_begin, server_begin, client_turn, server_turn);
        let facts = pair.client.facts();
        let kind = match self.kind {
            Kind::Ticket => HandshakeKind::Resumed,
            _ => HandshakeKind::Full,
        };
        assert_eq!(facts.kind, Some(kind));
        let group = match self.kind {
            Kind::PostQuantum => NamedGroup::X25519MLKEM768,
            _ => NamedGroup::X25519,
        };
        assert_eq!(facts.group, Some(group));
        assert_eq!(
            pair.server.facts().peer_certificate.is_some(),
            self.kind == Kind::Mutual
        );
        pair
    }

    fn pair_with(
        &self,
        begin_client: fn(&Arc<ClientConfig>) -> Box<dyn Session>,
        begin_server: fn(&Arc<ServerConfig>) -> Box<dyn Session>,
        turn_client: Turn,
        turn_server: Turn,
    ) -> Pair {
        let mut wire = Wire::new();
        let mut client = begin_client(&self.client);
        let mut server = begin_server(&self.server);
        for _ in 0..TURNS_MOST {
            turn_client(&mut *client, &mut wire.to_client, &mut wire.room);
            wire.to_server.append(&mut wire.room.flight);
            turn_server(&mut *server, &mut wire.to_server, &mut wire.room);
            wire.to_client.append(&mut wire.room.flight);
            if wire.to_client.is_empty() && !client.wants_transmit() {
                assert!(!client.is_handshaking() && !server.is_handshaking());
                return Pair { client, server };
            }
        }
        panic!("the handshake does not end");
    }
}

/// One side's turn: takes what came, says what it has to say.
type Turn = fn(&mut dyn Session, &mut Vec<u8>, &mut Room);

/// A client's session begins; counted as the client's.
#[inline(never)]
fn client_begin(config: &Arc<ClientConfig>) -> Box<dyn Session> {
    client_session_of(config)
}

/// The client's turn; counted as the client's. Without the black box, the compiler makes one function of it and the server's.
#[inline(never)]
fn client_turn(session: &mut dyn Session, incoming: &mut Vec<u8>, room: &mut Room) {
    black_box("client");
    turn(session, incoming, room);
}

/// A server's session begins; counted as the server's.
#[inline(never)]
fn server_begin(config: &Arc<ServerConfig>) -> Box<dyn Session> {
    server_session_of(config)
}

/// The server's turn; counted as the server's.
#[inline(never)]
fn server_turn(session: &mut dyn Session, incoming: &mut Vec<u8>, room: &mut Room) {
    black_box("server");
    turn(session, incoming, room);
}

fn client_session_of(config: &Arc<ClientConfig>) -> Box<dyn Session> {
    Box::new(
        client_session(Arc::clone(config), identity::server_name()).expect("a good configuration"),
    )
}

fn server_session_of(config: &Arc<ServerConfig>) -> Box<dyn Session> {
    Box::new(server_session(Arc::clone(config)).expect("a good configuration"))
}

fn turn(session: &mut dyn Session, incoming: &mut Vec<u8>, room: &mut Room) {
    let opened = session
        .open(incoming, &mut room.plaintext)
        .expect("an honest peer");
    incoming.drain(..opened.consumed);
    room.flight.resize(FLIGHT_LEN_MOST, 0);
    let len = session.transmit(&mut room.flight);
    room.flight.truncate(len);
}

impl Wire {
    fn new() -> Self {
        Self {
            to_server: Vec::with_capacity(FLIGHT_LEN_MOST),
            to_client: Vec::with_capacity(FLIGHT_LEN_MOST),
            room: Room {
                flight: Vec::with_capacity(FLIGHT_LEN_MOST),
                plaintext: vec![0; FLIGHT_LEN_MOST],
            },
        }
    }
}

fn client(kind: Kind, engine: Engine) -> Arc<ClientConfig> {
    let settings = ClientSettings {
        roots: identity::roots(),
        certificate: (kind == Kind::Mutual).then(identity::client),
        alpn: vec![b"http/1.1".to_vec()],
        resumable_sessions: match kind {
            Kind::Ticket => 4,
            _ => 0,
        },
        engine,
    };
    let groups = match kind {
        Kind::PostQuantum => provider().kx_groups.clone(),
        _ => vec![kx_group::X25519],
    };
    verifying(settings, groups)
}

/// As `sealgate_tls::client_config` makes it, but with `kx_groups`, and verifying the chain in every handshake: that one remembers
/// it for a second, and a count must not depend on how fast the machine is.
fn verifying(
    settings: ClientSettings,
    kx_groups: Vec<&'static dyn SupportedKxGroup>,
) -> Arc<ClientConfig> {
    let provider = CryptoProvider {
        kx_groups,
        ..(*provider()).clone()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_root_certificates(settings.roots);
    let mut config = match settings.certificate {
        Some(certificate) => {
            let resolver = rustls::sign::SingleCertAndKey::from(certificate);
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = settings.alpn;
    config.enable_secret_extraction = settings.engine == Engine::Direct;
    config.resumption = match settings.resumable_sessions {
        0 => Resumption::disabled(),
        n => Resumption::in_memory_sessions(n),
    };
    Arc::new(config)
}

fn server(kind: Kind, engine: Engine) -> Arc<ServerConfig> {
    let secrets = Arc::new(EpochSecrets::generate().expect("the system has randomness"));
    let scope = TicketScope {
        tenant: "acme",
        listener: "public",
        policy: &[],
    };
    let settings = ServerSettings {
        certificate: identity::server(),
        client_verification: match kind {
            Kind::Mutual => ClientVerification::Required(identity::roots()),
            _ => ClientVerification::None,
        },
        alpn: vec![b"http/1.1".to_vec()],
        tickets: Ticketer::new(secrets, &scope),
        engine,
    };
    server_configs(settings)
        .expect("good settings")
        .choose(true)
}
