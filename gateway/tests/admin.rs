//! The admin listener: health, what runs with which exposure, and counts that are right.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::HashMap;

use rustix::process::Signal;
use serde_json::Value;
use support::http::{Browser, HttpUpstream, Message, response};
use support::objects::Objects;
use support::pki::{http_route, tcp_route};
use support::tcp::Upstream;
use support::tls::{close_notify, dial, echo, read_to_end};
use support::{Gateway, Site};

fn ask(site: &Site, path: &str) -> Message {
    let mut browser = Browser::new(dial(site.admin).unwrap());
    browser
        .request("GET", path, "Host: localhost\r\nConnection: close\r\n", b"")
        .complete()
}

fn metrics(site: &Site) -> HashMap<String, f64> {
    let answer = ask(site, "/metrics");
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8(answer.body).unwrap();
    let samples = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The sum of all samples whose name and labels contain all of these.
fn sum(metrics: &HashMap<String, f64>, words: &[&str]) -> f64 {
    let fits = |name: &&String| words.iter().all(|word| name.contains(word));
    metrics.keys().filter(fits).map(|name| metrics[name]).sum()
}

/// A gateway with every class of route.
struct Scene {
    site: Site,
    gateway: Gateway,
    _upstreams: (Upstream, Objects, HttpUpstream),
}

fn scene() -> Scene {
    let (site, echo) = (Site::new(), Upstream::echo());
    let objects = Objects::start();
    let http = HttpUpstream::start(|_| response("200 OK", "", b"12345"));
    site.keyring("seal");
    let gateway = site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &tcp_route("acme", &[echo.address], "")
            + &site.tenant("web", &["web.test"], "")
            + &http_route("web", "terminated", &[http.address()], "")
            + &site.tenant("seal", &["s.test"], "keyring = \"seal.keyring\"")
            + &http_route(
                "seal",
                "sealed",
                &[objects.address()],
                "readers = \"anyone\"",
            )
            + "[[tenant]]\nid = \"pass\"\nnames = [\"p.test\"]\n"
            + &tcp_route("pass", &[echo.address], "").replace("\"terminated\"", "\"passthrough\"")),
    );
    Scene {
        site,
        gateway,
        _upstreams: (echo, objects, http),
    }
}

#[test]
fn status_shows_every_route_with_its_class_and_who_reads_what_is_sealed() {
    let scene = scene();
    let (site, gateway) = (&scene.site, &scene.gateway);
    let answer = ask(site, "/status");
    assert_eq!(answer.fields.one("content-type"), Some("application/json"));
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    let class = |name: &str| {
        let routes = status["routes"].as_array().unwrap();
        let route = routes.iter().find(|route| route["name"] == name).unwrap();
        (
            route["class"].as_str().unwrap().to_owned(),
            route["readers"].clone(),
        )
    };
    assert_eq!(class("acme-tcp").0, "terminated");
    assert_eq!(class("web-terminated").0, "terminated");
    assert_eq!(
        class("seal-sealed"),
        ("sealed".to_owned(), Value::from("anyone"))
    );
    assert_eq!(class("pass-tcp").0, "passthrough");
    // Warned about at start and here.
    let warnings = status["warnings"].to_string();
    assert!(
        warnings.contains("seal-sealed") && warnings.contains("anyone"),
        "{warnings}"
    );
    gateway.entry("the warning", |entry| {
        entry.has("level", "WARN")
            && entry.line.contains("seal-sealed")
            && entry.line.contains("anyone")
    });
    // No key, no pseudonym, no path of a key.
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        !text.contains("keyring\":") && !text.contains("BEGIN"),
        "{text}"
    );
}

#[test]
fn metrics_count_connections_handshakes_bytes_requests_and_errors() {
    let scene = scene();
    let (site, gateway) = (&scene.site, &scene.gateway);
    let before = metrics(site);
    let rise = |words: &[&str]| sum(&metrics(site), words) - sum(&before, words);

    for client in [site.client(), site.client().tls12()] {
        let mut client = client.connect(site.listen, "a.test").unwrap();
        echo(&mut client, &[7; 1000]);
        close_notify(&mut client);
        read_to_end(&mut client);
    }
    let mut browser = Browser::new(site.connect("web.test"));
    for _ in 0..3 {
        browser
            .request("GET", "/", "Host: web.test\r\n", b"")
            .complete();
    }
    drop(browser);
    let mut browser = Browser::new(site.connect("s.test"));
    browser
        .request("PUT", "/a", "Host: s.test\r\n", &[1; 500])
        .complete();
    browser
        .request("GET", "/missing", "Host: s.test\r\n", b"")
        .complete();
    drop(browser);
    assert!(site.client().connect(site.listen, "nobody.test").is_err());
    gateway.entries_like(2, "tcp", |entry| entry.has("route", "acme-tcp"));
    gateway.entries_like(5, "requests", |entry| !entry.text("method").is_empty());
    gateway.entry("the failure", |entry| entry.has("outcome", "unknown_name"));

    assert_eq!(
        rise(&["connections_accepted_total"]),
        5.0,
        "{:?}",
        metrics(site)
    );
    assert_eq!(rise(&["handshakes_total"]), 4.0);
    assert_eq!(rise(&["handshakes_total", "TLSv1.2"]), 1.0);
    assert_eq!(
        rise(&["handshakes_total", "TLSv1.3", "X25519MLKEM768"]),
        3.0
    );
    assert_eq!(rise(&["requests_total"]), 5.0);
    assert_eq!(rise(&["requests_total", "sealed"]), 2.0);
    assert_eq!(rise(&["errors_total", "unknown_name"]), 1.0);
    assert_eq!(rise(&["errors_total", "upstream_status"]), 1.0);
    let bytes = rise(&["bytes", "_total"]);
    assert!(
        bytes >= 2000.0 + 2000.0 + 15.0 + 500.0,
        "{bytes} in {:?}",
        metrics(site)
    );
}

#[test]
fn the_count_of_open_connections_goes_up_and_down() {
    let scene = scene();
    let (site, gateway) = (&scene.site, &scene.gateway);
    let open = || {
        let status: Value = serde_json::from_slice(&ask(site, "/status").body).unwrap();
        status["connections_open"].as_i64().unwrap()
    };
    assert_eq!(open(), 0);
    let mut clients: Vec<_> = (0..5).map(|_| site.connect("a.test")).collect();
    for client in &mut clients {
        echo(client, b"hello");
    }
    assert_eq!(open(), 5);
    for client in &mut clients {
        close_notify(client);
        read_to_end(client);
    }
    drop(clients);
    gateway.entries_like(5, "connections", |entry| entry.has("route", "acme-tcp"));
    // The line is written a moment before the count falls.
    let until = std::time::Instant::now() + support::DEADLINE;
    while open() != 0 {
        assert!(
            std::time::Instant::now() < until,
            "{} are counted as open",
            open()
        );
    }
}

#[test]
fn health_is_good_until_the_drain() {
    let Scene {
        site,
        mut gateway,
        _upstreams,
    } = scene();
    assert_eq!(ask(&site, "/healthz").status(), 200);
    let mut client = site.connect("a.test");
    echo(&mut client, b"hello");
    gateway.signal(Signal::TERM);
    gateway.entry("the drain", |entry| entry.line.contains("draining"));
    assert_eq!(ask(&site, "/healthz").status(), 503);
    close_notify(&mut client);
    read_to_end(&mut client);
    drop(client);
    assert_eq!(gateway.wait_exit().code(), Some(0));
}

#[test]
fn other_paths_and_methods_are_refused_and_so_are_addresses_outside() {
    let scene = scene();
    let site = &scene.site;
    assert_eq!(ask(site, "/").status(), 404);
    let mut browser = Browser::new(dial(site.admin).unwrap());
    let refused = browser.request("POST", "/status", "Host: localhost\r\n", b"x");
    assert!([404, 405].contains(&refused.status()), "{refused:?}");

    let site = Site::new();
    let identity = site.server("acme", &["a.test"]);
    let output = support::program::sealgate(&[
        "tcp",
        "--listen",
        &site.listen.to_string(),
        "--cert",
        identity.certificate_path.to_str().unwrap(),
        "--key",
        identity.key_path.to_str().unwrap(),
        "--upstream",
        "127.0.0.1:9",
        "--admin",
        "0.0.0.0:20000",
    ]);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("loopback"),
        "{output:?}"
    );
}
