//! Clients that read nothing: what they leave unread is held by the kernels, and not by the gateway.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::pki::tcp_route;
use support::tcp::Upstream;
use support::{Site, noise};

const CROWD: usize = 40;
/// A large buffer's length: what each of them would hold.
const LARGE: u64 = 260 * 1024;
/// Of which so many may.
const HOLDING: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

fn metric(site: &Site, name: &str) -> u64 {
    let mut socket = TcpStream::connect(site.admin).unwrap();
    socket
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let mut lines = answer.lines();
    let line = lines.find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn who_reads_nothing_holds_no_buffers_and_slows_nobody_down() {
    let chunk = noise(1_000_000, 7);
    let upstream = Upstream::serve({
        let chunk = chunk.clone();
        move |mut socket| while socket.write_all(&chunk).is_ok() {}
    });
    let site = Site::new();
    let tenant = site.tenant("acme", &["acme.test"], "");
    let _gateway = site.run(&format!(
        "{tenant}{}",
        tcp_route("acme", &[upstream.address], "")
    ));
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut tls = site.connect("acme.test");
            socket2::SockRef::from(&tls.sock)
                .set_recv_buffer_size(64 * 1024)
                .unwrap();
            tls.read_exact(&mut [0; 100]).unwrap();
            tls
        })
        .collect();
    // Nothing moves any more: all that the kernels take, they have.
    let sent = || metric(&site, "sealgate_bytes_sent_total{class=\"terminated\"}");
    let deadline = Instant::now() + PATIENCE;
    let mut before = 0;
    loop {
        let now = sent();
        if now > 0 && now == before {
            break;
        }
        assert!(Instant::now() < deadline, "it still moves");
        before = now;
        // Longer than the gauge of buffers is old.
        std::thread::sleep(Duration::from_millis(2100));
    }
    let held = metric(&site, "sealgate_buffer_bytes");
    assert!(held <= HOLDING * LARGE, "{held} bytes for {CROWD} clients");
    let mut fast = site.connect("acme.test");
    let mut room = vec![0; chunk.len()];
    for _ in 0..10 {
        fast.read_exact(&mut room).unwrap();
        assert!(room == chunk);
    }
    drop(crowd);
}
