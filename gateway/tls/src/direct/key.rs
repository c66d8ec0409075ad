//! The traffic key of one direction: records in, records out (RFC 8446 §5.2, §5.3).

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    UnboundKey,
};
use rustls::{ConnectionTrafficSecrets, PeerMisbehaved};
use zeroize::{Zeroize, Zeroizing};

use super::fault::Fault;
use crate::session::MAX_FRAGMENT_LEN;

pub(super) const HEADER_LEN: usize = 5;
pub(super) const TAG_LEN: usize = 16;
/// What a record adds to its plaintext in what we write: header, content type, tag.
pub(super) const OVERHEAD: usize = HEADER_LEN + 1 + TAG_LEN;
/// The longest ciphertext of a record (RFC 8446 §5.2).
const CIPHERTEXT_LEN_MOST: usize = MAX_FRAGMENT_LEN + 256;
/// Records that one key seals. AES-GCM allows 2^24.5 (RFC 8446 §5.5).
pub(super) const RECORDS_MOST: u64 = 1 << 23;

/// Content types (RFC 8446 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentType {
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
}

/// The header of a protected record.
pub(super) struct RecordHeader {
    bytes: [u8; HEADER_LEN],
    /// Of ciphertext and tag.
    body_len: usize,
}

/// What a record held; its bytes stand in front of the output.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inner {
    pub(super) content_type: ContentType,
    pub(super) len: usize,
}

/// Key, IV and sequence number of one direction. Wiped on drop.
pub(super) struct TrafficKey {
    cipher: Cipher,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

/// Bytes of the longest key.
const KEY_LEN_MOST: usize = 32;

/// A key, and what it takes to use it: the expanded form is some 600 bytes, which a session need not hold that has
/// not begun, or is idle.
struct Cipher {
    algorithm: &'static Algorithm,
    key: Zeroizing<[u8; KEY_LEN_MOST]>,
    expanded: Option<LessSafeKey>,
}

impl Cipher {
    fn new(algorithm: &'static Algorithm, bytes: &[u8]) -> Result<Self, Fault> {
        let mut key = Zeroizing::new([0; KEY_LEN_MOST]);
        key.get_mut(..bytes.len())
            .ok_or_else(Fault::library)?
            .copy_from_slice(bytes);
        Ok(Self {
            algorithm,
            key,
            expanded: None,
        })
    }

    fn expanded(&mut self) -> Result<&LessSafeKey, Fault> {
        if self.expanded.is_none() {
            self.expand()?;
        }
        self.expanded.as_ref().ok_or_else(Fault::library)
    }

    /// Apart, so that a record's path is short.
    #[cold]
    #[inline(never)]
    fn expand(&mut self) -> Result<(), Fault> {
        let key = &self.key[..self.algorithm.key_len()];
        let key = UnboundKey::new(self.algorithm, key).map_err(|_| Fault::library())?;
        self.expanded = Some(LessSafeKey::new(key));
        Ok(())
    }
}

impl RecordHeader {
    /// The header in front of `bytes`; `None` while it has not come whole.
    ///
    /// # Errors
    /// Another content type than application data, a length that no record has.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        // Nothing goes in the clear once both sides have finished. The version means nothing.
        if header[0] != ContentType::ApplicationData as u8 {
            return Err(Fault::content_type(header[0]));
        }
        let body_len = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if body_len > CIPHERTEXT_LEN_MOST {
            return Err(Fault::oversized());
        }
        if body_len <= TAG_LEN {
            return Err(Fault::bad_record());
        }
        Ok(Some(Self {
            bytes: *header,
            body_len,
        }))
    }

    /// Of the whole record.
    pub(super) fn record_len(&self) -> usize {
        HEADER_LEN + self.body_len
    }
}

impl TrafficKey {
    /// # Errors
    /// [`Fault::library`].
    pub(super) fn new(secrets: &ConnectionTrafficSecrets, sequence: u64) -> Result<Self, Fault> {
        let (algorithm, key, iv): (&'static Algorithm, _, _) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Fault::library()),
        };
        Ok(Self {
            cipher: Cipher::new(algorithm, key.as_ref())?,
            iv: iv.as_ref().try_into().map_err(|_| Fault::library())?,
            sequence,
        })
    }

    /// Lets go of what only using the key needs; the next record makes it anew.
    pub(super) fn park(&mut self) {
        self.cipher.expanded = None;
    }

    #[cfg(test)]
    pub(super) fn is_parked(&self) -> bool {
        self.cipher.expanded.is_none()
    }

    #[cfg(test)]
    pub(super) fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// Whether the key has sealed what one key may, with room left for a last KeyUpdate and alert.
    pub(super) fn is_used_up(&self) -> bool {
        self.sequence >= RECORDS_MOST
    }

    /// Seals at most [`MAX_FRAGMENT_LEN`] bytes as one record in front of `out`, which has
    /// [`OVERHEAD`] more; gives the record's length.
    ///
    /// # Errors
    /// [`Fault::library`].
    pub(super) fn seal(
        &mut self,
        content_type: ContentType,
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Fault> {
        debug_assert!(plaintext.len() <= MAX_FRAGMENT_LEN);
        let body_len = plaintext.len() + 1 + TAG_LEN;
        let [high, low] = u16::try_from(body_len)
            .map_err(|_| Fault::library())?
            .to_be_bytes();
        let header = [ContentType::ApplicationData as u8, 3, 3, high, low];
        let record = out
            .get_mut(..HEADER_LEN + body_len)
            .ok_or_else(Fault::library)?;
        record[..HEADER_LEN].copy_from_slice(&header);
        let (ciphertext, tag) = record[HEADER_LEN..].split_at_mut(plaintext.len());
        let nonce = self.next_nonce();
        self.cipher
            .expanded()?
            .seal_out_of_place_scatter(
                nonce,
                Aad::from(header),
                plaintext,
                ciphertext,
                &[content_type as u8],
                tag,
            )
            .map_err(|_| Fault::library())?;
        Ok(HEADER_LEN + body_len)
    }

    /// Opens the record of `header`, whole in `record`, to the front of `out`, which has room for
    /// [`MAX_FRAGMENT_LEN`] bytes. Where that is less than the record's padding needs, `record` is
    /// overwritten.
    ///
    /// # Errors
    /// [`Fault`]; `out` then holds no plaintext of this record.
    pub(super) fn open(
        &mut self,
        header: &RecordHeader,
        record: &mut [u8],
        out: &mut [u8],
    ) -> Result<Inner, Fault> {
        let (nonce, aad) = (self.next_nonce(), Aad::from(header.bytes));
        let inner_len = header.body_len - TAG_LEN;
        let (ciphertext, tag) = record[HEADER_LEN..].split_at_mut(inner_len);
        let key = self.cipher.expanded()?;
        match out.get_mut(..inner_len) {
            Some(inner) => {
                key.open_separate_gather(nonce, aad, ciphertext, tag, inner)
                    .map_err(|_| Fault::bad_record())?;
                strip_padding(inner).inspect_err(|_| inner.zeroize())
            }
            None => {
                key.open_in_place_separate_tag(nonce, aad, tag, ciphertext)
                    .map_err(|_| Fault::bad_record())?;
                let found = strip_padding(ciphertext)?;
                out.get_mut(..found.len)
                    .ok_or_else(Fault::library)?
                    .copy_from_slice(&ciphertext[..found.len]);
                Ok(found)
            }
        }
    }

    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, sequence) in nonce[NONCE_LEN - 8..]
            .iter_mut()
            .zip(self.sequence.to_be_bytes())
        {
            *byte ^= sequence;
        }
        // It is never near its end: sealing stops at `RECORDS_MOST`, and a peer cannot send 2^64 records.
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Drop for TrafficKey {
    fn drop(&mut self) {
        self.iv.zeroize();
    }
}

/// The content type is the last byte that is not zero (RFC 8446 §5.4).
fn strip_padding(inner: &[u8]) -> Result<Inner, Fault> {
    let len = inner
        .iter()
        .rposition(|byte| *byte != 0)
        .ok_or_else(|| Fault::unexpected(PeerMisbehaved::IllegalTlsInnerPlaintext))?;
    if len > MAX_FRAGMENT_LEN {
        return Err(Fault::oversized());
    }
    let content_type = match inner[len] {
        21 => ContentType::Alert,
        22 => ContentType::Handshake,
        23 => ContentType::ApplicationData,
        content_type => return Err(Fault::content_type(content_type)),
    };
    Ok(Inner { content_type, len })
}
