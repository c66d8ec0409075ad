//! A tenant that asks for client certificates is reached by its own clients only.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};

use support::pki::{Validity, tcp_route};
use support::tcp::Upstream;
use support::tls::{Client, Tls, echo};
use support::{Gateway, Identity, Site};

/// Tenants with required, optional and no client certificates.
struct Scene {
    site: Site,
    upstream: Upstream,
    gateway: Gateway,
    ours: Identity,
    theirs: Identity,
    expired: Identity,
}

impl Scene {
    fn new() -> Self {
        let (site, upstream) = (Site::new(), Upstream::echo());
        let clients = site.other_ca("clients");
        let strangers = site.other_ca("strangers");
        let gateway = site.run(
            &(site.tenant(
                "must",
                &["must.test"],
                "client_auth = \"required\"\nclient_ca = \"clients.pem\"",
            ) + &site.tenant(
                "may",
                &["may.test"],
                "client_auth = \"optional\"\nclient_ca = \"clients.pem\"",
            ) + &site.tenant("open", &["open.test"], "")
                + &tcp_route("must", &[upstream.address], "")
                + &tcp_route("may", &[upstream.address], "")
                + &tcp_route("open", &[upstream.address], "")),
        );
        Self {
            ours: site.issue(&clients, "ours", &["ours.client"], Validity::Now),
            expired: site.issue(&clients, "expired", &["ours.client"], Validity::Past),
            theirs: site.issue(&strangers, "theirs", &["ours.client"], Validity::Now),
            site,
            upstream,
            gateway,
        }
    }

    fn clients(&self, identity: Option<&Identity>) -> [Client; 2] {
        let client = match identity {
            Some(identity) => self.site.client().identity(identity),
            None => self.site.client(),
        };
        [
            client.clone().versions(&[&rustls::version::TLS13]),
            client.tls12(),
        ]
    }

    fn served(&self, identity: Option<&Identity>, name: &str) {
        for client in self.clients(identity) {
            echo(
                &mut client.connect(self.site.listen, name).unwrap(),
                b"hello",
            );
        }
    }

    /// Refused with one of these alerts, in the log under this cause; nothing reaches the upstream.
    fn refused(&self, identity: Option<&Identity>, name: &str, alerts: &[&str], cause: &str) {
        let before = self.upstream.connections();
        for client in self.clients(identity) {
            let mark = self.gateway.mark();
            let error = first_error(client.connect(self.site.listen, name));
            assert!(
                alerts.iter().any(|alert| error.contains(alert)),
                "{name}: {error}"
            );
            let entry = self
                .gateway
                .entry_after(mark, cause, |entry| entry.line.contains(cause));
            assert_eq!(entry.text("sni"), name, "{entry:?}");
            assert!(!entry.text("error").is_empty(), "{entry:?}");
        }
        assert_eq!(self.upstream.connections(), before);
    }
}

/// In TLS 1.3 the client has finished when the server looks at its certificate.
fn first_error(result: std::io::Result<Tls>) -> String {
    let mut tls = match result {
        Err(error) => return error.to_string(),
        Ok(tls) => tls,
    };
    let _ = tls.write_all(b"hello");
    tls.read(&mut [0; 10])
        .expect_err("it was let in")
        .to_string()
}

const UNKNOWN: &[&str] = &[
    "UnknownCA",
    "UnknownCa",
    "BadCertificate",
    "DecryptError",
    "CertificateUnknown",
];

#[test]
fn a_required_certificate_lets_its_holder_in() {
    let scene = Scene::new();
    scene.served(Some(&scene.ours), "must.test");
}

#[test]
fn without_the_required_certificate_nobody_gets_in() {
    let scene = Scene::new();
    let alerts = &["CertificateRequired", "HandshakeFailure", "BadCertificate"];
    scene.refused(None, "must.test", alerts, "client_certificate_missing");
}

#[test]
fn a_certificate_of_another_ca_is_refused() {
    let scene = Scene::new();
    scene.refused(
        Some(&scene.theirs),
        "must.test",
        UNKNOWN,
        "client_certificate_rejected",
    );
}

#[test]
fn an_expired_certificate_is_refused() {
    let scene = Scene::new();
    scene.refused(
        Some(&scene.expired),
        "must.test",
        &["CertificateExpired"],
        "client_certificate_rejected",
    );
}

#[test]
fn an_optional_certificate_is_verified_where_it_is_shown() {
    let scene = Scene::new();
    scene.served(None, "may.test");
    scene.served(Some(&scene.ours), "may.test");
    scene.refused(
        Some(&scene.theirs),
        "may.test",
        UNKNOWN,
        "client_certificate_rejected",
    );
}

#[test]
fn who_is_not_asked_may_hold_any_certificate() {
    let scene = Scene::new();
    scene.served(Some(&scene.theirs), "open.test");
}

#[test]
fn openssl_shows_its_certificate_too() {
    let scene = Scene::new();
    let (cert, key) = (scene.site.arg("ours.pem"), scene.site.arg("ours.key"));
    for version in ["-tls1_3", "-tls1_2"] {
        let mut client = scene.site.s_client(&[
            "-servername",
            "must.test",
            version,
            "-cert",
            &cert,
            "-key",
            &key,
        ]);
        client.echo("hello");
        drop(client.finish());
    }
    let (cert, key) = (scene.site.arg("theirs.pem"), scene.site.arg("theirs.key"));
    let said = scene
        .site
        .s_client(&[
            "-servername",
            "must.test",
            "-ign_eof",
            "-cert",
            &cert,
            "-key",
            &key,
        ])
        .wait_end();
    assert!(said.contains("SSL alert number"), "{said}");
    let said = scene
        .site
        .s_client(&["-servername", "must.test", "-ign_eof"])
        .wait_end();
    assert!(said.contains("SSL alert number 116"), "{said}");
}
