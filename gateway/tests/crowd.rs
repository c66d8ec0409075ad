//! Many at once, and slow ones beside fast ones.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use support::http::Browser;
use support::pki::tcp_route;
use support::tcp::Upstream;
use support::tls::{dial, echo};
use support::watch::Watch;
use support::{Gateway, Site, noise};

fn gateway(site: &Site, upstream: &Upstream) -> Gateway {
    site.run(&(site.tenant("acme", &["a.test"], "") + &tcp_route("acme", &[upstream.address], "")))
}

/// Both ends of every connection are in this process, and the upstream's too.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn a_thousand_connections_at_once_are_all_served() {
    const THREADS: usize = 20;
    const EACH: usize = 50;
    raise_descriptor_limit();
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = gateway(&site, &upstream);
    let mut clients: Vec<Vec<_>> = thread::scope(|scope| {
        let open = || (0..EACH).map(|_| site.connect("a.test")).collect();
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    // All are open; each says something else, twice.
    thread::scope(|scope| {
        for (number, clients) in clients.iter_mut().enumerate() {
            scope.spawn(move || {
                for round in 0..2 {
                    for (at, client) in clients.iter_mut().enumerate() {
                        let seed = (number * EACH + at) * 2 + round;
                        echo(client, &noise(2000 + at, seed as u64));
                    }
                }
            });
        }
    });
    drop(clients);
    assert_eq!(upstream.connections(), THREADS * EACH);
    gateway.entries_like(THREADS * EACH, "connections", |entry| {
        entry.has("route", "acme-tcp")
    });
}

#[test]
fn beyond_the_limit_connections_are_closed_and_room_is_given_back() {
    const MOST: usize = 4;
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &tcp_route("acme", &[upstream.address], "")
            + &format!("[limits]\nmax_connections = {MOST}\n")),
    );
    let served = || -> Vec<_> {
        let clients = (0..40).filter_map(|_| site.client().connect(site.listen, "a.test").ok());
        let word = |client: &mut support::tls::Tls| {
            client
                .write_all(b"hello")
                .and_then(|()| client.read_exact(&mut [0; 5]))
                .is_ok()
        };
        clients
            .filter_map(|mut client| word(&mut client).then_some(client))
            .collect()
    };
    let first = served();
    assert!(
        (1..=MOST).contains(&first.len()),
        "{} were served at once",
        first.len()
    );
    // In a flood there is no line for each: they are counted.
    let mut admin = Browser::new(dial(site.admin).unwrap());
    let metrics = admin
        .request("GET", "/metrics", "Host: localhost\r\n", b"")
        .complete();
    let metrics = String::from_utf8(metrics.body).unwrap();
    let counted = metrics
        .lines()
        .find(|line| line.contains("cause=\"connection_limit\""))
        .unwrap();
    let refused: usize = counted.rsplit_once(' ').unwrap().1.parse().unwrap();
    assert_eq!(refused, 40 - first.len(), "{counted}");
    let open = first.len();
    drop(first);
    gateway.entries_like(open, "connections", |entry| entry.has("route", "acme-tcp"));
    assert!(!served().is_empty(), "no room came back");
}

#[test]
fn a_client_at_one_byte_a_second_does_not_slow_a_fast_one() {
    const SLOW: usize = 16;
    let (site, upstream) = (Site::new(), Upstream::echo());
    let _gateway = gateway(&site, &upstream);
    let blob = noise(4 << 20, 1);
    let fast = |site: &Site| {
        let mut client = site.connect("a.test");
        let started = Instant::now();
        for part in blob.chunks(256 * 1024) {
            echo(&mut client, part);
        }
        started.elapsed()
    };
    let alone = (0..4).map(|_| fast(&site)).min().unwrap();

    // Slow ones on every worker: some write, some let the other side's bytes pile up.
    let ending = Arc::new(AtomicBool::new(false));
    let moving = Watch::new(0);
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let mut client = site.connect("a.test");
        let (ending, moving) = (Arc::clone(&ending), moving.clone());
        slow.push(thread::spawn(move || {
            if number % 2 == 0 {
                // Fills every buffer on the way back, and then reads a byte at a time.
                client
                    .sock
                    .set_write_timeout(Some(Duration::from_millis(200)))
                    .unwrap();
                while client.write_all(&[7; 16_384]).is_ok() {}
            }
            let mut first = true;
            while !ending.load(Ordering::SeqCst) {
                if number % 2 == 1 {
                    client.write_all(&[1]).unwrap();
                }
                client.read_exact(&mut [0; 1]).unwrap();
                if std::mem::take(&mut first) {
                    moving.change(|moving| *moving += 1);
                }
                thread::park_timeout(Duration::from_secs(1));
            }
        }));
    }
    moving.wait("the slow clients", |moving| (*moving == SLOW).then_some(()));
    let started = Instant::now();
    let mut beside = Vec::new();
    while started.elapsed() < Duration::from_secs(3) {
        beside.push(fast(&site));
    }
    ending.store(true, Ordering::SeqCst);
    for client in slow {
        client.thread().unpark();
        client.join().unwrap();
    }
    let best = beside.iter().min().unwrap();
    // Twice, and some, is noise of a busy machine; waiting for one slow byte would be a second.
    assert!(
        *best < alone * 3 + Duration::from_millis(300),
        "alone {alone:?}, beside {beside:?}"
    );
}
