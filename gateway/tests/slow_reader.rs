//! A client that reads slowly, but reads, is not idle: also when all is in the kernel's hands.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use support::pki::tcp_route;
use support::tcp::Upstream;
use support::{Site, noise};

const SIZE: usize = 1_000_000;

#[test]
fn a_slow_reader_gets_what_the_kernel_holds_past_the_idle_limit() {
    let sent = noise(SIZE, 20);
    let upstream = Upstream::serve({
        let sent = sent.clone();
        move |mut socket| socket.write_all(&sent).unwrap()
    });
    let site = Site::new();
    let tenant = site.tenant("acme", &["acme.test"], "");
    let gateway = site.run(&format!(
        "[timeouts]\nidle = \"1s\"\n{tenant}{}",
        tcp_route("acme", &[upstream.address], "")
    ));
    let mut tls = site.connect("acme.test");
    // What the client's own kernel takes in at once would not be read slowly.
    socket2::SockRef::from(&tls.sock)
        .set_recv_buffer_size(64 * 1024)
        .unwrap();
    let mut received = Vec::new();
    let mut room = vec![0; 32 * 1024];
    loop {
        let n = tls.read(&mut room).unwrap();
        if n == 0 {
            break;
        }
        received.extend_from_slice(&room[..n]);
        // The pace, not a wait: 1.5 MB take longer than twice the idle limit.
        std::thread::sleep(Duration::from_millis(60));
    }
    assert!(received == sent, "{} of {SIZE} bytes", received.len());
    support::tls::close_notify(&mut tls);
    drop(tls);
    gateway.finished("ok");
}
