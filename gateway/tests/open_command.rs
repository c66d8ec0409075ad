//! `sealgate open`: what its help promises, against the real program.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod place;

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use place::{KEY, Place, answer, bytes, with};
use sealgate_envelope::{DataKey, Header, ParsedHeader, RawAesKey, grant};
use serde::Deserialize;
use serde_json::Value;

const OPEN: [&str; 5] = ["open", KEY[0], KEY[1], KEY[2], KEY[3]];
const FRAMES: [&str; 2] = ["--frame-length", "1000"];

#[derive(Deserialize)]
struct Vector {
    file: String,
    key_hex: String,
    namespace: String,
    key_name: String,
    encryption_context: std::collections::BTreeMap<String, String>,
    plaintext_sha256: String,
    expect: String,
}

#[test]
fn the_vectors_of_the_official_sdk_open_or_are_refused() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("envelope/tests/vectors");
    let index = fs::read_to_string(folder.join("index.json")).unwrap();
    let vectors: Vec<Vector> = serde_json::from_str(&index).unwrap();
    assert!(vectors.len() >= 50);
    for vector in vectors {
        let name = &vector.file;
        place.write("key.bin", &unhex(&vector.key_hex));
        let message = folder.join(name);
        let mut arguments = vec![
            "open",
            "--raw-aes",
            &vector.namespace,
            &vector.key_name,
            "key.bin",
        ];
        let pairs: Vec<String> = vector
            .encryption_context
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        for pair in &pairs {
            arguments.extend(["--context", pair]);
        }
        arguments.extend([message.to_str().unwrap(), "-o", "out", "--force"]);
        let opened = place.run(&arguments);
        if vector.expect == "open" {
            assert_eq!(opened.status, 0, "{name}: {}", opened.said);
            let plaintext = place.read("out");
            assert_eq!(
                digest(&SHA256, &plaintext).as_ref(),
                unhex(&vector.plaintext_sha256),
                "{name}"
            );
            fs::remove_file(place.path("out")).unwrap();
            continue;
        }
        let expected = match name.split('-').next().unwrap() {
            "wrongkey" => 6,
            "truncated" => 8,
            "tampered" | "trailing" | "uncommitted.esdk" => 7,
            other => panic!("a kind of vector that this test does not know: {other}"),
        };
        assert_eq!(opened.status, expected, "{name}: {}", opened.said);
        assert_eq!(place.files(), [""; 0], "{name}");
    }
}

#[test]
fn a_file_of_plaintext_is_its_owners_alone() {
    let place = Place::new();
    place.write("in", &place.seal(b"text", &[]));
    assert_eq!(place.run(&with(&OPEN, &["in", "-o", "out"], &[])).status, 0);
    place
        .run(&with(&OPEN, &["in", "-o", "out"], &[]))
        .refused(1, "--force");
    fs::set_permissions(place.path("out"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        place
            .run(&with(&OPEN, &["in", "-o", "out"], &["--force"]))
            .status,
        0
    );
    let mode = fs::metadata(place.path("out"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place.read("out"), b"text");
    assert_eq!(place.files(), ["in", "out"]);
}

#[test]
fn wrong_keys_are_told_apart_from_damage() {
    let place = Place::new();
    place.write("in", &place.seal(b"text", &[]));
    for (key, words) in [
        (
            ["example", "key-1", "other.bin"],
            "its data key does not unwrap: other key bytes",
        ),
        (
            ["example", "key-2", "key.bin"],
            "the message names none of them. It is sealed for raw AES \"example\" \"key-1\"",
        ),
        (
            ["exampl", "key-1", "key.bin"],
            "the message names none of them",
        ),
    ] {
        let arguments = with(&["open", "--raw-aes"], &key, &["in", "-o", "out"]);
        place.run(&arguments).refused(6, words);
    }
    assert_eq!(place.files(), ["in"]);
}

#[test]
fn damage_is_refused_where_it_is() {
    let place = Place::new();
    let message = place.seal(&bytes(5000), &FRAMES);
    let header_len = message.len() - 5000 - 40 - 4 * 32;
    let frame = |number: usize| header_len + (number - 1) * 1032;
    for (at, offset) in [
        (0, 0),
        (2, 1),
        // Frame length: another one changes what the header's tag covers.
        (header_len - 50, 0),
        (header_len - 48, header_len - 48),
        (header_len - 1, 0),
        (frame(1) + 20, frame(1)),
        (frame(1) + 3, frame(1)),
        (frame(2) + 15, frame(2) + 4),
        (frame(3) + 1031, frame(3)),
        (frame(5) + 4, frame(5) + 4),
        (message.len() - 1, frame(5)),
    ] {
        let mut damaged = message.clone();
        damaged[at] ^= 1;
        for arguments in [
            with(&OPEN, &["-o", "out"], &["--json"]),
            with(&OPEN, &[], &["--json"]),
        ] {
            let refused = place.pipe(&arguments, &damaged);
            refused.refused(7, &format!("message refused at byte {offset}:"));
            let said: Value = serde_json::from_str(&refused.said).unwrap();
            assert_eq!(
                (&said["offset"], &said["exit_status"]),
                (&offset.into(), &7.into())
            );
        }
    }
    let longer = [&message[..], b"x"].concat();
    place.pipe(&OPEN, &longer).refused(
        7,
        &format!("at byte {}: bytes after the end", message.len()),
    );
    place
        .pipe(&OPEN, b"%PDF-1.7")
        .refused(7, "is it a sealed message at all?");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_message_that_is_cut_anywhere_leaves_no_output() {
    let place = Place::new();
    let message = place.seal(&bytes(3500), &FRAMES);
    for cut in [
        0,
        1,
        100,
        168,
        169,
        170,
        1200,
        1201,
        1202,
        2000,
        message.len() - 1,
    ] {
        let words = if cut == 0 { "it is empty" } else { "cut short" };
        place
            .pipe(&with(&OPEN, &["-o", "out"], &[]), &message[..cut])
            .refused(8, words);
        place.pipe(&OPEN, &message[..cut]).refused(
            8,
            &format!("standard input: message refused at byte {cut}:"),
        );
        place.write("in", &message[..cut]);
        place
            .run(&with(&OPEN, &["in", "-o", "out"], &[]))
            .refused(8, words);
        place
            .run(&with(&OPEN, &["in"], &[]))
            .refused(8, "in: message refused at byte");
        assert_eq!(place.files(), ["in"]);
    }
}

#[test]
fn partial_keeps_the_frames_that_verified_and_says_so() {
    let place = Place::new();
    let plaintext = bytes(3500);
    let mut message = place.seal(&plaintext, &FRAMES);
    let third = message.len() - 540 - 1032;
    message[third + 100] ^= 1;
    let words =
        "the tag of frame 3 does not verify; out has the 2000 bytes before, whose frames verified";
    place
        .pipe(&with(&OPEN, &["--partial"], &["-o", "out"]), &message)
        .refused(7, words);
    assert!(place.read("out") == plaintext[..2000]);
    let streamed = place.pipe(&with(&OPEN, &["--partial"], &[]), &message);
    assert_eq!(streamed.status, 7, "{}", streamed.said);
    assert!(streamed.out == plaintext[..2000]);
    // Nothing verified: no file, and what was there stays.
    place
        .pipe(
            &with(&OPEN, &["--partial"], &["-o", "new"]),
            &message[..300],
        )
        .refused(8, "cut short");
    place
        .pipe(
            &with(&OPEN, &["--partial", "--force"], &["-o", "out"]),
            &message[..300],
        )
        .refused(8, "cut short");
    assert!(place.read("out") == plaintext[..2000]);
    assert_eq!(place.files(), ["out"]);
}

#[test]
fn partial_lets_frames_into_a_pipe_as_they_verify() {
    let place = Place::new();
    let plaintext = bytes(2500);
    let message = place.seal(&plaintext, &FRAMES);
    let mut child = place.spawn(&with(&OPEN, &["--partial"], &[]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&message[..1500]).unwrap();
    let mut first = vec![0; 1000];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    assert!(first == plaintext[..1000]);
    stdin.write_all(&message[1500..]).unwrap();
    drop(stdin);
    let rest = answer(child);
    assert_eq!(rest.status, 0, "{}", rest.said);
    assert!(rest.out == plaintext[1000..]);
}

#[test]
fn a_pipe_takes_no_more_than_is_held_for_it() {
    const HELD: usize = 64 << 20;
    let place = Place::new();
    let mut plaintext = vec![0; HELD];
    let message = place.seal(&plaintext, &["--frame-length", "1000000"]);
    let opened = place.pipe(&OPEN, &message);
    assert_eq!(
        (opened.status, opened.out.len()),
        (0, HELD),
        "{}",
        opened.said
    );
    plaintext.push(0);
    let message = place.seal(&plaintext, &["--frame-length", "1000000"]);
    let words = "give -o FILE, or --partial";
    place.pipe(&OPEN, &message).refused(2, words);
    place.write("in", &message);
    place.run(&with(&OPEN, &["in"], &[])).refused(2, words);
    let opened = place.run(&with(&OPEN, &["in", "--partial"], &[]));
    assert_eq!(
        (opened.status, opened.out.len()),
        (0, HELD + 1),
        "{}",
        opened.said
    );
    let told = place
        .run(&with(&OPEN, &["in", "-o", "out", "--json"], &[]))
        .json();
    assert_eq!(told["plaintext_bytes"], HELD + 1);
}

#[test]
fn a_range_is_the_slice() {
    let place = Place::new();
    let plaintext = bytes(1_000_000);
    place.write("in", &place.seal(&plaintext, &FRAMES));
    for (range, slice) in [
        ("0-0", 0..1),
        ("0-999999", 0..1_000_000),
        ("999-1000", 999..1001),
        ("123456-765432", 123_456..765_433),
        ("999999-", 999_999..1_000_000),
        ("1000000-", 1_000_000..1_000_000),
        ("-1", 999_999..1_000_000),
        ("-0", 1_000_000..1_000_000),
        ("-5000000", 0..1_000_000),
    ] {
        let opened = place.run(&with(&OPEN, &["in", "--range", range], &[]));
        assert_eq!(opened.status, 0, "{range}: {}", opened.said);
        assert!(opened.out == plaintext[slice.clone()], "{range}");
        let told = place
            .run(&with(
                &OPEN,
                &["in", "--range", range],
                &["-o", "out", "--force", "--json"],
            ))
            .json();
        assert!(place.read("out") == plaintext[slice.clone()], "{range}");
        assert_eq!(told["range"]["start"], slice.start);
        assert_eq!(told["range"]["end"], slice.end);
        let looks_at_end = range.starts_with('-') || range.ends_with('-');
        assert_eq!(told["end_verified"], looks_at_end, "{range}");
    }
    // Standard input that is a file can be read at any place too.
    let mut command = place.command(&with(&OPEN, &["--range", "5-6"], &[]));
    let done = command
        .stdin(fs::File::open(place.path("in")).unwrap())
        .output()
        .unwrap();
    assert_eq!(done.stdout, plaintext[5..7]);
}

#[test]
fn a_range_that_cannot_be_is_refused() {
    let place = Place::new();
    let plaintext = bytes(3500);
    let message = place.seal(&plaintext, &FRAMES);
    place.write("in", &message);
    let open = |range: &str| place.run(&with(&OPEN, &["in", "-o", "out", "--range", range], &[]));
    open("3500-3600").refused(2, "of a plaintext of 3500");
    open("0-3500").refused(2, "of a plaintext of 3500");
    open("4000-").refused(2, "of a plaintext of 3500");
    open("3400-3500").refused(2, "bytes 3400..3501 of a plaintext of 3500");
    open("9-5").refused(2, "expected FIRST-LAST");
    place
        .pipe(&with(&OPEN, &["--range", "0-1"], &[]), &message)
        .refused(2, "--range needs a file");
    let signed = place.seal(&plaintext, &["--sign"]);
    place.write("signed", &signed);
    place
        .run(&with(&OPEN, &["signed", "--range", "0-1"], &[]))
        .refused(2, "a signed message opens only as a whole");

    // Damage counts where it is touched, and a cut where the end is asked for.
    let mut damaged = message.clone();
    damaged[1032 + 300] ^= 1;
    place.write("in", &damaged);
    assert_eq!(
        place
            .run(&with(&OPEN, &["in", "--range", "0-999"], &[]))
            .out,
        plaintext[..1000]
    );
    open("999-1000").refused(7, "the tag of frame 2 does not verify");
    open("-1").status.eq(&0).then_some(()).unwrap();
    fs::remove_file(place.path("out")).unwrap();
    place.write("in", &message[..message.len() - 540]);
    open("0-").refused(8, "the final frame is missing");
    assert_eq!(place.files(), ["in", "signed"]);
}

#[test]
fn the_context_has_to_be_as_expected() {
    let place = Place::new();
    place.write(
        "in",
        &place.seal(b"text", &["--context", "a=1", "--context", "b=x\x1b=y"]),
    );
    let open = |more: &[&str]| place.run(&with(&OPEN, &["in"], more));
    assert_eq!(open(&[]).out, b"text");
    assert_eq!(
        open(&["--context", "b=x\x1b=y", "--context", "a=1"]).out,
        b"text"
    );
    open(&["--context", "a=2"]).refused(9, "\"a\" is \"1\", expected \"2\"");
    open(&["--context", "b=2"]).refused(9, "\"b\" is \"x\\u{1b}=y\", expected");
    open(&["--context", "c=1"]).refused(9, "it has no \"c\"");
    open(&["--required-context", "a=1"])
        .refused(9, "\"a\" is stored in the message; give it as --context");
    open(&["--context", "a"]).refused(2, "expected KEY=VALUE");
    open(&["--context", "a=1", "--context", "a=1"]).refused(2, "a key stands there twice");
}

#[test]
fn required_context_has_to_be_brought() {
    let place = Place::new();
    let required = ["--required-context", "case=17", "--context", "a=1"];
    let message = place.seal(b"text", &required);
    assert!(
        !message.windows(2).any(|found| found == b"17"),
        "it is not stored"
    );
    place.write("in", &message);
    let open = |more: &[&str]| place.run(&with(&OPEN, &["in"], more));
    assert_eq!(open(&required).out, b"text");
    open(&[]).refused(6, "--required-context that is missing");
    open(&["--required-context", "case=18"])
        .refused(6, "--required-context that is missing or differs");
    open(&["--context", "case=17"]).refused(9, "give it as --required-context");
    open(&["--range", "0-1", "--required-context", "case=17"])
        .status
        .eq(&0)
        .then_some(())
        .unwrap();
}

#[test]
fn a_grant_opens_its_message_for_another_key() {
    let place = Place::new();
    let message = place.seal(b"text", &[]);
    place.write("in", &message);
    place.write("grant", &grant_for_other_key(&message));
    let open = |more: &[&str]| {
        let other = ["--raw-aes", "example", "other", "other.bin"];
        place.run(&with(&["open", "in"], &other, more))
    };
    open(&[]).refused(6, "the message names none of them");
    assert_eq!(open(&["--grant", "grant"]).out, b"text");
    assert_eq!(open(&["--grant", "grant", "--range", "1-2"]).out, b"ex");
    open(&["--grant", "grant", "--context", "a=1"]).refused(9, "it has no \"a\"");
    open(&["--grant", "missing"]).refused(1, "cannot open missing");
    open(&["--grant", "in"]).refused(6, "in: the message is no grant");
    let mut damaged = place.read("grant");
    *damaged.last_mut().unwrap() ^= 1;
    place.write("damaged", &damaged);
    open(&["--grant", "damaged"]).refused(7, "damaged: grant: message refused at byte");
    place.write("in", &place.seal(b"another", &[]));
    open(&["--grant", "grant"]).refused(6, "grant: the grant is for another message");
}

/// What the holder of `key.bin` gives to the holder of `other.bin`.
fn grant_for_other_key(message: &[u8]) -> Vec<u8> {
    let ParsedHeader::Complete { header, .. } = Header::parse(message).unwrap() else {
        panic!("a whole header");
    };
    let mine = RawAesKey::new(&[7; 32], "example", "key-1").unwrap();
    let data_key = mine
        .unwrap(&header.recipients().next().unwrap(), header.context())
        .unwrap();
    let other = RawAesKey::new(&[8; 32], "example", "other").unwrap();
    let grant_key = DataKey::generate().unwrap();
    let recipient = other.wrap(&grant_key, &grant::context(&header)).unwrap();
    grant::seal(&header, &data_key, &grant_key, &[recipient]).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_file_that_was_read_from_before_is_read_on() {
    let place = Place::new();
    let message = place.seal(&bytes(3500), &FRAMES);
    place.write("in", &[b"before", &*message].concat());
    let run = |arguments: &[&str]| {
        let mut file = fs::File::open(place.path("in")).unwrap();
        file.seek(SeekFrom::Start(6)).unwrap();
        answer(place.command(arguments).stdin(file).spawn().unwrap())
    };
    let opened = run(&OPEN);
    assert_eq!(opened.status, 0, "{}", opened.said);
    assert!(opened.out == bytes(3500));
    run(&with(&OPEN, &["--range", "0-9"], &[])).refused(2, "--range needs a file");
    let told = run(&["inspect", "-", "--frames", "--json"]).json();
    assert_eq!(told["shape"]["whole"], true);
    assert_eq!(told["sealed_bytes"], Value::Null);
}

#[test]
fn a_foreign_path_is_not_offered_as_a_command_to_paste() {
    let place = Place::new();
    place.run(&["keys", "new", "--tenant", "acme", "--out", "acme.keyring"]);
    let keyring = ["--keyring", "acme.keyring"];
    let path = "path=/a'; touch pasted; '";
    let sealed = place.pipe(&with(&["seal", "--context", path], &keyring, &[]), b"text");
    place.write("in", &sealed.out);
    let refused = place.run(&with(&["open", "in"], &keyring, &[]));
    refused.refused(9, "give that path as --context path=PATH");
    assert_eq!(refused.said.matches("touch").count(), 1, "{}", refused.said);
}

#[test]
fn a_part_that_could_not_be_written_is_not_kept() {
    let place = Place::new();
    let message = place.seal(&bytes(1_000_000), &FRAMES);
    let program = env!("CARGO_BIN_EXE_sealgate");
    let limited = format!("trap '' XFSZ; ulimit -f 100; exec {program} \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &limited, "sh"])
        .args(with(&OPEN, &["-o", "out", "--partial"], &[]));
    command.current_dir(place.path(""));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It gives up before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(&message);
    answer(child).refused(1, "cannot write to out: File too large");
    assert_eq!(place.files(), [""; 0]);
}
