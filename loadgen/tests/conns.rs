//! Held connections: as many as the target has, and what became of each.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use loadgen::report::{
    model::{Distribution, Report},
    render::{Format, render},
};
use program::{Nowhere, Origin, PROGRAM, TlsFiles, curl, loadgen, result, schema, service};
use serde_json::{Value, json};

/// Looks that a wait may take; each is followed by a short pause.
const LOOKS: usize = 3000;

/// Our ends of connections to `target` in `state`: `01` is established, `08` ended by the target
/// alone.
fn sockets(target: SocketAddr, state: &str) -> usize {
    let port = format!(":{:04X}", target.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table
        .lines()
        .skip(1)
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields[2].ends_with(&port) && fields[3] == state)
        .count()
}

/// Waits for an event that comes sooner or later; the pause only saves work.
fn until(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if happened() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come: {what}");
}

/// A run that is looked at while it lasts.
struct Running(Child);

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(args)
            .args(["--json", "-"])
            .stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Interrupts it and gives its result.
    fn interrupt(mut self) -> Value {
        let pid = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut text = String::new();
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        self.0.wait().unwrap();
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        schema::assert_valid(&json);
        json
    }
}

fn codes(json: &Value) -> Vec<&str> {
    let reasons = json["verdict"]["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

fn recorded(times: &Value) -> u64 {
    let times: Distribution = serde_json::from_value(times.clone()).unwrap();
    times.histogram().unwrap().len()
}

const BRIEFLY: [&str; 4] = ["--settle", "0s", "--hold", "0s"];

#[test]
fn as_many_are_held_as_the_target_has() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let target = origin.address("echo");
    let running = Running::start(&[
        "conns",
        &target.to_string(),
        "-c",
        "41",
        "-t",
        "2",
        "--hold",
        "1h",
        "--settle",
        "0s",
        "--warmup",
        "0",
    ]);
    until("41 connections", || sockets(target, "01") == 41);
    // They stand when the server has had their handshakes, of which looking costs one more.
    let (counts, mut looks) = (origin.tls_url(""), 0);
    until("41 handshakes", || {
        looks += 1;
        origin.totals(&counts)["handshakes_full"] == 41 + looks
    });
    let json = running.interrupt();
    let held = &json["conns"];
    assert_eq!(
        (
            &held["asked"],
            &held["opened"],
            &held["held_most"],
            &held["dropped"]
        ),
        (&json!(41), &json!(41), &json!(41), &json!(0)),
        "{held:#}"
    );
    assert_eq!(json["timing"]["interrupted"], true);
    // All of them were closed, politely.
    until("no connection", || sockets(target, "01") == 0);
}

#[test]
fn opened_replaced_and_closed_are_what_the_origin_counted() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let target = origin.address("echo").to_string();
    for (threads, rate) in [("1", None), ("2", Some("500"))] {
        let before = origin.totals(&origin.tls_url(""))["handshakes_full"]
            .as_u64()
            .unwrap();
        let mut args = vec![
            "conns",
            &target,
            "-c",
            "23",
            "-t",
            threads,
            "--warmup",
            "5",
            "--settle",
            "0s",
            "--hold",
            "300ms",
            "--churn",
            "100",
            "--target-pid",
        ];
        let pid = origin.pid();
        args.push(&pid);
        args.extend(rate.iter().flat_map(|rate| ["-R", rate]));
        let (code, json) = result(&args);
        assert!(code == 0 || code == 4, "{code}: {json:#}");
        let held = &json["conns"];
        let counts =
            ["opened", "reopened", "closed", "dropped"].map(|name| held[name].as_u64().unwrap());
        assert_eq!(counts, [23, 30, 53, 0], "{held:#}");
        let kinds = json["kinds"].as_array().unwrap();
        let kinds: Vec<_> = kinds
            .iter()
            .map(|kind| {
                (
                    kind["name"].as_str().unwrap(),
                    recorded(&kind["latency"]["response"]),
                )
            })
            .collect();
        assert_eq!(kinds, [("open", 23), ("reopen", 30)]);
        assert_eq!(json["totals"]["operations"]["warmup"], 5);
        let after = origin.totals(&origin.tls_url(""))["handshakes_full"]
            .as_u64()
            .unwrap();
        assert_eq!(
            after - before,
            5 + 23 + 30 + 1,
            "the query itself is one more"
        );
        let looks = held["memory"].as_array().unwrap();
        let places: Vec<_> = looks
            .iter()
            .map(|look| look["connections"].as_u64().unwrap())
            .collect();
        assert_eq!(places[..5], [0, 5, 11, 17, 23]);
        assert_eq!(places.last(), Some(&0));
        for look in looks {
            for process in ["target", "generator"] {
                let memory = &look[process];
                let anonymous = memory["anonymous_bytes"].as_u64().unwrap();
                assert!(0 < anonymous && anonymous <= memory["resident_bytes"].as_u64().unwrap());
            }
        }
        assert_eq!(held["target"]["anonymous"]["looks"], 5);
        assert_eq!(held["generator"]["anonymous"]["looks"], 5);
        let report: Report = serde_json::from_value(json.clone()).unwrap();
        for (format, said) in [
            (Format::Summary, "23 of 23 opened"),
            (Format::Markdown, "| opened | 23 of 23 |"),
            (Format::Html, "Memory against connections"),
            (Format::Html, "target, per connection"),
        ] {
            let text = render(&report, format).unwrap();
            assert!(text.contains(said), "{format:?}: {text}");
        }
    }
}

#[test]
fn connections_that_the_target_drops_are_counted_with_the_reason() {
    // Keeps all of them, until the last one has come: then it ends three, one of them by a reset.
    let kept: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let target = service({
        let kept = Arc::clone(&kept);
        move |stream: TcpStream| {
            let mut kept = kept.lock().unwrap();
            kept.push(stream);
            if kept.len() == 12 {
                let reset = socket2::SockRef::from(&kept[0]).set_linger(Some(Duration::ZERO));
                reset.unwrap();
                kept.drain(..3);
            }
        }
    });
    let url = format!("tcp://{target}");
    let running = Running::start(&[
        "conns", &url, "-c", "12", "--warmup", "0", "--hold", "1h", "--close", "rst", "--settle",
        "0s",
    ]);
    // Those that are gone have closed at our end too.
    until("the target's end of three", || {
        kept.lock().unwrap().len() == 9
    });
    until("our end of three", || {
        sockets(target, "01") == 9 && sockets(target, "08") == 0
    });
    let json = running.interrupt();
    let held = &json["conns"];
    assert_eq!(
        (&held["opened"], &held["dropped"]),
        (&json!(12), &json!(3)),
        "{held:#}"
    );
    assert_eq!(recorded(&held["held_before_drop"]), 3);
    let errors = json["errors"].as_array().unwrap();
    let seen: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error["phase"].as_str().unwrap(),
                error["class"].as_str().unwrap(),
                error["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("hold", "reset", 1), ("hold", "closed", 2)],
        "{errors:?}"
    );
    assert!(codes(&json).contains(&"dropped"), "{json:#}");
    assert_eq!(json["verdict"]["state"], "invalid");
}

#[test]
fn a_probe_has_as_many_times_as_it_had_planned() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let target = origin.address("echo").to_string();
    let (echo, http) = (origin.tls("echo"), origin.tls_url("/.origin/counts"));
    for (probe, operation) in [("50/s", "handshake"), (&echo, "echo"), (&http, "request")] {
        let args = [
            "conns", &target, "-c", "8", "--aside", "200ms", "--hold", "200ms", "--settle", "0s",
            "--probe", probe, "--slo", "p99<60s",
        ];
        let rate: &[&str] = if operation == "handshake" {
            &[]
        } else {
            &["--probe-rate", "50"]
        };
        let (code, json) = result(&[&args[..], rate].concat());
        assert!(code == 0 || code == 4, "{code}: {json:#}");
        let probe = &json["conns"]["probe"];
        assert_eq!(probe["operation"], operation);
        let phases = probe["phases"].as_array().unwrap();
        let names: Vec<_> = phases
            .iter()
            .map(|phase| phase["part"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["before", "during", "after"]);
        for phase in phases {
            let part = &phase["part"];
            let planned = part["operations"]["planned"].as_u64().unwrap();
            assert_eq!(part["operations"]["succeeded"], planned, "{part:#}");
            assert_eq!(recorded(&part["latency"]["response"]), planned);
            match part["name"].as_str().unwrap() {
                // 50 per second for holding alone is 10.
                "during" => assert!(planned >= 10, "{planned}"),
                _ => assert_eq!(planned, 10),
            }
        }
        assert_eq!(json["objectives"][0]["met"], true);
        // What the probe does is not among the connections.
        assert_eq!(json["totals"]["operations"]["planned"], 8);
    }
}

#[test]
fn a_target_that_is_not_there_ends_the_run() {
    let nowhere = Nowhere::new();
    let nobody = nowhere.address.to_string();
    let ran = loadgen(&[
        "conns", &nobody, "-c", "100", "--hold", "1h", "--probe", "50/s", "--aside", "100ms",
    ]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("start the target"), "{}", ran.stderr);
}

#[test]
fn flags_that_cannot_be_are_refused_with_what_would_be_right() {
    for (flags, said) in [
        (&["--probe", "often"][..], "a rate such as 10/s"),
        (&["--slo", "p99<5ms"], "--probe"),
        (&["--churn", "fast"], "500, 5k"),
    ] {
        let ran = loadgen(&[&["conns", "127.0.0.1:9"], flags].concat());
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let script = format!("ulimit -n 256; exec {PROGRAM} conns 127.0.0.1:9 -c 9000");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("room for") && said.contains("LimitNOFILE="),
        "{said}"
    );
}

#[test]
fn the_gateway_holds_what_it_is_given() {
    let program = Path::new(PROGRAM).with_file_name("sealgate");
    if !program.exists() {
        eprintln!(
            "skipped: {} is not there; cargo build -p sealgate",
            program.display()
        );
        return;
    }
    let files = TlsFiles::new();
    let origin = Origin::start(&[]);
    let upstream = origin.address("echo").to_string();
    let free = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    };
    let (listen, admin) = (free().to_string(), free().to_string());
    let mut gateway = Command::new(program)
        .args([
            "tcp",
            "--listen",
            &listen,
            "--upstream",
            &upstream,
            "--admin",
            &admin,
        ])
        .args([
            "--cert",
            &files.path("server.pem"),
            "--key",
            &files.path("server.key"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(gateway.stderr.take().unwrap());
    thread::spawn(move || {
        // So that it is never blocked by what it writes.
        let mut line = String::new();
        while log.read_line(&mut line).is_ok_and(|n| n > 0) {
            line.clear();
        }
    });
    until("the gateway", || TcpStream::connect(&admin).is_ok());
    let pid = gateway.id().to_string();
    let args = [
        "conns",
        &listen,
        "-c",
        "30",
        "--warmup",
        "2",
        "--target-pid",
        &pid,
    ];
    let (code, json) = result(&[&args[..], &BRIEFLY].concat());
    let (_, metrics) = curl(&[&format!("http://{admin}/metrics")]);
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert!(code == 0 || code == 4, "{code}: {json:#}");
    assert_eq!(json["conns"]["opened"], 30, "{json:#}");
    assert_eq!(json["conns"]["closed"], 30);
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(
        metrics.contains("\nsealgate_connections_accepted_total 32\n"),
        "{metrics}"
    );
    assert!(json["conns"]["target"]["anonymous"]["bytes_per_connection"].is_number());
}
