//! `sealgate open`: a sealed message becomes the file or the pipe that it was made from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use sealgate_envelope::grant::{self, GrantError};
use sealgate_envelope::{DataKey, Header, OpenIntoError, Opener, Suite, sizes};
use serde_json::{Value, json};

use super::answer::{CommandError, Voice};
use super::context::Contexts;
use super::input::{Input, Pace};
use super::message_arguments::{
    AnswerArgs, ContextArgs, OpeningKeyArgs, OutputArgs, exit_statuses,
};
use super::message_error::MessageError;
use super::message_reader::MessageReader;
use super::opening_keys::OpeningKeys;
use super::output::{Output, Released, Secrecy};
use super::progress::Progress;
use super::range_argument::RangeArgument;
use super::recipient_kind::hex;
use super::release::{Partial, Release};

const EXAMPLES: &str = concat!(
    "\
Examples:
  What was sealed for a tenant, at the path where it stands:
    sealgate open report.sealed -o report.pdf --keyring acme.keyring --context path=/reports/1

  With a raw AES key of 32 bytes, whoever sealed it:
    sealgate open --raw-aes example key-1 key-1.bin --context tenant=acme report.sealed -o report.pdf

  The first KiB of a large file, at the cost of the frames it touches:
    sealgate open film.sealed --range 0-1023 --private-key laptop.key.pem -o head.bin

  More than 64 MiB into a pipe that can be told afterwards that it was not all (exit status):
    sealgate open photos.sealed --private-key laptop.key.pem --partial | tar x

  With a grant that somebody gave you:
    sealgate open report.sealed -o report.pdf --grant report.grant --private-key laptop.key.pem

A file gets its name when the last tag, and the signature where there is one, has verified. Into a pipe
nothing goes before that either, so a pipe takes 64 MiB at most; --partial lets frames out as they verify.",
    exit_statuses!()
);

/// Arguments of `sealgate open`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct OpenArgs {
    /// The message; without it, or for `-`, standard input
    #[arg(value_name = "IN")]
    pub input: Option<PathBuf>,
    /// Where the plaintext goes.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What it is opened with.
    #[command(flatten)]
    pub keys: OpeningKeyArgs,
    /// What is expected of it.
    #[command(flatten)]
    pub context: ContextArgs,
    /// Open these bytes of the plaintext only, as in HTTP: FIRST-LAST, both inclusive and from 0; FIRST- to the end; -COUNT for the last
    /// ones. IN has to be a file
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    pub range: Option<RangeArgument>,
    /// The data key comes from this grant, which is sealed to one of your keys
    #[arg(long, value_name = "FILE")]
    pub grant: Option<PathBuf>,
    /// Let plaintext out before the message is known to be whole: a pipe gets frames as they verify, and if the message breaks off, FILE
    /// keeps those before. Under suite 0x0578 the signature has not vouched for them
    #[arg(long)]
    pub partial: bool,
    /// How it answers.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Carries out `sealgate open`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &OpenArgs) -> ExitCode {
    let voice = Voice::new(args.answer);
    match open(args, voice) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(voice.style()),
    }
}

fn open(args: &OpenArgs, voice: Voice) -> Result<(), CommandError> {
    let opening = Opening {
        keys: OpeningKeys::load(&args.keys)?,
        expected: Contexts::new(&args.context)?,
        grant: args.grant.as_deref(),
        partial: if args.partial {
            Partial::Keep
        } else {
            Partial::Discard
        },
    };
    let input = Input::open(args.input.as_deref())?;
    let output = Output::create(
        args.output.output.as_deref(),
        args.output.existing(),
        Secrecy::Plaintext,
    )?;
    match args.range {
        None => opening.whole(input, output, voice)?,
        Some(range) => opening.range(input, output, range, voice)?,
    }
    Ok(())
}

/// What a message is opened with, and what is expected of it.
pub(super) struct Opening<'a> {
    keys: OpeningKeys,
    pub(super) expected: Contexts,
    grant: Option<&'a Path>,
    pub(super) partial: Partial,
}

impl Opening<'_> {
    /// The data key of the message `name`, from its header or from the grant.
    pub(super) fn data_key(&self, name: &str, header: &Header) -> Result<DataKey, MessageError> {
        refuse_grant(name, header)?;
        let Some(path) = self.grant else {
            return self.keys.data_key(name, header, &self.expected);
        };
        self.expected.check(name, header)?;
        let (grant, bytes) = MessageReader::read_small(path)?;
        let fault = |error| MessageError::Grant {
            path: path.into(),
            error,
        };
        if !is_grant(&grant) {
            return Err(fault(GrantError::NotAGrant));
        }
        let grant_key = self.keys.grant_key(&path.display().to_string(), &grant)?;
        grant::open(&bytes, &grant_key, header).map_err(fault)
    }

    fn whole(&self, input: Input, output: Output, voice: Voice) -> Result<(), MessageError> {
        let pace = match self.partial {
            Partial::Keep => Pace::between(&input, &output),
            // Nothing goes out before the end, so nobody waits for less.
            Partial::Discard => Pace::FullBuffers,
        };
        let (header, mut reader) = MessageReader::begin(input, pace)?;
        let data_key = self.data_key(reader.name(), &header)?;
        let mut opener = Opener::begin_with_required(&header, &self.expected.required, &data_key)
            .map_err(MessageError::refused(reader.name()))?;
        drop(data_key);
        let mut release = Release::begin(reader.name(), output, self.partial)?;
        if let Some(len) = reader
            .len_bytes()
            .and_then(|len| plaintext_len(&header, len))
        {
            release.expect(len)?;
        }
        let mut progress = Progress::begin(voice, "Opening", reader.len_bytes());
        if let Err(error) = copy(&mut reader, &mut opener, &mut release, &mut progress) {
            return Err(release.abandon(error));
        }
        let whole = match opener
            .finish()
            .map_err(MessageError::refused(reader.name()))
        {
            Ok(whole) => whole,
            Err(error) => return Err(release.abandon(error)),
        };
        drop(progress);
        let len_bytes = whole.plaintext_len_bytes();
        let released = release.finish()?;
        let words = match header.suite() {
            Suite::Committed => "every tag verified",
            Suite::CommittedSigned => "every tag and the signature verified",
        };
        let words = format!("{}: {len_bytes} bytes, {words}", released.name);
        let more = json!({ "whole": true, "signature_verified": header.suite() == Suite::CommittedSigned });
        tell(voice, &released, &words, answer(&header, len_bytes, more));
        Ok(())
    }
}

/// Whether a header says that it is a grant's.
pub(super) fn is_grant(header: &Header) -> bool {
    header.context().value(grant::GRANT_FOR).is_some()
}

/// Refuses a grant in a message's place: its plaintext is a data key, which belongs into no file and on no terminal.
pub(super) fn refuse_grant(name: &str, header: &Header) -> Result<(), MessageError> {
    match is_grant(header) {
        true => Err(MessageError::IsAGrant { name: name.into() }),
        false => Ok(()),
    }
}

/// Opens chunk after chunk, up to the end or the first that does not verify.
fn copy(
    reader: &mut MessageReader,
    opener: &mut Opener,
    release: &mut Release,
    progress: &mut Progress,
) -> Result<(), MessageError> {
    // A chunk of a pipe may complete a frame that is held.
    let most = opener.output_len_most(2 * reader.chunk_len_most());
    let name: Box<str> = reader.name().into();
    while let Some(chunk) = reader.next_chunk()? {
        let refusal = match opener.write_into(chunk, release.room(most)) {
            Ok(written) => {
                release.advance(written)?;
                progress.advance(chunk.len());
                continue;
            }
            Err(OpenIntoError::Refused { refusal, written }) => {
                release.advance(written)?;
                refusal
            }
            Err(OpenIntoError::OutputTooShort { .. }) => {
                unreachable!("a frame and a chunk are always enough")
            }
        };
        return Err(MessageError::Refused { name, refusal });
    }
    Ok(())
}

/// By arithmetic, so it is only good for making room, and for telling what a message claims. `None` where no message has that length.
pub(super) fn plaintext_len(header: &Header, message_len: u64) -> Option<u64> {
    let footer_len = match header.suite() {
        Suite::Committed => 0,
        Suite::CommittedSigned => sizes::FOOTER_LEN_BYTES as u64,
    };
    let header_len = header.as_bytes().len() as u64;
    let len = message_len.checked_sub(footer_len)?;
    sizes::opened_len(len, header_len, header.frame_len_bytes())
}

/// What is told of every message that was opened, and `more`.
pub(super) fn answer(header: &Header, len_bytes: u64, more: Value) -> Value {
    let context: serde_json::Map<String, Value> = header
        .context()
        .pairs()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    let mut answer = json!({
        "message_id": hex(header.message_id()),
        "suite": format!("{:#06x}", header.suite().id()),
        "context": context,
        "plaintext_bytes": len_bytes,
    });
    if let (Some(answer), Value::Object(more)) = (answer.as_object_mut(), more) {
        answer.extend(more);
    }
    answer
}

/// Says what was opened, and where it is.
pub(super) fn tell(voice: Voice, released: &Released, words: &str, mut answer: Value) {
    answer["output"] = (*released.name).into();
    voice.say(released, words, &answer);
}
