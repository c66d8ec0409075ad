//! The calibration of a machine, and who may use it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::path::Path;

use program::{Nowhere, loadgen, schema::assert_valid_by};
use serde_json::{Value, json};

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

    let nowhere = Nowhere::new();
    let gone = nowhere.address;
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
