//! TLS towards the upstream: with the tenant's certificate, roots and server name, always verified.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::ServerConfig;
use support::pki::{Validity, tcp_route};
use support::tcp::Upstream;
use support::tls::{accept, echo, read_exactly, read_to_end, server_config};
use support::watch::Watch;
use support::{End, Gateway, Identity, Site};

/// What the upstream learned about those who connected to it.
type Guests = Watch<Vec<(Option<String>, Option<Vec<u8>>)>>;

/// A TLS echo that notes server name and client certificate.
fn secure_echo(config: Arc<ServerConfig>) -> (Upstream, Guests) {
    let guests: Guests = Watch::new(Vec::new());
    let noted = guests.clone();
    let upstream = Upstream::serve(move |socket| {
        let Ok(mut tls) = accept(Arc::clone(&config), socket) else {
            return;
        };
        let certificate = tls.conn.peer_certificates().map(|chain| chain[0].to_vec());
        noted.change(|noted| noted.push((tls.conn.server_name().map(str::to_owned), certificate)));
        let mut room = vec![0; 40_000];
        while let Ok(n) = tls.read(&mut room) {
            if n == 0 || tls.write_all(&room[..n]).is_err() {
                break;
            }
        }
        tls.conn.send_close_notify();
        // The peer may be gone.
        let _ = tls.flush();
    });
    (upstream, guests)
}

/// A gateway before that upstream; the backend's certificate is for `backend.test`.
struct Scene {
    site: Site,
    backend: Identity,
    ours: Identity,
    clients: support::pki::Ca,
}

impl Scene {
    fn new() -> Self {
        let site = Site::new();
        let (backends, clients) = (site.other_ca("backends"), site.other_ca("gateways"));
        Self {
            backend: site.issue(&backends, "backend", &["backend.test"], Validity::Now),
            ours: site.issue(&clients, "ours", &["gateway.test"], Validity::Now),
            site,
            clients,
        }
    }

    fn run(&self, upstream: SocketAddr, keys: &str) -> Gateway {
        self.site.run(
            &(self.site.tenant("acme", &["a.test"], "")
                + &tcp_route("acme", &[upstream], "")
                + "[route.upstream_tls]\n"
                + keys),
        )
    }

    /// The client sees no clean end, the log this outcome, and the upstream no session.
    fn refused(&self, gateway: &Gateway, guests: &Guests, outcome: &str) {
        if let Ok(mut client) = self.site.client().connect(self.site.listen, "a.test") {
            let _ = client.write_all(b"secret");
            let (bytes, end) = read_to_end(&mut client);
            assert!(bytes.is_empty());
            assert!(matches!(end, End::Reset | End::Truncated), "{end:?}");
        }
        gateway.finished(outcome);
        assert_eq!(guests.read(Vec::len), 0);
    }
}

const OURS: &str = "certificate = \"ours.pem\"\nkey = \"ours.key\"\n";
const GOOD: &str = "ca = \"backends.pem\"\nserver_name = \"backend.test\"\n";

#[test]
fn the_upstream_sees_the_tenants_certificate_and_the_configured_name() {
    let scene = Scene::new();
    let (upstream, guests) = secure_echo(server_config(&scene.backend, Some(&scene.clients)));
    let gateway = scene.run(upstream.address, &format!("{GOOD}{OURS}"));
    let mut client = scene.site.connect("a.test");
    echo(&mut client, &support::noise(300_000, 1));
    let (name, certificate) = guests.read(|guests| guests[0].clone());
    assert_eq!(name.as_deref(), Some("backend.test"));
    assert!(certificate.unwrap() == scene.ours.chain[0].to_vec());
    support::tls::close_notify(&mut client);
    assert_eq!(read_to_end(&mut client), (vec![], End::Clean));
    gateway.finished("ok");
}

#[test]
fn an_upstream_of_another_ca_is_refused() {
    let scene = Scene::new();
    scene.site.other_ca("others");
    let (upstream, guests) = secure_echo(server_config(&scene.backend, None));
    let gateway = scene.run(
        upstream.address,
        "ca = \"others.pem\"\nserver_name = \"backend.test\"\n",
    );
    scene.refused(&gateway, &guests, "upstream_tls");
}

#[test]
fn an_upstream_of_another_name_is_refused() {
    let scene = Scene::new();
    let (upstream, guests) = secure_echo(server_config(&scene.backend, None));
    let gateway = scene.run(
        upstream.address,
        "ca = \"backends.pem\"\nserver_name = \"other.test\"\n",
    );
    scene.refused(&gateway, &guests, "upstream_tls");
}

#[test]
fn without_a_name_the_address_itself_has_to_be_certified() {
    let scene = Scene::new();
    let (upstream, guests) = secure_echo(server_config(&scene.backend, None));
    let gateway = scene.run(upstream.address, "ca = \"backends.pem\"\n");
    scene.refused(&gateway, &guests, "upstream_tls");
}

#[test]
fn an_upstream_that_demands_a_certificate_we_lack_gives_no_clean_end() {
    let scene = Scene::new();
    let (upstream, guests) = secure_echo(server_config(&scene.backend, Some(&scene.clients)));
    let gateway = scene.run(upstream.address, GOOD);
    // In TLS 1.3 the refusal comes after the gateway's side of the handshake: any failure will do.
    if let Ok(mut client) = scene.site.client().connect(scene.site.listen, "a.test") {
        let _ = client.write_all(b"secret");
        let (bytes, end) = read_to_end(&mut client);
        assert!(bytes.is_empty());
        assert!(matches!(end, End::Reset | End::Truncated), "{end:?}");
    }
    gateway.entry("the failed connection", |entry| {
        entry.text("outcome").starts_with("upstream_")
    });
    assert_eq!(guests.read(Vec::len), 0);
}

#[test]
fn an_upstream_that_speaks_no_tls_is_never_spoken_to_in_plain() {
    let scene = Scene::new();
    let heard = Watch::new(Vec::new());
    let notes = heard.clone();
    let upstream = Upstream::serve(move |mut socket: TcpStream| {
        let mut room = [0; 4096];
        let n = socket.read(&mut room).unwrap_or(0);
        notes.change(|heard: &mut Vec<u8>| heard.extend_from_slice(&room[..n]));
        let _ = socket.write_all(b"220 plain.test ready\r\n");
    });
    let gateway = scene.run(upstream.address, GOOD);
    if let Ok(mut client) = scene.site.client().connect(scene.site.listen, "a.test") {
        let _ = client.write_all(b"secret");
        assert_ne!(read_to_end(&mut client), (vec![], End::Clean));
    }
    gateway.entry("the failed connection", |entry| {
        entry.text("outcome").starts_with("upstream_")
    });
    heard.read(|heard| {
        assert_eq!(
            heard.first(),
            Some(&22),
            "it began with something else than a ClientHello"
        );
        assert!(!support::contains(heard, b"secret"));
    });
}

#[test]
fn a_truncated_upstream_is_no_clean_end_for_the_client() {
    let scene = Scene::new();
    let config = server_config(&scene.backend, None);
    let upstream = Upstream::serve(move |socket| {
        let mut tls = accept(Arc::clone(&config), socket).unwrap();
        tls.write_all(b"half of i").unwrap();
        tls.flush().unwrap();
        // FIN without close_notify; then wait for the other side.
        tls.sock.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = tls.sock.read(&mut [0; 100]);
    });
    let gateway = scene.run(upstream.address, GOOD);
    let mut client = scene.site.connect("a.test");
    let _ = read_exactly(&mut client, 9);
    let (_, end) = read_to_end(&mut client);
    assert!(matches!(end, End::Reset | End::Truncated), "{end:?}");
    gateway.finished("upstream_truncated");
}

#[test]
fn the_flags_do_the_same_without_a_file() {
    let scene = Scene::new();
    let (upstream, guests) = secure_echo(server_config(&scene.backend, Some(&scene.clients)));
    let front = scene.site.server("acme", &["a.test"]);
    let site = &scene.site;
    let flags = |name: &'static str| {
        let mut flags = vec!["--upstream".to_owned(), upstream.address.to_string()];
        flags.extend(["--upstream-tls", "--upstream-ca"].map(str::to_owned));
        flags.push(site.arg("backends.pem"));
        flags.extend(["--upstream-name", name, "--upstream-cert"].map(str::to_owned));
        flags.extend([
            site.arg("ours.pem"),
            "--upstream-key".to_owned(),
            site.arg("ours.key"),
        ]);
        flags
    };
    let run = |name| {
        let flags = flags(name);
        site.run_flags(
            "tcp",
            &front,
            &flags.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    };
    let gateway = run("wrong.test");
    scene.refused(&gateway, &guests, "upstream_tls");
    drop(gateway);
    let _gateway = run("backend.test");
    echo(&mut site.connect("a.test"), b"hello");
    assert_eq!(guests.read(Vec::len), 1);
}
