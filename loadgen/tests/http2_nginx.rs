//! HTTP/2 against nginx, whose log counts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod http2_target;
mod program;
mod tls_server;

use std::collections::BTreeMap;

use http2_target::{assert_done, run};
use program::TlsFiles;
use tls_server::nginx::Nginx;

#[test]
fn requests_are_as_many_as_nginx_logged_across_its_goaways() {
    let files = TlsFiles::new();
    // It says GOAWAY behind the 25th request, and takes none of the others that are on their way.
    let limits = "keepalive_requests 25; http2_max_concurrent_streams 20; client_max_body_size 0;";
    let nginx = Nginx::start_http2(&files, limits);
    let url = format!("https://{}/x", nginx.address);
    let closed = run(&url, &["-X", "POST", "-n", "600", "-c", "2", "-m", "16"]);
    assert_done(&closed, 600);
    assert_eq!(closed.1["totals"]["bytes"]["received"], 600 * "hello".len());
    let established = closed.1["connections"]["established"].as_u64().unwrap();
    assert!(established >= 600 / 25, "{established}");
    assert!(closed.1["http"]["go_aways"]["NO_ERROR"].as_u64().unwrap() > 0);
    let open = run(&url, &["-R", "5k", "-n", "300", "-c", "2", "-m", "50"]);
    assert_done(&open, 300);
    assert_eq!(open.1["http"]["streams_allowed"], 20);
    // It answers without taking such a body, which is its right and is said.
    let early = run(&url, &["-X", "POST", "-n", "4", "--size", "5MB"]);
    assert_done(&early, 4);
    assert_eq!(early.1["http"]["resets"]["NO_ERROR"], 4);
    assert!(early.1["totals"]["bytes"]["sent"].as_u64().unwrap() < 20_000_000);
    let logged = BTreeMap::from([
        ("HTTP/2.0 POST 200".to_owned(), 604),
        ("HTTP/2.0 GET 200".to_owned(), 300),
    ]);
    assert_eq!(nginx.lines(), logged);
}
