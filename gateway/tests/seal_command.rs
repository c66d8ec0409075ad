//! `sealgate seal`: what its help promises, against the real program.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod place;

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use place::{KEY, Place, answer, bytes, peak_memory_kib, with};
use serde_json::Value;

const SEAL: [&str; 5] = ["seal", KEY[0], KEY[1], KEY[2], KEY[3]];
const OPEN: [&str; 5] = ["open", KEY[0], KEY[1], KEY[2], KEY[3]];

#[test]
fn what_is_sealed_opens_through_files_and_pipes() {
    let place = Place::new();
    for (len, frame_length) in [
        (0, "65536"),
        (1, "65536"),
        (999, "1000"),
        (1000, "1000"),
        (1001, "1000"),
        (65_536, "65536"),
        (700_001, "65536"),
        (300_000, "1"),
        (5_000_000, "4194304"),
    ] {
        let plaintext = bytes(len);
        place.write("in", &plaintext);
        let frames = ["--frame-length", frame_length];
        let told = place
            .run(&with(
                &SEAL,
                &frames,
                &["in", "-o", "out", "--force", "--json"],
            ))
            .json();
        assert_eq!(told["plaintext_bytes"], len, "{len}");
        assert_eq!(told["sealed_bytes"], place.read("out").len(), "{len}");
        let opened = place.run(&with(&OPEN, &[], &["out", "-o", "back", "--force"]));
        assert_eq!(opened.status, 0, "{}", opened.said);
        assert!(place.read("back") == plaintext, "{len}");

        let sealed = place.seal(&plaintext, &frames);
        let opened = place.pipe(&OPEN, &sealed);
        assert_eq!((opened.status, opened.said.as_str()), (0, ""));
        assert!(opened.out == plaintext, "{len}");
    }
}

#[test]
fn every_recipient_opens_and_nobody_else() {
    let place = Place::new();
    let plaintext = bytes(100_000);
    place.write("in", &plaintext);
    for command in [
        "keys new --tenant acme --out acme.keyring",
        "keys new --tenant bolt --out bolt.keyring",
        "device new --type p256 --out p256.key --public p256.pub",
        "device new --type p384 --out p384.key --public p384.pub",
        "device new --type xwing --out xwing.key --public xwing.pub",
        "device new --type xwing --out nobody.key --public nobody.pub",
    ] {
        let made = place.run(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(made.status, 0, "{}", made.said);
    }
    rsa_pair(&place);
    let line = "seal in -o out --keyring acme.keyring --raw-aes example key-1 key.bin \
                --raw-aes example key-2 other.bin --raw-rsa example rsa rsa.pub --oaep sha1 \
                --recipient p256.pub --recipient p384.pub --recipient xwing.pub --header-length 4096 \
                --context path=/a --json";
    let told = place
        .run(&line.split_whitespace().collect::<Vec<_>>())
        .json();
    assert_eq!(told["recipients"], 8, "seven and the pad");
    assert_eq!(told["header_length"], 4096);
    for (keys, status) in [
        ("--keyring acme.keyring --context path=/a", 0),
        ("--raw-aes example key-1 key.bin", 0),
        ("--raw-aes example key-2 other.bin", 0),
        ("--raw-rsa example rsa rsa.key --oaep sha1", 0),
        ("--private-key p256.key", 0),
        ("--private-key p384.key", 0),
        ("--private-key xwing.key", 0),
        ("--private-key nobody.key --private-key p256.key", 0),
        ("--keyring bolt.keyring --context path=/a", 6),
        ("--raw-aes example key-1 other.bin", 6),
        ("--raw-aes example key-3 key.bin", 6),
        ("--raw-rsa example rsa rsa.key --oaep sha256", 6),
        ("--private-key nobody.key", 6),
    ] {
        let opened = place.run(&with(
            &["open", "out"],
            &keys.split(' ').collect::<Vec<_>>(),
            &[],
        ));
        assert_eq!(opened.status, status, "{keys}: {}", opened.said);
        assert_eq!(opened.out == plaintext, status == 0, "{keys}");
    }
}

#[test]
fn a_keyring_binds_its_tenant_and_its_path() {
    let place = Place::new();
    place.run(&["keys", "new", "--tenant", "acme", "--out", "acme.keyring"]);
    place.write("in", b"text");
    let keyring = ["--keyring", "acme.keyring"];
    let sealed = place.run(&with(
        &["seal", "in", "-o", "out"],
        &keyring,
        &["--context", "path=/a"],
    ));
    assert_eq!(sealed.status, 0, "{}", sealed.said);
    let open = ["open", "out"];
    place
        .run(&with(&open, &keyring, &[]))
        .refused(9, "it stands at path \"/a\"");
    place
        .run(&with(&open, &keyring, &["--context", "path=/b"]))
        .refused(9, "\"path\" is \"/a\", expected \"/b\"");
    let opened = place.run(&with(&open, &keyring, &["--context", "path=/a"]));
    assert_eq!((opened.status, opened.out.as_slice()), (0, &b"text"[..]));
    place
        .run(&with(
            &["seal", "in"],
            &keyring,
            &["--context", "tenant=bolt"],
        ))
        .refused(2, "is not the keyring's tenant");

    place.run(&["keys", "disable", "acme.keyring"]);
    place
        .run(&with(&open, &keyring, &[]))
        .refused(3, "disable --undo");
    place
        .run(&with(&["seal", "in"], &keyring, &[]))
        .refused(3, "disable --undo");
}

#[test]
fn a_signed_message_says_so() {
    let place = Place::new();
    let plaintext = bytes(200_000);
    let sealed = place.seal(&plaintext, &["--sign", "--context", "a=b"]);
    assert_eq!(sealed[1..3], [0x05, 0x78]);
    place.write("out", &sealed);
    let told = place
        .run(&with(&OPEN, &[], &["out", "-o", "back", "--json"]))
        .json();
    assert_eq!(told["signature_verified"], true);
    assert_eq!(told["suite"], "0x0578");
    assert!(place.read("back") == plaintext);
    // The last byte of the signature.
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    place
        .pipe(&OPEN, &damaged)
        .refused(7, "the signature does not verify");
}

#[test]
fn several_threads_write_the_same_message() {
    let place = Place::new();
    let plaintext = bytes(9_000_001);
    let sealed = place.seal(&plaintext, &["--threads", "3"]);
    assert_eq!(sealed.len(), place.seal(&plaintext, &[]).len());
    let opened = place.pipe(&OPEN, &sealed);
    assert!(opened.out == plaintext, "{}", opened.said);
}

#[test]
fn an_output_is_whole_or_not_there() {
    let place = Place::new();
    place.write("in", b"text");
    place.write("out", b"before");
    let seal = |more: &[&str]| place.run(&with(&SEAL, more, &[]));
    seal(&["in", "-o", "out"]).refused(1, "out: there is a file already; --force");
    assert_eq!(place.read("out"), b"before");
    seal(&["missing", "-o", "new"]).refused(1, "cannot open missing");
    seal(&[".", "-o", "new"]).refused(1, "cannot read .: is a directory");
    seal(&["in", "-o", "no/such/folder"]).refused(1, "cannot create no/such/folder");
    seal(&["in", "-o", "."]).refused(1, "cannot create .");
    seal(&["in", "-o", "new", "--frame-length", "0"]).refused(2, "frame length 0, expected 1 to");
    seal(&["in", "-o", "new", "--header-length", "100"]).refused(2, "the header needs");
    seal(&[
        "in",
        "-o",
        "new",
        "--context",
        "a=b",
        "--required-context",
        "a=c",
    ])
    .refused(2, "a key stands there twice");
    seal(&["in", "-o", "new", "--context", "aws-crypto-x=y"]).refused(2, "aws-crypto-");
    assert_eq!(place.files(), ["in", "out"]);

    // What was there is replaced in one step, keeps its mode, and a link still points to it.
    fs::set_permissions(place.path("out"), Permissions::from_mode(0o640)).unwrap();
    symlink("out", place.path("link")).unwrap();
    assert_eq!(seal(&["in", "-o", "link", "--force"]).status, 0);
    assert_eq!(place.read("out")[0], 2, "the format's version");
    let mode = fs::metadata(place.path("out"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(
        fs::symlink_metadata(place.path("link"))
            .unwrap()
            .is_symlink()
    );
    // Over itself too: the input is read while the output has no name.
    assert_eq!(seal(&["in", "-o", "in", "--force"]).status, 0);
    assert_eq!(place.run(&with(&OPEN, &[], &["in"])).out, b"text");
    assert_eq!(place.files(), ["in", "link", "out"]);
}

#[test]
fn a_process_that_is_killed_leaves_nothing() {
    let place = Place::new();
    for force in [&[][..], &["--force"]] {
        let mut child = place.spawn(&with(&SEAL, &["-o", "out"], force));
        // More than the pipe holds: some of it was read, so the output is being written.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&bytes(1 << 20)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(place.files(), [""; 0]);
    }
}

#[test]
fn devices_are_written_to_and_not_replaced() {
    let place = Place::new();
    place.write("in", b"text");
    for force in [&[][..], &["--force"]] {
        let sealed = place.run(&with(&SEAL, &["in", "-o", "/dev/null"], force));
        assert_eq!(sealed.status, 0, "{}", sealed.said);
    }
    let kind = fs::metadata("/dev/null").unwrap().file_type();
    assert!(kind.is_char_device());
    // By its name, too, standard output carries the message alone.
    let named = place.run(&with(&SEAL, &["in", "-o", "/dev/stdout"], &[]));
    assert_eq!((named.status, named.out[0]), (0, 2), "{}", named.said);
    assert_eq!(place.pipe(&OPEN, &named.out).out, b"text");
    let full = place.run(&with(&SEAL, &["in", "-o", "/dev/full"], &[]));
    full.refused(1, "cannot write to /dev/full");
}

#[test]
fn a_reader_that_goes_away_is_an_error_and_no_panic() {
    let place = Place::new();
    let mut child = place.spawn(&SEAL);
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // It stops to read at some point.
    let _ = stdin.write_all(&bytes(4 << 20));
    drop(stdin);
    answer(child).refused(1, "cannot write to standard output");

    // Nor is an answer that nobody reads.
    place.write("in", b"text");
    let mut child = place.command(&with(&SEAL, &["in", "-o", "out"], &[]));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = child
        .stdout(writer)
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert!(done.status.success() && done.stderr.is_empty());
}

#[test]
fn a_terminal_gets_no_binary() {
    let place = Place::new();
    place.write("in", b"text\n");
    place.write("binary", b"\x1b[31m");
    let on_terminal = |line: &str| {
        let program = env!("CARGO_BIN_EXE_sealgate");
        let done = Command::new("script")
            .args(["-qec", &format!("{program} {line}"), "/dev/null"])
            .current_dir(place.path("."))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
        )
    };
    let key = "--raw-aes example key-1 key.bin";
    let (status, said) = on_terminal(&format!("seal {key} in"));
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("standard output is a terminal"), "{said}");
    for (name, expected) in [("in", 0), ("binary", 2)] {
        place.run(&with(&SEAL, &[name, "-o", "out"], &["--force"]));
        let (status, said) = on_terminal(&format!("open {key} out"));
        assert_eq!(status, Some(expected), "{said}");
        assert_eq!(said.contains("text"), expected == 0, "{said}");
        assert!(!said.contains('\x1b'), "{said}");
    }
}

#[test]
fn a_large_input_takes_bounded_memory() {
    const LEN_MIB: usize = 96;
    let place = Place::new();
    let chunk = bytes(1 << 20);
    let mut child = place.spawn(&with(&SEAL, &["-o", "out"], &[]));
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..LEN_MIB {
        stdin.write_all(&chunk).unwrap();
    }
    let peak = peak_memory_kib(child.id());
    assert!(peak < 48 * 1024, "{peak} KiB for sealing");
    drop(stdin);
    assert_eq!(answer(child).status, 0);

    let mut child = place.spawn(&with(&OPEN, &["-o", "back"], &[]));
    let mut stdin = child.stdin.take().unwrap();
    let message = place.read("out");
    let (most, last) = message.split_at(message.len() - 1);
    stdin.write_all(most).unwrap();
    let peak = peak_memory_kib(child.id());
    assert!(peak < 48 * 1024, "{peak} KiB for opening");
    assert!(!place.path("back").exists());
    stdin.write_all(last).unwrap();
    drop(stdin);
    assert_eq!(answer(child).status, 0);
    let opened = place.read("back");
    assert!(opened.len() == LEN_MIB << 20 && opened.chunks(1 << 20).all(|found| found == chunk));
}

#[test]
fn a_pipe_that_leads_to_a_pipe_is_not_kept_waiting() {
    let place = Place::new();
    let mut child = place.spawn(&with(&SEAL, &["--frame-length", "1000"], &[]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&[1; 1500]).unwrap();
    // The header of 169 bytes, and the first frame, come while the input is still open.
    let mut begin = vec![0; 169 + 1032];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begin)
        .unwrap();
    drop(stdin);
    assert_eq!(answer(child).status, 0);
}

#[test]
fn key_files_are_refused_with_what_would_be_right() {
    let place = Place::new();
    place.write("in", b"text");
    place.write("short", &[1; 31]);
    place.write("long", &vec![1; 70_000]);
    for command in ["p256", "xwing"] {
        let (key, public) = (format!("{command}.key"), format!("{command}.pub"));
        place.run(&[
            "device", "new", "--type", command, "--out", &key, "--public", &public,
        ]);
    }
    rsa_pair(&place);
    for (flags, status, words) in [
        ("", 2, "no key is given; expected one of --keyring"),
        ("--raw-aes a b", 2, "--raw-aes"),
        (
            "--raw-aes a b short",
            1,
            "short: 31 bytes, an AES-256 key has exactly 32",
        ),
        ("--raw-aes a b long", 1, "long: longer than"),
        ("--raw-aes a b missing", 1, "cannot open missing"),
        ("--raw-aes a  key.bin", 2, "--raw-aes"),
        ("--recipient p256.key", 1, "p256.key: the private half"),
        (
            "--recipient rsa.pub",
            1,
            "rsa.pub: an RSA key; give it with --raw-rsa",
        ),
        ("--recipient short", 1, "short"),
        ("--raw-rsa a b p256.pub", 1, "p256.pub: not an RSA key"),
        ("--raw-rsa a b rsa.key", 1, "rsa.key: the private half"),
        ("--keyring short", 1, "short"),
    ] {
        let flags: Vec<&str> = flags.split_whitespace().collect();
        place
            .run(&with(&["seal"], &flags, &["-o", "out", "--", "in"]))
            .refused(status, words);
    }
    for (flags, status, words) in [
        ("", 2, "no key is given; expected one of --keyring"),
        ("--private-key xwing.pub", 1, "xwing.pub: the public half"),
        (
            "--private-key rsa.key",
            1,
            "rsa.key: an RSA key; give it with --raw-rsa",
        ),
    ] {
        let flags: Vec<&str> = flags.split_whitespace().collect();
        place
            .run(&with(&["open", "in"], &flags, &["-o", "out"]))
            .refused(status, words);
    }
    assert!(!place.path("out").exists());
}

#[test]
fn answers_are_as_asked() {
    let place = Place::new();
    place.write("in", b"text");
    let seal = |more: &[&str]| place.run(&with(&SEAL, &["in"], more));
    let words = seal(&["-o", "a"]);
    assert_eq!(
        words.words(),
        format!(
            "a: sealed 4 bytes for 1 recipient, {} bytes in all\n",
            place.read("a").len()
        )
    );
    let quiet = seal(&["-o", "b", "--quiet"]);
    assert_eq!((quiet.out.as_slice(), quiet.said.as_str()), (&b""[..], ""));
    let told = seal(&["-o", "c", "--json"]).json();
    assert_eq!(told["output"], "c");
    assert_eq!(told["message_id"].as_str().unwrap().len(), 64);
    assert_eq!(
        (&told["suite"], &told["recipients"]),
        (&"0x0478".into(), &1.into())
    );
    assert_eq!(
        (&told["frame_length"], &told["plaintext_bytes"]),
        (&65_536.into(), &4.into())
    );
    // Where the message takes standard output, the answer does not mix with it.
    let mixed = seal(&["--json"]);
    let told: Value = serde_json::from_str(&mixed.said).unwrap();
    assert_eq!(told["sealed_bytes"], mixed.out.len());
    let refused = seal(&["-o", "a", "--json"]);
    let told: Value = serde_json::from_str(&refused.said).unwrap();
    assert_eq!(told["exit_status"], 1);
}

#[test]
fn every_command_has_examples_and_the_exit_statuses() {
    let place = Place::new();
    for command in ["seal", "open", "inspect"] {
        let help = place.run(&[command, "--help"]).words();
        assert!(help.contains(&format!("sealgate {command} ")), "{command}");
        for status in [0, 1, 2, 3, 6, 7, 8, 9] {
            assert!(
                help.contains(&format!("\n  {status}  ")),
                "{command}: {status}"
            );
        }
    }
}

/// `rsa.key` and `rsa.pub`, as other tools write them.
fn rsa_pair(place: &Place) {
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    };
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    place.write("rsa.key", pem("PRIVATE KEY", private.as_ref()).as_bytes());
    place.write("rsa.pub", pem("PUBLIC KEY", public.as_ref()).as_bytes());
    fs::set_permissions(place.path("rsa.key"), Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_output_that_is_the_input_is_refused() {
    let place = Place::new();
    place.write("in", b"text");
    let run = |input: &str| {
        let mut options = fs::OpenOptions::new();
        let output = options.append(true).open(place.path("in")).unwrap();
        let mut command = place.command(&with(&SEAL, &[input], &[]));
        let input = fs::File::open(place.path("in")).unwrap();
        answer(command.stdin(input).stdout(output).spawn().unwrap())
    };
    for input in ["in", "-"] {
        run(input).refused(2, "input and output are the same file");
        assert_eq!(place.read("in"), b"text");
    }
    // A file that is replaced is read to its end before.
    let sealed = place.run(&with(&SEAL, &["in", "-o", "in", "--force"], &[]));
    assert_eq!(sealed.status, 0, "{}", sealed.said);
    assert!(place.read("in").len() > 100);
}

#[test]
fn a_command_line_that_is_none_is_refused_in_json_too() {
    let place = Place::new();
    let refused = place.run(&["seal", "in", "--json", "--no-such-flag"]);
    refused.refused(2, "--no-such-flag");
    let said: Value = serde_json::from_str(&refused.said).unwrap();
    assert_eq!(said["exit_status"], 2);
    let refused = place.run(&["seal", "in", "--no-such-flag"]);
    refused.refused(2, "error: unexpected argument '--no-such-flag'");
    let help = place.run(&["seal", "--help", "--json"]);
    assert_eq!((help.status, &*help.said), (0, ""));
    assert!(help.words().contains("Usage:"));
}
