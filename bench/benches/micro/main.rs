//! Time of the gateway's paths in memory, in bytes per second where there are bytes, beside bare AES-256-GCM of aws-lc-rs on the same
//! buffers, which is the floor. Nothing is judged: `cargo bench -p bench --bench micro -- NAME` on a quiet machine.

#![allow(missing_docs, reason = "criterion's macros write items without docs")]

#[allow(dead_code, reason = "the instruction counts use more of it")]
#[path = "../paths/mod.rs"]
mod paths;

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use sealgate_envelope::DataKey;
use sealgate_tls::Engine::{Direct, Rustls};
use sealgate_tls::MAX_FRAGMENT_LEN;

use paths::handshake::{Handshake, Kind};
use paths::hello::Hello;
use paths::relay::Relay;
use paths::sealed::Object;
use paths::tenants::Tenants;

/// The gateway's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const SIZES: [usize; 3] = [1024, 16 * 1024, 1024 * 1024];
/// Content type and tag: what a record's ciphertext has more than its plaintext.
const OVERHEAD: usize = 1 + 16;

/// Bare AES-256-GCM in records of 16 KiB, with the AAD of a record's header.
struct Bare {
    key: LessSafeKey,
    plaintext: Vec<u8>,
    sealed: Vec<u8>,
}

impl Bare {
    fn new(len: usize) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &[9; 32]).expect("32 bytes");
        let records = len.div_ceil(MAX_FRAGMENT_LEN);
        let mut bare = Self {
            key: LessSafeKey::new(key),
            plaintext: vec![0x5A; len],
            sealed: vec![0; len + records * OVERHEAD],
        };
        bare.seal();
        bare
    }

    fn seal(&mut self) {
        let records = self.sealed.chunks_mut(MAX_FRAGMENT_LEN + OVERHEAD);
        for (fragment, record) in self.plaintext.chunks(MAX_FRAGMENT_LEN).zip(records) {
            let (ciphertext, rest) = record.split_at_mut(fragment.len());
            let (nonce, aad) = (Nonce::assume_unique_for_key([0; 12]), Aad::from([0; 5]));
            let sealed =
                self.key
                    .seal_out_of_place_scatter(nonce, aad, fragment, ciphertext, &[23], rest);
            sealed.expect("seals");
        }
    }

    fn open(&mut self) {
        let mut room = vec![0; MAX_FRAGMENT_LEN + 1];
        for record in self.sealed.chunks(MAX_FRAGMENT_LEN + OVERHEAD) {
            let (ciphertext, tag) = record.split_at(record.len() - 16);
            let (nonce, aad) = (Nonce::assume_unique_for_key([0; 12]), Aad::from([0; 5]));
            let room = &mut room[..ciphertext.len()];
            self.key
                .open_separate_gather(nonce, aad, ciphertext, tag, room)
                .expect("sealed here");
        }
        black_box(room);
    }
}

fn records(criterion: &mut Criterion) {
    for len in SIZES {
        let mut group = criterion.benchmark_group(format!("seal/{len}"));
        group.throughput(Throughput::Bytes(len as u64));
        for (name, engine) in [("direct", Direct), ("rustls", Rustls)] {
            let mut relay = Relay::new(engine, len, 0);
            group.bench_function(name, |bencher| bencher.iter(|| relay.seal()));
        }
        let mut bare = Bare::new(len);
        group.bench_function("bare", |bencher| bencher.iter(|| bare.seal()));
        group.finish();

        let mut group = criterion.benchmark_group(format!("open/{len}"));
        group.throughput(Throughput::Bytes(len as u64));
        for (name, engine) in [("direct", Direct), ("rustls", Rustls)] {
            let mut relay = Relay::new(engine, len, 0);
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|iterations| timed(&mut relay, iterations, Relay::open));
            });
        }
        group.bench_function("bare", |bencher| bencher.iter(|| bare.open()));
        group.finish();
    }
}

/// The relay's pump over a wire in memory: from one connection's records to another's.
fn pump(criterion: &mut Criterion) {
    for len in SIZES {
        let mut group = criterion.benchmark_group(format!("pump/{len}"));
        group.throughput(Throughput::Bytes(len as u64));
        for (name, engine) in [("direct", Direct), ("rustls", Rustls)] {
            let mut relay = Relay::new(engine, len, 0);
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|iterations| timed(&mut relay, iterations, Relay::run));
            });
        }
        let mut bare = Bare::new(len);
        group.bench_function("bare", |bencher| {
            bencher.iter(|| {
                bare.open();
                bare.seal();
            });
        });
        group.finish();
    }
}

/// How long `run` takes for a message, so many times. Records open in the order in which they were sealed, so one at a time is made.
fn timed(relay: &mut Relay, iterations: u64, run: fn(&mut Relay) -> usize) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..iterations {
        relay.refill(1);
        let begun = Instant::now();
        black_box(run(relay));
        spent += begun.elapsed();
    }
    spent
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake");
    for kind in [Kind::Full, Kind::Ticket, Kind::Mutual, Kind::PostQuantum] {
        let handshake = Handshake::new(kind, Direct);
        group.bench_function(
            BenchmarkId::from_parameter(format!("{kind:?}")),
            |bencher| {
                bencher.iter_batched(|| (), |()| handshake.run(), BatchSize::SmallInput);
            },
        );
    }
    group.finish();
}

fn names(criterion: &mut Criterion) {
    let hello = Hello::in_pieces_of(usize::MAX);
    let mut group = criterion.benchmark_group("hello");
    group.throughput(Throughput::Bytes(hello.len_bytes() as u64));
    group.bench_function("peek", |bencher| bencher.iter(|| hello.peek()));
    group.finish();

    let mut group = criterion.benchmark_group("tenants");
    for count in [10, 1000, 100_000] {
        let tenants = Tenants::new(count, 1000);
        group.throughput(Throughput::Elements(tenants.lookups() as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| tenants.resolve())
        });
    }
    group.finish();
}

fn keys(criterion: &mut Criterion) {
    let object = Object::new(0);
    let (header, _) = object.header();
    let data_key = DataKey::generate().expect("the system has randomness");
    let mut group = criterion.benchmark_group("keyring");
    group.bench_function("wrap", |bencher| {
        bencher.iter(|| object.wrap(&data_key, header.context()))
    });
    group.bench_function("unwrap", |bencher| bencher.iter(|| object.unwrap(&header)));
    group.finish();
}

criterion_group!(micro, records, pump, handshakes, names, keys);
criterion_main!(micro);
