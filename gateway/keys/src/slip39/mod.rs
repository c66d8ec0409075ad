//! SLIP-39: a secret split into shares of words, any M of which give it back (<https://github.com/satoshilabs/slips/blob/master/slip-0039.md>).
//!
//! Splitting writes one group; combining reads any number of groups. `words.txt` and `tests/vectors/slip39.json` are those of the reference
//! implementation (SatoshiLabs, MIT). No error holds a word: the words are the secret.

mod field;
mod share;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::{constant_time, hmac, pbkdf2, rand};
use sealgate_envelope::RandomUnavailable;
use std::num::NonZeroU32;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::SLIP39_EXPONENT_MOST;
use crate::secret::SecretText;
use field::interpolate;
use share::Share;
pub use share::ShareFault;

/// Most shares of a group, and most groups.
pub const SHARES_MOST: u8 = 16;

const SECRET_LEN_BYTES_LEAST: usize = 16;
const SECRET_INDEX: u8 = 255;
const DIGEST_INDEX: u8 = 254;
const DIGEST_LEN_BYTES: usize = 4;
const ROUNDS: u8 = 4;
const ROUND_ITERATIONS: u32 = 10_000 / ROUNDS as u32;
/// What the reference implementation takes.
const ITERATION_EXPONENT: u8 = 1;

type Bytes = Zeroizing<Vec<u8>>;

/// One share, as words. It has no `Debug`.
pub struct Mnemonic(SecretText);

impl Mnemonic {
    /// The words, with a space between.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// How many shares there are, and how many of them are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    threshold: u8,
    shares: u8,
}

impl Scheme {
    /// `threshold` of `shares`.
    ///
    /// # Errors
    /// [`SplitError::Scheme`] unless 2 <= threshold <= shares <= 16, or both are 1. The standard forbids 1 of many: those are copies.
    pub fn new(threshold: u8, shares: u8) -> Result<Self, SplitError> {
        let fits = threshold <= shares
            && (1..=SHARES_MOST).contains(&shares)
            && (threshold > 1 || (threshold, shares) == (1, 1));
        fits.then_some(Self { threshold, shares })
            .ok_or(SplitError::Scheme { threshold, shares })
    }
}

/// A secret that was not split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SplitError {
    /// A number of shares that the standard does not have.
    #[error(
        "{threshold} of {shares} shares cannot be; take a threshold from 2 up to the number of shares, which is at most {SHARES_MOST}"
    )]
    Scheme {
        /// How many should be enough.
        threshold: u8,
        /// How many there should be.
        shares: u8,
    },
    /// A secret of an odd length, or shorter than 16 bytes.
    #[error("a secret of {len_bytes} bytes cannot be split; take an even number from 16")]
    SecretLen {
        /// Its length.
        len_bytes: usize,
    },
    /// A passphrase with characters outside of printable ASCII.
    #[error("the passphrase may only have printable ASCII characters")]
    Passphrase,
    /// The system gave no random bytes.
    #[error(transparent)]
    RandomUnavailable(#[from] RandomUnavailable),
}

/// Shares that do not give a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CombineError {
    /// No share was given.
    #[error("there are no shares")]
    NoShares,
    /// One share is not well formed.
    #[error("share {number}: {fault}")]
    Share {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        fault: ShareFault,
    },
    /// Shares of different secrets.
    #[error("share {number} belongs to another set than share 1")]
    OtherSet {
        /// The first that does not belong to the first share's, from 1.
        number: usize,
    },
    /// Two shares have one place and differ.
    #[error("share {number} contradicts an earlier one that has its number")]
    Contradiction {
        /// The later one, from 1.
        number: usize,
    },
    /// There are too few shares, or groups.
    #[error("{found} of {needed} shares; {} more are needed", needed - found)]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The shares are well formed but do not fit each other: one is forged.
    #[error("the shares do not fit each other; one of them is forged")]
    Digest,
    /// The shares ask for more work than is done here. A forged share may ask for minutes of it.
    #[error(
        "the shares ask for 10000 * 2^{exponent} PBKDF2 iterations, and at most 10000 * 2^{SLIP39_EXPONENT_MOST} are done; another SLIP-39 program may do it, or one of them is forged"
    )]
    TooMuchWork {
        /// The standard's iteration exponent.
        exponent: u8,
    },
    /// A passphrase with characters outside of printable ASCII.
    #[error("the passphrase may only have printable ASCII characters")]
    Passphrase,
}

/// Splits a secret. The shares are extendable: a later split of the same secret may have another passphrase or set.
///
/// # Errors
/// [`SplitError`].
pub fn split(secret: &[u8], scheme: Scheme, passphrase: &str) -> Result<Vec<Mnemonic>, SplitError> {
    let len_bytes = secret.len();
    if len_bytes < SECRET_LEN_BYTES_LEAST || !len_bytes.is_multiple_of(2) {
        return Err(SplitError::SecretLen { len_bytes });
    }
    if !is_printable(passphrase) {
        return Err(SplitError::Passphrase);
    }
    let mut id = [0; 2];
    rand::fill(&mut id).map_err(|_| RandomUnavailable)?;
    let identifier = u16::from_be_bytes(id) & 0x7FFF;
    let rounds = Rounds::new(passphrase, ITERATION_EXPONENT, true, identifier);
    let encrypted = rounds.encrypt(secret);
    let shares = split_secret(&encrypted, scheme)?
        .into_iter()
        .map(|(index, value)| Share {
            identifier,
            is_extendable: true,
            iteration_exponent: ITERATION_EXPONENT,
            group_index: 0,
            group_threshold: 1,
            group_count: 1,
            index,
            member_threshold: scheme.threshold,
            value,
        });
    Ok(shares.map(|share| Mnemonic(share.to_words())).collect())
}

/// Gives back the secret. More shares than needed do no harm; the first ones are taken.
///
/// A wrong passphrase gives another secret and no error: that is the standard's intent.
///
/// # Errors
/// [`CombineError`].
pub fn combine(mnemonics: &[&str], passphrase: &str) -> Result<Bytes, CombineError> {
    if !is_printable(passphrase) {
        return Err(CombineError::Passphrase);
    }
    let groups = groups(mnemonics)?;
    let first = groups
        .values()
        .flatten()
        .next()
        .ok_or(CombineError::NoShares)?;
    let exponent = first.iteration_exponent;
    if exponent > SLIP39_EXPONENT_MOST {
        return Err(CombineError::TooMuchWork { exponent });
    }
    let mut group_secrets = Vec::new();
    let mut worst = None;
    for (group_index, shares) in &groups {
        let needed = usize::from(shares[0].member_threshold);
        if shares.len() < needed {
            let found = shares.len();
            worst.get_or_insert(CombineError::TooFew { found, needed });
            continue;
        }
        let values: Vec<(u8, &[u8])> = shares[..needed]
            .iter()
            .map(|share| (share.index, share.value.as_slice()))
            .collect();
        group_secrets.push((*group_index, recover_secret(&values)?));
    }
    let needed = usize::from(first.group_threshold);
    if group_secrets.len() < needed {
        let found = group_secrets.len();
        return Err(worst.unwrap_or(CombineError::TooFew { found, needed }));
    }
    let values: Vec<(u8, &[u8])> = group_secrets[..needed]
        .iter()
        .map(|(index, value)| (*index, value.as_slice()))
        .collect();
    let encrypted = recover_secret(&values)?;
    let rounds = Rounds::new(
        passphrase,
        first.iteration_exponent,
        first.is_extendable,
        first.identifier,
    );
    Ok(rounds.decrypt(&encrypted))
}

/// The shares by group, each once, of one set.
fn groups(mnemonics: &[&str]) -> Result<BTreeMap<u8, Vec<Share>>, CombineError> {
    let mut groups: BTreeMap<u8, Vec<Share>> = BTreeMap::new();
    let mut sets = BTreeSet::new();
    for (at, mnemonic) in mnemonics.iter().enumerate() {
        let number = at + 1;
        let share =
            Share::from_words(mnemonic).map_err(|fault| CombineError::Share { number, fault })?;
        sets.insert(share.set());
        let group = groups.entry(share.group_index).or_default();
        let is_of_group = group
            .first()
            .is_none_or(|first| first.member_threshold == share.member_threshold);
        if sets.len() > 1 || !is_of_group {
            return Err(CombineError::OtherSet { number });
        }
        match group.iter().find(|other| other.index == share.index) {
            None => group.push(share),
            Some(other) if *other.value == *share.value => {}
            Some(_) => return Err(CombineError::Contradiction { number }),
        }
    }
    Ok(groups)
}

fn split_secret(secret: &[u8], scheme: Scheme) -> Result<Vec<(u8, Bytes)>, RandomUnavailable> {
    if scheme.threshold == 1 {
        return Ok(vec![(0, Zeroizing::new(secret.to_vec()))]);
    }
    let random = |len: usize| {
        let mut bytes = Zeroizing::new(vec![0; len]);
        rand::fill(&mut bytes).map_err(|_| RandomUnavailable)?;
        Ok(bytes)
    };
    let random_shares = scheme.threshold - 2;
    let mut shares = Vec::new();
    for index in 0..random_shares {
        shares.push((index, random(secret.len())?));
    }
    let mut digest_share = random(secret.len())?;
    let digest = digest(&digest_share[DIGEST_LEN_BYTES..], secret);
    digest_share[..DIGEST_LEN_BYTES].copy_from_slice(&digest);
    let mut base: Vec<(u8, &[u8])> = shares
        .iter()
        .map(|(index, value)| (*index, value.as_slice()))
        .collect();
    base.push((DIGEST_INDEX, &digest_share));
    base.push((SECRET_INDEX, secret));
    let others: Vec<_> = (random_shares..scheme.shares)
        .map(|index| (index, interpolate(&base, index)))
        .collect();
    shares.extend(others);
    Ok(shares)
}

fn recover_secret(shares: &[(u8, &[u8])]) -> Result<Bytes, CombineError> {
    if let [(_, value)] = shares {
        return Ok(Zeroizing::new(value.to_vec()));
    }
    if shares
        .windows(2)
        .any(|pair| pair[0].1.len() != pair[1].1.len())
    {
        return Err(CombineError::Digest);
    }
    let secret = interpolate(shares, SECRET_INDEX);
    let digest_share = interpolate(shares, DIGEST_INDEX);
    let (found, random) = digest_share.split_at(DIGEST_LEN_BYTES);
    constant_time::verify_slices_are_equal(found, &digest(random, &secret))
        .map_err(|_| CombineError::Digest)?;
    Ok(secret)
}

fn digest(random: &[u8], secret: &[u8]) -> [u8; DIGEST_LEN_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, random), secret);
    let mut digest = [0; DIGEST_LEN_BYTES];
    digest.copy_from_slice(&tag.as_ref()[..DIGEST_LEN_BYTES]);
    digest
}

fn is_printable(passphrase: &str) -> bool {
    passphrase.bytes().all(|byte| (32..=126).contains(&byte))
}

/// The four-round Feistel cipher that puts the passphrase over the secret.
struct Rounds<'a> {
    passphrase: &'a str,
    iterations: NonZeroU32,
    salt: Vec<u8>,
}

impl<'a> Rounds<'a> {
    fn new(passphrase: &'a str, exponent: u8, is_extendable: bool, identifier: u16) -> Self {
        let mut salt = Vec::new();
        if !is_extendable {
            salt.extend_from_slice(share::customization(false));
            salt.extend_from_slice(&identifier.to_be_bytes());
        }
        // The exponent has four bits.
        let iterations = ROUND_ITERATIONS << (exponent & 0xF);
        Self {
            passphrase,
            iterations: NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN),
            salt,
        }
    }

    fn encrypt(&self, secret: &[u8]) -> Bytes {
        self.run(secret, 0..ROUNDS)
    }

    fn decrypt(&self, encrypted: &[u8]) -> Bytes {
        self.run(encrypted, (0..ROUNDS).rev())
    }

    fn run(&self, input: &[u8], rounds: impl Iterator<Item = u8>) -> Bytes {
        let half = input.len() / 2;
        let mut left = Zeroizing::new(input[..half].to_vec());
        let mut right = Zeroizing::new(input[half..].to_vec());
        for round in rounds {
            let mut password = Zeroizing::new(Vec::with_capacity(1 + self.passphrase.len()));
            password.push(round);
            password.extend_from_slice(self.passphrase.as_bytes());
            let mut salt = Zeroizing::new(Vec::with_capacity(self.salt.len() + half));
            salt.extend_from_slice(&self.salt);
            salt.extend_from_slice(&right);
            let mut mask = Zeroizing::new(vec![0; half]);
            let hmac = pbkdf2::PBKDF2_HMAC_SHA256;
            pbkdf2::derive(hmac, self.iterations, &salt, &password, &mut mask);
            for (byte, mask) in left.iter_mut().zip(mask.iter()) {
                *byte ^= mask;
            }
            std::mem::swap(&mut left, &mut right);
        }
        let mut output = Zeroizing::new(Vec::with_capacity(input.len()));
        output.extend_from_slice(&right);
        output.extend_from_slice(&left);
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(iteration_exponent: u8) -> SecretText {
        let share = Share {
            identifier: 1,
            is_extendable: true,
            iteration_exponent,
            group_index: 0,
            group_threshold: 1,
            group_count: 1,
            index: 0,
            member_threshold: 1,
            value: Zeroizing::new(vec![7; 32]),
        };
        share.to_words()
    }

    #[test]
    fn shares_that_ask_for_minutes_of_work_are_refused_before_it() {
        for exponent in [SLIP39_EXPONENT_MOST + 1, 15] {
            let refused = combine(&[&share(exponent)], "").err();
            assert_eq!(refused, Some(CombineError::TooMuchWork { exponent }));
        }
        assert!(combine(&[&share(2)], "").is_ok());
    }
}
