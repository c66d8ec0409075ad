//! Targets beside each other, in slices. What follows from a pair of slices is tested without a
//! target, where it is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use program::{Origin, TlsFiles, loadgen, schema::assert_valid_by, service};
use serde_json::Value;

/// Runs a comparison with `--json -`; gives its exit code and report.
fn ab(args: &[&str]) -> (i32, Value) {
    let ran = loadgen(&[&["ab"], args, &["--json", "-", "-q"]].concat());
    let json: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", ran.stdout, ran.stderr));
    assert_valid_by(&json, "ab-1.json");
    (ran.code, json)
}

fn names(slices: &Value) -> Vec<&str> {
    let slices = slices.as_array().unwrap().iter();
    slices
        .map(|slice| slice["target"].as_str().unwrap())
        .collect()
}

/// Sum of a number over the slices of a target.
fn sum(json: &Value, target: &str, number: &str) -> u64 {
    let slices = json["slices"].as_array().unwrap().iter();
    let of_it = slices.filter(|slice| slice["target"] == target);
    of_it.map(|slice| slice[number].as_u64().unwrap()).sum()
}

#[test]
fn pairs_are_what_the_slices_say_and_the_totals_are_their_sums() {
    let files = TlsFiles::new();
    let origins = [(); 2].map(|()| Origin::start_tls(&files, &[]));
    let urls = origins.each_ref().map(|origin| origin.tls_url("/none"));
    let pids = origins.each_ref().map(Origin::pid).join(",");
    let (_, json) = ab(&[
        "request",
        &urls[0],
        &urls[1],
        "--check",
        "none",
        "-c",
        "3",
        "-d",
        "200ms",
        "--warmup",
        "200ms",
        "--target-pids",
        &pids,
    ]);
    // 200 ms are two blocks of four slices of 25 ms.
    let slices = &json["slices"];
    assert_eq!(names(slices), ["a", "b", "b", "a", "b", "a", "a", "b"]);
    let pairs = json["comparisons"][0]["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 2);
    for (block, pair) in pairs.iter().enumerate() {
        let of = |target: &str, number: &str| -> f64 {
            let slices = slices.as_array().unwrap().iter();
            let of_it = slices.filter(|slice| slice["block"] == block && slice["target"] == target);
            of_it.map(|slice| slice[number].as_f64().unwrap()).sum()
        };
        if of("a", "succeeded").min(of("b", "succeeded")) == 0.0 {
            continue;
        }
        let ln = |number: &str, per: &str| {
            let side = |target| of(target, number) / of(target, per);
            (side("b") / side("a")).ln()
        };
        for (stored, found) in [
            ("throughput", ln("succeeded", "elapsed_s")),
            ("cpu_per_operation", ln("cpu_ns", "succeeded")),
        ] {
            // A slice without CPU time gives no ratio.
            if found.is_finite() {
                let stored = pair[stored].as_f64().unwrap();
                assert!((stored - found).abs() < 1e-6, "{stored} and {found}");
            }
        }
    }
    for (target, origin) in json["targets"].as_array().unwrap().iter().zip(&origins) {
        let name = target["name"].as_str().unwrap();
        let totals = &target["totals"];
        assert_eq!(
            totals["operations"]["succeeded"],
            sum(&json, name, "succeeded")
        );
        assert_eq!(
            totals["latency"]["service"]["count"],
            totals["operations"]["succeeded"]
        );
        let cpu_ns = (target["cpu_s"].as_f64().unwrap() * 1e9).round() as u64;
        assert!(cpu_ns.abs_diff(sum(&json, name, "cpu_ns")) < 10);
        assert_eq!(target["pid"].to_string(), origin.pid());
        // They stood before the first slice, and no slice needed another one.
        assert_eq!(target["tls"]["kind"]["full"], 3);
        // Three connections, and one that asks now.
        assert_eq!(origin.totals(&origin.tls_url(""))["connections"], 4);
    }
}

#[test]
fn no_target_has_anything_under_way_while_another_has_its_turn() {
    let under_way = Arc::new([const { AtomicU64::new(0) }; 3]);
    let overlaps = Arc::new(AtomicU64::new(0));
    let echoes = [0, 1, 2].map(|target| {
        let (under_way, overlaps) = (Arc::clone(&under_way), Arc::clone(&overlaps));
        service(move |mut stream| {
            let mut message = [0; 64];
            while stream.read_exact(&mut message).is_ok() {
                under_way[target].fetch_add(1, SeqCst);
                // Others have every chance to run into it.
                thread::yield_now();
                let others = (0..3).filter(|other| *other != target);
                let others: u64 = others.map(|other| under_way[other].load(SeqCst)).sum();
                overlaps.fetch_add(others, SeqCst);
                under_way[target].fetch_sub(1, SeqCst);
                if stream.write_all(&message).is_err() {
                    break;
                }
            }
        })
    });
    let urls = echoes.map(|address: SocketAddr| format!("tcp://{address}"));
    let (_, json) = ab(&[
        "request", &urls[0], &urls[1], &urls[2], "--echo", "--size", "64", "-c", "4", "-t", "2",
        "--slice", "5ms", "-d", "30ms", "--warmup", "200ms",
    ]);
    // One block would do, and six have every target in every place.
    assert_eq!(json["settings"]["blocks"], 6);
    assert_eq!(names(&json["slices"]).len(), 36);
    assert_eq!(json["comparisons"].as_array().unwrap().len(), 2);
    assert!(
        ["a", "b", "c"]
            .iter()
            .all(|name| sum(&json, name, "failed") == 0)
    );
    assert!(sum(&json, "a", "succeeded") > 0);
    assert_eq!(overlaps.load(SeqCst), 0);
}

#[test]
fn with_a_rate_every_slice_has_the_same_operations() {
    let origins = [(); 2].map(|()| Origin::start(&[]));
    let addresses = origins
        .each_ref()
        .map(|origin| origin.address("http").to_string());
    let both = addresses.join(",");
    let url = "http://app.example/none";
    let (_, json) = ab(&[
        "request",
        url,
        url,
        "--connect-to",
        &both,
        "--check",
        "none",
        "-R",
        "400",
        "--slice",
        "50ms",
        "-d",
        "200ms",
        "--warmup",
        "200ms",
    ]);
    for slice in json["slices"].as_array().unwrap() {
        assert_eq!(slice["succeeded"], 20, "{slice}");
        assert_eq!(slice["cpu_ns"], Value::Null);
    }
    let targets = json["targets"].as_array().unwrap();
    for (target, address) in targets.iter().zip(addresses) {
        assert_eq!(target["address"], address);
    }
}

#[test]
fn handshakes_and_transfers_are_compared_too() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let echo = origin.address("echo").to_string();
    let (_, json) = ab(&["handshake", &echo, &echo, "-c", "2", "-d", "100ms"]);
    assert_eq!(json["operation"], "handshake");
    assert!(sum(&json, "a", "succeeded") > 0 && sum(&json, "b", "succeeded") > 0);
    let source = origin.tls("source");
    let down = [
        "bulk", &source, &source, "--down", "--bytes", "10k", "-d", "100ms",
    ];
    let (_, json) = ab(&down);
    let bytes = &json["targets"][1]["totals"]["bytes"]["received"];
    assert_eq!(
        bytes.as_u64().unwrap(),
        10_000 * sum(&json, "b", "succeeded")
    );
}

#[test]
fn a_target_that_does_not_answer_is_named_and_no_slice_is_run() {
    let origin = Origin::start(&[]);
    let dead = service(|stream: TcpStream| drop(stream));
    let alive = format!("tcp://{}", origin.address("echo"));
    let dead = format!("tcp://{dead}");
    let ran = loadgen(&["ab", "request", &alive, &dead, "--echo", "-q"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(&dead), "{}", ran.stderr);
    assert!(ran.stdout.contains(" 0 blocks"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("b: no operation succeeded"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_does_not_go_with_a_comparison_is_said() {
    let url = "http://127.0.0.1:1/";
    for (flags, said) in [
        (&["-n", "5"][..], "-n does not go"),
        (&["--stages", "1k:1s"], "--stages does not go"),
        (&["--slo", "p99<5ms"], "--slo does not go"),
        (&["--target-pid", "1"], "--target-pids"),
        (
            &["--target-pids", "1"],
            "--target-pids has 1 processes and there are 2 targets",
        ),
        (
            &["--connect-to", "a:1,b:2,c:3"],
            "--connect-to has 3 addresses",
        ),
        (&["--slice", "2ms"], "correct --slice"),
        (&["-d", "3h", "--slice", "5ms"], "lower -d"),
        (&["--arrival", "burst:5/10ms"], "a burst does not fit"),
        (&["--check-upstream", url], "--check-upstream does not go"),
    ] {
        let ran = loadgen(&[&["ab", "request", url, url], flags].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{flags:?}: {}", ran.stderr);
    }
    assert_eq!(loadgen(&["ab", "request", url]).code, 1, "one target");
    assert_eq!(loadgen(&["ab", "request", url, url, url, url]).code, 1);
}
