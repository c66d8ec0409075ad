//! Why a header is written once. Somebody adds a recipient to a header and tags it anew, with the right key. Whoever then sees both
//! headers, and no key at all, computes GCM's authentication key from the two tags and writes headers of their own that verify.
//!
//! The crate has no function that rewrites a header; this test does it by hand. If one is ever wanted, this is the answer. A further
//! recipient gets a grant, fewer recipients mean sealing anew.
//!
//! ```text
//! tag  = E(nonce) + GHASH(header), a polynomial in H over GF(2^128) whose coefficients are the header's blocks
//! tag1 + tag2 = GHASH(header1) + GHASH(header2): only H is unknown, and it is a root
//! ```

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA512, Salt};
use sealgate_envelope::{DataKey, Opener, Recipient, RefusalReason, SealSettings, Sealer};
use support::header;

const DATA_KEY: [u8; 32] = [0x5a; 32];
/// What follows the recipients: content type, frame length, commitment, tag.
const TAIL_LEN: usize = 1 + 4 + 32 + 16;

#[test]
fn two_headers_under_one_message_id_give_the_authentication_key_away() {
    let data_key = DataKey::from_bytes(&DATA_KEY);
    let (first, at) = seal(&data_key);
    let second = rewrite(&first, at);
    for honest in [&first, &second] {
        assert!(Opener::begin(&header(honest).0, &data_key).is_ok());
    }

    // From here on nothing but the two headers is used.
    let candidates = roots(&difference(&first, &second));
    let mut changed = first.clone();
    let path = changed.windows(4).position(|bytes| bytes == b"/a/b");
    changed[path.unwrap() + 3] = b'c';
    let refused = Opener::begin(&header(&changed).0, &data_key).err().unwrap();
    assert_eq!(refused.reason, RefusalReason::HeaderTagMismatch);

    let forged = candidates.iter().any(|h| {
        let forged = forge(&first, &changed, *h);
        let (header, _) = header(&forged);
        assert_eq!(header.context().value("path"), Some("/a/c"));
        Opener::begin(&header, &data_key).is_ok()
    });
    assert!(forged, "none of {} candidates", candidates.len());
}

#[test]
fn headers_of_different_messages_give_nothing_away() {
    let data_key = DataKey::from_bytes(&DATA_KEY);
    let ((first, _), (second, _)) = (seal(&data_key), seal(&data_key));
    let mut changed = first.clone();
    let path = changed.windows(4).position(|bytes| bytes == b"/a/b");
    changed[path.unwrap() + 3] = b'c';
    for h in roots(&difference(&first, &second)) {
        let (header, _) = header(&forge(&first, &changed, h));
        assert!(Opener::begin(&header, &data_key).is_err());
    }
}

/// A message's header, and where its recipient count stands.
fn seal(data_key: &DataKey) -> (Vec<u8>, usize) {
    let context = support::context();
    let recipients = support::recipients(data_key, &context);
    let (_, header) = Sealer::begin(data_key, &context, &recipients, SealSettings::default())
        .ok()
        .unwrap();
    (header, 37 + context.as_bytes().len())
}

/// What must never exist: the header with one more recipient under the same message id. It knows the data key.
fn rewrite(header: &[u8], count_at: usize) -> Vec<u8> {
    let recipient = Recipient::new(b"one more", b"recipient", &[0xEE; 48]).unwrap();
    let (recipients, tail) = header.split_at(header.len() - TAIL_LEN);
    let mut rewritten = [recipients, recipient.as_bytes(), &tail[..TAIL_LEN - 16]].concat();
    rewritten[count_at + 1] += 1;

    let prk = Salt::new(HKDF_SHA512, &header[3..35]).extract(&DATA_KEY);
    let okm = prk.expand(&[b"\x04\x78DERIVEKEY"], &AES_256_GCM).unwrap();
    let key = LessSafeKey::new(UnboundKey::from(okm));
    let (nonce, aad) = (
        Nonce::assume_unique_for_key([0; 12]),
        Aad::from(rewritten.clone()),
    );
    let tag = key.seal_in_place_separate_tag(nonce, aad, &mut []).unwrap();
    rewritten.extend_from_slice(tag.as_ref());
    rewritten
}

/// The header `changed` with a tag that follows from another header's and from H.
fn forge(known: &[u8], changed: &[u8], h: u128) -> Vec<u8> {
    let (known, changed) = (split(known), split(changed));
    let mask = known.1 ^ evaluate(&ghash(known.0), h);
    let tag = mask ^ evaluate(&ghash(changed.0), h);
    [changed.0, &tag.to_be_bytes()].concat()
}

/// The polynomial of which H is a root, lowest coefficient first.
fn difference(first: &[u8], second: &[u8]) -> Vec<u128> {
    let (first, second) = (split(first), split(second));
    let mut sum = add(&ghash(first.0), &ghash(second.0));
    sum[0] ^= first.1 ^ second.1;
    sum
}

fn split(header: &[u8]) -> (&[u8], u128) {
    let (authenticated, tag) = header.split_last_chunk::<16>().unwrap();
    (authenticated, u128::from_be_bytes(*tag))
}

/// GHASH of associated data as a polynomial in H: its blocks, and then the block of lengths (NIST SP 800-38D §6.4).
fn ghash(data: &[u8]) -> Vec<u128> {
    let blocks = data.chunks(16).map(|chunk| {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        u128::from_be_bytes(block)
    });
    let lengths = (data.len() as u128 * 8) << 64;
    let mut coefficients: Vec<u128> = blocks.chain([lengths, 0]).collect();
    coefficients.reverse();
    coefficients
}

/// One in GCM's order of bits.
const ONE: u128 = 1 << 127;

fn mul(a: u128, b: u128) -> u128 {
    let (mut product, mut shifted) = (0, b);
    for bit in (0..128).rev() {
        product ^= shifted * (a >> bit & 1);
        shifted = (shifted >> 1) ^ ((shifted & 1) * (0xE1 << 120));
    }
    product
}

/// a^(2^128 - 2): the inverse.
fn invert(a: u128) -> u128 {
    let (mut square, mut product) = (a, ONE);
    for _ in 1..128 {
        square = mul(square, square);
        product = mul(product, square);
    }
    product
}

fn evaluate(polynomial: &[u128], at: u128) -> u128 {
    polynomial.iter().rev().fold(0, |sum, c| mul(sum, at) ^ c)
}

fn add(a: &[u128], b: &[u128]) -> Vec<u128> {
    let len = a.len().max(b.len());
    let at = |p: &[u128], i: usize| p.get(i).copied().unwrap_or(0);
    trim((0..len).map(|i| at(a, i) ^ at(b, i)).collect())
}

fn trim(mut polynomial: Vec<u128>) -> Vec<u128> {
    while polynomial.last() == Some(&0) {
        polynomial.pop();
    }
    polynomial
}

fn monic(polynomial: &[u128]) -> Vec<u128> {
    let scale = polynomial.last().map_or(ONE, |lead| invert(*lead));
    polynomial.iter().map(|c| mul(*c, scale)).collect()
}

/// Quotient and remainder; the divisor is monic.
fn divide(dividend: &[u128], divisor: &[u128]) -> (Vec<u128>, Vec<u128>) {
    let (mut rest, degree) = (dividend.to_vec(), divisor.len() - 1);
    let mut quotient = vec![0; (rest.len()).saturating_sub(degree)];
    for i in (0..quotient.len()).rev() {
        quotient[i] = rest[i + degree];
        for (j, c) in divisor.iter().enumerate() {
            rest[i + j] ^= mul(quotient[i], *c);
        }
    }
    (quotient, trim(rest))
}

fn gcd(a: &[u128], b: &[u128]) -> Vec<u128> {
    let (mut a, mut b) = (monic(a), b.to_vec());
    while !b.is_empty() {
        b = monic(&b);
        (a, b) = (b.clone(), divide(&a, &b).1);
    }
    a
}

/// The square of a polynomial, which in characteristic two has the squares of its coefficients.
fn square(polynomial: &[u128], modulus: &[u128]) -> Vec<u128> {
    let mut squared = vec![0; 2 * polynomial.len()];
    for (i, c) in polynomial.iter().enumerate() {
        squared[2 * i] = mul(*c, *c);
    }
    divide(&trim(squared), modulus).1
}

/// All roots in GF(2^128): what the polynomial has in common with X^(2^128) + X, parted by Berlekamp's trace algorithm.
fn roots(polynomial: &[u128]) -> Vec<u128> {
    let modulus = monic(polynomial);
    let x = [0, ONE];
    let power = (0..128).fold(x.to_vec(), |power, _| square(&power, &modulus));
    let mut roots = Vec::new();
    let mut unsplit = vec![(gcd(&modulus, &add(&power, &x)), 0)];
    while let Some((factor, bit)) = unsplit.pop() {
        match factor.as_slice() {
            [] | [_] => {}
            [constant, _one] => roots.push(*constant),
            _ => {
                // Any two roots differ in the trace of their multiple with some element of a basis.
                let mut term = divide(&[0, 1 << bit], &factor).1;
                let mut trace = term.clone();
                for _ in 1..128 {
                    term = square(&term, &factor);
                    trace = add(&trace, &term);
                }
                let part = gcd(&factor, &trace);
                let (other, _) = divide(&factor, &part);
                unsplit.extend([(part, bit + 1), (other, bit + 1)]);
            }
        }
    }
    roots
}
