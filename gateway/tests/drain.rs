//! SIGTERM: what is under way finishes, nothing new begins, and the end comes within the grace period.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::http::{Browser, response};
use support::pki::{http_route, tcp_route};
use support::tcp::Upstream;
use support::tls::{close_notify, read_exactly, read_to_end};
use support::{End, Gateway, Site};

/// Sends the signal and waits until newcomers are refused, which has no other sign than that.
fn begin(site: &Site, gateway: &Gateway, signal: Signal) {
    gateway.signal(signal);
    gateway.entry("the drain", |entry| entry.line.contains("draining"));
    let until = Instant::now() + support::DEADLINE;
    loop {
        match TcpStream::connect(site.listen) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            _ => assert!(Instant::now() < until, "newcomers are still let in"),
        }
        thread::yield_now();
    }
}

fn run_tcp(site: &Site, upstream: &Upstream, more: &str) -> Gateway {
    site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &tcp_route("acme", &[upstream.address], "")
            + more),
    )
}

#[test]
fn an_open_connection_finishes_and_the_exit_status_is_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (site, upstream) = (Site::new(), Upstream::listen());
        let mut gateway = run_tcp(&site, &upstream, "");
        let mut client = site.connect("a.test");
        client.write_all(b"hello").unwrap();
        let mut behind = upstream.accept();
        begin(&site, &gateway, signal);
        assert_eq!(read_exactly(&mut behind, 5), b"hello");
        behind.write_all(b"answer").unwrap();
        behind.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut client), (b"answer".to_vec(), End::Clean));
        client.write_all(b"the last").unwrap();
        close_notify(&mut client);
        assert_eq!(read_to_end(&mut behind), (b"the last".to_vec(), End::Clean));
        assert_eq!(gateway.wait_exit().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn with_nothing_open_the_end_comes_at_once() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let mut gateway = run_tcp(&site, &upstream, "[timeouts]\ndrain = \"1h\"\n");
    let started = Instant::now();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait_exit().code(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_request_under_way_is_answered_and_its_connection_then_closed() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let mut gateway = site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &http_route("acme", "terminated", &[upstream.address], "")),
    );
    // One waits for its answer, one is kept open and idle.
    let mut idle = Browser::new(site.connect("a.test"));
    idle.send("GET /idle HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut behind = upstream.accept();
    behind
        .write_all(&response("200 OK", "Connection: close\r\n", b""))
        .unwrap();
    drop(behind);
    idle.response("GET").complete();
    let mut busy = Browser::new(site.connect("a.test"));
    busy.send("PUT /busy HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n12345");
    let mut behind = upstream.accept();
    begin(&site, &gateway, Signal::TERM);
    assert_eq!(idle.end(), (vec![], End::Clean));
    busy.send("67890");
    let mut seen = Vec::new();
    while !seen.ends_with(b"67890") {
        seen.extend(read_exactly(&mut behind, 1));
    }
    behind
        .write_all(&response("201 Created", "", b"done"))
        .unwrap();
    let answer = busy.response("PUT").complete();
    assert_eq!((answer.status(), &answer.body[..]), (201, &b"done"[..]));
    assert_eq!(busy.end(), (vec![], End::Clean));
    assert_eq!(gateway.wait_exit().code(), Some(0));
}

#[test]
fn http_clients_that_never_spoke_are_told_the_end_at_once() {
    const EACH: usize = 20;
    let (site, upstream) = (Site::new(), Upstream::listen());
    let mut gateway = site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &http_route("acme", "terminated", &[upstream.address], "")
            + "[timeouts]\ndrain = \"1h\"\nkeep_alive = \"1h\"\n"),
    );
    let clients = [site.client(), site.client().tls12()];
    let mut silent: Vec<_> = clients
        .iter()
        .flat_map(|client| (0..EACH).map(|_| client.connect(site.listen, "a.test").unwrap()))
        .collect();
    gateway.signal(Signal::TERM);
    for client in &mut silent {
        assert_eq!(read_to_end(client), (vec![], End::Clean));
    }
    drop(silent);
    assert_eq!(gateway.wait_exit().code(), Some(0));
}

#[test]
fn what_outlives_the_grace_period_is_cut_and_never_looks_complete() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let mut gateway = run_tcp(&site, &upstream, "[timeouts]\ndrain = \"500ms\"\n");
    let mut client = site.connect("a.test");
    client.write_all(b"hello").unwrap();
    let mut behind = upstream.accept();
    assert_eq!(read_exactly(&mut behind, 5), b"hello");
    let started = Instant::now();
    gateway.signal(Signal::TERM);
    let status = gateway.wait_exit();
    let took = started.elapsed();
    assert!((400..5000).contains(&took.as_millis()), "{took:?}");
    assert_ne!(status.code(), Some(0), "something was cut");
    assert!(status.code().is_some(), "{status:?}");
    assert_ne!(read_to_end(&mut client).1, End::Clean);
    assert_eq!(read_to_end(&mut behind).1, End::Reset);
}

#[test]
fn a_second_signal_ends_at_once() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let mut gateway = run_tcp(&site, &upstream, "[timeouts]\ndrain = \"1h\"\n");
    let mut client = site.connect("a.test");
    client.write_all(b"hello").unwrap();
    let _behind = upstream.accept();
    begin(&site, &gateway, Signal::TERM);
    gateway.signal(Signal::TERM);
    assert_ne!(gateway.wait_exit().code(), Some(0));
}

#[test]
fn sigterm_ends_it_while_a_reload_waits_for_a_file_that_hangs() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let mut gateway = run_tcp(&site, &upstream, "");
    let file = site.path("gateway.toml");
    std::fs::remove_file(&file).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    gateway.signal(Signal::HUP);
    // It opens once the gateway reads it. Nothing is ever written: reading hangs, as on a file system that is away.
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
    let until = Instant::now() + support::DEADLINE;
    let _silent = loop {
        match rustix::fs::open(&file, flags, rustix::fs::Mode::empty()) {
            Ok(writer) => break writer,
            Err(_) => assert!(Instant::now() < until, "the file is not read again"),
        }
        thread::yield_now();
    };
    begin(&site, &gateway, Signal::TERM);
    assert_eq!(gateway.wait_exit().code(), Some(0));
}
