//! What may be written behind every command on messages: keys, context, output.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sealgate_envelope::OaepHash;

use super::output::Existing;

/// The exit statuses of every command on messages, for the end of its help. They are stable.
macro_rules! exit_statuses {
    () => {
        "

Exit status:
  0  done
  1  not done: a file or pipe cannot be read or written, or a key file is none
  2  the command line is wrong, or asks for what this message does not have
  3  the keyring is disabled or shredded
  6  no key that was given opens the message, or the grant is for another one
  7  the message is damaged, or no message; what is wrong is said with its byte offset
  8  the message is cut short
  9  the message's context is not the expected one
After every status but 0 no output file was made or replaced, unless --partial was given."
    };
}
pub(super) use exit_statuses;

/// Keys that open.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Keys")]
pub struct OpeningKeyArgs {
    /// A tenant's keyring, as `sealgate keys new` makes it
    #[arg(long, value_name = "KEYRING")]
    pub keyring: Option<PathBuf>,
    /// An AES-256 key: KEYFILE holds its 32 bytes
    #[arg(long, num_args = 3, value_names = ["NAMESPACE", "NAME", "KEYFILE"])]
    pub raw_aes: Vec<String>,
    /// An RSA private key, PKCS #8 in PEM
    #[arg(long, num_args = 3, value_names = ["NAMESPACE", "NAME", "KEY.pem"])]
    pub raw_rsa: Vec<String>,
    /// The hash of OAEP, for every --raw-rsa
    #[arg(
        long,
        value_name = "HASH",
        default_value = "sha256",
        requires = "raw_rsa"
    )]
    pub oaep: Oaep,
    /// A device's private key: P-256, P-384 or X-Wing, PKCS #8 in PEM
    #[arg(long, value_name = "KEY.pem")]
    pub private_key: Vec<PathBuf>,
}

/// Keys that are sealed for.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Recipients")]
pub struct SealingKeyArgs {
    /// A tenant's keyring, as `sealgate keys new` makes it
    #[arg(long, value_name = "KEYRING")]
    pub keyring: Option<PathBuf>,
    /// An AES-256 key: KEYFILE holds its 32 bytes
    #[arg(long, num_args = 3, value_names = ["NAMESPACE", "NAME", "KEYFILE"])]
    pub raw_aes: Vec<String>,
    /// An RSA public key in PEM, and the namespace and name that its holder knows it by
    #[arg(long, num_args = 3, value_names = ["NAMESPACE", "NAME", "PUBLIC.pem"])]
    pub raw_rsa: Vec<String>,
    /// The hash of OAEP, for every --raw-rsa
    #[arg(
        long,
        value_name = "HASH",
        default_value = "sha256",
        requires = "raw_rsa"
    )]
    pub oaep: Oaep,
    /// A device's public key: P-256, P-384 or X-Wing, in PEM
    #[arg(long, value_name = "PUBLIC.pem")]
    pub recipient: Vec<PathBuf>,
}

/// The hash of RSA-OAEP.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Oaep {
    /// SHA-256, for OAEP and its mask generation.
    #[default]
    Sha256,
    /// SHA-1, for readers that know no other.
    Sha1,
}

impl From<Oaep> for OaepHash {
    fn from(oaep: Oaep) -> Self {
        match oaep {
            Oaep::Sha256 => Self::Sha256,
            Oaep::Sha1 => Self::Sha1,
        }
    }
}

/// The context of a message.
#[derive(Debug, Clone, Default, Args)]
pub struct ContextArgs {
    /// A pair of the message's context, stored in it for all to read and authenticated: written when sealing, and has to be there and
    /// equal when opening
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub context: Vec<(String, String)>,
    /// A pair that is authenticated but not stored: who opens the message has to bring all of them
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub required_context: Vec<(String, String)>,
}

/// Where the result goes.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// The file to write; without it, or for `-`, standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace FILE if it is there, in one step and when the new one is whole
    #[arg(long)]
    pub force: bool,
}

impl OutputArgs {
    /// What happens to a file that is there already.
    pub(super) fn existing(&self) -> Existing {
        if self.force {
            Existing::Replace
        } else {
            Existing::Refuse
        }
    }
}

/// How the command answers.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct AnswerArgs {
    /// Answer with one JSON object: on standard output, or on standard error where the output goes there; errors on standard error
    #[arg(long)]
    pub json: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE"),
    }
}
