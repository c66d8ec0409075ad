//! Requests as early data: as many as the target took, and each of them answered once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;
mod tls_server;

use program::{Ran, TlsFiles, assert_whole, loadgen, result};
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

/// Runs a scenario with these operations.
fn scenario(target: &str, operations: &str) -> Ran {
    let file = tempfile::NamedTempFile::new().unwrap();
    let load = "count = 120\nconnections = 1";
    let text = format!("target = \"{target}\"\n[load]\n{load}\n{operations}");
    std::fs::write(file.path(), text).unwrap();
    loadgen(&["mix", file.path().to_str().unwrap(), "--json", "-"])
}

const GET: &str = "[[operation]]\nname = \"get\"\nshare = 1\npath = \"/x\"\n";
const LOGIN: &str = "[[operation]]\nname = \"login\"\nshare = 1\nkind = \"handshake\"\n";

#[test]
fn operations_of_a_scenario_send_early_data_in_shares_of_their_own() {
    let files = TlsFiles::new();
    let server = start(&files, Behaviour::default());
    let target = format!("https://{}", server.target());
    let operations = [
        GET,
        "reuse = \"1\"\nearly-data = \"50%\"\n",
        LOGIN,
        "resume = \"50%\"\nearly-data = \"20%\"\n",
    ];
    let ran = scenario(&target, &operations.concat());
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_whole(ran.code, &json, 120);
    let kinds = json["kinds"].as_array().unwrap().iter();
    let done: Vec<_> = kinds
        .map(|kind| kind["operations"]["succeeded"].as_u64().unwrap())
        .collect();
    // Requests; and handshakes: full, resumed, resumed with early data.
    assert_eq!(done, [60, 30, 24, 6], "{json:#}");
    assert_eq!(json["tls"]["early_data"], json!({ "accepted": 30 + 6 }));
}

#[test]
fn early_data_that_a_scenario_cannot_have_is_told_with_its_line() {
    let cases = [
        (
            "https",
            [GET, "early-data = \"50%\"\nmethod = \"DELETE\"\n"],
            9,
            "and not DELETE",
        ),
        ("http", [GET, "early-data = \"50%\"\n"], 9, "write https://"),
        (
            "https",
            [LOGIN, "early-data = \"50%\"\n"],
            9,
            "add --resume",
        ),
        (
            "https",
            [GET, "resume = \"50%\"\n"],
            6,
            "of another kind of operation",
        ),
        (
            "https",
            [LOGIN, "reuse = \"1\"\n"],
            6,
            "of another kind of operation",
        ),
        ("https", [GET, "envelope = 4\n"], 9, "goes with a size"),
        (
            "https",
            [GET, "keyring = \"k\"\n"],
            6,
            "add --envelope N or --check open",
        ),
    ];
    for (scheme, operations, line, says) in cases {
        let ran = scenario(&format!("{scheme}://127.0.0.1:1"), &operations.concat());
        assert_eq!(ran.code, 1, "{operations:?}: {}", ran.stdout);
        let place = format!(", line {line}: ");
        assert!(
            ran.stderr.contains(&place) && ran.stderr.contains(says),
            "{operations:?}: {}",
            ran.stderr
        );
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
