//! What needs a look inside: keys that are nearly used up.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::ClientConnectionData;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::ServerConnectionData;
use rustls::sign::CertifiedKey;

use super::*;
use crate::{
    ClientSettings, ClientVerification, Engine, EpochSecrets, ServerSettings, TicketScope,
    Ticketer, client_config, client_session, provider, server_configs, server_session,
};

fn carry(from: &mut dyn Session, to: &mut dyn Session) {
    let (mut wire, mut room) = (vec![0; 100_000], vec![0; 20_000]);
    let n = from.transmit(&mut wire);
    let room: &mut [u8] = if to.is_handshaking() {
        &mut []
    } else {
        &mut room
    };
    assert_eq!(to.open(&mut wire[..n], room).unwrap().consumed, n);
}

/// A client's and a server's established session.
fn pair() -> (
    DirectSession<ClientConnectionData>,
    DirectSession<ServerConnectionData>,
) {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let chain = vec![made.cert.der().clone()];
    let secrets = Arc::new(EpochSecrets::generate().unwrap());
    let scope = TicketScope {
        tenant: "a",
        listener: "l",
        policy: &[],
    };
    let server = server_configs(ServerSettings {
        certificate: Arc::new(CertifiedKey::from_der(chain, key, &provider()).unwrap()),
        client_verification: ClientVerification::None,
        alpn: Vec::new(),
        tickets: Ticketer::new(secrets, &scope),
        engine: Engine::Direct,
    })
    .unwrap();
    let client = client_config(ClientSettings {
        roots: Arc::new(roots),
        certificate: None,
        alpn: Vec::new(),
        resumable_sessions: 0,
        engine: Engine::Direct,
    })
    .unwrap();
    let name = ServerName::try_from("a.test").unwrap();
    let mut client = client_session(client, name).unwrap();
    let mut server = server_session(server.choose(true)).unwrap();
    for _ in 0..3 {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    (client.into_direct(), server.into_direct())
}

#[test]
fn a_key_is_renewed_before_it_is_used_up() {
    let (mut client, mut server) = pair();
    renew(&mut client, &mut server);
    renew(&mut server, &mut client);
}

fn renew<A: Side, B: Side>(from: &mut DirectSession<A>, to: &mut DirectSession<B>) {
    from.sealing.set_sequence(key::RECORDS_MOST - 2);
    to.opening.set_sequence(key::RECORDS_MOST - 2);
    let (mut out, mut room) = (vec![0; 200], vec![0; 20_000]);
    let mut updates = 0;
    for n in 0..5_u8 {
        let sealed = from.seal(&[n; 3], &mut out).unwrap();
        assert_eq!(sealed.consumed, 3);
        updates += usize::from(sealed.produced > 3 + OVERHEAD);
        let opened = to.open(&mut out[..sealed.produced], &mut room).unwrap();
        assert_eq!((opened.consumed, opened.produced), (sealed.produced, 3));
        assert_eq!(room[..3], [n; 3]);
    }
    assert_eq!(updates, 1);
    assert!(!to.wants_transmit(), "an answer that was not asked for");
}

#[test]
fn a_renewal_waits_for_room() {
    let (mut client, mut server) = pair();
    client.sealing.set_sequence(key::RECORDS_MOST);
    server.opening.set_sequence(key::RECORDS_MOST);
    let (mut wire, mut out) = (Vec::new(), vec![0; 10]);
    let mut consumed = 0;
    for room in [10, 10, 10, 100] {
        out.resize(room, 0);
        let sealed = client.seal(b"hello", &mut out).unwrap();
        wire.extend_from_slice(&out[..sealed.produced]);
        consumed += sealed.consumed;
    }
    assert_eq!(consumed, 5);
    let mut room = vec![0; 20_000];
    let opened = server.open(&mut wire, &mut room).unwrap();
    assert_eq!(&room[..opened.produced], b"hello");
}

#[test]
fn full_records_are_sealed_and_no_crumbs() {
    let (mut client, mut server) = pair();
    let plaintext = vec![9; 100_000];
    let mut out = vec![0; 2 * (MAX_FRAGMENT_LEN + OVERHEAD) + 1000];
    let sealed = client.seal(&plaintext, &mut out).unwrap();
    assert_eq!(sealed.consumed, 2 * MAX_FRAGMENT_LEN);
    assert_eq!(sealed.produced, 2 * (MAX_FRAGMENT_LEN + OVERHEAD));
    // The least room that the bound promises.
    let mut room = vec![0; 2 * MAX_FRAGMENT_LEN];
    let opened = server.open(&mut out[..sealed.produced], &mut room).unwrap();
    assert_eq!(opened.produced, 2 * MAX_FRAGMENT_LEN);
    assert!(room.iter().all(|byte| *byte == 9));
    let most = crate::sealed_len_bound(plaintext.len());
    let mut out = vec![0; most];
    assert_eq!(
        client.seal(&plaintext, &mut out).unwrap().consumed,
        plaintext.len()
    );
}

#[test]
fn a_parked_session_goes_on_where_it_was() {
    let (mut client, mut server) = pair();
    let (mut out, mut room) = (vec![0; 200], vec![0; 20_000]);
    for n in 0..3_u8 {
        for session in [&mut client as &mut dyn Session, &mut server] {
            session.park();
        }
        assert!(client.sealing.is_parked() && client.opening.is_parked());
        let sealed = client.seal(&[n; 3], &mut out).unwrap();
        let opened = server.open(&mut out[..sealed.produced], &mut room).unwrap();
        assert_eq!(&room[..opened.produced], [n; 3]);
        let answer = server.seal(&[n; 5], &mut out).unwrap();
        let opened = client.open(&mut out[..answer.produced], &mut room).unwrap();
        assert_eq!(&room[..opened.produced], [n; 5]);
        assert!(!client.sealing.is_parked() && !client.opening.is_parked());
    }
    // What the keys are renewed from is no part of what is parked.
    client.park();
    server.park();
    renew(&mut client, &mut server);
}

/// Each idle connection has one. The allocator has blocks of 896 bytes, and then of 1024.
#[test]
fn a_session_is_small() {
    assert!(size_of::<DirectSession<ServerConnectionData>>() <= 896);
    assert!(size_of::<DirectSession<ClientConnectionData>>() <= 896);
}

#[test]
fn facts_that_were_taken_are_kept_no_longer() {
    let (mut client, _) = pair();
    let facts = client.facts();
    assert!(facts.peer_certificate.is_some());
    assert_eq!(*client.take_facts(), facts);
    assert_eq!(client.facts(), crate::Facts::default());
}
