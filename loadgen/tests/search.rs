//! The search for the highest rate, against real targets. How it proceeds is tested without one, where
//! it is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod http2_target;
mod program;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use program::{
    Nowhere, Origin, TlsFiles, ended, loadgen,
    search::{AT_ONE_RATE, assert_confirmed, assert_held_to_the_end, searched, whole_steps},
    service, start_in,
};

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

/// Searches at one rate with what it takes: a first step, and three that confirm it.
fn assert_searched(of: &[&str], behind: &[&str], operation: &str, kinds: &[&str]) {
    let run = searched(&[of, &AT_ONE_RATE, behind].concat());
    let json = &run.1;
    assert_eq!(json["operation"], operation);
    let mut established = 0;
    for step in whole_steps(json) {
        let report = &step["report"];
        let named = report["kinds"].as_array().unwrap().iter();
        let named: Vec<_> = named.map(|kind| kind["name"].as_str().unwrap()).collect();
        assert_eq!(named, kinds);
        established += report["connections"]["established"].as_u64().unwrap();
    }
    assert!(established > 0);
    assert_held_to_the_end(&run);
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
    assert_searched(&[&of[..], &STEP].concat(), &[], "bulk", &["down"]);
}

#[test]
fn messages_to_an_echo_are_searched() {
    let origin = Origin::start(&[]);
    let target = format!("tcp://{}", origin.address("echo"));
    let of = ["request", &target, "--echo"];
    assert_searched(&[&of[..], &STEP].concat(), &[], "echo", &["echo"]);
}

#[test]
fn requests_over_http2_are_searched() {
    let server = http2_target::server::Server::plain(Default::default());
    let url = server.url("/");
    let of = ["request", &url, "--http", "2", "-m", "3"];
    assert_searched(&[&of[..], &STEP].concat(), &[], "request", &["request"]);
}

#[test]
fn the_operations_of_a_scenario_are_searched_by_objectives_of_their_own() {
    let origin = Origin::start(&[]);
    let echo = format!("tcp://{}", origin.address("echo"));
    let scenario = scenario(&echo, "share = 1");
    let path = scenario.path().to_str().unwrap();
    let behind = [path, "-d", "2s", "-c", "2", "--drain", "30s"];
    assert_searched(&["mix"], &behind, "mix", &["small", "large"]);
}

#[test]
fn a_search_keeps_its_bounds_and_stores_every_step() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/none");
    let run = searched(&[
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
        "10",
        "-c",
        "3",
    ]);
    let json = &run.1;
    let steps = json["steps"].as_array().unwrap();
    assert!((5..=50).contains(&steps.len()), "{json:#}");
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
    assert_held_to_the_end(&run);
    let message = json["result"]["message"].as_str().unwrap();
    assert!(message.starts_with(">= "), "{message}");
    assert_eq!(origin.totals(&origin.tls_url(""))["connections"], 4);
}

/// Work that the target has at once: whoever finds more is refused.
const QUEUE: Duration = Duration::from_millis(150);
/// What a request takes of the target, whoever sent it: 500 per second are its end.
const SERVICE: Duration = Duration::from_millis(2);

/// A service with one queue, of a length that is bounded. It works by the clock and not by the CPU, so
/// that its end is the same on any machine.
fn queue() -> SocketAddr {
    let idle = Mutex::new(Instant::now());
    service(move |mut stream| {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        // An empty line ends each request.
        for _ in lines.map_while(Result::ok).filter(String::is_empty) {
            let now = Instant::now();
            let free = {
                let mut idle = idle.lock().unwrap();
                let free = now.max(*idle);
                let taken = (free - now <= QUEUE).then_some(free + SERVICE);
                *idle = taken.unwrap_or(*idle);
                taken
            };
            // No event is waited for: this is what a request takes.
            thread::sleep(free.map_or(Duration::ZERO, |free| free - now));
            let status = free.map_or("503 Service Unavailable", |_| "200 OK");
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn the_end_of_a_target_is_found_on_any_machine() {
    let (code, json) = searched(&[
        "request",
        &format!("http://{}/", queue()),
        // More than ever wait in the queue.
        "-c",
        "100",
        "--arrival",
        "constant",
        "--slo",
        "p99<60s,errors<1%",
        "--from",
        "400",
        "--to",
        "600",
        "--settle",
        "100ms",
        "-d",
        "2s",
        "--attempts",
        "10",
    ]);
    let result = &json["result"];
    eprintln!("{}", result["message"]);
    let ended = (code, result["ending"].as_str().unwrap());
    assert_eq!(ended, (0, "found"), "{result:#}");
    assert_eq!(result["above"], "missed");
    assert_confirmed(&json);
    // 560 of 500 per second fill the queue in less than two seconds, and more than 1 % are refused.
    let rate = result["rate_per_s"].as_f64().unwrap();
    assert!((400.0..560.0).contains(&rate), "{result:#}");
    let mut steps = json["steps"].as_array().unwrap().iter();
    let near = steps.any(|step| {
        let missed = step["rate_per_s"].as_f64().unwrap();
        step["finding"]["is"] == "missed" && missed > rate && missed <= rate * 1.03
    });
    assert!(near, "{result:#}");
}

#[test]
fn a_target_that_misses_at_the_lowest_rate_ends_the_search() {
    let origin = Origin::start(&["--delay", "1s"]);
    let url = origin.url("/none");
    let (code, json) = searched(&[
        "request",
        &url,
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
        "10",
        "-c",
        "50",
    ]);
    let result = &json["result"];
    let ended = (code, result["ending"].as_str().unwrap());
    assert_eq!(ended, (3, "nothing"), "{result:#}");
    let message = result["message"].as_str().unwrap();
    for part in ["not even the lowest rate, 20/s", "p50<1us (measured 1"] {
        assert!(message.contains(part), "{message}");
    }
    // A busy machine has it tried again, at the same rate.
    let steps = json["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["rate_per_s"] == 20.0));
    assert_eq!(steps.last().unwrap()["finding"]["is"], "missed");
}

#[test]
fn nobody_there_is_said_before_any_step() {
    let nowhere = Nowhere::new();
    let gone = nowhere.address;
    let target = format!("https://{gone}/");
    let ran = loadgen(&["search", "request", &target, "--slo", "p99<5ms"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("start the target"), "{}", ran.stderr);
}

#[test]
fn an_interrupted_search_ends_with_what_there_is() {
    let origin = Origin::start(&[]);
    let url = origin.url("/none");
    let mut child = start_in(
        "/",
        &[
            "search", "request", &url, "--check", "none", "--slo", "p99<60s", "--from", "20", "-d",
            "60s", "--json", "-",
        ],
    );
    // It has begun when the target was asked.
    origin.await_requests(10, &mut child);
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let mut said = child.stderr.take().unwrap();
    let (code, json) = ended(child);
    assert_eq!(code, 4);
    assert_eq!(json["result"]["ending"], "interrupted");
    assert_eq!(json["steps"].as_array().unwrap().len(), 1);
    let mut lines = String::new();
    said.read_to_string(&mut lines).unwrap();
    assert!(lines.contains("doubling"), "{lines}");
}
