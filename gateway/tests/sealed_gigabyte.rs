//! Memory does not grow with the body: 1 GB up and down through a sealed route.
//!
//! Takes about 10 s on two cores. The service is a pipe: what is uploaded is what is downloaded at the same time.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use support::pki::{Validity, http_route};
use support::tcp::Upstream;
use support::{Gateway, Site, noise};

const SIZE: usize = 1 << 30;
const BLOCK: usize = 1 << 20;
/// The gateway's own, before any connection, is about 15 MB.
const PEAK_RSS_MOST: u64 = 100_000_000;

/// The body, block by block: no two of them are equal, and nobody keeps it.
fn block(base: &mut [u8], number: usize) -> &[u8] {
    for page in base.chunks_mut(4096) {
        page[..8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    base
}

/// Reads a head and gives its first line and Content-Length.
fn read_head(stream: &mut impl BufRead) -> (String, u64) {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        match line.trim_end().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => return (first, length),
        }
    }
}

/// What passes from the upload to the download: its length, then its bytes.
struct Pipe {
    into: Mutex<Option<SyncSender<Vec<u8>>>>,
    out: Mutex<Receiver<Vec<u8>>>,
    length: (SyncSender<u64>, Mutex<Receiver<u64>>),
}

fn serve(pipe: &Pipe, socket: TcpStream) {
    let mut writer = socket.try_clone().unwrap();
    let mut stream = BufReader::with_capacity(BLOCK, socket);
    if stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
        let (first, length) = read_head(&mut stream);
        if first.starts_with("PUT") {
            let into = pipe.into.lock().unwrap().take().unwrap();
            pipe.length.0.send(length).unwrap();
            let mut left = length as usize;
            while left > 0 {
                let bytes = stream.fill_buf().unwrap();
                let bytes = bytes[..bytes.len().min(left)].to_vec();
                assert!(!bytes.is_empty(), "cut");
                stream.consume(bytes.len());
                left -= bytes.len();
                into.send(bytes).unwrap();
            }
            writer
                .write_all(
                    b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                )
                .unwrap();
        } else {
            let length = pipe.length.1.lock().unwrap().recv().unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            writer.write_all(head.as_bytes()).unwrap();
            let out = pipe.out.lock().unwrap();
            while let Ok(bytes) = out.recv() {
                writer.write_all(&bytes).unwrap();
            }
        }
    }
}

fn start() -> (Site, Upstream, Gateway, support::tls::Client) {
    let (into, out) = sync_channel(32);
    let length = sync_channel(1);
    let pipe = Arc::new(Pipe {
        into: Mutex::new(Some(into)),
        out: Mutex::new(out),
        length: (length.0, Mutex::new(length.1)),
    });
    let upstream = Upstream::serve(move |socket| serve(&pipe, socket));
    let site = Site::new();
    let readers = site.other_ca("readers");
    let reader = site.issue(&readers, "reader", &["reader.test"], Validity::Now);
    site.keyring("acme");
    let gateway = site.run(
        &(site.tenant(
            "acme",
            &["a.test"],
            "client_auth = \"required\"\nclient_ca = \"readers.pem\"\nkeyring = \"acme.keyring\"",
        ) + &http_route("acme", "sealed", &[upstream.address], "readers = \"mtls\"")),
    );
    let client = site.client().identity(&reader);
    (site, upstream, gateway, client)
}

#[test]
fn one_gigabyte_passes_in_bounded_memory() {
    let (site, _upstream, gateway, client) = start();
    let before = gateway.peak_rss_bytes();
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut tls = client.connect(site.listen, "a.test").unwrap();
            write!(
                tls,
                "PUT /giga HTTP/1.1\r\nHost: a.test\r\nContent-Length: {SIZE}\r\n\r\n"
            )
            .unwrap();
            let mut base = noise(BLOCK, 1);
            for number in 0..SIZE / BLOCK {
                tls.write_all(block(&mut base, number)).unwrap();
            }
            tls.flush().unwrap();
            let (status, _) = read_head(&mut BufReader::new(tls));
            assert!(status.starts_with("HTTP/1.1 201"), "{status}");
        });
        let mut tls = client.connect(site.listen, "a.test").unwrap();
        write!(tls, "GET /giga HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        tls.flush().unwrap();
        let mut stream = BufReader::with_capacity(BLOCK, tls);
        let (status, length) = read_head(&mut stream);
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        assert_eq!(length, SIZE as u64);
        let (mut base, mut got) = (noise(BLOCK, 1), vec![0; BLOCK]);
        for number in 0..SIZE / BLOCK {
            stream.read_exact(&mut got).unwrap();
            assert!(got == block(&mut base, number), "block {number} differs");
        }
    });
    let peak = gateway.peak_rss_bytes();
    println!(
        "1 GB up and down in {:?}; peak RSS {} MB, {} MB before",
        started.elapsed(),
        peak / 1_000_000,
        before / 1_000_000
    );
    assert!(peak < PEAK_RSS_MOST, "peak RSS {peak}");
}
