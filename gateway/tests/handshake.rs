//! TLS 1.2 and 1.3, hybrid and classical groups, and tenants by name.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use support::pki::tcp_route;
use support::tcp::Upstream;
use support::tls::{echo, read_to_end};
use support::{End, Gateway, Site};

/// One tenant, `a.test`, before an echo.
fn one_tenant() -> (Site, Upstream, Gateway) {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = site
        .run(&(site.tenant("acme", &["a.test"], "") + &tcp_route("acme", &[upstream.address], "")));
    (site, upstream, gateway)
}

/// Finds the client's error: the alert of the gateway.
fn alert(result: std::io::Result<support::tls::Tls>) -> String {
    match result {
        Ok(_) => panic!("the handshake was completed"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn openssl_speaks_tls_1_3_and_1_2() {
    let (site, _upstream, gateway) = one_tenant();
    for (flag, version) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let mark = gateway.mark();
        let mut client = site.s_client(&["-servername", "a.test", flag]);
        client.echo("hello over s_client");
        let said = client.finish();
        assert!(
            said.contains("Verify return code: 0 (ok)") || said.contains("Verification: OK"),
            "{said}"
        );
        assert!(said.contains(&format!("New, {version}")), "{said}");
        let entry = gateway.entry_after(mark, "the connection", |entry| entry.has("outcome", "ok"));
        for (field, value) in [
            ("tenant", "acme"),
            ("route", "acme-tcp"),
            ("class", "terminated"),
            ("tls_version", version),
            ("tls_group", "X25519"),
            ("tls_kind", "full"),
            ("sni", "a.test"),
        ] {
            assert_eq!(entry.text(field), value, "{field} in {entry:?}");
        }
        assert!(entry.text("tls_suite").contains("AES"), "{entry:?}");
        assert_eq!(entry.number("bytes_in"), 20, "{entry:?}");
        assert_eq!(entry.number("bytes_out"), 20, "{entry:?}");
        assert!(
            entry.text("duration_ms").parse::<f64>().is_ok(),
            "{entry:?}"
        );
    }
}

#[test]
fn every_offered_group_is_negotiated() {
    let (site, _upstream, gateway) = one_tenant();
    let groups: [(&'static dyn SupportedKxGroup, &str); 4] = [
        (kx_group::X25519MLKEM768, "X25519MLKEM768"),
        (kx_group::X25519, "X25519"),
        (kx_group::SECP256R1, "P-256"),
        (kx_group::SECP384R1, "P-384"),
    ];
    for (group, name) in groups {
        let mut client = site
            .client()
            .groups(&[group])
            .connect(site.listen, "a.test")
            .unwrap();
        echo(&mut client, b"hello");
        let negotiated = client.conn.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(negotiated, group.name());
        drop(client);
        gateway.entry(name, |entry| entry.has("tls_group", name));
    }
    // The client has sent another key share than the one that the gateway likes best.
    let client = site
        .client()
        .groups(&[kx_group::SECP384R1, kx_group::X25519MLKEM768]);
    let mut client = client.connect(site.listen, "a.test").unwrap();
    echo(&mut client, b"hello");
}

#[test]
fn every_offered_suite_is_negotiated() {
    let (site, _upstream, gateway) = one_tenant();
    let suites = [
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    for suite in suites {
        let client = site.client().suite(suite);
        let client = match suite.tls13() {
            Some(_) => client.versions(&[&rustls::version::TLS13]),
            None => client.tls12(),
        };
        let mark = gateway.mark();
        let mut client = client.connect(site.listen, "a.test").unwrap();
        echo(&mut client, &support::noise(40_000, 1));
        assert_eq!(
            client.conn.negotiated_cipher_suite().unwrap().suite(),
            suite.suite()
        );
        drop(client);
        let entry = gateway.entry_after(mark, "the connection", |entry| {
            !entry.text("tls_suite").is_empty()
        });
        let strength = if entry.text("tls_suite").contains("CHACHA20") {
            "CHACHA20"
        } else {
            "GCM"
        };
        assert!(
            format!("{:?}", suite.suite()).contains(strength),
            "{entry:?}"
        );
    }
}

#[test]
fn versions_before_tls_1_2_are_refused_with_an_alert() {
    let (site, upstream, gateway) = one_tenant();
    let flags = [
        "-servername",
        "a.test",
        "-tls1_1",
        "-cipher",
        "DEFAULT@SECLEVEL=0",
    ];
    let said = site.s_client(&flags).wait_end();
    assert!(said.contains("SSL alert number"), "{said}");
    gateway.entry("the failed handshake", |entry| {
        !entry.text("error").is_empty()
    });
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn an_unknown_name_gets_unrecognized_name_and_a_log_line_that_names_it() {
    let (site, upstream, gateway) = one_tenant();
    let said = site.s_client(&["-servername", "nobody.test"]).wait_end();
    assert!(said.contains("SSL alert number 112"), "{said}");
    let entry = gateway.entry("the unknown name", |entry| entry.has("sni", "nobody.test"));
    assert!(!entry.text("error").is_empty(), "{entry:?}");
    assert_eq!(entry.text("tenant"), "", "{entry:?}");

    let error = alert(site.client().tls12().connect(site.listen, "nobody.test"));
    assert!(error.contains("UnrecognisedName"), "{error}");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_client_without_a_name_needs_a_default_tenant() {
    let (site, upstream, gateway) = one_tenant();
    let said = site.s_client(&["-noservername"]).wait_end();
    assert!(said.contains("alert"), "{said}");
    gateway.entry("the missing name", |entry| !entry.text("error").is_empty());
    assert_eq!(upstream.connections(), 0);

    let site = Site::new();
    let gateway = site.run(
        &(site.tenant("other", &["other.test"], "")
            + &site.tenant("fallback", &["f.test"], "default = true")
            + &tcp_route("other", &[upstream.address], "")
            + &tcp_route("fallback", &[upstream.address], "")),
    );
    for name in [&["-noservername"][..], &["-servername", "nobody.test"]] {
        let mark = gateway.mark();
        let mut client = site.s_client(name);
        client.echo("hello");
        drop(client.finish());
        gateway.entry_after(mark, "the default tenant", |entry| {
            entry.has("tenant", "fallback")
        });
    }
    drop(site.connect("other.test"));
    gateway.entry("the other tenant", |entry| entry.has("tenant", "other"));
}

#[test]
fn exact_names_come_before_wildcards_which_match_one_label() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let gateway = site.run(
        &(site.tenant("wild", &["*.a.test"], "")
            + &site.tenant("exact", &["x.a.test"], "")
            + &tcp_route("wild", &[upstream.address], "")
            + &tcp_route("exact", &[upstream.address], "")),
    );
    // Certificates are checked against the name, so the right tenant's is shown.
    for (name, tenant) in [
        ("y.a.test", "wild"),
        ("x.a.test", "exact"),
        ("X.A.Test", "exact"),
    ] {
        let mark = gateway.mark();
        let mut client = site.s_client(&["-servername", name, "-verify_hostname", name]);
        client.echo("hello");
        drop(client.finish());
        gateway.entry_after(mark, name, |entry| entry.has("tenant", tenant));
    }
    for name in ["a.test", "z.y.a.test"] {
        let error = alert(site.client().connect(site.listen, name));
        assert!(error.contains("UnrecognisedName"), "{name}: {error}");
    }
}

#[test]
fn each_tenant_shows_its_own_certificate_and_reaches_its_own_upstream() {
    let site = Site::new();
    let [one, two] = [b"one", b"two"].map(|word| {
        Upstream::serve(move |mut socket| std::io::Write::write_all(&mut socket, word).unwrap())
    });
    let _gateway = site.run(
        &(site.tenant("one", &["one.test"], "")
            + &site.tenant("two", &["two.test"], "")
            + &tcp_route("one", &[one.address], "")
            + &tcp_route("two", &[two.address], "")),
    );
    for name in ["one", "two", "one"] {
        // The client verifies that the certificate carries the name.
        let mut client = site.connect(&format!("{name}.test"));
        let (bytes, end) = read_to_end(&mut client);
        assert_eq!((bytes, end), (name.as_bytes().to_vec(), End::Clean));
    }
}

#[test]
fn alpn_is_answered_as_the_route_says() {
    let (site, upstream) = (Site::new(), Upstream::echo());
    let _gateway = site.run(
        &(site.tenant("plain", &["plain.test"], "")
            + &site.tenant("foo", &["foo.test"], "")
            + &tcp_route("plain", &[upstream.address], "")
            + &tcp_route("foo", &[upstream.address], "alpn = [\"foo/2\", \"foo/1\"]")),
    );
    let chosen = |offered: &[&str], name: &str| {
        let client = site.client().alpn(offered).connect(site.listen, name)?;
        Ok::<_, std::io::Error>(client.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(chosen(&["foo/1"], "plain.test").unwrap(), None);
    assert_eq!(
        chosen(&["foo/1", "foo/2"], "foo.test").unwrap(),
        Some(b"foo/2".to_vec())
    );
    assert_eq!(chosen(&[], "foo.test").unwrap(), None);
    let error = chosen(&["bar/1"], "foo.test").unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn a_key_update_of_the_client_goes_unnoticed() {
    let (site, _upstream, _gateway) = one_tenant();
    let client = site.client().versions(&[&rustls::version::TLS13]);
    let mut client = client.connect(site.listen, "a.test").unwrap();
    for round in 0..4 {
        echo(&mut client, &support::noise(50_000, round));
        client.conn.refresh_traffic_keys().unwrap();
    }
    echo(&mut client, b"the last");
}
