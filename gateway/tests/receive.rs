//! `io_uring.receive`: short messages pass alike, whichever way they are received, and so do their ends.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;

use serde_json::Value;
use support::http::Browser;
use support::pki::tcp_route;
use support::tcp::{Upstream, reset};
use support::tls::{Tls, close_notify, dial, read_exactly, read_to_end};
use support::{End, Gateway, Site, noise};

const PATHS: [&str; 2] = ["multishot", "one-shot"];
/// Behind so many in a row the gateway expects more short messages, and may leave a receive with the kernel.
const SHORT_ONES: usize = 8;

/// A client and the upstream's end of its connection, between whom short messages go to and fro.
struct Scene {
    gateway: Gateway,
    client: Tls,
    behind: TcpStream,
    _upstream: Upstream,
}

impl Scene {
    fn run(path: &str) -> Scene {
        let (site, upstream) = (Site::new(), Upstream::listen());
        let gateway = site.run(&format!(
            "[io_uring]\nreceive = \"{path}\"\n{}{}",
            site.tenant("acme", &["a.test"], ""),
            tcp_route("acme", &[upstream.address], ""),
        ));
        let mut client = site.connect("a.test");
        client.write_all(b"hello").unwrap();
        let mut behind = upstream.accept();
        assert_eq!(read_exactly(&mut behind, 5), b"hello");
        let mut scene = Scene {
            gateway,
            client,
            behind,
            _upstream: upstream,
        };
        scene.talk(SHORT_ONES);
        scene
    }

    /// Message and answer, so many times, of lengths from one byte on.
    fn talk(&mut self, times: usize) {
        for len in 1..=times {
            let message = noise(len, len as u64);
            self.client.write_all(&message).unwrap();
            assert!(read_exactly(&mut self.behind, len) == message);
            self.behind.write_all(&message).unwrap();
            assert!(read_exactly(&mut self.client, len) == message);
        }
    }
}

#[test]
fn the_workers_receive_as_the_configuration_says() {
    for path in PATHS {
        let (site, upstream) = (Site::new(), Upstream::echo());
        let gateway = site.run(&format!(
            "[io_uring]\nreceive = \"{path}\"\n{}{}",
            site.tenant("acme", &["a.test"], ""),
            tcp_route("acme", &[upstream.address], ""),
        ));
        gateway.entry("the start", |entry| entry.has("receive", path));
        // As the workers' rings say.
        let mut browser = Browser::new(dial(site.admin).unwrap());
        let status = browser.request("GET", "/status", "Host: x\r\n", b"");
        let status: Value = serde_json::from_slice(&status.complete().body).unwrap();
        assert_eq!(status["io_uring_receive"], path);
    }
}

#[test]
fn short_messages_and_clean_ends_pass() {
    for path in PATHS {
        let mut scene = Scene::run(path);
        // Up to beyond what one receive takes at once, which is 8 KiB.
        scene.talk(300);
        for len in [8191, 8192, 8193, 100_000] {
            let message = noise(len, 3);
            scene.client.write_all(&message).unwrap();
            assert!(read_exactly(&mut scene.behind, len) == message, "{path}");
            scene.talk(SHORT_ONES);
        }
        close_notify(&mut scene.client);
        assert_eq!(read_to_end(&mut scene.behind), (vec![], End::Clean));
        scene.behind.write_all(b"and the answer").unwrap();
        scene.behind.shutdown(Shutdown::Write).unwrap();
        let answered = (b"and the answer".to_vec(), End::Clean);
        assert_eq!(read_to_end(&mut scene.client), answered);
        scene.gateway.finished("ok");
    }
}

#[test]
fn who_does_not_read_gets_all_of_it_later_in_its_order() {
    for path in PATHS {
        let mut scene = Scene::run(path);
        // More than all kernels between hold, in short pieces.
        let sent = noise(24 << 20, 5);
        let writing = thread::spawn({
            let (mut behind, sent) = (scene.behind.try_clone().unwrap(), sent.clone());
            move || {
                for message in sent[..1 << 20].chunks(100) {
                    behind.write_all(message).unwrap();
                }
                // Alone it never ends, since nobody reads yet.
                behind.write_all(&sent[1 << 20..]).unwrap();
            }
        });
        // The other direction goes on meanwhile.
        for len in 1..100 {
            let message = noise(len, 6);
            scene.client.write_all(&message).unwrap();
            assert!(read_exactly(&mut scene.behind, len) == message, "{path}");
        }
        let received = read_exactly(&mut scene.client, sent.len());
        assert!(received == sent, "{path}");
        writing.join().unwrap();
        scene.talk(SHORT_ONES);
    }
}

#[test]
fn records_that_come_in_pieces_are_put_together() {
    for path in PATHS {
        let mut scene = Scene::run(path);
        for (seed, piece) in [(1, 1), (2, 7), (3, 100)] {
            let message = noise(1000, seed);
            scene.client.conn.writer().write_all(&message).unwrap();
            let mut record = Vec::new();
            scene.client.conn.write_tls(&mut record).unwrap();
            for piece in record.chunks(piece) {
                scene.client.sock.write_all(piece).unwrap();
            }
            assert!(read_exactly(&mut scene.behind, 1000) == message, "{path}");
            scene.talk(SHORT_ONES);
        }
    }
}

/// Ends the connection of a scene in the middle; gives how that looks to the other side.
type Breakage = fn(Scene) -> (End, Gateway);

const BREAKAGES: [(Breakage, &str); 4] = [
    (
        |mut scene| {
            scene.client.sock.shutdown(Shutdown::Write).unwrap();
            (read_to_end(&mut scene.behind).1, scene.gateway)
        },
        "truncated",
    ),
    (
        |mut scene| {
            let message = b"of which the upstream gets nothing";
            scene.client.conn.writer().write_all(message).unwrap();
            let mut record = Vec::new();
            scene.client.conn.write_tls(&mut record).unwrap();
            scene.client.sock.write_all(&record[..20]).unwrap();
            scene.client.sock.shutdown(Shutdown::Write).unwrap();
            let (bytes, end) = read_to_end(&mut scene.behind);
            assert_eq!(bytes, b"");
            (end, scene.gateway)
        },
        "truncated",
    ),
    (
        |mut scene| {
            reset(scene.client.sock);
            (read_to_end(&mut scene.behind).1, scene.gateway)
        },
        "reset",
    ),
    (
        |mut scene| {
            reset(scene.behind);
            (read_to_end(&mut scene.client).1, scene.gateway)
        },
        "upstream_reset",
    ),
];

#[test]
fn an_end_in_the_middle_never_looks_clean() {
    for path in PATHS {
        for (end, outcome) in BREAKAGES {
            let (seen, gateway) = end(Scene::run(path));
            assert!(
                matches!(seen, End::Reset | End::Truncated),
                "{path}, {outcome}: {seen:?}"
            );
            gateway.finished(outcome);
        }
    }
}
