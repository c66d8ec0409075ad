//! Memory that a crowd took is given back when it has gone, although the process locks its memory.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::io::{self, Write};
use std::thread;
use std::time::Instant;

use support::pki::http_route;
use support::tcp::Upstream;
use support::{DEADLINE, Gateway, Site};

const CROWD: usize = 300;
/// Half a request head: it has to be kept until the other half comes.
const HALF_A_HEAD: usize = 30_000;

/// A field of the process's status that is counted in kB, in bytes.
fn status(gateway: &Gateway, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

fn resident(gateway: &Gateway) -> usize {
    status(gateway, "VmRSS:")
}

/// Looks until it is so, and in vain not for ever.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::yield_now();
    }
}

#[test]
fn what_a_crowd_took_is_given_back_when_it_has_gone() {
    let (site, upstream) = (Site::new(), Upstream::listen());
    let gateway = site.run(
        &(site.tenant("acme", &["a.test"], "")
            + &http_route("acme", "terminated", &[upstream.address], "")),
    );
    if status(&gateway, "VmLck:") == 0 {
        // Past what the harness captures.
        let said = "SKIPPED, run as root or with LimitMEMLOCK=infinity: memory is not locked\n";
        io::stderr().write_all(said.as_bytes()).unwrap();
        return;
    }
    drop(site.connect("a.test"));
    let before = resident(&gateway);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nX: {}",
        "x".repeat(HALF_A_HEAD)
    );
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut client = site.connect("a.test");
            client.write_all(head.as_bytes()).unwrap();
            client
        })
        .collect();
    until("the heads to arrive", || {
        resident(&gateway) - before > CROWD * HALF_A_HEAD
    });
    let most = resident(&gateway) - before;
    drop(crowd);
    // Nobody comes any more: it is no newcomer that has it given back.
    until("the memory to be given back", || {
        resident(&gateway).saturating_sub(before) < most / 6
    });
}
