//! Sealing and opening beside bare AES-256-GCM of aws-lc-rs on the same buffers, which is the floor.
//!
//! `aligned` hands over whole messages; `records` hands over chunks of 16,384 bytes less a few, as TLS does, so that every frame passes through the
//! held buffer.

#![allow(missing_docs, reason = "criterion's macros write items without docs")]

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealgate_envelope::{
    Context, DataKey, Header, Opener, ParsedHeader, RawAesKey, SealSettings, Sealer,
};

const FRAME_LEN: usize = 64 * 1024;
const SIZES: [usize; 5] = [1024, 16 * 1024, 64 * 1024, 1024 * 1024, 16 * 1024 * 1024];
const RECORD_LEN: usize = 16 * 1024 - 40;

struct Bench {
    branch_key: RawAesKey,
    context: Context,
}

impl Bench {
    fn new() -> Self {
        let branch_key = RawAesKey::new(&[7; 32], "sealgate/5f0c9a", "main/1").expect("names fit");
        let pairs = [
            ("tenant", "5f0c9a"),
            ("policy", "1"),
            ("path", "/objects/42"),
        ];
        Self {
            branch_key,
            context: Context::from_pairs(pairs).expect("a small context"),
        }
    }

    fn seal(&self, plaintext: &[u8], chunk_len: usize, out: &mut Vec<u8>) {
        let data_key = DataKey::generate().expect("random bytes");
        let recipient = self
            .branch_key
            .wrap(&data_key, &self.context)
            .expect("random bytes");
        let settings = SealSettings {
            header_len_bytes: Some(512),
            ..SealSettings::default()
        };
        let (mut sealer, header) =
            Sealer::begin(&data_key, &self.context, &[recipient], settings).expect("fits");
        out.extend_from_slice(&header);
        for chunk in plaintext.chunks(chunk_len) {
            sealer.write(chunk, out).expect("few frames");
        }
        sealer.finish(out).expect("few frames");
    }

    fn open(&self, message: &[u8], chunk_len: usize, out: &mut Vec<u8>) {
        let Ok(ParsedHeader::Complete { header, len_bytes }) = Header::parse(message) else {
            panic!("sealed here");
        };
        let ours = header
            .recipients()
            .find(|recipient| self.branch_key.is_named_by(recipient))
            .expect("sealed here");
        let data_key = self
            .branch_key
            .unwrap(&ours, header.context())
            .expect("sealed here");
        let mut opener = Opener::begin(&header, &data_key).expect("sealed here");
        for chunk in message[len_bytes..].chunks(chunk_len) {
            opener.write(chunk, out).expect("sealed here");
        }
        black_box(opener.finish().expect("sealed here"));
    }
}

/// AES-256-GCM in frames of 64 KiB, out of place, from and to buffers that are there already.
fn seal_bare(key: &LessSafeKey, plaintext: &[u8], out: &mut [u8]) {
    let mut nonce = [0; 12];
    for (i, (frame, sealed)) in plaintext
        .chunks(FRAME_LEN)
        .zip(out.chunks_mut(FRAME_LEN + 16))
        .enumerate()
    {
        nonce[4..].copy_from_slice(&(i as u64).to_be_bytes());
        let (ciphertext, rest) = sealed.split_at_mut(frame.len());
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_out_of_place_scatter(
            nonce,
            Aad::from([0; 78]),
            frame,
            ciphertext,
            &[],
            &mut rest[..16],
        )
        .expect("seals");
    }
}

fn benches(criterion: &mut Criterion) {
    let bench = Bench::new();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[9; 32]).expect("32 bytes"));
    for (name, chunk_len) in [("aligned", usize::MAX), ("records", RECORD_LEN)] {
        let mut group = criterion.benchmark_group(format!("seal/{name}"));
        for size in SIZES {
            let plaintext = vec![0x5A; size];
            let mut out = Vec::with_capacity(size + size / 64 + 4096);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| {
                    out.clear();
                    bench.seal(black_box(&plaintext), chunk_len, &mut out);
                });
            });
        }
        group.finish();
        let mut group = criterion.benchmark_group(format!("open/{name}"));
        for size in SIZES {
            let mut message = Vec::new();
            bench.seal(&vec![0x5A; size], usize::MAX, &mut message);
            let mut out = Vec::with_capacity(size);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| {
                    out.clear();
                    bench.open(black_box(&message), chunk_len, &mut out);
                });
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("bare");
    for size in SIZES {
        let plaintext = vec![0x5A; size];
        let mut out = vec![0; size + size / 64 + 4096];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| seal_bare(&key, black_box(&plaintext), &mut out));
        });
    }
    group.finish();
}

criterion_group!(seal, benches);
criterion_main!(seal);
