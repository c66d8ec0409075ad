//! What `bench` says to a command line that is none, before anything is built.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_bench");
    let mut command = Command::new(program);
    // No repository is around it.
    let place = tempfile::tempdir().unwrap();
    command.args(arguments).current_dir(place.path());
    command.env_remove("GIT_DIR").output().unwrap()
}

#[test]
fn usage_is_exit_code_1_and_says_what_would_be_right() {
    for (arguments, said) in [
        (&["ab"][..], "<BASE>"),
        (&["ab", "main"], "<HEAD>"),
        (
            &["ab", "main", "HEAD", "bulky"],
            "there are bulk, re-encrypt",
        ),
        (&["ab", "main", "HEAD", "mine.toml"], "mine.toml"),
        (
            &["ab", "main", "HEAD", "--rounds", "9", "--max-rounds", "3"],
            "exchange them",
        ),
        (&["ab", "main", "HEAD", "--rounds", "1"], "--rounds"),
        (&["ab", "prove", "--slowdown", "5"], "0.1% to 100%"),
        (&["ab", "prove", "--scenario", "bulky"], "bulky"),
        (&["history", "show", "--file", "none.jsonl"], "none.jsonl"),
        (&["peers", "down9"], "down8"),
        (&["peers", "--rounds", "many"], "--rounds"),
        (&["profile", "bulky"], "bulk"),
        (&["growth", "widows"], "workers"),
        (&["capacity"], "--config"),
        (&["loadgen", "everything"], "handshakes"),
        (&["files", "--length", "0"], "--length"),
        (
            &["ab", "main", "HEAD", "--round-time", "0s"],
            "500ms, 3s or 1m",
        ),
        (&["instructions", "--rounds", "0"], "--rounds"),
        (
            &["instructions", "--comparable", "--baseline", "none.json"],
            "none.json",
        ),
        (&["history"], "append"),
        (&[], "peers"),
        // What cannot be written is said before anything is measured.
        (&["ab", "main", "HEAD", "--json", "none/ab.json"], "none: "),
        (
            &["ab", "main", "HEAD", "--markdown", "none/ab.md"],
            "none: ",
        ),
        (&["ab", "main", "HEAD", "--junit", "."], "is a directory"),
        (&["ab", "prove", "--json", "none/prove.json"], "none: "),
        (&["ab", "prove", "--markdown", "none/prove.md"], "none: "),
        (&["peers", "--json", "none/peers.json"], "none: "),
        (&["peers", "--html", "none/peers.html"], "none: "),
        (&["loadgen", "--json", "none/loadgen.json"], "none: "),
        (&["files", "--json", "none/files.json"], "none: "),
        (&["growth", "--json", "none/growth.json"], "none: "),
        (&["growth", "--html", "none/growth.html"], "none: "),
        (&["profile", "echo", "--out", "none/echo.svg"], "none: "),
        (
            &["capacity", "-c", "x.toml", "--json", "none/x.json"],
            "none: ",
        ),
    ] {
        let output = bench(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn where_there_is_no_repository_that_is_said() {
    let output = bench(&["ab", "main", "HEAD", "echo"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("not a git repository"), "{stderr}");
}

#[test]
fn help_has_examples_and_exit_codes() {
    let commands = "peers loadgen files ab capacity growth profile history instructions";
    for command in commands.split(' ') {
        let output = bench(&[command, "--help"]);
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(
            stdout.contains("Examples:") && stdout.contains("Exit codes:"),
            "{command}: {stdout}"
        );
    }
}
