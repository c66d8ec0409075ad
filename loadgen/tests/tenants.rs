//! Loads that are spread over tenants: names everywhere, counts that are the origin's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    sync::Mutex,
};

use program::{Origin, TlsFiles, assert_whole, curl, loadgen, result, service};
use serde_json::{Value, json};

/// Succeeded operations by row.
fn by_tenant(json: &Value) -> BTreeMap<String, u64> {
    let rows = json["tenants"].as_array().unwrap().iter();
    let counted = |row: &Value| row["operations"]["succeeded"].as_u64().unwrap();
    rows.map(|row| (row["name"].as_str().unwrap().to_owned(), counted(row)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The origin's journal.
fn journal(origin: &Origin) -> Vec<Value> {
    let (_, log) = curl(&["-k", &origin.tls_url("/.origin/log")]);
    let lines = String::from_utf8(log).unwrap();
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn header<'a>(entry: &'a Value, name: &str) -> &'a str {
    let fields = entry["headers"].as_array().unwrap().iter();
    let mut named = fields.filter(|field| field[0] == name);
    named.next().unwrap()[1].as_str().unwrap()
}

#[test]
fn every_tenant_has_as_many_requests_as_the_origin_saw_of_its_name() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let address = origin.address("http").to_string();
    for threads in ["1", "2"] {
        let before = journal(&origin).len();
        let (code, json) = result(&[
            "request",
            "https://{tenant}.example/o/{tenant}",
            "--connect-to",
            &address,
            "--tenants",
            "5:zipf(1.0)",
            "--noisy-tenant",
            "t4=10x",
            "-H",
            "X-Tenant: {tenant} {\"n\": {n}}",
            "--size",
            "10",
            "-n",
            "300",
            "-c",
            "4",
            "-t",
            threads,
        ]);
        assert_whole(code, &json, 300);
        let tenants = by_tenant(&json);
        let entries = journal(&origin).split_off(before);
        let by_name = |name: fn(&Value) -> String| counted(entries.iter().map(name));
        let of_path = by_name(|entry| entry["target"].as_str().unwrap()[3..].to_owned());
        assert_eq!(of_path, tenants);
        let of_sni = by_name(|entry| {
            let sni = entry["server_name"].as_str().unwrap();
            assert_eq!(header(entry, "host"), sni);
            let tenant = sni.strip_suffix(".example").unwrap();
            assert_eq!(
                header(entry, "x-tenant"),
                format!("{tenant} {{\"n\": {{n}}}}")
            );
            tenant.to_owned()
        });
        assert_eq!(of_sni, tenants);
        assert_eq!(tenants.values().sum::<u64>(), 300);
        // The draw follows from the seed and is the same on any number of threads.
        let drawn = json!({ "t1": 64, "t2": 37, "t3": 25, "t4": 163, "t5": 11 });
        assert_eq!(json!(tenants), drawn);
        assert_eq!(json["tenants"][0]["name"], "t4");
        // Connections are a tenant's own, and kept.
        let established = json["connections"]["established"].as_u64().unwrap();
        assert!((5..=60).contains(&established), "{established}");
        assert_eq!(json["configuration"]["tenants"]["spread"], "zipf(1)");
    }
}

#[test]
fn rows_are_bounded_and_the_others_are_exact() {
    let origin = Origin::start(&[]);
    let url = origin.url("/{tenant}");
    let flags = [
        "--tenants",
        "500",
        "-n",
        "800",
        "--check",
        "none",
        "-c",
        "2",
    ];
    let (code, json) = result(&[&["request", &url][..], &flags].concat());
    assert_whole(code, &json, 800);
    assert_eq!(json["tenants"].as_array().unwrap().len(), 65);
    let tenants = by_tenant(&json);
    assert_eq!(tenants.values().sum::<u64>(), 800);
    let seen = counted(
        journal_plain(&origin)
            .iter()
            .map(|entry| entry["target"].as_str().unwrap()[1..].to_owned()),
    );
    let others: u64 = seen
        .iter()
        .filter(|(name, _)| !tenants.contains_key(*name))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(tenants["(436 others)"], others);
    for (name, count) in tenants.iter().filter(|(name, _)| name.starts_with('t')) {
        assert_eq!(seen[name], *count, "{name}");
    }
    // Connections are nobody's own where only the path differs.
    assert_eq!(json["connections"]["established"], 2);
}

fn journal_plain(origin: &Origin) -> Vec<Value> {
    let (_, log) = curl(&[&origin.url("/.origin/log")]);
    let lines = String::from_utf8(log).unwrap();
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn tenants_resume_their_own_sessions_and_bulk_is_theirs_too() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let echo = origin.address("echo").to_string();
    let common = [
        "--connect-to",
        &echo,
        "--tenants",
        "3",
        "--sni",
        "{tenant}.example",
    ];
    let handshakes = [
        "--resume", "50%", "-n", "60", "-c", "2", "--close", "notify",
    ];
    let handshakes = [&["handshake", &echo][..], &common, &handshakes].concat();
    let (code, json) = result(&handshakes);
    assert_whole(code, &json, 60);
    assert_eq!(json["tls"]["kind"], json!({ "full": 30, "resumed": 30 }));
    let primed = json["connections"]["priming"].as_u64().unwrap();
    assert!(
        (1..=6).contains(&primed),
        "once for each tenant and connection: {primed}"
    );
    let names: u64 = json["tls"]["server_name"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(
        (names, json["tls"]["server_name"].as_object().unwrap().len()),
        (60, 3)
    );
    let source = origin.address("source").to_string();
    let bulk = [
        "bulk",
        &source,
        "--tenants",
        "3",
        "--sni",
        "{tenant}.example",
        "--bytes",
        "100k",
        "-n",
        "20",
        "-c",
        "2",
    ];
    let (code, json) = result(&bulk);
    assert_whole(code, &json, 20);
    assert_eq!(by_tenant(&json).values().sum::<u64>(), 20);
    assert_eq!(json["tls"]["server_name"].as_object().unwrap().len(), 3);
}

#[test]
fn client_certificates_are_the_tenants_own() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &["--client-ca", &files.path("ca.pem")]);
    let cert = files.path("{tenant}.pem");
    let key = files.path("{tenant}.key");
    let address = origin.address("echo").to_string();
    let weights = files.path("weights.csv");
    // The only tenant with files of its own is the one that has all the weight.
    std::fs::write(&weights, "client,1\n").unwrap();
    let flags = [
        "--cert", &cert, "--key", &key, "-n", "10", "--close", "notify",
    ];
    let one = [&["handshake", &address, "--tenants", &weights][..], &flags].concat();
    let (code, json) = result(&one);
    assert_whole(code, &json, 10);
    assert_eq!(
        by_tenant(&json),
        BTreeMap::from([("client".to_owned(), 10)])
    );
    std::fs::write(&weights, "client,1\nnobody,1\n").unwrap();
    let ran = loadgen(&one);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("nobody.pem"), "{}", ran.stderr);
}

/// Answers each path with its own bytes and without a digest; from the 6th answer on, with other bytes
/// behind `liar`.
fn without_digest(liar: &'static str) -> std::net::SocketAddr {
    let answers = Mutex::new(BTreeMap::<String, u32>::new());
    service(move |stream| {
        let mut lines = BufReader::new(&stream).lines();
        while let Some(Ok(line)) = lines.next() {
            let Some(path) = line.strip_prefix("GET ") else {
                continue;
            };
            let path = path.split(' ').next().unwrap().to_owned();
            let number = {
                let mut answers = answers.lock().unwrap();
                let number = answers.entry(path.clone()).or_default();
                *number += 1;
                *number
            };
            let mut body = path.repeat(10);
            if path.ends_with(liar) && number > 5 {
                body.replace_range(..1, "?");
            }
            let len = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n{body}");
            if (&stream).write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn without_a_digest_answers_are_held_to_the_first_of_the_same_tenant() {
    let truthful = without_digest("nobody");
    let run = |address: &str| {
        let url = format!("http://{address}/o/{{tenant}}");
        let flags = [
            "--tenants",
            "12",
            "--check",
            "hash",
            "-n",
            "120",
            "-c",
            "3",
            "-t",
            "2",
        ];
        result(&[&["request", &url][..], &flags].concat())
    };
    // Names, and so answers, have different lengths.
    let (code, json) = run(&truthful.to_string());
    assert_whole(code, &json, 120);
    let (code, json) = run(&without_digest("/t2").to_string());
    assert_eq!(code, 2, "{json:#}");
    for row in json["tenants"].as_array().unwrap() {
        let corrupt = row["operations"]["corrupt"].as_u64().unwrap();
        let sent = row["operations"]["sent"].as_u64().unwrap();
        match row["name"] == "t2" {
            true => assert_eq!((corrupt, sent > 5), (sent - 5, true), "{row:#}"),
            false => assert_eq!(corrupt, 0, "{row:#}"),
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let dir = tempfile::tempdir().unwrap();
    let weights = dir.path().join("w.csv");
    std::fs::write(&weights, "acme,1\nglobex,much\n").unwrap();
    let weights = weights.to_str().unwrap();
    let cases: [(&[&str], &str); 7] = [
        (
            &["https://{tenant}.example/"],
            "there are no tenants: add --tenants N",
        ),
        (
            &["http://127.0.0.1:1/{tenan}", "--tenants", "2"],
            "no placeholder {tenan}",
        ),
        (
            &["http://127.0.0.1:1/{n}", "--tenants", "2"],
            "only `loadgen mix` has",
        ),
        (
            &["https://{tenant}.example/", "--tenants", "2"],
            "--connect-to HOST:PORT",
        ),
        (
            &[
                "http://127.0.0.1:1/",
                "--tenants",
                "2",
                "--tenant-name",
                "x",
            ],
            "put {n} in it",
        ),
        (
            &["http://127.0.0.1:1/", "--tenants", weights],
            "w.csv, line 2: \"much\" is no weight",
        ),
        (
            &["http://127.0.0.1:1/", "--tenants", "2:even"],
            "not a spread: write uniform",
        ),
    ];
    for (flags, says) in cases {
        let ran = loadgen(&[&["request", "-n", "1"][..], flags].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{flags:?}: {}", ran.stderr);
    }
}
