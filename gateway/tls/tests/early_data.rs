//! Early data of a client, against rustls's own server.
#![allow(clippy::unwrap_used, missing_docs)]

mod pair;

use std::io::{Read, Write};
use std::sync::Arc;

use pair::{Pki, client, pki, server};
use rustls::pki_types::ServerName;
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::{ClientConfig, HandshakeKind, ServerConfig, ServerConnection};
use sealgate_tls::{
    EarlyData, EarlyDataSession, Engine, EpochSecrets, MAX_FRAGMENT_LEN, Progress, Session,
    TlsError, early_data_session,
};

/// rustls's server, with so much early data, over the tickets in `kept`.
fn taking(pki: &Pki, bytes: u32, kept: &Arc<dyn StoresServerSessions>) -> Arc<ServerConfig> {
    let secrets = Arc::new(EpochSecrets::generate().unwrap());
    let mut config = ServerConfig::clone(&server(Engine::Rustls, pki, &secrets).choose(true));
    config.max_early_data_size = bytes;
    config.session_storage = Arc::clone(kept);
    // Early data needs tickets that are used once, which takes a memory of them.
    config.ticketer = Arc::new(NoTickets);
    Arc::new(config)
}

#[derive(Debug)]
struct NoTickets;

impl rustls::server::ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }
    fn lifetime(&self) -> u32 {
        0
    }
    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

fn session(config: &Arc<ClientConfig>, data: &[u8]) -> EarlyDataSession {
    let name = ServerName::try_from("a.test").unwrap();
    early_data_session(Arc::clone(config), name, data).unwrap()
}

/// What the server read as early data, and behind the handshake.
struct Heard {
    early: Option<Vec<u8>>,
    plain: Vec<u8>,
}

/// Moves everything both ways until nothing moves, in pieces of `piece` bytes towards the client;
/// gives what the client read.
fn pump(
    client: &mut EarlyDataSession,
    server: &mut ServerConnection,
    heard: &mut Heard,
    piece: usize,
) -> Vec<u8> {
    let (mut read, mut held) = (Vec::new(), Vec::new());
    let mut wire = vec![0; 200_000];
    loop {
        let n = client.transmit(&mut wire);
        let mut unread = &wire[..n];
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets().unwrap();
            if let Some(mut early) = server.early_data() {
                early
                    .read_to_end(heard.early.get_or_insert_default())
                    .unwrap();
            }
            // Nothing more for now.
            let _ = server.reader().read_to_end(&mut heard.plain);
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        if n == 0 && answer.is_empty() {
            return read;
        }
        for piece in answer.chunks(piece) {
            held.extend_from_slice(piece);
            open(client, &mut held, &mut read);
        }
    }
}

fn open(client: &mut EarlyDataSession, held: &mut Vec<u8>, read: &mut Vec<u8>) {
    let mut room = vec![0; 2 * MAX_FRAGMENT_LEN];
    loop {
        let opened = client.open(held, &mut room).unwrap();
        held.drain(..opened.consumed);
        read.extend_from_slice(&room[..opened.produced]);
        if opened.progress != Progress::PlaintextFull {
            return;
        }
    }
}

/// One handshake; then data both ways, and the end.
fn converse(
    config: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    piece: usize,
) -> (EarlyDataSession, Option<Vec<u8>>) {
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut client = session(config, b"early");
    let mut heard = Heard {
        early: None,
        plain: Vec::new(),
    };
    pump(&mut client, &mut server, &mut heard, piece);
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let long = vec![7; 40_000];
    let mut out = vec![0; 60_000];
    let sealed = client.seal(&long, &mut out).unwrap();
    assert_eq!(sealed.consumed, long.len());
    let mut unread = &out[..sealed.produced];
    while !unread.is_empty() {
        server.read_tls(&mut unread).unwrap();
        server.process_new_packets().unwrap();
        let _ = server.reader().read_to_end(&mut heard.plain);
    }
    assert_eq!(heard.plain, long);
    server.writer().write_all(&long).unwrap();
    client.request_key_update().unwrap();
    assert_eq!(pump(&mut client, &mut server, &mut heard, piece), long);
    server.send_close_notify();
    pump(&mut client, &mut server, &mut heard, piece);
    assert!(client.peer_closed());
    client.close();
    assert!(client.wants_transmit());
    assert_eq!(client.seal(b"x", &mut out), Err(TlsError::NotEstablished));
    (client, heard.early)
}

#[test]
fn the_session_tells_what_became_of_its_early_data() {
    let pki = pki();
    for piece in [1, 1000, usize::MAX] {
        let kept: Arc<dyn StoresServerSessions> = ServerSessionMemoryCache::new(32);
        let mut config = ClientConfig::clone(&client(Engine::Direct, &pki));
        config.enable_early_data = true;
        let config = Arc::new(config);
        let (takes, refuses) = (taking(&pki, 5, &kept), taking(&pki, 0, &kept));
        let mut outcomes = Vec::new();
        for server in [&takes, &takes, &refuses, &refuses] {
            let (client, early) = converse(&config, server, piece);
            let facts = client.facts();
            outcomes.push((facts.kind.unwrap(), facts.early_data, early));
        }
        let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
        let heard = Some(b"early".to_vec());
        assert_eq!(
            outcomes,
            [
                (full, EarlyData::NotAllowed, None),
                (resumed, EarlyData::Accepted, heard),
                (resumed, EarlyData::Rejected, None),
                // The newest ticket is of a server that takes none.
                (resumed, EarlyData::NotAllowed, None),
            ]
        );
    }
}

#[test]
fn more_than_the_ticket_allows_is_not_sent() {
    let pki = pki();
    let kept: Arc<dyn StoresServerSessions> = ServerSessionMemoryCache::new(32);
    let mut config = ClientConfig::clone(&client(Engine::Direct, &pki));
    config.enable_early_data = true;
    let config = Arc::new(config);
    let server = taking(&pki, 4, &kept);
    for _ in 0..2 {
        let (client, early) = converse(&config, &server, 1000);
        assert_eq!(client.facts().early_data, EarlyData::NotAllowed);
        assert!(early.unwrap_or_default().is_empty());
    }
}

#[test]
fn damage_ends_the_session_with_an_alert_and_no_panic() {
    let pki = pki();
    let config = client(Engine::Direct, &pki);
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[22, 3, 3, 255, 255],
        &[0; 64],
    ] {
        let mut client = session(&config, b"early");
        client.transmit(&mut [0; 4000]);
        // Whatever length is announced, an end is found.
        let mut wire = garbage.repeat(20_000);
        let error = client.open(&mut wire, &mut []).unwrap_err();
        assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
        assert_eq!(client.open(&mut wire, &mut []), Err(error));
        assert!(client.seal(b"x", &mut [0; 100]).is_err());
    }
}
