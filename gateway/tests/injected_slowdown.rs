//! The program that is slower on purpose is another one: nothing switches that on at run time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::process::Command;

const SEALGATE: &str = env!("CARGO_BIN_EXE_sealgate");

#[test]
fn only_a_program_built_for_it_knows_of_an_injected_slowdown() {
    let built_for_it = cfg!(feature = "injected-slowdown");
    let program = std::fs::read(SEALGATE).unwrap();
    let variable = b"SEALGATE_INJECTED_SLOWDOWN";
    let known = program
        .windows(variable.len())
        .any(|bytes| bytes == variable);
    assert_eq!(known, built_for_it);
    // And whoever has it can see that.
    let output = Command::new(SEALGATE).arg("--version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        version.contains("injected-slowdown"),
        built_for_it,
        "{version}"
    );
}
