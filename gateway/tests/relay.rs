//! Layer 4: bytes and ends pass through as they are; what is cut short never looks complete.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::pki::tcp_route;
use support::tcp::{Deaf, Upstream, refusing, reset};
use support::tls::{Tls, close_notify, echo, read_exactly, read_to_end};
use support::{End, Gateway, Site, noise};

fn gateway(site: &Site, upstreams: &[SocketAddr], more: &str) -> Gateway {
    site.run(&(site.tenant("acme", &["a.test"], "") + &tcp_route("acme", upstreams, "") + more))
}

/// A client and the upstream's end of its connection.
struct Pair {
    site: Site,
    gateway: Gateway,
    client: Tls,
    behind: TcpStream,
    _upstream: Upstream,
}

impl Pair {
    fn new() -> Self {
        Self::with("", |site| site.client())
    }

    fn tls12() -> Self {
        Self::with("", |site| site.client().tls12())
    }

    fn with(more: &str, client: impl Fn(&Site) -> support::tls::Client) -> Self {
        let (site, upstream) = (Site::new(), Upstream::listen());
        let gateway = gateway(&site, &[upstream.address], more);
        let mut client = client(&site).connect(site.listen, "a.test").unwrap();
        client.write_all(b"hello").unwrap();
        let mut behind = upstream.accept();
        assert_eq!(read_exactly(&mut behind, 5), b"hello");
        Self {
            site,
            gateway,
            client,
            behind,
            _upstream: upstream,
        }
    }
}

#[test]
fn every_size_comes_back_unchanged() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = gateway(&site, &[upstream.address], "");
    let sizes = [
        1, 2, 100, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 300_000,
    ];
    for client in [site.client(), site.client().tls12()] {
        let mark = gateway.mark();
        let mut client = client.connect(site.listen, "a.test").unwrap();
        for (seed, size) in sizes.into_iter().enumerate() {
            echo(&mut client, &noise(size, seed as u64));
        }
        close_notify(&mut client);
        assert_eq!(read_to_end(&mut client), (vec![], End::Clean));
        let entry = gateway.entry_after(mark, "the connection", |entry| entry.has("outcome", "ok"));
        let sum: usize = sizes.iter().sum();
        assert_eq!(entry.number("bytes_in"), sum as u64, "{entry:?}");
        assert_eq!(entry.number("bytes_out"), sum as u64, "{entry:?}");
    }
}

#[test]
fn many_megabytes_pass_in_both_directions_at_once() {
    const SIZE: usize = 24 << 20;
    let (site, upstream) = (Site::new(), Upstream::listen());
    let _gateway = gateway(&site, &[upstream.address], "");
    let mut client = site.connect("a.test");
    let (up, down) = (noise(SIZE, 1), noise(SIZE, 2));
    let mut behind = upstream.accept();
    let mut behind_writes = behind.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            behind_writes.write_all(&down).unwrap();
            behind_writes.shutdown(Shutdown::Write).unwrap();
        });
        let received = scope.spawn(|| read_to_end(&mut behind));
        // The client writes and reads in turns, as one thread of rustls has to.
        let (mut sent, mut got) = (0, Vec::with_capacity(SIZE));
        let mut room = vec![0; 1 << 16];
        while sent < SIZE {
            let next = (sent + (1 << 16)).min(SIZE);
            client.write_all(&up[sent..next]).unwrap();
            sent = next;
            if got.len() < SIZE {
                let n = client.read(&mut room).unwrap();
                got.extend_from_slice(&room[..n]);
            }
        }
        close_notify(&mut client);
        let (rest, end) = read_to_end(&mut client);
        got.extend(rest);
        assert_eq!(end, End::Clean);
        assert!(got == down, "downwards: {} bytes differ", got.len());
        let (received, end) = received.join().unwrap();
        assert_eq!(end, End::Clean);
        assert!(received == up, "upwards: {} bytes differ", received.len());
    });
}

#[test]
fn the_client_ends_first_and_still_gets_the_answer() {
    let mut pair = Pair::new();
    close_notify(&mut pair.client);
    assert_eq!(read_to_end(&mut pair.behind), (vec![], End::Clean));
    let answer = noise(200_000, 3);
    pair.behind.write_all(&answer).unwrap();
    pair.behind.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(&mut pair.client) == (answer, End::Clean));
    pair.gateway.finished("ok");
}

#[test]
fn the_upstream_ends_first_and_still_gets_what_the_client_says() {
    let mut pair = Pair::new();
    pair.behind.write_all(b"that is all").unwrap();
    pair.behind.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        read_to_end(&mut pair.client),
        (b"that is all".to_vec(), End::Clean)
    );
    let last = noise(200_000, 4);
    pair.client.write_all(&last).unwrap();
    close_notify(&mut pair.client);
    assert!(read_to_end(&mut pair.behind) == (last, End::Clean));
    pair.gateway.finished("ok");
}

#[test]
fn a_clean_end_in_tls_1_2_is_a_clean_end() {
    let mut pair = Pair::tls12();
    close_notify(&mut pair.client);
    assert_eq!(read_to_end(&mut pair.behind), (vec![], End::Clean));
    pair.gateway.finished("ok");

    let mut pair = Pair::tls12();
    pair.behind.write_all(b"bye").unwrap();
    drop(pair.behind);
    assert_eq!(read_to_end(&mut pair.client), (b"bye".to_vec(), End::Clean));
    close_notify(&mut pair.client);
    drop(pair.client);
    pair.gateway.finished("ok");
}

#[test]
fn a_truncated_client_is_a_reset_at_the_upstream() {
    for pair in [Pair::new(), Pair::tls12()] {
        let mut pair = pair;
        pair.client.write_all(b"half of i").unwrap();
        pair.client.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut pair.behind).1, End::Reset);
        let entry = pair.gateway.finished("truncated");
        assert_eq!(entry.text("tenant"), "acme", "{entry:?}");
    }
}

#[test]
fn a_reset_client_is_a_reset_at_the_upstream() {
    let mut pair = Pair::new();
    reset(pair.client.sock);
    assert_eq!(read_to_end(&mut pair.behind).1, End::Reset);
    pair.gateway.finished("reset");
}

#[test]
fn a_reset_upstream_is_no_clean_end_for_the_client() {
    for pair in [Pair::new(), Pair::tls12()] {
        let mut pair = pair;
        pair.behind.write_all(b"half of i").unwrap();
        assert_eq!(read_exactly(&mut pair.client, 9), b"half of i");
        reset(pair.behind);
        let (_, end) = read_to_end(&mut pair.client);
        assert!(matches!(end, End::Reset | End::Truncated), "{end:?}");
        pair.gateway.finished("upstream_reset");
    }
}

#[test]
fn who_can_reach_no_upstream_sees_no_clean_end() {
    let site = Site::new();
    let gateway = gateway(&site, &[refusing()], "");
    // The client may see it while it still finishes its handshake.
    if let Ok(mut client) = site.client().connect(site.listen, "a.test") {
        let (bytes, end) = read_to_end(&mut client);
        assert!(
            bytes.is_empty() && matches!(end, End::Reset | End::Truncated),
            "{bytes:?} {end:?}"
        );
    }
    gateway.finished("upstream_refused");
}

#[test]
fn an_address_that_refuses_is_passed_over() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = gateway(&site, &[refusing(), upstream.address, refusing()], "");
    for _ in 0..8 {
        echo(&mut site.connect("a.test"), b"hello");
    }
    assert_eq!(upstream.connections(), 8);
    let lines = gateway.entries();
    assert!(
        !lines
            .iter()
            .any(|entry| entry.has("outcome", "upstream_refused"))
    );
}

#[test]
fn addresses_take_turns() {
    let (site, one, two) = (Site::new(), Upstream::echo(), Upstream::echo());
    let _gateway = gateway(&site, &[one.address, two.address], "");
    // Each worker goes round by itself, so whoever accepts, some go to either.
    for _ in 0..12 {
        echo(&mut site.connect("a.test"), b"hello");
    }
    assert_eq!(one.connections() + two.connections(), 12);
    assert!(
        one.connections() >= 4 && two.connections() >= 4,
        "{} {}",
        one.connections(),
        two.connections()
    );
}

#[test]
fn an_address_that_does_not_answer_is_passed_over_in_time() {
    let (site, deaf, upstream) = (Site::new(), Deaf::new(), Upstream::echo());
    let _gateway = gateway(
        &site,
        &[deaf.address, upstream.address],
        "[timeouts]\nconnect = \"300ms\"\n",
    );
    for _ in 0..4 {
        let started = Instant::now();
        echo(&mut site.connect("a.test"), b"hello");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{:?}",
            started.elapsed()
        );
    }
    assert_eq!(upstream.connections(), 4);
}

#[test]
fn a_connect_that_takes_too_long_is_given_up() {
    let (site, deaf) = (Site::new(), Deaf::new());
    let gateway = gateway(&site, &[deaf.address], "[timeouts]\nconnect = \"300ms\"\n");
    let mut client = site.connect("a.test");
    let (_, end) = read_to_end(&mut client);
    assert!(matches!(end, End::Reset | End::Truncated), "{end:?}");
    let entry = gateway.finished("upstream_connect_timeout");
    let took: f64 = entry.text("duration_ms").parse().unwrap();
    assert!((290.0..5000.0).contains(&took), "{entry:?}");
}

#[test]
fn a_connection_in_which_nothing_moves_is_ended_and_one_that_trickles_is_not() {
    const IDLE: &str = "[timeouts]\nidle = \"1s\"\n";
    let mut idle = Pair::with(IDLE, |site| site.client());
    let mut busy = idle.site.connect("a.test");
    let mut behind = idle._upstream.accept();
    let started = Instant::now();
    let trickle = thread::spawn(move || {
        // Longer than the timeout; paced, not waiting for anything.
        for byte in 0..12_u8 {
            thread::sleep(Duration::from_millis(150));
            busy.write_all(&[byte]).unwrap();
            assert_eq!(read_exactly(&mut behind, 1), [byte]);
        }
        (busy, behind)
    });
    let (_, end) = read_to_end(&mut idle.client);
    let took = started.elapsed();
    assert_ne!(end, End::Clean);
    assert!((900..5000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(read_to_end(&mut idle.behind).1, End::Reset);
    idle.gateway.finished("idle_timeout");
    drop(trickle.join().unwrap());
}

#[test]
fn what_was_sent_before_the_end_arrives_before_the_end() {
    // The upstream answers and closes at once, while the client is still slow to read.
    let (site, upstream) = (
        Site::new(),
        Upstream::serve(|mut socket| {
            socket.write_all(&noise(3_000_000, 9)).unwrap();
        }),
    );
    let _gateway = gateway(&site, &[upstream.address], "");
    for _ in 0..3 {
        let mut client = site.connect("a.test");
        assert!(read_to_end(&mut client) == (noise(3_000_000, 9), End::Clean));
    }
}

#[test]
fn the_program_without_a_file_takes_any_name_or_none() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let identity = site.server("acme", &["a.test"]);
    let upstream_flag = upstream.address.to_string();
    let _gateway = site.run_flags("tcp", &identity, &["--upstream", &upstream_flag]);
    echo(&mut site.connect("a.test"), b"hello");
    for name in [&["-noservername"][..], &["-servername", "nobody.test"]] {
        let mut client = site.s_client(name);
        client.echo("hello");
        drop(client.finish());
    }
}

#[test]
fn ipv6_is_served_like_ipv4() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let identity = site.server("acme", &["a.test"]);
    // There is one IPv6 loopback address for everybody: the port has to be free by chance.
    let port = std::net::TcpListener::bind("[::1]:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let six = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    let (six_flag, upstream_flag) = (six.to_string(), upstream.address.to_string());
    let _gateway = site.run_flags(
        "tcp",
        &identity,
        &["--listen", &six_flag, "--upstream", &upstream_flag],
    );
    for address in [site.listen, six] {
        echo(
            &mut site.client().connect(address, "a.test").unwrap(),
            b"hello",
        );
    }
}
