//! When plaintext is let out: not before the message is known to be whole, unless that was asked for.
//!
//! ```text
//! a file      written as frames verify, gets its name at the end
//! a pipe      held in memory up to the end, which bounds how much it may be
//! --partial   a pipe gets frames as they verify; a file keeps what verified when the message breaks off
//! ```

use std::str;

use zeroize::Zeroizing;

use super::message_error::MessageError;
use super::output::{Output, Released};

/// Most plaintext that is held for a pipe.
pub(super) const HELD_LEN_BYTES_MOST: usize = 64 * 1024 * 1024;

/// It is held in pieces of this length.
const PIECE_LEN_BYTES: usize = 256 * 1024;

/// What becomes of plaintext whose message turns out to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partial {
    /// Nobody sees it.
    Discard,
    /// Frames that verified before are let out.
    Keep,
}

/// Plaintext on its way to the output.
pub(super) struct Release {
    name: Box<str>,
    output: Output,
    partial: Partial,
    released: u64,
    /// Of a pipe. Each piece is reserved whole and stays where it is, so that none is left behind by growing.
    held: Vec<Zeroizing<Vec<u8>>>,
    /// Where plaintext is made that is held.
    room: Zeroizing<Vec<u8>>,
}

impl Release {
    /// For the message `name`.
    ///
    /// # Errors
    /// [`MessageError::OutputIsTerminal`] where unverified binary would go to one.
    pub(super) fn begin(
        name: &str,
        output: Output,
        partial: Partial,
    ) -> Result<Self, MessageError> {
        if output.is_terminal() && partial == Partial::Keep {
            return Err(MessageError::OutputIsTerminal);
        }
        Ok(Self {
            name: name.into(),
            output,
            partial,
            released: 0,
            held: Vec::new(),
            room: Zeroizing::default(),
        })
    }

    fn holds(&self) -> bool {
        self.output.is_stream() && self.partial == Partial::Discard
    }

    /// Says how much there will be, so that what cannot work fails before the work.
    ///
    /// # Errors
    /// [`MessageError::TooLongToHold`], or [`MessageError::Io`] for a disk that is too small.
    pub(super) fn expect(&self, len_bytes: u64) -> Result<(), MessageError> {
        if self.holds() && len_bytes > HELD_LEN_BYTES_MOST as u64 {
            return Err(self.too_long());
        }
        self.output.reserve(len_bytes)
    }

    /// A place for `len` bytes of plaintext to be made in; [`Release::advance`] says how many of them have verified.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if !self.holds() {
            return self.output.room(len);
        }
        if self.room.len() < len {
            self.room = Zeroizing::new(vec![0; len]);
        }
        &mut self.room[..len]
    }

    /// Takes the first `len` bytes of the room, which have verified.
    ///
    /// # Errors
    /// [`MessageError::TooLongToHold`] or [`MessageError::Io`].
    pub(super) fn advance(&mut self, len: usize) -> Result<(), MessageError> {
        self.released += len as u64;
        if !self.holds() {
            let written = self.output.advance(len);
            if written.is_err() {
                // How much of it is there nobody knows.
                self.partial = Partial::Discard;
            }
            return written;
        }
        if self.released > HELD_LEN_BYTES_MOST as u64 {
            return Err(self.too_long());
        }
        let room = std::mem::take(&mut self.room);
        self.hold(&room[..len]);
        self.room = room;
        Ok(())
    }

    /// Takes plaintext that has verified and was made elsewhere.
    ///
    /// # Errors
    /// As [`Release::advance`].
    pub(super) fn take(&mut self, plaintext: &[u8]) -> Result<(), MessageError> {
        self.room(plaintext.len()).copy_from_slice(plaintext);
        self.advance(plaintext.len())
    }

    /// Fills the last piece before it begins another: what is held costs no more than it is long, however small the frames.
    fn hold(&mut self, mut plaintext: &[u8]) {
        while !plaintext.is_empty() {
            let room = self
                .held
                .last_mut()
                .map_or(0, |piece| piece.capacity() - piece.len());
            if room == 0 {
                let piece = Vec::with_capacity(PIECE_LEN_BYTES);
                self.held.push(Zeroizing::new(piece));
                continue;
            }
            let (now, rest) = plaintext.split_at(room.min(plaintext.len()));
            if let Some(piece) = self.held.last_mut() {
                piece.extend_from_slice(now);
            }
            plaintext = rest;
        }
    }

    /// The message is whole: lets everything out.
    ///
    /// # Errors
    /// [`MessageError::Io`]; [`MessageError::OutputIsTerminal`] for what is no text.
    pub(super) fn finish(mut self) -> Result<Released, MessageError> {
        if self.output.is_terminal() && !is_text(&self.held) {
            return Err(MessageError::OutputIsTerminal);
        }
        for piece in self.held.drain(..) {
            self.output.write(&piece)?;
        }
        self.output.commit()
    }

    /// How many bytes were taken.
    pub(super) fn len_bytes(&self) -> u64 {
        self.released
    }

    /// The message broke off. Gives `error`, with what was kept where that was asked for.
    pub(super) fn abandon(self, error: MessageError) -> MessageError {
        let (output, len_bytes) = (Box::from(self.output.name()), self.released);
        if self.partial == Partial::Discard || len_bytes == 0 {
            return error;
        }
        if let Err(not_kept) = self.output.commit() {
            return not_kept;
        }
        MessageError::Partial {
            error: Box::new(error),
            output,
            len_bytes,
        }
    }

    fn too_long(&self) -> MessageError {
        MessageError::TooLongToHold {
            name: self.name.clone(),
            most: HELD_LEN_BYTES_MOST,
        }
    }
}

/// Whether a terminal may show it: UTF-8 without control characters, but for those that text has.
fn is_text(pieces: &[Zeroizing<Vec<u8>>]) -> bool {
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_slice()).collect();
    let whole = Zeroizing::new(pieces.concat());
    str::from_utf8(&whole).is_ok_and(|text| {
        text.chars()
            .all(|letter| matches!(letter, '\n' | '\t' | '\r') || !letter.is_control())
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::output::{Existing, Secrecy};
    use super::*;

    #[test]
    fn small_frames_are_held_in_few_pieces() {
        let path = Path::new("/dev/null");
        let output = Output::create(Some(path), Existing::Refuse, Secrecy::Plaintext).unwrap();
        let mut release = Release::begin("in", output, Partial::Discard).unwrap();
        let plaintext: Vec<u8> = (0..2 * PIECE_LEN_BYTES + 1).map(|at| at as u8).collect();
        for byte in plaintext.chunks(1) {
            release.take(byte).unwrap();
        }
        let lens: Vec<_> = release.held.iter().map(|piece| piece.len()).collect();
        assert_eq!(lens, [PIECE_LEN_BYTES, PIECE_LEN_BYTES, 1]);
        let held: Vec<&[u8]> = release.held.iter().map(|piece| piece.as_slice()).collect();
        assert!(held.concat() == plaintext);
    }
}
