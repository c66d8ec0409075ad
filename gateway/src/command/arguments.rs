//! What may be written behind `sealgate keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const KEYS_EXAMPLES: &str = "\
Examples:
  sealgate keys new --tenant acme --out acme.keyring
  sealgate keys list acme.keyring
  sealgate keys rotate acme.keyring
  sealgate keys export-recovery acme.keyring --threshold 3 --shares 5

Keep a copy of the keyring in a safe place: what was sealed with it cannot be opened without it.

Exit status:
  0  done
  1  not done: the file cannot be read or written, or is damaged; the message says what would help
  2  the command line is wrong
  3  the keyring is disabled or shredded
  4  somebody else changes the keyring right now; try again
  5  the recovery shares are too few, damaged, or of another key";

const NEW_EXAMPLES: &str = "\
Examples:
  sealgate keys new --tenant acme --out acme.keyring

Keep a copy of the keyring in a safe place: what was sealed with it cannot be opened without it.";

const LIST_EXAMPLES: &str = "\
Examples:
  sealgate keys list acme.keyring
  sealgate keys list /etc/sealgate/*.keyring --json

No key is shown. A file that cannot be told of does not keep the others from being told of; the exit
status is that of the last such file.";

const ROTATE_EXAMPLES: &str = "\
Examples:
  A new epoch seals as soon as the gateway loads the file anew, within keys.soft_lifetime (5m); old ones
  go on opening:
    sealgate keys rotate acme.keyring

  Many nodes on one keyring: make the epoch, give all the time to load it, then have it seal:
    sealgate keys rotate acme.keyring --prepare
    sealgate keys rotate acme.keyring

  Daily, from a timer: only when the epoch has sealed for 90 days:
    sealgate keys rotate acme.keyring --older-than-days 90

  A new key-encryption key; no epoch and no message changes. Interrupted, it goes on when run again:
    sealgate keys rotate acme.keyring --kek";

const DISABLE_EXAMPLES: &str = "\
Examples:
  sealgate keys disable acme.keyring
  sealgate keys disable acme.keyring --undo

The keys stay in the file. A running gateway that can read it stops to use them within
keys.soft_lifetime (5m), one that cannot within keys.hard_lifetime (1h), and each at once when it is
reloaded (SIGHUP): sealed routes of the tenant then answer 503. --undo is noticed without a reload too.
The record acme.keyring.audit says who did it and when.";

const SHRED_EXAMPLES: &str = "\
Examples:
  sealgate keys shred acme.keyring --confirm acme

For good: everything that was sealed for the tenant is lost, everywhere. The recovery file beside the
keyring goes too. Copies that were made of either have to be destroyed by who made them. A running
gateway follows as after `sealgate keys disable`: at once when it is reloaded. The record acme.keyring.audit says who did it and when.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  Five people, any three of whom can recover the keys:
    sealgate keys export-recovery acme.keyring --threshold 3 --shares 5

The shares are printed once, one a line, as SLIP-39 words, and are stored nowhere. The branch keys are
written, wrapped, to acme.keyring.recovery; keep copies of that file. It follows each rotation. Doing
this again makes new shares, and the old ones open none of what the new file covers.";

const RECOVER_EXAMPLES: &str = "\
Examples:
  The shares are read from standard input, one a line, up to the end (Ctrl-D):
    sealgate keys recover acme.keyring.recovery --out acme.keyring

  Or from files that their holders brought:
    cat share1 share3 share4 | sealgate keys recover acme.keyring.recovery --out acme.keyring

The new keyring opens everything that the lost one opened, and seals under a new epoch.";

/// Arguments of `sealgate keys`.
#[derive(Debug, Args)]
#[command(after_help = KEYS_EXAMPLES, arg_required_else_help = true)]
pub struct KeysArgs {
    /// Answer in JSON, one object a line; errors too, on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do with keys.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What `sealgate keys` is asked to do.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a new keyring file for one tenant; an existing file is never overwritten
    New(NewArgs),
    /// Tell what stands in keyring files: state, epochs, versions of the key-encryption key
    List(ListArgs),
    /// Make a new epoch, or a new key-encryption key
    Rotate(RotateArgs),
    /// Switch a keyring off, or on again
    Disable(DisableArgs),
    /// Destroy a tenant's keys for good
    Shred(ShredArgs),
    /// Make recovery shares, any M of N of which recover the keys
    ExportRecovery(ExportRecoveryArgs),
    /// Make a keyring from a recovery file and enough shares
    Recover(RecoverArgs),
}

/// Arguments of `sealgate keys new`.
#[derive(Debug, Args)]
#[command(after_help = NEW_EXAMPLES)]
pub struct NewArgs {
    /// The tenant the keyring is for, as `id` in the configuration
    #[arg(long, value_name = "ID")]
    pub tenant: String,
    /// The file to make, readable by its owner only
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `sealgate keys list`.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// The keyring files
    #[arg(required = true, value_name = "KEYRING")]
    pub keyrings: Vec<PathBuf>,
}

/// Arguments of `sealgate keys rotate`.
#[derive(Debug, Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub struct RotateArgs {
    /// The keyring file
    #[arg(value_name = "KEYRING")]
    pub keyring: PathBuf,
    /// Make a new key-encryption key and wrap the branch keys anew under it
    #[arg(long, conflicts_with_all = ["prepare", "older_than_days"])]
    pub kek: bool,
    /// Make the next epoch without sealing under it yet
    #[arg(long, conflicts_with = "older_than_days")]
    pub prepare: bool,
    /// Do nothing unless the current epoch has sealed for so many days
    #[arg(long, value_name = "DAYS")]
    pub older_than_days: Option<u32>,
}

/// Arguments of `sealgate keys disable`.
#[derive(Debug, Args)]
#[command(after_help = DISABLE_EXAMPLES)]
pub struct DisableArgs {
    /// The keyring file
    #[arg(value_name = "KEYRING")]
    pub keyring: PathBuf,
    /// Switch it on again
    #[arg(long)]
    pub undo: bool,
}

/// Arguments of `sealgate keys shred`.
#[derive(Debug, Args)]
#[command(after_help = SHRED_EXAMPLES)]
pub struct ShredArgs {
    /// The keyring file
    #[arg(value_name = "KEYRING")]
    pub keyring: PathBuf,
    /// The tenant whose keys are to be destroyed; it has to be the keyring's
    #[arg(long, value_name = "TENANT")]
    pub confirm: String,
}

/// Arguments of `sealgate keys export-recovery`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportRecoveryArgs {
    /// The keyring file
    #[arg(value_name = "KEYRING")]
    pub keyring: PathBuf,
    /// How many shares are enough, from 2
    #[arg(long, value_name = "M")]
    pub threshold: u8,
    /// How many shares to make, up to 16
    #[arg(long, value_name = "N")]
    pub shares: u8,
}

/// Arguments of `sealgate keys recover`.
#[derive(Debug, Args)]
#[command(after_help = RECOVER_EXAMPLES)]
pub struct RecoverArgs {
    /// The recovery file that `export-recovery` wrote
    #[arg(value_name = "RECOVERY")]
    pub recovery: PathBuf,
    /// The keyring file to make
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}
