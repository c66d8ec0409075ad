//! KeyUpdates that a side asks for, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod pair;

use std::sync::Arc;

use pair::{ENGINES, carry, client, handshake, pki, send, server};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sealgate_tls::{
    Engine, EpochSecrets, KeyUpdates, Session, TlsError, client_session, server_session,
};

/// A client on `ours` and a server on `theirs`, established.
fn established(ours: Engine, theirs: Engine) -> [Box<dyn Session>; 2] {
    let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
    let name = ServerName::try_from("a.test").unwrap();
    let mut client = client_session(client(ours, &pki), name).unwrap();
    let mut server = server_session(server(theirs, &pki, &secrets).choose(true)).unwrap();
    handshake(&mut client, &mut server);
    [Box::new(client), Box::new(server)]
}

#[test]
fn keys_that_are_asked_for_change_both_ways_and_data_goes_on() {
    for (ours, theirs) in ENGINES
        .map(|one| ENGINES.map(|other| (one, other)))
        .concat()
    {
        let [mut client, mut server] = established(ours, theirs);
        let (client, server) = (client.as_mut(), server.as_mut());
        for round in 1..=3_u64 {
            client.request_key_update().unwrap();
            assert_eq!(
                send(client, server, b"under the next key"),
                b"under the next key"
            );
            assert_eq!(
                send(server, client, b"so is the answer"),
                b"so is the answer"
            );
            let both = KeyUpdates {
                sent: round,
                received: round,
            };
            for (engine, session) in [(ours, &*client), (theirs, &*server)] {
                let told = (engine == Engine::Direct).then_some(both);
                assert_eq!(session.key_updates(), told, "{engine:?}");
            }
        }
        server.request_key_update().unwrap();
        assert_eq!(send(server, client, b"theirs"), b"theirs");
        assert_eq!(send(client, server, b"ours"), b"ours");
    }
}

#[test]
fn the_next_request_waits_for_the_answer() {
    let [mut client, mut server] = established(Engine::Direct, Engine::Direct);
    for _ in 0..100 {
        client.request_key_update().unwrap();
    }
    carry(client.as_mut(), &[], server.as_mut());
    client.request_key_update().unwrap();
    assert!(!client.wants_transmit());
    assert_eq!(server.key_updates().unwrap().received, 1);
    carry(server.as_mut(), &[], client.as_mut());
    client.request_key_update().unwrap();
    carry(client.as_mut(), &[], server.as_mut());
    assert_eq!(server.key_updates().unwrap().received, 2);
}

#[test]
fn there_is_none_in_tls12_nor_behind_a_close() {
    for engine in ENGINES {
        let [mut closed, _] = established(engine, engine);
        closed.close();
        assert_eq!(closed.request_key_update(), Err(TlsError::NotEstablished));
        let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
        let name = || ServerName::try_from("a.test").unwrap();
        let mut before = client_session(client(engine, &pki), name()).unwrap();
        assert_eq!(before.request_key_update(), Err(TlsError::NotEstablished));
        let only12 = ClientConfig::builder_with_provider(sealgate_tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(Arc::clone(&pki.roots))
            .with_no_client_auth();
        let mut old = client_session(Arc::new(only12), name()).unwrap();
        let mut server = server_session(server(engine, &pki, &secrets).choose(false)).unwrap();
        handshake(&mut old, &mut server);
        assert_eq!(old.request_key_update(), Err(TlsError::NoKeyUpdate));
        assert_eq!(server.request_key_update(), Err(TlsError::NoKeyUpdate));
        assert_eq!(send(&mut old, &mut server, b"goes on"), b"goes on");
    }
}
