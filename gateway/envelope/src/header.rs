//! The header: read from foreign bytes, and written once.
//!
//! ```text
//! 02 | suite | message id | context | recipients | 02 | frame length | commitment | tag
//! ```

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::error::Unspecified;

use crate::context::Context;
use crate::limits::{FRAME_LEN_BYTES_MOST, HEADER_LEN_BYTES_MOST, RECIPIENTS_MOST};
use crate::message_key::MessageKey;
use crate::recipient::{Recipient, RecipientRef};
use crate::refusal::{Refusal, RefusalReason};
use crate::suite::{COMMITMENT_LEN_BYTES, MESSAGE_ID_LEN_BYTES, Suite};

const VERSION: u8 = 2;
const CONTENT_FRAMED: u8 = 2;
const SUITE_AT: usize = 1;
const MESSAGE_ID_AT: usize = 3;
/// Offset of the context in every header.
pub(crate) const CONTEXT_AT: usize = MESSAGE_ID_AT + MESSAGE_ID_LEN_BYTES + 2;
/// Length of a GCM tag.
pub(crate) const TAG_LEN_BYTES: usize = 16;
/// What follows the recipients: content type, frame length, commitment, tag.
const TAIL_LEN_BYTES: usize = 1 + 4 + COMMITMENT_LEN_BYTES + TAG_LEN_BYTES;

/// Bounds for a header that is read. The default is that of [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Most recipients, the pad included.
    pub recipients_most: u16,
    /// Longest header, tag included.
    pub header_len_bytes_most: usize,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self {
            recipients_most: RECIPIENTS_MOST,
            header_len_bytes_most: HEADER_LEN_BYTES_MOST,
        }
    }
}

/// A message's header, well formed but not yet authenticated: only [`crate::Opener::begin`] does that.
///
/// `Debug` shows its shape only, for the same reason as that of [`Context`].
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    bytes: Vec<u8>,
    suite: Suite,
    context: Context,
    recipients_at: usize,
    recipient_count: u16,
    frame_len_bytes: u32,
}

/// What the first bytes of a message are.
#[derive(Debug)]
pub enum ParsedHeader {
    /// A header so far, but not all of it.
    NeedMore {
        /// Parse again when there are at least this many bytes. It is always more than there were.
        at_least_bytes: usize,
    },
    /// A whole header. The frames begin after it.
    Complete {
        /// The header.
        header: Header,
        /// Its length, tag included.
        len_bytes: usize,
    },
}

impl Header {
    /// Reads the header at the start of `bytes`, which begins with the message's first byte and may end anywhere.
    ///
    /// Cost: an incomplete header is walked in as many steps as it has recipients and nothing is allocated, so parsing again after each
    /// arrival is no attack; a complete one is copied once.
    ///
    /// # Errors
    /// A [`Refusal`] as soon as the bytes that are there cannot begin an acceptable header.
    pub fn parse(bytes: &[u8]) -> Result<ParsedHeader, Refusal> {
        Self::parse_within(bytes, HeaderLimits::default())
    }

    /// As [`Header::parse`], with other limits.
    ///
    /// # Errors
    /// As [`Header::parse`].
    pub fn parse_within(bytes: &[u8], limits: HeaderLimits) -> Result<ParsedHeader, Refusal> {
        match read(bytes, limits) {
            Ok(header) => {
                let len_bytes = header.bytes.len();
                Ok(ParsedHeader::Complete { header, len_bytes })
            }
            Err(Stop::NeedMore { at_least_bytes }) => Ok(ParsedHeader::NeedMore { at_least_bytes }),
            Err(Stop::Refused(refusal)) => Err(refusal),
        }
    }

    /// The whole header, tag included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The algorithm suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The context that is stored in the header.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The recipients, in the order in which they stand there.
    pub fn recipients(&self) -> impl Iterator<Item = RecipientRef<'_>> {
        let mut rest = &self.bytes[self.recipients_at..];
        (0..self.recipient_count).map_while(move |_| {
            let (recipient, after) = RecipientRef::read(rest)?;
            rest = after;
            Some(recipient)
        })
    }

    /// Plaintext bytes in each regular frame.
    #[must_use]
    pub fn frame_len_bytes(&self) -> u32 {
        self.frame_len_bytes
    }

    /// The message id: random, and this message's alone.
    #[must_use]
    pub fn message_id(&self) -> &[u8; MESSAGE_ID_LEN_BYTES] {
        self.bytes[MESSAGE_ID_AT..]
            .first_chunk()
            .expect("a parsed header holds its message id")
    }

    /// What the header tag authenticates.
    pub(crate) fn authenticated(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - TAG_LEN_BYTES]
    }

    pub(crate) fn commitment(&self) -> &[u8] {
        &self.bytes[self.commitment_at()..self.bytes.len() - TAG_LEN_BYTES]
    }

    pub(crate) fn commitment_at(&self) -> usize {
        self.bytes.len() - TAG_LEN_BYTES - COMMITMENT_LEN_BYTES
    }

    pub(crate) fn tag(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - TAG_LEN_BYTES..]
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("suite", &self.suite)
            .field("len_bytes", &self.bytes.len())
            .field("context", &self.context)
            .field("recipient_count", &self.recipient_count)
            .field("frame_len_bytes", &self.frame_len_bytes)
            .finish()
    }
}

/// Length of a header with this context and recipients that take `recipients_len` bytes, tag included.
pub(crate) fn header_len(context: &Context, recipients_len: usize) -> usize {
    CONTEXT_AT + context.as_bytes().len() + 2 + recipients_len + TAIL_LEN_BYTES
}

/// Writes a header up to its tag. The caller has checked every bound.
pub(crate) fn write<'a>(
    suite: Suite,
    message_id: &[u8; MESSAGE_ID_LEN_BYTES],
    context: &Context,
    recipients: impl Iterator<Item = &'a Recipient> + Clone,
    frame_len_bytes: u32,
    commitment: &[u8; COMMITMENT_LEN_BYTES],
) -> Vec<u8> {
    let recipients_len = recipients
        .clone()
        .map(|recipient| recipient.as_bytes().len())
        .sum();
    let recipient_count =
        u16::try_from(recipients.clone().count()).expect("the caller has checked the count");
    let context_len =
        u16::try_from(context.as_bytes().len()).expect("a context is at most 65535 bytes");

    let mut bytes = Vec::with_capacity(header_len(context, recipients_len));
    bytes.push(VERSION);
    bytes.extend_from_slice(&suite.id().to_be_bytes());
    bytes.extend_from_slice(message_id);
    bytes.extend_from_slice(&context_len.to_be_bytes());
    bytes.extend_from_slice(context.as_bytes());
    bytes.extend_from_slice(&recipient_count.to_be_bytes());
    for recipient in recipients {
        bytes.extend_from_slice(recipient.as_bytes());
    }
    bytes.push(CONTENT_FRAMED);
    bytes.extend_from_slice(&frame_len_bytes.to_be_bytes());
    bytes.extend_from_slice(commitment);
    bytes
}

/// Appends the tag over `bytes` and the context that is required but not stored.
pub(crate) fn append_tag(
    key: &MessageKey,
    bytes: &mut Vec<u8>,
    required: &Context,
) -> Result<(), Unspecified> {
    let tag = key.seal_header(&tag_aad(bytes, required))?;
    bytes.extend_from_slice(&tag);
    Ok(())
}

/// Whether the header tag verifies under the message key, together with the context that is required but not stored.
pub(crate) fn verify_tag(key: &MessageKey, header: &Header, required: &Context) -> bool {
    key.verifies_header(&tag_aad(header.authenticated(), required), header.tag())
}

/// What the header tag authenticates: the header, then the serialised required context, of which an empty one has no bytes.
fn tag_aad<'a>(header: &'a [u8], required: &Context) -> Cow<'a, [u8]> {
    if required.is_empty() {
        Cow::Borrowed(header)
    } else {
        Cow::Owned([header, required.as_bytes()].concat())
    }
}

/// Why reading stopped before the end of the header.
enum Stop {
    NeedMore { at_least_bytes: usize },
    Refused(Refusal),
}

fn refuse<T>(offset: usize, reason: RefusalReason) -> Result<T, Stop> {
    Err(Stop::Refused(Refusal::at(offset, reason)))
}

fn read(bytes: &[u8], limits: HeaderLimits) -> Result<Header, Stop> {
    let mut reader = Reader {
        bytes,
        at: 0,
        most: limits.header_len_bytes_most,
    };
    let [version] = reader.array()?;
    if version != VERSION {
        return refuse(0, RefusalReason::Version { version });
    }
    let suite = read_suite(&mut reader)?;
    reader.take(MESSAGE_ID_LEN_BYTES)?;
    let context_len = reader.u16()?;
    let context_bytes = reader.take(usize::from(context_len))?;
    let recipients_at = reader.at + 2;
    let recipient_count = read_recipients(&mut reader, limits.recipients_most)?;
    let frame_len_bytes = read_content(&mut reader)?;
    reader.take(COMMITMENT_LEN_BYTES + TAG_LEN_BYTES)?;

    // Last, because it is the only step that walks more than lengths: an incomplete header never pays for it.
    let context = match Context::parse(context_bytes) {
        Ok(context) => context,
        Err(error) => {
            return refuse(
                CONTEXT_AT + error.offset,
                RefusalReason::Context(error.fault),
            );
        }
    };
    Ok(Header {
        bytes: bytes[..reader.at].to_vec(),
        suite,
        context,
        recipients_at,
        recipient_count,
        frame_len_bytes,
    })
}

fn read_suite(reader: &mut Reader<'_>) -> Result<Suite, Stop> {
    let id = reader.u16()?;
    match Suite::from_id(id) {
        Some(suite) => Ok(suite),
        None if Suite::lacks_commitment(id) => refuse(
            SUITE_AT,
            RefusalReason::SuiteWithoutCommitment { suite: id },
        ),
        None => refuse(SUITE_AT, RefusalReason::UnknownSuite { suite: id }),
    }
}

fn read_recipients(reader: &mut Reader<'_>, most: u16) -> Result<u16, Stop> {
    let at = reader.at;
    let count = reader.u16()?;
    if count == 0 {
        return refuse(at, RefusalReason::NoRecipients);
    }
    if count > most {
        return refuse(at, RefusalReason::TooManyRecipients { count, most });
    }
    for _field in 0..3 * u32::from(count) {
        let len = reader.u16()?;
        reader.take(usize::from(len))?;
    }
    Ok(count)
}

fn read_content(reader: &mut Reader<'_>) -> Result<u32, Stop> {
    let at = reader.at;
    let [content_type] = reader.array()?;
    if content_type != CONTENT_FRAMED {
        return refuse(at, RefusalReason::NotFramed { content_type });
    }
    let at = reader.at;
    let frame_len_bytes = u32::from_be_bytes(reader.array()?);
    if frame_len_bytes == 0 || frame_len_bytes > FRAME_LEN_BYTES_MOST {
        return refuse(
            at,
            RefusalReason::FrameLen {
                frame_len_bytes,
                most: FRAME_LEN_BYTES_MOST,
            },
        );
    }
    Ok(frame_len_bytes)
}

/// Walks a header whose bytes may end anywhere.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    most: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let end = self.at + len;
        if end > self.most {
            return refuse(self.at, RefusalReason::HeaderTooLong { most: self.most });
        }
        let taken = self.bytes.get(self.at..end).ok_or(Stop::NeedMore {
            at_least_bytes: end,
        })?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        Ok(*self
            .take(N)?
            .first_chunk()
            .expect("`take` gives what was asked"))
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        Ok(u16::from_be_bytes(self.array()?))
    }
}
