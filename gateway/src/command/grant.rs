//! `sealgate grant`: a further recipient for a message that is already written, which stays as it is.

use std::process::ExitCode;

use sealgate_envelope::grant;
use sealgate_envelope::{DataKey, Opener};
use serde_json::json;

use super::answer::{CommandError, Voice};
use super::context::Contexts;
use super::input::{Input, Pace};
use super::message_error::MessageError;
use super::message_reader::MessageReader;
use super::open::refuse_grant;
use super::opening_keys::OpeningKeys;
use super::output::{Output, Secrecy};
use super::recipient_kind::hex;
use super::reseal_arguments::GrantArgs;
use super::sealing_keys::SealingKeys;

/// Carries out `sealgate grant`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &GrantArgs) -> ExitCode {
    let voice = Voice::new(args.answer);
    match grant(args, voice) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(voice.style()),
    }
}

fn grant(args: &GrantArgs, voice: Voice) -> Result<(), CommandError> {
    let opening = OpeningKeys::load(&args.keys)?;
    let sealing = SealingKeys::load(&args.recipients.with(None))?;
    let expected = Contexts::new(&args.context)?;
    let input = Input::open(Some(&args.message))?;
    let (header, reader) = MessageReader::begin(input, Pace::FullBuffers)?;
    let name = reader.name();
    refuse_grant(name, &header)?;
    let data_key = opening.data_key(name, &header, &expected)?;
    // The header as it stands there has to be its writer's, or access would be given to something else than was read.
    Opener::begin_with_required(&header, &expected.required, &data_key)
        .map_err(MessageError::refused(name))?;
    let grant_key = DataKey::generate().map_err(MessageError::from)?;
    let recipients = sealing.wrap(&grant_key, &grant::context(&header))?;
    let bytes = grant::seal(&header, &data_key, &grant_key, &recipients).map_err(|error| {
        MessageError::Grant {
            path: args.message.clone(),
            error,
        }
    })?;

    let path = args.output.output.as_deref();
    let mut output = Output::create(path, args.output.existing(), Secrecy::Ciphertext)?;
    if output.is_terminal() {
        return Err(MessageError::OutputIsTerminal.into());
    }
    output.write(&bytes)?;
    let released = output.commit()?;
    let words = format!(
        "{}: access to {name} for {} recipients, {} bytes",
        released.name,
        recipients.len(),
        bytes.len()
    );
    let answer = json!({
        "output": released.name,
        "grant_for": hex(header.message_id()),
        "recipients": recipients.len(),
        "grant_bytes": bytes.len(),
    });
    voice.say(&released, &words, &answer);
    Ok(())
}
