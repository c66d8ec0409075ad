//! KeyUpdates under load: as many as the target saw, and no byte wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;
mod tls_server;

use program::{Origin, TlsFiles, loadgen, result};
use serde_json::{Value, json};
use tls_server::{Behaviour, Speaks, TlsServer, openssl::Openssl};

fn sent(json: &Value) -> u64 {
    json["key_updates"]["sent"].as_u64().unwrap()
}

fn received(json: &Value) -> u64 {
    json["key_updates"]["received"].as_u64().unwrap()
}

fn assert_succeeded(json: &Value, n: u64) {
    assert_eq!(
        json["totals"]["operations"]["succeeded"],
        json!(n),
        "{json:#}"
    );
    assert_eq!(json["errors"], json!([]));
}

#[test]
fn after_so_many_requests_there_is_one_and_its_answer() {
    let files = TlsFiles::new();
    let server = TlsServer::start(&files, Behaviour::default());
    let target = format!("tls://{}", server.target());
    let run = ["request", &target, "--echo", "--size", "333"];
    let once = [&run[..], &["-n", "95", "-c", "1", "--key-update", "10req"]].concat();
    let (_, once) = result(&once);
    assert_succeeded(&once, 95);
    // In front of the 11th, the 21st, ... the 91st request.
    assert_eq!(once["key_updates"], json!({ "sent": 9, "received": 9 }));
    assert_eq!(once["configuration"]["tls"]["key_update"], "10req");
    assert_eq!(server.seen().key_updates, 9);

    let never = [&run[..], &["-n", "50"]].concat();
    let (_, never) = result(&never);
    assert_eq!(never["key_updates"], Value::Null);
    assert_eq!(server.seen().key_updates, 9);

    let open = [
        "-n",
        "200",
        "-c",
        "4",
        "-t",
        "2",
        "-R",
        "2k",
        "--key-update",
        "5req",
    ];
    let (_, open) = result(&[&run[..], &open].concat());
    assert_succeeded(&open, 200);
    // 200 requests on 4 connections: none in front of the first ones.
    assert!(
        (200 / 5 - 4..200 / 5).contains(&sent(&open)),
        "{}",
        sent(&open)
    );
    assert_eq!(received(&open), sent(&open));
    assert_eq!(server.seen().key_updates, 9 + sent(&open));
}

#[test]
fn after_so_many_bytes_there_is_one_in_either_direction() {
    let files = TlsFiles::new();
    let server = TlsServer::start(&files, Behaviour::default());
    let target = format!("tls://{}", server.target());
    let echo = [
        "request",
        &target,
        "--echo",
        "--size",
        "4KiB",
        "-n",
        "100",
        "--key-update",
        "16KiB",
    ];
    let (_, echo) = result(&echo);
    assert_succeeded(&echo, 100);
    // 800 KiB both ways, and one every 16 KiB or a little later.
    assert!((34..=50).contains(&sent(&echo)), "{}", sent(&echo));
    assert_eq!(server.seen().key_updates, sent(&echo));
    assert!(sent(&echo) - received(&echo) <= 1);

    // One way only, through our own engine on both sides.
    let origin = Origin::start_tls(&files, &[]);
    for (service, way) in [("source", "--down"), ("sink", "--up")] {
        let bulk = [
            "bulk",
            &origin.tls(service),
            way,
            "--bytes",
            "20MB",
            "-n",
            "2",
            "--key-update",
            "1MB",
        ];
        let (_, bulk) = result(&bulk);
        assert_succeeded(&bulk, 2);
        // One at least on each connection; an answer comes behind all that is under way.
        assert!((2..=40).contains(&sent(&bulk)), "{way}: {}", sent(&bulk));
        assert!(sent(&bulk) - received(&bulk) <= 2, "{way}: {bulk:#}");
    }
}

#[test]
fn a_connection_of_a_tenant_counts_its_own_requests_whichever_slot_uses_it() {
    let files = TlsFiles::new();
    let server = TlsServer::start(
        &files,
        Behaviour {
            speaks: Speaks::Http,
            ..Behaviour::default()
        },
    );
    let url = format!("https://{}/", server.target());
    let flags = [
        "--sni",
        "{tenant}.test",
        "--tenants",
        "3",
        "-n",
        "300",
        "-c",
        "3",
    ];
    let every = ["--key-update", "7req"];
    let (_, json) = result(&[&["request", &url][..], &flags, &every].concat());
    assert_succeeded(&json, 300);
    let seen = server.seen();
    let requests: u64 = seen.connections.values().map(|of| of.requests).sum();
    assert_eq!(requests, 300);
    for of in seen.connections.values() {
        assert_eq!(
            of.key_updates,
            (of.requests - 1) / 7,
            "{:?}",
            seen.connections
        );
    }
    assert_eq!(
        (sent(&json), received(&json)),
        (seen.key_updates, seen.key_updates)
    );
}

#[test]
fn what_has_no_key_updates_is_refused() {
    for (flags, says) in [
        (&["--tls", "1.2"][..], "TLS 1.2 has no KeyUpdate"),
        (&["--plain"], "cannot be used with '--plain'"),
        (&["--key-update", "10"], "write 64MiB"),
    ] {
        let ran = match flags {
            ["--key-update", ..] => loadgen(&[&["bulk", "tls://localhost:1"], flags].concat()),
            _ => loadgen(&[&["bulk", "tls://localhost:1", "--key-update", "1MB"], flags].concat()),
        };
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}

#[test]
fn openssl_sees_as_many_and_answers_each() {
    let files = TlsFiles::new();
    let server = Openssl::start(&files, &[]);
    let target = format!("tls://{}", server.target());
    let run = [
        "request",
        &target,
        "--echo",
        "--size",
        "1000",
        "-n",
        "60",
        "--key-update",
        "5req",
    ];
    let (_, run) = result(&run);
    assert_succeeded(&run, 60);
    assert_eq!(run["key_updates"], json!({ "sent": 11, "received": 11 }));
    assert_eq!(server.messages("KeyUpdate"), (11, 11), "read and written");
}
