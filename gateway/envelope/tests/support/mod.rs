//! What the tests of this crate share: a message made in one go, and opened in chunks.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

pub mod holder;
pub mod vector;

use sealgate_envelope::{
    Context, DataKey, Header, Opener, ParsedHeader, RawAesKey, Recipient, Refusal, SealSettings,
    Sealer,
};

/// A message with everything that is needed to open and damage it.
pub struct Message {
    pub bytes: Vec<u8>,
    pub header_len: usize,
    pub frame_len: usize,
    pub plaintext: Vec<u8>,
    pub data_key: DataKey,
}

pub fn context() -> Context {
    Context::from_pairs([("tenant", "5f0c"), ("policy", "7"), ("path", "/a/b")]).unwrap()
}

pub fn recipients(data_key: &DataKey, context: &Context) -> Vec<Recipient> {
    let wrap = |byte, name| {
        RawAesKey::new(&[byte; 32], "sealgate/5f0c", name)
            .unwrap()
            .wrap(data_key, context)
            .unwrap()
    };
    vec![wrap(1, "main/1"), wrap(2, "exit/1")]
}

pub fn plaintext(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i.wrapping_mul(31) >> 3) as u8 ^ i as u8)
        .collect()
}

impl Message {
    pub fn seal(plaintext: Vec<u8>, settings: SealSettings, chunk_lens: &[usize]) -> Self {
        let (data_key, context) = (DataKey::generate().unwrap(), context());
        let (mut sealer, mut bytes) = Sealer::begin(
            &data_key,
            &context,
            &recipients(&data_key, &context),
            settings,
        )
        .ok()
        .unwrap();
        let header_len = bytes.len();
        for chunk in chunks(&plaintext, chunk_lens) {
            sealer.write(chunk, &mut bytes).unwrap();
        }
        sealer.finish(&mut bytes).unwrap();
        Self {
            bytes,
            header_len,
            frame_len: settings.frame_len_bytes as usize,
            plaintext,
            data_key,
        }
    }

    pub fn small() -> Self {
        Self::seal(
            plaintext(3 * 64 + 10),
            SealSettings {
                frame_len_bytes: 64,
                header_len_bytes: Some(512),
            },
            &[],
        )
    }

    pub fn body(&self) -> &[u8] {
        &self.bytes[self.header_len..]
    }

    pub fn opener(&self) -> Opener {
        Opener::begin(&header(&self.bytes).0, &self.data_key)
            .ok()
            .unwrap()
    }

    /// Opens `body` in place of this message's own; gives what was released, and the refusal if there was one.
    pub fn open_body(&self, body: &[u8], chunk_lens: &[usize]) -> (Vec<u8>, Result<u64, Refusal>) {
        let (mut opener, mut released) = (self.opener(), Vec::new());
        for chunk in chunks(body, chunk_lens) {
            if let Err(refusal) = opener.write(chunk, &mut released) {
                let before = released.len();
                assert_eq!(
                    opener.write(body, &mut released),
                    Err(refusal),
                    "a refusal is final"
                );
                assert_eq!(released.len(), before);
                assert_eq!(opener.finish().unwrap_err(), refusal);
                return (released, Err(refusal));
            }
        }
        let finished = opener.finish().map(|whole| whole.plaintext_len_bytes());
        (released, finished)
    }
}

/// What the first bytes of a message are; nothing where they are refused.
pub fn parse(bytes: &[u8]) -> Option<ParsedHeader> {
    Header::parse(bytes).ok()
}

/// The header at the start of a message that is all there.
pub fn header(bytes: &[u8]) -> (Header, usize) {
    match Header::parse(bytes).unwrap() {
        ParsedHeader::Complete { header, len_bytes } => (header, len_bytes),
        ParsedHeader::NeedMore { at_least_bytes } => panic!("needs {at_least_bytes} bytes"),
    }
}

/// `bytes` in chunks of these lengths over and over; in one where there are none.
pub fn chunks<'a>(bytes: &'a [u8], lens: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut lens = lens.iter().copied().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (chunk, after) = rest.split_at(lens.next().unwrap_or(rest.len()).min(rest.len()));
        rest = after;
        Some(chunk)
    })
}
