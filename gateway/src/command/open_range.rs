//! `sealgate open --range`: some bytes of a message, at the cost of the frames that hold them.

use std::fs::File;
use std::ops::Range;

use sealgate_envelope::{Header, HeaderLimits, RangeOpener, VerifiedEnd, read_header};
use serde_json::json;
use zeroize::Zeroizing;

use super::answer::Voice;
use super::input::Input;
use super::message_error::MessageError;
use super::message_reader::CHUNK_LEN_BYTES;
use super::open::{Opening, answer, tell};
use super::output::Output;
use super::progress::Progress;
use super::range_argument::RangeArgument;
use super::release::Release;

impl Opening<'_> {
    /// Opens `range` of the message in `input`, which has to be a file.
    pub(super) fn range(
        &self,
        input: Input,
        output: Output,
        range: RangeArgument,
        voice: Voice,
    ) -> Result<(), MessageError> {
        let name: Box<str> = input.name().into();
        if input.len_bytes().is_none() {
            return Err(MessageError::RangeOfStream { name });
        }
        let (header, mut ranged) = self.begin_range(&name, input.into_file(), range)?;
        let mut release = Release::begin(&name, output, self.partial)?;
        let wanted = ranged.wanted.clone();
        release.expect(wanted.end - wanted.start)?;
        let mut progress = Progress::begin(voice, "Opening", Some(wanted.end - wanted.start));
        if let Err(error) = ranged.copy(&name, &mut release, &mut progress) {
            return Err(release.abandon(error));
        }
        drop(progress);
        let len_bytes = release.len_bytes();
        let released = release.finish()?;
        let first = wanted.start;
        let words = match ranged.end {
            Some(end) => format!(
                "{}: {len_bytes} bytes from byte {first} of {}, the end verified",
                released.name,
                end.plaintext_len_bytes()
            ),
            None => format!(
                "{}: {len_bytes} bytes from byte {first}; each of their frames verified, the end of the message was not looked at",
                released.name
            ),
        };
        let more = json!({
            "whole": false,
            "range": { "start": wanted.start, "end": wanted.end },
            "end_verified": ranged.end.is_some(),
        });
        tell(voice, &released, &words, answer(&header, len_bytes, more));
        Ok(())
    }

    fn begin_range(
        &self,
        name: &str,
        mut file: File,
        range: RangeArgument,
    ) -> Result<(Header, Ranged), MessageError> {
        let failed = |error| MessageError::range(name, error);
        let header = read_header(&mut file, HeaderLimits::default()).map_err(failed)?;
        let data_key = self.data_key(name, &header)?;
        let required = &self.expected.required;
        let mut opener =
            RangeOpener::begin_with_required(file, &header, required, &data_key).map_err(failed)?;
        let end = match range.needs_end() {
            true => Some(opener.verify_end().map_err(failed)?),
            false => None,
        };
        let wanted = range.of(end.map_or(0, |end| end.plaintext_len_bytes()));
        // A range that cannot be is refused before its first byte is out.
        opener.check(&wanted).map_err(failed)?;
        let frame_len = u64::from(header.frame_len_bytes());
        let ranged = Ranged {
            opener,
            end,
            wanted,
            step: (CHUNK_LEN_BYTES as u64).next_multiple_of(frame_len),
        };
        Ok((header, ranged))
    }
}

/// A message of which a range is opened.
struct Ranged {
    opener: RangeOpener<File>,
    end: Option<VerifiedEnd>,
    /// Bytes of the plaintext.
    wanted: Range<u64>,
    /// So many are opened at once: whole frames, so that none is opened twice.
    step: u64,
}

impl Ranged {
    fn copy(
        &mut self,
        name: &str,
        release: &mut Release,
        progress: &mut Progress,
    ) -> Result<(), MessageError> {
        let mut piece = Zeroizing::new(Vec::with_capacity(self.step as usize));
        let mut at = self.wanted.start;
        while at < self.wanted.end {
            let next = (at / self.step + 1).saturating_mul(self.step);
            let next = next.min(self.wanted.end);
            piece.clear();
            let opened = self.opener.open(at..next, &mut piece);
            release.take(&piece)?;
            opened.map_err(|error| MessageError::range(name, error))?;
            progress.advance(piece.len());
            at = next;
        }
        Ok(())
    }
}
