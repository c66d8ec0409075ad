//! Two sessions of the engine against each other, over a wire in memory.
#![allow(clippy::unwrap_used, missing_docs)]

mod pair;

use std::sync::Arc;

use pair::{ENGINES, carry, client, handshake, pki, send, server};
use rustls::pki_types::ServerName;
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};
use sealgate_tls::{
    ClientHelloError, ClientHelloReader, ClientVerification, Engine, EpochSecrets,
    MAX_CLIENT_HELLO_BYTES, Progress, ServerSettings, Session, TicketScope, Ticketer,
    client_session, looks_like_http, provider, server_configs, server_session,
};

#[test]
fn data_of_every_size_crosses_both_ways_and_close_is_seen() {
    for engine in ENGINES {
        let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
        let name = ServerName::try_from("a.test").unwrap();
        let mut client = client_session(client(engine, &pki), name).unwrap();
        let mut server = server_session(server(engine, &pki, &secrets).choose(true)).unwrap();
        handshake(&mut client, &mut server);
        let facts = server.facts();
        assert_eq!(facts.version, Some(ProtocolVersion::TLSv1_3));
        assert_eq!(facts.group, Some(NamedGroup::X25519MLKEM768));
        assert_eq!(facts.alpn.as_deref(), Some(&b"http/1.1"[..]));
        for size in [1, 100, 16_384, 16_385, 300_000] {
            let data: Vec<u8> = (0..size).map(|i| i as u8).collect();
            assert_eq!(send(&mut client, &mut server, &data), data);
            assert_eq!(send(&mut server, &mut client, &data), data);
        }
        client.close();
        assert!(carry(&mut client, &[], &mut server).is_empty());
        assert!(server.peer_closed());
        // Half-close: the other direction goes on.
        assert_eq!(send(&mut server, &mut client, b"still here"), b"still here");
        assert!(client.seal(b"x", &mut [0; 100]).is_err());
        server.close();
        carry(&mut server, &[], &mut client);
        assert!(client.peer_closed());
    }
}

#[test]
fn a_ticket_resumes_until_its_scope_changes() {
    for engine in ENGINES {
        let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
        let config = client(engine, &pki);
        let kind = |configs: &sealgate_tls::ServerConfigs| {
            let name = ServerName::try_from("a.test").unwrap();
            let mut client = client_session(Arc::clone(&config), name).unwrap();
            let mut server = server_session(configs.choose(true)).unwrap();
            handshake(&mut client, &mut server);
            carry(&mut server, &[], &mut client);
            server.facts().kind
        };
        let configs = server(engine, &pki, &secrets);
        assert_eq!(kind(&configs), Some(HandshakeKind::Full));
        assert_eq!(kind(&configs), Some(HandshakeKind::Resumed));
        let elsewhere = server(engine, &pki, &Arc::new(EpochSecrets::generate().unwrap()));
        assert_eq!(kind(&elsewhere), Some(HandshakeKind::Full));
    }
}

#[test]
fn a_flipped_bit_ends_the_session_with_an_alert() {
    for engine in ENGINES {
        let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
        let name = ServerName::try_from("a.test").unwrap();
        let mut client = client_session(client(engine, &pki), name).unwrap();
        let mut server = server_session(server(engine, &pki, &secrets).choose(true)).unwrap();
        handshake(&mut client, &mut server);
        let mut out = vec![0; 1000];
        let n = client.seal(b"hello", &mut out).unwrap().produced;
        out[n - 1] ^= 1;
        let mut room = vec![0; 20_000];
        assert!(server.open(&mut out[..n], &mut room).is_err());
        assert!(server.wants_transmit(), "no alert");
        assert!(
            room.iter().all(|byte| *byte == 0),
            "plaintext of a bad record"
        );
    }
}

#[test]
fn a_hello_is_read_from_single_bytes_and_bounded() {
    for engine in ENGINES {
        let pki = pki();
        let name = ServerName::try_from("a.test").unwrap();
        let mut client = client_session(client(engine, &pki), name).unwrap();
        let mut wire = vec![0; 10_000];
        let n = client.transmit(&mut wire);
        let mut reader = ClientHelloReader::default();
        for (at, byte) in wire[..n].iter().enumerate() {
            let hello = reader.push(&[*byte]).unwrap();
            assert_eq!(hello.is_some(), at + 1 == n);
            if let Some(hello) = hello {
                assert_eq!(hello.server_name.as_deref(), Some("a.test"));
                assert!(hello.offers_tls13);
                assert_eq!(hello.bytes, &wire[..n]);
            }
        }
        // One handshake message that announces 64 KiB, in records of 16 KiB.
        let mut reader = ClientHelloReader::default();
        let mut record = vec![22, 3, 1, 0x40, 0];
        record.extend(std::iter::repeat_n(0, 0x4000));
        record[5..9].copy_from_slice(&[1, 0, 0xff, 0xff]);
        let mut fed = 0;
        let error = loop {
            match reader.push(&record) {
                Ok(none) => assert!(none.is_none()),
                Err(error) => break error,
            }
            fed += record.len();
            assert!(fed <= MAX_CLIENT_HELLO_BYTES);
            record[5..9].copy_from_slice(&[0; 4]);
        };
        assert!(matches!(error, ClientHelloError::TooLong), "{error}");
        assert!(looks_like_http(b"GET / HTTP/1.1") && !looks_like_http(&[22, 3, 1]));
        let garbage = ClientHelloReader::default()
            .push(b"\x16\x03\x01\x00\x04abcd")
            .err()
            .unwrap();
        assert!(matches!(garbage, ClientHelloError::Invalid { alert, .. } if !alert.is_empty()));
    }
}

#[test]
fn a_client_without_tls13_gets_tls12_and_no_ticket() {
    for engine in ENGINES {
        let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(Arc::clone(&pki.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let configs = server(engine, &pki, &secrets);
        for _ in 0..2 {
            let name = ServerName::try_from("a.test").unwrap();
            let mut client = client_session(Arc::clone(&config), name).unwrap();
            let mut server = server_session(configs.choose(false)).unwrap();
            handshake(&mut client, &mut server);
            assert_eq!(server.facts().version, Some(ProtocolVersion::TLSv1_2));
            assert_eq!(server.facts().kind, Some(HandshakeKind::Full));
            assert_eq!(send(&mut client, &mut server, b"hello"), b"hello");
        }
    }
}

/// A record of TLS 1.3 under a client's own traffic secret: rustls itself would never send these.
fn forged_record(secrets: rustls::ExtractedSecrets, content_type: u8, content: &[u8]) -> Vec<u8> {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let (sequence, rustls::ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
        panic!("another suite")
    };
    let mut nonce = [0; 12];
    nonce.copy_from_slice(iv.as_ref());
    for (byte, sequence) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
        *byte ^= sequence;
    }
    let mut body = content.to_vec();
    body.push(content_type);
    let mut record = vec![23, 3, 3];
    record.extend(u16::try_from(body.len() + 16).unwrap().to_be_bytes());
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::from(record.clone()), &mut body)
        .unwrap();
    record.extend(body);
    record
}

#[test]
fn half_a_handshake_message_after_the_handshake_does_not_disturb_our_sending() {
    let engine = Engine::Rustls;
    use std::io::{Read, Write};
    let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
    let mut config = Arc::unwrap_or_clone(client(engine, &pki));
    config.enable_secret_extraction = true;
    let name = ServerName::try_from("a.test").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = server_session(server(engine, &pki, &secrets).choose(true)).unwrap();
    let mut control = vec![0; 64 * 1024];
    let mut wire = Vec::new();
    while client.is_handshaking() || client.wants_write() || server.wants_transmit() {
        client.write_tls(&mut wire).unwrap();
        let consumed = server.open(&mut wire, &mut []).unwrap().consumed;
        wire.drain(..consumed);
        let n = server.transmit(&mut control);
        if n > 0 {
            client.read_tls(&mut &control[..n]).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    client.writer().write_all(b"x").unwrap();
    client.write_tls(&mut wire).unwrap();
    let mut room = vec![0; 20_000];
    let consumed = server.open(&mut wire, &mut room).unwrap().consumed;
    wire.drain(..consumed);
    assert!(wire.is_empty());
    assert!(client.reader().read(&mut [0]).is_err());
    // A KeyUpdate of which the last byte is missing.
    let mut half = forged_record(
        client.dangerous_extract_secrets().unwrap(),
        22,
        &[24, 0, 0, 1],
    );
    let opened = server.open(&mut half, &mut room).unwrap();
    assert_eq!((opened.produced, opened.progress), (0, Progress::NeedInput));
    let mut out = vec![0; 1000];
    assert_eq!(server.seal(b"hello", &mut out).unwrap().consumed, 5);
    server.close();
    assert!(server.wants_transmit());
}

#[test]
fn a_refused_client_certificate_leaves_an_alert_and_no_panic() {
    for engine in ENGINES {
        let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
        let scope = TicketScope {
            tenant: "a",
            listener: "l",
            policy: &[],
        };
        let configs = server_configs(ServerSettings {
            certificate: Arc::clone(&pki.certificate),
            client_verification: ClientVerification::Required(Arc::clone(&pki.roots)),
            alpn: vec![b"http/1.1".to_vec()],
            tickets: Ticketer::new(secrets, &scope),
            engine,
        })
        .unwrap();
        let name = ServerName::try_from("a.test").unwrap();
        let mut client = client_session(client(engine, &pki), name).unwrap();
        let mut server = server_session(configs.choose(true)).unwrap();
        carry(&mut client, &[], &mut server);
        carry(&mut server, &[], &mut client);
        let mut wire = vec![0; 64 * 1024];
        let n = client.transmit(&mut wire);
        assert!(server.open(&mut wire[..n], &mut []).is_err());
        assert!(server.wants_transmit(), "no alert");
    }
}

#[test]
fn sealing_and_closing_leave_records_alone_that_wait_to_be_opened() {
    for engine in ENGINES {
        let (pki, secrets) = (pki(), Arc::new(EpochSecrets::generate().unwrap()));
        let name = ServerName::try_from("a.test").unwrap();
        let mut client = client_session(client(engine, &pki), name).unwrap();
        let mut server = server_session(server(engine, &pki, &secrets).choose(true)).unwrap();
        handshake(&mut client, &mut server);
        let (mut wire, mut sent) = (Vec::new(), Vec::new());
        let mut out = vec![0; 2000];
        for n in 0..200_u8 {
            let data = vec![n; 1 + usize::from(n) * 5];
            let sealed = client.seal(&data, &mut out).unwrap();
            wire.extend_from_slice(&out[..sealed.produced]);
            sent.extend(data);
        }
        let (mut at, mut received) = (0, Vec::new());
        let mut room = vec![0; 17_000];
        loop {
            let opened = server.open(&mut wire[at..], &mut room).unwrap();
            at += opened.consumed;
            received.extend_from_slice(&room[..opened.produced]);
            if opened.progress != Progress::PlaintextFull {
                break;
            }
            // The records that wait are not the sealing side's business.
            let sealed = server.seal(b"meanwhile", &mut out).unwrap();
            assert_eq!(sealed.consumed, 9);
            assert_eq!(
                carry(&mut server, &out[..sealed.produced], &mut client),
                b"meanwhile"
            );
            if received.len() > 50_000 && !client.peer_closed() {
                break;
            }
        }
        server.close();
        carry(&mut server, &[], &mut client);
        assert!(client.peer_closed());
        while at < wire.len() {
            let opened = server.open(&mut wire[at..], &mut room).unwrap();
            at += opened.consumed;
            received.extend_from_slice(&room[..opened.produced]);
        }
        assert_eq!(received, sent);
    }
}
