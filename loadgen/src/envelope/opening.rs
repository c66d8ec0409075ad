//! An answer that has to be a sealed message, opened while it comes. Sans-I/O.

use std::sync::Arc;

use sealgate_envelope::{Header, Opener, ParsedHeader, Refusal, RefusalReason, limits};
use thiserror::Error;
use zeroize::Zeroizing;

use super::keys::Keys;

/// Why an answer does not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unopened {
    /// It is no sealed message.
    #[error("the answer is no sealed message: {0}")]
    NotSealed(Refusal),
    /// It is for another key.
    #[error("the answer is sealed for another key than the one that was given")]
    NoKey,
    /// It is for this key, and what it has for it was changed.
    #[error(
        "the answer's data key does not verify: its header was changed, or the key is another one"
    )]
    KeyNotAuthentic,
    /// A part of it does not verify, or is missing.
    #[error("the answer does not open: {0}")]
    Damaged(Refusal),
}

/// Opens one answer.
pub struct Opening {
    keys: Arc<Keys>,
    state: State,
    /// Plaintext of one chunk; what opens with a real key may be a real secret.
    plaintext: Zeroizing<Vec<u8>>,
}

/// What is awaited.
enum State {
    ExpectHeader(Vec<u8>),
    ExpectFrame(Box<Opener>),
    Failed(Unopened),
}

impl Opening {
    /// Awaits a message for `keys`.
    pub fn new(keys: Arc<Keys>) -> Self {
        Self {
            keys,
            state: State::ExpectHeader(Vec::new()),
            plaintext: Zeroizing::default(),
        }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        let taken = match &mut self.state {
            State::Failed(_) => Ok(()),
            State::ExpectFrame(opener) => frames(opener, bytes, &mut self.plaintext),
            State::ExpectHeader(held) => {
                // More than a header has is a frame's, or refused.
                held.extend_from_slice(bytes);
                match begin(&self.keys, held) {
                    Ok(None) => Ok(()),
                    Ok(Some((mut opener, header_len))) => {
                        let opened = frames(&mut opener, &held[header_len..], &mut self.plaintext);
                        self.state = State::ExpectFrame(opener);
                        opened
                    }
                    Err(unopened) => Err(unopened),
                }
            }
        };
        if let Err(unopened) = taken {
            self.state = State::Failed(unopened);
        }
    }

    /// No more bytes follow: whether all of it opened.
    ///
    /// # Errors
    ///
    /// [`Unopened`].
    pub fn finish(self) -> Result<(), Unopened> {
        match self.state {
            State::Failed(unopened) => Err(unopened),
            State::ExpectFrame(opener) => opener.finish().map(|_| ()).map_err(Unopened::Damaged),
            State::ExpectHeader(held) => {
                Err(Unopened::NotSealed(Refusal::header_cut_short(held.len())))
            }
        }
    }
}

/// Opens the header, once it is whole; gives its length.
fn begin(keys: &Keys, held: &[u8]) -> Result<Option<(Box<Opener>, usize)>, Unopened> {
    match Header::parse(held).map_err(Unopened::NotSealed)? {
        ParsedHeader::NeedMore { at_least_bytes }
            if at_least_bytes > limits::HEADER_LEN_BYTES_MOST =>
        {
            Err(Unopened::NotSealed(Refusal::header_cut_short(held.len())))
        }
        ParsedHeader::NeedMore { .. } => Ok(None),
        ParsedHeader::Complete { header, len_bytes } => {
            let data_key = keys.data_key(&header)?;
            let opener = Opener::begin(&header, &data_key).map_err(Unopened::Damaged)?;
            Ok(Some((Box::new(opener), len_bytes)))
        }
    }
}

fn frames(opener: &mut Opener, bytes: &[u8], plaintext: &mut Vec<u8>) -> Result<(), Unopened> {
    // What verified is of no interest beyond that, so it is never more than a frame and a chunk.
    plaintext.clear();
    opener.write(bytes, plaintext).map_err(Unopened::Damaged)
}

impl Unopened {
    /// Whether data was damaged or lost, as far as its reader can tell.
    pub fn is_damage(&self) -> bool {
        match self {
            Unopened::Damaged(_) | Unopened::KeyNotAuthentic => true,
            Unopened::NotSealed(refusal) => refusal.reason == RefusalReason::HeaderCutShort,
            Unopened::NoKey => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{envelope::ready::Ready, operation::size::Size};
    use sealgate_envelope::RawAesKey;

    fn keys(byte: u8) -> Arc<Keys> {
        Arc::new(Keys::RawAes(
            RawAesKey::new(&[byte; 32], "test", "one").unwrap(),
        ))
    }

    fn message(len: u64) -> Vec<u8> {
        let ready = Ready::seal(&[keys(1)], 1, Size::Fixed(len), 1).unwrap();
        ready.bytes(0).to_vec()
    }

    fn opened(keys: &Arc<Keys>, message: &[u8], chunk: usize) -> Result<(), Unopened> {
        let mut opening = Opening::new(Arc::clone(keys));
        for bytes in message.chunks(chunk) {
            opening.take(bytes);
        }
        opening.finish()
    }

    #[test]
    fn whole_messages_open_however_they_come() {
        for len in [0, 1, 65_536, 200_000] {
            let message = message(len);
            for chunk in [1, 1000, message.len()] {
                assert_eq!(
                    opened(&keys(1), &message, chunk),
                    Ok(()),
                    "{len} by {chunk}"
                );
            }
        }
    }

    #[test]
    fn what_does_not_open_says_why() {
        let whole = message(100_000);
        for at in (0..whole.len()).step_by(997) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(opened(&keys(1), &damaged, 4096).is_err(), "byte {at}");
        }
        let last = whole.len() - 1;
        let cut = opened(&keys(1), &whole[..last], 4096).unwrap_err();
        assert!(matches!(cut, Unopened::Damaged(_)), "{cut}");
        let head = opened(&keys(1), &whole[..40], 4096).unwrap_err();
        assert!(head.is_damage(), "{head}");
        let mut longer = whole.clone();
        longer.push(0);
        assert!(opened(&keys(1), &longer, 4096).unwrap_err().is_damage());
        let other = opened(&keys(2), &whole, 4096).unwrap_err();
        assert_eq!(other, Unopened::KeyNotAuthentic);
        let named = RawAesKey::new(&[1; 32], "test", "two").unwrap();
        let named = opened(&Arc::new(Keys::RawAes(named)), &whole, 4096).unwrap_err();
        assert_eq!((named.is_damage(), named), (false, Unopened::NoKey));
        let plain = opened(&keys(1), &[b'x'; 1000], 4096).unwrap_err();
        assert!(matches!(plain, Unopened::NotSealed(_)) && !plain.is_damage());
    }

    #[test]
    fn what_is_kept_ready_is_bounded() {
        let large = Ready::seal(&[keys(1)], 1000, Size::Fixed(1 << 20), 1).unwrap_err();
        assert!(large.to_string().contains("256 MiB"), "{large}");
        let ready = Ready::seal(&[keys(1)], 3, Size::Uniform(1, 1000), 1).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(|n| ready.pick(7, n)), [0, 1, 2, 0, 1]);
        assert_ne!(ready.bytes(0), ready.bytes(1));
    }

    #[test]
    fn a_tenant_with_a_key_of_its_own_has_messages_of_its_own() {
        let both = [keys(1), keys(2)];
        let ready = Ready::seal(&both, 2, Size::Fixed(10), 1).unwrap();
        assert_eq!([0, 1, 2].map(|n| ready.pick(0, n)), [0, 1, 0]);
        assert_eq!([0, 1, 2].map(|n| ready.pick(1, n)), [2, 3, 2]);
        for (tenant, own) in both.iter().enumerate() {
            let message = ready.bytes(ready.pick(tenant, 1));
            assert_eq!(opened(own, message, 4096), Ok(()));
            assert!(opened(&both[1 - tenant], message, 4096).is_err());
        }
    }
}
