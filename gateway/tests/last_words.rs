//! What a client sent before it ended reaches the service, whatever the service says meanwhile.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::sync::mpsc::channel;

use support::pki::tcp_route;
use support::tcp::Upstream;
use support::tls::{close_notify, read_to_end};
use support::{DEADLINE, Site};

const UPLOAD: usize = 4_000_000;

/// Uploads and ends at once, over TLS 1.2 or 1.3, to a service that answers every read.
fn upload(tls12: bool) {
    let (total, received) = channel();
    let upstream = Upstream::serve(move |mut socket| {
        let (mut room, mut read) = (vec![0; 16 * 1024], 0);
        loop {
            match socket.read(&mut room) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) => panic!("after {read} bytes: {error}"),
            }
            // The gateway may have closed by the time of the last answers.
            let _ = socket.write_all(b"noted");
        }
        total.send(read).unwrap();
    });
    let site = Site::new();
    let tenant = site.tenant("acme", &["acme.test"], "");
    let gateway = site.run(&format!(
        "{tenant}{}",
        tcp_route("acme", &[upstream.address], "")
    ));
    let client = if tls12 {
        site.client().tls12()
    } else {
        site.client()
    };
    let mut tls = client.connect(site.listen, "acme.test").unwrap();
    tls.write_all(&vec![7; UPLOAD]).unwrap();
    close_notify(&mut tls);
    // A client that closes with answers unread sends a RST, which takes back what it sent.
    read_to_end(&mut tls);
    drop(tls);
    assert_eq!(received.recv_timeout(DEADLINE).unwrap(), UPLOAD);
    let entry = gateway.entry("the connection", |entry| entry.has("route", "acme-tcp"));
    assert_eq!(entry.number("bytes_in"), UPLOAD as u64, "{}", entry.line);
}

#[test]
fn an_upload_that_ends_with_its_client_is_whole_over_tls_1_3() {
    upload(false);
}

#[test]
fn an_upload_that_ends_with_its_client_is_whole_over_tls_1_2() {
    upload(true);
}
