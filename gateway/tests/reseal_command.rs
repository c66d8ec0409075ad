//! `sealgate reseal`: the same objects for the recipients that are wanted now, whatever happens in between.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod place;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Child;
use std::time::{Duration, SystemTime};

use place::{Answer, KEY, Place, bytes, with};
use sealgate_envelope::{Header, ParsedHeader};
use sealgate_keys::Keyring;
use serde_json::Value;

const KEYRING: [&str; 2] = ["--keyring", "acme.keyring"];
const LEFTOVER: &str = "tree/.sealgate-reseal-0123456789abcdef.tmp";

/// A place with a tenant's keyring and an empty directory `tree`.
fn tenant() -> Place {
    let place = Place::new();
    run(
        &place,
        &["keys", "new", "--tenant", "acme", "--out", "acme.keyring"],
    );
    fs::create_dir(place.path("tree")).unwrap();
    place
}

#[track_caller]
fn run(place: &Place, arguments: &[&str]) -> Answer {
    let answer = place.run(arguments);
    assert_eq!(answer.status, 0, "{arguments:?}: {}", answer.said);
    answer
}

/// Seals `len` bytes for the tenant at `name`, which is its path as well.
fn seal(place: &Place, name: &str, len: usize) {
    let path = format!("path={name}");
    let command = ["seal", "-o", name, "--context", &path];
    let sealed = place.pipe(&with(&command, &KEYRING, &[]), &bytes(len));
    assert_eq!(sealed.status, 0, "{}", sealed.said);
}

fn open(place: &Place, name: &str, keys: &[&str]) -> Answer {
    let path = format!("path={name}");
    place.run(&with(&["open", name, "--context", &path], keys, &[]))
}

#[track_caller]
fn opens(place: &Place, name: &str, len: usize) {
    let opened = open(place, name, &KEYRING);
    assert_eq!(opened.status, 0, "{name}: {}", opened.said);
    assert!(opened.out == bytes(len), "{name}");
}

/// As `sealgate open` does, without starting it.
fn opens_to(keyring: &Keyring, message: &[u8], plaintext: &[u8]) -> bool {
    let Ok(ParsedHeader::Complete { header, len_bytes }) = Header::parse(message) else {
        return false;
    };
    let mut opened = Vec::new();
    keyring
        .open_begin(&header, header.context())
        .is_ok_and(|mut opener| {
            opener.write(&message[len_bytes..], &mut opened).is_ok() && opener.finish().is_ok()
        })
        && opened == plaintext
}

fn reseal(place: &Place, more: &[&str]) -> Answer {
    place.run(&with(&["reseal", "tree", "--json"], &KEYRING, more))
}

/// The lines of a run, without the last, which is the second result.
fn lines(answer: &Answer) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = answer
        .words()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.pop().unwrap();
    (lines, last)
}

fn header(bytes: &[u8]) -> Header {
    match Header::parse(bytes).unwrap() {
        ParsedHeader::Complete { header, .. } => header,
        ParsedHeader::NeedMore { .. } => panic!("a header that is cut short"),
    }
}

#[test]
fn a_directory_moves_to_the_new_epoch_and_a_second_run_does_nothing() {
    let place = tenant();
    fs::create_dir_all(place.path("tree/a/b")).unwrap();
    let messages = [
        ("tree/one", 0),
        ("tree/a/two", 70_000),
        ("tree/a/b/three", 300_000),
    ];
    for (name, len) in messages {
        seal(&place, name, len);
    }
    place.write("tree/readme", b"not a message");
    place.write("tree/empty", b"");
    seal(&place, "outside", 10);
    symlink(place.path("outside"), place.path("tree/link")).unwrap();
    symlink(place.path("tree"), place.path("tree/a/loop")).unwrap();
    let untouched = ["tree/readme", "tree/empty", "outside"].map(|name| (name, place.read(name)));
    let old = messages.map(|(name, _)| place.read(name));

    let (_, done) = lines(&reseal(&place, &[]));
    assert_eq!(
        (&done["resealed"], &done["skipped"]),
        (&0.into(), &3.into())
    );
    run(&place, &["keys", "rotate", "acme.keyring"]);
    let first = reseal(&place, &[]);
    assert_eq!(first.status, 0, "{}", first.said);
    let (_, done) = lines(&first);
    assert_eq!(done["resealed"], 3);
    assert_eq!(done["not_messages"], 2);
    assert_eq!(done["failed"], 0);
    let sealed_bytes: usize = old.iter().map(Vec::len).sum();
    assert_eq!(done["resealed_bytes"], sealed_bytes);

    let keyring = Keyring::load(place.path("acme.keyring")).unwrap();
    for ((name, len), old) in messages.into_iter().zip(&old) {
        opens(&place, name, len);
        let (old, new) = (header(old), header(&place.read(name)));
        assert_ne!(old.message_id(), new.message_id());
        assert_eq!(old.context(), new.context());
        assert!(keyring.is_current(&new.recipients().next().unwrap()));
        assert!(!keyring.is_current(&old.recipients().next().unwrap()));
    }
    for (name, before) in &untouched {
        assert_eq!(&place.read(name), before, "{name}");
    }

    let new = messages.map(|(name, _)| place.read(name));
    let (_, done) = lines(&reseal(&place, &[]));
    assert_eq!(
        (&done["resealed"], &done["skipped"]),
        (&0.into(), &3.into())
    );
    assert!(messages.map(|(name, _)| place.read(name)) == new);
    let (_, done) = lines(&reseal(&place, &["--force"]));
    assert_eq!(
        (&done["resealed"], &done["skipped"]),
        (&3.into(), &0.into())
    );
    assert!(
        messages
            .iter()
            .zip(&new)
            .all(|((name, _), new)| &place.read(name) != new)
    );
}

#[test]
fn a_dry_run_lists_and_changes_nothing() {
    let place = tenant();
    seal(&place, "tree/one", 1000);
    place.write(LEFTOVER, b"");
    run(&place, &["keys", "rotate", "acme.keyring"]);
    let before = place.read("tree/one");
    let (files, done) = lines(&reseal(&place, &["--dry-run"]));
    assert_eq!(files[0]["outcome"], "would_be_resealed");
    assert_eq!(files[0]["bytes"], before.len());
    assert_eq!(
        (&done["resealed"], &done["dry_run"]),
        (&1.into(), &true.into())
    );
    assert_eq!(place.read("tree/one"), before);
    assert!(place.path(LEFTOVER).exists());
    let words = place
        .run(&with(&["reseal", "tree", "--dry-run"], &KEYRING, &[]))
        .words();
    assert!(
        words.starts_with(&format!("tree/one: {} bytes\n", before.len())),
        "{words}"
    );
}

#[test]
fn a_damaged_message_does_not_stop_the_others() {
    let place = tenant();
    for name in ["tree/a", "tree/b", "tree/c", "tree/d"] {
        seal(&place, name, 200_000);
    }
    // In the second frame; at the end; in the header.
    let mut flipped = place.read("tree/a");
    flipped[100_000] ^= 1;
    place.write("tree/a", &flipped);
    let cut = place.read("tree/b");
    place.write("tree/b", &cut[..cut.len() - 1]);
    place.write("tree/c", &place.read("tree/c")[..50]);
    let before = ["tree/a", "tree/b", "tree/c"].map(|name| place.read(name));

    let done = reseal(&place, &["--force"]);
    assert_eq!(done.status, 10);
    let (files, totals) = lines(&done);
    assert_eq!(
        (&totals["resealed"], &totals["failed"]),
        (&1.into(), &3.into())
    );
    for (name, words, offset) in [
        (
            "tree/a",
            "the tag of frame 2 does not verify",
            65_805..65_900,
        ),
        ("tree/b", "the final frame is missing", 200_000..201_000),
        ("tree/c", "cut short inside the header", 50..51),
    ] {
        let line = files.iter().find(|line| line["file"] == name).unwrap();
        assert!(line["error"].as_str().unwrap().contains(words), "{line}");
        assert!(offset.contains(&line["offset"].as_u64().unwrap()), "{line}");
    }
    assert!(["tree/a", "tree/b", "tree/c"].map(|name| place.read(name)) == before);
    opens(&place, "tree/d", 200_000);
    assert_eq!(
        fs::read_dir(place.path("tree")).unwrap().count(),
        4,
        "nothing is left beside"
    );

    let named = place.run(&with(&["reseal", "tree/a", "--force"], &KEYRING, &[]));
    assert_eq!(named.status, 10);
    assert!(
        named.said.starts_with("tree/a: message refused at byte 65"),
        "{}",
        named.said
    );
    place.write("text", b"hello");
    let named = place.run(&with(&["reseal", "text"], &KEYRING, &[]));
    assert_eq!(named.status, 10);
    assert!(
        named.said.contains("is it a sealed message at all?"),
        "{}",
        named.said
    );
}

#[test]
fn a_recipient_is_taken_away() {
    let place = tenant();
    for device in ["a", "b"] {
        let (key, public) = (format!("{device}.key"), format!("{device}.pub"));
        run(
            &place,
            &[
                "device", "new", "--type", "xwing", "--out", &key, "--public", &public,
            ],
        );
    }
    place.write("plain", &bytes(5000));
    let to_both = [
        "--recipient",
        "a.pub",
        "--recipient",
        "b.pub",
        "--header-length",
        "4096",
    ];
    run(
        &place,
        &with(&["seal", "plain", "-o", "tree/one"], &KEYRING, &to_both),
    );
    let old_len = place.read("tree/one").len();

    let to_b = ["--recipient", "b.pub"];
    let (_, done) = lines(&reseal(&place, &to_b));
    assert_eq!(done["resealed"], 1);
    assert_eq!(place.read("tree/one").len(), old_len, "the layout is kept");
    let opened = |key| place.run(&["open", "tree/one", "--private-key", key]);
    opened("a.key").refused(6, "no key that was given opens it");
    assert!(opened("b.key").out == bytes(5000));
    assert!(place.run(&with(&["open", "tree/one"], &KEYRING, &[])).out == bytes(5000));
    let (_, done) = lines(&reseal(&place, &to_b));
    assert_eq!(done["skipped"], 1, "sealed as wanted");
    let (_, done) = lines(&reseal(&place, &["--recipient", "a.pub"]));
    assert_eq!(done["resealed"], 1, "for one as many, but another");
    let (_, done) = lines(&reseal(
        &place,
        &["--recipient", "a.pub", "--frame-length", "1024"],
    ));
    assert_eq!(done["resealed"], 1, "another layout");
}

#[test]
fn raw_keys_signatures_and_required_context_are_kept_in_another_file() {
    let place = Place::new();
    let context = ["--context", "a=b", "--required-context", "c=d"];
    let sealed = place.seal(&bytes(100_000), &with(&["--sign"], &context, &[]));
    place.write("old", &sealed);
    let to = ["--to-raw-aes", "example", "key-2", "other.bin", "-o", "new"];
    let keys = with(&KEY, &context, &to);
    let done = place.run(&with(&["reseal", "old"], &keys, &[]));
    assert_eq!(done.status, 0, "{}", done.said);
    assert_eq!(place.read("old"), sealed);
    assert_eq!(place.read("new").len(), sealed.len(), "signed too");
    let open = |key: &[&str]| place.run(&with(&["open", "new"], key, &context));
    assert!(open(&["--raw-aes", "example", "key-2", "other.bin"]).out == bytes(100_000));
    open(&KEY).refused(6, "no key that was given opens it");

    let again = place.run(&with(&["reseal", "old"], &keys, &[]));
    assert_eq!(again.status, 10);
    assert!(
        again.said.contains("there is a file already"),
        "{}",
        again.said
    );
    let without = with(&["reseal", "old", "-o", "third"], &KEY, &["--to-raw-aes"]);
    let without = with(&without, &["example", "key-2", "other.bin"], &[]);
    assert_eq!(
        place.run(&without).status,
        10,
        "the required context is missing"
    );
    assert_eq!(place.files(), ["new", "old"]);
    fs::create_dir(place.path("tree")).unwrap();
    place
        .run(&with(
            &["reseal", "tree", "-o", "x"],
            &KEY,
            &["--to-raw-aes", "n", "k", "key.bin"],
        ))
        .refused(2, "--output takes one message");
    place
        .run(&with(&["reseal", "old"], &KEY, &[]))
        .refused(2, "--recipient");
}

#[test]
fn another_tenants_message_is_left_alone() {
    let place = tenant();
    place.write(
        "tree/raw",
        &place.seal(b"hello", &["--context", "tenant=bolt"]),
    );
    let before = place.read("tree/raw");
    let done = reseal(&place, &KEY);
    assert_eq!(done.status, 10);
    assert!(
        done.words().contains("does not name the keyring's tenant"),
        "{}",
        done.words()
    );
    assert_eq!(place.read("tree/raw"), before);
}

#[test]
fn what_is_known_of_a_file_is_kept_and_the_time_of_change_is_new() {
    let place = tenant();
    seal(&place, "tree/one", 10);
    let path = place.path("tree/one");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::open(&path).unwrap().set_modified(long_ago).unwrap();
    let name = "user.sealgate";
    // Not every file system has attributes.
    let has_attributes =
        rustix::fs::setxattr(&path, name, b"mine", rustix::fs::XattrFlags::empty()).is_ok();
    let before = fs::metadata(&path).unwrap();
    assert_eq!(reseal(&place, &["--force"]).status, 0);
    let after = fs::metadata(&path).unwrap();
    assert_ne!(after.ino(), before.ino());
    assert_eq!(after.mode(), before.mode());
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert!(after.modified().unwrap() > long_ago);
    if has_attributes {
        let mut value = [0; 4];
        assert_eq!(rustix::fs::getxattr(&path, name, &mut value), Ok(4));
        assert_eq!(&value, b"mine");
    }
}

#[test]
fn a_link_that_is_named_stays_and_leads_to_the_new_message() {
    let place = tenant();
    seal(&place, "tree/one", 10);
    let before = place.read("tree/one");
    symlink("tree/one", place.path("link")).unwrap();
    run(&place, &with(&["reseal", "link", "--force"], &KEYRING, &[]));
    assert!(
        fs::symlink_metadata(place.path("link"))
            .unwrap()
            .is_symlink()
    );
    assert_ne!(place.read("tree/one"), before);
    opens(&place, "tree/one", 10);
}

#[test]
fn a_file_with_two_names_is_refused() {
    let place = tenant();
    seal(&place, "tree/one", 10);
    fs::hard_link(place.path("tree/one"), place.path("second")).unwrap();
    let done = reseal(&place, &["--force"]);
    assert_eq!(done.status, 10);
    assert!(
        done.words().contains("it has 2 names (hard links)"),
        "{}",
        done.words()
    );
}

#[test]
fn leftovers_of_a_killed_run_go_and_those_of_a_running_one_stay() {
    let place = tenant();
    place.write(LEFTOVER, b"half a message");
    let running = "tree/.sealgate-reseal-fedcba9876543210.tmp";
    place.write(running, b"half a message");
    let held = File::open(place.path(running)).unwrap();
    held.lock().unwrap();
    // Somebody's own, whatever it looks like.
    place.write("tree/.sealgate-reseal-mine.tmp", b"mine");
    let (_, done) = lines(&reseal(&place, &[]));
    assert_eq!(done["leftovers_removed"], 1);
    assert!(!place.path(LEFTOVER).exists());
    assert!(place.path(running).exists());
    assert_eq!(place.read("tree/.sealgate-reseal-mine.tmp"), b"mine");
}

const ROUNDS_MOST: usize = 10;

/// Where a run is killed.
#[derive(Debug, Clone, Copy)]
enum Killed {
    /// When so many messages are done.
    After(usize),
    /// When so many are done and the next one is being written.
    While(usize),
    /// As soon as anything is seen to change at this message's place.
    AtTheChangeOf(usize),
}

impl Killed {
    /// Waits for it, or for the end of the run.
    fn wait(self, place: &Place, messages: &[(String, usize)], child: &mut Child) {
        let is_running = |child: &mut Child| child.try_wait().unwrap().is_none();
        match self {
            Self::After(count) | Self::While(count) => {
                let told = BufReader::new(child.stdout.take().unwrap());
                told.lines()
                    .map_while(Result::ok)
                    .filter(|line| line.contains("\"resealed\""))
                    .take(count)
                    .for_each(drop);
                let is_while = matches!(self, Self::While(_));
                while is_while && leftovers(place) == 0 && is_running(child) {
                    std::thread::yield_now();
                }
            }
            Self::AtTheChangeOf(message) => {
                let look = || {
                    let found = fs::metadata(place.path(&messages[message].0)).unwrap();
                    (found.ino(), found.len())
                };
                let before = look();
                while look() == before && is_running(child) {}
            }
        }
    }
}

fn leftovers(place: &Place) -> usize {
    let entries = fs::read_dir(place.path("tree")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with(".sealgate-reseal-"))
        .count()
}

#[test]
fn killed_at_any_time_every_message_is_whole() {
    let place = tenant();
    let messages: Vec<(String, usize)> = [0, 1, 150_002, 300_003, 6_000_000]
        .into_iter()
        .map(|len| (format!("tree/{len}"), len))
        .collect();
    for (name, len) in &messages {
        seal(&place, name, *len);
    }
    let keyring = Keyring::load(place.path("acme.keyring")).unwrap();
    let (mut kills, mut left) = (0, 0);
    for round in 0..ROUNDS_MOST {
        // A kill may come too late to hit anything, so there is another round then.
        if round > 0 && kills > 0 && left > 0 {
            break;
        }
        let kinds = [Killed::After, Killed::While, Killed::AtTheChangeOf];
        for point in (0..messages.len()).flat_map(|i| kinds.map(|kind| kind(i))) {
            let arguments = with(&["reseal", "tree", "--force", "--json"], &KEYRING, &[]);
            let mut child = place.spawn(&arguments);
            point.wait(&place, &messages, &mut child);
            child.kill().unwrap();
            kills += usize::from(!child.wait().unwrap().success());
            left += leftovers(&place);
            for (name, len) in &messages {
                assert!(
                    opens_to(&keyring, &place.read(name), &bytes(*len)),
                    "{point:?}: {name}"
                );
            }
        }
    }
    assert!(kills > 0, "none was killed in time");
    assert!(left > 0, "none was killed while it wrote");

    run(&place, &["keys", "rotate", "acme.keyring"]);
    let (_, done) = lines(&reseal(&place, &[]));
    assert_eq!(
        (&done["resealed"], &done["failed"]),
        (&messages.len().into(), &0.into())
    );
    assert_eq!(leftovers(&place), 0);
    for (name, len) in &messages {
        opens(&place, name, *len);
    }
}

#[test]
fn the_help_has_examples_and_lists_the_exit_statuses() {
    let place = Place::new();
    for command in ["grant", "reseal"] {
        let help = place.run(&[command, "--help"]).words();
        assert!(help.contains("Examples:") && help.contains(&format!("sealgate {command} ")));
    }
    let help = place.run(&["reseal", "--help"]).words();
    for status in [0, 1, 2, 3, 10] {
        assert!(help.contains(&format!("\n  {status} ")), "{status}");
    }
}

#[test]
fn an_output_that_cannot_be_is_refused_before_the_work() {
    let place = Place::new();
    let message = place.seal(b"text", &[]);
    place.write("in", &message);
    place.write("there", b"there");
    let reseal = |more: &[&str]| {
        let to = ["--to-raw-aes", "example", "key-2", "other.bin"];
        place.run(&with(&with(&["reseal", "in"], &KEY, &to), more, &[]))
    };
    let taken = reseal(&["-o", "there", "--quiet"]);
    taken.refused(
        10,
        "there: there is a file already; give --output a name that is free",
    );
    assert!(!taken.said.contains("--force"), "{}", taken.said);
    reseal(&["-o", "-"]).refused(2, "reseal reads back what it wrote");
    reseal(&["--frame-length", "0"]).refused(2, "0 is not in 1..=4194304");
    assert_eq!(place.read("there"), b"there");
    assert_eq!(place.read("in"), message);
    assert_eq!(place.files(), ["in", "there"]);
}

#[test]
fn names_that_were_found_give_a_terminal_no_orders() {
    let place = tenant();
    place.write("tree/a\x1b]0;title\x07\n0 failed", b"text");
    let words = "tree/a\\u{1b}]0;title\\u{7}\\n0 failed: not a message; left alone\n";
    let run = run(&place, &with(&["reseal", "tree"], &KEYRING, &[]));
    assert_eq!(run.said, words);
}

#[test]
fn a_recipient_that_is_there_twice_is_not_as_wanted() {
    let place = Place::new();
    place.write("in", &place.seal(b"text", &KEY));
    let to = ["--to-raw-aes", KEY[1], KEY[2], KEY[3]];
    let command = with(&["reseal", "in", "--json"], &KEY, &to);
    for (resealed, skipped) in [(1, 0), (0, 1)] {
        let totals = lines(&run(&place, &command)).1;
        assert_eq!(totals["resealed"], resealed, "{totals}");
        assert_eq!(totals["skipped"], skipped, "{totals}");
    }
}
