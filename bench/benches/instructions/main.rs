//! Instructions of the gateway's paths in memory, counted by callgrind: `scripts/bench instructions` runs it and judges.
//!
//! Each bench is a process of its own under valgrind, which counts only inside the bench function, or inside the functions of one side of
//! a handshake. Things are repeated where chance plays a part: in hash tables' seeds, and in ECDSA signatures, which cost more or less to
//! verify by their value.

#![allow(missing_docs, reason = "gungraun's macros write items without docs")]

#[allow(dead_code, reason = "other measures of the same paths use more of it")]
#[path = "../paths/mod.rs"]
mod paths;

use std::hint::black_box;

use gungraun::{
    Callgrind, EntryPoint, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use mimalloc::MiMalloc;
use sealgate_envelope::{Context, DataKey};
use sealgate_tls::Engine::{Direct, Rustls};

use paths::handshake::{Handshake, Kind};
use paths::hello::Hello;
use paths::relay::Relay;
use paths::sealed::Object;
use paths::tenants::Tenants;

/// The gateway's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const HANDSHAKES: usize = 24;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn shake(handshake: &Handshake) {
    for _ in 0..HANDSHAKES {
        black_box(handshake.run());
    }
}

#[library_benchmark]
#[bench::full(Handshake::new(Kind::Full, Direct))]
#[bench::ticket(Handshake::new(Kind::Ticket, Direct))]
#[bench::mutual(Handshake::new(Kind::Mutual, Direct))]
#[bench::post_quantum(Handshake::new(Kind::PostQuantum, Direct))]
fn client(handshake: Handshake) {
    shake(&handshake);
}

#[library_benchmark]
#[bench::full(Handshake::new(Kind::Full, Direct))]
#[bench::ticket(Handshake::new(Kind::Ticket, Direct))]
#[bench::mutual(Handshake::new(Kind::Mutual, Direct))]
#[bench::post_quantum(Handshake::new(Kind::PostQuantum, Direct))]
fn server(handshake: Handshake) {
    shake(&handshake);
}

#[library_benchmark]
#[bench::one_read(Hello::in_pieces_of(usize::MAX))]
#[bench::two_reads(Hello::in_pieces_of(1000))]
fn hello(hello: Hello) -> Hello {
    black_box(hello.peek());
    hello
}

#[library_benchmark]
#[bench::of_10(Tenants::new(10, 1000))]
#[bench::of_1k(Tenants::new(1000, 1000))]
#[bench::of_100k(Tenants::new(100_000, 1000))]
fn tenants(tenants: Tenants) -> Tenants {
    black_box(tenants.resolve());
    tenants
}

#[library_benchmark]
#[bench::rustls_1_kib(Relay::new(Rustls, KIB, 64))]
#[bench::rustls_16_kib(Relay::new(Rustls, 16 * KIB, 16))]
#[bench::rustls_1_mib(Relay::new(Rustls, MIB, 1))]
#[bench::direct_1_kib(Relay::new(Direct, KIB, 64))]
#[bench::direct_16_kib(Relay::new(Direct, 16 * KIB, 16))]
#[bench::direct_1_mib(Relay::new(Direct, MIB, 1))]
fn relay(mut relay: Relay) -> Relay {
    black_box(relay.run());
    relay
}

#[library_benchmark]
#[bench::of_1_kib(Object::new(KIB))]
#[bench::of_1_mib(Object::new(MIB))]
fn put(object: Object) -> Object {
    object.put(|piece| {
        black_box(piece);
    });
    object
}

#[library_benchmark]
#[bench::of_1_kib(Object::new(KIB))]
#[bench::of_1_mib(Object::new(MIB))]
fn get(object: Object) -> Object {
    object.get(|piece| {
        black_box(piece);
    });
    object
}

fn wrapping() -> (Object, DataKey, Context) {
    let object = Object::new(0);
    let context = object.header().0.context().clone();
    let data_key = DataKey::generate().expect("the system has randomness");
    (object, data_key, context)
}

#[library_benchmark]
#[bench::one(wrapping())]
fn wrap((object, data_key, context): (Object, DataKey, Context)) -> Object {
    black_box(object.wrap(&data_key, &context));
    object
}

#[library_benchmark]
#[bench::one(Object::new(0))]
fn unwrap(object: Object) -> Object {
    let (header, _) = object.header();
    black_box(object.unwrap(&header));
    object
}

fn callgrind() -> Callgrind {
    Callgrind::with_args(["--cache-sim=no", "--separate-threads=no"])
}

/// Counts inside functions of this name only.
fn inside(functions: &str) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    let entry_point = EntryPoint::Custom(format!("instructions::paths::handshake::{functions}"));
    config.tool(callgrind().entry_point(entry_point));
    config
}

fn everything() -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind());
    config
}

library_benchmark_group!(
    name = client_of,
    config = inside("client_?*"),
    benchmarks = client
);
library_benchmark_group!(
    name = server_of,
    config = inside("server_?*"),
    benchmarks = server
);
library_benchmark_group!(
    name = path,
    config = everything(),
    benchmarks = [hello, tenants, relay, put, get]
);
library_benchmark_group!(
    name = keyring,
    config = everything(),
    benchmarks = [wrap, unwrap]
);
main!(library_benchmark_groups = [client_of, server_of, path, keyring]);
