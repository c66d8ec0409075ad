//! HTTP/2: what the generator counts is what the server counted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod http2_target;
mod program;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    sync::atomic::Ordering::SeqCst,
};

use http2_target::{
    assert_done, counts,
    frames::Frames,
    run,
    server::{Conduct, Server},
};
use program::{Origin, TlsFiles, loadgen, result, service};
use serde_json::{Value, json};

const H2: &[u8] = b"h2";

#[test]
fn requests_over_tls_are_as_many_as_the_server_saw() {
    let files = TlsFiles::new();
    let server = Server::tls(&files, &[b"http/1.1", H2], Conduct::default());
    let flags = ["-n", "301", "-c", "3", "-m", "7", "-t", "2", "-H", "X-A: b"];
    let closed = run(&server.tls_url("/bytes/100?q"), &flags);
    assert_done(&closed, 301);
    assert_eq!(server.requests(), 301);
    assert_eq!(
        closed.1["totals"]["bytes"],
        json!({ "sent": 0, "received": 30_100 })
    );
    assert_eq!(closed.1["statuses"], json!({ "200": 301 }));
    assert_eq!(closed.1["tls"]["alpn"], json!({ "h2": 3 }));
    assert_eq!(closed.1["http"]["version"], json!({ "2": 3 }));
    assert_eq!(
        (
            server.connections(),
            &closed.1["connections"]["established"]
        ),
        (3, &json!(3))
    );
    let particulars = &closed.1["configuration"]["particulars"];
    assert_eq!(
        (&particulars["http_version"], &particulars["streams"]),
        (&json!("2"), &json!(7))
    );
    let last = server.counters.last.lock().unwrap().clone();
    for (name, value) in [("x-a", "b"), (":uri", &server.tls_url("/bytes/100?q"))] {
        assert!(
            last.contains(&(name.to_owned(), value.to_owned())),
            "{last:?}"
        );
    }
    assert!(last.iter().all(|(name, _)| name != "host"), "{last:?}");

    let flags = [
        "-n",
        "200",
        "-R",
        "4k",
        "-c",
        "2",
        "-m",
        "10",
        "--size",
        "uniform:0,3k",
    ];
    let open = run(&server.tls_url("/x"), &flags);
    assert_done(&open, 200);
    assert_eq!(open.1["loop"], "open");
    assert_eq!(open.1["generator"]["lag"]["count"], 200);
    assert_eq!(server.requests(), 501);
    let sent = open.1["totals"]["bytes"]["sent"].as_u64().unwrap();
    assert_eq!(server.counters.body_bytes.load(SeqCst), sent);
}

#[test]
fn streams_of_a_connection_are_under_way_together() {
    // The server answers nothing until eight wait on each connection.
    let server = Server::plain(Conduct::default());
    let closed = run(
        &server.url("/together/8"),
        &["-n", "64", "-c", "2", "-m", "8"],
    );
    assert_done(&closed, 64);
    assert_eq!(closed.1["http"]["version"], json!({ "2": 2 }));
    // In an open loop too, connections times streams is the capacity.
    let open = run(
        &server.url("/together/8"),
        &["-n", "64", "-R", "64k", "-c", "2", "-m", "8"],
    );
    assert_done(&open, 64);
    assert_eq!(server.counters.most_at_once.load(SeqCst), 8);
    assert_eq!((server.requests(), server.connections()), (128, 4));
}

#[test]
fn keys_are_renewed_by_the_requests_of_all_streams() {
    let files = TlsFiles::new();
    let server = Server::tls(&files, &[H2], Conduct::default());
    // Each of the four streams has ten requests: none would make the connection's twenty.
    let flags = [
        "-n",
        "40",
        "-m",
        "4",
        "--tls",
        "1.3",
        "--key-update",
        "20req",
    ];
    let run = run(&server.tls_url("/together/4"), &flags);
    assert_done(&run, 40);
    let sent = run.1["key_updates"]["sent"].as_u64().unwrap();
    assert!(sent >= 1, "{}", run.1["key_updates"]);
}

#[test]
fn a_target_that_allows_fewer_streams_gets_no_more_and_the_report_says_so() {
    for (allowed, flags) in [(1, &["-c", "2"][..]), (3, &["-R", "10k"])] {
        let server = Server::plain(Conduct {
            max_streams: Some(allowed),
            ..Conduct::default()
        });
        let (code, json) = run(
            &server.url("/"),
            &[&["-n", "50", "-m", "10"], flags].concat(),
        );
        assert_done(&(code, json.clone()), 50);
        // More would have been refused, and failed.
        assert!(server.counters.most_at_once.load(SeqCst) <= u64::from(allowed));
        assert_eq!(json["http"]["streams_allowed"], allowed);
        let reasons = json["verdict"]["reasons"].as_array().unwrap();
        let reason = reasons
            .iter()
            .find(|reason| reason["code"] == "few_streams")
            .unwrap();
        let message = reason["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("allows {allowed} streams")),
            "{message}"
        );
        assert_eq!(server.requests(), 50);
    }
}

#[test]
fn a_limit_that_changes_is_followed() {
    // One stream at first; with the answer to it, two.
    let address = service(|stream| {
        let Some(mut frames) = Frames::accept(stream, &[(3, 1)]) else {
            return;
        };
        let Some(first) = frames.request() else {
            return;
        };
        frames.allow(2);
        frames.ok(first);
        while let (Some(one), Some(other)) = (frames.request(), frames.request()) {
            frames.ok(other);
            frames.ok(one);
        }
    });
    let run = run(&format!("http://{address}/"), &["-n", "21", "-m", "5"]);
    assert_done(&run, 21);
    assert_eq!(run.1["http"]["streams_allowed"], 1, "the fewest there were");
}

#[test]
fn large_bodies_cross_whole_in_both_directions() {
    let files = TlsFiles::new();
    let server = Server::tls(&files, &[H2], Conduct::default());
    let check = ["--check", "hash", "-m", "3", "-n", "6"];
    let down = run(&server.tls_url("/bytes/6000001"), &check);
    assert_done(&down, 6);
    assert_eq!(down.1["totals"]["bytes"]["received"], 36_000_006);
    let up = run(
        &server.tls_url("/x"),
        &[&check[..], &["--size", "6000001"]].concat(),
    );
    assert_done(&up, 6);
    assert_eq!(
        up.1["totals"]["bytes"],
        json!({ "sent": 36_000_006, "received": 0 })
    );
    assert_eq!(server.counters.body_bytes.load(SeqCst), 36_000_006);
    let last = server.counters.last.lock().unwrap().clone();
    assert!(
        last.iter().any(|(name, _)| name == "content-digest"),
        "{last:?}"
    );
    let echo = [
        "--check",
        "echo",
        "--size",
        "uniform:1,900k",
        "-m",
        "4",
        "-n",
        "12",
    ];
    let echo = run(&server.tls_url("/"), &echo);
    assert_done(&echo, 12);
    assert_eq!(
        echo.1["totals"]["bytes"]["sent"],
        echo.1["totals"]["bytes"]["received"]
    );

    let bulk = |path: &str, way: &str| {
        let url = server.tls_url(path);
        let all = ["bulk", &url, way, "--http", "2", "-m", "2", "-n", "5"];
        let run = result(&[&all[..], &["--bytes", "3000001"]].concat());
        assert_done(&run, 5);
        run.1["totals"]["bytes"].clone()
    };
    let down = bulk("/bytes/3000001", "--down");
    assert_eq!(down, json!({ "sent": 0, "received": 15_000_005 }));
    let up = bulk("/x", "--up");
    assert_eq!(up, json!({ "sent": 15_000_005, "received": 0 }));
}

#[test]
fn a_body_that_is_not_what_was_sent_is_corrupt() {
    // `/bytes/N` does not echo: it answers with N bytes of the same pattern.
    let server = Server::plain(Conduct::default());
    let echo = ["--check", "echo", "--size", "100", "-X", "PATCH", "-n", "4"];
    let (code, json) = run(&server.url("/bytes/99"), &echo);
    assert_eq!(
        (code, &json["totals"]["operations"]["corrupt"]),
        (2, &json!(4)),
        "{json:#}"
    );
    assert_eq!(json["errors"][0]["class"], "wrong_length");
}

#[test]
fn a_target_without_http2_is_told_apart() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let ran = loadgen(&["request", &origin.tls_url("/"), "--http", "2", "-n", "5"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    for said in ["ALPN", "--http 1.1"] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert!(
        ran.stdout.contains("handshake/wrong_protocol"),
        "{}",
        ran.stdout
    );
    // One that does not know ALPN chooses nothing.
    let server = Server::tls(&files, &[], Conduct::default());
    let (code, json) = run(&server.tls_url("/"), &["-n", "5"]);
    assert_eq!(
        (code, &json["errors"][0]["class"]),
        (2, &json!("wrong_protocol")),
        "{json:#}"
    );
    assert_eq!(server.requests(), 0);
    // The other way round.
    let server = Server::tls(&files, &[H2], Conduct::default());
    let (code, json) = result(&["request", &server.tls_url("/"), "-n", "5"]);
    assert_eq!(
        (code, &json["errors"][0]["class"]),
        (2, &json!("wrong_protocol")),
        "{json:#}"
    );
    // Without TLS it answers in HTTP/1.1, which is no frame.
    let address = service(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let (code, json) = run(&format!("http://{address}/"), &["-n", "5"]);
    assert_eq!(code, 2, "{json:#}");
    let errors = json["errors"].as_array().unwrap();
    assert!(
        errors.iter().all(|error| error["phase"] == "handshake"),
        "{json:#}"
    );
    assert_eq!(errors[0]["class"], "http");
}

#[test]
fn auto_speaks_what_the_target_prefers() {
    let files = TlsFiles::new();
    let auto = |url: &str, flags: &[&str]| {
        result(
            &[
                &["request", url, "--http", "auto", "-n", "20", "-c", "2"],
                flags,
            ]
            .concat(),
        )
        .1
    };
    let server = Server::tls(&files, &[H2, b"http/1.1"], Conduct::default());
    let json = auto(&server.tls_url("/"), &["-m", "4"]);
    assert_eq!(counts(&json), [20, 20, 20, 0], "{json:#}");
    assert_eq!(json["http"]["version"], json!({ "2": 2 }));
    assert_eq!(server.connections(), 3, "one asked before the run");
    // This server speaks nothing else than HTTP/2, and says otherwise.
    let server = Server::tls(&files, &[b"http/1.1", H2], Conduct::default());
    let json = auto(&server.tls_url("/"), &[]);
    let spoken = json["tls"]["alpn"].as_object().unwrap();
    assert_eq!(spoken.keys().collect::<Vec<_>>(), ["http/1.1"]);
    assert_eq!(server.requests(), 0);
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/none");
    let all = [
        "request", &url, "--http", "auto", "--check", "none", "-n", "5",
    ];
    let (_, json) = result(&all);
    assert_eq!(
        (counts(&json), &json["http"]["version"]),
        ([5, 5, 5, 0], &json!({ "1.1": 1 }))
    );
    let ran = loadgen(&[&all[..], &["-m", "2"]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(
        ran.stderr.contains("which the target prefers"),
        "{}",
        ran.stderr
    );
}

#[test]
fn another_servers_http2_is_understood() {
    // Node's, which is nghttp2: over TLS, and by prior knowledge.
    let files = TlsFiles::new();
    for tls in [
        vec![],
        vec![files.path("server.pem"), files.path("server.key")],
    ] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http2_target/node.mjs");
        let mut node = Command::new("node")
            .arg(script)
            .args(&tls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap();
        let scheme = if tls.is_empty() { "http" } else { "https" };
        let url = format!("{scheme}://127.0.0.1:{port}/");
        let get = run(&url, &["-n", "150", "-c", "2", "-m", "20"]);
        assert_done(&get, 150);
        let echo = [
            "-n",
            "20",
            "-m",
            "4",
            "--check",
            "echo",
            "--size",
            "lognorm:90k,1.0",
        ];
        let echo = run(&url, &echo);
        assert_done(&echo, 20);
        drop(node.stdin.take());
        let counted: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let sent = &echo.1["totals"]["bytes"]["sent"];
        assert_eq!(
            counted,
            json!({ "sessions": 3, "requests": 170, "bytes": sent })
        );
        node.wait().unwrap();
    }
}

#[test]
fn flags_that_do_not_fit_are_refused_with_what_would() {
    let tls = "https://127.0.0.1:9/";
    let cases: [(&[&str], &str); 8] = [
        (&["request", tls, "-m", "2"], "add --http 2"),
        (&["request", tls, "--http", "1.1", "-m", "2"], "raise -c"),
        (
            &["request", "http://127.0.0.1:9/", "--http", "auto"],
            "prior knowledge",
        ),
        (
            &["request", tls, "--http", "2", "-H", "Connection: close"],
            "RFC 9113",
        ),
        (
            &["request", tls, "--http", "2", "-H", "Host: a b"],
            "no host",
        ),
        (
            &["request", "tls://127.0.0.1:9", "--echo", "--http", "2"],
            "cannot be used with",
        ),
        (&["request", tls, "--http", "3"], "1.1, 2, auto"),
        (
            &["bulk", "tls://127.0.0.1:9", "--http", "2"],
            "need an http(s) URL",
        ),
    ];
    for (flags, said) in cases {
        let ran = loadgen(flags);
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{flags:?}: {}", ran.stderr);
    }
}

/// Requests by URI, and the most URIs on one connection.
fn by_uri(server: &Server) -> (BTreeMap<String, u64>, usize) {
    let connections = server.counters.of_connections.lock().unwrap();
    let mut all = BTreeMap::new();
    for (uri, n) in connections.values().flatten() {
        *all.entry(uri.clone()).or_default() += n;
    }
    let most = connections.values().map(BTreeMap::len).max();
    (all, most.unwrap_or(0))
}

/// What the report says of the same, by tenant.
fn by_tenant(json: &Value, uri: impl Fn(&str) -> String) -> BTreeMap<String, u64> {
    let rows = json["tenants"].as_array().unwrap().iter();
    let counted = |row: &Value| {
        let succeeded = row["operations"]["succeeded"].as_u64().unwrap();
        (uri(row["name"].as_str().unwrap()), succeeded)
    };
    rows.map(counted).filter(|(_, n)| *n > 0).collect()
}

#[test]
fn tenants_have_their_own_names_and_connections() {
    let files = TlsFiles::new();
    let server = Server::tls(&files, &[H2], Conduct::default());
    let address = server.address.to_string();
    let flags = [
        "--connect-to",
        &address,
        "--tenants",
        "5:zipf(1)",
        "-n",
        "300",
    ];
    let lanes = ["-c", "2", "-m", "4", "-t", "2", "-H", "X-Tenant: {tenant}"];
    let closed = run(
        "https://{tenant}.test/o/{tenant}",
        &[&flags[..], &lanes].concat(),
    );
    assert_done(&closed, 300);
    let (seen, most) = by_uri(&server);
    let named = by_tenant(&closed.1, |name| format!("https://{name}.test/o/{name}"));
    assert_eq!(
        (seen, most),
        (named, 1),
        "a connection is one tenant's alone"
    );
    // In each of two places one for each tenant, and no more.
    let established = closed.1["connections"]["established"].as_u64().unwrap();
    assert!((5..=10).contains(&established), "{established}");
    assert_eq!(established, server.connections());
    let names = closed.1["tls"]["server_name"].as_object().unwrap();
    assert_eq!(names.len(), 5, "{names:?}");

    // A target that allows one stream gets one, whatever the lanes want.
    let narrow = Conduct {
        max_streams: Some(1),
        ..Conduct::default()
    };
    let server = Server::tls(&files, &[H2], narrow);
    let address = server.address.to_string();
    let flags = [
        "--connect-to",
        &address,
        "--sni",
        "a.test,b.test",
        "-n",
        "100",
    ];
    let open = ["-c", "1", "-m", "4", "-R", "2k", "--size", "10"];
    let opened = run("https://x.test/", &[&flags[..], &open].concat());
    assert_done(&opened, 100);
    assert_eq!(server.counters.most_at_once.load(SeqCst), 1);
    assert_eq!((by_uri(&server).1, server.connections()), (1, 2));
}

#[test]
fn tenants_share_connections_where_only_the_path_is_theirs() {
    let server = Server::plain(Conduct::default());
    let flags = ["--tenants", "3", "-n", "90", "-c", "2", "-m", "4"];
    let done = run(&server.url("/{tenant}/o"), &flags);
    assert_done(&done, 90);
    let named = by_tenant(&done.1, |name| server.url(&format!("/{name}/o")));
    assert_eq!(by_uri(&server).0, named);
    assert_eq!(server.connections(), 2);
}
