//! Ready sealed messages there, and answers that open: on a route whose devices alone have keys.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod http2_target;
mod program;

use http2_target::server::Server;
use loadgen::pattern::Pattern;
use program::{Origin, assert_whole, curl, loadgen, result};
use sealgate_envelope::{Context, Header, ParsedHeader};
use sealgate_keys::Keyring;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Keys in files, and keyrings.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, byte) in [("one.bin", 1), ("two.bin", 2), ("t1.bin", 3), ("t2.bin", 4)] {
            std::fs::write(dir.path().join(name), [byte; 32]).unwrap();
        }
        for tenant in ["acme", "t1", "t2"] {
            let path = dir.path().join(format!("{tenant}.keyring"));
            Keyring::create(path, tenant).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn request(url: &str, key: &[&str], flags: &[&str]) -> (i32, Value) {
    result(&[&["request", url][..], key, flags].concat())
}

const PUT: [&str; 8] = [
    "-X",
    "PUT",
    "--envelope",
    "4",
    "--size",
    "uniform:1,200k",
    "-n",
    "24",
];
const GET: [&str; 6] = ["--check", "open", "-n", "6", "-c", "2"];

#[test]
fn what_is_stored_sealed_comes_back_and_opens() {
    let (keys, origin) = (Keys::new(), Origin::start(&[]));
    let (raw, ring) = (keys.path("one.bin"), keys.path("acme.keyring"));
    let url = origin.url("/o");
    for key in [
        &["--raw-aes", "test", "one", &raw][..],
        &["--keyring", &ring],
    ] {
        let upstream = ["--check-upstream", &origin.url("")];
        let (code, json) = request(&url, key, &[&PUT[..], &upstream].concat());
        assert_whole(code, &json, 24);
        let sealed = &json["configuration"]["particulars"]["sealed"];
        assert_eq!(sealed["envelopes"], 4, "{sealed}");
        assert!(
            !json.to_string().contains("one.bin"),
            "no file of keys in a report"
        );
        let (code, json) = request(&url, key, &GET);
        assert_whole(code, &json, 6);
        // Sealed beforehand, and with their digest, it is as good.
        let (code, json) = request(&url, key, &[&PUT[..], &["--check", "hash"]].concat());
        assert_whole(code, &json, 24);
    }
    // The keyring itself opens what the last run left, and finds loadgen's bytes.
    let (_, message) = curl(&[&url]);
    let Ok(ParsedHeader::Complete { header, len_bytes }) = Header::parse(&message) else {
        panic!("no header");
    };
    let keyring = Keyring::load(&ring).unwrap();
    let mut opener = keyring.open_begin(&header, &Context::empty()).unwrap();
    let mut plaintext = Vec::new();
    opener.write(&message[len_bytes..], &mut plaintext).unwrap();
    opener.finish().unwrap();
    assert_eq!(Pattern::new().first_difference(0, &plaintext), None);
}

#[test]
fn what_does_not_open_is_told_apart_by_class() {
    let (keys, origin) = (Keys::new(), Origin::start(&[]));
    let (one, two, ring) = (
        keys.path("one.bin"),
        keys.path("two.bin"),
        keys.path("acme.keyring"),
    );
    let key = ["--raw-aes", "test", "one", &one];
    let url = origin.url("/o");
    let put = ["-X", "PUT", "--envelope", "1", "--size", "100k", "-n", "1"];
    assert_whole_put(&url, &key, &put);
    let class = |key: &[&str], corrupt: u64| {
        let (code, json) = request(&url, key, &GET);
        assert_eq!(code, 2, "nothing succeeded: {json:#}");
        let operations = &json["totals"]["operations"];
        assert_eq!(
            (&operations["corrupt"], &operations["failed"]),
            (&json!(corrupt), &json!(6))
        );
        let error = &json["errors"][0];
        assert_eq!(
            (&error["phase"], &error["count"]),
            (&json!("check"), &json!(6))
        );
        error["class"].as_str().unwrap().to_owned()
    };
    assert_eq!(class(&["--raw-aes", "test", "other", &one], 0), "no_key");
    assert_eq!(class(&["--keyring", &ring], 0), "no_key");
    assert_eq!(class(&["--raw-aes", "test", "one", &two], 6), "unopened");
    // A byte in its last frame.
    assert_eq!(
        curl(&["-X", "POST", &origin.url("/.origin/flip/o?offset=90000")]).0,
        204
    );
    assert_eq!(class(&key, 6), "unopened");
    // A plain object.
    let plain = ["--size", "100k", "-n", "1"];
    let (code, json) = request(&url, &[], &plain);
    assert_whole(code, &json, 1);
    assert_eq!(class(&key, 0), "not_sealed");
}

fn assert_whole_put(url: &str, key: &[&str], put: &[&str]) {
    let (code, json) = request(url, key, put);
    assert_whole(code, &json, 1);
}

#[test]
fn sealed_messages_go_over_http2_too() {
    let (keys, server) = (Keys::new(), Server::plain(Default::default()));
    let one = keys.path("one.bin");
    let key = ["--raw-aes", "test", "one", &one];
    // The server sends back what it got.
    let post = [
        "-X",
        "POST",
        "--envelope",
        "3",
        "--size",
        "uniform:1,300k",
        "--check",
        "open",
    ];
    let flags = ["--http", "2", "-m", "4", "-n", "24"];
    let (code, json) = request(&server.url("/x"), &key, &[&post[..], &flags].concat());
    assert_whole(code, &json, 24);
    assert_eq!(
        json["totals"]["bytes"]["sent"],
        json["totals"]["bytes"]["received"]
    );
}

#[test]
fn every_tenant_has_a_key_of_its_own() {
    let (keys, origin) = (Keys::new(), Origin::start(&[]));
    let url = origin.url("/{tenant}/o");
    let tenants = ["--tenants", "2"];
    let (ring, raw) = (keys.path("{tenant}.keyring"), keys.path("{tenant}.bin"));
    for key in [
        &["--keyring", &ring][..],
        &["--raw-aes", "test", "key-{tenant}", &raw],
    ] {
        let key = [key, &tenants].concat();
        let (code, json) = request(&url, &key, &PUT);
        assert_whole(code, &json, 24);
        let sealed = &json["configuration"]["particulars"]["sealed"];
        assert_eq!(
            (&sealed["envelopes"], &sealed["keys"]),
            (&json!(4), &json!(2))
        );
        let (code, json) = request(&url, &key, &GET);
        assert_whole(code, &json, 6);
    }
    // The other tenant's key opens nothing: what t1 has does not open for t2.
    let one = ["--raw-aes", "test", "key-t1", &keys.path("t1.bin")];
    let (_, json) = request(&url, &[&one[..], &tenants].concat(), &GET);
    let failed = |row: usize| &json["tenants"][row]["operations"]["failed"];
    let planned = |row: usize| &json["tenants"][row]["operations"]["planned"];
    assert_eq!((failed(0), failed(1)), (&json!(0), planned(1)), "{json:#}");
    assert!(planned(1).as_u64() > Some(0));
    assert_eq!(json["errors"][0]["class"], "no_key");
    for (flags, says) in [
        (&["--keyring", &ring][..], "add --tenants"),
        (&["--keyring", &ring, "--tenants", "3"], "t3.keyring"),
        (
            &["--keyring", &ring, "--tenants", "5000"],
            "lower --tenants",
        ),
    ] {
        let load = [
            "request",
            "http://127.0.0.1:1/",
            "-n",
            "1",
            "--check",
            "open",
        ];
        let ran = loadgen(&[&load[..], flags].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{flags:?}: {}", ran.stderr);
    }
}

/// The operations of a scenario, run.
fn scenario(keys: &Keys, origin: &Origin, operations: &str) -> (i32, Value) {
    let load = "tenants = \"2\"\ncount = 40\nconnections = 2";
    let url = origin.url("");
    let text = format!("target = \"{url}\"\n[load]\n{load}\n{operations}");
    let path = keys.path("s.toml");
    std::fs::write(&path, text).unwrap();
    result(&["mix", &path])
}

#[test]
fn operations_of_a_scenario_have_keys_of_their_own() {
    let (keys, origin) = (Keys::new(), Origin::start(&[]));
    let (one, ring) = (keys.path("one.bin"), keys.path("{tenant}.keyring"));
    let shared =
        format!("path = \"/shared\"\nraw-aes = [\"test\", \"one\", \"{one}\"]\nshare = 1\n");
    let own = format!("path = \"/{{tenant}}\"\nkeyring = \"{ring}\"\nshare = 1\n");
    let put = "method = \"PUT\"\nsize = \"uniform:1,20k\"\nenvelope = 3\n";
    let of = |name: &str, key: &str, does: &str| {
        format!("[[operation]]\nname = \"{name}\"\n{key}{does}")
    };
    let (code, json) = scenario(
        &keys,
        &origin,
        &[of("shared", &shared, put), of("own", &own, put)].concat(),
    );
    assert_whole(code, &json, 40);
    let open = "check = \"open\"\n";
    let (code, json) = scenario(
        &keys,
        &origin,
        &[of("shared", &shared, open), of("own", &own, open)].concat(),
    );
    assert_whole(code, &json, 40);
    // And none of the other's.
    let crossed = own.replace("\"/{tenant}\"", "\"/shared\"");
    let (_, json) = scenario(
        &keys,
        &origin,
        &[of("shared", &shared, open), of("own", &crossed, open)].concat(),
    );
    let failed = |kind: usize| &json["kinds"][kind]["operations"]["failed"];
    assert_eq!((failed(0), failed(1)), (&json!(0), &json!(20)), "{json:#}");
    assert_eq!(json["errors"][0]["class"], "no_key");
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let keys = Keys::new();
    let (one, ring) = (keys.path("one.bin"), keys.path("acme.keyring"));
    let cases: [(&[&str], &str); 8] = [
        (
            &["--envelope", "4", "--size", "1k"],
            "--envelope needs a key: add --keyring",
        ),
        (&["--check", "open"], "--check open needs a key"),
        (&["--keyring", &ring], "add --envelope N or --check open"),
        (&["--envelope", "4", "--keyring", &ring], "--size"),
        (
            &["--check", "open", "--raw-aes", "a", "b", &ring],
            "is no AES-256 key: it has to hold 32 bytes",
        ),
        (
            &["--check", "open", "--raw-aes", "a", "b", "/none"],
            "cannot read /none",
        ),
        (
            &["--envelope", "100", "--size", "100MB", "--keyring", &ring],
            "lower --envelope or --size",
        ),
        (
            &[
                "--envelope",
                "1",
                "--size",
                "1",
                "--check",
                "echo",
                "--raw-aes",
                "a",
                "b",
                &one,
            ],
            "use --check open",
        ),
    ];
    for (flags, says) in cases {
        let ran = loadgen(&[&["request", "http://127.0.0.1:1/", "-n", "1"][..], flags].concat());
        assert_eq!(ran.code, 1, "{flags:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(says), "{flags:?}: {}", ran.stderr);
    }
}
