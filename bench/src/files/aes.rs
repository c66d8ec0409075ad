//! Bare AES-256-GCM in memory: what sealing and opening cannot cost less than.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::cpu;

/// What is sealed at once: as long as a frame.
const FRAME_LEN_BYTES: usize = 64 * 1024;

/// Seals `len` bytes in memory, in one buffer over and over, with one key.
pub fn cost(len: u64) -> Duration {
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("the key is as long as it has to be");
    let key = LessSafeKey::new(key);
    let mut buffer = vec![0; FRAME_LEN_BYTES];
    let pid = std::process::id();
    let used = || cpu::used_by(pid).expect("this process lives");
    let before = used();
    for number in 0..len.div_ceil(FRAME_LEN_BYTES as u64) {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from([0; 32]), &mut buffer);
        let _ = std::hint::black_box(tag.expect("a frame is short enough"));
    }
    used().saturating_sub(before)
}
