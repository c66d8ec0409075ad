//! Mistakes of trust: certificates, keys, clients, keyrings, upstreams.

use super::folder::{Folder, changed};
use super::mistake::{expect, one, tcp, terminated};

#[test]
fn certificates_and_keys() {
    let folder = Folder::new();
    folder.write("empty.pem", " \n");
    folder.write("text.pem", "hello");
    folder.write("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    folder.write(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    folder.write(
        "junk.key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    folder.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    folder.write("long.pem", vec![b'x'; (4 << 20) + 1]);
    for (file, error) in [
        (
            "none.pem",
            "none.pem cannot be read: there is no such file; give a PEM file",
        ),
        (".", ". cannot be read: it is a directory; give a PEM file"),
        (
            "empty.pem",
            "empty.pem is empty; give a PEM file with a certificate",
        ),
        (
            "text.pem",
            "text.pem is not PEM; give a PEM file with a certificate",
        ),
        (
            "cut.pem",
            "cut.pem is not PEM (an end marker is missing); give a PEM file with a certificate",
        ),
        (
            "junk.pem",
            "certificate 1 in junk.pem is unusable (invalid peer certificate: BadEncoding); give an X.509",
        ),
        (
            "acme.key",
            "acme.key is PEM without a certificate; give a file that has one (-----BEGIN CERTIFICATE-----)",
        ),
        (
            "long.pem",
            "long.pem is longer than 4194304 bytes; give a PEM file",
        ),
    ] {
        let error = |key: &str| format!("tenant[0].{key}: {error}");
        one(
            &folder,
            "certificate = \"acme.pem\"",
            &format!("certificate = \"{file}\""),
            &error("certificate"),
        );
        one(
            &folder,
            "client_ca = \"acme-clients.pem\"",
            &format!("client_ca = \"{file}\""),
            &error("client_ca"),
        );
    }
    for (file, error) in [
        (
            "none.key",
            "none.key cannot be read: there is no such file; give a PEM file",
        ),
        (
            "empty.pem",
            "empty.pem is empty; give a PEM file with a private key",
        ),
        (
            "text.pem",
            "text.pem is not PEM; give a PEM file with a private key",
        ),
        (
            "acme.pem",
            "acme.pem is PEM without a private key; give a file that has one (-----BEGIN PRIVATE KEY-----)",
        ),
        (
            "locked.key",
            "the private key in locked.key is encrypted and the gateway has no password; decrypt it first",
        ),
        (
            "junk.key",
            "the private key in junk.key is unusable (unexpected error: ",
        ),
        (
            "bravo.key",
            "the key in bravo.key does not belong to the certificate acme.pem; give the key that acme.pem was issued for",
        ),
    ] {
        one(
            &folder,
            "key = \"acme.key\"",
            &format!("key = \"{file}\""),
            &format!("tenant[0].key: {error}"),
        );
    }
    let both = folder.bad(changed(
        &[
            ("certificate = \"acme.pem\"", "certificate = \"no.pem\""),
            ("key = \"acme.key\"", "key = \"no.key\""),
        ],
        "",
    ));
    assert_eq!(both.len(), 2, "{both:?}");
    expect(
        &folder,
        &[
            (
                "certificate = \"acme.pem\"",
                "certificate = \"acme.pem\" #!",
            ),
            ("key = \"acme.key\"", ""),
        ],
        "",
        &["tenant[0].certificate: there is a certificate but no key; give `key`"],
    );
    expect(
        &folder,
        &[
            ("certificate = \"acme.pem\"", ""),
            ("key = \"acme.key\"", "key = \"acme.key\" #!"),
        ],
        "",
        &["tenant[0].key: there is a key but no certificate; give `certificate`"],
    );
    expect(
        &folder,
        &terminated(&[
            ("certificate = \"acme.pem\"", ""),
            ("key = \"acme.key\"", ""),
            ("tenant = \"acme\"", "tenant = \"acme\" #!"),
        ]),
        "",
        &[
            "route[0].tenant: a terminated http route ends TLS and tenant \"acme\" has no certificate; give",
        ],
    );
}

#[test]
fn client_authentication() {
    let folder = Folder::new();
    let (auth, ca) = (
        "client_auth = \"required\"",
        "client_ca = \"acme-clients.pem\"",
    );
    let marked_auth = format!("{auth} #!");
    let marked_ca = format!("{ca} #!");
    expect(
        &folder,
        &[(auth, &marked_auth), (ca, "")],
        "",
        &["tenant[0].client_auth: client_auth = \"required\" needs trusted roots; give client_ca"],
    );
    let unused = "tenant[0].client_ca: clients are not asked for certificates, so these roots would never be used; give";
    expect(
        &folder,
        &terminated(&[(auth, ""), (ca, &marked_ca)]),
        "",
        &[unused],
    );
    expect(
        &folder,
        &terminated(&[(auth, "client_auth = \"none\""), (ca, &marked_ca)]),
        "",
        &[unused],
    );
    expect(
        &folder,
        &[
            (auth, ""),
            (ca, ""),
            ("readers = \"mtls\"", "readers = \"mtls\" #!"),
        ],
        "",
        &[
            "route[0].readers: readers are known by their certificates and tenant \"acme\" asks for none; give",
        ],
    );
    assert_eq!(
        folder
            .good(changed(&[(auth, "client_auth = \"optional\"")], ""))
            .routes
            .len(),
        1
    );
    expect(
        &folder,
        &tcp(&[
            ("class = \"sealed\"", "class = \"passthrough\""),
            (auth, &marked_auth),
        ]),
        "",
        &[
            "tenant[0].client_auth: all routes of tenant \"acme\" are passthrough, so the gateway never sees",
        ],
    );
}

#[test]
fn keyrings() {
    let folder = Folder::new();
    let keyring = "keyring = \"acme.keyring\"";
    expect(
        &folder,
        &[(keyring, ""), ("tenant = \"acme\"", "tenant = \"acme\" #!")],
        "",
        &[
            "route[0].tenant: a sealed route needs keys and tenant \"acme\" has no keyring; make one with `sealgate keys new`",
        ],
    );
    let found = folder.bad(changed(&[(keyring, "keyring = \"none.keyring\"")], ""));
    assert_eq!(found.len(), 1, "{found:?}");
    let wanted = "gateway.toml:21: tenant[0].keyring: keyring none.keyring: ";
    assert!(
        found[0].starts_with(wanted) && found[0].contains("; make one with `sealgate keys new`"),
        "{found:?}"
    );
    folder.mode("acme.keyring", 0o640);
    let found = folder.bad(changed(&[], ""));
    assert!(
        found[0].starts_with(
            "gateway.toml:21: tenant[0].keyring: keyring acme.keyring: mode 0640 lets"
        ),
        "{found:?}"
    );
    let error = "tenant[0].keyring: bravo.keyring is the keyring of tenant \"bravo\"; give tenant \"acme\" its own";
    one(&folder, keyring, "keyring = \"bravo.keyring\"", error);
}

#[test]
fn upstreams() {
    let folder = Folder::new();
    let upstream = "upstream = \"http://127.0.0.1:9080\"";
    let key = "route[0].upstream";
    for (new, error) in [
        (
            "\"127.0.0.1:9080\"",
            "\"127.0.0.1:9080\" is no upstream of an http route; give \"http://HOST:PORT\"",
        ),
        (
            "\"http://127.0.0.1:9080/x\"",
            "\"http://127.0.0.1:9080/x\" is no upstream of an http route; give",
        ),
        (
            "\"http://backend\"",
            "\"http://backend\" has no port; give one, like \"http://backend:80\"",
        ),
        (
            "\"http://127.0.0.1:0\"",
            "port 0 cannot be connected to; give one",
        ),
        (
            "\"http://nosuch.invalid:80\"",
            "\"nosuch.invalid\" has no address (",
        ),
        (
            "\"http://127.0.0.1:8443\"",
            "127.0.0.1:8443 is listener \"public\" of this gateway, so it would connect to itself; give",
        ),
        (
            "\"http://localhost:8443\"",
            "127.0.0.1:8443 is listener \"public\" of this gateway",
        ),
        (
            "\"http://0.0.0.0:8443\"",
            "0.0.0.0:8443 is listener \"public\" of this gateway",
        ),
        (
            "\"http://[::ffff:127.0.0.1]:8443\"",
            "[::ffff:127.0.0.1]:8443 is listener \"public\" of this gateway",
        ),
        (
            "\"http://127.0.0.1:9900\"",
            "127.0.0.1:9900 is the admin listener of this gateway",
        ),
        (
            "\"https://127.0.0.1:9443\"",
            "https:// needs trusted roots, and no system store is used; give ca under [route.upstream_tls]",
        ),
    ] {
        one(
            &folder,
            upstream,
            &format!("upstream = {new}"),
            &format!("{key}: {error}"),
        );
    }
    let any = [
        ("listen = \"127.0.0.1:8443\"", "listen = \"0.0.0.0:8443\""),
        (upstream, "upstream = \"http://127.1.2.3:8443\" #!"),
    ];
    expect(
        &folder,
        &any,
        "",
        &["route[0].upstream: 127.1.2.3:8443 is listener \"public\" of this gateway"],
    );
    for new in ["b", "http://127.0.0.1:1", "::1:9000", "127.0.0.1:99999"] {
        let error = format!(
            "route[0].upstream: \"{new}\" is no upstream of a tcp route; give \"HOST:PORT\""
        );
        expect(
            &folder,
            &tcp(&[(upstream, &format!("upstream = \"{new}\" #!"))]),
            "",
            &[&error],
        );
    }
    let several = "upstream = [\"127.0.0.1:9000\", \"b\", \"127.0.0.1:0\"]";
    let found = folder.bad(changed(&tcp(&[(upstream, several)]), ""));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("route[0].upstream[1]: ") && found[1].contains("route[0].upstream[2]: "),
        "{found:?}"
    );
}

#[test]
fn tls_towards_upstreams() {
    let folder = Folder::new();
    let upstream = "upstream = \"http://127.0.0.1:9080\"";
    let https = terminated(&[(upstream, "upstream = \"https://127.0.0.1:9443\"")]);
    let table = "[route.upstream_tls]\nca = \"backend-ca.pem\"\n";
    assert_eq!(folder.good(changed(&https, table)).routes.len(), 1);
    for (more, error) in [
        (
            "[route.upstream_tls] #!\nserver_name = \"x\"\n",
            "upstream_tls.ca: missing; write",
        ),
        (
            "[route.upstream_tls]\nca = \"acme.key\" #!\n",
            "upstream_tls.ca: acme.key is PEM without a certificate; give",
        ),
        (
            "[route.upstream_tls]\nca = \"backend-ca.pem\"\nserver_name = \"a b\" #!\n",
            "upstream_tls.server_name: \"a b\" is no server name; give",
        ),
        (
            "[route.upstream_tls]\nca = \"backend-ca.pem\"\ncertificate = \"acme.pem\" #!\n",
            "upstream_tls.certificate: there is a certificate but no key; give `key`",
        ),
        (
            "[route.upstream_tls]\nca = \"backend-ca.pem\"\ncertificate = \"acme.pem\"\nkey = \"bravo.key\" #!\n",
            "upstream_tls.key: the key in bravo.key does not belong to the certificate acme.pem; give",
        ),
    ] {
        expect(&folder, &https, more, &[&format!("route[0].{error}")]);
    }
    let marked = table.replace("tls]", "tls] #!");
    expect(
        &folder,
        &[],
        &marked,
        &["route[0].upstream_tls: the upstreams are http://, which uses no TLS; write https://"],
    );
    let two = terminated(&[(
        upstream,
        "upstream = [\"https://127.0.0.1:9443\", \"https://127.0.0.2:9443\"]",
    )]);
    expect(
        &folder,
        &two,
        &marked,
        &[
            "route[0].upstream_tls.server_name: missing, and the upstreams have different hosts; give",
        ],
    );
    assert_eq!(
        folder
            .good(changed(
                &two,
                &format!("{table}server_name = \"b.internal\"\n")
            ))
            .routes
            .len(),
        1
    );
    let mixed = terminated(&[(
        upstream,
        "upstream = [\"https://127.0.0.1:9443\", \"http://127.0.0.1:9444\"] #!",
    )]);
    expect(
        &folder,
        &mixed,
        table,
        &["route[0].upstream: http:// and https:// in one route; give all"],
    );
}
