//! SLIP-39 shares out of foreign bytes. As text, they hardly ever get past the checksum; so the same bytes are also taken as the fields of
//! shares whose checksum is right, as a forger would write them.
//!
//! As fields: a share is head (5 bytes), length of the value in words, value (2 bytes a word).

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealgate_keys::slip39::{CombineError, combine};

static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    include_str!("../../keys/src/slip39/words.txt")
        .lines()
        .collect()
});
const SHARES_MOST: usize = 20;
/// Which bits of the head hold the iteration exponent. Zero, so that what is combined is stretched a hundredth of a second at most.
const EXPONENT: u64 = 0xF << 20;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let lines: Vec<&str> = text.lines().take(SHARES_MOST).collect();
        check(&lines);
    }
    let forged = forge(bytes);
    check(&forged.iter().map(String::as_str).collect::<Vec<_>>());
});

fn check(shares: &[&str]) {
    // A longer way of the same: stretching takes as long as the exponent says.
    if shares.iter().any(|share| has_long_exponent(share)) {
        return;
    }
    match combine(shares, "") {
        Ok(secret) => {
            assert!(secret.len() >= 16 && secret.len().is_multiple_of(2));
            let twice: Vec<&str> = shares.iter().chain(shares).copied().collect();
            assert_eq!(combine(&twice, ""), Ok(secret), "a share twice is a share");
        }
        Err(
            CombineError::Share { number, .. }
            | CombineError::OtherSet { number }
            | CombineError::Contradiction { number },
        ) => assert!((1..=shares.len()).contains(&number)),
        Err(CombineError::TooFew { found, needed }) => assert!(found < needed),
        Err(CombineError::NoShares) => assert!(shares.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The exponent is in the second half of the second word and the first half of the third.
fn has_long_exponent(share: &str) -> bool {
    let numbers = share
        .split_ascii_whitespace()
        .take(4)
        .map(|word| WORDS.binary_search(&word.to_ascii_lowercase().as_str()));
    let head = numbers.fold(0, |head, number| head << 10 | number.unwrap_or(0) as u64);
    head & EXPONENT > 1 << 20
}

fn forge(mut bytes: &[u8]) -> Vec<String> {
    let mut shares = Vec::new();
    while let [a, b, c, d, e, len, rest @ ..] = bytes {
        let head = u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e]) & !EXPONENT;
        let len = usize::from(*len % 64).min(rest.len() / 2);
        let (value, after) = rest.split_at(2 * len);
        let mut numbers: Vec<u16> = (0..4)
            .rev()
            .map(|at| (head >> (10 * at)) as u16 & 0x3FF)
            .collect();
        numbers.extend(
            value
                .chunks(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]) & 0x3FF),
        );
        numbers.extend([0; 3]);
        let is_extendable = head >> 24 & 1 == 1;
        let checksum = polymod(is_extendable, &numbers) ^ 1;
        let end = numbers.len();
        for at in 0..3 {
            numbers[end - 1 - at] = (checksum >> (10 * at)) as u16 & 0x3FF;
        }
        let words: Vec<&str> = numbers
            .iter()
            .map(|number| WORDS[usize::from(*number)])
            .collect();
        shares.push(words.join(" "));
        bytes = after;
        if shares.len() == SHARES_MOST {
            break;
        }
    }
    shares
}

/// RS1024, from the standard's text.
fn polymod(is_extendable: bool, numbers: &[u16]) -> u32 {
    const GENERATOR: [u32; 10] = [
        0x00E0_E040,
        0x01C1_C080,
        0x0383_8100,
        0x0707_0200,
        0x0E0E_0009,
        0x1C0C_2412,
        0x3808_6C24,
        0x3090_FC48,
        0x21B1_F890,
        0x03F3_F120,
    ];
    let customization: &[u8] = if is_extendable {
        b"shamir_extendable"
    } else {
        b"shamir"
    };
    let values = customization.iter().map(|byte| u32::from(*byte));
    values
        .chain(numbers.iter().map(|number| u32::from(*number)))
        .fold(1, |sum, value| {
            let shifted = (sum & 0xF_FFFF) << 10 ^ value;
            let taken = (0..10).filter(|bit| sum >> 20 >> bit & 1 == 1);
            taken.fold(shifted, |sum, bit| sum ^ GENERATOR[bit])
        })
}
