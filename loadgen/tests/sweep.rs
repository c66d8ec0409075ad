//! A grid of runs, with the real program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    process::{Command, Stdio},
};

use program::{Nowhere, Origin, PROGRAM, TlsFiles, loadgen, schema::assert_valid_by};
use serde_json::{Value, json};

#[test]
fn every_cell_is_run_in_every_round_and_stored() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (html, csv, md) = (path("s.html"), path("s.csv"), path("s.md"));
    let ran = loadgen(&[
        "sweep",
        "--vary",
        "connections=1,2,3",
        "--vary",
        "size=10,2k",
        "--rounds",
        "2",
        "--seed",
        "5",
        "--json",
        "-",
        "-o",
        &html,
        "-o",
        &csv,
        "-o",
        &md,
        "request",
        &origin.tls_url("/x"),
        "--check",
        "echo",
        "-n",
        "12",
    ]);
    let sweep: Value = serde_json::from_str(&ran.stdout).unwrap();
    // A run of a moment is degraded at most, unless the machine was very busy.
    assert!([0, 4].contains(&ran.code), "{}", ran.stderr);
    assert_valid_by(&sweep, "sweep-1.json");
    let cells = sweep["cells"].as_array().unwrap();
    let values: Vec<_> = cells.iter().map(|cell| cell["values"].clone()).collect();
    let expected = [
        ["1", "10"],
        ["1", "2k"],
        ["2", "10"],
        ["2", "2k"],
        ["3", "10"],
        ["3", "2k"],
    ];
    assert_eq!(values, expected.map(|pair| json!(pair)));
    let mut numbers = Vec::new();
    for cell in cells {
        let bytes = if cell["values"][1] == "10" { 10 } else { 2000 };
        let runs = cell["runs"].as_array().unwrap();
        let rounds: Vec<_> = runs
            .iter()
            .map(|run| run["round"].as_u64().unwrap())
            .collect();
        assert_eq!(rounds, [1, 2]);
        for run in runs {
            numbers.push(run["number"].as_u64().unwrap());
            let connections = run["report"]["configuration"]["connections"].to_string();
            assert_eq!(connections, cell["values"][0].as_str().unwrap());
            assert_eq!(run["report"]["totals"]["operations"]["succeeded"], 12);
            assert_eq!(run["report"]["totals"]["bytes"]["sent"], 12 * bytes);
        }
        let range = &cell["summary"]["achieved_per_s"];
        let of = |name: &str| range[name].as_f64().unwrap();
        assert!(of("least") <= of("median") && of("median") <= of("most"));
    }
    assert!(!numbers.is_sorted(), "the order is random: {numbers:?}");
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    assert_eq!(origin.totals(&origin.tls_url(""))["requests"], 12 * 12);

    let csv = std::fs::read_to_string(csv).unwrap();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines.len(), 7);
    assert!(lines[0].starts_with("connections,size,achieved_per_s,achieved_per_s_least,"));
    let widths = lines.iter().map(|line| line.split(',').count());
    assert!(
        widths
            .clone()
            .all(|width| width == lines[0].split(',').count())
    );
    let md = std::fs::read_to_string(md).unwrap();
    assert_eq!(
        md.lines().filter(|line| line.starts_with('|')).count(),
        8,
        "{md}"
    );
    let html = std::fs::read_to_string(html).unwrap();
    for part in [
        "Over connections",
        "size 10",
        "size 2k",
        "id=\"rate-0\"",
        "id=\"latency-0\"",
        "id=\"percentiles\"",
        "Content-Security-Policy",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("http-equiv=\"refresh\"") && !html.contains("src=\"http"));
    let progress: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(progress.len(), 12, "{}", ran.stderr);
    assert!(
        progress[11].starts_with("12/12 connections "),
        "{}",
        progress[11]
    );
}

#[test]
fn a_grid_that_cannot_be_run_is_refused_before_anything_is_run() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    for (flags, run, said) in [
        (
            &["--vary", "rate"][..],
            &["request", &url][..],
            "connections=1,8,64",
        ),
        (&["--vary", "rate=1k,1k"], &["request", &url], "twice"),
        (
            &["--vary", "rate=1k", "--vary", "rate=2k"],
            &["request", &url],
            "twice",
        ),
        (
            &["--vary", "rate=1k,soon"],
            &["request", &url],
            "with rate soon",
        ),
        (&["--vary", "rat=1k"], &["request", &url], "--rate"),
        (
            &["--vary", "rate=1k"],
            &["request", &url, "-R", "5"],
            "cannot be used multiple times",
        ),
        (
            &["--vary", "rate=1k"],
            &["request", &url, "--json", "x"],
            "before",
        ),
        (
            &["--vary", "rate=1k", "-o", "x.pdf"],
            &["request", &url],
            ".html",
        ),
        (&["--vary", "http=127.0.0.1:0"], &["origin"], "is no load"),
        (&["--vary", "rate=1k"], &[], "OPERATION"),
        (&[], &["request", &url], "--vary"),
    ] {
        let ran = loadgen(&[&["sweep"], flags, run].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{flags:?}: {}", ran.stderr);
    }
    free.set_nonblocking(true).unwrap();
    assert!(free.accept().is_err(), "nobody came");
}

#[test]
fn an_interrupted_sweep_ends_with_what_there_is() {
    let origin = Origin::start(&[]);
    let mut child = Command::new(PROGRAM)
        .args([
            "sweep",
            "--vary",
            "connections=1,2",
            "--rounds",
            "50",
            "--json",
            "-",
        ])
        .args([
            "request",
            &origin.url("/none"),
            "--check",
            "none",
            "-d",
            "200ms",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    progress.next().unwrap().unwrap();
    progress.next().unwrap().unwrap();
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let mut stdout = String::new();
    let mut out = child.stdout.take().unwrap();
    out.read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let sweep: Value = serde_json::from_str(&stdout).unwrap();
    assert_valid_by(&sweep, "sweep-1.json");
    assert_eq!(sweep["interrupted"], true);
    let cells = sweep["cells"].as_array().unwrap();
    let runs: usize = cells
        .iter()
        .map(|cell| cell["runs"].as_array().unwrap().len())
        .sum();
    assert!((2..100).contains(&runs), "{runs}");
}

#[test]
fn a_target_that_no_run_reaches_is_said() {
    let nowhere = Nowhere::new();
    let gone = nowhere.address;
    let ran = loadgen(&[
        "sweep",
        "--vary",
        "connections=1,2",
        "--rounds",
        "1",
        "request",
        &format!("http://{gone}/"),
    ]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("start the target"), "{}", ran.stderr);
}
