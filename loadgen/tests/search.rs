//! Loads behind one another on the same connections, the search for the highest rate, and the
//! calibration. How the search proceeds is tested without a target, where it is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod http2_target;
mod program;

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use clap::Parser;
use loadgen::{
    cli::{self, Cli},
    command::{handshake, load, request},
    run::{Outcome, Session},
    schedule::{Extent, arrivals::Process, curve::Rate, curve::Stage, timeline::OpenLoad},
    worker::{Load, Loads, Plan},
};
use program::{Origin, PROGRAM, TlsFiles, loadgen, schema::assert_valid_by, service};
use serde_json::{Value, json};

/// The plan of a command line, for many loads.
fn plan(args: &[&str]) -> Plan {
    let cli = Cli::parse_from([&["loadgen"], args].concat());
    let plan = match &cli.command {
        cli::Command::Request(args) => load::plan(&request::job(args).unwrap()),
        cli::Command::Handshake(args) => load::plan(&handshake::job(args).unwrap()),
        _ => panic!("not a load of these tests"),
    };
    Plan {
        loads: Loads::Many,
        ..plan.unwrap()
    }
}

/// So many operations in a tenth of a second.
fn again(operations: u64) -> Load {
    let length = Duration::from_millis(100);
    Load {
        extent: Extent {
            duration: Some(length),
            operations: None,
            warmup: Duration::from_millis(20),
        },
        open: Some(OpenLoad {
            process: Process::Constant,
            stages: vec![Stage::hold(Rate(operations * 10_000), length)],
            seed: 1,
        }),
    }
}

/// Planned, succeeded, failed, never sent; connections.
fn counts(outcome: &Outcome) -> ([u64; 4], u64) {
    let totals = &outcome.collected.totals;
    let mut all = [0; 4];
    for part in &totals.kinds {
        let counts = &part.counts;
        let of = [
            counts.planned,
            counts.succeeded,
            counts.failed,
            counts.unsent,
        ];
        all.iter_mut().zip(of).for_each(|(sum, n)| *sum += n);
    }
    (all, totals.connections.established)
}

#[test]
fn connections_carry_several_loads_and_each_is_counted_by_itself() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/none");
    let first = [
        "request", &url, "--check", "none", "-R", "300", "-d", "100ms", "-c", "5", "-t", "2",
    ];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert_eq!(counts(&session.first().unwrap()), ([30, 30, 0, 0], 5));
    for operations in [40, 1, 250] {
        let outcome = session.again(again(operations)).unwrap();
        let all = [operations, operations, 0, 0];
        assert_eq!(counts(&outcome), (all, 0), "no new connection");
        let response = outcome.collected.totals.kinds[0].latency.response.count();
        assert_eq!(response, operations);
        let rows = outcome.collected.series.iter();
        assert_eq!(rows.map(|row| row.succeeded).sum::<u64>(), operations);
        assert!(!outcome.interrupted);
    }
    // Five of the session, and one that asks.
    assert_eq!(origin.totals(&origin.tls_url(""))["connections"], 6);
}

#[test]
fn handshakes_of_each_load_are_counted_in_it() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let target = origin.address("echo").to_string();
    let first = ["handshake", &target, "-R", "100", "-d", "100ms", "-c", "3"];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert_eq!(counts(&session.first().unwrap()), ([10, 10, 0, 0], 10));
    let outcome = session.again(again(20)).unwrap();
    assert_eq!(counts(&outcome), ([20, 20, 0, 0], 20));
}

#[test]
fn a_load_on_a_target_that_is_gone_ends_too() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let target = format!("tcp://{gone}");
    let first = [
        "request", &target, "--echo", "-R", "100", "-d", "100ms", "-c", "2", "--drain", "100ms",
    ];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert!(session.again(again(1)).is_err(), "there was no first one");
    for outcome in [session.first(), session.again(again(10))] {
        let (all, connections) = counts(&outcome.unwrap());
        assert_eq!((all[0], all[1], connections), (10, 0, 0));
        assert_eq!(all[2] + all[3], 10, "failed or never sent");
    }
}

#[test]
fn an_operation_that_never_ends_is_given_up_before_the_next_load() {
    let silent = service(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let target = format!("tcp://{silent}");
    let first = [
        "request", &target, "--echo", "-R", "100", "-d", "50ms", "-c", "2", "--drain", "100ms",
    ];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert_eq!(counts(&session.first().unwrap()).0, [5, 0, 2, 3]);
    // Two of its warm-up keep both connections until the time to drain is over.
    assert_eq!(counts(&session.again(again(10)).unwrap()).0, [10, 0, 0, 10]);
}

#[test]
fn what_does_not_go_with_a_search_is_said() {
    let url = "http://127.0.0.1:1/";
    let slo = ["--slo", "p99<5ms"];
    for (flags, said) in [
        (&[][..], "--slo"),
        (&["-R", "5k"], "-R does not go"),
        (&["--stages", "1k:1s"], "--stages does not go"),
        (&["-n", "5"], "-n does not go"),
        (&["--warmup", "1s"], "--settle"),
        (&["-d", "1s"], "raise -d"),
        (&["--arrival", "burst:5/10ms"], "constant"),
        (&["--from", "2k", "--to", "1k"], "exchange them"),
        (&["--calibration", "/nonexistent.json"], "/nonexistent.json"),
        (&["--force"], "--calibration"),
    ] {
        let slo = if flags.is_empty() { &[][..] } else { &slo };
        let ran = loadgen(&[&["search", "request", url], slo, flags].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{flags:?}: {}", ran.stderr);
    }
    assert_eq!(loadgen(&["search"]).code, 1);
    let ran = loadgen(&["search", "bulk", "tls://127.0.0.1:1"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("add --slo"), "{}", ran.stderr);
    let rates = scenario("tcp://127.0.0.1:1", "rate = \"10/s\"");
    let ran = loadgen(&[
        "search",
        "mix",
        rates.path().to_str().unwrap(),
        "--slo",
        "p99<1s",
    ]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("give shares"), "{}", ran.stderr);
}

/// A scenario of two echoes and a transfer, each with `share`; objectives are the first one's own.
fn scenario(target: &str, share: &str) -> tempfile::NamedTempFile {
    let text = format!(
        "target = \"http://127.0.0.1:1\"\n\
         [[operation]]\nname = \"small\"\nkind = \"echo\"\n{share}\n\
         target = \"{target}\"\nslo = [\"p99<60s\"]\n\
         [[operation]]\nname = \"large\"\nkind = \"echo\"\n{share}\n\
         target = \"{target}\"\nsize = \"20k\"\n"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Searches at one rate with what it takes: a first step, and three that confirm it. Whether the
/// machine is quiet enough for them is not for a test to say.
fn searched(of: &[&str], behind: &[&str], operation: &str, kinds: &[&str]) {
    let bounds = [
        "--from",
        "20",
        "--to",
        "20",
        "--settle",
        "100ms",
        "--attempts",
        "1",
    ];
    let (code, json) = search(&[of, &bounds, behind].concat());
    assert_eq!(json["operation"], operation);
    let steps = json["steps"].as_array().unwrap();
    let mut established = 0;
    for step in steps {
        let report = &step["report"];
        assert_eq!(report["errors"], json!([]), "{report:#}");
        let counts = &report["totals"]["operations"];
        assert!(counts["planned"].as_u64() > Some(0), "{counts}");
        assert_eq!(counts["planned"], counts["succeeded"], "{report:#}");
        let named = report["kinds"].as_array().unwrap().iter();
        let named: Vec<_> = named.map(|kind| kind["name"].as_str().unwrap()).collect();
        assert_eq!(named, kinds);
        established += report["connections"]["established"].as_u64().unwrap();
    }
    assert!(established > 0);
    let ending = json["result"]["ending"].as_str().unwrap();
    match code {
        0 => assert_eq!((ending, steps.len()), ("at_least", 4)),
        4 => assert!(["undecided", "unconfirmed"].contains(&ending), "{ending}"),
        other => panic!("{other}: {json:#}"),
    }
}

const STEP: [&str; 8] = [
    "-d",
    "2s",
    "-c",
    "2",
    "--slo",
    "p99<60s,errors<1%",
    "--drain",
    "30s",
];

#[test]
fn transfers_are_searched() {
    let origin = Origin::start(&[]);
    let source = origin.address("source").to_string();
    let target = format!("tcp://{source}");
    let of = ["bulk", &target, "--bytes", "20k"];
    searched(&[&of[..], &STEP].concat(), &[], "bulk", &["down"]);
}

#[test]
fn messages_to_an_echo_are_searched() {
    let origin = Origin::start(&[]);
    let target = format!("tcp://{}", origin.address("echo"));
    let of = ["request", &target, "--echo"];
    searched(&[&of[..], &STEP].concat(), &[], "echo", &["echo"]);
}

#[test]
fn requests_over_http2_are_searched() {
    let server = http2_target::server::Server::plain(Default::default());
    let url = server.url("/");
    let of = ["request", &url, "--http", "2", "-m", "3"];
    searched(&[&of[..], &STEP].concat(), &[], "request", &["request"]);
}

#[test]
fn the_operations_of_a_scenario_are_searched_by_objectives_of_their_own() {
    let origin = Origin::start(&[]);
    let echo = format!("tcp://{}", origin.address("echo"));
    let scenario = scenario(&echo, "share = 1");
    let path = scenario.path().to_str().unwrap();
    let behind = [path, "-d", "2s", "-c", "2", "--drain", "30s"];
    searched(&["mix"], &behind, "mix", &["small", "large"]);
}

/// Runs a search with `--json -`; gives its exit code and report.
fn search(args: &[&str]) -> (i32, Value) {
    let ran = loadgen(&[&["search"], args, &["--json", "-"]].concat());
    let json: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", ran.stdout, ran.stderr));
    assert_valid_by(&json, "search-1.json");
    (ran.code, json)
}

#[test]
fn a_search_keeps_its_bounds_and_stores_every_step() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/none");
    let (code, json) = search(&[
        "request",
        &url,
        "--check",
        "none",
        "--slo",
        "p99<60s,errors<100%",
        "--from",
        "40",
        "--to",
        "50",
        "-d",
        "2s",
        "--settle",
        "100ms",
        "--attempts",
        "1",
        "-c",
        "3",
    ]);
    let steps = json["steps"].as_array().unwrap();
    assert!((1..=25).contains(&steps.len()), "{json:#}");
    for (n, step) in steps.iter().enumerate() {
        let rate = step["rate_per_s"].as_f64().unwrap();
        assert!((40.0..=50.0).contains(&rate), "{rate}");
        assert_eq!(step["number"], n + 1);
        let report = &step["report"];
        assert_eq!(report["configuration"]["arrival"], "poisson");
        assert_eq!(report["configuration"]["seed"], n + 2);
        assert_eq!(report["configuration"]["stages"][0]["from_per_s"], rate);
        let planned = report["totals"]["operations"]["planned"].as_u64().unwrap();
        let response = &report["totals"]["latency"]["response"]["count"];
        assert_eq!(*response, planned, "every step has its histogram");
        let connections = if n == 0 { 3 } else { 0 };
        assert_eq!(report["connections"]["established"], connections);
    }
    // Whether the machine is quiet enough for a rate is not for a test to say.
    let result = &json["result"];
    match code {
        0 => {
            assert_eq!(result["ending"], "at_least", "{result:#}");
            let message = result["message"].as_str().unwrap();
            assert!(message.starts_with(">= "), "{message}");
            let last = steps.iter().rev().take(3);
            for step in last {
                assert_eq!(step["phase"], "confirmation");
                assert_eq!(step["finding"]["is"], "held");
                assert_eq!(step["rate_per_s"], result["rate_per_s"]);
            }
        }
        4 => {
            let ending = result["ending"].as_str().unwrap();
            assert!(["undecided", "unconfirmed"].contains(&ending), "{ending}");
        }
        other => panic!("{other}: {result:#}"),
    }
    assert_eq!(origin.totals(&origin.tls_url(""))["connections"], 4);
}

#[test]
fn a_target_that_misses_at_the_lowest_rate_ends_the_search() {
    let origin = Origin::start(&[]);
    let (code, json) = search(&[
        "request",
        &origin.url("/none"),
        "--check",
        "none",
        "--slo",
        "p50<1us",
        "--from",
        "20",
        "-d",
        "2s",
        "--settle",
        "0s",
        "--attempts",
        "1",
        "-c",
        "2",
    ]);
    assert_eq!(json["steps"].as_array().unwrap().len(), 1, "{json:#}");
    let message = json["result"]["message"].as_str().unwrap();
    assert!(
        message.contains("not even the lowest rate, 20/s"),
        "{message}"
    );
    match code {
        3 => {
            assert_eq!(json["result"]["ending"], "nothing");
            assert!(message.contains("p50<1us (measured "), "{message}");
        }
        // The machine was too busy to tell.
        other => assert_eq!((other, &json["result"]["ending"]), (4, &json!("undecided"))),
    }
}

#[test]
fn nobody_there_is_said_before_any_step() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let target = format!("https://{gone}/");
    let ran = loadgen(&["search", "request", &target, "--slo", "p99<5ms"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("start the target"), "{}", ran.stderr);
}

#[test]
fn an_interrupted_search_ends_with_what_there_is() {
    let origin = Origin::start(&[]);
    let mut child = Command::new(PROGRAM)
        .args(["search", "request", &origin.url("/none"), "--check", "none"])
        .args([
            "--slo", "p99<60s", "--from", "20", "-d", "60s", "--json", "-",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has begun when the target was asked.
    while origin.totals(&origin.url(""))["requests"].as_u64().unwrap() < 10 {
        thread::yield_now();
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let mut stdout = String::new();
    let mut out = child.stdout.take().unwrap();
    out.read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["result"]["ending"], "interrupted");
    assert_eq!(json["steps"].as_array().unwrap().len(), 1);
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let lines: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(
        lines.iter().any(|line| line.contains("doubling")),
        "{lines:?}"
    );
}

#[test]
fn a_calibration_is_whole_and_a_search_refuses_one_of_another_host() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host.json");
    let file = path.to_str().unwrap();
    let run = ["calibrate", "-d", "200ms", "--rounds", "1", "--json", file];
    let ran = loadgen(&run);
    assert!([0, 4].contains(&ran.code), "{}", ran.stderr);
    for part in [
        "requests",
        "handshakes resumed",
        "bulk down",
        "sleep then spin",
        "ceiling",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let read = |path: &Path| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut json = read(&path);
    assert_valid_by(&json, "calibration-1.json");
    let measurements = json["measurements"].as_array().unwrap();
    let names: Vec<_> = measurements
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["tls"].as_bool().unwrap()))
        .collect();
    let expected = [
        ("requests", true),
        ("requests", false),
        ("handshakes_full", true),
        ("handshakes_resumed", true),
        ("bulk_down", true),
        ("bulk_up", true),
        ("bulk_down", false),
        ("bulk_up", false),
    ];
    assert_eq!(names, expected);
    for one in measurements {
        // On a very busy machine nothing may have been done, and then it says so.
        let measured = one["achieved_per_s"].as_f64() > Some(0.0);
        let measured = measured && one["per_cpu_s"].as_f64() > Some(0.0);
        assert!(measured || one["state"] == "invalid", "{one:#}");
    }
    let timer = json["timer"].as_array().unwrap();
    let modes: Vec<_> = timer
        .iter()
        .map(|one| one["mode"].as_str().unwrap())
        .collect();
    assert_eq!(modes, ["spin", "sleep_then_spin", "sleep"]);
    assert!(timer.iter().all(|one| one["late"]["count"] == 1000));

    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("https://{gone}/");
    let search = |flags: &[&str]| {
        let common = [
            "search",
            "request",
            &url,
            "--slo",
            "p99<5ms",
            "--calibration",
            file,
        ];
        loadgen(&[&common, flags].concat())
    };
    assert_eq!(
        search(&[]).code,
        2,
        "it is of this host, and nobody is there"
    );
    json["host"]["name"] = json!("elsewhere");
    std::fs::write(&path, json.to_string()).unwrap();
    let refused = search(&[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    for part in ["host.name: elsewhere / ", "--force"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    assert_eq!(search(&["--force"]).code, 2);
}
