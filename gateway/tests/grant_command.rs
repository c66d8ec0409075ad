//! `sealgate grant`: a device opens one message that was sealed for a tenant, and the message does not change.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod place;

use place::{Answer, KEY, Place, bytes, with};

const OPEN: [&str; 4] = ["--keyring", "acme.keyring", "--context", "path=/a"];

/// A place with a tenant's message and a device.
fn place(key_type: &str) -> Place {
    let place = Place::new();
    for arguments in [
        &["keys", "new", "--tenant", "acme", "--out", "acme.keyring"][..],
        &[
            "device", "new", "--type", key_type, "--out", "d.key", "--public", "d.pub",
        ],
    ] {
        assert_eq!(place.run(arguments).status, 0);
    }
    place.write("plain", &bytes(200_000));
    seal(&place, "message");
    place
}

fn seal(place: &Place, name: &str) {
    let sealed = place.run(&with(&["seal", "plain", "-o", name], &OPEN, &[]));
    assert_eq!(sealed.status, 0, "{}", sealed.said);
}

fn grant(place: &Place, more: &[&str]) -> Answer {
    let command = ["grant", "message", "-o", "grant", "--recipient", "d.pub"];
    place.run(&with(&command, &OPEN, more))
}

#[test]
fn a_device_of_every_kind_opens_with_a_grant() {
    for key_type in ["p256", "p384", "xwing"] {
        let place = place(key_type);
        let before = place.read("message");
        let open = ["open", "message", "--private-key", "d.key"];
        place
            .run(&open)
            .refused(6, "no key that was given opens it");

        let told = grant(&place, &["--json"]).json();
        assert_eq!(told["recipients"], 1);
        let id: String = before[3..35].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(told["grant_for"], id);
        assert_eq!(place.read("message"), before, "not a byte of it");

        let opened = place.run(&with(&open, &["--grant", "grant"], &[]));
        assert_eq!(opened.status, 0, "{}", opened.said);
        assert!(opened.out == bytes(200_000));
        // The tenant still opens it, and the grant is no way around the keys.
        let opened = place.run(&with(&["open", "message"], &OPEN, &[]));
        assert_eq!(opened.status, 0, "{}", opened.said);
        place
            .run(&with(&["open", "message", "--grant", "grant"], &KEY, &[]))
            .refused(6, "no key that was given opens it");
    }
}

#[test]
fn a_grant_opens_its_own_message_alone() {
    let place = place("xwing");
    assert_eq!(grant(&place, &[]).status, 0);
    seal(&place, "other");
    let open =
        |message, grant| place.run(&["open", message, "--grant", grant, "--private-key", "d.key"]);
    open("other", "grant").refused(6, "the grant is for another message");
    open("message", "message").refused(6, "message: the message is no grant");

    let mut damaged = place.read("grant");
    *damaged.last_mut().unwrap() ^= 1;
    place.write("damaged", &damaged);
    open("message", "damaged").refused(7, "tag of frame 1 does not verify");
    damaged.truncate(damaged.len() - 1);
    place.write("cut", &damaged);
    open("message", "cut").refused(8, "cut short");
}

#[test]
fn a_resealed_message_has_no_grants() {
    let place = place("p256");
    assert_eq!(grant(&place, &[]).status, 0);
    let reseal = ["reseal", "message", "--keyring", "acme.keyring", "--force"];
    assert_eq!(place.run(&reseal).status, 0);
    place
        .run(&[
            "open",
            "message",
            "--grant",
            "grant",
            "--private-key",
            "d.key",
        ])
        .refused(6, "the grant is for another message");
}

#[test]
fn a_message_that_is_not_the_expected_one_is_not_granted() {
    let place = place("p256");
    let grant = |more: &[&str]| {
        let command = [
            "grant",
            "message",
            "-o",
            "grant",
            "--keyring",
            "acme.keyring",
        ];
        place.run(&with(&command, &["--recipient", "d.pub"], more))
    };
    grant(&[]).refused(9, "it stands at path \"/a\"");
    grant(&["--context", "path=/b"]).refused(9, "expected \"/b\"");

    // A header that was changed after its writer.
    let mut message = place.read("message");
    let tag_ends_at = message.len() - 200_000 - 3 * 32 - 40;
    message[tag_ends_at - 1] ^= 1;
    place.write("message", &message);
    grant(&["--context", "path=/a"]).refused(7, "header tag does not verify");
    assert!(!place.path("grant").exists());
}

#[test]
fn what_is_missing_is_said() {
    let place = place("p256");
    let grant = |more: &[&str]| place.run(&with(&["grant", "message"], &OPEN, more));
    grant(&["-o", "grant"]).refused(2, "--recipient");
    grant(&["-o", "plain", "--recipient", "d.pub"]).refused(1, "--force replaces it");
    grant(&["-o", "grant", "--recipient", "d.key"]).refused(1, "the private half of a key");
    assert!(!place.path("grant").exists());
    // To a pipe.
    let piped = grant(&["--recipient", "d.pub"]);
    assert_eq!(piped.status, 0, "{}", piped.said);
    place.write("grant", &piped.out);
    let open = [
        "open",
        "message",
        "--grant",
        "grant",
        "--private-key",
        "d.key",
    ];
    assert_eq!(place.run(&open).status, 0);
}

#[test]
fn a_grant_is_never_opened_as_a_message() {
    // Its plaintext is a data key.
    let place = place("p256");
    assert_eq!(grant(&place, &[]).status, 0);
    for command in [
        &["open", "grant"][..],
        &["open", "grant", "--range", "0-"],
        &["open", "grant", "--grant", "grant"],
        &["grant", "grant", "--recipient", "d.pub"],
    ] {
        place
            .run(&with(command, &["--private-key", "d.key"], &[]))
            .refused(2, "grant: a grant, not a message");
    }
}
