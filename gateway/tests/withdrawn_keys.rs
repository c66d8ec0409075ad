//! Keys that their operator takes away are not used any more, on no connection; everybody else goes on.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::http::{Browser, HttpUpstream, response};
use support::pki::http_route;
use support::program::sealgate;
use support::{Gateway, Site};

fn keys(words: &[&str]) {
    let output = sealgate(&[&["keys"], words].concat());
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn reloaded(gateway: &Gateway) {
    let outcome = gateway.reload();
    assert!(outcome.line.contains("\"reloaded\""), "{}", outcome.line);
}

#[test]
fn disabled_and_shredded_keys_end_with_the_reload_for_their_tenant_alone() {
    let stored = HttpUpstream::start(|request| response("200 OK", "", &request.body));
    let site = Site::new();
    let tenant = |id: &str| {
        site.keyring(id);
        let keyring = format!("keyring = \"{id}.keyring\"");
        site.tenant(id, &[&format!("{id}.test")], &keyring)
            + &http_route(id, "sealed", &[stored.address()], "readers = \"anyone\"")
    };
    let body = tenant("one") + &tenant("two");
    let gateway = site.run(&body);
    let mut one = Browser::new(site.connect("one.test"));
    let mut two = Browser::new(site.connect("two.test"));
    let (of_one, of_two) = ("Host: one.test\r\n", "Host: two.test\r\n");
    let keyring = site.arg("one.keyring");
    assert_eq!(
        one.request("POST", "/a", of_one, b"x").complete().body,
        b"x"
    );

    keys(&["disable", &keyring]);
    reloaded(&gateway);
    let json = one.request("POST", "/a", of_one, b"x").problem(503);
    assert_eq!(json["type"], "urn:sealgate:error:keys_withdrawn");
    Browser::new(site.connect("one.test"))
        .request("GET", "/a", of_one, b"")
        .problem(503);
    assert_eq!(
        two.request("POST", "/a", of_two, b"y").complete().body,
        b"y"
    );

    keys(&["disable", &keyring, "--undo"]);
    reloaded(&gateway);
    let again = Browser::new(site.connect("one.test")).request("POST", "/a", of_one, b"z");
    assert_eq!(again.complete().body, b"z");

    keys(&["shred", &keyring, "--confirm", "one"]);
    reloaded(&gateway);
    Browser::new(site.connect("one.test"))
        .request("POST", "/a", of_one, b"x")
        .problem(503);
    assert_eq!(
        two.request("POST", "/a", of_two, b"y").complete().body,
        b"y"
    );
}
