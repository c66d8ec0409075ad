//! What the gateway's paths allocate, as exact limits: of the same paths whose instructions are counted.
//!
//! The numbers are counts, so they hold on a busy machine and in every build. One test, since the counter is the process's.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "the benches use more of it")]
#[path = "../benches/paths/mod.rs"]
mod paths;

use std::alloc::System;
use std::hint::black_box;

use sealgate_tls::Engine::{self, Direct, Rustls};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use paths::handshake::{Handshake, Kind};
use paths::hello::Hello;
use paths::relay::Relay;
use paths::sealed::Object;
use paths::tenants::Tenants;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Each message is one record that is opened and one that is sealed.
const MESSAGES: usize = 10_000;
/// The test harness's own thread may allocate at any time, which only ever adds; and rustls shuffles the ClientHello's extensions, which
/// makes one or two more. The least of so many is compared.
const REPETITIONS: usize = 3;
const HANDSHAKES: usize = 100;

/// Allocations and reallocations in `run`, on what `prepare` made.
fn allocations<P, T>(prepare: impl FnMut() -> P, run: impl FnMut(P) -> T) -> usize {
    least_of(REPETITIONS, prepare, run)
}

fn least_of<P, T>(
    repetitions: usize,
    mut prepare: impl FnMut() -> P,
    mut run: impl FnMut(P) -> T,
) -> usize {
    let once = |_| {
        let prepared = prepare();
        let region = Region::new(ALLOCATOR);
        black_box(run(prepared));
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..repetitions).map(once).min().unwrap()
}

fn of_handshake(kind: Kind) -> usize {
    let handshake = Handshake::new(kind, Direct);
    least_of(HANDSHAKES, || (), |()| handshake.run())
}

fn of_relay(engine: Engine) -> usize {
    let relay = || Relay::new(engine, 1024, MESSAGES);
    allocations(relay, |mut relay| {
        assert_eq!(relay.run(), MESSAGES * 1024);
        relay
    })
}

#[test]
#[cfg_attr(
    feature = "injected-allocation",
    should_panic(expected = "20,000 records, direct engine: 10000 allocations, known are 0")
)]
fn every_path_allocates_exactly_as_often_as_it_is_known_to() {
    let tenants = Tenants::new(1000, 1000);
    let hello = Hello::in_pieces_of(usize::MAX);
    let (small, large) = (Object::new(1024), Object::new(1024 * 1024));
    let ignore = |piece: &[u8]| {
        black_box(piece);
    };
    // Fewer is as good a reason to change a number here as more: then it is a limit again.
    let counted = [
        ("full handshake, both sides", of_handshake(Kind::Full), 213),
        (
            "resumed handshake, both sides",
            of_handshake(Kind::Ticket),
            235,
        ),
        (
            "handshake with client certificate, both sides",
            of_handshake(Kind::Mutual),
            252,
        ),
        (
            "post-quantum handshake, both sides",
            of_handshake(Kind::PostQuantum),
            234,
        ),
        ("20,000 records, direct engine", of_relay(Direct), 0),
        ("20,000 records, rustls engine", of_relay(Rustls), 20_000),
        (
            "peek at a ClientHello",
            allocations(|| (), |()| hello.peek()),
            29,
        ),
        (
            "16,000 look-ups of names",
            allocations(|| (), |()| tenants.resolve()),
            0,
        ),
        (
            "PUT of 1 KiB",
            allocations(|| (), |()| small.put(ignore)),
            11,
        ),
        (
            "PUT of 1 MiB",
            allocations(|| (), |()| large.put(ignore)),
            57,
        ),
        (
            "GET of 1 KiB",
            allocations(|| (), |()| small.get(ignore)),
            6,
        ),
        (
            "GET of 1 MiB",
            allocations(|| (), |()| large.get(ignore)),
            71,
        ),
    ];
    let wrong: Vec<String> = counted
        .iter()
        .filter(|(_, found, known)| found != known)
        .map(|(what, found, known)| format!("{what}: {found} allocations, known are {known}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
