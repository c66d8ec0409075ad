//! `bench capacity` with the real programs: exact counts, no times.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_bench");

/// A sealed HTTP route and a TCP route of one tenant, whose services nobody could reach: their
/// addresses are for documentation (RFC 5737).
const CONFIG: &str = r#"
workers = 1

[log]
level = "warn"

[[listener]]
name = "public"
listen = ["0.0.0.0:443", "[::]:443"]

[[listener]]
name = "streams"
listen = "192.0.2.1:9443"

[[tenant]]
id = "acme"
names = ["*.acme.example"]
certificate = "acme.pem"
key = "acme.key"
keyring = "acme.keyring"

[[route]]
name = "objects"
tenant = "acme"
listener = "public"
protocol = "http"
class = "sealed"
readers = "anyone"
path = "/objects"
upstream = "http://192.0.2.9:80"

[[route]]
name = "feed"
tenant = "acme"
listener = "streams"
protocol = "tcp"
class = "terminated"
upstream = "192.0.2.9:9000"

[route.upstream_tls]
ca = "acme.pem"
server_name = "feed.internal"
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        for program in ["sealgate", "loadgen"] {
            let path = Path::new(BENCH).with_file_name(program);
            assert!(path.exists(), "run `cargo build -p {program}` first");
        }
        let place = Self(tempfile::tempdir().unwrap());
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=acme.example", "-keyout"])
            .arg(place.path("acme.key"))
            .arg("-out")
            .arg(place.path("acme.pem"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        place.write(CONFIG);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, config: &str) {
        fs::write(self.path("gateway.toml"), config).unwrap();
    }

    fn capacity(&self, arguments: &[&str]) -> Output {
        Command::new(BENCH)
            .args(["capacity", "--config", "gateway.toml"])
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// Its exit code, and what it said on standard error.
    fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.capacity(arguments);
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

#[test]
fn both_routes_are_loaded_from_a_copy_and_held_to_what_was_stored() {
    let place = Place::new();
    let small = [
        "--route", "objects", "--route", "feed", "--rounds", "1", "--count", "12", "--idle", "20",
    ];
    let output = place.capacity(&[&small[..], &["--json", "now.json"]].concat());
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{said}\n{errors}");
    assert!(
        said.contains("objects of acme (sealed over HTTP, TLSv1.3 "),
        "{said}"
    );
    assert!(said.contains("20 idle connections"), "{said}");
    assert!(
        errors.contains("route[1].upstream = \"192.0.2.9:9000\" is \"127.0.0.1:"),
        "{errors}"
    );
    let now = place.json("now.json");
    assert_eq!(now["format"], "bench.capacity/1");
    for (route, kinds) in [
        (0, ["handshakes", "bulk", "requests"]),
        (1, ["handshakes", "bulk", "echoes"]),
    ] {
        let report = &now["routes"][route];
        assert_eq!(report["server_name"], "sealgate-bench.acme.example");
        assert_eq!(report["idle"]["connections"], 20);
        assert_eq!(report["idle"]["bound"], "--idle");
        for (at, kind) in kinds.iter().enumerate() {
            let load = &report["loads"][at];
            assert_eq!(
                (&load["kind"], &load["operations"]),
                (&(*kind).into(), &12.into())
            );
            assert!(
                load["cpu"].as_f64() > Some(0.0) && load["rate"].as_f64() > Some(0.0),
                "{load}"
            );
        }
    }
    // Two addresses, one more, a keyring, two upstreams, an authority, a name.
    assert_eq!(now["rewritten"].as_array().unwrap().len(), 8, "{now:#}");
    assert!(
        !place.path("acme.keyring").exists(),
        "the operator's keyring is not touched"
    );
    assert_eq!(
        fs::read_to_string(place.path("gateway.toml")).unwrap(),
        CONFIG
    );
    held_to_what_was_stored(&place, now);
}

/// Stored numbers that are beyond every noise, to both sides.
fn held_to_what_was_stored(place: &Place, mut stored: Value) {
    let small = [
        "--route", "feed", "--rounds", "1", "--count", "12", "--idle", "20",
    ];
    let against = [&small[..], &["--against", "stored.json"]].concat();
    stored["routes"].as_array_mut().unwrap().remove(0);
    for (factor, status, verdict) in [(1e-9, 3, "FAIL"), (1e9, 0, "PASS")] {
        for route in stored["routes"].as_array_mut().unwrap() {
            route["idle"]["bytes_per_connection"] = Value::Null;
            for load in route["loads"].as_array_mut().unwrap() {
                load["cpus"] = Value::from(vec![load["cpu"].as_f64().unwrap() * factor]);
                load["rates"] = Value::from(vec![load["rate"].as_f64().unwrap() / factor]);
            }
        }
        fs::write(place.path("stored.json"), stored.to_string()).unwrap();
        let output = place.capacity(&against);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(&format!("verdict: {verdict}")), "{said}");
    }
    stored["host"] = "another machine".into();
    fs::write(place.path("stored.json"), stored.to_string()).unwrap();
    let (code, said) = place.refused(&against);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("host: stored another machine / now ") && said.contains("--force"),
        "{said}"
    );
}

#[test]
fn what_is_of_no_use_is_told_with_where_and_what_would_be_right() {
    let place = Place::new();
    let unknown_tenant = CONFIG.replacen(
        "tenant = \"acme\"\nlistener = \"streams\"",
        "tenant = \"acne\"\nlistener = \"streams\"",
        1,
    );
    let certificates = CONFIG.replace("readers = \"anyone\"", "readers = \"mtls\"");
    let no_certificate = CONFIG.replacen("acme.pem", "none.pem", 1);
    for (config, arguments, wanted) in [
        (
            unknown_tenant.as_str(),
            &[][..],
            &["gateway.toml:34: route[1].tenant: ", "acne", "acme"][..],
        ),
        (&no_certificate, &[], &["gateway.toml:", "none.pem"]),
        ("workers = \n", &[], &["gateway.toml", "line 1"]),
        ("workers = 1\n", &[], &["gateway.toml", "[[listener]]"]),
        (&certificates, &[], &["objects", "--cert FILE --key FILE"]),
        (
            CONFIG,
            &["--route", "fed"],
            &["--route fed", "objects, feed"],
        ),
        (CONFIG, &["--time", "3"], &["500ms, 3s or 1m"]),
        (CONFIG, &["--against", "none.json"], &["none.json"]),
        (CONFIG, &["--force"], &["--against"]),
    ] {
        place.write(config);
        let (code, said) = place.refused(arguments);
        assert_eq!(code, Some(1), "{said}");
        for wanted in wanted {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
    }
    fs::remove_file(place.path("gateway.toml")).unwrap();
    let (code, said) = place.refused(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("gateway.toml"), "{said}");
}
