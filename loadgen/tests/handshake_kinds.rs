//! Handshakes of each kind are as many as the target counted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;
mod tls_server;

use std::collections::BTreeMap;

use program::{TlsFiles, loadgen, result};
use serde_json::{Value, json};
use tls_server::{Behaviour, TlsServer, nginx::Nginx, openssl::Openssl};

fn assert_succeeded(json: &Value, n: u64) {
    let operations = &json["totals"]["operations"];
    assert_eq!(operations["succeeded"], json!(n), "{json:#}");
    assert_eq!(json["errors"], json!([]));
}

/// Kinds by name: how many succeeded, and how many were of the wrong kind.
fn kinds(json: &Value) -> BTreeMap<&str, (u64, u64)> {
    let kinds = json["kinds"].as_array().unwrap().iter();
    kinds
        .map(|kind| {
            let count = |what: &str| kind["operations"][what].as_u64().unwrap();
            let name = kind["name"].as_str().unwrap();
            (name, (count("succeeded"), count("wrong_kind")))
        })
        .collect()
}

fn codes(json: &Value) -> Vec<&str> {
    let reasons = json["verdict"]["reasons"].as_array().unwrap().iter();
    reasons
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

/// Against a server of the test, with closes that wait for its own.
fn run(server: &TlsServer, flags: &[&str]) -> (i32, Value) {
    let target = server.target();
    let common = ["handshake", &target, "--close", "notify"];
    result(&[&common[..], flags].concat())
}

#[test]
fn kinds_have_their_shares_and_the_server_counts_the_same() {
    let files = TlsFiles::new();
    let server = TlsServer::start(
        &files,
        Behaviour {
            asks_for_certificates: true,
            ..Behaviour::default()
        },
    );
    let (cert, key) = (files.path("client.pem"), files.path("client.key"));
    let shares = [
        "--resume",
        "50%",
        "--early-data",
        "50%",
        "--mtls",
        "10%",
        "--cert",
        &cert,
        "--key",
        &key,
    ];
    let (_, mixed) = run(&server, &[&shares[..], &["-n", "200", "-c", "4"]].concat());
    assert_succeeded(&mixed, 200);
    assert_eq!(
        kinds(&mixed),
        BTreeMap::from([
            ("full", (80, 0)),
            ("resumed", (50, 0)),
            ("early_data", (50, 0)),
            ("mtls", (20, 0)),
        ])
    );
    assert_eq!(mixed["tls"]["kind"], json!({ "full": 100, "resumed": 100 }));
    assert_eq!(mixed["tls"]["early_data"], json!({ "accepted": 50 }));
    let primers = mixed["connections"]["priming"].as_u64().unwrap();
    let seen = server.seen();
    assert_eq!((seen.full, seen.resumed), (100 + primers, 100));
    assert_eq!((seen.early_data_taken, seen.certificates), (50, 20));
    assert_eq!(seen.failed, 0);

    // Without a share, every full handshake shows it.
    let (_, all) = run(&server, &["-n", "30", "--cert", &cert, "--key", &key]);
    assert_succeeded(&all, 30);
    assert_eq!(server.seen().certificates, 50);
}

#[test]
fn early_data_that_is_not_taken_does_not_count() {
    let files = TlsFiles::new();
    let server = TlsServer::start(
        &files,
        Behaviour {
            refuses_early_data_every: 5,
            ..Behaviour::default()
        },
    );
    let early = ["--resume", "100%", "--early-data", "100%", "-n", "60"];
    let (code, json) = run(&server, &early);
    assert_eq!(code, 2);
    assert!(codes(&json).contains(&"wrong_kind"));
    let seen = server.seen();
    let outcome = |what: &str| json["tls"]["early_data"][what].as_u64().unwrap_or(0);
    let (taken, rejected) = (outcome("accepted"), outcome("rejected"));
    assert_eq!(taken, seen.early_data_taken);
    assert!(rejected > 0, "{json:#}");
    // Tickets of a connection that took none allow none.
    assert_eq!(rejected + outcome("not_allowed"), seen.resumed - taken);
    assert_eq!(
        kinds(&json),
        BTreeMap::from([("early_data", (taken, 60 - taken))])
    );
    let said = json["errors"][0]["samples"].to_string();
    assert!(said.contains("did not take the early data"), "{said}");

    let never = TlsServer::start(
        &files,
        Behaviour {
            allows_no_early_data: true,
            ..Behaviour::default()
        },
    );
    let (code, json) = run(&never, &early);
    assert_eq!(code, 2);
    assert_eq!(json["tls"]["early_data"], json!({ "not_allowed": 60 }));
    assert_eq!(never.seen().resumed, 60);
}

#[test]
fn a_certificate_that_nobody_asks_for_is_not_mtls() {
    let files = TlsFiles::new();
    let server = TlsServer::start(&files, Behaviour::default());
    let (cert, key) = (files.path("client.pem"), files.path("client.key"));
    let flags = ["--mtls", "25%", "--cert", &cert, "--key", &key, "-n", "40"];
    let (code, json) = run(&server, &flags);
    assert_eq!(code, 2);
    assert_eq!(
        kinds(&json),
        BTreeMap::from([("full", (30, 0)), ("mtls", (0, 10))])
    );
    let said = json["errors"][0]["samples"].to_string();
    assert!(said.contains("asked for no client certificate"), "{said}");
}

#[test]
fn a_protocol_is_negotiated_or_the_handshake_does_not_count() {
    let files = TlsFiles::new();
    let alpn = &["h2"];
    let server = TlsServer::start(
        &files,
        Behaviour {
            alpn,
            ..Behaviour::default()
        },
    );
    let (_, json) = run(&server, &["--alpn", "http/1.1,h2", "-n", "20"]);
    assert_succeeded(&json, 20);
    assert_eq!(json["tls"]["alpn"], json!({ "h2": 20 }));
    assert_eq!(
        json["configuration"]["tls"]["alpn"],
        json!(["http/1.1", "h2"])
    );
    assert_eq!(server.seen().protocols, BTreeMap::from([("h2".into(), 20)]));

    let mute = TlsServer::start(&files, Behaviour::default());
    let (code, json) = run(&mute, &["--alpn", "h2", "-n", "20"]);
    assert_eq!(code, 2);
    // A target that never does right is given up early.
    let (succeeded, wrong) = kinds(&json)["full"];
    assert_eq!((succeeded, wrong > 0), (0, true));
    let said = json["errors"][0]["samples"].to_string();
    assert!(said.contains("no protocol of --alpn"), "{said}");
    let (_, json) = run(&mute, &["-n", "20"]);
    assert_succeeded(&json, 20);
}

#[test]
fn shares_that_cannot_be_had_are_refused() {
    let files = TlsFiles::new();
    let (cert, key) = (files.path("client.pem"), files.path("client.key"));
    let mtls = ["--mtls", "60%", "--cert", &cert, "--key", &key];
    for (flags, says) in [
        (&["--early-data", "10%"][..], "add --resume"),
        (
            &["--early-data", "10%", "--resume", "5%", "--tls", "1.2"],
            "TLS 1.2 has no early data",
        ),
        (&["--mtls", "10%"], "--cert <FILE>"),
        (&[&mtls[..], &["--resume", "50%"]].concat(), "more than all"),
        (&["--key-update", "1MB"], "--key-update is for request"),
        (&["--alpn", ""], "names of 1 to 255 bytes"),
    ] {
        let ran = loadgen(&[&["handshake", "localhost:1"], flags].concat());
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    let ran = loadgen(&["request", "https://localhost:1/", "--alpn", "h2"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("drop --alpn"), "{}", ran.stderr);
}

#[test]
fn openssl_takes_as_much_early_data() {
    let files = TlsFiles::new();
    let server = Openssl::start(&files, &["-early_data", "-max_early_data", "100"]);
    let target = server.target();
    let run = [
        "handshake",
        &target,
        "--resume",
        "75%",
        "--early-data",
        "40%",
        "-n",
        "40",
        "--close",
        "notify",
    ];
    let (_, run) = result(&run);
    assert_succeeded(&run, 40);
    assert_eq!(run["tls"]["early_data"], json!({ "accepted": 12 }));
    assert_eq!(server.messages("EndOfEarlyData"), (12, 0));
}

#[test]
fn nginx_logs_the_same_kinds() {
    for version in ["1.2", "1.3"] {
        let files = TlsFiles::new();
        let nginx = Nginx::start(&files);
        let target = format!("localhost:{}", nginx.address.port());
        let run = [
            "handshake",
            &target,
            "-n",
            "200",
            "-c",
            "4",
            "--resume",
            "50%",
            "--tls",
            version,
            "--close",
            "notify",
            "--connect-to",
            &nginx.address.to_string(),
        ];
        let (_, run) = result(&run);
        assert_succeeded(&run, 200);
        assert_eq!(run["tls"]["kind"], json!({ "full": 100, "resumed": 100 }));
        // Tickets for the resumed handshakes come from full ones, which are counted apart.
        let primers = run["connections"]["priming"].as_u64().unwrap();
        let logged = BTreeMap::from([
            (format!(". TLSv{version} localhost"), 100 + primers),
            (format!("r TLSv{version} localhost"), 100),
        ]);
        assert_eq!(nginx.lines(), logged);
    }
}

#[test]
fn tickets_of_a_file_are_refused_with_what_to_do() {
    for load in ["request", "handshake", "bulk", "conns"] {
        let ran = loadgen(&[load, "https://127.0.0.1:1/", "--tickets", "tickets.bin"]);
        assert_eq!(ran.code, 1, "{load}: {}", ran.stdout);
        for part in ["rustls 0.23", "--resume N%", "--warmup TIME"] {
            assert!(ran.stderr.contains(part), "{load}: {}", ran.stderr);
        }
    }
}
