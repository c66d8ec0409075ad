//! `sealgate device`: makes a device's key pair, and tells the fingerprint by which people compare keys.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::answer::{CommandError, Style};
use super::device_key::{DeviceKey, Half};
use super::device_pair::{self, DeviceKeyType};

const DEVICE_EXAMPLES: &str = "\
Examples:
  On the device; the private key never leaves it:
    sealgate device new --type p256 --out device.key --public device.pub

  Compare what both sides read out, then seal for it:
    sealgate device fingerprint device.pub
    sealgate seal --recipient device.pub -o report.sealed report.pdf

Exit status:
  0  done
  1  not done: a file cannot be read or written, or is no key; the message says what would help
  2  the command line is wrong";

const NEW_EXAMPLES: &str = "\
Examples:
  sealgate device new --type p256 --out device.key --public device.pub
  sealgate device new --type xwing --out device.key --public device.pub

The private key is PKCS #8 in PEM, mode 0600; the public key is PEM as well. `openssl pkey` and the AWS
Encryption SDKs read those of P-256 and P-384. An X-Wing key is a seed of 32 bytes, as
draft-connolly-cfrg-xwing-kem has it. No file is ever overwritten.";

const FINGERPRINT_EXAMPLES: &str = "\
Examples:
  sealgate device fingerprint device.pub
  sealgate device fingerprint device.key other.pub --json

The fingerprint is SHA-256 over the public key as DER, the same for both halves. Without Sealgate:
  openssl pkey -pubin -in device.pub -outform DER | sha256sum
Compare all of it, over a channel on which you know the other's voice: who can swap the public key on
its way reads what is sealed for it.";

/// Arguments of `sealgate device`.
#[derive(Debug, Args)]
#[command(after_help = DEVICE_EXAMPLES, arg_required_else_help = true)]
pub struct DeviceArgs {
    /// Answer in JSON, one object a line; errors too, on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do with device keys.
    #[command(subcommand)]
    pub command: DeviceCommand,
}

/// What `sealgate device` is asked to do.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Make a key pair; existing files are never overwritten
    New(NewArgs),
    /// Tell the fingerprint of key files, private or public
    Fingerprint(FingerprintArgs),
}

/// Arguments of `sealgate device new`.
#[derive(Debug, Args)]
#[command(after_help = NEW_EXAMPLES)]
pub struct NewArgs {
    /// The kind of key
    #[arg(long = "type", value_name = "TYPE")]
    pub key_type: DeviceKeyType,
    /// The private key file to make, readable by its owner only
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The public key file to make
    #[arg(long, value_name = "FILE")]
    pub public: Option<PathBuf>,
}

/// Arguments of `sealgate device fingerprint`.
#[derive(Debug, Args)]
#[command(after_help = FINGERPRINT_EXAMPLES)]
pub struct FingerprintArgs {
    /// The key files, in PEM
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Carries out a command of `sealgate device`. Gives the exit status that its help documents.
#[must_use]
pub fn run(args: &DeviceArgs) -> ExitCode {
    let style = if args.json { Style::Json } else { Style::Words };
    match &args.command {
        DeviceCommand::New(args) => match new(args, style) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => error.report(style),
        },
        DeviceCommand::Fingerprint(args) => fingerprint(args, style),
    }
}

fn new(args: &NewArgs, style: Style) -> Result<(), CommandError> {
    let key = device_pair::create(args.key_type, &args.out, args.public.as_deref())?;
    let fingerprint = key.fingerprint();
    let words = match &args.public {
        Some(public) => format!(
            "{}: the private key, for this device alone\n{}: the public key, for whoever seals for it\n{fingerprint}",
            args.out.display(),
            public.display(),
        ),
        None => format!(
            "{}: the private key, for this device alone\n{fingerprint}",
            args.out.display()
        ),
    };
    let answer = json!({
        "private": args.out.display().to_string(),
        "public": args.public.as_ref().map(|path| path.display().to_string()),
        "type": key.kind(),
        "fingerprint": fingerprint.to_string(),
        "sha256": fingerprint.hex(),
    });
    style.print(&words, &answer);
    Ok(())
}

fn fingerprint(args: &FingerprintArgs, style: Style) -> ExitCode {
    let mut status = ExitCode::SUCCESS;
    for path in &args.files {
        if let Err(error) = fingerprint_of(path, style) {
            status = error.report(style);
        }
    }
    status
}

fn fingerprint_of(path: &Path, style: Style) -> Result<(), CommandError> {
    let key = DeviceKey::read(path)?;
    let fingerprint = key.fingerprint();
    let half = match key.half {
        Half::Private(_) => "private",
        Half::Public(_) => "public",
    };
    let words = format!("{fingerprint}  {} {half} {}", key.kind(), path.display());
    let answer = json!({
        "file": path.display().to_string(),
        "type": key.kind(),
        "half": half,
        "fingerprint": fingerprint.to_string(),
        "sha256": fingerprint.hex(),
    });
    style.answer(&words, &answer)
}
