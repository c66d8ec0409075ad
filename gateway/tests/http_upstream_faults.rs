//! Upstreams that refuse, stall, reset or talk nonsense: each has its own answer, and nothing cut looks complete.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use support::http::{Browser, HttpUpstream, Message, response};
use support::pki::http_route;
use support::tcp::{Deaf, Upstream, refusing, reset};
use support::{DEADLINE, End, Gateway, Site, contains};

const HOST: &str = "Host: a.test\r\n";

fn run(site: &Site, upstreams: &[SocketAddr]) -> Gateway {
    site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &http_route("acme", "terminated", upstreams, "")
            + "[timeouts]\nconnect = \"300ms\"\nresponse = \"400ms\"\n"),
    )
}

/// The answer to a GET.
fn get(site: &Site) -> Message {
    Browser::new(site.connect("a.test")).request("GET", "/", HOST, b"")
}

fn kind(json: &serde_json::Value) -> &str {
    json["type"]
        .as_str()
        .unwrap()
        .strip_prefix("urn:sealgate:error:")
        .unwrap()
}

#[test]
fn refused_is_502() {
    let site = Site::new();
    let gateway = run(&site, &[refusing()]);
    let json = get(&site).problem(502);
    assert_eq!(kind(&json), "upstream_refused");
    let entry = gateway.entry("the request", |entry| {
        entry.has("outcome", "upstream_refused")
    });
    assert_eq!(
        entry.text("request_id"),
        json["request_id"].as_str().unwrap()
    );
    assert_eq!(entry.text("status"), "502");
}

#[test]
fn no_answer_to_connect_is_504() {
    let (site, deaf) = (Site::new(), Deaf::new());
    let _gateway = run(&site, &[deaf.address]);
    assert_eq!(kind(&get(&site).problem(504)), "upstream_connect_timeout");
}

#[test]
fn no_answer_to_the_request_is_504_in_time() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let _gateway = run(&site, &[upstream.address]);
    let started = Instant::now();
    assert_eq!(kind(&get(&site).problem(504)), "upstream_timeout");
    let took = started.elapsed().as_millis();
    assert!((390..5000).contains(&took), "{took} ms");
    // The abandoned request is ended at the upstream too.
    let mut behind = upstream.accept();
    let (request, _) = support::tls::read_to_end(&mut behind);
    assert!(request.starts_with(b"GET / HTTP/1.1\r\n"));
}

#[test]
fn an_upstream_that_resets_or_closes_without_an_answer_is_502() {
    for ends_with_reset in [true, false] {
        let site = Site::new();
        let upstream = HttpUpstream::start_with(move |_, socket| {
            if ends_with_reset {
                reset(socket.try_clone()?);
            }
            Err(io::ErrorKind::Other.into())
        });
        let _gateway = run(&site, &[upstream.address()]);
        let mut browser = Browser::new(site.connect("a.test"));
        browser.request("POST", "/", HOST, b"once").problem(502);
        // A write is never sent twice.
        assert_eq!(upstream.seen().len(), 1);
    }
}

#[test]
fn an_upstream_that_talks_nonsense_is_502() {
    for nonsense in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"HTTP/1.1 999999 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let site = Site::new();
        let upstream =
            HttpUpstream::start(move |_| [nonsense, b"\r\n\r\nConnection: close"].concat());
        let _gateway = run(&site, &[upstream.address()]);
        get(&site).problem(502);
    }
}

#[test]
fn a_response_with_an_oversized_head_is_502() {
    let site = Site::new();
    let upstream = HttpUpstream::start(|_| {
        response("200 OK", &format!("X: {}\r\n", "x".repeat(1 << 20)), b"")
    });
    let _gateway = run(&site, &[upstream.address()]);
    get(&site).problem(502);
}

#[test]
fn a_response_that_is_cut_never_looks_complete() {
    // By FIN and by RST, in a body of known length and in chunks.
    for chunked in [true, false] {
        for ends_with_reset in [true, false] {
            let site = Site::new();
            let upstream = HttpUpstream::start_with(move |_, socket: &mut TcpStream| {
                socket.write_all(match chunked {
                    true => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                    false => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello",
                })?;
                if ends_with_reset {
                    reset(socket.try_clone()?);
                }
                Err(io::ErrorKind::Other.into())
            });
            let gateway = run(&site, &[upstream.address()]);
            let mut browser = Browser::new(site.connect("a.test"));
            browser.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n"));
            let answer = browser.response("GET");
            // With a RST the head may not have arrived either.
            if answer.status() == 200 {
                let end = answer
                    .cut
                    .unwrap_or_else(|| panic!("complete: chunked {chunked}"));
                assert_ne!(end, End::Clean, "a clean end of TLS after half a response");
            } else {
                assert!(
                    ends_with_reset && answer.status() == 502 || answer.cut.is_some(),
                    "{answer:?}"
                );
            }
            gateway.entry("the request", |entry| {
                entry.text("outcome").starts_with("upstream_")
            });
        }
    }
}

#[test]
fn an_upstream_that_stalls_in_the_body_is_cut_and_never_looks_complete() {
    let site = Site::new();
    let upstream = Upstream::listen();
    let gateway = site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &http_route("acme", "terminated", &[upstream.address], "")
            + "[timeouts]\nidle = \"1s\"\n"),
    );
    let mut browser = Browser::new(site.connect("a.test"));
    browser.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n"));
    let mut behind = upstream.accept();
    behind
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")
        .unwrap();
    let answer = browser.response("GET");
    assert!(answer.cut.is_some(), "{answer:?}");
    gateway.entry("the timeout", |entry| {
        entry.text("outcome").contains("timeout")
    });
}

#[test]
fn an_early_answer_reaches_the_client_before_its_body_is_sent() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let _gateway = run(&site, &[upstream.address]);
    let mut browser = Browser::new(site.connect("a.test"));
    browser.send(format!(
        "PUT / HTTP/1.1\r\n{HOST}Content-Length: 1000000\r\n\r\nhello"
    ));
    let mut behind = upstream.accept();
    behind
        .write_all(&response(
            "413 Content Too Large",
            "Connection: close\r\n",
            b"no",
        ))
        .unwrap();
    let answer = browser.response("PUT").complete();
    assert_eq!((answer.status(), &answer.body[..]), (413, &b"no"[..]));
}

#[test]
fn a_refusing_address_is_passed_over_and_a_kept_connection_that_died_is_replaced() {
    let site = Site::new();
    let upstream = HttpUpstream::start(|_| response("200 OK", "Connection: close\r\n", b""));
    let _gateway = run(&site, &[refusing(), upstream.address()]);
    let mut browser = Browser::new(site.connect("a.test"));
    for _ in 0..6 {
        assert_eq!(
            browser.request("GET", "/", HOST, b"").complete().status(),
            200
        );
    }
}

#[test]
fn an_upstream_that_closes_kept_connections_silently_costs_no_request() {
    let site = Site::new();
    // It says nothing of closing, and closes.
    let upstream = HttpUpstream::start_with(|_, socket| {
        socket.write_all(&response("200 OK", "", b"x"))?;
        Err(io::ErrorKind::Other.into())
    });
    let _gateway = run(&site, &[upstream.address()]);
    let mut browser = Browser::new(site.connect("a.test"));
    for round in 0..20 {
        assert_eq!(
            browser.request("GET", "/", HOST, b"").complete().status(),
            200,
            "{round}"
        );
    }
}

#[test]
fn a_client_that_vanishes_ends_its_request_at_the_upstream() {
    let site = Site::new();
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = run(&site, &[upstream.local_addr().unwrap()]);
    for chunked in [true, false] {
        let mut client = site.connect("a.test");
        let (framing, part) = match chunked {
            true => ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
            false => ("Content-Length: 1000", "hello"),
        };
        client
            .write_all(
                format!("PUT /{chunked} HTTP/1.1\r\n{HOST}{framing}\r\n\r\n{part}").as_bytes(),
            )
            .unwrap();
        client.flush().unwrap();
        let (mut socket, _) = upstream.accept().unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut received = Vec::new();
        while !contains(&received, b"hello") {
            let mut some = [0; 1024];
            let n = socket.read(&mut some).unwrap();
            assert_ne!(n, 0, "it ended before the client did");
            received.extend_from_slice(&some[..n]);
        }
        drop(client);
        let end = socket.read_to_end(&mut received);
        let error = end.expect_err("it looks as if it had ended");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    gateway.entries_like(2, "cut requests", |entry| {
        entry.has("method", "PUT") && !entry.has("outcome", "ok")
    });
}
