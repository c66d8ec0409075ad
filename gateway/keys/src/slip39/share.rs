//! One share: words to numbers and back, with the checksum.

use std::sync::LazyLock;

use thiserror::Error;
use zeroize::Zeroizing;

use super::Bytes;
use crate::secret::SecretText;

const WORD_BITS: u32 = 10;
const HEAD_WORDS: usize = 4;
const CHECKSUM_WORDS: usize = 3;
const WORDS_LEAST: usize = 20;
/// A secret of 64 bytes; the standard knows no longer one in use.
const WORDS_MOST: usize = 59;

/// Sorted, all different in their first four letters.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("words.txt").lines().collect());

/// A share that is not well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareFault {
    /// A word that is not in the list.
    #[error("word {position} is not in the word list")]
    UnknownWord {
        /// Which, from 1.
        position: usize,
    },
    /// A number of words that no share has.
    #[error("{found} words; a share has {WORDS_LEAST} or 33")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// Some word is wrong, or two are swapped.
    #[error("the checksum does not match: a word is wrong or in a wrong place")]
    Checksum,
    /// Padding that is not zero.
    #[error("the padding is not zero")]
    Padding,
    /// A group threshold above the number of groups.
    #[error("it asks for more groups than there are")]
    Groups,
}

pub(super) struct Share {
    pub(super) identifier: u16,
    pub(super) is_extendable: bool,
    pub(super) iteration_exponent: u8,
    pub(super) group_index: u8,
    pub(super) group_threshold: u8,
    pub(super) group_count: u8,
    pub(super) index: u8,
    pub(super) member_threshold: u8,
    pub(super) value: Bytes,
}

impl Share {
    /// What all shares of one split have in common.
    pub(super) fn set(&self) -> (u16, bool, u8, u8, u8, usize) {
        (
            self.identifier,
            self.is_extendable,
            self.iteration_exponent,
            self.group_threshold,
            self.group_count,
            self.value.len(),
        )
    }

    pub(super) fn from_words(text: &str) -> Result<Self, ShareFault> {
        let numbers = numbers(text)?;
        let found = numbers.len();
        let value_words = found.saturating_sub(HEAD_WORDS + CHECKSUM_WORDS);
        let padding = (WORD_BITS * value_words as u32) % 16;
        if !(WORDS_LEAST..=WORDS_MOST).contains(&found) || padding > 8 {
            return Err(ShareFault::Length { found });
        }
        let head = numbers[..HEAD_WORDS]
            .iter()
            .fold(0_u64, |head, number| head << WORD_BITS | u64::from(*number));
        let nibble = |at: u32| ((head >> (4 * at)) & 0xF) as u8;
        let is_extendable = (head >> 24) & 1 == 1;
        if polymod(customization(is_extendable), &numbers) != 1 {
            return Err(ShareFault::Checksum);
        }
        let (group_threshold, group_count) = (nibble(3) + 1, nibble(2) + 1);
        if group_threshold > group_count {
            return Err(ShareFault::Groups);
        }
        let value = unpack(&numbers[HEAD_WORDS..HEAD_WORDS + value_words], padding)?;
        Ok(Self {
            identifier: ((head >> 25) & 0x7FFF) as u16,
            is_extendable,
            iteration_exponent: nibble(5),
            group_index: nibble(4),
            group_threshold,
            group_count,
            index: nibble(1),
            member_threshold: nibble(0) + 1,
            value,
        })
    }

    pub(super) fn to_words(&self) -> SecretText {
        let nibbles = [
            self.iteration_exponent,
            self.group_index,
            self.group_threshold - 1,
            self.group_count - 1,
            self.index,
            self.member_threshold - 1,
        ];
        let head = u64::from(self.identifier) << 1 | u64::from(self.is_extendable);
        let head = nibbles
            .iter()
            .fold(head, |head, nibble| head << 4 | u64::from(*nibble));
        let mut numbers = Zeroizing::new(Vec::with_capacity(WORDS_MOST));
        numbers.extend((0..HEAD_WORDS as u32).rev().map(|at| word_of(head, at)));
        pack(&self.value, &mut numbers);
        let end = numbers.len();
        numbers.extend([0; CHECKSUM_WORDS]);
        let checksum = polymod(customization(self.is_extendable), &numbers) ^ 1;
        for (slot, at) in numbers[end..]
            .iter_mut()
            .zip((0..CHECKSUM_WORDS as u32).rev())
        {
            *slot = word_of(checksum.into(), at);
        }
        // A word has at most eight letters.
        let mut text = Zeroizing::new(String::with_capacity(numbers.len() * 9));
        for (at, number) in numbers.iter().enumerate() {
            if at > 0 {
                text.push(' ');
            }
            text.push_str(WORDS[usize::from(*number)]);
        }
        text
    }
}

pub(super) fn customization(is_extendable: bool) -> &'static [u8] {
    match is_extendable {
        true => b"shamir_extendable",
        false => b"shamir",
    }
}

/// The word at place `at`, counted from the end.
fn word_of(bits: u64, at: u32) -> u16 {
    ((bits >> (WORD_BITS * at)) & 0x3FF) as u16
}

fn numbers(text: &str) -> Result<Zeroizing<Vec<u16>>, ShareFault> {
    let mut numbers = Zeroizing::new(Vec::with_capacity(WORDS_MOST + 1));
    for (at, word) in text.split_ascii_whitespace().enumerate() {
        if at > WORDS_MOST {
            let found = text.split_ascii_whitespace().count();
            return Err(ShareFault::Length { found });
        }
        let word = Zeroizing::new(word.to_ascii_lowercase());
        let number = WORDS
            .binary_search(&word.as_str())
            .map_err(|_| ShareFault::UnknownWord { position: at + 1 })?;
        numbers.push(number as u16);
    }
    Ok(numbers)
}

/// Ten bits a word to eight bits a byte; the first `padding` bits are zero.
fn unpack(words: &[u16], padding: u32) -> Result<Bytes, ShareFault> {
    let mut value = Zeroizing::new(Vec::with_capacity(words.len() * 2));
    let (mut held, mut held_bits) = (0_u32, 0);
    for (at, word) in words.iter().enumerate() {
        held = held << WORD_BITS | u32::from(*word);
        held_bits += WORD_BITS;
        if at == 0 {
            held_bits -= padding;
            if held >> held_bits != 0 {
                return Err(ShareFault::Padding);
            }
        }
        while held_bits >= 8 {
            held_bits -= 8;
            value.push((held >> held_bits) as u8);
            held &= (1 << held_bits) - 1;
        }
    }
    Ok(value)
}

/// The inverse of [`unpack`].
fn pack(value: &[u8], words: &mut Vec<u16>) {
    let bits = 8 * value.len() as u32;
    let (mut held, mut held_bits) = (0_u32, bits.next_multiple_of(WORD_BITS) - bits);
    for byte in value {
        held = held << 8 | u32::from(*byte);
        held_bits += 8;
        while held_bits >= WORD_BITS {
            held_bits -= WORD_BITS;
            words.push((held >> held_bits) as u16);
            held &= (1 << held_bits) - 1;
        }
    }
}

/// RS1024: a Reed-Solomon code that finds any three wrong words.
fn polymod(customization: &[u8], numbers: &[u16]) -> u32 {
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
    let values = customization
        .iter()
        .map(|byte| u32::from(*byte))
        .chain(numbers.iter().map(|number| u32::from(*number)));
    values.fold(1, |sum, value| {
        let top = sum >> 20;
        GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| (top >> bit) & 1 == 1)
            .fold((sum & 0xF_FFFF) << 10 ^ value, |sum, (_, generator)| {
                sum ^ generator
            })
    })
}
