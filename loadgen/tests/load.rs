//! What the generator counts is what happened.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use loadgen::report::model::Distribution;
use program::{Origin, TlsFiles, assert_whole, curl, loadgen, result, service};
use serde_json::{Value, json};

fn recorded(times: &Value) -> u64 {
    let times: Distribution = serde_json::from_value(times.clone()).unwrap();
    let histogram = times.histogram().unwrap();
    assert_eq!(histogram.len(), times.count);
    histogram.len()
}

/// All of `n` operations succeeded, and were recorded three times.
fn assert_done(result: &(i32, Value), n: u64) {
    let (code, json) = result;
    // On a busy machine a run may last long enough to be judged by its conditions.
    let long = json["timing"]["elapsed_s"].as_f64().unwrap() >= 1.0;
    assert!(*code == 0 || long && *code == 4, "{code}: {json:#}");
    let operations = &json["totals"]["operations"];
    assert_eq!(
        (
            &operations["planned"],
            &operations["succeeded"],
            &operations["failed"]
        ),
        (&json!(n), &json!(n), &json!(0)),
        "{json:#}"
    );
    assert_eq!(json["errors"], json!([]));
    for times in ["response", "service", "lag"] {
        assert_eq!(recorded(&json["totals"]["latency"][times]), n, "{times}");
    }
}

#[test]
fn requests_are_as_many_as_the_origin_saw() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/x");
    let put = [
        "request", &url, "--size", "1000", "-n", "303", "-c", "5", "-t", "2",
    ];
    let put = result(&put);
    assert_done(&put, 303);
    assert_eq!(
        put.1["totals"]["bytes"],
        json!({ "sent": 303_000, "received": 0 })
    );
    assert_eq!(put.1["statuses"], json!({ "201": 1, "204": 302 }));
    assert_eq!(put.1["tls"]["kind"], json!({ "full": 5 }));
    assert_eq!(put.1["tls"]["alpn"], json!({ "http/1.1": 5 }));
    let get = result(&["request", &url, "-n", "200", "-c", "3", "-H", "X-A: b"]);
    assert_done(&get, 200);
    assert_eq!(
        get.1["totals"]["bytes"],
        json!({ "sent": 0, "received": 200_000 })
    );
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(totals["requests"], 503);
    assert_eq!(totals["request_body_bytes"], 303_000);
    assert_eq!(totals["connections"], 5 + 3 + 1);
    let (_, log) = curl(&["-k", &origin.tls_url("/.origin/log")]);
    assert!(String::from_utf8(log).unwrap().contains(r#"["x-a","b"]"#));
}

#[test]
fn handshakes_are_of_the_kinds_that_were_asked_for() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let target = origin.address("echo").to_string();
    let politely = ["--close", "notify", "-n", "100", "-c", "2"];

    let full = result(&[&["handshake", &target][..], &politely].concat());
    assert_done(&full, 100);
    assert_eq!(full.1["tls"]["kind"], json!({ "full": 100 }));
    assert_eq!(
        full.1["configuration"]["tls"]["verification"],
        "none (neither chain nor signature)"
    );
    assert_eq!(recorded(&full.1["connections"]["handshake"]), 100);
    let totals = origin.totals(&origin.tls_url(""));
    // The query itself is one more.
    assert_eq!(
        (&totals["handshakes_full"], &totals["handshakes_failed"]),
        (&json!(101), &json!(0))
    );

    let half = [
        "handshake",
        &target,
        "--resume",
        "50%",
        "--groups",
        "X25519",
    ];
    let half = result(&[&half[..], &politely].concat());
    assert_done(&half, 100);
    assert_eq!(half.1["tls"]["kind"], json!({ "full": 50, "resumed": 50 }));
    assert_eq!(half.1["tls"]["group"], json!({ "X25519": 100 }));
    assert_eq!(half.1["connections"]["priming"], 2, "one per connection");

    for version in ["1.2", "1.3"] {
        let all = ["handshake", &target, "--resume", "100", "--tls", version];
        let all = result(&[&all[..], &politely].concat());
        assert_done(&all, 100);
        assert_eq!(all.1["tls"]["kind"], json!({ "resumed": 100 }));
        assert_eq!(
            all.1["tls"]["version"],
            json!({ format!("TLSv{version}"): 100 })
        );
    }
    let reset = result(&["handshake", &target, "-n", "100"]);
    assert_done(&reset, 100);
}

#[test]
fn certificates_are_verified_when_asked() {
    let files = TlsFiles::new();
    let ca = files.path("ca.pem");
    let origin = Origin::start_tls(&files, &["--client-ca", &ca]);
    let (cert, key) = (files.path("client.pem"), files.path("client.key"));
    let target = format!("localhost:{}", origin.address("echo").port());
    let flags = ["--cacert", &ca, "--cert", &cert, "--key", &key, "-n", "10"];
    let flags = [&["handshake", &target, "--close", "notify"][..], &flags].concat();
    assert_done(&result(&flags), 10);
    let ran = loadgen(&[&flags[..], &["--sni", "other"]].concat());
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("does not verify"), "{}", ran.stderr);
    let ran = loadgen(&["request", "--echo", &origin.tls("echo"), "-n", "10"]);
    assert_eq!(
        ran.code, 2,
        "the origin wants a certificate: {}",
        ran.stdout
    );
}

#[test]
fn echoes_come_back_at_every_size() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    for (size, n) in [("1", 50), ("100", 500), ("5MB", 4)] {
        let count = n.to_string();
        let target = origin.tls("echo");
        let run = [
            "request", &target, "--echo", "--size", size, "-n", &count, "-c", "2",
        ];
        let run = result(&run);
        assert_done(&run, n);
        assert_eq!(
            run.1["totals"]["bytes"]["sent"],
            run.1["totals"]["bytes"]["received"]
        );
    }
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(totals["echo_bytes"], 50 + 500 * 100 + 4 * 5_000_000);
}

#[test]
fn bulk_moves_exactly_what_was_asked_for() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let pid = origin.pid();
    let common = [
        "--bytes",
        "3000001",
        "-n",
        "7",
        "-c",
        "2",
        "--target-pid",
        &pid,
    ];
    let bulk = |target: &str, way: &[&str]| {
        let run = result(&[&["bulk", target][..], way, &common].concat());
        assert_done(&run, 7);
        run.1
    };
    let down = bulk(&origin.tls("source"), &["--down"]);
    assert_eq!(
        down["totals"]["bytes"],
        json!({ "sent": 0, "received": 21_000_007 })
    );
    assert!(
        down["target"]["cpu_s"].as_f64().unwrap() > 0.0,
        "{}",
        down["target"]
    );
    assert!(down["target"]["cpu_s_per_gigabyte"].as_f64().unwrap() > 0.0);
    let up = bulk(&origin.tls("sink"), &["--up"]);
    assert_eq!(
        up["totals"]["bytes"],
        json!({ "sent": 21_000_007, "received": 0 })
    );
    let both = bulk(&origin.tls("echo"), &["--duplex"]);
    assert_eq!(
        both["totals"]["bytes"],
        json!({ "sent": 21_000_007, "received": 21_000_007 })
    );
    assert_eq!(both["kinds"][0]["name"], "duplex");
    let get = bulk(&origin.tls_url("/o"), &["--down", "--prepare"]);
    assert_eq!(get["totals"]["bytes"]["received"], 21_000_007);
    let put = bulk(&origin.tls_url("/o"), &["--up"]);
    assert_eq!(put["totals"]["bytes"]["sent"], 21_000_007);
    // What is there knows best how long it is.
    let whole = result(&["bulk", &origin.tls_url("/o"), "-n", "2"]);
    assert_done(&whole, 2);
    assert_eq!(whole.1["totals"]["bytes"]["received"], 6_000_002);
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(totals["source_bytes"], 21_000_007);
    assert_eq!(totals["sink_bytes"], 21_000_007);
    assert_eq!(totals["echo_bytes"], 21_000_007);
    assert_eq!(totals["request_body_bytes"], 8 * 3_000_001);
}

#[test]
fn what_comes_back_damaged_or_short_of_a_duplex_transfer_does_not_count() {
    let duplex = |spoil: fn(&mut [u8]) -> usize| {
        let address = service(move |mut stream| {
            let mut buffer = [0; 5_000];
            while let Ok(len @ 1..) = stream.read(&mut buffer) {
                let kept = spoil(&mut buffer[..len]);
                if stream.write_all(&buffer[..kept]).is_err() {
                    return;
                }
            }
        });
        let target = format!("tcp://{address}");
        let (code, json) = result(&["bulk", &target, "--duplex", "--bytes", "2MB", "-n", "3"]);
        assert_eq!(
            (code, &json["totals"]["operations"]["failed"]),
            (2, &json!(3))
        );
        json["totals"]["operations"]["corrupt"].as_u64().unwrap()
    };
    let damaged = duplex(|bytes| {
        bytes[bytes.len() - 1] ^= 1;
        bytes.len()
    });
    assert_eq!(damaged, 3);
    duplex(|bytes| bytes.len() - 1);
    let ran = loadgen(&["bulk", "https://127.0.0.1:1/o", "--duplex"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("--duplex needs an echo"),
        "{}",
        ran.stderr
    );
}

#[test]
fn everything_works_over_plain_tcp_too() {
    let origin = Origin::start(&[]);
    let address = |service: &str| origin.address(service).to_string();
    let n = ["-n", "20", "--plain"];
    let run = |args: &[&str]| result(&[args, &n].concat());
    assert_done(&run(&["request", &address("echo"), "--echo"]), 20);
    assert_done(&run(&["bulk", &address("source"), "--bytes", "1MB"]), 20);
    assert_done(
        &run(&["bulk", &address("sink"), "--up", "--bytes", "1MB"]),
        20,
    );
    let put = run(&["request", &origin.url("/x"), "-X", "PUT", "--size", "10"]);
    assert_done(&put, 20);
    assert_eq!(put.1["tls"], Value::Null);
}

#[test]
fn the_name_stays_when_the_address_changes() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let address = origin.address("http").to_string();
    let target = "https://tenant-a.example/x";
    let run = result(&[
        "request",
        target,
        "--connect-to",
        &address,
        "--check",
        "none",
        "-n",
        "1",
    ]);
    assert_done(&run, 1);
    let (_, log) = curl(&["-k", &origin.tls_url("/.origin/log")]);
    let entry: Value = serde_json::from_slice(&log).unwrap();
    assert_eq!(entry["server_name"], "tenant-a.example");
    let headers = entry["headers"].as_array().unwrap();
    assert!(
        headers.contains(&json!(["host", "tenant-a.example"])),
        "{headers:?}"
    );
}

#[test]
fn a_duration_bounds_the_run_and_warmup_does_not_count() {
    let origin = Origin::start(&[]);
    let target = format!("tcp://{}", origin.address("echo"));
    let run = [
        "request", &target, "--echo", "-d", "300ms", "--warmup", "100ms",
    ];
    let (_, json) = result(&run);
    let elapsed = json["timing"]["elapsed_s"].as_f64().unwrap();
    // An operation that was started in time may end late on a busy machine.
    assert!((0.29..10.0).contains(&elapsed), "{elapsed}");
    assert!(json["totals"]["operations"]["warmup"].as_u64().unwrap() > 0);
    let n = json["totals"]["operations"]["succeeded"].as_u64().unwrap();
    assert_eq!(recorded(&json["totals"]["latency"]["service"]), n);
    assert_ne!(json["verdict"]["state"], "valid", "too short for rates");
}

#[test]
fn a_file_takes_the_json_and_people_the_summary() {
    let origin = Origin::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let target = format!("tcp://{}", origin.address("echo"));
    let run = [
        "request",
        &target,
        "--echo",
        "-n",
        "10",
        "--json",
        file.to_str().unwrap(),
    ];
    let ran = loadgen(&run);
    assert!(
        ran.stdout.contains("operations  10 ok, 0 failed"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("closed loop"), "{}", ran.stdout);
    let json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_whole(ran.code, &json, 10);
    // The origin is in order behind all that.
    let mut echo = TcpStream::connect(origin.address("echo")).unwrap();
    echo.write_all(b"x").unwrap();
    echo.read_exact(&mut [0]).unwrap();
}

/// Connections that a thread sets up at a time.
const AT_ONCE: u64 = 128;

/// How long a target waits for a connection that should not come. A machine that is busy for longer hides a failure, and makes none.
const ONE_MORE: Duration = Duration::from_millis(300);

/// What a target saw of connections that are set up.
#[derive(Default)]
struct Crowd {
    arrived: u64,
    open: u64,
    most_open: u64,
}

#[test]
fn connections_are_set_up_a_few_at_a_time_and_not_for_ever() {
    let crowd = Arc::new((Mutex::new(Crowd::default()), Condvar::new()));
    let seen = Arc::clone(&crowd);
    // Answers nobody until so many have said hello, and then lets everybody down.
    let address = service(move |mut stream| {
        if stream.read(&mut [0; 8]).is_err() {
            return;
        }
        let (crowd, changed) = &*seen;
        let mut crowd = crowd.lock().unwrap();
        crowd.arrived += 1;
        crowd.open += 1;
        crowd.most_open = crowd.most_open.max(crowd.open);
        changed.notify_all();
        crowd = changed
            .wait_while(crowd, |crowd| crowd.arrived < AT_ONCE)
            .unwrap();
        // One more would come now, if it did not wait for its turn.
        (crowd, _) = changed
            .wait_timeout_while(crowd, ONE_MORE, |crowd| crowd.arrived <= AT_ONCE)
            .unwrap();
        crowd.open -= 1;
    });
    let url = format!("tls://{address}");
    let ran = loadgen(&[
        "request", &url, "--echo", "-c", "600", "-t", "1", "-n", "600",
    ]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    let crowd = crowd.0.lock().unwrap();
    assert_eq!(crowd.most_open, AT_ONCE);
    // Who has seen so many fail three times does not try.
    assert!(crowd.arrived < 600 * 3, "{} attempts", crowd.arrived);
}
