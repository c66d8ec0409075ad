//! `bench profile` with the real gateway and load; stubs stand in for perf and inferno, which may be missing
//! or forbidden where tests run.
#![allow(clippy::unwrap_used, missing_docs)]

mod stubs;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use stubs::{PERF, profilers, scenario};

const BENCH: &str = env!("CARGO_BIN_EXE_bench");

const FORBIDDEN: &str =
    "#!/bin/sh\necho 'Access to performance monitoring is limited.' >&2\nexit 255\n";

fn profile(place: &Path, arguments: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap();
    Command::new(BENCH)
        .arg("profile")
        .args(arguments)
        .current_dir(place)
        .env("PATH", format!("{}:{path}", place.display()))
        .output()
        .unwrap()
}

fn place(perf: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    profilers(place.path(), perf);
    // Ten operations, whatever the time.
    let ten = scenario(r#", "-n", "10""#);
    fs::write(place.path().join("ten.toml"), ten).unwrap();
    place
}

#[test]
fn the_gateway_is_recorded_while_the_scenario_loads_it_and_drawn() {
    for program in ["sealgate", "loadgen"] {
        let path = Path::new(BENCH).with_file_name(program);
        assert!(path.exists(), "run `cargo build -p {program}` first");
    }
    let place = place(PERF);
    let output = profile(place.path(), &["ten.toml", "--frequency", "77"]);
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{said}\n{errors}");
    assert!(
        said.contains("30 samples") && said.contains("100.0 %  seal"),
        "{said}"
    );
    assert!(said.ends_with("flame graph: profile-ten.svg\n"), "{said}");
    let svg = fs::read_to_string(place.path().join("profile-ten.svg")).unwrap();
    assert!(
        svg.starts_with("<svg>") && svg.contains("worker-0;run;seal 30"),
        "{svg}"
    );
    assert!(svg.contains("under ten"), "{svg}");
    let calls = fs::read_to_string(place.path().join("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert!(
        calls[0].starts_with("record ") && calls[0].ends_with("-- true"),
        "{calls:?}"
    );
    let load = calls[1];
    assert!(
        load.starts_with("record -F 77 --call-graph fp -p "),
        "{load}"
    );
    assert!(
        load.contains("/loadgen request tls://localhost:8443 --echo"),
        "{load}"
    );
    assert!(
        calls[2].starts_with("script --no-inline -F comm,"),
        "{calls:?}"
    );
}

#[test]
fn what_stands_in_the_way_is_told_with_what_to_change() {
    let forbidden = place(FORBIDDEN);
    for (arguments, wanted) in [
        (&["ten.toml"][..], "kernel.perf_event_paranoid=1"),
        (&["ten.toml"], "monitoring is limited"),
        (&["bulky"], "there are bulk, re-encrypt"),
        (&["ten.toml", "--time", "0s"], "500ms, 3s or 1m"),
        (&[], "<SCENARIO>"),
    ] {
        let output = profile(forbidden.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let silent = place(&PERF.replace("echo \"worker-0;run;seal 30\"", ":"));
    let output = profile(silent.path(), &["ten.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--frequency"), "{said}");
}
