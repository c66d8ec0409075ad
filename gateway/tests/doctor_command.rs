//! `sealgate doctor`, the real program.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::process::Command;

use serde_json::Value;

fn doctor(shell: &str) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_sealgate");
    let output = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" doctor --json"), program])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

fn finding(text: &str, name: &str) -> Value {
    let all: Value = serde_json::from_str(text).unwrap();
    let all = all["findings"].as_array().unwrap();
    let one = all.iter().find(|finding| finding["name"] == name);
    one.unwrap_or_else(|| panic!("nothing about {name}: {text}"))
        .clone()
}

#[test]
fn a_machine_on_which_tests_run_can_run_the_gateway() {
    let (status, text) = doctor("");
    assert_eq!(status, Some(0), "{text}");
    let ring = finding(&text, "io_uring");
    assert_eq!(ring["verdict"], "good", "{text}");
    let names = ring["found"].as_str().unwrap();
    assert!(names.contains("IORING_OP_RECV"), "{names}");
    let receive = finding(&text, "receive");
    assert_eq!(receive["verdict"], "good", "{text}");
    assert!(receive["found"].as_str().unwrap().starts_with("multishot"));
    for name in [
        "kernel",
        "processor",
        "cores",
        "backlog",
        "local ports",
        "secrets",
    ] {
        finding(&text, name);
    }
}

#[test]
fn few_descriptors_are_a_warning_that_says_what_to_raise() {
    let (status, text) = doctor("ulimit -Sn 1000; ulimit -Hn 1000;");
    assert_eq!(status, Some(0), "{text}");
    let descriptors = finding(&text, "descriptors");
    assert_eq!(descriptors["verdict"], "warning");
    assert!(descriptors["found"].as_str().unwrap().starts_with("1000:"));
    assert!(
        descriptors["remedy"]
            .as_str()
            .unwrap()
            .contains("LimitNOFILE=")
    );
}

#[test]
fn without_a_ring_it_says_what_stands_in_the_way() {
    // Three are taken, and the ring's eventfd would be the fifth.
    let (status, text) = doctor("ulimit -Sn 4; ulimit -Hn 4;");
    assert_eq!(status, Some(1), "{text}");
    let ring = finding(&text, "io_uring");
    assert_eq!(ring["verdict"], "bad");
    assert!(
        ring["remedy"].as_str().unwrap().contains("os error 24"),
        "{ring}"
    );
}
