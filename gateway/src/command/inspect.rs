//! `sealgate inspect`: what a message says of itself, read without any key. Nothing of it is authenticated.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sealgate_envelope::{Header, RecipientRef, Suite};
use serde_json::{Value, json};

use super::answer::{CommandError, Style};
use super::frame_walk::{self, Walk};
use super::input::{Input, Pace};
use super::message_arguments::exit_statuses;
use super::message_error::MessageError;
use super::message_reader::MessageReader;
use super::open::plaintext_len;
use super::recipient_kind::{Kind, hex, key_name};
use super::shown;

const EXAMPLES: &str = concat!(
    "\
Examples:
  sealgate inspect report.sealed
  sealgate inspect report.sealed --frames
  curl -s https://store.example/report.sealed | sealgate inspect - --json

No key is needed and nothing is authenticated: what is shown is what the message claims, and whoever
could write to it may have written it. Only opening it tells. Text of the message is shown with control
characters escaped. With --frames, a message whose shape is broken ends in status 7 or 8.",
    exit_statuses!()
);

/// Arguments of `sealgate inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// The message; `-` for standard input
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Walk over the heads of all frames: is the shape whole, and if not, where does it break?
    #[arg(long)]
    pub frames: bool,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `sealgate inspect`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &InspectArgs) -> ExitCode {
    let style = if args.json { Style::Json } else { Style::Words };
    match inspect(args, style) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(style),
    }
}

fn inspect(args: &InspectArgs, style: Style) -> Result<(), CommandError> {
    let input = Input::open(Some(&args.input))?;
    let name: Box<str> = input.name().into();
    let message_len = input.len_bytes();
    let (header, reader) = MessageReader::begin(input, Pace::FullBuffers)?;
    let walk = match args.frames {
        true => Some(frame_walk::walk(&header, reader)?),
        false => None,
    };
    let lens = Lens::new(&header, message_len);
    match style {
        Style::Words => style.answer(&words(&name, &header, lens, walk.as_ref()), &Value::Null)?,
        Style::Json => style.answer("", &to_json(&name, &header, lens, walk.as_ref()))?,
    }
    match walk.and_then(|walk| walk.broken) {
        Some(refusal) => Err(MessageError::Refused { name, refusal }.into()),
        None => Ok(()),
    }
}

/// Lengths, as far as arithmetic gives them.
#[derive(Clone, Copy)]
struct Lens {
    message: Option<u64>,
    /// `None` also where no message has that length.
    plaintext: Option<u64>,
}

impl Lens {
    fn new(header: &Header, message: Option<u64>) -> Self {
        let plaintext = message.and_then(|len| plaintext_len(header, len));
        Self { message, plaintext }
    }
}

fn words(name: &str, header: &Header, lens: Lens, walk: Option<&Walk>) -> String {
    let mut text = format!(
        "{name}: a sealed message, version 2, suite {:#06x} ({})\n\
         Nothing here is authenticated: it is what the message claims.\n\
         message id    {}\n\
         header        {} bytes\n\
         frames        of {} bytes",
        header.suite().id(),
        suite_words(header.suite()),
        hex(header.message_id()),
        header.as_bytes().len(),
        header.frame_len_bytes(),
    );
    // A string takes every text.
    if let Some(len) = lens.message {
        let _ = match lens.plaintext {
            Some(plaintext) => write!(text, "\nlength        {len} bytes, plaintext {plaintext}"),
            None => write!(
                text,
                "\nlength        {len} bytes, which no whole message has"
            ),
        };
    }
    let mut label = "context";
    for (key, value) in header.context().pairs() {
        let (key, value) = (shown::text(key), shown::text(value));
        let _ = write!(text, "\n{label:<14}\"{key}\" = \"{value}\"");
        label = "";
    }
    let mut label = "recipients";
    for recipient in header.recipients() {
        let _ = write!(text, "\n{label:<14}{}", recipient_words(&recipient));
        label = "";
    }
    if let Some(walk) = walk {
        let _ = write!(text, "\n{}", walk_words(walk));
    }
    text
}

fn recipient_words(recipient: &RecipientRef<'_>) -> String {
    let kind = Kind::of(recipient);
    let len = recipient.ciphertext.len();
    if kind == Kind::Pad {
        return format!("pad of {len} bytes");
    }
    format!(
        "{}, provider \"{}\", key \"{}\", wrapped key of {len} bytes",
        kind.word(),
        shown::bytes(recipient.provider_id),
        key_name(recipient)
    )
}

fn walk_words(walk: &Walk) -> String {
    match &walk.broken {
        None => format!(
            "shape         whole: {} frames, plaintext {} bytes",
            walk.frames, walk.plaintext_len
        ),
        Some(refusal) => format!(
            "shape         broken after {} frames with {} bytes, at byte {}: {}",
            walk.frames, walk.plaintext_len, refusal.offset, refusal.reason
        ),
    }
}

fn suite_words(suite: Suite) -> &'static str {
    match suite {
        Suite::Committed => "AES-256-GCM, HKDF-SHA512, key commitment",
        Suite::CommittedSigned => "AES-256-GCM, HKDF-SHA512, key commitment, ECDSA P-384 signature",
    }
}

fn to_json(name: &str, header: &Header, lens: Lens, walk: Option<&Walk>) -> Value {
    let context: serde_json::Map<String, Value> = header
        .context()
        .pairs()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    let recipients: Vec<Value> = header
        .recipients()
        .map(|recipient| {
            json!({
                "kind": Kind::of(&recipient).word(),
                "provider_id": shown::bytes(recipient.provider_id),
                "key_name": key_name(&recipient),
                "wrapped_key_bytes": recipient.ciphertext.len(),
            })
        })
        .collect();
    let mut answer = json!({
        "message": name,
        "authenticated": false,
        "version": 2,
        "suite": format!("{:#06x}", header.suite().id()),
        "message_id": hex(header.message_id()),
        "context": context,
        "recipients": recipients,
        "header_length": header.as_bytes().len(),
        "frame_length": header.frame_len_bytes(),
        "sealed_bytes": lens.message,
        "plaintext_bytes": lens.plaintext,
    });
    if let Some(walk) = walk {
        answer["shape"] = json!({
            "whole": walk.broken.is_none(),
            "frames": walk.frames,
            "plaintext_bytes": walk.plaintext_len,
            "broken_at": walk.broken.map(|refusal| refusal.offset),
            "reason": walk.broken.map(|refusal| refusal.reason.to_string()),
        });
    }
    answer
}
