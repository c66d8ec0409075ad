//! A message that is read from its first byte on: its header, then chunks of whole frames.

use std::path::Path;

use sealgate_envelope::{Header, ParsedHeader, Refusal, limits};

use super::input::{Input, Pace};
use super::message_error::MessageError;

/// What is read at once: it stays in a core's second-level cache, together with what is made of it.
pub(super) const CHUNK_LEN_BYTES: usize = 256 * 1024;
/// What a regular frame adds to its plaintext (`ENVELOPE.md`, "Sizes").
const FRAME_OVERHEAD_BYTES: usize = 32;

/// The part of a message that was read and not taken yet, and the input that has the rest.
pub(super) struct MessageReader {
    input: Input,
    pace: Pace,
    buffer: Vec<u8>,
    /// So many bytes at the buffer's start nobody has taken yet.
    filled: usize,
}

impl MessageReader {
    /// Reads the header of the message in `input`.
    ///
    /// # Errors
    /// [`MessageError::Io`] or [`MessageError::Refused`].
    pub(super) fn begin(mut input: Input, pace: Pace) -> Result<(Header, Self), MessageError> {
        let mut buffer = vec![0; limits::HEADER_LEN_BYTES_MOST];
        let mut filled = 0;
        let (header, header_len) = loop {
            // A buffer as long as the longest header is never full before there is a header or a refusal.
            let read = input.read(&mut buffer[filled..])?;
            filled += read;
            match Header::parse(&buffer[..filled]) {
                Ok(ParsedHeader::Complete { header, len_bytes }) => break (header, len_bytes),
                Ok(ParsedHeader::NeedMore { .. }) if read > 0 => {}
                Ok(ParsedHeader::NeedMore { .. }) => {
                    let refusal = Refusal::header_cut_short(filled);
                    return Err(MessageError::refused(input.name())(refusal));
                }
                Err(refusal) => return Err(MessageError::refused(input.name())(refusal)),
            }
        };
        let frame_len = header.frame_len_bytes() as usize + FRAME_OVERHEAD_BYTES;
        let rest = buffer[header_len..filled].to_vec();
        let len = (CHUNK_LEN_BYTES / frame_len).max(1) * frame_len;
        let mut buffer = vec![0; len.max(rest.len())];
        buffer[..rest.len()].copy_from_slice(&rest);
        let filled = rest.len();
        let reader = Self {
            input,
            pace,
            buffer,
            filled,
        };
        Ok((header, reader))
    }

    /// Reads a message that is little more than its header, such as a grant; gives all its bytes too.
    ///
    /// # Errors
    /// As [`MessageReader::begin`]; a longer one breaks off, and does not open.
    pub(super) fn read_small(path: &Path) -> Result<(Header, Vec<u8>), MessageError> {
        let input = Input::open(Some(path))?;
        let (header, mut reader) = Self::begin(input, Pace::FullBuffers)?;
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(reader.next_chunk()?.unwrap_or_default());
        Ok((header, bytes))
    }

    /// What the message is called.
    pub(super) fn name(&self) -> &str {
        self.input.name()
    }

    /// Length of the whole message, where it is known beforehand.
    pub(super) fn len_bytes(&self) -> Option<u64> {
        self.input.len_bytes()
    }

    /// The input, and what was read of it behind the header.
    pub(super) fn into_parts(mut self) -> (Input, Vec<u8>) {
        self.buffer.truncate(self.filled);
        (self.input, self.buffer)
    }

    /// The longest chunk there will be.
    pub(super) fn chunk_len_most(&self) -> usize {
        self.buffer.len()
    }

    /// The next bytes after the header; `None` at the end. Of a file they are whole frames, but for the last ones.
    ///
    /// # Errors
    /// [`MessageError::Io`].
    pub(super) fn next_chunk(&mut self) -> Result<Option<&[u8]>, MessageError> {
        let has_some = self.filled > 0;
        let rest = &mut self.buffer[self.filled..];
        self.filled += match self.pace {
            Pace::AsItComes if has_some => 0,
            pace => self.input.read_at_pace(rest, pace)?,
        };
        let len = std::mem::take(&mut self.filled);
        Ok((len > 0).then(|| &self.buffer[..len]))
    }
}
