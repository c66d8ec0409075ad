//! `sealgate seal`: a file or a pipe becomes a sealed message.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sealgate_envelope::{
    DataKey, Header, ParsedHeader, SealSettings, Sealer, Signer, limits, sizes,
};
use serde_json::json;
use zeroize::Zeroizing;

use super::answer::{CommandError, Voice};
use super::context::Contexts;
use super::input::{Input, Pace};
use super::message_arguments::{
    AnswerArgs, ContextArgs, OutputArgs, SealingKeyArgs, exit_statuses,
};
use super::message_error::MessageError;
use super::message_reader::CHUNK_LEN_BYTES;
use super::output::{Output, Released, Secrecy};
use super::progress::Progress;
use super::recipient_kind::hex;
use super::sealing_keys::SealingKeys;

const EXAMPLES: &str = concat!(
    "\
Examples:
  For a tenant, whose keyring opens it again:
    sealgate seal report.pdf -o report.sealed --keyring acme.keyring --context path=/reports/1

  With a raw AES key of 32 bytes, for any AWS Encryption SDK:
    sealgate seal --raw-aes example key-1 key-1.bin --context tenant=acme report.pdf -o report.sealed

  For two devices, from a pipe into a pipe:
    tar c photos | sealgate seal --recipient phone.pub.pem --recipient laptop.pub.pem > photos.sealed

The context is stored in the message for all to read; nobody can change it. A keyring adds its tenant.",
    exit_statuses!()
);

/// Arguments of `sealgate seal`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SealArgs {
    /// The file to seal; without it, or for `-`, standard input
    #[arg(value_name = "IN")]
    pub input: Option<PathBuf>,
    /// Where the message goes.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Who can open it.
    #[command(flatten)]
    pub keys: SealingKeyArgs,
    /// What is bound to it.
    #[command(flatten)]
    pub context: ContextArgs,
    /// Plaintext bytes in each frame, 1 to 4194304: what a reader buffers, and opens at least for a range
    #[arg(long, value_name = "BYTES", default_value_t = limits::FRAME_LEN_BYTES_DEFAULT)]
    pub frame_length: u32,
    /// Fill the header to this length, so that the plaintext's size follows from the message's
    #[arg(long, value_name = "BYTES")]
    pub header_length: Option<u32>,
    /// Sign the whole message (suite 0x0578): 200 bytes more, and nobody can believe a part of it before its end
    #[arg(long)]
    pub sign: bool,
    /// Seal on so many cores. The message is the same, it is sealed sooner, and costs more CPU time
    #[arg(long, value_name = "N", default_value = "1")]
    pub threads: NonZeroUsize,
    /// How it answers.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Carries out `sealgate seal`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &SealArgs) -> ExitCode {
    let voice = Voice::new(args.answer);
    match seal(args, voice) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(voice.style()),
    }
}

fn seal(args: &SealArgs, voice: Voice) -> Result<(), CommandError> {
    let keys = SealingKeys::load(&args.keys)?;
    let contexts = keys.contexts(Contexts::new(&args.context)?)?;
    let input = Input::open(args.input.as_deref())?;
    let output = Output::create(
        args.output.output.as_deref(),
        args.output.existing(),
        Secrecy::Ciphertext,
    )?;
    output.refuse_input(&input)?;
    if output.is_terminal() {
        return Err(MessageError::OutputIsTerminal.into());
    }
    let settings = SealSettings {
        frame_len_bytes: args.frame_length,
        header_len_bytes: args.header_length,
    };
    let signature = if args.sign {
        Signature::Wanted
    } else {
        Signature::None
    };
    let (sealer, header) = begin(&keys, &contexts, settings, signature)?;
    let told = Told::new(&header, args.frame_length);
    let sealing = Sealing {
        sealer,
        input,
        output,
        frame_len: args.frame_length as usize,
        threads: args.threads,
    };
    let (output, lens) = sealing.run(header, voice)?;
    let released = output.commit()?;
    told.say(voice, &released, lens);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signature {
    None,
    Wanted,
}

fn begin(
    keys: &SealingKeys,
    contexts: &Contexts,
    settings: SealSettings,
    signature: Signature,
) -> Result<(Sealer, Vec<u8>), MessageError> {
    let data_key = DataKey::generate()?;
    if signature == Signature::None {
        let both = contexts.stored.joined_with(&contexts.required)?;
        let recipients = keys.wrap(&data_key, &both)?;
        let (stored, required) = (&contexts.stored, &contexts.required);
        return Ok(Sealer::begin_with_required(
            &data_key,
            stored,
            required,
            &recipients,
            settings,
        )?);
    }
    // The signer's public key is a part of the context that recipients are wrapped in.
    let signer = Signer::new(&contexts.stored)?;
    let both = signer.context().joined_with(&contexts.required)?;
    let recipients = keys.wrap(&data_key, &both)?;
    Ok(Sealer::begin_signed(
        &data_key,
        signer,
        &contexts.required,
        &recipients,
        settings,
    )?)
}

/// How much went in and came out.
#[derive(Clone, Copy)]
struct Lens {
    plaintext: u64,
    sealed: u64,
}

struct Sealing {
    sealer: Sealer,
    input: Input,
    output: Output,
    frame_len: usize,
    threads: NonZeroUsize,
}

impl Sealing {
    /// Seals everything; the output has no name yet.
    fn run(mut self, header: Vec<u8>, voice: Voice) -> Result<(Output, Lens), MessageError> {
        let header_len = header.len() as u64;
        if let Some(len) = self.input.len_bytes()
            && let Some(sealed_len) = sizes::sealed_len(len, header_len, self.frame_len as u32)
        {
            self.output.reserve(sealed_len)?;
        }
        self.output.write(&header)?;
        let mut lens = Lens {
            plaintext: 0,
            sealed: header_len,
        };
        let mut progress = Progress::begin(voice, "Sealing", self.input.len_bytes());
        let pace = Pace::between(&self.input, &self.output);
        let mut plaintext = Zeroizing::new(vec![0; self.chunk_len()]);
        // Room for a chunk after a held frame, which is room for the end as well.
        let most = self
            .sealer
            .output_len_most(plaintext.len() + self.frame_len);
        loop {
            let read = self.input.read_at_pace(&mut plaintext, pace)?;
            if read == 0 {
                break;
            }
            let sealed = self.output.room(most);
            let written = self
                .sealer
                .write_into_on(self.threads, &plaintext[..read], sealed)?;
            self.output.advance(written)?;
            lens.plaintext += read as u64;
            lens.sealed += written as u64;
            progress.advance(read);
        }
        let written = self.sealer.finish_into(self.output.room(most))?;
        self.output.advance(written)?;
        lens.sealed += written as u64;
        Ok((self.output, lens))
    }

    /// Whole frames; for several threads, twice as much as makes them begin, for each of them.
    fn chunk_len(&self) -> usize {
        let threads = self.threads.get().min(limits::SEAL_THREADS_MOST);
        let wanted = match threads {
            1 => CHUNK_LEN_BYTES,
            threads => threads * 2 * limits::SEAL_PART_LEN_BYTES,
        };
        (wanted / self.frame_len).max(1) * self.frame_len
    }
}

/// What is told of a message that was sealed.
struct Told {
    message_id: String,
    suite: String,
    recipients: usize,
    header_len: usize,
    frame_len: u32,
}

impl Told {
    fn new(header: &[u8], frame_len: u32) -> Self {
        let parsed = match Header::parse(header) {
            Ok(ParsedHeader::Complete { header, .. }) => Some(header),
            _ => None,
        };
        let header_len = header.len();
        let header = parsed.expect("a header that was just written is one");
        Self {
            message_id: hex(header.message_id()),
            suite: format!("{:#06x}", header.suite().id()),
            recipients: header.recipients().count(),
            header_len,
            frame_len,
        }
    }

    fn say(&self, voice: Voice, output: &Released, lens: Lens) {
        let words = format!(
            "{}: sealed {} bytes for {} recipient{}, {} bytes in all",
            output.name,
            lens.plaintext,
            self.recipients,
            if self.recipients == 1 { "" } else { "s" },
            lens.sealed
        );
        let answer = json!({
            "output": output.name,
            "message_id": self.message_id,
            "suite": self.suite,
            "recipients": self.recipients,
            "header_length": self.header_len,
            "frame_length": self.frame_len,
            "plaintext_bytes": lens.plaintext,
            "sealed_bytes": lens.sealed,
        });
        voice.say(output, &words, &answer);
    }
}
