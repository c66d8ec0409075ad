//! `bench growth` with the real programs: which sizes are measured, no times.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_bench");

fn growth(place: &Path, arguments: &[&str]) -> Output {
    Command::new(BENCH)
        .arg("growth")
        .args(arguments)
        .current_dir(place)
        .output()
        .unwrap()
}

#[test]
fn tenants_are_measured_at_each_size_and_drawn() {
    for program in ["sealgate", "loadgen"] {
        let path = Path::new(BENCH).with_file_name(program);
        assert!(path.exists(), "run `cargo build -p {program}` first");
    }
    let place = tempfile::tempdir().unwrap();
    let flags = ["tenants", "--most", "20", "--quick", "--rounds", "2"];
    let files = ["--json", "growth.json", "--html", "growth.html"];
    let output = growth(place.path(), &[&flags[..], &files].concat());
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    // Times of a busy machine may look like growth; they are not what is tested.
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{said}\n{errors}"
    );
    let json: Value =
        serde_json::from_slice(&fs::read(place.path().join("growth.json")).unwrap()).unwrap();
    assert_eq!(json["format"], "bench.growth/1");
    assert_eq!(
        output.status.code() == Some(3),
        json["is_super_linear"].as_bool().unwrap()
    );
    let costs = ["start_by_tenants", "handshake_by_tenants"];
    for (series, cost) in json["series"].as_array().unwrap().iter().zip(costs) {
        assert_eq!(series["cost"], cost);
        let points = series["points"].as_array().unwrap();
        let sizes: Vec<_> = points
            .iter()
            .map(|point| point["size"].as_u64().unwrap())
            .collect();
        assert_eq!(sizes, [1, 10, 20]);
        for point in points {
            let costs = point["costs"].as_array().unwrap();
            assert_eq!(costs.len(), 2);
            assert!(
                costs.iter().all(|cost| cost.as_f64() > Some(0.0)),
                "{point}"
            );
        }
        assert_eq!(series["whole"]["samples"], 6);
    }
    assert!(said.contains("full handshake, by tenants"), "{said}");
    let page = fs::read_to_string(place.path().join("growth.html")).unwrap();
    assert_eq!(page.matches("<circle").count(), 12);
}

#[test]
fn sizes_that_make_no_sense_are_refused_with_what_would() {
    let place = tempfile::tempdir().unwrap();
    for (arguments, wanted) in [
        (
            &["--most", "9"][..],
            "name one of connections, tenants, size and workers",
        ),
        (&["workers", "--most", "100000"], "write at most"),
        (&["tenants", "--most", "0"], "1..=1000000000"),
        (&["conections"], "connections"),
        (&["--rounds", "1"], "2..=50"),
    ] {
        let output = growth(place.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
