//! Requests as early data: as many as the target took, and each of them answered once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;
mod tls_server;

use program::{TlsFiles, assert_whole, loadgen, result};
use serde_json::{Value, json};
use tls_server::{Behaviour, Speaks, TlsServer};

fn start(files: &TlsFiles, behaviour: Behaviour) -> TlsServer {
    TlsServer::start(
        files,
        Behaviour {
            speaks: Speaks::Http,
            ..behaviour
        },
    )
}

fn run(server: &TlsServer, flags: &[&str]) -> (i32, Value) {
    let url = format!("https://{}/x", server.target());
    result(&[&["request", &url][..], flags].concat())
}

/// Requests that the server answered, in whatever way they came.
fn answered(server: &TlsServer) -> u64 {
    let seen = server.seen();
    seen.connections.values().map(|of| of.requests).sum()
}

fn outcome(json: &Value, name: &str) -> u64 {
    json["tls"]["early_data"][name].as_u64().unwrap_or(0)
}

#[test]
fn a_share_of_the_connections_begins_with_a_request_that_the_target_takes() {
    let files = TlsFiles::new();
    let server = start(&files, Behaviour::default());
    let flags = ["--early-data", "50%", "--reuse", "1", "-n", "60", "-c", "1"];
    let (code, json) = run(&server, &flags);
    assert_whole(code, &json, 60);
    assert_eq!(json["tls"]["early_data"], json!({ "accepted": 30 }));
    assert_eq!(json["tls"]["kind"], json!({ "full": 30, "resumed": 30 }));
    assert_eq!((answered(&server), server.seen().early_requests), (60, 30));

    // Only the first request of a connection can go so.
    let flags = [
        "--early-data",
        "100%",
        "--reuse",
        "3",
        "-n",
        "60",
        "-c",
        "1",
    ];
    let (code, json) = run(&server, &flags);
    assert_whole(code, &json, 60);
    assert_eq!(json["tls"]["early_data"], json!({ "accepted": 20 }));
    assert_eq!((answered(&server), server.seen().early_requests), (120, 50));

    // Tickets are those of one tenant alone.
    let flags = [
        "--early-data",
        "100%",
        "--reuse",
        "1",
        "-n",
        "40",
        "-c",
        "2",
    ];
    let names = ["--sni", "a.test,b.test"];
    let (code, json) = run(&server, &[&flags[..], &names].concat());
    assert_whole(code, &json, 40);
    assert_eq!(json["tls"]["early_data"], json!({ "accepted": 40 }));
    assert_eq!(answered(&server), 160);
}

#[test]
fn a_request_that_is_not_taken_is_sent_again_and_counts_once() {
    let files = TlsFiles::new();
    let server = start(
        &files,
        Behaviour {
            refuses_early_data_every: 3,
            ..Behaviour::default()
        },
    );
    let flags = [
        "--early-data",
        "100%",
        "--reuse",
        "1",
        "-n",
        "60",
        "-c",
        "2",
    ];
    let (code, json) = run(&server, &flags);
    assert_whole(code, &json, 60);
    let (taken, rejected) = (outcome(&json, "accepted"), outcome(&json, "rejected"));
    // Tickets of a connection that took none allow none.
    assert_eq!(taken + rejected + outcome(&json, "not_allowed"), 60);
    assert!(taken > 0 && rejected > 0, "{json:#}");
    assert_eq!(
        (answered(&server), server.seen().early_requests),
        (60, taken)
    );

    let never = start(
        &files,
        Behaviour {
            allows_no_early_data: true,
            ..Behaviour::default()
        },
    );
    let (code, json) = run(&never, &flags);
    assert_whole(code, &json, 60);
    assert_eq!(json["tls"]["early_data"], json!({ "not_allowed": 60 }));
    assert_eq!((answered(&never), never.seen().early_requests), (60, 0));
}

#[test]
fn a_request_that_came_too_early_is_sent_again() {
    let files = TlsFiles::new();
    let server = start(
        &files,
        Behaviour {
            finds_too_early: true,
            ..Behaviour::default()
        },
    );
    for reuse in ["1", "2"] {
        let flags = [
            "--early-data",
            "100%",
            "--reuse",
            reuse,
            "-n",
            "20",
            "-c",
            "1",
        ];
        let (code, json) = run(&server, &flags);
        assert_whole(code, &json, 20);
        assert_eq!(
            json["statuses"],
            json!({ "200": 20, "425": 20 }),
            "{json:#}"
        );
        assert_eq!(outcome(&json, "too_early"), 20);
    }
}

#[test]
fn what_cannot_go_as_early_data_is_refused() {
    let cases: [(&[&str], &str); 6] = [
        (&["https://127.0.0.1:1/", "-X", "DELETE"], "and not DELETE"),
        (
            &["https://127.0.0.1:1/", "--size", "10"],
            "and not PUT with a body",
        ),
        (
            &["https://127.0.0.1:1/", "--http", "2"],
            "over HTTP/1.1 only",
        ),
        (
            &["https://127.0.0.1:1/", "--tls", "1.2"],
            "TLS 1.2 has no early data",
        ),
        (&["http://127.0.0.1:1/"], "write https://"),
        (&["tls://127.0.0.1:1", "--echo"], "cannot be used with"),
    ];
    for (flags, says) in cases {
        let ran = loadgen(&[&["request", "--early-data", "50%"][..], flags].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{flags:?}: {}", ran.stderr);
    }
}
