//! A ticket resumes where it was issued, under the policy under which it was issued, and nowhere else.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, NamedGroup};
use support::pki::{Validity, tcp_route};
use support::tcp::Upstream;
use support::tls::{connect_with, echo};
use support::{Gateway, Site, free_address};

/// Offers whatever ticket it has to whoever it talks to: a client that wants to carry tickets about.
#[derive(Debug, Default)]
struct Smuggler {
    tickets: Mutex<Vec<Tls13ClientSessionValue>>,
    /// How many it was given, and how many it offered.
    counts: Mutex<(usize, usize)>,
}

impl ClientSessionStore for Smuggler {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {
        self.counts.lock().unwrap().0 += 1;
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.counts.lock().unwrap().0 += 1;
        self.tickets.lock().unwrap().push(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let ticket = self.tickets.lock().unwrap().pop()?;
        self.counts.lock().unwrap().1 += 1;
        Some(ticket)
    }
}

impl Smuggler {
    fn given(&self) -> usize {
        self.counts.lock().unwrap().0
    }

    fn offered(&self) -> usize {
        self.counts.lock().unwrap().1
    }
}

/// Two tenants that ask for the same clients, on two listeners.
struct Scene {
    site: Site,
    gateway: Gateway,
    second: std::net::SocketAddr,
    smuggler: Arc<Smuggler>,
    client: Arc<ClientConfig>,
    _upstream: Upstream,
}

const AUTH: &str = "client_auth = \"required\"\nclient_ca = \"clients.pem\"";

fn body(site: &Site, upstream: &Upstream, second: std::net::SocketAddr) -> String {
    let listeners = "listener = [\"main\", \"second\"]";
    format!("[[listener]]\nname = \"second\"\nlisten = [\"{second}\"]\n")
        + &site.tenant("one", &["one.test"], AUTH)
        + &site.tenant("two", &["two.test"], AUTH)
        + &tcp_route("one", &[upstream.address], listeners)
        + &tcp_route("two", &[upstream.address], listeners)
}

impl Scene {
    fn new() -> Self {
        let (site, upstream, second) = (Site::new(), Upstream::echo(), free_address());
        let clients = site.other_ca("clients");
        let ours = site.issue(&clients, "ours", &["ours.client"], Validity::Now);
        let gateway = site.run(&body(&site, &upstream, second));
        let smuggler = Arc::new(Smuggler::default());
        let resumption = Resumption::store(Arc::clone(&smuggler) as Arc<dyn ClientSessionStore>);
        let client = site
            .client()
            .identity(&ours)
            .resumption(resumption)
            .config();
        Self {
            site,
            gateway,
            second,
            smuggler,
            client,
            _upstream: upstream,
        }
    }

    /// Connects, exchanges a word (so that tickets have come), and says how the handshake went.
    fn visit(&self, address: std::net::SocketAddr, name: &str) -> std::io::Result<HandshakeKind> {
        let mut tls = connect_with(Arc::clone(&self.client), address, name)?;
        tls.write_all(b"hello")?;
        tls.read_exact(&mut [0; 5])?;
        Ok(tls.conn.handshake_kind().unwrap())
    }
}

#[test]
fn one_ticket_is_issued_and_resumes_with_the_identity_it_was_issued_to() {
    let scene = Scene::new();
    let address = scene.site.listen;
    assert_eq!(
        scene.visit(address, "one.test").unwrap(),
        HandshakeKind::Full
    );
    assert_eq!(scene.smuggler.given(), 1);
    for round in 1..4 {
        let mark = scene.gateway.mark();
        assert_eq!(
            scene.visit(address, "one.test").unwrap(),
            HandshakeKind::Resumed,
            "{round}"
        );
        let entry = scene.gateway.entry_after(mark, "the resumption", |entry| {
            entry.has("tls_kind", "resumed")
        });
        assert_eq!(entry.text("tenant"), "one", "{entry:?}");
    }
}

#[test]
fn a_ticket_of_one_tenant_never_resumes_at_another() {
    let scene = Scene::new();
    let address = scene.site.listen;
    scene.visit(address, "one.test").unwrap();
    assert_eq!(
        scene.visit(address, "two.test").unwrap(),
        HandshakeKind::Full
    );
    assert_eq!(scene.smuggler.offered(), 1, "the ticket was not offered");
}

#[test]
fn a_ticket_of_one_listener_never_resumes_at_another() {
    let scene = Scene::new();
    scene.visit(scene.site.listen, "one.test").unwrap();
    assert_eq!(
        scene.visit(scene.second, "one.test").unwrap(),
        HandshakeKind::Full
    );
    assert_eq!(scene.smuggler.offered(), 1, "the ticket was not offered");
}

#[test]
fn a_ticket_survives_a_reload_that_changes_nothing() {
    let scene = Scene::new();
    scene.visit(scene.site.listen, "one.test").unwrap();
    scene.gateway.reload();
    assert_eq!(
        scene.visit(scene.site.listen, "one.test").unwrap(),
        HandshakeKind::Resumed
    );
}

#[test]
fn a_ticket_dies_with_the_ca_it_was_issued_under() {
    let scene = Scene::new();
    let address = scene.site.listen;
    scene.visit(address, "one.test").unwrap();
    assert_eq!(
        scene.visit(address, "one.test").unwrap(),
        HandshakeKind::Resumed
    );
    // The file now holds another CA; the client's certificate is of the removed one.
    scene.site.other_ca("clients");
    scene.gateway.reload();
    let error = scene.visit(address, "one.test").unwrap_err();
    assert_eq!(scene.smuggler.offered(), 2, "the ticket was not offered");
    assert!(
        error.to_string().contains("received fatal alert"),
        "{error}"
    );
    let entry = scene.gateway.entry("the refusal", |entry| {
        entry.line.contains("client_certificate_rejected")
    });
    assert_eq!(entry.text("sni"), "one.test");
}

#[test]
fn a_ticket_of_a_tenant_without_client_certificates_does_not_outlive_that() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let route = tcp_route("one", &[upstream.address], "");
    site.other_ca("clients");
    let gateway = site.run(&(site.tenant("one", &["one.test"], "") + &route));
    let smuggler = Arc::new(Smuggler::default());
    let resumption = Resumption::store(Arc::clone(&smuggler) as Arc<dyn ClientSessionStore>);
    let client = site.client().resumption(resumption).config();
    echo(
        &mut connect_with(Arc::clone(&client), site.listen, "one.test").unwrap(),
        b"hello",
    );
    assert_eq!(smuggler.given(), 1);
    site.configure(
        &(format!(
            "[[tenant]]\nid = \"one\"\nnames = [\"one.test\"]\ncertificate = \"one.pem\"\nkey = \"one.key\"\n{AUTH}\n"
        ) + &route),
    );
    gateway.reload();
    let refused = connect_with(client, site.listen, "one.test").and_then(|mut tls| {
        tls.write_all(b"hello")?;
        tls.read_exact(&mut [0; 5])
    });
    assert_eq!(smuggler.offered(), 1, "the ticket was not offered");
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("CertificateRequired")
    );
}

#[test]
fn openssl_resumes_tls_1_3_and_not_tls_1_2() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = site
        .run(&(site.tenant("one", &["one.test"], "") + &tcp_route("one", &[upstream.address], "")));
    let session = site.arg("session");
    let visit = |version: &str, flag: &str| {
        let mut client = site.s_client(&["-servername", "one.test", version, flag, &session]);
        client.echo("hello");
        client.finish()
    };
    // There is no session to keep after TLS 1.2: neither an id nor a ticket.
    assert!(visit("-tls1_2", "-sess_out").contains("New, TLSv1.2"));
    assert!(!site.path("session").exists());

    let said = visit("-tls1_3", "-sess_out");
    assert!(said.contains("New, TLSv1.3"), "{said}");
    assert!(
        !said.contains("Max Early Data: ") || said.contains("Max Early Data: 0"),
        "{said}"
    );
    let mark = gateway.mark();
    let said = visit("-tls1_3", "-sess_in");
    assert!(said.contains("Reused, TLSv1.3"), "{said}");
    gateway.entry_after(mark, "the resumption", |entry| {
        entry.has("tls_kind", "resumed")
    });
}

#[test]
fn openssl_carries_a_ticket_to_another_tenant_in_vain() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = site.run(
        &(site.tenant("one", &["one.test"], "")
            + &site.tenant("two", &["two.test"], "")
            + &tcp_route("one", &[upstream.address], "")
            + &tcp_route("two", &[upstream.address], "")),
    );
    let session = site.arg("session");
    let mut first = site.s_client(&["-servername", "one.test", "-sess_out", &session]);
    first.echo("hello");
    drop(first.finish());
    let mut other = site.s_client(&["-servername", "two.test", "-sess_in", &session]);
    other.echo("hello");
    let said = other.finish();
    assert!(said.contains("New, TLSv1.3"), "{said}");
    let entry = gateway.entry("the other tenant", |entry| entry.has("tenant", "two"));
    assert_eq!(entry.text("tls_kind"), "full", "{entry:?}");
}
