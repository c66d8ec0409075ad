//! HKDF (RFC 5869) for the TLS 1.3 key schedule, with the HMAC state of each secret kept.
//!
//! A handshake derives some twenty keys from eight secrets. aws-lc-rs's own HKDF takes each derivation as
//! new: it extracts again, and hashes the padded secret again, which doubles the compressions. Where SHA-384 has no vector code,
//! as in aws-lc on AMD, that is 3 % of a full handshake with connect and close.
//!
//! The primitive is aws-lc's HMAC, which wipes its own state. What is derived here is wiped where it stood before it went to
//! its caller; copies that the compiler makes in moving a key are beyond us, as they are for every key.

use std::sync::OnceLock;

use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA384};
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};
use zeroize::{Zeroize, Zeroizing};

/// HKDF over one hash.
pub(crate) struct HmacHkdf {
    algorithm: hmac::Algorithm,
    /// Of zeros under zeros: the Early Secret of every handshake without a ticket (RFC 8446 §7.1), and no secret.
    of_nothing: OnceLock<hmac::Key>,
}

/// For suites that end in SHA-256.
pub(crate) static HKDF_SHA256: HmacHkdf = HmacHkdf::new(HMAC_SHA256);
/// For suites that end in SHA-384.
pub(crate) static HKDF_SHA384: HmacHkdf = HmacHkdf::new(HMAC_SHA384);

/// A pseudo-random key, as HMAC keeps it.
struct Expander(hmac::Key);

/// The longest `HashLen` there is here.
const HASH_LEN_MOST: usize = OkmBlock::MAX_LEN;
/// `L` is at most so many times `HashLen` (RFC 5869 §2.3).
const BLOCKS_MOST: usize = 255;

/// Room for the input of one block, with the labels of TLS 1.3 and a hash as context (RFC 8446 §7.1).
const SHORT_LEN: usize = 192;

impl HmacHkdf {
    const fn new(algorithm: hmac::Algorithm) -> HmacHkdf {
        HmacHkdf {
            algorithm,
            of_nothing: OnceLock::new(),
        }
    }

    fn hash_len(&self) -> usize {
        self.algorithm.tag_len()
    }

    fn key(&self, bytes: &[u8]) -> hmac::Key {
        hmac::Key::new(self.algorithm, bytes)
    }

    /// HKDF-Extract (RFC 5869 §2.2); no salt is zeros.
    fn extract(&self, salt: Option<&[u8]>, secret: &[u8]) -> hmac::Key {
        let zeros = [0; HASH_LEN_MOST];
        let salt = salt.unwrap_or(&zeros[..self.hash_len()]);
        self.key(mac(&self.key(salt), secret).as_ref())
    }
}

/// The first bytes of the HMAC of `data`, at most all.
fn mac_into(key: &hmac::Key, data: &[u8], out: &mut [u8]) {
    // It refuses only a buffer that is shorter than the tag.
    let sign = |out: &mut [u8]| {
        hmac::sign_to_buffer(key, data, out).expect("the buffer holds the tag");
    };
    if out.len() == key.algorithm().tag_len() {
        return sign(out);
    }
    let mut tag = [0; HASH_LEN_MOST];
    let tag = &mut tag[..key.algorithm().tag_len()];
    sign(tag);
    out.copy_from_slice(&tag[..out.len()]);
    tag.zeroize();
}

/// Key material as long as the hash.
fn mac(key: &hmac::Key, data: &[u8]) -> OkmBlock {
    let mut tag = [0; HASH_LEN_MOST];
    let tag = &mut tag[..key.algorithm().tag_len()];
    mac_into(key, data, tag);
    let block = OkmBlock::new(tag);
    tag.zeroize();
    block
}

impl Hkdf for HmacHkdf {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        let zeros = &[0; HASH_LEN_MOST][..self.hash_len()];
        let key = match salt {
            Some(_) => self.extract(salt, zeros),
            None => {
                let key = self.of_nothing.get_or_init(|| self.extract(None, zeros));
                key.clone()
            }
        };
        Box::new(Expander(key))
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        Box::new(Expander(self.extract(salt, secret)))
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Expander(self.key(okm.as_ref())))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        Tag::new(mac(&self.key(key.as_ref()), message).as_ref())
    }
}

impl Expander {
    /// T(1), T(2), ... of RFC 5869 §2.3; the caller has checked the length.
    fn expand(&self, info: &[&[u8]], output: &mut [u8]) {
        let hash_len = self.hash_len();
        // The block before, the info, a counter.
        let len = hash_len + info.iter().map(|part| part.len()).sum::<usize>() + 1;
        let (mut short, mut long) = ([0; SHORT_LEN], Zeroizing::new(Vec::new()));
        let input = match short.get_mut(..len) {
            Some(input) => input,
            None => {
                long.resize(len, 0);
                &mut long
            }
        };
        let mut end = hash_len;
        for part in info {
            input[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        let mut blocks = output.chunks_mut(hash_len).zip(1..=u8::MAX).peekable();
        while let Some((block, counter)) = blocks.next() {
            input[end] = counter;
            let begin = if counter == 1 { hash_len } else { 0 };
            mac_into(&self.0, &input[begin..], block);
            if blocks.peek().is_some() {
                input[..hash_len].copy_from_slice(block);
            }
        }
        if output.len() > hash_len {
            input[..hash_len].zeroize();
        }
    }
}

impl HkdfExpander for Expander {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        if output.len() > BLOCKS_MOST * self.hash_len() {
            return Err(OutputLengthError);
        }
        self.expand(info, output);
        Ok(())
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        let mut block = [0; HASH_LEN_MOST];
        let block = &mut block[..self.hash_len()];
        self.expand(info, block);
        let okm = OkmBlock::new(block);
        block.zeroize();
        okm
    }

    fn hash_len(&self) -> usize {
        self.0.algorithm().tag_len()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hkdf as reference;

    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_vectors_of_rfc_5869_come_out() {
        let long = |from: u8| (from..=from + 0x4f).collect::<Vec<_>>();
        for (ikm, salt, info, okm) in [
            (
                vec![0x0b; 22],
                Some((0..=0x0c).collect::<Vec<u8>>()),
                (0xf0..=0xf9).collect::<Vec<u8>>(),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
            ),
            (
                long(0),
                Some(long(0x60)),
                long(0xb0),
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb\
                 41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
            ),
            (
                vec![0x0b; 22],
                None,
                Vec::new(),
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
            ),
        ] {
            let okm = unhex(okm);
            let mut out = vec![0; okm.len()];
            // In pieces, as the key schedule hands it over.
            let (front, back) = info.split_at(info.len() / 2);
            HKDF_SHA256
                .extract_from_secret(salt.as_deref(), &ikm)
                .expand_slice(&[front, back], &mut out)
                .unwrap();
            assert_eq!(out, okm);
        }
    }

    #[test]
    fn sha_384_is_as_aws_lc_has_it() {
        let (salt, secret, info) = ([7; 48], [9; 32], [b"tls13 c hs traffic".as_slice(), b"x"]);
        let wanted = |salt: &[u8], secret: &[u8], len: usize| {
            let prk = reference::Salt::new(reference::HKDF_SHA384, salt).extract(secret);
            let mut out = vec![0; len];
            let okm = prk.expand(&info, Length(len)).unwrap();
            okm.fill(&mut out).unwrap();
            out
        };
        for len in [1, 12, 47, 48, 49, 300, 255 * 48] {
            let mut out = vec![0; len];
            let expander = HKDF_SHA384.extract_from_secret(Some(&salt), &secret);
            expander.expand_slice(&info, &mut out).unwrap();
            assert_eq!(out, wanted(&salt, &secret, len), "{len}");
        }
        let zeros = HKDF_SHA384.extract_from_zero_ikm(Some(&salt));
        assert_eq!(
            zeros.expand_block(&info).as_ref(),
            wanted(&salt, &[0; 48], 48)
        );
        // The second time it is remembered.
        for _ in 0..2 {
            let zeros = HKDF_SHA384.extract_from_zero_ikm(None);
            let block = zeros.expand_block(&info);
            assert_eq!(block.as_ref(), wanted(&[0; 48], &[0; 48], 48));
        }
        let block = OkmBlock::new(&wanted(&[0; 48], &[0; 48], 48));
        // An expander of what was derived, and its HMAC.
        let again = HKDF_SHA384.expander_for_okm(&block).expand_block(&info);
        let mut out = [0; 48];
        reference::Prk::new_less_safe(reference::HKDF_SHA384, block.as_ref())
            .expand(&info, Length(48))
            .and_then(|okm| okm.fill(&mut out))
            .unwrap();
        assert_eq!(again.as_ref(), out);
        let signed = hmac::sign(&hmac::Key::new(HMAC_SHA384, block.as_ref()), b"message");
        let ours = HKDF_SHA384.hmac_sign(&block, b"message");
        assert_eq!(ours.as_ref(), signed.as_ref());
    }

    #[test]
    fn more_than_255_blocks_are_refused() {
        let expander = HKDF_SHA384.extract_from_zero_ikm(None);
        assert!(
            expander
                .expand_slice(&[], &mut vec![0; 255 * 48 + 1])
                .is_err()
        );
    }

    struct Length(usize);

    impl reference::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
}
