//! Whether the baseline's counts say anything here is known before anything is counted or built for it, and an interruption ends what
//! counts.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "nothing is profiled here")]
mod stubs;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stubs::program;

const BENCH: &str = env!("CARGO_BIN_EXE_bench");
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");

/// The repository's baseline as if it was made with other tools: exit status and output.
fn comparable(place: &Path, made_with: &Value) -> (Option<i32>, String) {
    let mut baseline: Value = serde_json::from_slice(&fs::read(BASELINE).unwrap()).unwrap();
    baseline["made_with"] = made_with.clone();
    let path = place.join("baseline.json");
    fs::write(&path, baseline.to_string()).unwrap();
    let output = Command::new(BENCH)
        .args(["instructions", "--comparable", "--baseline"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_baseline_of_other_tools_is_not_compared_with_and_they_are_named() {
    let place = tempfile::tempdir().unwrap();
    let tools = ["rustc", "cc", "libc", "valgrind", "processor"];
    let other = json!({"rustc": "x", "cc": "x", "libc": "x", "valgrind": "x", "processor": "x"});
    let (status, said) = comparable(place.path(), &other);
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("NOT COMPARED"), "{said}");
    // What there is here is told, tool by tool; a baseline made with just that is compared with.
    let mut here = json!({});
    for tool in tools {
        let begin = format!("  {tool}: x in the baseline, ");
        let line = said.lines().find_map(|line| line.strip_prefix(&begin));
        here[tool] = line.unwrap().strip_suffix(" here").unwrap().into();
    }
    let (status, said) = comparable(place.path(), &here);
    assert_eq!(status, Some(0), "{said}");
    for tool in tools {
        let mut one = here.clone();
        one[tool] = "x".into();
        let (status, said) = comparable(place.path(), &one);
        assert_eq!(status, Some(4), "{tool}: {said}");
        assert_eq!(said.matches(" in the baseline, ").count(), 1, "{said}");
    }
}

/// Far more than it takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);
/// What counts is no child of cargo's, but a grandchild.
const CARGO: &str = r#"#!/bin/sh
sh -c 'echo $$ > "$0.counts"; mv "$0.counts" "$0.pid"; exec sleep 600' "$0" &
wait
"#;

/// Waits for something to be there.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < WITHIN, "{what}");
        thread::yield_now();
    }
}

#[test]
fn a_signal_to_bench_alone_ends_what_counts_and_leaves_the_baseline_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    program(place.path(), "cargo", CARGO);
    for tool in ["rustc", "cc", "ldd", "valgrind"] {
        program(place.path(), tool, "#!/bin/sh\necho tool 1.0\n");
    }
    let search = std::env::var("PATH").unwrap();
    let mut bench = Command::new(BENCH)
        .args("instructions --accept because --baseline baseline.json".split(' '))
        .current_dir(place.path())
        .env("PATH", format!("{}:{search}", place.path().display()))
        .env("CARGO", path("cargo"))
        .env("CARGO_TARGET_DIR", path("target"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let counting = wait_for("nothing counts", || {
        let pid = fs::read_to_string(path("cargo.pid")).ok()?;
        Pid::from_raw(pid.trim().parse().unwrap())
    });
    let interrupted = Pid::from_raw(bench.id().cast_signed()).unwrap();
    kill_process(interrupted, Signal::TERM).unwrap();
    let status = wait_for("it does not end", || bench.try_wait().unwrap());
    let said = bench.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said);
    // Nobody here is its parent, so its remains go when init gets to it.
    let stat = format!("/proc/{}/stat", counting.as_raw_nonzero());
    let ended = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    if status.code() != Some(4) {
        let _ = kill_process(counting, Signal::KILL);
    }
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.ends_with("bench: interrupted\n"), "{said}");
    wait_for("what counts is left", || ended().then_some(()));
    assert!(!path("baseline.json").exists());
}
