//! Two sessions, and the wire between them.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use sealgate_tls::{
    ClientSettings, ClientVerification, Engine, EpochSecrets, Opened, Progress, ServerSettings,
    Session, TicketScope, Ticketer, client_config, provider, server_configs,
};

pub const ENGINES: [Engine; 2] = [Engine::Rustls, Engine::Direct];

pub struct Pki {
    pub roots: Arc<RootCertStore>,
    pub certificate: Arc<CertifiedKey>,
}

pub fn pki() -> Pki {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let certificate =
        CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider()).unwrap();
    Pki {
        roots: Arc::new(roots),
        certificate: Arc::new(certificate),
    }
}

pub fn server(
    engine: Engine,
    pki: &Pki,
    secrets: &Arc<EpochSecrets>,
) -> sealgate_tls::ServerConfigs {
    let scope = TicketScope {
        tenant: "a",
        listener: "l",
        policy: &[],
    };
    server_configs(ServerSettings {
        certificate: Arc::clone(&pki.certificate),
        client_verification: ClientVerification::None,
        alpn: vec![b"http/1.1".to_vec()],
        tickets: Ticketer::new(Arc::clone(secrets), &scope),
        engine,
    })
    .unwrap()
}

pub fn client(engine: Engine, pki: &Pki) -> Arc<rustls::ClientConfig> {
    client_config(ClientSettings {
        roots: Arc::clone(&pki.roots),
        certificate: None,
        alpn: vec![b"http/1.1".to_vec()],
        resumable_sessions: 4,
        engine,
    })
    .unwrap()
}

/// Moves control bytes and records from one session to the other; returns the plaintext.
pub fn carry(from: &mut dyn Session, sealed: &[u8], to: &mut dyn Session) -> Vec<u8> {
    let mut wire = sealed.to_vec();
    let mut control = vec![0; 64 * 1024];
    while from.wants_transmit() {
        let n = from.transmit(&mut control);
        wire.extend_from_slice(&control[..n]);
    }
    let mut plaintext = Vec::new();
    let mut room = vec![0; 40_000];
    let mut at = 0;
    loop {
        let Opened {
            consumed,
            produced,
            progress,
        } = to.open(&mut wire[at..], &mut room).unwrap();
        at += consumed;
        plaintext.extend_from_slice(&room[..produced]);
        if progress != Progress::PlaintextFull {
            return plaintext;
        }
    }
}

pub fn handshake(client: &mut dyn Session, server: &mut dyn Session) {
    for _ in 0..10 {
        carry(client, &[], server);
        carry(server, &[], client);
        if !client.is_handshaking() && !server.is_handshaking() && !server.wants_transmit() {
            return;
        }
    }
    panic!("the handshake does not end");
}

pub fn send(from: &mut dyn Session, to: &mut dyn Session, data: &[u8]) -> Vec<u8> {
    let mut plaintext = Vec::new();
    let mut at = 0;
    let mut out = vec![0; 50_000];
    while at < data.len() {
        let sealed = from.seal(&data[at..], &mut out).unwrap();
        at += sealed.consumed;
        plaintext.extend(carry(from, &out[..sealed.produced], to));
    }
    plaintext
}
