//! What `config/ci/gate.sh` makes of the verdicts of both layers and of the capacity: a stub stands in for `scripts/bench`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const GATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/ci/gate.sh");

/// A `bench` that notes its arguments and ends with these statuses.
fn stub(place: &Path, instructions: i32, ab: i32) -> PathBuf {
    let path = place.join("bench");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {}/calls\ncase $1 in instructions) exit {instructions} ;; ab) exit {ab} ;; esac\n",
        place.display()
    );
    // A new file each time: one that is still running cannot be written.
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A `bench` that has nothing against a revision, writes its JSON, and ends with this status for a capacity.
fn stub_of_capacity(place: &Path, capacity: i32) -> PathBuf {
    let path = place.join("bench");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {}/calls\n[ $1 = capacity ] || exit 0\necho now > \"$5\"\nexit {capacity}\n",
        place.display()
    );
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn command(place: &Path, bench: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(GATE);
    command
        .args(arguments)
        .env("GATE_BENCH", bench)
        .env("GATE_OUTPUT", place.join("output"));
    for variable in [
        "GITHUB_STEP_SUMMARY",
        "GATE_CONFIG",
        "GATE_STORED",
        "GATE_CAPACITY_ARGS",
    ] {
        command.env_remove(variable);
    }
    command
}

fn gate(place: &Path, bench: &Path, arguments: &[&str]) -> Output {
    command(place, bench, arguments).output().unwrap()
}

#[test]
fn a_regression_of_either_layer_fails_and_what_is_unproven_does_not() {
    let place = tempfile::tempdir().unwrap();
    for (instructions, ab, status) in [
        (0, 0, 0),
        (0, 4, 0),
        (0, 3, 3),
        (1, 0, 3),
        (1, 4, 3),
        (1, 2, 3),
        (0, 1, 1),
        (0, 2, 2),
        (2, 0, 2),
        (2, 3, 3),
    ] {
        let bench = stub(place.path(), instructions, ab);
        let output = gate(place.path(), &bench, &["main", "HEAD", "echo"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{instructions} {ab}: {said}"
        );
        assert_eq!(said.contains("UNPROVEN"), ab == 4, "{said}");
        assert_eq!(said.contains("no regression"), status == 0, "{said}");
    }
}

#[test]
fn both_layers_are_asked_and_their_results_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let bench = stub(place.path(), 0, 0);
    gate(place.path(), &bench, &["main", "HEAD", "echo"]);
    let calls = fs::read_to_string(place.path().join("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert_eq!(calls[0], "instructions");
    assert!(
        calls[1].starts_with("ab main HEAD echo --json "),
        "{calls:?}"
    );
    assert!(calls[1].contains("output/ab.xml"), "{calls:?}");
    assert!(place.path().join("output/instructions.txt").exists());
}

#[test]
fn a_capacity_is_stored_once_and_then_held_to() {
    let place = tempfile::tempdir().unwrap();
    let stored = place.path().join("stored.json");
    let run = |capacity: i32| {
        let bench = stub_of_capacity(place.path(), capacity);
        let mut gate = command(place.path(), &bench, &["main", "HEAD"]);
        gate.env("GATE_CONFIG", "our.toml")
            .env("GATE_STORED", &stored);
        gate.env("GATE_CAPACITY_ARGS", "--cert me.pem --key me.key");
        let status = gate.output().unwrap().status.code();
        let calls = fs::read_to_string(place.path().join("calls")).unwrap();
        (status, calls.lines().last().unwrap().to_owned())
    };
    let (status, call) = run(2);
    assert_eq!(
        (status, stored.exists()),
        (Some(2), false),
        "nothing was measured"
    );
    assert!(
        call.starts_with("capacity --config our.toml --json "),
        "{call}"
    );
    assert!(
        call.ends_with("capacity.json --cert me.pem --key me.key"),
        "{call}"
    );
    assert_eq!(run(0).0, Some(0));
    assert_eq!(fs::read_to_string(&stored).unwrap(), "now\n");
    fs::write(&stored, "then\n").unwrap();
    for status in [0, 3, 1, 2] {
        let (found, call) = run(status);
        assert_eq!(found, Some(status), "{call}");
        assert!(call.contains("--against "), "{call}");
    }
    assert_eq!(
        fs::read_to_string(&stored).unwrap(),
        "then\n",
        "it stays what it was"
    );
}

#[test]
fn without_two_revisions_the_usage_is_shown() {
    let place = tempfile::tempdir().unwrap();
    let bench = stub(place.path(), 0, 0);
    let output = gate(place.path(), &bench, &["main"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage:"));
    assert!(!place.path().join("calls").exists());
    assert_eq!(
        gate(place.path(), &bench, &["--help"]).status.code(),
        Some(0)
    );
}
