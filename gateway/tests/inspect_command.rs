//! `sealgate inspect`: what its help promises, against the real program.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod place;

use std::fs;
use std::path::Path;

use place::{Answer, Place, bytes, with};
use serde_json::{Value, json};

#[test]
fn it_tells_what_the_header_claims() {
    let place = Place::new();
    let flags = [
        "--context",
        "path=/a",
        "--header-length",
        "512",
        "--frame-length",
        "1000",
    ];
    place.write("in", &place.seal(&bytes(4500), &flags));
    let told = place.run(&["inspect", "in", "--json"]).json();
    assert_eq!(told["authenticated"], false);
    assert_eq!(told["suite"], "0x0478");
    assert_eq!(told["context"], json!({ "path": "/a" }));
    assert_eq!(told["header_length"], 512);
    assert_eq!(told["frame_length"], 1000);
    assert_eq!(told["sealed_bytes"], 512 + 40 + 4500 + 4 * 32);
    assert_eq!(told["plaintext_bytes"], 4500);
    let recipients = told["recipients"].as_array().unwrap();
    assert_eq!(recipients[0]["kind"], "raw AES");
    assert_eq!(recipients[0]["provider_id"], "example");
    assert_eq!(recipients[0]["key_name"], "key-1");
    assert_eq!(recipients[0]["wrapped_key_bytes"], 48);
    assert_eq!(recipients[1]["kind"], "pad");
    let words = place.run(&["inspect", "in"]).words();
    for expected in [
        "Nothing here is authenticated",
        "\"path\" = \"/a\"",
        "raw AES, provider \"example\", key \"key-1\", wrapped key of 48 bytes",
        "plaintext 4500",
        told["message_id"].as_str().unwrap(),
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn devices_are_told_by_their_kind() {
    let place = Place::new();
    let mut seal = vec!["seal", "key.bin", "-o", "in"];
    for (kind, public) in [("p256", "a.pub"), ("p384", "b.pub"), ("xwing", "c.pub")] {
        let key = format!("{kind}.key");
        place.run(&[
            "device", "new", "--type", kind, "--out", &key, "--public", public,
        ]);
        seal.extend(["--recipient", public]);
    }
    assert_eq!(place.run(&seal).status, 0);
    let told = place.run(&["inspect", "in", "--json"]).json();
    let kinds: Vec<&str> = told["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|recipient| recipient["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["raw ECDH", "raw ECDH", "X-Wing"]);
}

#[test]
fn text_of_the_message_gives_a_terminal_no_orders() {
    let place = Place::new();
    let pair = "k\x1b[2J=v\r\u{202e}\u{9b}31m";
    place.write("in", &place.seal(b"", &["--context", pair]));
    for arguments in [&["inspect", "in"][..], &["inspect", "in", "--json"]] {
        let told = place.run(arguments);
        assert_eq!(told.status, 0, "{}", told.said);
        let found = told
            .words()
            .chars()
            .find(|letter| (letter.is_control() && *letter != '\n') || *letter == '\u{202e}');
        assert_eq!(found, None, "{}", told.words().escape_debug());
    }
    let words = place.run(&["inspect", "in"]).words();
    assert!(
        words.contains("\"k\\u{1b}[2J\" = \"v\\r\\u{202e}\\u{9b}31m\""),
        "{words}"
    );
}

#[test]
fn frames_are_walked_in_files_and_pipes() {
    let place = Place::new();
    let message = place.seal(&bytes(3500), &["--frame-length", "1000"]);
    let header_len = message.len() - 3500 - 40 - 3 * 32;
    let frame = |number: usize| header_len + (number - 1) * 1032;
    let flip = |at: usize| {
        let mut damaged = message.clone();
        damaged[at] ^= 1;
        damaged
    };
    for (message, status, frames, broken_at) in [
        (message.clone(), 0, 4, None),
        // A tag is nobody's without the key.
        (flip(frame(1) + 500), 0, 4, None),
        (flip(frame(2) + 3), 7, 1, Some(frame(2))),
        (flip(frame(3) + 15), 7, 2, Some(frame(3) + 4)),
        (flip(frame(4) + 7), 7, 3, Some(frame(4) + 4)),
        (flip(frame(4) + 20), 7, 3, Some(frame(4) + 20)),
        (message[..frame(3) + 1].to_vec(), 8, 2, Some(frame(3) + 1)),
        (message[..frame(4)].to_vec(), 8, 3, Some(frame(4))),
        (
            message[..message.len() - 1].to_vec(),
            8,
            3,
            Some(message.len() - 1),
        ),
        ([&message[..], b"x"].concat(), 7, 4, Some(message.len())),
    ] {
        place.write("in", &message);
        let of_file = place.run(&["inspect", "in", "--frames", "--json"]);
        let of_pipe = place.pipe(&["inspect", "-", "--frames", "--json"], &message);
        assert_eq!(shape(&of_file), shape(&of_pipe));
        assert_eq!(of_file.status, status, "{}", of_file.said);
        assert_eq!(of_pipe.status, status, "{}", of_pipe.said);
        let shape = shape(&of_file);
        assert_eq!(shape["whole"], status == 0);
        assert_eq!(shape["frames"], frames);
        assert_eq!(shape["broken_at"], json!(broken_at), "{shape}");
        if let Some(at) = broken_at {
            assert!(
                of_file.said.contains(&format!("byte {at}:")),
                "{}",
                of_file.said
            );
        }
    }
}

#[test]
fn the_vectors_of_the_official_sdk_have_the_shape_that_they_should() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("envelope/tests/vectors");
    let index = fs::read_to_string(folder.join("index.json")).unwrap();
    let index: Vec<Value> = serde_json::from_str(&index).unwrap();
    assert!(index.len() >= 50);
    for vector in index {
        let name = vector["file"].as_str().unwrap();
        let path = folder.join(name);
        let told = place.run(&["inspect", path.to_str().unwrap(), "--frames", "--json"]);
        let expected = match name.split('-').next().unwrap() {
            "truncated" => 8,
            "trailing" | "uncommitted.esdk" => 7,
            _ => 0,
        };
        assert_eq!(told.status, expected, "{name}: {}", told.said);
        if vector["expect"] == "open" {
            assert_eq!(
                shape(&told)["plaintext_bytes"],
                vector["plaintext_len"],
                "{name}"
            );
            assert_eq!(
                told.json()["plaintext_bytes"],
                vector["plaintext_len"],
                "{name}"
            );
        }
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let place = Place::new();
    place
        .pipe(&["inspect", "-"], b"")
        .refused(8, "byte 0: cut short inside the header; it is empty");
    place
        .pipe(&["inspect", "-"], b"text")
        .refused(7, "is it a sealed message at all?");
    place
        .run(&["inspect", "missing"])
        .refused(1, "cannot open missing");
    place.run(&["inspect"]).refused(2, "<IN>");
    let header = &place.seal(b"text", &[])[..100];
    place
        .pipe(&["inspect", "-"], header)
        .refused(8, "byte 100: cut short inside the header");
}

fn shape(answer: &Answer) -> Value {
    let told: Value = serde_json::from_slice(&answer.out).unwrap();
    told["shape"].clone()
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_and_a_reader_that_left_is_none() {
    let place = Place::new();
    place.write("in", &place.seal(b"text", &[]));
    for more in [&[][..], &["--json"]] {
        let mut command = place.command(&with(&["inspect", "in"], more, &[]));
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let failed = place::answer(command.stdout(full).spawn().unwrap());
        failed.refused(1, "cannot write the answer to standard output");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let left = place::answer(command.stdout(writer).spawn().unwrap());
        assert_eq!((left.status, &*left.said), (0, ""));
    }
}

#[test]
fn a_name_gives_a_terminal_no_orders() {
    let place = Place::new();
    let name = "in\x1b]0;title\x07\n";
    place.write(name, &place.seal(b"text", &[]));
    let told = place.run(&["inspect", name]);
    assert_eq!(told.status, 0);
    assert!(
        told.words()
            .starts_with("in\\u{1b}]0;title\\u{7}\n: a sealed message"),
        "{}",
        told.words()
    );
    place.write(name, b"text");
    place
        .run(&["inspect", name])
        .refused(7, "in\\u{1b}]0;title\\u{7}\\n: message refused at byte 0");
}
