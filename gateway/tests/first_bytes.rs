//! What comes first is no ClientHello: a clear end, a log line, and nobody else is disturbed.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use support::http::Browser;
use support::pki::tcp_route;
use support::tcp::Upstream;
use support::tls::{dial, echo, read_to_end};
use support::{End, Gateway, Site, noise};

/// An echo with a short handshake timeout, and a connection that was open before.
struct Scene {
    site: Site,
    upstream: Upstream,
    gateway: Gateway,
    bystander: support::tls::Tls,
}

impl Scene {
    fn new() -> Self {
        let (site, upstream) = (Site::new(), Upstream::echo());
        let gateway = site.run(
            &(site.tenant("acme", &["a.test"], "")
                + &tcp_route("acme", &[upstream.address], "")
                + "[timeouts]\nhandshake = \"500ms\"\n"),
        );
        let mut bystander = site.connect("a.test");
        echo(&mut bystander, b"before");
        Self {
            site,
            upstream,
            gateway,
            bystander,
        }
    }

    fn dial(&self) -> TcpStream {
        dial(self.site.listen).unwrap()
    }

    /// The one failed handshake was logged; the bystander and newcomers are served.
    fn nothing_else_happened(mut self, error: &str) {
        let entry = self.gateway.entry("the failed handshake", |entry| {
            !entry.text("error").is_empty() || entry.has("outcome", error)
        });
        assert!(entry.line.contains(error), "no {error} in {entry:?}");
        echo(&mut self.bystander, &noise(100_000, 2));
        echo(&mut self.site.connect("a.test"), b"after");
        assert_eq!(self.upstream.connections(), 2);
    }
}

/// Sends as far as the other side listens.
fn send(socket: &mut TcpStream, bytes: &[u8]) {
    // A refusal in the middle is what is wanted.
    let _ = socket.write_all(bytes);
}

#[test]
fn garbage_is_answered_with_an_alert() {
    let scene = Scene::new();
    let mut socket = scene.dial();
    send(&mut socket, &noise(5000, 3));
    let (answer, end) = read_to_end(&mut socket);
    assert_ne!(end, End::Truncated);
    // Type alert, fatal; where the RST overtook it, there is none.
    assert!(
        answer.is_empty() || answer[0] == 21 && answer[5] == 2,
        "{answer:?}"
    );
    scene.nothing_else_happened("client_hello_invalid");
}

#[test]
fn a_small_piece_of_garbage_gets_its_alert() {
    let scene = Scene::new();
    let mut socket = scene.dial();
    send(&mut socket, b"\x16\x03\x01\x00\x04abcd");
    let (answer, end) = read_to_end(&mut socket);
    assert_eq!(
        (answer.first(), answer.get(5), end),
        (Some(&21), Some(&2), End::Clean)
    );
    scene.nothing_else_happened("client_hello_invalid");
}

#[test]
fn a_client_hello_of_64_kib_is_refused_before_it_is_complete() {
    let scene = Scene::new();
    let mut socket = scene.dial();
    // One handshake message that announces 64 KiB, in four records.
    let mut hello = vec![1, 0, 0xff, 0xff, 3, 3];
    hello.extend(noise(0xffff - 2, 4));
    for part in hello.chunks(16_384) {
        let mut record = vec![22, 3, 1];
        record.extend_from_slice(&(part.len() as u16).to_be_bytes());
        record.extend_from_slice(part);
        send(&mut socket, &record);
    }
    let (_, end) = read_to_end(&mut socket);
    assert!(matches!(end, End::Clean | End::Reset), "{end:?}");
    scene.nothing_else_happened("client_hello_too_long");
}

#[test]
fn plain_http_is_told_so() {
    let scene = Scene::new();
    let mut browser = Browser::new(scene.dial());
    browser.send("GET /secret HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let answer = browser.response("GET");
    let body = String::from_utf8_lossy(&answer.body).to_lowercase();
    assert_eq!(answer.status(), 400, "{answer:?}");
    assert!(body.contains("https") && body.contains("tls"), "{body}");
    assert_eq!(browser.end(), (vec![], End::Clean));
    scene.nothing_else_happened("plain_http");
}

#[test]
fn plain_http_with_a_body_is_told_so_too() {
    let scene = Scene::new();
    let mut browser = Browser::new(scene.dial());
    // The answer must not be lost to a RST for what was not read.
    browser.send(format!(
        "PUT /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 60000\r\n\r\n{}",
        "x".repeat(60_000)
    ));
    assert_eq!(browser.response("PUT").status(), 400);
    scene.nothing_else_happened("plain_http");
}

#[test]
fn who_says_nothing_is_disconnected_in_time() {
    let scene = Scene::new();
    let started = Instant::now();
    let mut socket = scene.dial();
    let (answer, _) = read_to_end(&mut socket);
    assert!(answer.is_empty(), "{answer:?}");
    let took = started.elapsed();
    assert!(took.as_millis() >= 400, "after {took:?}");
    scene.nothing_else_happened("handshake_timeout");
}

#[test]
fn half_a_client_hello_is_disconnected_in_time() {
    let scene = Scene::new();
    let mut hello = Vec::new();
    let config = scene.site.client().config();
    let name = "a.test".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    client.write_tls(&mut hello).unwrap();
    let mut socket = scene.dial();
    send(&mut socket, &hello[..hello.len() / 2]);
    let _ = read_to_end(&mut socket);
    scene.nothing_else_happened("handshake_timeout");
}

#[test]
fn a_client_hello_in_single_bytes_is_understood() {
    let scene = Scene::new();
    let name = "a.test".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(scene.site.client().config(), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut socket = scene.dial();
    for byte in hello {
        socket.write_all(&[byte]).unwrap();
    }
    let mut tls = rustls::StreamOwned::new(client, socket);
    echo(&mut tls, b"hello");
}

#[test]
fn who_leaves_in_the_middle_is_logged() {
    let scene = Scene::new();
    let mut socket = scene.dial();
    send(&mut socket, b"\x16\x03\x01\x02\x00\x01");
    drop(socket);
    scene.nothing_else_happened("handshake_closed");
}

#[test]
fn a_record_that_does_not_verify_ends_the_connection_with_an_alert() {
    let scene = Scene::new();
    let upstream = Upstream::listen();
    let site = Site::new();
    let gateway = site
        .run(&(site.tenant("acme", &["a.test"], "") + &tcp_route("acme", &[upstream.address], "")));
    let mut client = site.connect("a.test");
    client.write_all(b"good").unwrap();
    let mut behind = upstream.accept();
    assert_eq!(support::tls::read_exactly(&mut behind, 4), b"good");
    let mut forged = vec![23, 3, 3, 0, 100];
    forged.extend(noise(100, 5));
    client.sock.write_all(&forged).unwrap();
    let error = client.read(&mut [0; 10]).unwrap_err().to_string();
    assert!(error.contains("BadRecordMac"), "{error}");
    // What came before it is not passed off as all there was.
    assert_eq!(read_to_end(&mut behind), (vec![], End::Reset));
    gateway.finished("client_tls");
    drop(scene);
}
