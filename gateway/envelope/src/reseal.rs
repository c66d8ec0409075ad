//! Resealing: the same plaintext and context under a new message id and a new data key, for recipients that may be others.
//!
//! ```text
//! old message -> Opener -> plaintext -> Sealer -> new message      (Resealer: one frame of each is held)
//!                              |                       |
//!                           SHA-256 ---- equal? ---- SHA-256 <- Opener <- new message as it was read back   (ReadBack)
//! ```
//!
//! A header is never changed, so this is how a recipient is taken away and how a compromised branch key is retired. Who has once opened the
//! old message may have kept its plaintext or its data key: resealing protects what is not read yet.
//!
//! Both ends are verified before there is a [`Resealed`]: the old message to its last tag (and signature), and the new one as it came back
//! from where it was put. Only then may it take the old one's place. What this module does not do: files.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::context::{Context, ContextError};
use crate::data_key::{DataKey, RandomUnavailable};
use crate::header::Header;
use crate::open::Opener;
use crate::recipient::{PAD_PROVIDER_ID, Recipient};
use crate::refusal::Refusal;
use crate::seal::{SealError, SealSettings, Sealer};
use crate::signature::{self, Signer};
use crate::suite::Suite;

/// A message that was not resealed. What was written of the new one is to be thrown away; the old one is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResealError {
    /// The old message: damaged, cut short, or another key's. Nothing was finished.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The new message cannot be sealed so.
    #[error("cannot seal anew: {0}")]
    Seal(#[from] SealError),
    /// The required context does not go with the stored one.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The system gave no data key.
    #[error(transparent)]
    RandomUnavailable(#[from] RandomUnavailable),
    /// The new message does not open as it was read back: the medium is at fault, or memory.
    #[error("what was written does not open when it is read back: {0}")]
    WrittenRefused(Refusal),
    /// The new message opens, but is another one than was written, or holds other plaintext.
    #[error("what was written is something else when it is read back")]
    WrittenDiffers,
}

/// The layout of a message that is there: its frame length, and, where a pad fills it, its header's length.
#[must_use]
pub fn layout_of(header: &Header) -> SealSettings {
    let is_padded = header
        .recipients()
        .any(|recipient| recipient.provider_id == PAD_PROVIDER_ID.as_bytes());
    SealSettings {
        frame_len_bytes: header.frame_len_bytes(),
        header_len_bytes: is_padded
            .then(|| u32::try_from(header.as_bytes().len()).expect("a header is at most 64 KiB")),
    }
}

/// A message that is about to be resealed: the new data key is drawn, its recipients are not chosen yet.
pub struct Reseal<'a> {
    header: &'a Header,
    required: &'a Context,
    stored: Context,
    signer: Option<Signer>,
    data_key: DataKey,
}

impl<'a> Reseal<'a> {
    /// Prepares for the message with this header. `required` holds all pairs that its writer required and did not store; the new message
    /// requires them too. A signed message is signed anew, by a fresh signer.
    ///
    /// # Errors
    /// [`ResealError::RandomUnavailable`] or [`ResealError::Seal`].
    pub fn of(header: &'a Header, required: &'a Context) -> Result<Self, ResealError> {
        let (stored, signer) = match header.suite() {
            Suite::Committed => (header.context().clone(), None),
            Suite::CommittedSigned => {
                let signer = Signer::new(&signature::without_public_key(header.context()))?;
                (signer.context().clone(), Some(signer))
            }
        };
        Ok(Self {
            header,
            required,
            stored,
            signer,
            data_key: DataKey::generate()?,
        })
    }

    /// The new message's data key: what its recipients carry.
    #[must_use]
    pub fn data_key(&self) -> &DataKey {
        &self.data_key
    }

    /// What its recipients are wrapped in: stored and required context together.
    ///
    /// # Errors
    /// [`ResealError::Context`].
    pub fn context(&self) -> Result<Context, ResealError> {
        Ok(self.stored.joined_with(self.required)?)
    }

    /// Authenticates the old header under `old_key` and begins the new message: gives the resealer and the new header, which goes out first.
    ///
    /// `recipients` carry [`Reseal::data_key`] wrapped in [`Reseal::context`]. [`layout_of`] keeps the old layout.
    ///
    /// # Errors
    /// [`ResealError::Refused`] or [`ResealError::Seal`]; nothing was written.
    pub fn begin(
        self,
        old_key: &DataKey,
        recipients: &[Recipient],
        layout: SealSettings,
    ) -> Result<(Resealer, Vec<u8>), ResealError> {
        let opener = Opener::begin_with_required(self.header, self.required, old_key)?;
        let (sealer, header) = match self.signer {
            Some(signer) => {
                Sealer::begin_signed(&self.data_key, signer, self.required, recipients, layout)?
            }
            None => Sealer::begin_with_required(
                &self.data_key,
                &self.stored,
                self.required,
                recipients,
                layout,
            )?,
        };
        let resealer = Resealer {
            opener,
            sealer,
            plaintext: Zeroizing::default(),
            digest: digest::Context::new(&SHA256),
            written: Written {
                header: header.clone().into(),
                data_key: self.data_key,
                required: self.required.clone(),
            },
        };
        Ok((resealer, header))
    }
}

/// Opens one message and seals another from it, chunk by chunk. It holds a frame of each and the plaintext of one chunk, which is wiped on
/// drop. It has no `Debug`. Dropped without [`Resealer::finish`], what was written has no final frame, and every reader refuses it.
pub struct Resealer {
    opener: Opener,
    sealer: Sealer,
    plaintext: Zeroizing<Vec<u8>>,
    digest: digest::Context,
    written: Written,
}

/// What is needed to open the new message again.
struct Written {
    header: Box<[u8]>,
    data_key: DataKey,
    required: Context,
}

impl Resealer {
    /// Takes bytes of the old message that follow its header, in chunks of any length; appends to `out` what of the new one follows.
    ///
    /// # Errors
    /// [`ResealError::Refused`] or [`ResealError::Seal`]. The new message has to be thrown away: every later call fails too.
    pub fn write(&mut self, ciphertext: &[u8], out: &mut Vec<u8>) -> Result<(), ResealError> {
        self.plaintext.clear();
        let len_most = self.opener.output_len_most(ciphertext.len());
        if self.plaintext.capacity() < len_most {
            // A new one, not a grown one: growing would leave plaintext where it was.
            self.plaintext = Zeroizing::new(Vec::with_capacity(len_most));
        }
        self.opener.write(ciphertext, &mut self.plaintext)?;
        self.digest.update(&self.plaintext);
        self.sealer.write(&self.plaintext, out)?;
        Ok(())
    }

    /// Says that the old message ends here; when it is whole, appends the end of the new one to `out`.
    ///
    /// # Errors
    /// [`ResealError::Refused`] when the old message does not end here, or its signature does not verify. The new one then has no end.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Unproven, ResealError> {
        let whole = self.opener.finish()?;
        self.sealer.finish(out)?;
        Ok(Unproven {
            written: self.written,
            digest: self.digest.finish(),
            plaintext_len_bytes: whole.plaintext_len_bytes(),
        })
    }
}

/// A new message that is written and not yet read back. It has no `Debug`: it holds the data key.
pub struct Unproven {
    written: Written,
    digest: digest::Digest,
    plaintext_len_bytes: u64,
}

impl Unproven {
    /// Begins to read the new message back, from its header as it stands where it was put.
    ///
    /// # Errors
    /// [`ResealError::WrittenDiffers`] or [`ResealError::WrittenRefused`].
    pub fn read_back(self, header: &Header) -> Result<ReadBack, ResealError> {
        if header.as_bytes() != &*self.written.header {
            return Err(ResealError::WrittenDiffers);
        }
        let Written {
            required, data_key, ..
        } = &self.written;
        let opener = Opener::begin_with_required(header, required, data_key)
            .map_err(ResealError::WrittenRefused)?;
        Ok(ReadBack {
            opener,
            plaintext: Zeroizing::default(),
            digest: digest::Context::new(&SHA256),
            expected: self.digest,
            plaintext_len_bytes: self.plaintext_len_bytes,
        })
    }
}

/// Opens the new message as it is read back and compares.
pub struct ReadBack {
    opener: Opener,
    plaintext: Zeroizing<Vec<u8>>,
    digest: digest::Context,
    expected: digest::Digest,
    plaintext_len_bytes: u64,
}

/// Evidence that a message was resealed: the old one was whole, and the new one opens from where it was put to the same plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resealed {
    plaintext_len_bytes: u64,
}

impl ReadBack {
    /// Takes bytes that follow the header, in chunks of any length.
    ///
    /// # Errors
    /// [`ResealError::WrittenRefused`].
    pub fn write(&mut self, ciphertext: &[u8]) -> Result<(), ResealError> {
        self.plaintext.clear();
        let len_most = self.opener.output_len_most(ciphertext.len());
        if self.plaintext.capacity() < len_most {
            self.plaintext = Zeroizing::new(Vec::with_capacity(len_most));
        }
        self.opener
            .write(ciphertext, &mut self.plaintext)
            .map_err(ResealError::WrittenRefused)?;
        self.digest.update(&self.plaintext);
        Ok(())
    }

    /// Says that no more bytes follow.
    ///
    /// # Errors
    /// [`ResealError::WrittenRefused`] or [`ResealError::WrittenDiffers`].
    pub fn finish(self) -> Result<Resealed, ResealError> {
        let whole = self.opener.finish().map_err(ResealError::WrittenRefused)?;
        let found = self.digest.finish();
        verify_slices_are_equal(found.as_ref(), self.expected.as_ref())
            .map_err(|_| ResealError::WrittenDiffers)?;
        if whole.plaintext_len_bytes() != self.plaintext_len_bytes {
            return Err(ResealError::WrittenDiffers);
        }
        Ok(Resealed {
            plaintext_len_bytes: self.plaintext_len_bytes,
        })
    }
}

impl Resealed {
    /// How much plaintext the message holds.
    #[must_use]
    pub fn plaintext_len_bytes(&self) -> u64 {
        self.plaintext_len_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::ParsedHeader;

    /// Opener and sealer would have to fail together for this to happen, so it is staged.
    #[test]
    fn other_plaintext_under_good_tags_is_noticed() {
        let (data_key, context) = (DataKey::generate().unwrap(), Context::empty());
        let recipient = Recipient::new(b"id", b"info", b"wrapped").unwrap();
        let layout = SealSettings::default();
        let (mut sealer, mut bytes) = Sealer::begin(&data_key, &context, &[recipient], layout)
            .ok()
            .unwrap();
        sealer.write(b"hello", &mut bytes).unwrap();
        sealer.finish(&mut bytes).unwrap();
        let ParsedHeader::Complete { header, len_bytes } = Header::parse(&bytes).unwrap() else {
            panic!("the whole message is there")
        };
        let read_back = |plaintext: &[u8]| {
            let unproven = Unproven {
                written: Written {
                    header: header.as_bytes().into(),
                    data_key: DataKey::from_bytes(data_key.as_bytes()),
                    required: Context::empty(),
                },
                digest: digest::digest(&SHA256, plaintext),
                plaintext_len_bytes: 5,
            };
            let mut read_back = unproven.read_back(&header)?;
            read_back.write(&bytes[len_bytes..])?;
            read_back.finish()
        };
        assert!(read_back(b"hello").is_ok());
        assert_eq!(read_back(b"hellu"), Err(ResealError::WrittenDiffers));
    }
}
