//! Mistakes between parts: names, addresses, routes and classes.

use super::folder::{Folder, changed};
use super::mistake::{ROUTE_TCP, expect, one, tcp, terminated};

#[test]
fn names_that_stand_twice() {
    let folder = Folder::new();
    expect(
        &folder,
        &[],
        "[[listener]]\nname = \"public\" #!\nlisten = \"127.0.0.1:8444\"\n",
        &[
            "listener[1].name: \"public\" names another listener already (line 12); give each listener its own",
        ],
    );
    expect(
        &folder,
        &terminated(&[]),
        "[[tenant]]\nid = \"acme\" #!\nnames = [\"two.example\"]\n",
        &[
            "tenant[1].id: \"acme\" names another tenant already (line 15); give each tenant its own",
        ],
    );
    expect(
        &folder,
        &[],
        "[[route]]\nname = \"objects\" #!\ntenant = \"acme\"\nprotocol = \"http\"\nclass = \"terminated\"\n\
         path = \"/x\"\nupstream = \"http://127.0.0.1:1\"\n",
        &[
            "route[1].name: \"objects\" names another route already (line 23); give each route its own",
        ],
    );
    expect(
        &folder,
        &terminated(&[]),
        "[[tenant]]\nid = \"bravo\"\nnames = [\"bravo.example\", \"ACME.example\"] #!\n",
        &[
            "tenant[1].names[1]: \"ACME.example\" belongs to tenant \"acme\" already; give each name to one tenant",
        ],
    );
    expect(
        &folder,
        &[("id = \"acme\"", "id = \"acme\"\ndefault = true")],
        "[[tenant]]\nid = \"bravo\"\ndefault = true #!\n",
        &[
            "tenant[1].default: tenant \"acme\" is the default already; keep `default = true` at one tenant",
        ],
    );
    expect(
        &folder,
        &[(
            "tenant = \"acme\"",
            "tenant = \"acme\"\nlistener = [\"public\", \"public\"] #!",
        )],
        "",
        &["route[0].listener[1]: \"public\" names another listener already; give each"],
    );
}

#[test]
fn addresses() {
    let folder = Folder::new();
    let listen = "listen = \"127.0.0.1:8443\"";
    for (new, error) in [
        (
            "\"localhost:8443\"",
            "listener[0].listen: \"localhost:8443\" is no address; give an IP address and a port",
        ),
        (
            "\":8443\"",
            "listener[0].listen: \":8443\" is no address; give",
        ),
        (
            "\"127.0.0.1:0\"",
            "listener[0].listen: port 0 is no fixed port; give one from 1 to 65535",
        ),
        (
            "\"[::ffff:127.0.0.1]:8443\"",
            "listener[0].listen: an IPv4 address in IPv6 notation; give \"127.0.0.1:8443\"",
        ),
        (
            "[\"127.0.0.1:8443\", \"127.0.0.1:8443\"]",
            "listener[0].listen[1]: 127.0.0.1:8443 is taken by listener \"public\" already; give each",
        ),
    ] {
        one(&folder, listen, &format!("listen = {new}"), error);
    }
    expect(
        &folder,
        &[],
        "[[listener]]\nname = \"two\"\nlisten = [\"127.0.0.1:8444\",\n\"127.0.0.1:8443\"] #!\n",
        &[
            "listener[1].listen[1]: 127.0.0.1:8443 is taken by listener \"public\" already; give each",
        ],
    );
    let admin = "listen = \"127.0.0.1:9900\"";
    one(
        &folder,
        admin,
        "listen = \"0.0.0.0:9900\"",
        "admin.listen: 0.0.0.0:9900 can be reached from outside",
    );
    one(
        &folder,
        admin,
        "listen = \"127.0.0.1:8443\"",
        "admin.listen: 127.0.0.1:8443 is taken by listener \"public\"",
    );
    one(
        &folder,
        admin,
        "listen = \"9900\"",
        "admin.listen: \"9900\" is no address; give",
    );
    let both = folder.good(changed(
        &[(listen, "listen = [\"0.0.0.0:8443\", \"[::]:8443\"]")],
        "",
    ));
    assert_eq!(both.listeners[0].addresses.len(), 2);
}

#[test]
fn tenant_names() {
    let folder = Folder::new();
    for (name, error) in [
        (
            "acme..example",
            "\"acme..example\" is no DNS name; give a name like",
        ),
        ("acme.example.", "\"acme.example.\" is no DNS name; give"),
        (
            "b\u{fc}cher.example",
            "\"b\u{fc}cher.example\" is no DNS name; give",
        ),
        (
            "127.0.0.1",
            "\"127.0.0.1\" is an address, and clients send no addresses as SNI; give",
        ),
        (
            "a.*.example",
            "\"a.*.example\" has a wildcard inside; give it as the whole first label",
        ),
        ("*", "\"*\" has a wildcard inside; give"),
    ] {
        let new = format!("names = [\"acme.example\", \"{name}\"]");
        one(
            &folder,
            "names = [\"acme.example\"]",
            &new,
            &format!("tenant[0].names[1]: {error}"),
        );
    }
}

#[test]
fn routes_refer_to_what_there_is() {
    let folder = Folder::new();
    // The tenant has no other route: but that is no warning, because the route was meant for it.
    one(
        &folder,
        "tenant = \"acme\"",
        "tenant = \"acne\"",
        "route[0].tenant: there is no tenant \"acne\"; did you mean \"acme\"?",
    );
    one(
        &folder,
        "tenant = \"acme\"",
        "tenant = \"zulu\"",
        "route[0].tenant: there is no tenant \"zulu\"; known here: acme",
    );
    let new = "tenant = \"acme\"\nlistener = \"pubic\"";
    one(
        &folder,
        "tenant = \"acme\"",
        new,
        "route[0].listener: there is no listener \"pubic\"; did you mean \"public\"?",
    );
}

#[test]
fn one_listener_and_tenant_speak_one_protocol() {
    let folder = Folder::new();
    let second = ROUTE_TCP.replace("[[route]]", "[[route]] #!") + "class = \"terminated\"\n";
    let error = "route[1]: tenant \"acme\" has tcp route \"objects\" on listener \"public\" already; keep one";
    expect(&folder, &tcp(&[]), &second, &[error]);
    let error = "route[1]: tenant \"acme\" has http route \"objects\" on listener \"public\" already, and a listener speaks";
    expect(&folder, &[], &second, &[error]);
    let http = "[[route]]\nname = \"b\"\ntenant = \"acme\"\nprotocol = \"http\"\nclass = \"terminated\"\nupstream = \"http://127.0.0.1:1\"\n";
    let error = "route[1].path: tenant \"acme\" has http route \"objects\" with path \"/\" on listener \"public\" already; give";
    expect(&folder, &[], &format!("{http}path = \"/\" #!\n"), &[error]);
    assert_eq!(
        folder
            .good(changed(&[], &format!("{http}path = \"/b\"\n")))
            .routes
            .len(),
        2
    );
    // On another listener it is nobody's business.
    let elsewhere = format!(
        "{second}listener = \"two\"\n[[listener]]\nname = \"two\"\nlisten = \"127.0.0.1:8444\"\n"
    );
    let here = [(
        "tenant = \"acme\"",
        "tenant = \"acme\"\nlistener = \"public\"",
    )];
    assert_eq!(folder.good(changed(&here, &elsewhere)).routes.len(), 2);
}

#[test]
fn classes() {
    let folder = Folder::new();
    let class = "class = \"sealed\"";
    let more: [(&str, &str); 1] = [("readers = \"mtls\"", "")];
    for (new, error) in [
        (
            "ingest",
            "route[0].class: class \"ingest\" is not available yet; give \"terminated\" or \"sealed\"",
        ),
        (
            "end-to-end",
            "route[0].class: class \"end-to-end\" is not available yet; give",
        ),
        (
            "passthrough",
            "route[0].class: class \"passthrough\" belongs to protocol = \"tcp\"; give",
        ),
    ] {
        expect(
            &folder,
            &[(class, &format!("class = \"{new}\" #!")), more[0]],
            "",
            &[error],
        );
    }
    let error = "route[0].class: class \"sealed\" belongs to protocol = \"http\"; give \"terminated\" or \"passthrough\"";
    expect(
        &folder,
        &tcp(&[(class, "class = \"sealed\" #!")]),
        "",
        &[error],
    );
}

#[test]
fn keys_of_another_class() {
    let folder = Folder::new();
    let readers = "readers = \"mtls\"";
    for (key, home) in [
        ("readers = \"mtls\"", "sealed http routes"),
        ("header_bytes = 512", "sealed http routes"),
        ("frame_bytes = 16384", "sealed http routes"),
        ("path = \"/x\"", "http routes"),
    ] {
        let name = key.split(' ').next().unwrap_or_default();
        let error = format!(
            "route[0].{name}: does not apply to a terminated tcp route, it belongs to {home}; leave it out"
        );
        expect(
            &folder,
            &tcp(&[(readers, &format!("{key} #!"))]),
            "",
            &[&error],
        );
    }
    let error = "route[0].alpn: does not apply to a sealed http route, it belongs to terminated tcp routes; leave it out";
    one(&folder, readers, "readers = \"mtls\"\nalpn = \"h2\"", error);
    let passthrough = [
        ("class = \"sealed\"", "class = \"passthrough\""),
        ("client_auth = \"required\"", ""),
        ("client_ca = \"acme-clients.pem\"", ""),
    ];
    let error = "route[0].upstream_tls: does not apply to a passthrough tcp route, it belongs to terminated tcp routes and";
    expect(
        &folder,
        &tcp(&passthrough),
        "[route.upstream_tls] #!\nca = \"backend-ca.pem\"\n",
        &[error],
    );
    let tcp_tls = "[route.upstream_tls]\nca = \"backend-ca.pem\"\n";
    assert_eq!(folder.good(changed(&tcp(&[]), tcp_tls)).routes.len(), 1);
}

#[test]
fn paths_and_alpn() {
    let folder = Folder::new();
    for path in [
        "objects", "/a b", "/a?b", "/a#b", "/a//b", "/../a", "/a/./b", "/\u{fc}",
    ] {
        let new = format!("class = \"sealed\"\npath = \"{path}\"");
        let error =
            format!("route[0].path: \"{path}\" is no path prefix; give one that begins with /");
        one(&folder, "class = \"sealed\"", &new, &error);
    }
    let long = "x".repeat(256);
    let many: Vec<String> = (0..17).map(|number| format!("\"p/{number}\"")).collect();
    for (alpn, error) in [
        (
            format!("\"{long}\""),
            format!("route[0].alpn: \"{long}\" is no ALPN protocol; give 1 to 255 bytes"),
        ),
        (
            "[\"a\", \"a\"]".to_owned(),
            "route[0].alpn[1]: \"a\" names another protocol already; give each".to_owned(),
        ),
        (
            format!("[{}]", many.join(", ")),
            "route[0].alpn: 17 protocols are too many; give at most 16".to_owned(),
        ),
    ] {
        expect(
            &folder,
            &tcp(&[("readers = \"mtls\"", &format!("alpn = {alpn} #!"))]),
            "",
            &[&error],
        );
    }
}
