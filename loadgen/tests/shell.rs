//! Completions and manual pages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{fs, process::Command};

use program::loadgen;

#[test]
fn completions_know_subcommands_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = loadgen(&["completions", shell]);
        assert_eq!(ran.code, 0);
        for word in ["request", "handshake", "arrival"] {
            assert!(ran.stdout.contains(word), "{shell}: {word}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("loadgen");
    fs::write(&script, loadgen(&["completions", "bash"]).stdout).unwrap();
    // What a shell would offer behind `loadgen re`.
    let ask = "source \"$1\"; COMP_WORDS=(loadgen re); COMP_CWORD=1; _loadgen loadgen re loadgen; \
               echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash")
        .args(["-c", ask, "bash"])
        .arg(&script)
        .output()
        .unwrap();
    let offered = String::from_utf8(output.stdout).unwrap();
    let offered: Vec<_> = offered.split_whitespace().collect();
    assert!(offered.contains(&"request") && offered.contains(&"report"));
    assert!(!offered.contains(&"bulk"), "{offered:?}");
}

#[test]
fn there_is_a_page_for_each_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    assert_eq!(loadgen(&["man", directory]).code, 0);
    let help = loadgen(&["--help"]).stdout;
    let commands = help.split_once("Commands:").unwrap().1;
    let listed = commands.split_once("Options:").unwrap().0.lines();
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let mut pages = 1;
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        if name == "help" {
            continue;
        }
        let page = format!("loadgen-{name}");
        let text = fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
        assert!(text.contains(&format!("loadgen {name}")), "{page}");
        assert_eq!(loadgen(&["man", "--page", &page]).stdout, text);
        pages += 1;
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), pages);
    assert!(pages > 6);
    let request = fs::read_to_string(folder.path().join("loadgen-request.1")).unwrap();
    // roff writes a hyphen with a backslash.
    assert!(request.contains("\\-\\-arrival") && request.contains("Examples:"));
}

#[test]
fn what_cannot_be_written_is_said() {
    let ran = loadgen(&["man", "--page", "loadgen-nothing"]);
    assert_eq!(ran.code, 1);
    let wanted = "there is no page loadgen-nothing; there are loadgen, loadgen-handshake, ";
    assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    let ran = loadgen(&["man", "/nowhere/at/all"]);
    assert_eq!(ran.code, 1);
    let wanted = "cannot write /nowhere/at/all/loadgen.1";
    assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    assert_eq!(loadgen(&["man"]).code, 1);
    assert_eq!(loadgen(&["completions", "tcsh"]).code, 1);
}
