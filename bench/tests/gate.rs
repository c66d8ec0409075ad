//! What `config/ci/gate.sh` makes of the verdicts of both layers and of the capacity: a stub stands in for `scripts/bench`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const GATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/ci/gate.sh");

/// A `bench` that notes its arguments and ends with these statuses: for whether instructions can be compared, for what they came to, and of
/// `ab`.
fn stub_of(place: &Path, comparable: i32, instructions: i32, ab: i32) -> PathBuf {
    let path = place.join("bench");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {}/calls\ncase \"$*\" in\n*--comparable) exit {comparable} ;;\n*--accept*) exit 0 ;;\n\
         instructions*) exit {instructions} ;;\nab*) exit {ab} ;;\nesac\n",
        place.display()
    );
    // A new file each time: one that is still running cannot be written.
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The same where the baseline of the repository can be compared with.
fn stub(place: &Path, instructions: i32, ab: i32) -> PathBuf {
    stub_of(place, 0, instructions, ab)
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
    command_of(Path::new(GATE), place, bench, arguments)
}

fn command_of(gate: &Path, place: &Path, bench: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(gate);
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
        (3, 0, 3),
        (3, 4, 3),
        (3, 2, 3),
        // As where valgrind cannot be installed.
        (1, 0, 2),
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
fn what_was_cut_short_fails_and_what_an_earlier_job_left_is_not_taken_for_a_result() {
    let place = tempfile::tempdir().unwrap();
    let bench = stub(place.path(), 0, 4);
    let cut = "{\n  \"cut_short\": \"interrupted\"\n}";
    let output = place.path().join("output");
    fs::create_dir(&output).unwrap();
    fs::write(output.join("ab.json"), cut).unwrap();
    let found = gate(place.path(), &bench, &["main", "HEAD"]);
    assert_eq!(
        found.status.code(),
        Some(0),
        "the file was an earlier job's"
    );
    let text = fs::read_to_string(&bench).unwrap();
    let writes = format!("ab*) printf '{cut}' > \"$5\";");
    fs::remove_file(&bench).unwrap();
    fs::write(&bench, text.replace("ab*)", &writes)).unwrap();
    fs::set_permissions(&bench, fs::Permissions::from_mode(0o755)).unwrap();
    let found = gate(place.path(), &bench, &["main", "HEAD"]);
    let said = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(2), "{said}");
    assert!(said.contains("was cut short"), "{said}");
}

#[test]
fn a_signal_ends_the_gate_behind_what_is_under_way() {
    let place = tempfile::tempdir().unwrap();
    // The gate is the parent of what it runs.
    let bench = place.path().join("bench");
    let calls = place.path().join("calls");
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {}\n[ $1 = ab ] && kill -TERM $PPID\nexit 0\n",
        calls.display()
    );
    fs::write(&bench, text).unwrap();
    fs::set_permissions(&bench, fs::Permissions::from_mode(0o755)).unwrap();
    let mut gate = command(place.path(), &bench, &["main", "HEAD"]);
    let found = gate.env("GATE_CONFIG", "our.toml").output().unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(4), "{said}");
    assert!(said.contains("gate: interrupted"), "{said}");
    let calls = fs::read_to_string(calls).unwrap();
    assert!(!calls.contains("capacity"), "{calls}");
}

#[test]
fn both_layers_are_asked_and_their_results_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let bench = stub(place.path(), 0, 0);
    gate(place.path(), &bench, &["main", "HEAD", "echo"]);
    let calls = fs::read_to_string(place.path().join("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert_eq!(calls[..2], ["instructions --comparable", "instructions"]);
    assert!(
        calls[2].starts_with("ab main HEAD echo --json "),
        "{calls:?}"
    );
    assert!(calls[2].contains("output/ab.xml"), "{calls:?}");
    assert!(place.path().join("output/instructions.txt").exists());
}

/// A repository of one commit with the gate in it.
fn repository(place: &Path) -> PathBuf {
    let gate = place.join("config/ci/gate.sh");
    fs::create_dir_all(gate.parent().unwrap()).unwrap();
    fs::copy(GATE, &gate).unwrap();
    for words in [
        "init -q -b main",
        "add config",
        "-c user.name=x -c user.email=x@x.example commit -q --no-gpg-sign -m one",
    ] {
        let mut git = Command::new("git");
        git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        let git = git.arg("-C").arg(place).args(words.split(' '));
        assert!(git.status().unwrap().success(), "git {words}");
    }
    gate
}

#[test]
fn where_the_baseline_says_nothing_base_is_counted_with_the_same_tools() {
    for (instructions, status) in [(0, 0), (3, 3), (2, 2)] {
        let place = tempfile::tempdir().unwrap();
        let gate = repository(place.path());
        let bench = stub_of(place.path(), 4, instructions, 0);
        let mut gate = command_of(&gate, place.path(), &bench, &["main", "HEAD"]);
        let found = gate.output().unwrap();
        assert_eq!(found.status.code(), Some(status), "{found:?}");
        let calls = fs::read_to_string(place.path().join("calls")).unwrap();
        let calls: Vec<_> = calls.lines().collect();
        let base = place.path().canonicalize().unwrap();
        let base = base.join("output/instructions-base.json");
        let base = base.display();
        assert_eq!(
            calls[1],
            format!("instructions --rounds 3 --accept main --baseline {base}")
        );
        assert_eq!(calls[2], format!("instructions --baseline {base}"));
        let tree = place.path().join("output/base");
        assert!(!tree.exists(), "the tree of BASE is left");
    }
    let place = tempfile::tempdir().unwrap();
    let gate = repository(place.path());
    let bench = stub_of(place.path(), 4, 0, 0);
    let arguments = ["no-such-revision", "HEAD"];
    let mut gate = command_of(&gate, place.path(), &bench, &arguments);
    let found = gate.output().unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(2), "{said}");
    assert!(said.contains("could not be counted"), "{said}");
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
