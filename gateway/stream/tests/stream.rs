//! Streams over real sockets, both ends in one runtime.
#![allow(clippy::unwrap_used, missing_docs)]

mod paths;

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use sealgate_stream::{HandshakeError, Now, ReadError, Stream, close_gently};
use sealgate_tls::{
    ClientSettings, ClientVerification, Engine, EpochSecrets, ServerSettings, TicketScope,
    Ticketer, client_config, provider, server_configs,
};
use sealgate_uring::{Half, Listener, Pool, Socket, run, spawn};

struct Configs {
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
}

fn configs() -> Configs {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let certificate = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider());
    let secrets = Arc::new(EpochSecrets::generate().unwrap());
    let scope = TicketScope {
        tenant: "a",
        listener: "l",
        policy: &[],
    };
    let server = server_configs(ServerSettings {
        certificate: Arc::new(certificate.unwrap()),
        client_verification: ClientVerification::None,
        alpn: vec![],
        tickets: Ticketer::new(secrets, &scope),
        engine: Engine::default(),
    });
    let client = client_config(ClientSettings {
        roots: Arc::new(roots),
        certificate: None,
        alpn: vec![],
        resumable_sessions: 0,
        engine: Engine::default(),
    });
    Configs {
        server: server.unwrap().choose(true),
        client: client.unwrap(),
    }
}

/// Runs `client` and `server` on the two ends of a TLS connection, with either way of receiving.
fn ends(server: impl AsyncFn(Stream) + Clone + 'static, client: impl AsyncFn(Stream)) {
    let configs = configs();
    paths::on_both(async |_| {
        let pool = Pool::new(8);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = {
            let (pool, server) = (pool.clone(), server.clone());
            let config = Arc::clone(&configs.server);
            spawn(async move {
                let (socket, _) = listener.accept().await.unwrap();
                let stream = Stream::accept_tls(socket, pool, config).await;
                server(stream.unwrap()).await;
            })
        };
        let socket = Socket::connect(address).await.unwrap();
        let name = ServerName::try_from("a.test").unwrap();
        let config = Arc::clone(&configs.client);
        let stream = Stream::connect_tls(socket, pool.clone(), config, name).await;
        client(stream.unwrap()).await;
        serving.await.unwrap();
        // Readers and writers end a few turns later, a lingering one after two seconds.
        for _ in 0..300 {
            if pool.in_use_bytes() == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(pool.in_use_bytes(), 0, "buffers did not come back");
    });
}

/// Sends `size` bytes in writes of `piece` bytes through an echo, reading all the while.
fn echo(size: usize, piece: usize) {
    ends(
        async |stream| {
            let (mut read, mut write) = stream.split();
            while let Some(buf) = read.read().await.unwrap() {
                write.write(buf).await.unwrap();
            }
            write.finish().await.unwrap();
        },
        async move |stream| {
            let (mut read, mut write) = stream.split();
            let sending = spawn(async move {
                let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
                for piece in data.chunks(piece) {
                    write.write_slice(piece).await.unwrap();
                }
                write.finish().await.unwrap();
            });
            let mut at = 0;
            while let Some(buf) = read.read().await.unwrap() {
                let as_sent = |(i, byte): (usize, &u8)| *byte == ((at + i) % 251) as u8;
                assert!(buf.iter().enumerate().all(as_sent));
                at += buf.len();
            }
            sending.await.unwrap();
            assert_eq!(at, size);
        },
    );
}

#[test]
fn an_echo_of_many_megabytes_is_whole_and_ends_cleanly() {
    echo(20_000_000, 20_000_000);
}

#[test]
fn small_records_both_ways_at_once_are_whole() {
    echo(5_000_000, 1000);
    echo(500_000, 77);
}

#[test]
fn what_is_there_is_read_without_waiting_and_the_end_is_told_from_a_cut() {
    for is_polite in [true, false] {
        ends(
            async move |stream| {
                let (mut read, mut write) = stream.split();
                assert!(matches!(read.read_now().await, Ok(Now::Nothing)));
                write.write_slice(b"go on").await.unwrap();
                let mut bytes = Vec::new();
                let end = loop {
                    match read.read_now().await {
                        Ok(Now::Bytes(buf)) => bytes.extend_from_slice(&buf),
                        Ok(Now::Nothing) => read.readable().await.unwrap(),
                        end => break end,
                    }
                };
                assert_eq!(bytes, vec![7; 100_000]);
                match is_polite {
                    true => assert!(matches!(end, Ok(Now::End))),
                    false => assert!(matches!(end, Err(ReadError::Truncated))),
                }
            },
            async move |stream| {
                let (mut read, mut write) = stream.split();
                // Only now, so that nothing can have been there before.
                assert_eq!(&*read.read().await.unwrap().unwrap(), b"go on");
                write.write_slice(&[7; 100_000]).await.unwrap();
                match is_polite {
                    true => write.finish().await.unwrap(),
                    false => write.socket().shutdown(Half::Write),
                }
                while let Ok(Some(_)) = read.read().await {}
            },
        );
    }
}

#[test]
fn a_fin_without_close_notify_is_a_truncation() {
    ends(
        async |stream| {
            let (mut read, _write) = stream.split();
            assert_eq!(&*read.read().await.unwrap().unwrap(), b"half");
            assert!(matches!(read.read().await, Err(ReadError::Truncated)));
        },
        async |stream| {
            let (_read, mut write) = stream.split();
            write.write_slice(b"half").await.unwrap();
            write.socket().shutdown(Half::Write);
        },
    );
}

#[test]
fn half_close_leaves_the_other_direction_open() {
    ends(
        async |stream| {
            let (mut read, mut write) = stream.split();
            assert!(read.read().await.unwrap().is_none());
            write.write_slice(b"answer").await.unwrap();
            write.finish().await.unwrap();
        },
        async |stream| {
            let (mut read, mut write) = stream.split();
            write.finish().await.unwrap();
            assert_eq!(&*read.read().await.unwrap().unwrap(), b"answer");
            assert!(read.read().await.unwrap().is_none());
        },
    );
}

#[test]
fn plain_http_on_a_tls_port_is_recognised() {
    let configs = configs();
    run(async move {
        let pool = Pool::new(8);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
        let address = listener.local_addr().unwrap();
        let client = {
            let pool = pool.clone();
            spawn(async move {
                let socket = Socket::connect(address).await.unwrap();
                let mut buf = pool.take(sealgate_uring::SizeClass::Small);
                buf.extend(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
                socket.send_all(buf).await.0.unwrap();
                close_gently(&socket, &pool).await;
            })
        };
        let (socket, _) = listener.accept().await.unwrap();
        let error = Stream::accept_tls(socket.clone(), pool.clone(), configs.server).await;
        assert!(matches!(error.err().unwrap(), HandshakeError::PlainHttp));
        close_gently(&socket, &pool).await;
        client.await.unwrap();
    })
    .unwrap();
}

#[test]
fn hyper_speaks_over_it_and_large_bodies_cross() {
    const SIZE: usize = 5_000_000;
    ends(
        async |stream| {
            let service = hyper::service::service_fn(
                |request: hyper::Request<hyper::body::Incoming>| async {
                    let body = request.into_body().collect().await?.to_bytes();
                    Ok::<_, hyper::Error>(hyper::Response::new(Full::new(body)))
                },
            );
            hyper::server::conn::http1::Builder::new()
                .serve_connection(stream.into_hyper(), service)
                .await
                .unwrap();
        },
        async |stream| {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream.into_hyper())
                    .await
                    .unwrap();
            let driving = spawn(connection);
            for size in [0, 1, SIZE] {
                let body = Bytes::from(vec![7; size]);
                let request = hyper::Request::put("/").header("host", "a.test");
                let request = request.body(Full::new(body.clone())).unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
            }
            drop(sender);
            driving.await.unwrap().unwrap();
        },
    );
}

#[test]
fn an_aborted_hyper_stream_is_no_clean_end() {
    ends(
        async |stream| {
            let io = stream.into_hyper();
            io.abort_handle().abort();
            drop(io);
        },
        async |stream| {
            let (mut read, _write) = stream.split();
            assert!(matches!(read.read().await, Err(ReadError::Io(_))));
        },
    );
}
