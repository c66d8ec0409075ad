//! Whether the baseline's counts say anything here is known before anything is counted or built for it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

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
