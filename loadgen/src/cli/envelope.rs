//! Flags of sealed messages.

use clap::Args;

use crate::envelope::holders::Named;

/// Flags of sealed messages.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sealed messages")]
pub struct EnvelopeArgs {
    /// Send ready sealed messages, for a route on which only devices have keys: N different ones, of
    /// plaintexts as --size says, sealed before the run and sent in turn. At most 256 MiB in all.
    #[arg(long, value_name = "N", requires = "size", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub envelope: Option<u32>,
    /// A tenant's keyring, as `sealgate keys new` makes it, to seal with, and to open with (--check
    /// open). With {tenant} in it, each tenant of --tenants has its own, and messages under that.
    #[arg(long, value_name = "KEYRING", conflicts_with = "raw_aes")]
    pub keyring: Option<String>,
    /// An AES-256 key for the same, as `sealgate seal` takes it: KEYFILE holds its 32 bytes. {tenant}
    /// as in --keyring.
    #[arg(long, num_args = 3, value_names = ["NAMESPACE", "NAME", "KEYFILE"], action = clap::ArgAction::Set)]
    pub raw_aes: Vec<String>,
}

impl EnvelopeArgs {
    /// The key that they name.
    pub fn named(&self) -> Option<Named<'_>> {
        match (&self.keyring, &self.raw_aes[..]) {
            (Some(path), _) => Some(Named::Keyring(path)),
            // The command line's parser gives all three or none.
            (None, [namespace, name, path]) => Some(Named::RawAes([namespace, name, path])),
            (None, _) => None,
        }
    }
}
