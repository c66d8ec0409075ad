//! What messages cost at least: their key derivations, AEAD calls and random bytes, called directly and in the fewest calls that the
//! library allows. No parsing, no checks of shape, no allocation, no header.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk};
use aws_lc_rs::hmac::{self, HMAC_SHA512};
use aws_lc_rs::rand;
use sealgate_envelope::Header;

pub const FRAME_LEN: usize = 64 * 1024;
pub const TAG_LEN: usize = 16;
/// A regular frame's number and IV.
const FRAME_HEAD: usize = 16;
/// The same and its tag.
pub const FRAME_OVERHEAD: usize = FRAME_HEAD + TAG_LEN;

pub fn key(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes"))
}

fn nonce(number: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn seal(key: &LessSafeKey, nonce: Nonce, aad: &[u8], plaintext: &[u8], sealed: &mut [u8]) {
    let (ciphertext, tag) = sealed.split_at_mut(plaintext.len());
    key.seal_out_of_place_scatter(nonce, Aad::from(aad), plaintext, ciphertext, &[], tag)
        .expect("seals");
}

fn open(key: &LessSafeKey, nonce: Nonce, aad: &[u8], sealed: &[u8], plaintext: &mut [u8]) {
    let (ciphertext, tag) = sealed.split_at(plaintext.len());
    key.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext)
        .expect("sealed here");
}

/// The two keys of a message, from its data key and id: one HKDF-Extract, two HKDF-Expand.
pub struct Keys {
    message_id: [u8; 32],
    message_key: LessSafeKey,
    commitment: [u8; 32],
}

impl Keys {
    pub fn derive(data_key: &[u8; 32], message_id: &[u8; 32]) -> Self {
        let mut prk = [0; 64];
        hmac::sign_to_buffer(&hmac::Key::new(HMAC_SHA512, message_id), data_key, &mut prk)
            .expect("64 bytes");
        let prk = Prk::new_less_safe(HKDF_SHA512, &prk);
        let mut commitment = [0; 32];
        prk.expand(&[b"COMMITKEY"], ThirtyTwo)
            .and_then(|okm| okm.fill(&mut commitment))
            .expect("32 bytes");
        let okm = prk.expand(&[b"\x04\x78DERIVEKEY"], &AES_256_GCM);
        Self {
            message_id: *message_id,
            message_key: LessSafeKey::new(UnboundKey::from(okm.expect("32 bytes"))),
            commitment,
        }
    }
}

#[derive(Clone, Copy)]
struct ThirtyTwo;

impl KeyType for ThirtyTwo {
    fn len(&self) -> usize {
        32
    }
}

/// What a frame's tag authenticates: message id, label, number, length.
fn aad<const LEN: usize>(
    message_id: &[u8; 32],
    label: &[u8],
    number: u32,
    len: usize,
) -> [u8; LEN] {
    let mut aad = [0; LEN];
    let numbers_at = 32 + label.len();
    aad[..32].copy_from_slice(message_id);
    aad[32..numbers_at].copy_from_slice(label);
    aad[numbers_at..numbers_at + 4].copy_from_slice(&number.to_be_bytes());
    aad[numbers_at + 4..].copy_from_slice(&(len as u64).to_be_bytes());
    aad
}

fn regular_aad(message_id: &[u8; 32], number: u32) -> [u8; 72] {
    aad(
        message_id,
        b"AWSKMSEncryptionClient Frame",
        number,
        FRAME_LEN,
    )
}

fn final_aad(message_id: &[u8; 32], len: usize) -> [u8; 78] {
    aad(message_id, b"AWSKMSEncryptionClient Final Frame", 1, len)
}

/// Seals `plaintext` in frames of 64 KiB, each to its place in a message.
pub fn seal_frames(keys: &Keys, plaintext: &[u8], sealed: &mut [u8]) {
    let frames = sealed.chunks_exact_mut(FRAME_LEN + FRAME_OVERHEAD);
    for ((plaintext, sealed), number) in plaintext.chunks_exact(FRAME_LEN).zip(frames).zip(1..) {
        let aad = regular_aad(&keys.message_id, number);
        let sealed = &mut sealed[FRAME_HEAD..];
        seal(&keys.message_key, nonce(number), &aad, plaintext, sealed);
    }
}

/// Opens the frames of a message from number `first` on.
pub fn open_frames(keys: &Keys, first: u32, sealed: &[u8], plaintext: &mut [u8]) {
    let frames = sealed.chunks_exact(FRAME_LEN + FRAME_OVERHEAD);
    for ((plaintext, sealed), number) in plaintext
        .chunks_exact_mut(FRAME_LEN)
        .zip(frames)
        .zip(first..)
    {
        let aad = regular_aad(&keys.message_id, number);
        let sealed = &sealed[FRAME_HEAD..];
        open(&keys.message_key, nonce(number), &aad, sealed, plaintext);
    }
}

/// Where in a message is what opening needs.
pub struct Parts<'a> {
    message: &'a [u8],
    context: &'a [u8],
    header_len: usize,
    wrap_nonce: [u8; 12],
    wrapped: &'a [u8],
}

/// The parts of `message`, whose header is `header` and whose first recipient is a raw AES one.
pub fn parts<'a>(message: &'a [u8], header: &'a Header) -> Parts<'a> {
    let recipient = header.recipients().next().expect("one recipient");
    Parts {
        message,
        context: header.context().as_bytes(),
        header_len: header.as_bytes().len(),
        wrap_nonce: *recipient.provider_info.last_chunk().expect("an IV"),
        wrapped: recipient.ciphertext,
    }
}

/// A final frame's mark, number, IV and length.
const FINAL_HEAD: usize = 4 + 4 + 12 + 4;

/// Random id, data key and wrapping nonce; wrap; derivations; header tag; frame. As long as `like`, from which it takes the bytes to
/// authenticate.
pub fn seal_small(branch_key: &LessSafeKey, like: &Parts<'_>, plaintext: &[u8], sealed: &mut [u8]) {
    let mut random = [0; 32 + 32 + 12];
    rand::fill(&mut random).expect("random bytes");
    let (message_id, rest) = random.split_first_chunk::<32>().expect("76 bytes");
    let (data_key, wrap_nonce) = rest.split_first_chunk::<32>().expect("44 bytes");
    let wrap_nonce = Nonce::try_assume_unique_for_key(wrap_nonce).expect("12 bytes");
    let mut wrapped = [0; 48];
    seal(branch_key, wrap_nonce, like.context, data_key, &mut wrapped);
    let keys = Keys::derive(data_key, message_id);
    let mut tag = [0; TAG_LEN];
    let header = &like.message[..like.header_len - TAG_LEN];
    seal(&keys.message_key, nonce(0), header, &[], &mut tag);
    let aad = final_aad(message_id, plaintext.len());
    seal(&keys.message_key, nonce(1), &aad, plaintext, sealed);
    black_box((wrapped, tag, keys.commitment));
}

/// Unwrap; derivations; commitment; header tag.
pub fn open_header(branch_key: &LessSafeKey, parts: &Parts<'_>) -> Keys {
    let mut data_key = [0; 32];
    let wrap_nonce = Nonce::assume_unique_for_key(parts.wrap_nonce);
    open(
        branch_key,
        wrap_nonce,
        parts.context,
        parts.wrapped,
        &mut data_key,
    );
    let message_id = parts.message[3..].first_chunk().expect("a header");
    let keys = Keys::derive(&data_key, message_id);
    let (header, tag) = parts.message[..parts.header_len].split_at(parts.header_len - TAG_LEN);
    let commitment = &header[header.len() - 32..];
    verify_slices_are_equal(&keys.commitment, commitment).expect("sealed here");
    open(&keys.message_key, nonce(0), header, tag, &mut []);
    keys
}

/// The header; the one frame.
pub fn open_small(branch_key: &LessSafeKey, parts: &Parts<'_>, plaintext: &mut [u8]) {
    let keys = open_header(branch_key, parts);
    let aad = final_aad(&keys.message_id, plaintext.len());
    let frame = &parts.message[parts.header_len + FINAL_HEAD..];
    open(&keys.message_key, nonce(1), &aad, frame, plaintext);
}
