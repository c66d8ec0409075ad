//! What the tests share: the real program, clients, and upstreams that do as they are told.
//!
//! Nothing here sleeps in order to wait for something: every wait is on an event and ends in a panic
//! after [`DEADLINE`], so a gateway that hangs is a failed test and not a stuck one.
#![allow(dead_code, unused_imports)]

pub mod pki;
pub mod program;
pub mod tls;
pub mod tcp;
pub mod http;
pub mod objects;
pub mod tools;
pub mod watch;

use std::time::Duration;

pub use pki::{Identity, Site};
pub use program::{Gateway, free_address};
pub use tls::End;

/// Far longer than anything here takes, also on a machine that does other things.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes that no compression, repetition or shift makes look alike.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Whether `needle` stands in `haystack`.
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty()
        && haystack
            .windows(needle.len())
            .any(|window| window == needle)
}
