//! The origin keeps what it is given, gives it back exactly, and shows what it saw.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use program::{Origin, TlsFiles, curl, curl_headers, loadgen, result};
use serde_json::Value;

fn file_of(bytes: &[u8]) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[test]
fn objects_come_back_whole_and_in_parts() {
    let origin = Origin::start(&[]);
    let data: Vec<u8> = (0..700_001u32).map(|i| (i * 7 % 251) as u8).collect();
    let (_file, path) = file_of(&data);
    let url = origin.url("/a/b");

    assert_eq!(curl(&[&url]).0, 404);
    assert_eq!(curl(&["-T", &path, "-H", "content-type: x/y", &url]).0, 201);
    assert_eq!(curl(&["-T", &path, "-H", "content-type: x/z", &url]).0, 204);
    let (status, body, head) = curl_headers(&[&url]);
    assert_eq!((status, body == data), (200, true));
    assert!(head.contains("content-type: x/z"), "{head}");
    assert!(head.contains("accept-ranges: bytes"), "{head}");
    let (status, body, head) = curl_headers(&["-I", &url]);
    assert_eq!(
        (status, body.is_empty() || body.starts_with(b"HTTP")),
        (200, true)
    );
    assert!(head.contains("content-length: 700001"), "{head}");

    let (status, body, head) = curl_headers(&["-r", "262140-262150", &url]);
    assert_eq!((status, body), (206, data[262_140..=262_150].to_vec()));
    assert!(
        head.contains("content-range: bytes 262140-262150/700001"),
        "{head}"
    );
    assert_eq!(curl(&["-r", "-5", &url]).1, data[699_996..]);
    let (status, _, head) = curl_headers(&["-r", "700001-", &url]);
    assert_eq!(status, 416);
    assert!(head.contains("content-range: bytes */700001"), "{head}");

    assert_eq!(curl(&["-X", "DELETE", &url]).0, 204);
    assert_eq!(curl(&["-X", "DELETE", &url]).0, 404);
    assert_eq!(curl(&[&url]).0, 404);
    assert_eq!(curl(&["-X", "PATCH", &url]).0, 405);
    let echoed = curl(&["--data-binary", "there and back", &url]);
    assert_eq!(echoed, (200, b"there and back".to_vec()));
    assert_eq!(curl(&[&url]).0, 404, "an echo stores nothing");
    assert_eq!(origin.terminate(), Some(0));
}

#[test]
fn chunked_uploads_and_entity_tags_work() {
    let origin = Origin::start(&[]);
    let (_file, path) = file_of(&[9; 300_000]);
    let url = origin.url("/chunked");
    assert_eq!(
        curl(&["-H", "transfer-encoding: chunked", "-T", &path, &url]).0,
        201
    );
    let (_, body, head) = curl_headers(&[&url]);
    assert_eq!(body, [9; 300_000]);
    let etag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap()
        .trim();
    let matching = format!("if-none-match: \"zz\", W/{etag}");
    assert_eq!(curl(&["-H", &matching, &url]).0, 304);
    assert_eq!(curl(&["-H", "if-none-match: \"zz\"", &url]).0, 200);
    let range = ["-r", "0-0", "-H", "if-range: \"zz\"", &url];
    assert_eq!(curl(&range).0, 200, "another version: no part of it");
}

#[test]
fn an_aborted_upload_stores_nothing() {
    let origin = Origin::start(&["--threads", "1"]);
    for head in ["content-length: 1000", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(origin.address("http")).unwrap();
        write!(
            stream,
            "PUT /half HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n5\r\nhello\r\n"
        )
        .unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // The end, or a reset: either way the origin is done with the connection.
        let _ = stream.read_to_end(&mut Vec::new());
        assert_eq!(curl(&[&origin.url("/half")]).0, 404, "{head}");
    }
}

#[test]
fn the_store_is_bounded() {
    let origin = Origin::start(&["--max-bytes", "1000"]);
    let (_large, large) = file_of(&[1; 1001]);
    let (_small, small) = file_of(&[1; 900]);
    assert_eq!(curl(&["-T", &large, &origin.url("/a")]).0, 507);
    let chunked = "transfer-encoding: chunked";
    assert_eq!(
        curl(&["-H", chunked, "-T", &large, &origin.url("/a")]).0,
        507
    );
    assert_eq!(curl(&["-T", &small, &origin.url("/a")]).0, 201);
    assert_eq!(curl(&["-T", &small, &origin.url("/b")]).0, 507);
    assert_eq!(curl(&["-X", "DELETE", &origin.url("/a")]).0, 204);
    assert_eq!(curl(&["-T", &small, &origin.url("/b")]).0, 201);
}

#[test]
fn hooks_show_flip_and_copy_what_is_stored() {
    let origin = Origin::start(&[]);
    let (_file, path) = file_of(b"hello");
    curl(&["-T", &path, "-H", "X-Seen: Yes", &origin.url("/a?q=1")]);
    assert_eq!(
        curl(&[&origin.url("/.origin/raw/a")]),
        (200, b"hello".to_vec())
    );
    let copy = origin.url("/.origin/copy?from=/a&to=/b");
    assert_eq!(curl(&["-X", "POST", &copy]).0, 201);
    assert_eq!(
        curl(&["-X", "POST", &origin.url("/.origin/flip/a?offset=4")]).0,
        204
    );
    assert_eq!(
        curl(&["-X", "POST", &origin.url("/.origin/flip/a?offset=5")]).0,
        404
    );
    assert_eq!(curl(&["-X", "POST", &origin.url("/.origin/flip/a")]).0, 400);
    assert_eq!(curl(&[&origin.url("/a")]).1, b"helln");
    assert_eq!(curl(&[&origin.url("/b")]).1, b"hello");

    let (_, log) = curl(&[&origin.url("/.origin/log")]);
    let log: Vec<Value> = String::from_utf8(log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(log.len(), 3, "hooks are not in it");
    assert_eq!(log[0]["method"], "PUT");
    assert_eq!(log[0]["target"], "/a?q=1");
    assert_eq!(log[0]["body_len"], 5);
    assert_eq!(log[0]["status"], 201);
    let headers = log[0]["headers"].as_array().unwrap();
    assert!(
        headers.contains(&serde_json::json!(["x-seen", "Yes"])),
        "{headers:?}"
    );
}

#[test]
fn tls_can_demand_a_client_certificate() {
    let files = TlsFiles::new();
    let ca = files.path("ca.pem");
    let origin = Origin::start_tls(&files, &["--client-ca", &ca]);
    let (cert, key) = (files.path("client.pem"), files.path("client.key"));
    let url = origin.tls_url("/a");
    let trusted = ["--cacert", &ca, "--cert", &cert, "--key", &key];
    assert_eq!(curl(&[&trusted[..], &[&url]].concat()).0, 404);
    assert_eq!(
        curl(&["--cacert", &ca, &url]).0,
        0,
        "no certificate, no answer"
    );
    // The server's own certificate is from the same authority, but the key decides.
    let foreign = TlsFiles::new();
    let (cert, key) = (foreign.path("client.pem"), foreign.path("client.key"));
    assert_eq!(
        curl(&["--cacert", &ca, "--cert", &cert, "--key", &key, &url]).0,
        0
    );
}

#[test]
fn echo_sink_and_source_keep_their_protocols() {
    let origin = Origin::start(&[]);
    let data: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();

    let mut echo = TcpStream::connect(origin.address("echo")).unwrap();
    let mut back = vec![0; data.len()];
    echo.write_all(&data).unwrap();
    echo.read_exact(&mut back).unwrap();
    assert_eq!(back, data);
    echo.shutdown(Shutdown::Write).unwrap();
    assert_eq!(echo.read_to_end(&mut back).unwrap(), 0, "a clean end");

    let mut sink = TcpStream::connect(origin.address("sink")).unwrap();
    sink.write_all(&data).unwrap();
    sink.shutdown(Shutdown::Write).unwrap();
    let mut count = Vec::new();
    sink.read_to_end(&mut count).unwrap();
    assert_eq!(count, 100_000u64.to_be_bytes());

    for length in [0u64, 1, 1_000_000] {
        let mut source = TcpStream::connect(origin.address("source")).unwrap();
        let (first, rest) = (&length.to_be_bytes()[..3], &length.to_be_bytes()[3..]);
        source.write_all(first).unwrap();
        source.write_all(rest).unwrap();
        let mut body = Vec::new();
        source.read_to_end(&mut body).unwrap();
        assert_eq!(body.len() as u64, length);
    }
}

#[test]
fn every_answer_waits_as_long_as_was_asked_for() {
    let origin = Origin::start(&["--delay", "steps:0s=30ms", "--seed", "7"]);
    let (url, tcp) = (origin.url("/x"), |service| {
        format!("tcp://{}", origin.address(service))
    });
    let (echo, source, sink) = (tcp("echo"), tcp("source"), tcp("sink"));
    for words in [
        &["request", &url, "-X", "POST", "--size", "50"][..],
        &["request", &echo, "--echo", "--size", "50"],
        &["bulk", &source, "--down", "--bytes", "50"],
        &["bulk", &sink, "--up", "--bytes", "50"],
    ] {
        let (_, json) = result(&[words, &["-n", "4", "-c", "2"]].concat());
        let totals = &json["totals"];
        assert_eq!(totals["operations"]["succeeded"], 4, "{json:#}");
        let shortest = totals["latency"]["response"]["min_ns"].as_u64().unwrap();
        // A histogram of three digits may say a little less.
        assert!(shortest >= 29_900_000, "{words:?}: {shortest}");
    }
    let ran = loadgen(&["origin", "--echo", "127.0.0.1:0", "--delay", "soon"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("lognorm:5ms,0.8"), "{}", ran.stderr);
}
