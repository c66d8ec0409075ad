//! Listeners come and go with a reload; connections that are open stay.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use support::pki::tcp_route;
use support::tcp::Upstream;
use support::tls::{dial, echo};
use support::{Site, free_address};

#[test]
fn a_reload_opens_and_closes_listeners_and_keeps_connections() {
    let site = Site::new();
    let upstream = Upstream::echo();
    let tenant = site.tenant("acme", &["acme.test"], "");
    let body = format!("{tenant}{}", tcp_route("acme", &[upstream.address], ""));
    let gateway = site.run(&body);
    let mut first = site.connect("acme.test");
    echo(&mut first, b"before");
    let other = free_address();
    let text = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    let moved = text.replace(
        &format!("listen = [\"{}\"]", site.listen),
        &format!("listen = [\"{other}\"]"),
    );
    assert_ne!(moved, text);
    site.write("gateway.toml", &moved);
    let outcome = gateway.reload();
    assert!(outcome.line.contains("reloaded"), "{}", outcome.line);
    echo(&mut first, b"an open connection stays");
    let mut second = site.client().connect(other, "acme.test").unwrap();
    echo(&mut second, b"the new listener serves");
    assert!(dial(site.listen).is_err(), "the old listener still accepts");
    // An address that somebody else has changes nothing.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = taken.local_addr().unwrap().to_string();
    site.write(
        "gateway.toml",
        &moved.replace(&other.to_string(), &taken_address),
    );
    let outcome = gateway.reload();
    assert!(outcome.line.contains("refused") && outcome.line.contains(&taken_address));
    echo(&mut second, b"and everything stays");
    site.client().connect(other, "acme.test").unwrap();
}
