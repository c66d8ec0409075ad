//! SIGHUP: a good configuration takes effect without a dropped connection, a bad one not at all.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;

use support::http::{Browser, HttpUpstream, response};
use support::pki::{http_route, tcp_route};
use support::tcp::Upstream;
use support::tls::{Tls, close_notify, echo, read_to_end};
use support::{End, Gateway, Site, noise};

struct Scene {
    site: Site,
    upstream: Upstream,
    gateway: Gateway,
    tenant: String,
    open: Tls,
}

impl Scene {
    fn new() -> Self {
        let (site, upstream) = (Site::new(), Upstream::echo());
        let tenant = site.tenant("acme", &["a.test"], "");
        let gateway = site.run(&(tenant.clone() + &tcp_route("acme", &[upstream.address], "")));
        let mut open = site.connect("a.test");
        echo(&mut open, b"before");
        Self {
            site,
            upstream,
            gateway,
            tenant,
            open,
        }
    }

    /// The connection that was open goes on, to its clean end.
    fn nothing_was_dropped(&mut self) {
        echo(&mut self.open, &noise(100_000, 1));
        close_notify(&mut self.open);
        assert_eq!(read_to_end(&mut self.open), (vec![], End::Clean));
    }
}

/// What the certificate is that a newcomer is shown.
fn certificate(site: &Site, name: &str) -> Vec<u8> {
    site.connect(name).conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn new_routes_and_tenants_take_effect() {
    let mut scene = Scene::new();
    let other = Upstream::echo();
    scene.site.configure(
        &(scene.tenant.clone()
            + &tcp_route("acme", &[other.address], "")
            + &scene.site.tenant("new", &["new.test"], "")
            + &tcp_route("new", &[other.address], "")),
    );
    assert!(
        scene
            .site
            .client()
            .connect(scene.site.listen, "new.test")
            .is_err()
    );
    let entry = scene.gateway.reload();
    assert!(entry.has("level", "INFO"), "{entry:?}");
    echo(&mut scene.site.connect("a.test"), b"hello");
    echo(&mut scene.site.connect("new.test"), b"hello");
    assert_eq!((scene.upstream.connections(), other.connections()), (1, 2));
    scene.nothing_was_dropped();
}

#[test]
fn a_new_certificate_is_shown_to_newcomers() {
    let mut scene = Scene::new();
    let before = certificate(&scene.site, "a.test");
    let identity = scene.site.server("acme", &["a.test"]);
    assert!(
        certificate(&scene.site, "a.test") == before,
        "it took effect before the signal"
    );
    scene.gateway.reload();
    let after = certificate(&scene.site, "a.test");
    assert!(after != before && after == identity.chain[0].to_vec());
    scene.nothing_was_dropped();
}

#[test]
fn a_bad_set_changes_nothing_and_is_logged_with_all_its_errors() {
    let mut scene = Scene::new();
    let good = fs::read_to_string(scene.site.path("gateway.toml")).unwrap();
    let before = certificate(&scene.site, "a.test");
    // A certificate that is half written, beside changes that would be good.
    let other = Upstream::echo();
    let mut connections = 2;
    type Breakage = (&'static str, fn(&Site, &str));
    let breakages: [Breakage; 6] = [
        ("half a certificate", |site, _| {
            let pem = fs::read_to_string(site.path("acme.pem")).unwrap();
            site.write("acme.pem", &pem[..pem.len() / 2]);
        }),
        ("no key", |site, _| {
            fs::remove_file(site.path("acme.key")).unwrap()
        }),
        ("not TOML", |site, good| {
            drop(site.write("gateway.toml", &format!("{good}\n[[[")))
        }),
        ("an unknown key", |site, good| {
            site.write(
                "gateway.toml",
                &format!("{good}\n[limits]\nmax_conections = 5\n"),
            );
        }),
        ("no file", |site, _| {
            fs::remove_file(site.path("gateway.toml")).unwrap()
        }),
        ("an empty file", |site, _| {
            drop(site.write("gateway.toml", ""))
        }),
    ];
    for (what, break_it) in breakages {
        let [pem, key] =
            ["acme.pem", "acme.key"].map(|name| fs::read_to_string(scene.site.path(name)).unwrap());
        let changed = good.replace(
            &scene.upstream.address.to_string(),
            &other.address.to_string(),
        );
        scene.site.write("gateway.toml", &changed);
        break_it(&scene.site, &changed);
        let entry = scene.gateway.reload();
        assert!(entry.has("level", "ERROR"), "{what}: {entry:?}");
        assert!(entry.line.contains("gateway.toml"), "{what}: {entry:?}");
        assert!(certificate(&scene.site, "a.test") == before, "{what}");
        echo(&mut scene.site.connect("a.test"), b"hello");
        connections += 2;
        assert_eq!(other.connections(), 0, "{what}");
        scene.site.write("acme.pem", &pem);
        scene.site.write("acme.key", &key);
    }
    assert_eq!(scene.upstream.connections(), connections);
    // And the way back is open.
    scene.site.write("gateway.toml", &good);
    assert!(scene.gateway.reload().has("level", "INFO"));
    scene.nothing_was_dropped();
}

#[test]
fn what_cannot_change_while_running_is_refused_and_named() {
    let mut scene = Scene::new();
    let good = fs::read_to_string(scene.site.path("gateway.toml")).unwrap();
    let elsewhere = support::free_address().to_string();
    for (from, to, word) in [
        (scene.site.admin.to_string(), elsewhere, "admin"),
        (
            "workers = 2".to_owned(),
            "workers = 1".to_owned(),
            "workers",
        ),
        (
            "workers = 2".to_owned(),
            "workers = 2\nio_uring.receive = \"one-shot\"".to_owned(),
            "io_uring.receive",
        ),
    ] {
        scene.site.write("gateway.toml", &good.replace(&from, &to));
        let entry = scene.gateway.reload();
        assert!(
            entry.has("level", "ERROR") && entry.line.contains(word),
            "{word}: {entry:?}"
        );
    }
    echo(&mut scene.site.connect("a.test"), b"hello");
    scene.nothing_was_dropped();
}

#[test]
fn listeners_come_and_go_and_take_no_open_connection_with_them() {
    let mut scene = Scene::new();
    let good = fs::read_to_string(scene.site.path("gateway.toml")).unwrap();
    let elsewhere = support::free_address();
    scene.site.write(
        "gateway.toml",
        &good.replace(&scene.site.listen.to_string(), &elsewhere.to_string()),
    );
    assert!(scene.gateway.reload().has("level", "INFO"));
    echo(
        &mut scene.site.client().connect(elsewhere, "a.test").unwrap(),
        b"hello",
    );
    let refused = scene
        .site
        .client()
        .connect(scene.site.listen, "a.test")
        .err()
        .unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    scene.nothing_was_dropped();
}

#[test]
fn a_listener_that_cannot_be_bound_makes_the_set_a_bad_one() {
    let mut scene = Scene::new();
    let good = fs::read_to_string(scene.site.path("gateway.toml")).unwrap();
    let taken = std::net::TcpListener::bind(support::free_address()).unwrap();
    let taken = taken
        .local_addr()
        .map(|address| (taken, address.to_string()))
        .unwrap();
    scene.site.write(
        "gateway.toml",
        &good.replace(&scene.site.listen.to_string(), &taken.1),
    );
    let entry = scene.gateway.reload();
    assert!(
        entry.has("level", "ERROR") && entry.line.contains(&taken.1),
        "{entry:?}"
    );
    echo(&mut scene.site.connect("a.test"), b"hello");
    scene.nothing_was_dropped();
}

#[test]
fn a_reload_in_the_middle_of_traffic_drops_nothing() {
    let (site, upstream) = (
        Site::new(),
        HttpUpstream::start(|request| response("200 OK", "", &request.body)),
    );
    let gateway = site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &http_route("acme", "terminated", &[upstream.address()], "")),
    );
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|seed| {
                let site = &site;
                scope.spawn(move || {
                    let mut kept = Browser::new(site.connect("a.test"));
                    for round in 0..60 {
                        let body = noise(5000, seed * 100 + round);
                        let mut new = Browser::new(site.connect("a.test"));
                        for browser in [&mut kept, &mut new] {
                            assert!(
                                browser
                                    .request("POST", "/", "Host: a.test\r\n", &body)
                                    .complete()
                                    .body
                                    == body
                            );
                        }
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            gateway.reload();
        }
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[test]
fn without_a_file_a_hangup_changes_nothing() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let identity = site.server("acme", &["a.test"]);
    let flag = upstream.address.to_string();
    let gateway = site.run_flags("tcp", &identity, &["--upstream", &flag]);
    gateway.signal(rustix::process::Signal::HUP);
    gateway.entry("the word on it", |entry| entry.line.contains("SIGHUP"));
    echo(&mut site.connect("a.test"), b"hello");
}
