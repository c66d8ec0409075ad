//! What may be written behind `sealgate grant` and `sealgate reseal`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, value_parser};
use sealgate_envelope::limits;

use super::message_arguments::{
    AnswerArgs, ContextArgs, Oaep, OpeningKeyArgs, OutputArgs, SealingKeyArgs, exit_statuses,
};

const GRANT_EXAMPLES: &str = concat!(
    "\
Examples:
  A laptop is to open one message that was sealed for the tenant:
    sealgate grant report.sealed -o report.grant --keyring acme.keyring --context path=/reports/1 \\
        --recipient laptop.pub

  On the laptop, which has both files:
    sealgate open report.sealed -o report.pdf --grant report.grant --private-key laptop.key

The message is not touched, and only its header is read. The grant is a small message for the recipients
alone; it carries the data key of this one message. To take access away, `sealgate reseal` the message:
its grants then open nothing.",
    exit_statuses!()
);

const RESEAL_EXAMPLES: &str = "\
Examples:
  After a rotation, everything in a directory under the new epoch; interrupted, it goes on when run again:
    sealgate keys rotate acme.keyring
    sealgate reseal /srv/objects --keyring acme.keyring

  What would be done, and how much it is:
    sealgate reseal /srv/objects --keyring acme.keyring --dry-run

  For the tenant and one device, and for nobody else any more:
    sealgate reseal report.sealed --keyring acme.keyring --recipient laptop.pub

  With raw keys, into another file:
    sealgate reseal --raw-aes example key-1 key-1.bin --to-raw-aes example key-2 key-2.bin \\
        old.sealed -o new.sealed

Each message gets a new message id, a new data key and exactly these recipients: the keyring, where one is
given, and every --recipient, --to-raw-aes and --to-raw-rsa. Context and layout stay. So it stays with its
tenant: to give it to another one, open it and seal it anew. Who has once opened the old message may have
kept what was in it.

A new message stands at the path only when the old one has verified to its end, and the new one was read
back from disk and opened to the same plaintext. Killed at any time, one of them is there, whole; what a
killed run leaves beside it (.sealgate-reseal-*.tmp) the next run removes. Mode, owner, group, access list
and user attributes are kept; the time of change is new, so that backups copy the new message. A file with
several hard links is refused.

Directories are walked; symbolic links in them are not followed. What is sealed as wanted already is skipped:
headers tell, no key is used for that, and nothing of a skipped message is verified. --force reseals it all
the same. Other files, and grants, are left alone; one that fails does not stop the others. With --json
there is a line for each file, and the last one sums up.

Exit status:
  0   done
  1   a key file cannot be read, or is none
  2   the command line is wrong
  3   the keyring is disabled or shredded
  10  not all were resealed; what failed is said, one line a file, and is as it was";

/// Keys that are sealed for, where other keys open.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Recipients")]
pub struct NewRecipientArgs {
    /// A device's public key: P-256, P-384 or X-Wing, in PEM
    #[arg(long, value_name = "PUBLIC.pem")]
    pub recipient: Vec<PathBuf>,
    /// An AES-256 key: KEYFILE holds its 32 bytes
    #[arg(long, num_args = 3, value_names = ["NAMESPACE", "NAME", "KEYFILE"])]
    pub to_raw_aes: Vec<String>,
    /// An RSA public key in PEM, and the namespace and name that its holder knows it by
    #[arg(long, num_args = 3, value_names = ["NAMESPACE", "NAME", "PUBLIC.pem"])]
    pub to_raw_rsa: Vec<String>,
    /// The hash of OAEP, for every --to-raw-rsa
    #[arg(
        long,
        value_name = "HASH",
        default_value = "sha256",
        requires = "to_raw_rsa"
    )]
    pub to_oaep: Oaep,
}

impl NewRecipientArgs {
    /// As the arguments of sealing, with `keyring` beside them.
    pub(super) fn with(&self, keyring: Option<PathBuf>) -> SealingKeyArgs {
        SealingKeyArgs {
            keyring,
            raw_aes: self.to_raw_aes.clone(),
            raw_rsa: self.to_raw_rsa.clone(),
            oaep: self.to_oaep,
            recipient: self.recipient.clone(),
        }
    }
}

/// Arguments of `sealgate grant`.
#[derive(Debug, Args)]
#[command(
    after_help = GRANT_EXAMPLES,
    group(ArgGroup::new("to").args(["recipient", "to_raw_aes", "to_raw_rsa"]).required(true).multiple(true))
)]
pub struct GrantArgs {
    /// The message to give access to
    #[arg(value_name = "FILE")]
    pub message: PathBuf,
    /// Where the grant goes.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What opens the message.
    #[command(flatten)]
    pub keys: OpeningKeyArgs,
    /// Who gets access.
    #[command(flatten)]
    pub recipients: NewRecipientArgs,
    /// What is expected of the message.
    #[command(flatten)]
    pub context: ContextArgs,
    /// How it answers.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Arguments of `sealgate reseal`.
#[derive(Debug, Args)]
#[command(
    after_help = RESEAL_EXAMPLES,
    group(ArgGroup::new("to").args(["keyring", "recipient", "to_raw_aes", "to_raw_rsa"]).required(true).multiple(true))
)]
pub struct ResealArgs {
    /// Messages, or directories of messages
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// What opens the messages. The keyring seals them as well
    #[command(flatten)]
    pub keys: OpeningKeyArgs,
    /// For whom they are sealed.
    #[command(flatten)]
    pub recipients: NewRecipientArgs,
    /// What is expected of them.
    #[command(flatten)]
    pub context: ContextArgs,
    /// Put each new message in the place of the old one; this is the default
    #[arg(long)]
    pub in_place: bool,
    /// Write the one new message to this file, which is not there yet, and leave the old one alone
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["in_place", "dry_run"])]
    pub output: Option<PathBuf>,
    /// Change nothing; list what would be resealed
    #[arg(long)]
    pub dry_run: bool,
    /// Reseal also what is sealed as wanted already
    #[arg(long)]
    pub force: bool,
    /// Plaintext bytes in each frame, 1 to 4194304, instead of what each message has
    #[arg(long, value_name = "BYTES", value_parser = value_parser!(u32).range(1..=i64::from(limits::FRAME_LEN_BYTES_MOST)))]
    pub frame_length: Option<u32>,
    /// How it answers.
    #[command(flatten)]
    pub answer: AnswerArgs,
}
