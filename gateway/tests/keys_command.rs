//! `sealgate keys`: what its help promises, against the real program.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

struct Answer {
    status: i32,
    out: String,
    said: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}", self.said);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl Place {
    fn new() -> Self {
        let place = Self::empty();
        assert_eq!(
            place
                .keys("new --tenant acme --out acme.keyring", "")
                .status,
            0
        );
        place
    }

    fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keys(&self, arguments: &str, input: &str) -> Answer {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealgate"))
            .current_dir(self.folder.path())
            .arg("keys")
            .args(arguments.split(' ').filter(|argument| !argument.is_empty()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may not read to the end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        Answer {
            status: done.status.code().unwrap(),
            out: String::from_utf8(done.stdout).unwrap(),
            said: String::from_utf8(done.stderr).unwrap(),
        }
    }

    fn list(&self) -> Value {
        self.keys("list acme.keyring --json", "").json()
    }

    fn refused(&self, arguments: &str, input: &str, status: i32, words: &str) {
        let answer = self.keys(arguments, input);
        assert_eq!(answer.status, status, "{arguments}: {}", answer.said);
        assert!(answer.said.contains(words), "{arguments}: {}", answer.said);
        assert_eq!(answer.out, "", "{arguments}");
    }
}

#[test]
fn every_command_has_examples_and_the_exit_statuses_are_listed() {
    let place = Place::empty();
    for command in [
        "new",
        "list",
        "rotate",
        "disable",
        "shred",
        "export-recovery",
        "recover",
    ] {
        let help = place.keys(&format!("{command} --help"), "");
        assert_eq!(help.status, 0);
        let example = format!("sealgate keys {command} ");
        assert!(
            help.out.contains("Examples:") && help.out.contains(&example),
            "{command}"
        );
    }
    let help = place.keys("--help", "").out;
    for status in 0..=5 {
        assert!(help.contains(&format!("\n  {status}  ")), "{status}");
    }
}

#[test]
fn new_makes_a_private_file_and_never_overwrites() {
    let place = Place::empty();
    let made = place
        .keys("new --tenant acme --out acme.keyring --json", "")
        .json();
    assert_eq!(
        (&made["tenant"], &made["current_epoch"]),
        (&"acme".into(), &1.into())
    );
    let mode = fs::metadata(place.path("acme.keyring"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    place.refused(
        "new --tenant acme --out acme.keyring",
        "",
        1,
        "never overwritten",
    );
    place.refused(
        "new --tenant acme --out no/such/folder",
        "",
        1,
        "cannot create it",
    );
    place.refused("new --tenant acme", "", 2, "--out");
}

#[test]
fn list_tells_everything_but_keys() {
    let place = Place::new();
    place.keys("rotate acme.keyring", "");
    place.keys("rotate acme.keyring --prepare", "");
    let told = place.list();
    assert_eq!(told["state"], "enabled");
    assert_eq!(told["has_recovery"], false);
    assert_eq!(told["needed_keks"], serde_json::json!([1]));
    let roles: Vec<&str> = told["epochs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|epoch| epoch["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["previous", "current", "next"]);
    let words = place.keys("list acme.keyring", "").out;
    assert!(
        words.contains("epoch 2: current, first sealed 0 days ago"),
        "{words}"
    );
    let text = fs::read_to_string(place.path("acme.keyring")).unwrap();
    for line in text.lines() {
        let value = line
            .strip_prefix("secret = ")
            .or(line.strip_prefix("wrapped = "));
        assert!(value.is_none_or(|value| !words.contains(value.trim_matches('"'))));
    }
    // One that is wrong does not hide the other.
    let both = place.keys("list missing.keyring acme.keyring", "");
    assert_eq!(both.status, 1);
    assert!(both.said.contains("missing.keyring") && both.out.contains("tenant acme"));
}

#[test]
fn rotate_makes_epochs_now_ahead_or_when_due() {
    let place = Place::new();
    let current = |arguments: &str| {
        place
            .keys(&format!("rotate acme.keyring --json {arguments}"), "")
            .json()["current_epoch"]
            .as_u64()
    };
    assert_eq!(current(""), Some(2));
    assert_eq!(current("--prepare"), Some(2));
    assert_eq!(current("--prepare"), Some(2));
    assert_eq!(current("--older-than-days 1"), Some(2));
    assert_eq!(current("--older-than-days 0"), Some(3));
    assert_eq!(current(""), Some(4));
    place.refused(
        "rotate acme.keyring --kek --prepare",
        "",
        2,
        "cannot be used with",
    );
}

#[test]
fn rotate_kek_says_which_versions_are_needed() {
    let place = Place::new();
    place.keys("rotate acme.keyring", "");
    let told = place.keys("rotate acme.keyring --kek --json", "").json();
    assert_eq!(told["rewrapped"], 2);
    assert_eq!(told["kek_version"], 2);
    assert_eq!(told["needed_keks"], serde_json::json!([2]));
    assert_eq!(told["destroyed_keks"], serde_json::json!([1]));
    assert_eq!(place.list()["epochs"][0]["kek_version"], 2);
}

#[test]
fn a_keyring_that_somebody_else_changes_is_left_alone() {
    let place = Place::new();
    let held = File::open(place.path("acme.keyring")).unwrap();
    held.lock().unwrap();
    for command in [
        "rotate acme.keyring",
        "disable acme.keyring",
        "shred acme.keyring --confirm acme",
    ] {
        place.refused(command, "", 4, "try again");
    }
    drop(held);
    assert_eq!(place.keys("rotate acme.keyring", "").status, 0);
}

#[test]
fn disable_can_be_undone() {
    let place = Place::new();
    assert_eq!(place.keys("disable acme.keyring", "").status, 0);
    assert_eq!(place.list()["state"], "disabled");
    place.refused("rotate acme.keyring", "", 3, "sealgate keys disable --undo");
    let refused = place.keys("rotate acme.keyring --json", "");
    let said: Value = serde_json::from_str(&refused.said).unwrap();
    assert_eq!(said["exit_status"], 3);
    assert_eq!(place.keys("disable acme.keyring --undo", "").status, 0);
    assert_eq!(place.keys("rotate acme.keyring", "").status, 0);
    let audit = fs::read_to_string(place.path("acme.keyring.audit")).unwrap();
    assert_eq!(audit.lines().count(), 2);
}

#[test]
fn shred_wants_the_tenants_name_and_is_final() {
    let place = Place::new();
    place.keys("export-recovery acme.keyring --threshold 2 --shares 2", "");
    place.refused("shred acme.keyring", "", 2, "--confirm");
    place.refused(
        "shred acme.keyring --confirm bolt",
        "",
        2,
        "nothing was destroyed",
    );
    let told = place
        .keys("shred acme.keyring --confirm acme --json", "")
        .json();
    assert_eq!(
        (&told["state"], &told["had_recovery"]),
        (&"shredded".into(), &true.into())
    );
    assert!(!place.path("acme.keyring.recovery").exists());
    for command in [
        "list acme.keyring",
        "rotate acme.keyring",
        "disable acme.keyring --undo",
        "shred acme.keyring --confirm acme",
    ] {
        place.refused(command, "", 3, "shredded");
    }
    let audit = fs::read_to_string(place.path("acme.keyring.audit")).unwrap();
    assert_eq!(audit.lines().count(), 3);
    assert!(
        audit
            .lines()
            .last()
            .unwrap()
            .contains("\"event\":\"shredded\",\"tenant\":\"acme\"")
    );
}

#[test]
fn a_path_that_is_no_text_is_told_as_well_as_it_can_be() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"acme-\xff.keyring");
    fs::rename(place.path("acme.keyring"), place.folder.path().join(name)).unwrap();
    // The last one destroys first and tells then.
    for words in [
        &["list"][..],
        &["rotate"],
        &["rotate", "--kek"],
        &["disable"],
        &["shred", "--confirm", "acme"],
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_sealgate"))
            .current_dir(place.folder.path())
            .args(["keys", words[0]])
            .arg(name)
            .args(&words[1..])
            .arg("--json")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{words:?}: {said}");
        let json: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(json["keyring"], "acme-\u{fffd}.keyring", "{words:?}");
    }
}

#[test]
fn recovery_goes_from_shares_to_a_keyring() {
    let place = Place::new();
    let pseudonym = place.list()["pseudonym"].clone();
    place.refused(
        "export-recovery acme.keyring --threshold 4 --shares 3",
        "",
        2,
        "4 of 3 shares",
    );
    let exported = place.keys("export-recovery acme.keyring --threshold 2 --shares 3", "");
    assert_eq!(exported.status, 0, "{}", exported.said);
    let shares: Vec<&str> = exported.out.lines().collect();
    assert_eq!(shares.len(), 3);
    assert!(shares.iter().all(|share| share.split(' ').count() == 33));
    assert_eq!(place.list()["has_recovery"], true);
    place.keys("rotate acme.keyring", "");
    fs::remove_file(place.path("acme.keyring")).unwrap();

    let recover = "recover acme.keyring.recovery --out acme.keyring";
    place.refused(recover, "", 5, "there are no shares");
    place.refused(recover, shares[0], 5, "1 of 2 shares; 1 more are needed");
    let misspelt = format!("{}\n{}\n", shares[0].replacen(' ', " zz", 1), shares[1]);
    place.refused(
        recover,
        &misspelt,
        5,
        "share 1: word 2 is not in the word list",
    );
    place.refused(recover, &"x".repeat(70_000), 1, "standard input is longer");
    assert!(!place.path("acme.keyring").exists());

    let input = format!("{}\n\n{}\n", shares[2], shares[0]);
    let recovered = place.keys(&format!("{recover} --json"), &input).json();
    assert_eq!(recovered["pseudonym"], pseudonym);
    assert_eq!(recovered["epochs"], serde_json::json!([1, 2, 3]));
    assert_eq!(recovered["current_epoch"], 3);
    place.refused(recover, &input, 1, "there is a file already");
    assert_eq!(place.keys("rotate acme.keyring", "").status, 0);
}

#[test]
fn shares_that_cannot_be_handed_out_are_an_error() {
    let place = Place::new();
    for more in [&[][..], &["--json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealgate"));
        command
            .current_dir(place.folder.path())
            .args(["keys", "export-recovery", "acme.keyring"])
            .args(["--threshold", "2", "--shares", "3"])
            .args(more);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        for stdout in [Stdio::from(full), Stdio::from(closed)] {
            let done = command.stdout(stdout).output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            assert_eq!(done.status.code(), Some(1), "{said}");
            assert!(said.contains("cannot write the shares"), "{said}");
            assert!(said.contains("export again"), "{said}");
        }
    }
    // Nobody has the shares of the last recovery file; the next ones open theirs.
    let told = place.keys(
        "export-recovery acme.keyring --threshold 2 --shares 3 --json",
        "",
    );
    let shares: Vec<String> = told
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["words"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(shares.len(), 3);
    let recovered = place.keys(
        "recover acme.keyring.recovery --out again.keyring",
        &shares[1..].join("\n"),
    );
    assert_eq!(recovered.status, 0, "{}", recovered.said);
}

#[test]
fn a_list_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_sealgate"))
        .current_dir(place.folder.path())
        .args(["keys", "list", "acme.keyring", "--json"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!(said["exit_status"], 1);
}
