//! Class `passthrough`: TLS is routed by its name and not opened; every byte arrives as it was sent.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use support::pki::tcp_route;
use support::tcp::{Upstream, reset};
use support::tls::{accept, dial, echo, read_exactly, read_to_end, server_config};
use support::{End, Gateway, Site, noise};

/// A passthrough tenant `p.test` beside a terminated one, `a.test`, on one listener.
fn gateway(site: &Site, passthrough: SocketAddr, terminated: SocketAddr) -> Gateway {
    site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &tcp_route("acme", &[terminated], "")
            + "[[tenant]]\nid = \"pass\"\nnames = [\"p.test\"]\n"
            + &format!(
                "[[route]]\nname = \"pass-tcp\"\ntenant = \"pass\"\nprotocol = \"tcp\"\n\
                 class = \"passthrough\"\nupstream = [\"{passthrough}\"]\n"
            )),
    )
}

/// The bytes of a ClientHello for `name`; `bulk` makes it long.
fn client_hello(site: &Site, name: &'static str, bulk: usize) -> Vec<u8> {
    let protocols: Vec<String> = (0..bulk).map(|n| format!("{n:0>200}")).collect();
    let protocols: Vec<&str> = protocols.iter().map(String::as_str).collect();
    let config = site.client().alpn(&protocols).config();
    let mut client = rustls::ClientConnection::new(config, name.try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut hello).unwrap();
    }
    hello
}

#[test]
fn tls_ends_at_the_upstream_whose_name_was_asked_for() {
    let (site, plain) = (Site::new(), Upstream::echo());
    let config = server_config(&site.server("backend", &["p.test"]), None);
    let upstream = Upstream::serve(move |socket| {
        let mut tls = accept(Arc::clone(&config), socket).unwrap();
        let mut word = [0; 5];
        tls.read_exact(&mut word).unwrap();
        tls.write_all(&[&word[..], b" from behind"].concat())
            .unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
    });
    let gateway = gateway(&site, upstream.address, plain.address);
    let mut client = site.connect("p.test");
    client.write_all(b"hello").unwrap();
    assert_eq!(
        read_to_end(&mut client),
        (b"hello from behind".to_vec(), End::Clean)
    );
    drop(client);
    let entry = gateway.entry("the connection", |entry| entry.has("class", "passthrough"));
    assert_eq!(entry.text("tenant"), "pass", "{entry:?}");
    assert_eq!(entry.text("sni"), "p.test", "{entry:?}");
    // The other tenant of the listener is not concerned.
    echo(&mut site.connect("a.test"), b"hello");
    assert_eq!((upstream.connections(), plain.connections()), (1, 1));
}

#[test]
fn every_byte_arrives_as_it_was_sent() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let gateway = gateway(&site, upstream.address, upstream.address);
    // From one packet to what fills a gateway's small buffers several times.
    for bulk in [0, 10, 40, 70] {
        let mark = gateway.mark();
        let hello = client_hello(&site, "p.test", bulk);
        let mut client = dial(site.listen).unwrap();
        client.write_all(&hello).unwrap();
        let mut behind = upstream.accept();
        assert!(
            read_exactly(&mut behind, hello.len()) == hello,
            "hello of {} bytes",
            hello.len()
        );
        // What follows is not even TLS: nobody looks.
        let (up, down) = (noise(500_000, 1), noise(500_000, 2));
        std::thread::scope(|scope| {
            scope.spawn(|| client.write_all(&up).unwrap());
            assert!(read_exactly(&mut behind, up.len()) == up);
        });
        std::thread::scope(|scope| {
            scope.spawn(|| behind.write_all(&down).unwrap());
            assert!(read_exactly(&mut client, down.len()) == down);
        });
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut behind), (vec![], End::Clean));
        behind.write_all(b"the last").unwrap();
        drop(behind);
        assert_eq!(read_to_end(&mut client), (b"the last".to_vec(), End::Clean));
        let entry = gateway.entry_after(mark, "the connection", |entry| entry.has("outcome", "ok"));
        assert_eq!(
            entry.number("bytes_in"),
            (hello.len() + up.len()) as u64,
            "{entry:?}"
        );
        assert_eq!(
            entry.number("bytes_out"),
            (down.len() + 8) as u64,
            "{entry:?}"
        );
    }
}

#[test]
fn a_hello_in_pieces_and_what_follows_it_at_once_arrive_whole() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let _gateway = gateway(&site, upstream.address, upstream.address);
    let hello = client_hello(&site, "p.test", 0);
    let mut client = dial(site.listen).unwrap();
    client.write_all(&hello[..100]).unwrap();
    let rest = [&hello[100..], &noise(3000, 3)].concat();
    client.write_all(&rest).unwrap();
    let mut behind = upstream.accept();
    let all = [&hello[..100], &rest].concat();
    assert!(read_exactly(&mut behind, all.len()) == all);
}

#[test]
fn resets_pass_through_both_ways() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let _gateway = gateway(&site, upstream.address, upstream.address);
    let hello = client_hello(&site, "p.test", 0);
    let pair = || {
        let mut client = dial(site.listen).unwrap();
        client.write_all(&hello).unwrap();
        let mut behind = upstream.accept();
        let _ = read_exactly(&mut behind, hello.len());
        (client, behind)
    };
    let (client, mut behind) = pair();
    reset(client);
    assert_eq!(read_to_end(&mut behind).1, End::Reset);
    let (mut client, behind) = pair();
    reset(behind);
    assert_eq!(read_to_end(&mut client).1, End::Reset);
}

#[test]
fn an_unknown_name_reaches_nobody() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let _gateway = gateway(&site, upstream.address, upstream.address);
    let error = site
        .client()
        .connect(site.listen, "q.test")
        .unwrap_err()
        .to_string();
    assert!(error.contains("UnrecognisedName"), "{error}");
    assert_eq!(upstream.connections(), 0);
}
