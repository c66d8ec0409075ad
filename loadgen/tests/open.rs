//! The open loop, its bounds and its end, with the real program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use program::{Origin, PROGRAM, TlsFiles, curl, loadgen, result, service};
use serde_json::{Value, json};

/// The code that a run without failures ends with: on a busy machine a run may last long enough to
/// be judged by its conditions.
fn assert_ended(result: &(i32, Value), expected: i32) {
    let (code, json) = result;
    let long = json["timing"]["elapsed_s"].as_f64().unwrap() >= 1.0;
    let late = codes(json).contains(&"achieved");
    assert!(
        *code == expected || (long || late) && *code == 4,
        "{code}: {json:#}"
    );
}

fn codes(json: &Value) -> Vec<&str> {
    let reasons = json["verdict"]["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

/// Planned, sent, succeeded, failed, never sent.
fn counts(json: &Value) -> [u64; 5] {
    let operations = &json["totals"]["operations"];
    ["planned", "sent", "succeeded", "failed", "unsent"]
        .map(|name| operations[name].as_u64().unwrap())
}

fn in_series(json: &Value, name: &str) -> u64 {
    let series = json["series"].as_array().unwrap();
    series
        .iter()
        .map(|second| second[name].as_u64().unwrap())
        .sum()
}

/// Reads the head of a request without a body.
fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    Some(())
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn every_arrival_process_sends_exactly_what_was_planned() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/x");
    let put = ["request", &url, "--size", "100", "-n", "1"];
    assert_ended(&result(&put), 0);
    let runs: [(&[&str], &str); 3] = [
        (&["-R", "2k"], "constant"),
        (
            &["-R", "2k", "--arrival", "poisson", "--seed", "7"],
            "poisson",
        ),
        (&["--arrival", "burst:20/10ms"], "burst:20/10ms"),
    ];
    let mut requests = 1;
    for (flags, arrival) in runs {
        let run = [&["request", &url, "-n", "301", "-c", "8", "-t", "2"], flags].concat();
        let run = result(&run);
        assert_ended(&run, 0);
        let json = &run.1;
        assert_eq!(
            (&json["loop"], &json["configuration"]["arrival"]),
            (&json!("open"), &json!(arrival))
        );
        assert_eq!(counts(json), [301, 301, 301, 0, 0]);
        assert_eq!(json["totals"]["bytes"]["received"], 30_100);
        for name in ["planned", "sent", "succeeded"] {
            assert_eq!(in_series(json, name), 301, "{arrival}: {name}");
        }
        for times in ["response", "service", "lag"] {
            assert_eq!(json["totals"]["latency"][times]["count"], 301);
        }
        assert_eq!(json["generator"]["lag"]["count"], 301);
        assert_eq!(json["tenants"][0]["name"], "127.0.0.1");
        requests += 301;
        assert_eq!(origin.totals(&origin.tls_url(""))["requests"], requests);
    }
}

#[test]
fn stages_plan_what_their_areas_say() {
    let origin = Origin::start(&[]);
    let run = [
        "request",
        &origin.url("/none"),
        "--check",
        "none",
        "-c",
        "4",
        "--warmup",
        "100ms",
        "--stages",
        "200:250ms,0:50ms,400:100ms,..0:200ms",
    ];
    let run = result(&run);
    assert_ended(&run, 0);
    // 50, nothing, 40, and a triangle of 400/s over 0.2 s.
    assert_eq!(counts(&run.1), [130, 130, 130, 0, 0]);
    assert_eq!(run.1["totals"]["operations"]["warmup"], 20);
    assert_eq!(run.1["statuses"], json!({ "404": 150 }));
    assert_eq!(origin.totals(&origin.url(""))["requests"], 150);
}

#[test]
fn handshakes_of_each_kind_are_as_many_as_the_server_counted() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let target = origin.address("echo").to_string();
    let run = [
        "handshake",
        &target,
        "-R",
        "400",
        "-n",
        "100",
        "-c",
        "4",
        "--resume",
        "25%",
        "--close",
        "notify",
    ];
    let run = result(&run);
    assert_ended(&run, 0);
    let kinds: Vec<_> = run.1["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| {
            (
                kind["name"].as_str().unwrap(),
                kind["operations"]["succeeded"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(kinds, [("full", 75), ("resumed", 25)]);
    assert_eq!(run.1["tls"]["kind"], json!({ "full": 75, "resumed": 25 }));
    let primed = run.1["connections"]["priming"].as_u64().unwrap();
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(totals["handshakes_resumed"], 25);
    // The query itself is one more.
    assert_eq!(totals["handshakes_full"], 75 + primed + 1);
}

#[test]
fn a_backlog_that_overflows_makes_the_run_invalid() {
    // The first answer comes, the second never does.
    let address = service(|mut stream| {
        read_request(&mut stream);
        stream.write_all(ANSWER).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("http://{address}/");
    let run = [
        "request",
        &url,
        "-R",
        "1k",
        "-n",
        "100",
        "-c",
        "1",
        "--backlog",
        "5",
        "--drain",
        "100ms",
    ];
    let (code, json) = result(&run);
    assert_eq!(code, 4, "{json:#}");
    let [planned, sent, succeeded, failed, unsent] = counts(&json);
    assert_eq!((planned, succeeded, failed), (100, 1, 1), "{json:#}");
    assert_eq!((sent, unsent), (2, 98));
    let overflowed = json["achieved"]["backlog_overflowed"].as_u64().unwrap();
    assert!(overflowed > 0 && overflowed + 5 >= unsent, "{overflowed}");
    assert!(
        codes(&json).contains(&"backlog_overflow"),
        "{:?}",
        codes(&json)
    );
    assert_eq!(json["errors"][0]["class"], "unfinished");
}

#[test]
fn objectives_decide_the_exit_code() {
    let origin = Origin::start(&[]);
    let target = format!("tcp://{}", origin.address("echo"));
    let run = |slo: &str| result(&["request", &target, "--echo", "-n", "50", "--slo", slo]);
    let met = run("p99<1h,errors<1%");
    assert_ended(&met, 0);
    let mets: Vec<_> = met.1["objectives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| &o["met"])
        .collect();
    assert_eq!(mets, [true, true]);
    let missed = run("rate>99M");
    assert_ended(&missed, 3);
    assert_eq!(missed.1["objectives"][0]["met"], false);
}

#[test]
fn connections_are_replaced_as_often_as_asked() {
    let origin = Origin::start(&[]);
    let url = origin.url("/none");
    let run = |reuse: &str| {
        let run = [
            "request", &url, "--check", "none", "-n", "60", "--reuse", reuse,
        ];
        let run = result(&run);
        assert_ended(&run, 0);
        assert_eq!(counts(&run.1), [60, 60, 60, 0, 0]);
        run.1["connections"]["established"].as_u64().unwrap()
    };
    assert_eq!(run("1"), 60);
    assert_eq!(run("4"), 15);
    let some = run("2:5");
    assert!((12..=30).contains(&some), "{some}");
    let totals = origin.totals(&origin.url(""));
    assert_eq!(totals["connections"], 60 + 15 + some + 1);
    assert_eq!(totals["requests"], 180);
}

#[test]
fn a_target_that_closes_behind_its_answers_fails_nothing() {
    let address = service(|mut stream| {
        // Without a word of it in the answer.
        if read_request(&mut stream).is_some() {
            stream.write_all(ANSWER).unwrap();
        }
    });
    let run = result(&["request", &format!("http://{address}/"), "-n", "20"]);
    assert_ended(&run, 0);
    assert_eq!(counts(&run.1), [20, 20, 20, 0, 0]);
}

#[test]
fn a_corrupting_origin_is_caught_by_the_digest() {
    let origin = Origin::start(&[]);
    let url = origin.url("/o");
    let put = [
        "request",
        &url,
        "--size",
        "lognorm:20k,1.0",
        "--check",
        "hash",
        "-n",
        "30",
    ];
    let put = result(&put);
    assert_ended(&put, 0);
    let sent = put.1["totals"]["bytes"]["sent"].as_u64().unwrap();
    assert_eq!(origin.totals(&origin.url(""))["request_body_bytes"], sent);
    let get = ["request", &url, "--check", "hash", "-n", "5"];
    assert_ended(&result(&get), 0);
    let flip = origin.url("/.origin/flip/o?offset=3");
    assert_eq!(curl(&["-X", "POST", &flip]).0, 204);
    let (code, json) = result(&get);
    assert_eq!(
        (code, &json["totals"]["operations"]["corrupt"]),
        (2, &json!(5)),
        "{json:#}"
    );
    assert_eq!(json["errors"][0]["class"], "mismatch");
    assert!(codes(&json).contains(&"corrupt"));
    let wrong = [
        "-X",
        "PUT",
        "-d",
        "x",
        "-H",
        "Content-Digest: sha-256=:AAAA:",
        &url,
    ];
    assert_eq!(curl(&wrong).0, 400, "the origin looks too");
}

#[test]
fn echoed_bodies_are_compared() {
    let origin = Origin::start(&[]);
    let url = origin.url("/");
    let echo = |size: &str| {
        let run = [
            "request", &url, "--check", "echo", "--size", size, "-n", "10", "-c", "2",
        ];
        let run = result(&run);
        assert_ended(&run, 0);
        assert_eq!(
            run.1["totals"]["bytes"]["sent"],
            run.1["totals"]["bytes"]["received"]
        );
    };
    echo("uniform:1,100KB");
    echo("1500000");
    // This one answers something else, of the right length.
    let address = service(|mut stream| {
        while read_request(&mut stream).is_some() {
            let mut body = [0; 2];
            stream.read_exact(&mut body).unwrap();
            body[1] ^= 1;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
            stream.write_all(&[&head[..], &body].concat()).unwrap();
        }
    });
    let url = format!("http://{address}/");
    let (code, json) = result(&["request", &url, "--check", "echo", "--size", "2", "-n", "3"]);
    assert_eq!(
        (code, &json["totals"]["operations"]["corrupt"]),
        (2, &json!(3)),
        "{json:#}"
    );
}

/// A run that nothing ends but a signal, against a target that tells of its requests.
fn endless(address: SocketAddr) -> Child {
    let url = format!("http://{address}/");
    Command::new(PROGRAM)
        .args([
            "request",
            &url,
            "-d",
            "1h",
            "--drain",
            "1h",
            "--timeout",
            "1h",
            "--json",
            "-",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_interrupted_run_ends_with_its_report() {
    let (served, requests) = mpsc::channel();
    let address = service(move |mut stream| {
        while read_request(&mut stream).is_some() {
            let _ = served.send(());
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    let child = endless(address);
    for _ in 0..10 {
        requests.recv().unwrap();
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    program::schema::assert_valid(&json);
    let [planned, sent, succeeded, failed, unsent] = counts(&json);
    assert!(
        succeeded >= 9 && planned == sent && sent == succeeded,
        "{json:#}"
    );
    assert_eq!((failed, unsent), (0, 0));
    assert_eq!(json["timing"]["interrupted"], true);
    assert!(codes(&json).contains(&"interrupted"));
    assert_ended(&(output.status.code().unwrap(), json), 0);
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    let (served, requests) = mpsc::channel();
    let address = service(move |mut stream| {
        read_request(&mut stream);
        let _ = served.send(());
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut child = endless(address);
    requests.recv().unwrap();
    // Two that come close together are one for the kernel.
    let status = loop {
        interrupt(&child);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(4));
    let mut report = String::new();
    child.stdout.unwrap().read_to_string(&mut report).unwrap();
    assert_eq!(report, "");
}

#[test]
fn each_second_is_told_while_the_run_lasts() {
    let origin = Origin::start(&[]);
    let url = origin.url("/x");
    let flags = ["-R", "50", "-d", "4s", "--plain"];
    let args = [&["request", &url, "-X", "PUT", "--size", "10"][..], &flags].concat();
    let ran = loadgen(&args);
    let lines: Vec<Vec<_>> = ran
        .stderr
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0][..3],
        ["second", "done/s", "failed"],
        "{}",
        ran.stderr
    );
    // The last seconds may end with the run.
    assert!(lines.len() >= 2, "{}", ran.stderr);
    for (at, line) in lines[1..].iter().enumerate() {
        assert_eq!(line[0], at.to_string(), "{}", ran.stderr);
        assert!(line[1].parse::<u64>().unwrap() <= 200 && line[2] == "0");
    }
    let quiet = loadgen(&[&args[..], &["--quiet"]].concat());
    assert_eq!((quiet.code, quiet.stderr.as_str()), (ran.code, ""));
}
