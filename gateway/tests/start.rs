//! A start that cannot be good fails at once and says what would be; a good one leaves no way to the keys.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use support::pki::{http_route, tcp_route};
use support::program::{SEALGATE, sealgate};
use support::tcp::{Upstream, refusing};
use support::tls::echo;
use support::{Gateway, Site};

/// Start and check both fail within the deadline, and say all of these.
fn refused(site: &Site, body: &str, says: &[&str]) {
    let config = site.configure(body);
    let config = config.to_str().unwrap();
    for command in ["check", "run"] {
        let output = sealgate(&[command, "--config", config]);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        for word in says {
            assert!(
                text.contains(word),
                "{command} does not say {word:?}: {text}"
            );
        }
        assert!(
            !text.contains("BEGIN PRIVATE KEY") && !text.contains("panicked"),
            "{text}"
        );
    }
}

fn good(site: &Site) -> String {
    site.tenant("acme", &["a.test"], "") + &tcp_route("acme", &[refusing()], "")
}

#[test]
fn a_missing_key_file_is_named() {
    let site = Site::new();
    let body = good(&site);
    fs::remove_file(site.path("acme.key")).unwrap();
    refused(
        &site,
        &body,
        &["gateway.toml:", "key", "acme.key", "no such file"],
    );
}

#[test]
fn a_key_of_another_certificate_is_named() {
    let site = Site::new();
    let body = good(&site);
    site.server("other", &["o.test"]);
    fs::copy(site.path("other.key"), site.path("acme.key")).unwrap();
    refused(
        &site,
        &body,
        &[
            "gateway.toml:",
            "acme.key",
            "does not belong to the certificate",
        ],
    );
}

#[test]
fn a_keyring_that_others_can_read_is_refused() {
    let site = Site::new();
    let keyring = site.keyring("acme");
    let mode = fs::metadata(&keyring).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600, "as `keys new` makes it");
    let body = site.tenant("acme", &["a.test"], "keyring = \"acme.keyring\"")
        + &http_route("acme", "sealed", &[refusing()], "readers = \"anyone\"");
    for mode in [0o640, 0o604, 0o660, 0o644] {
        fs::set_permissions(&keyring, fs::Permissions::from_mode(mode)).unwrap();
        refused(&site, &body, &["gateway.toml:", "acme.keyring", "chmod"]);
    }
    fs::set_permissions(&keyring, fs::Permissions::from_mode(0o600)).unwrap();
    drop(site.run(&body));
}

#[test]
fn a_keyring_of_another_tenant_and_a_damaged_one_are_refused() {
    let site = Site::new();
    site.keyring("other");
    let body = site.tenant("acme", &["a.test"], "keyring = \"other.keyring\"")
        + &http_route("acme", "sealed", &[refusing()], "readers = \"anyone\"");
    refused(&site, &body, &["gateway.toml:", "other.keyring"]);
    // The tenant's own, with one character of a key changed.
    let text = fs::read_to_string(site.keyring("acme")).unwrap();
    let body = body.replace("other.keyring", "acme.keyring");
    let at = text.find("wrapped = \"").unwrap() + 20;
    let other = if text.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    site.write(
        "acme.keyring",
        &format!("{}{other}{}", &text[..at], &text[at + 1..]),
    );
    refused(&site, &body, &["gateway.toml:", "acme.keyring"]);
}

#[test]
fn keys_new_never_overwrites() {
    let site = Site::new();
    let keyring = site.keyring("acme");
    let before = fs::read(&keyring).unwrap();
    let output = sealgate(&[
        "keys",
        "new",
        "--tenant",
        "acme",
        "--out",
        keyring.to_str().unwrap(),
    ]);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("a file already"),
        "{output:?}"
    );
    assert_eq!(fs::read(&keyring).unwrap(), before);
}

#[test]
fn all_errors_are_told_at_once() {
    let site = Site::new();
    let body = good(&site)
        .replace("a.test", "a..test")
        .replace("acme.pem", "gone.pem")
        + "[timeouts]\nidle = \"soon\"\n";
    refused(
        &site,
        &body,
        &["a..test", "gone.pem", "idle", "\"soon\" is no duration"],
    );
}

#[test]
fn an_address_that_is_taken_is_named() {
    let site = Site::new();
    let body = good(&site);
    let _taken = TcpListener::bind(site.listen).unwrap();
    let config = site.configure(&body);
    let output = sealgate(&["run", "--config", config.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&site.listen.to_string()) && text.contains("another process"),
        "{text}"
    );
}

#[test]
fn a_second_gateway_does_not_steal_connections_of_the_first() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let body = site.tenant("acme", &["a.test"], "") + &tcp_route("acme", &[upstream.address], "");
    let _first = site.run(&body);
    let config = site.configure(&body);
    let output = sealgate(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    echo(&mut site.connect("a.test"), b"hello");
}

#[test]
fn the_process_is_not_dumpable() {
    // Its files in /proc then belong to root, whoever runs it; root itself cannot see that, so it becomes somebody.
    let (site, upstream) = (Site::new(), Upstream::echo());
    let body = site.tenant("acme", &["a.test"], "") + &tcp_route("acme", &[upstream.address], "");
    let config = site.configure(&body);
    let uid = match rustix::process::geteuid().is_root() {
        true => 65_534,
        false => rustix::process::geteuid().as_raw(),
    };
    let program = site.path("sealgate");
    fs::copy(SEALGATE, &program).unwrap();
    let as_somebody = |command: &mut Command| {
        if rustix::process::geteuid().is_root() {
            for entry in fs::read_dir(site.dir()).unwrap() {
                std::os::unix::fs::chown(entry.unwrap().path(), Some(uid), None).unwrap();
            }
            std::os::unix::fs::chown(site.dir(), Some(uid), None).unwrap();
            command.uid(uid);
        }
    };
    let owner = |pid: u32| fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();

    // An ordinary process, so that the test can fail.
    let mut ordinary = Command::new("cat");
    as_somebody(&mut ordinary);
    let mut ordinary = ordinary
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ordinary_owner = owner(ordinary.id());
    drop(ordinary.stdin.take());
    ordinary.wait().unwrap();
    assert_eq!(ordinary_owner, uid);

    let mut command = Command::new(&program);
    command.args(["run", "--config", config.to_str().unwrap()]);
    as_somebody(&mut command);
    let gateway = Gateway::launch(&mut command, &[site.listen]);
    assert_eq!(owner(gateway.pid()), 0, "it can be traced and dumped");
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    echo(&mut site.connect("a.test"), b"hello");
}
