//! Several server names in one load: each asked for, verified and resumed as its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;
mod tls_server;

use std::collections::BTreeMap;

use program::{Origin, TlsFiles, curl, loadgen, result};
use serde_json::{Value, json};
use tls_server::{Behaviour, TlsServer};

const NAMES: &[(&str, &str)] = &[
    ("a.test", "a.test"),
    ("b.test", "b.test"),
    ("c.test", "c.test"),
];

/// A count of the report for each row of names: succeeded, or failed.
fn by_name(json: &Value, count: &str) -> BTreeMap<String, u64> {
    let rows = json["tenants"].as_array().unwrap().iter();
    rows.map(|row| {
        let count = row["operations"][count].as_u64().unwrap();
        (row["name"].as_str().unwrap().to_owned(), count)
    })
    .collect()
}

fn sent_names(json: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(json["tls"]["server_name"].clone()).unwrap()
}

#[test]
fn names_are_asked_for_in_their_shares_and_the_target_sees_the_same() {
    let files = TlsFiles::new();
    let server = TlsServer::start(
        &files,
        Behaviour {
            names: NAMES,
            ..Behaviour::default()
        },
    );
    let (target, ca) = (server.target(), files.path("ca.pem"));
    let run = ["handshake", &target, "--close", "notify", "--cacert", &ca];
    let flags = ["--sni", "a.test,b.test,c.test:zipf(1)", "-n", "220"];
    let (_, json) = result(&[&run[..], &flags, &["-c", "3", "-t", "2"]].concat());
    assert_eq!(json["errors"], json!([]), "{json:#}");
    let names = sent_names(&json);
    assert_eq!(names.values().sum::<u64>(), 220);
    assert_eq!(names, server.seen().names);
    assert_eq!(names, by_name(&json, "succeeded"));
    // 6, 3 and 2 of 11, by a draw that the seed fixes on any number of threads.
    let (_, again) = result(&[&run[..], &flags, &["-c", "1"]].concat());
    assert_eq!(sent_names(&again), names);
    let drawn = ["a.test", "b.test", "c.test"].map(|name| names[name]);
    assert!(
        drawn.is_sorted_by(|a, b| a > b) && drawn[2] > 25,
        "{drawn:?}"
    );
    let said = &json["configuration"];
    assert_eq!(said["tls"]["server_name"], "a.test,b.test,c.test:zipf(1)");
    assert_eq!(said["tenants"]["spread"], "zipf(1)");
}

#[test]
fn a_name_with_anothers_certificate_fails_alone() {
    let files = TlsFiles::new();
    let names: &[_] = &[("a.test", "a.test"), ("b.test", "a.test")];
    let server = TlsServer::start(
        &files,
        Behaviour {
            names,
            ..Behaviour::default()
        },
    );
    let (target, ca) = (server.target(), files.path("ca.pem"));
    let list = files.path("names.csv");
    std::fs::write(&list, "a.test\nb.test,3\n").unwrap();
    let run = ["handshake", &target, "--sni", &list, "-n", "80"];
    let (code, json) = result(&[&run[..], &["--cacert", &ca]].concat());
    assert_ne!(code, 0, "{json:#}");
    let (good, bad) = (by_name(&json, "succeeded"), by_name(&json, "failed"));
    assert_eq!((good["b.test"], bad["a.test"]), (0, 0));
    assert_eq!(good["a.test"] + bad["b.test"], 80);
    assert!(good["a.test"] > 0 && bad["b.test"] > good["a.test"]);
    // Nothing is verified unless it is asked for.
    let (_, json) = result(&run);
    assert_eq!(by_name(&json, "failed").values().sum::<u64>(), 0);
}

#[test]
fn a_ticket_of_one_name_is_never_shown_to_another() {
    let files = TlsFiles::new();
    let server = TlsServer::start(
        &files,
        Behaviour {
            names: NAMES,
            ..Behaviour::default()
        },
    );
    let target = server.target();
    let run = [
        "handshake",
        &target,
        "--close",
        "notify",
        "--resume",
        "100%",
    ];
    let flags = ["--sni", "a.test,b.test,c.test", "-n", "90", "-c", "2"];
    let (_, json) = result(&[&run[..], &flags].concat());
    // The server resumes no session of another name: such a handshake would be full.
    assert_eq!(json["errors"], json!([]), "{json:#}");
    assert_eq!(json["tls"]["kind"], json!({ "resumed": 90 }));
    let primed = json["connections"]["priming"].as_u64().unwrap();
    assert!(
        (3..=6).contains(&primed),
        "once a name and connection: {primed}"
    );
    let seen = server.seen();
    assert_eq!((seen.full, seen.resumed), (primed, 90));
}

#[test]
fn requests_have_the_name_in_host_too() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/o/{tenant}");
    let flags = [
        "--sni",
        "a.test,b.test:1,3",
        "--size",
        "10",
        "-n",
        "60",
        "-c",
        "2",
    ];
    let (_, json) = result(&[&["request", &url][..], &flags].concat());
    assert_eq!(json["errors"], json!([]), "{json:#}");
    let (_, log) = curl(&["-k", &origin.tls_url("/.origin/log")]);
    let mut seen = BTreeMap::new();
    for line in String::from_utf8(log).unwrap().lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let name = entry["server_name"].as_str().unwrap();
        let fields = entry["headers"].as_array().unwrap().iter();
        let host = fields.into_iter().find(|field| field[0] == "host").unwrap();
        let host = host[1].as_str().unwrap();
        assert_eq!(host.split(':').next(), Some(name));
        assert_eq!(entry["target"], format!("/o/{name}"));
        *seen.entry(name.to_owned()).or_default() += 1;
    }
    assert_eq!(seen, by_name(&json, "succeeded"));
    assert!(seen["b.test"] > seen["a.test"], "{seen:?}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["--sni", "a,b:even"],
            "says no shares: write a,b,c:uniform",
        ),
        (&["--sni", "a,b:1"], "1 weights for 2 names"),
        (&["--sni", "a,b", "--tenants", "2"], "drop --tenants"),
        (
            &["--sni", "/nowhere/names.csv"],
            "cannot read /nowhere/names.csv",
        ),
    ];
    for (flags, says) in cases {
        let ran = loadgen(&[&["handshake", "127.0.0.1:1", "-n", "1"][..], flags].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{flags:?}: {}", ran.stderr);
    }
    let ran = loadgen(&["conns", "127.0.0.1:1", "--sni", "a,b"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("one server name"), "{}", ran.stderr);
}
