//! `sealgate device`: key files that other tools read, and fingerprints that both sides compute alike. Needs `openssl`.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use place::Place;

fn openssl(place: &Place, arguments: &str) -> Vec<u8> {
    let done = Command::new("openssl")
        .current_dir(place.path("."))
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {arguments}: {said}");
    done.stdout
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn new(place: &Place, key_type: &str) -> place::Answer {
    place.run(&[
        "device", "new", "--type", key_type, "--out", "d.key", "--public", "d.pub", "--json",
    ])
}

fn mode(place: &Place, name: &str) -> u32 {
    fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn both_halves_of_every_kind_have_one_fingerprint() {
    for key_type in ["p256", "p384", "xwing"] {
        let place = Place::new();
        let made = new(&place, key_type).json();
        assert_eq!(made["type"], key_type);
        assert_eq!(mode(&place, "d.key"), 0o600);
        assert_eq!(mode(&place, "d.pub") & 0o444, 0o444);

        let grouped = made["fingerprint"].as_str().unwrap();
        let groups: Vec<&str> = grouped.split(' ').collect();
        assert!(groups.len() == 16 && groups.iter().all(|group| group.len() == 4));
        assert_eq!(groups.concat(), made["sha256"].as_str().unwrap());
        let told = place
            .run(&["device", "fingerprint", "d.key", "d.pub"])
            .words();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines,
            [
                format!("{grouped}  {key_type} private d.key"),
                format!("{grouped}  {key_type} public d.pub")
            ]
        );
    }
}

#[test]
fn openssl_reads_the_files_and_computes_the_same_fingerprint() {
    for (key_type, curve) in [("p256", "prime256v1"), ("p384", "secp384r1")] {
        let place = Place::new();
        let told = new(&place, key_type).json();
        let shown = openssl(&place, "pkey -in d.key -noout -text");
        assert!(String::from_utf8_lossy(&shown).contains(curve));
        for from in ["pkey -in d.key -pubout", "pkey -pubin -in d.pub"] {
            let der = openssl(&place, &format!("{from} -outform DER"));
            assert_eq!(told["sha256"], sha256(&der));
        }
    }
}

#[test]
fn keys_that_openssl_made_are_read() {
    let place = Place::new();
    for (make, key_type) in [
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "p256",
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            "p384",
        ),
        // The form before PKCS #8.
        ("ecparam -name prime256v1 -genkey -noout", "p256"),
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "rsa",
        ),
    ] {
        openssl(&place, &format!("{make} -out o.key"));
        openssl(&place, "pkey -in o.key -pubout -out o.pub");
        let der = openssl(&place, "pkey -in o.key -pubout -outform DER");
        for name in ["o.key", "o.pub"] {
            fs::set_permissions(place.path(name), PermissionsExt::from_mode(0o600)).unwrap();
            let told = place.run(&["device", "fingerprint", name, "--json"]).json();
            assert_eq!(told["type"], key_type);
            assert_eq!(told["sha256"], sha256(&der), "{make}");
        }
    }
}

#[test]
fn a_key_that_is_no_device_key_says_why() {
    let place = Place::new();
    let refused = |name: &str, words: &str| {
        place
            .run(&["device", "fingerprint", name])
            .refused(1, words);
    };
    openssl(
        &place,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out other.key",
    );
    refused("other.key", "not a key on P-256 or P-384");
    openssl(&place, "genpkey -algorithm ED25519 -out ed.key");
    refused("ed.key", "not a key on P-256 or P-384");
    openssl(
        &place,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x -out locked.key",
    );
    refused("locked.key", "takes the passphrase off");
    refused("key.bin", "no key in it");
    refused("missing.key", "cannot open it: No such file");
    refused(".", "not a regular file");
    place.write("long.key", &vec![b'x'; 70_000]);
    refused("long.key", "longer than 65536 bytes");
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let place = Place::new();
    new(&place, "p256").json();
    fs::set_permissions(place.path("d.key"), PermissionsExt::from_mode(0o640)).unwrap();
    place.run(&["device", "fingerprint", "d.key"]).refused(
        1,
        "mode 0640 lets group or others at a private key; run `chmod 600`",
    );
    assert_eq!(place.run(&["device", "fingerprint", "d.pub"]).status, 0);
    place
        .run(&["open", "--private-key", "d.key", "d.pub"])
        .refused(1, "mode 0640");
}

#[test]
fn no_file_is_overwritten_and_no_half_stays_alone() {
    for taken in ["d.key", "d.pub"] {
        let place = Place::new();
        place.write(taken, b"mine");
        let refused = new(&place, "p384");
        refused.refused(1, "keys are never overwritten");
        assert_eq!(place.read(taken), b"mine");
        assert_eq!(place.files(), [taken]);
    }
    let place = Place::new();
    place
        .run(&[
            "device", "new", "--type", "p256", "--out", "a", "--public", "a",
        ])
        .refused(1, "keys are never overwritten");
    assert_eq!(place.files(), Vec::<String>::new());
}

#[test]
fn one_wrong_file_does_not_hide_the_others() {
    let place = Place::new();
    new(&place, "xwing").json();
    let told = place.run(&["device", "fingerprint", "missing", "d.pub"]);
    assert_eq!(told.status, 1);
    assert!(told.said.contains("missing") && told.words().contains("xwing public d.pub"));
}

#[test]
fn the_help_has_examples_and_lists_the_exit_statuses() {
    let place = Place::new();
    for command in ["new", "fingerprint"] {
        let help = place.run(&["device", command, "--help"]).words();
        assert!(
            help.contains(&format!("sealgate device {command} ")),
            "{command}"
        );
    }
    let help = place.run(&["device", "--help"]).words();
    for status in 0..=2 {
        assert!(help.contains(&format!("\n  {status}  ")), "{status}");
    }
}

#[test]
fn a_fingerprint_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    place.run(&[
        "device", "new", "--type", "p256", "--out", "d.key", "--public", "d.pub",
    ]);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = place.command(&["device", "fingerprint", "d.pub"]);
    place::answer(command.stdout(full).spawn().unwrap()).refused(1, "cannot write the answer");
}
