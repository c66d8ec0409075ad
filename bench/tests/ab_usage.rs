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
    let output = bench(&["ab", "--help"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout.contains("Examples:") && stdout.contains("Exit codes:"),
        "{stdout}"
    );
}
