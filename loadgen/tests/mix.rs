//! Scenarios: what is planned is what is done, and what is wrong is said with its line.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{collections::BTreeMap, fs, path::PathBuf};

use program::{Origin, TlsFiles, assert_whole, curl, loadgen, result};
use serde_json::{Value, json};
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../examples/mix.toml");

/// A scenario in a file that goes away with the directory.
fn scenario(text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("s.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

/// The example, towards this origin.
fn example(origin: &Origin) -> String {
    let text = EXAMPLE.replace("127.0.0.1:8080", &origin.address("http").to_string());
    let text = text.replace("127.0.0.1:9000", &origin.address("echo").to_string());
    // Response times are not what is tested here.
    text.replace("p99<50ms", "p99<1h")
}

/// Counts of `field` by name.
fn counts(rows: &Value, field: &str) -> BTreeMap<String, u64> {
    let rows = rows.as_array().unwrap().iter();
    let counted = |row: &Value| row["operations"][field].as_u64().unwrap();
    rows.map(|row| (row["name"].as_str().unwrap().to_owned(), counted(row)))
        .collect()
}

/// What `--check` says of operations, or of tenants.
fn planned(text: &str, what: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    lines
        .filter(|words| words[0] == what)
        .map(|words| (words[1].to_owned(), words[2].parse().unwrap()))
        .collect()
}

#[test]
fn the_example_does_exactly_what_check_says_it_would() {
    let origin = Origin::start(&[]);
    let (_dir, path) = scenario(&example(&origin));
    for threads in ["1", "2"] {
        let flags = ["-n", "400", "-R", "1k", "-t", threads];
        let ran = loadgen(&[&["mix", "--check", &path][..], &flags].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let operations = planned(&ran.stdout, "operation");
        let tenants = planned(&ran.stdout, "tenant");
        assert_eq!(operations.values().sum::<u64>(), 400);
        if threads == "1" {
            let shares = json!({ "read": 280, "write": 80, "look": 20, "remove": 12, "echo": 8 });
            assert_eq!(json!(operations), shares);
        }
        let before = origin.totals(&origin.url(""));
        let (code, json) = result(&[&["mix", &path][..], &flags].concat());
        assert!(matches!(code, 0 | 4), "{json:#}");
        assert_eq!(counts(&json["kinds"], "succeeded"), operations);
        assert_eq!(counts(&json["tenants"], "succeeded"), tenants);
        let after = origin.totals(&origin.url(""));
        let of = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
        // 20 tenants with 50 objects each are stored before.
        assert_eq!(of("requests"), 1_000 + 400 - operations["echo"]);
        assert_eq!(of("echo_bytes"), 100 * operations["echo"]);
        let slo: Vec<_> = json["objectives"].as_array().unwrap().iter().collect();
        assert_eq!(slo[1]["text"], "read: p99<1h");
        assert_eq!(
            (&slo[0]["met"], &slo[1]["met"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(json["operation"], "mix");
    }
    let ran = loadgen(&["mix", &path, "-n", "100", "-R", "1k"]);
    for line in [
        "operation   read: 70 ok, 0 failed",
        "tenant      t3: ",
        "tenant      and 12 more rows",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
}

#[test]
fn operations_of_every_kind_share_slots_over_tls() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let text = format!(
        r#"
target = "https://{{tenant}}.example"
[load]
connect-to = "{http}"
connections = 3
tenants = "3"
count = 120
[[operation]]
name = "put"
rate = "400"
method = "PUT"
path = "/{{tenant}}/x"
size = "100"
[[operation]]
name = "login"
rate = "200"
kind = "handshake"
resume = "50%"
[[operation]]
name = "echo"
rate = "200"
kind = "echo"
target = "{echo}"
[[operation]]
name = "fetch"
rate = "100"
kind = "bulk"
target = "{source}"
bytes = "10k"
[[operation]]
name = "send"
rate = "100"
kind = "bulk"
direction = "up"
target = "{sink}"
bytes = "10k"
"#,
        http = origin.address("http"),
        echo = origin.tls("echo"),
        source = origin.tls("source"),
        sink = origin.tls("sink"),
    );
    let (_dir, path) = scenario(&text);
    let (code, json) = result(&["mix", &path]);
    assert!(matches!(code, 0 | 4), "{json:#}");
    let expected = json!({
        "put": 48, "login full": 12, "login resumed": 12, "echo": 24, "fetch": 12, "send": 12
    });
    assert_eq!(json!(counts(&json["kinds"], "succeeded")), expected);
    assert_eq!(json["configuration"]["stages"][0]["from_per_s"], 1000.0);
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(
        (&totals["requests"], &totals["echo_bytes"]),
        (&json!(48), &json!(2_400))
    );
    assert_eq!(
        (&totals["source_bytes"], &totals["sink_bytes"]),
        (&json!(120_000), &json!(120_000))
    );
    assert_eq!(totals["handshakes_resumed"], 12);
}

#[test]
fn each_second_is_told_while_a_mix_lasts() {
    let origin = Origin::start(&[]);
    let (_dir, path) = scenario(&example(&origin));
    let flags = ["mix", &path, "-R", "50", "-d", "4s"];
    let ran = loadgen(&flags);
    let lines: Vec<_> = ran.stderr.lines().map(str::trim_start).collect();
    assert!(lines[0].starts_with("second "), "{}", ran.stderr);
    assert!(lines[1].starts_with("0 "), "{}", ran.stderr);
    let quiet = loadgen(&[&flags[..], &["--quiet"]].concat());
    assert_eq!(quiet.stderr, "");
}

#[test]
fn damage_is_found_by_the_operation_that_meets_it() {
    let origin = Origin::start(&[]);
    let text = |prepare: bool| {
        format!(
            r#"
target = "{}"
[load]
count = 40
[[operation]]
name = "good"
share = 1
path = "/good/{{n}}"
objects = 3
size = "uniform:100,200k"
check = "hash"
prepare = {prepare}
[[operation]]
name = "bad"
share = 1
path = "/bad/{{n}}"
objects = 1
size = "5000"
check = "hash"
prepare = {prepare}
"#,
            origin.url("")
        )
    };
    let (_dir, path) = scenario(&text(true));
    let (code, json) = result(&["mix", &path]);
    assert_whole(code, &json, 40);
    let flip = origin.url("/.origin/flip/bad/1?offset=4000");
    assert_eq!(curl(&["-X", "POST", &flip]).0, 204);
    let (_dir, path) = scenario(&text(false));
    let (code, json) = result(&["mix", &path]);
    assert_eq!(code, 2, "{json:#}");
    let corrupt = BTreeMap::from([("good".to_owned(), 0), ("bad".to_owned(), 20)]);
    assert_eq!(counts(&json["kinds"], "corrupt"), corrupt);
    assert_eq!(json["errors"][0]["class"], "mismatch");
}

#[test]
fn expected_statuses_count_and_others_fail() {
    let origin = Origin::start(&[]);
    let url = origin.url("/none");
    let wanted = ["request", &url, "-n", "5", "--expect-status", "404,410"];
    let (code, json) = result(&wanted);
    assert_whole(code, &json, 5);
    let (code, json) = result(&["request", &url, "-n", "5", "--expect-status", "200"]);
    assert_eq!((code, &json["errors"][0]["class"]), (2, &json!("status")));
}

#[test]
fn a_mistake_is_told_with_its_line_and_what_would_be_right() {
    let head = "target = \"http://127.0.0.1:1\"\n";
    let one = "[[operation]]\nname = \"a\"\nshare = 1\n";
    let cases = [
        (
            format!("targt = \"x\"\n{one}"),
            1,
            "unknown field `targt`, expected one of",
        ),
        (
            format!("{head}[load]\nraet = \"1k\"\n{one}"),
            3,
            "[load] has no key raet; there are",
        ),
        (
            format!("{head}[load]\nrate = \"fast\"\n{one}"),
            3,
            "not a rate",
        ),
        (
            format!("{head}{one}sise = \"1k\"\n"),
            5,
            "unknown field `sise`",
        ),
        (
            format!("{head}{one}size = \"big\"\n"),
            5,
            "not a size: write 8k",
        ),
        (
            format!("{head}{one}kind = \"dance\"\n"),
            5,
            "unknown variant `dance`",
        ),
        (format!("{head}{one}{one}"), 6, "each name once"),
        (
            format!("{head}[[operation]]\nname = \"a\"\n"),
            3,
            "give every operation a share",
        ),
        (
            format!("{head}{one}path = \"/{{n}}\"\n"),
            3,
            "objects and {n} in path belong together",
        ),
        (
            format!("{head}{one}prepare = true\n"),
            3,
            "add objects and size",
        ),
        (
            format!("{head}{one}slo = [\"p99=1\"]\n"),
            5,
            "not an objective",
        ),
        (
            format!("{head}{one}kind = \"echo\"\n"),
            3,
            "echo and bulk to tls:// or tcp://",
        ),
        (
            format!("target = \"http://h/x\"\n{one}"),
            1,
            "put the path under `path`",
        ),
    ];
    for (text, line, says) in cases {
        let (_dir, path) = scenario(&text);
        let ran = loadgen(&["mix", "--check", &path]);
        assert_eq!(ran.code, 1, "{text}\n{}", ran.stdout);
        let place = format!("s.toml, line {line}: ");
        assert!(
            ran.stderr.contains(&place) && ran.stderr.contains(says),
            "{text}\n{}",
            ran.stderr
        );
    }
    let (_dir, path) = scenario(&format!(
        "target = \"tls://127.0.0.1:1\"\n[load]\nalpn = \"h2\"\n{one}target = \"https://127.0.0.1:1\"\n"
    ));
    let ran = loadgen(&["mix", "--check", &path]);
    assert!(ran.stderr.contains("drop --alpn"), "{}", ran.stderr);
    let (_dir, path) = scenario(&format!("{head}{one}path = \"/{{tenant}}\"\n"));
    let ran = loadgen(&["mix", &path]);
    assert!(ran.stderr.contains("add --tenants N"), "{}", ran.stderr);
    let ran = loadgen(&["mix", &path, "--tenants", "0"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("not a number of tenants"),
        "{}",
        ran.stderr
    );
}
