//! SLIP-39 against the official vectors, and round trips of our own.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use proptest::prelude::*;
use sealgate_keys::slip39::{CombineError, Scheme, ShareFault, SplitError, combine, split};

#[derive(serde::Deserialize)]
struct Vector(String, Vec<String>, String, #[allow(dead_code)] String);

#[test]
fn the_official_vectors_hold() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/slip39.json")).unwrap();
    assert_eq!(vectors.len(), 45);
    let mut refused = 0;
    for Vector(name, mnemonics, secret, _) in &vectors {
        let mnemonics: Vec<&str> = mnemonics.iter().map(String::as_str).collect();
        match combine(&mnemonics, "TREZOR") {
            Ok(found) => {
                let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(&hex, secret, "{name}");
            }
            Err(error) => {
                assert_eq!(secret, "", "{name}: {error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 30);
}

fn texts(mnemonics: &[sealgate_keys::slip39::Mnemonic]) -> Vec<String> {
    mnemonics
        .iter()
        .map(|share| share.expose().to_owned())
        .collect()
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn each_refusal_says_which_share_and_why_and_never_a_word() {
    let secret = [7; 32];
    let ours = texts(&split(&secret, Scheme::new(3, 5).unwrap(), "").unwrap());
    let other = texts(&split(&secret, Scheme::new(3, 5).unwrap(), "").unwrap());
    let combine = |shares: &[&str]| combine(shares, "").map(|secret| secret.to_vec());
    assert_eq!(combine(&[]), Err(CombineError::NoShares));
    assert_eq!(
        combine(&[&ours[0], &ours[4]]),
        Err(CombineError::TooFew {
            found: 2,
            needed: 3
        })
    );
    assert_eq!(
        combine(&[&ours[0], &ours[0], &ours[1]]),
        Err(CombineError::TooFew {
            found: 2,
            needed: 3
        })
    );
    assert_eq!(
        combine(&[&ours[0], &other[1], &ours[2]]),
        Err(CombineError::OtherSet { number: 2 })
    );
    let fault = |text: &str| match combine(&[&ours[0], text]) {
        Err(CombineError::Share { number: 2, fault }) => fault,
        other => panic!("{other:?}"),
    };
    let words: Vec<&str> = ours[1].split(' ').collect();
    let changed = |at: usize, word: &str| {
        let mut words = words.clone();
        words[at] = word;
        words.join(" ")
    };
    assert_eq!(
        fault(&changed(5, "sealgate")),
        ShareFault::UnknownWord { position: 6 }
    );
    let swap = if words[9] == "academic" {
        "acid"
    } else {
        "academic"
    };
    assert_eq!(fault(&changed(9, swap)), ShareFault::Checksum);
    assert_eq!(
        fault(&words[..19].join(" ")),
        ShareFault::Length { found: 19 }
    );
    assert_eq!(
        fault(&[words[0]; 300].join(" ")),
        ShareFault::Length { found: 300 }
    );
    assert_eq!(fault(""), ShareFault::Length { found: 0 });
    assert_eq!(combine(&as_strs(&ours)), Ok(secret.to_vec()), "all five");
    let shouted = ours[2].to_uppercase();
    assert_eq!(
        combine(&[&ours[4], &shouted, &format!("  {}\n", ours[0])]),
        Ok(secret.to_vec())
    );
}

#[test]
fn what_cannot_be_split_is_refused() {
    for (threshold, shares) in [(0, 0), (0, 1), (1, 2), (3, 2), (2, 17), (17, 17)] {
        let refused = Scheme::new(threshold, shares);
        assert_eq!(refused, Err(SplitError::Scheme { threshold, shares }));
    }
    let scheme = Scheme::new(2, 3).unwrap();
    for len_bytes in [0, 14, 17] {
        let refused = split(&vec![1; len_bytes], scheme, "").err();
        assert_eq!(refused, Some(SplitError::SecretLen { len_bytes }));
    }
    assert_eq!(
        split(&[1; 16], scheme, "ü").err(),
        Some(SplitError::Passphrase)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_threshold_of_shares_gives_the_secret_back(
        secret in any::<[u8; 32]>(), (shares, threshold) in (2..=16_u8).prop_flat_map(|n| (Just(n), 2..=n)),
        seed in any::<u64>(), passphrase in "[ -~]{0,8}",
    ) {
        let mut words = texts(&split(&secret, Scheme::new(threshold, shares).unwrap(), &passphrase).unwrap());
        prop_assert!(words.iter().all(|share| share.split(' ').count() == 33));
        let first = (seed % words.len() as u64) as usize;
        words.rotate_left(first);
        words.truncate(threshold.into());
        prop_assert_eq!(combine(&as_strs(&words), &passphrase).unwrap().to_vec(), secret);
        words.pop();
        prop_assert!(combine(&as_strs(&words), &passphrase).is_err());
    }
}
