//! Resealing one file.
//!
//! ```text
//! file -> header -> as wanted already? -> data key -> Resealer -> place beside -> read back -> the file's place
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Advice, OFlags};
use sealgate_envelope::reseal::{self, Reseal, ResealError, Resealed, Unproven};
use sealgate_envelope::{Header, ParsedHeader, Refusal, RefusalReason, SealSettings, limits};
use sealgate_keys::context_key;

use super::context::Contexts;
use super::message_error::{MessageError, Operation};
use super::open::is_grant;
use super::opening_keys::OpeningKeys;
use super::reseal_error::ResealFault;
use super::reseal_place::{Identity, Place};
use super::sealing_keys::SealingKeys;

/// What is read at once.
const CHUNK_LEN_BYTES: usize = 512 * 1024;
/// What is read of a file to see what it is: most headers whole.
const FIRST_READ_LEN_BYTES: usize = 4096;

/// What every file of one run is resealed with.
pub(super) struct Resealing {
    pub(super) opening: OpeningKeys,
    pub(super) sealing: SealingKeys,
    pub(super) expected: Contexts,
    pub(super) frame_len_bytes: Option<u32>,
    pub(super) repeat: Repeat,
}

/// What happens to messages that are sealed as wanted already.
#[derive(Debug, Clone, Copy)]
pub(super) enum Repeat {
    /// They are left alone.
    Never,
    /// They are sealed anew all the same: the one message that goes into another file.
    Always,
    /// They are sealed anew all the same, unless that was done since `begun`: by this very run, which a directory may show them to twice.
    Once { begun: SystemTime },
}

/// A file that was looked at.
pub(super) enum Seen {
    /// A message to be resealed.
    Due(Box<Old>),
    /// A message that is sealed as wanted.
    Current,
    /// A grant: it is for a message as it is, and worth nothing for another.
    Grant,
    /// Another kind of file.
    NotAMessage(Refusal),
}

/// A message that is to be resealed.
pub(super) struct Old {
    file: File,
    identity: Identity,
    header: Header,
}

impl Old {
    /// Length of the message.
    pub(super) fn len_bytes(&self) -> u64 {
        self.identity.len_bytes()
    }
}

impl Resealing {
    /// Looks at the header of the file at `path`. No key is used: what it says is believed only when the message is opened.
    ///
    /// # Errors
    /// [`ResealFault`]: the file cannot be read, or begins as a message and does not go on as one.
    pub(super) fn look_at(&self, path: &Path) -> Result<Seen, ResealFault> {
        let name = path.display().to_string();
        // The entry may have become a pipe since it was listed. One that became a link is noticed when its place is taken.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(MessageError::io(Operation::Open, &name))?;
        let metadata = file
            .metadata()
            .map_err(MessageError::io(Operation::Read, &name))?;
        if !metadata.is_file() {
            return Err(ResealFault::NotRegularFile);
        }
        let header = match read_header(&mut file) {
            Ok(header) => header,
            Err(HeaderError::Read(error)) => {
                return Err(MessageError::io(Operation::Read, &name)(error).into());
            }
            Err(HeaderError::Refused(refusal)) if is_of_another_kind(&refusal) => {
                return Ok(Seen::NotAMessage(refusal));
            }
            Err(HeaderError::Refused(refusal)) => return Err(refused(path, refusal).into()),
        };
        if is_grant(&header) {
            return Ok(Seen::Grant);
        }
        if self.is_current(&header) && !self.is_repeated(&metadata) {
            return Ok(Seen::Current);
        }
        if metadata.nlink() > 1 {
            return Err(ResealFault::HardLinked {
                links: metadata.nlink(),
            });
        }
        Ok(Seen::Due(Box::new(Old {
            file,
            identity: Identity::of(&metadata),
            header,
        })))
    }

    fn is_current(&self, header: &Header) -> bool {
        let frame_len = self.frame_len_bytes.unwrap_or(header.frame_len_bytes());
        frame_len == header.frame_len_bytes() && self.sealing.are_the_recipients_of(header)
    }

    fn is_repeated(&self, metadata: &fs::Metadata) -> bool {
        match self.repeat {
            Repeat::Never => false,
            Repeat::Always => true,
            Repeat::Once { begun } => {
                let begun = begun.duration_since(UNIX_EPOCH).unwrap_or_default();
                let begun = (begun.as_secs().cast_signed(), begun.subsec_nanos().into());
                (metadata.ctime(), metadata.ctime_nsec()) < begun
            }
        }
    }

    /// Reseals `old`, which stands at `path`, and puts the new message in its place; or at `target`, and then `old` stays. Says after each
    /// chunk how long it was.
    ///
    /// # Errors
    /// [`ResealFault`]; the file at `path` is as it was, and nothing is left beside it.
    pub(super) fn reseal(
        &self,
        path: &Path,
        old: &Old,
        target: Option<&Path>,
        mut advance: impl FnMut(usize),
    ) -> Result<Resealed, ResealFault> {
        let at = |error| reseal_fault(path, error);
        let name = path.display().to_string();
        let header = &old.header;
        self.check_tenant(header)?;
        let old_key = self
            .opening
            .data_key_anywhere(&name, header, &self.expected)?;
        let plan = Reseal::of(header, &self.expected.required).map_err(at)?;
        let context = plan.context().map_err(at)?;
        let recipients = self.sealing.wrap(plan.data_key(), &context)?;
        let (mut resealer, new_header) = plan
            .begin(&old_key, &recipients, self.layout_for(header))
            .map_err(at)?;
        drop(old_key);

        // Looked at before the work, too.
        if let Some(path) = target.filter(|target| fs::symlink_metadata(target).is_ok()) {
            return Err(ResealFault::OutputExists { path: path.into() });
        }
        let mut place = Place::beside(target.unwrap_or(path))?;
        let _ = rustix::fs::fadvise(&old.file, 0, None, Advice::Sequential);
        place.write(path, &new_header)?;
        let mut chunk = vec![0; CHUNK_LEN_BYTES];
        let mut sealed = Vec::new();
        loop {
            let read =
                fill(&old.file, &mut chunk).map_err(MessageError::io(Operation::Read, &name))?;
            if read == 0 {
                break;
            }
            sealed.clear();
            resealer.write(&chunk[..read], &mut sealed).map_err(at)?;
            place.write(path, &sealed)?;
            advance(read);
        }
        sealed.clear();
        let unproven = resealer.finish(&mut sealed).map_err(at)?;
        place.write(path, &sealed)?;
        place.inherit(&old.file)?;
        place
            .flush()
            .map_err(MessageError::io(Operation::Sync, &name))?;
        let resealed = read_back(path, &mut place, unproven, &mut chunk)?;
        match target {
            None => place.take(path, old.identity)?,
            Some(target) => place.stand_at(target)?,
        }
        Ok(resealed)
    }

    /// A keyring opens only what names its tenant, so nothing else is sealed for it.
    fn check_tenant(&self, header: &Header) -> Result<(), ResealFault> {
        match self.sealing.keyring() {
            Some(keyring)
                if header.context().value(context_key::TENANT) != Some(keyring.pseudonym()) =>
            {
                Err(ResealFault::OtherTenant)
            }
            _ => Ok(()),
        }
    }

    fn layout_for(&self, header: &Header) -> SealSettings {
        let kept = reseal::layout_of(header);
        SealSettings {
            frame_len_bytes: self.frame_len_bytes.unwrap_or(kept.frame_len_bytes),
            ..kept
        }
    }
}

impl Place {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), MessageError> {
        let written = self.file().write_all(bytes);
        written.map_err(MessageError::io(
            Operation::Write,
            &path.display().to_string(),
        ))
    }
}

/// Opens what was written, from the disk where the system lets it.
fn read_back(
    path: &Path,
    place: &mut Place,
    unproven: Unproven,
    chunk: &mut [u8],
) -> Result<Resealed, ResealFault> {
    let at = |error| reseal_fault(path, error);
    let name = path.display().to_string();
    let file = place.file();
    file.rewind()
        .map_err(MessageError::io(Operation::Read, &name))?;
    let header = read_header(file).map_err(|error| match error {
        HeaderError::Read(error) => MessageError::io(Operation::Read, &name)(error).into(),
        HeaderError::Refused(refusal) => at(ResealError::WrittenRefused(refusal)),
    })?;
    let mut read_back = unproven.read_back(&header).map_err(at)?;
    loop {
        let read = fill(file, chunk).map_err(MessageError::io(Operation::Read, &name))?;
        if read == 0 {
            return read_back.finish().map_err(at);
        }
        read_back.write(&chunk[..read]).map_err(at)?;
    }
}

enum HeaderError {
    Read(io::Error),
    Refused(Refusal),
}

/// Reads the header at the start of `file`, and leaves the file behind it.
fn read_header(file: &mut File) -> Result<Header, HeaderError> {
    let mut bytes = Vec::with_capacity(FIRST_READ_LEN_BYTES);
    loop {
        match Header::parse(&bytes).map_err(HeaderError::Refused)? {
            ParsedHeader::Complete { header, len_bytes } => {
                file.seek(io::SeekFrom::Start(len_bytes as u64))
                    .map_err(HeaderError::Read)?;
                return Ok(header);
            }
            ParsedHeader::NeedMore { at_least_bytes } => {
                // A header ends within the limit, or is refused, so there is always more to ask for.
                let wanted =
                    at_least_bytes.clamp(FIRST_READ_LEN_BYTES, limits::HEADER_LEN_BYTES_MOST);
                let missing = wanted - bytes.len();
                let read = Read::by_ref(file)
                    .take(missing as u64)
                    .read_to_end(&mut bytes)
                    .map_err(HeaderError::Read)?;
                if read == 0 {
                    let refusal = Refusal::header_cut_short(bytes.len());
                    return Err(HeaderError::Refused(refusal));
                }
            }
        }
    }
}

/// Whether the first bytes are not those of a message at all, in contrast to a message that is damaged or cut short behind them.
fn is_of_another_kind(refusal: &Refusal) -> bool {
    match refusal.reason {
        RefusalReason::Version { .. } | RefusalReason::UnknownSuite { .. } => true,
        RefusalReason::HeaderCutShort => refusal.offset < 3,
        _ => false,
    }
}

pub(super) fn refused(path: &Path, refusal: Refusal) -> MessageError {
    MessageError::refused(&path.display().to_string())(refusal)
}

fn reseal_fault(path: &Path, error: ResealError) -> ResealFault {
    match error {
        ResealError::Refused(refusal) => refused(path, refusal).into(),
        error => ResealFault::Reseal {
            path: path.into(),
            error,
        },
    }
}

/// Reads until `buffer` is full or the file ends.
fn fill(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
