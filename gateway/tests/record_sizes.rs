//! The records that a client is sent: small at first, so that it can use what has come, and then full.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};

use support::pki::tcp_route;
use support::tcp::Upstream;
use support::{Site, noise};

const LEN: usize = 1_000_000;
const RAMP: usize = 32 * 1024;
/// Header, content type, tag.
const HEADER_LEN: usize = 5;
const HIDDEN_LEN: usize = 1 + 16;
const SMALL: usize = 4096;
const FULL: usize = 16_384;

/// Plaintext bytes of the next record.
fn next_record(wire: &mut impl Read) -> usize {
    let mut header = [0; HEADER_LEN];
    wire.read_exact(&mut header).unwrap();
    assert_eq!(header[0], 23, "nothing goes in the clear");
    let body_len = usize::from(u16::from_be_bytes([header[3], header[4]]));
    wire.read_exact(&mut vec![0; body_len]).unwrap();
    body_len - HIDDEN_LEN
}

#[test]
fn the_first_32_kib_go_in_small_records_and_the_rest_in_full_ones() {
    for engine in ["direct", "rustls"] {
        let upstream = Upstream::serve(|mut socket| {
            let mut asked = [0];
            if socket.read_exact(&mut asked).is_ok() {
                let _ = socket.write_all(&noise(LEN, 3));
            }
            // Its end comes with the client's.
            let _ = socket.read(&mut asked);
        });
        let site = Site::new();
        let _gateway = site.run(&format!(
            "[tls]\nengine = \"{engine}\"\n{}{}",
            site.tenant("acme", &["acme.test"], ""),
            tcp_route("acme", &[upstream.address], ""),
        ));
        let mut tls = site.connect("acme.test");
        let ticket = next_record(&mut tls.sock);
        assert!(ticket < SMALL, "{engine}: {ticket}");
        tls.write_all(b"?").unwrap();
        let (mut sent, mut largest) = (0, 0);
        while sent < LEN {
            let len = next_record(&mut tls.sock);
            let most = if sent < RAMP { SMALL } else { FULL };
            assert!(len <= most, "{engine}: {len} bytes behind {sent}");
            sent += len;
            largest = largest.max(len);
        }
        assert_eq!((sent, largest), (LEN, FULL), "{engine}");
    }
}
