//! Sealed routes of the real gateway, checked from both sides.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use program::{Origin, PROGRAM, TlsFiles, assert_whole, curl, loadgen, result};
use serde_json::json;

/// A running gateway that seals for one tenant; killed on drop.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

/// The gateway's program, which stands beside ours.
fn sealgate() -> PathBuf {
    let path = Path::new(PROGRAM).with_file_name("sealgate");
    assert!(path.exists(), "run `cargo build -p sealgate` first");
    path
}

impl Gateway {
    fn start(files: &TlsFiles, origin: &Origin) -> Self {
        let keyring = files.path("acme.keyring");
        let made = Command::new(sealgate())
            .args(["keys", "new", "--tenant", "acme", "--out", &keyring])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        // Listeners with SO_REUSEPORT share a port silently, so the process chooses an address.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let address = SocketAddr::from((Ipv4Addr::new(127, 64 | (high & 63), middle, low), 20_443));
        let mut child = Command::new(sealgate())
            .args([
                "http",
                "--listen",
                &address.to_string(),
                "--readers",
                "anyone",
            ])
            .args([
                "--cert",
                &files.path("server.pem"),
                "--key",
                &files.path("server.key"),
            ])
            .args([
                "--upstream",
                &origin.url(""),
                "--seal",
                &keyring,
                "--tenant",
                "acme",
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listens =
            |line: &String| line.contains("listening") && line.contains(&address.to_string());
        let listening = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| listens(&line));
        let gateway = Self { child, address };
        assert!(listening, "the gateway ended before it listened");
        // Nobody else reads its log, which must not fill up.
        thread::spawn(move || lines.for_each(drop));
        gateway
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_goes_through_the_gateway_is_whole_for_us_and_sealed_for_the_origin() {
    let files = TlsFiles::new();
    let origin = Origin::start(&[]);
    let gateway = Gateway::start(&files, &origin);
    let (url, there) = (gateway.url("/o/{tenant}"), gateway.address.to_string());
    let upstream = origin.url("");
    let common = [
        "--connect-to",
        &there,
        "--tenants",
        "3",
        "--check",
        "hash",
        "-c",
        "2",
    ];
    let put = ["--size", "20k", "-n", "30", "--check-upstream", &upstream];
    let (code, json) = result(&[&["request", &url][..], &common, &put].concat());
    assert_whole(code, &json, 30);
    let get = ["-n", "30", "--check-upstream", &upstream];
    let (code, json) = result(&[&["request", &url][..], &common, &get].concat());
    assert_whole(code, &json, 30);
    assert_eq!(json["totals"]["bytes"]["received"], 600_000);

    // A message that was damaged behind the gateway reaches nobody.
    let flip = origin.url("/.origin/flip/o/t1?offset=9000");
    assert_eq!(curl(&["-X", "POST", &flip]).0, 204);
    let (code, json) = result(&[&["request", &url][..], &common, &["-n", "30"]].concat());
    let of_tenant = |n: usize| &json["tenants"][n]["operations"];
    assert_ne!(code, 0, "{json:#}");
    assert_eq!(
        (&of_tenant(0)["succeeded"], &of_tenant(1)["failed"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn an_origin_that_holds_plaintext_is_told() {
    let origin = Origin::start(&[]);
    let (url, upstream) = (origin.url("/bare"), origin.url(""));
    let bare = [
        "request",
        &url,
        "--size",
        "5k",
        "-n",
        "3",
        "--check-upstream",
        &upstream,
    ];
    let ran = loadgen(&bare);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(
        ran.stderr.contains("holds as /bare is not sealed"),
        "{}",
        ran.stderr
    );
    let elsewhere = Origin::start(&[]);
    let other = elsewhere.url("");
    let ran = loadgen(&[
        "request",
        &url,
        "--size",
        "5k",
        "-n",
        "3",
        "--check-upstream",
        &other,
    ]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(
        ran.stderr.contains("answered 0 requests and 3 were sent"),
        "{}",
        ran.stderr
    );
}
