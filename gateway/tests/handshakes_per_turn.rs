//! `limits.handshakes_per_turn`: so many steps of handshakes go on in a turn, as the last reload has it.
//!
//! Nothing here depends on time: a crowd's last steps are sent while the gateway is held still, so that it finds all of them
//! in one turn, and `sealgate_handshake_waits_total` counts those that had to wait for another.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::ops::RangeInclusive;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use support::http::Browser;
use support::pki::tcp_route;
use support::tcp::Upstream;
use support::tls::{Tls, dial, echo};
use support::{Gateway, Site};

const CROWD: u64 = 24;
/// As `Site` has it. Each has a turnstile of its own.
const WORKERS: u64 = 2;
/// One step in each turn: of each worker's share all wait but the first.
const ALL_BUT_ONE_EACH: RangeInclusive<u64> = CROWD - WORKERS..=CROWD - 1;

fn waits(site: &Site) -> u64 {
    let mut admin = Browser::new(dial(site.admin).unwrap());
    let answer = admin.request("GET", "/metrics", "Host: localhost\r\n", b"");
    let metrics = String::from_utf8(answer.complete().body).unwrap();
    let mut lines = metrics.lines();
    let counted = lines.find_map(|line| line.strip_prefix("sealgate_handshake_waits_total "));
    counted.unwrap().parse().unwrap()
}

/// A client that has all of the server's part of the handshake, and has not sent the end of its own.
fn half_way(site: &Site) -> Tls {
    let name = ServerName::try_from("a.test").unwrap();
    let connection = ClientConnection::new(site.client().config(), name).unwrap();
    let mut tls = StreamOwned::new(connection, dial(site.listen).unwrap());
    tls.conn.write_tls(&mut tls.sock).unwrap();
    while tls.conn.is_handshaking() {
        assert!(tls.conn.read_tls(&mut tls.sock).unwrap() > 0);
        tls.conn.process_new_packets().unwrap();
    }
    tls
}

/// Has a crowd end its handshakes at once. Gives how many of them had to wait for another turn.
fn crowd_waits(site: &Site, gateway: &Gateway) -> u64 {
    let mut crowd: Vec<Tls> = (0..CROWD).map(|_| half_way(site)).collect();
    let before = waits(site);
    gateway.stop();
    for client in &mut crowd {
        while client.conn.wants_write() {
            client.conn.write_tls(&mut client.sock).unwrap();
        }
    }
    gateway.go_on();
    for client in &mut crowd {
        echo(client, b"hello");
    }
    waits(site) - before
}

#[test]
fn a_reload_changes_how_many_handshakes_go_on_in_a_turn() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = site.run(&format!(
        "[limits]\nhandshakes_per_turn = 1\n{}{}",
        site.tenant("acme", &["a.test"], ""),
        tcp_route("acme", &[upstream.address], ""),
    ));
    let one = fs::read_to_string(site.path("gateway.toml")).unwrap();
    let all = one.replace("per_turn = 1\n", "per_turn = 1024\n");
    let waited = crowd_waits(&site, &gateway);
    assert!(ALL_BUT_ONE_EACH.contains(&waited), "{waited}");
    for (limits, wanted) in [(&all, 0..=0), (&one, ALL_BUT_ONE_EACH)] {
        site.write("gateway.toml", limits);
        assert!(gateway.reload().has("level", "INFO"));
        let waited = crowd_waits(&site, &gateway);
        assert!(wanted.contains(&waited), "{waited}, and not {wanted:?}");
    }
}
