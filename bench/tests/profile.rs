//! `bench profile` with the real gateway and load; stubs stand in for perf and inferno, which may be missing
//! or forbidden where tests run.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

const BENCH: &str = env!("CARGO_BIN_EXE_bench");

/// Runs the load that it is given, and tells a stack.
const PERF: &str = r#"#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
case $1 in
record)
    while [ "$1" != -- ]; do shift; done
    shift
    exec "$@"
    ;;
script) echo "worker-0;run;seal 30" ;;
esac
"#;

const FORBIDDEN: &str =
    "#!/bin/sh\necho 'Access to performance monitoring is limited.' >&2\nexit 255\n";

/// Ten operations on one connection, whatever the time.
const SCENARIO: &str = r#"
description = "ten echoes"

[origin]
service = "echo"
wire = "plain"

[gateway]
config = '''
workers = 1

[[listener]]
name = "public"
listen = "{listen}"

[[tenant]]
id = "bench"
default = true
certificate = "{certificate}"
key = "{key}"

[[route]]
name = "bench"
tenant = "bench"
protocol = "tcp"
class = "terminated"
upstream = "{upstream}"
'''

[load]
operation = "request"
url = "tls://localhost:8443"
arguments = ["--echo", "--size", "100", "-c", "1", "-n", "10"]
"#;

fn program(place: &Path, name: &str, text: &str) {
    let path = place.join(name);
    // A new file each time: one that is still running cannot be written.
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

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
    program(place.path(), "perf", perf);
    program(
        place.path(),
        "inferno-collapse-perf",
        "#!/bin/sh\nexec cat\n",
    );
    let draw = "#!/bin/sh\necho \"<svg><!-- $2 -->\"\ncat\necho '</svg>'\n";
    program(place.path(), "inferno-flamegraph", draw);
    fs::write(place.path().join("ten.toml"), SCENARIO).unwrap();
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
