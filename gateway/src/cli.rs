//! The command line of `sealgate`: what may be written, and how it is explained.
//!
//! Only the shape is checked here. Addresses, files and names are checked where the configuration
//! is built (`control::config`), so that a flag and a key of the file fail with the same words.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::arguments::KeysArgs;
use crate::command::device::DeviceArgs;
use crate::command::doctor::DoctorArgs;
use crate::command::inspect::InspectArgs;
use crate::command::open::OpenArgs;
use crate::command::reseal_arguments::{GrantArgs, ResealArgs};
use crate::command::seal::SealArgs;
use crate::control::config::from_flags::{HttpFlags, TcpFlags};

/// Whoever has the program that is slower on purpose is to see it.
const VERSION: &str = match cfg!(feature = "injected-slowdown") {
    true => concat!(env!("CARGO_PKG_VERSION"), "+injected-slowdown"),
    false => env!("CARGO_PKG_VERSION"),
};

const EXAMPLES: &str = "\
Examples:
  Check a configuration, then run it:
    sealgate check --config /etc/sealgate/gateway.toml
    sealgate run --config /etc/sealgate/gateway.toml

  Put TLS in front of a service, without a file:
    sealgate tcp --listen 127.0.0.1:8443 --cert acme.pem --key acme.key --upstream 127.0.0.1:9000

  Seal a file, look at it, open it:
    sealgate seal report.pdf -o report.sealed --keyring acme.keyring
    sealgate inspect report.sealed
    sealgate open report.sealed -o report.pdf --keyring acme.keyring

  Put TLS in front of an HTTP service whose bodies are stored sealed:
    sealgate keys new --tenant acme --out acme.keyring
    sealgate http --listen 127.0.0.1:8443 --cert acme.pem --key acme.key \\
        --upstream http://127.0.0.1:9080 \\
        --seal acme.keyring --tenant acme --readers mtls --client-ca clients.pem

A running gateway reads its file again on SIGHUP and drains on SIGTERM.";

const RUN_EXAMPLES: &str = "\
Examples:
  sealgate run --config /etc/sealgate/gateway.toml

Signals:
  HUP   read the file again; if it has an error, the running configuration stays
  TERM  take no new connections, end when the open ones have ended or timeouts.drain is over";

const CHECK_EXAMPLES: &str = "\
Examples:
  sealgate check --config gateway.toml

Everything a start would do is done, short of binding addresses: certificates, keys and keyrings
are loaded and upstream names resolved. All errors are printed at once, one a line, as
FILE:LINE: KEY: what is wrong; what would be right. Exit status: 0 good, 1 not.";

const TCP_EXAMPLES: &str = "\
Examples:
  TLS in, plain TCP out, over two backends:
    sealgate tcp --listen 0.0.0.0:8443 --cert acme.pem --key acme.key \\
        --upstream 10.0.0.5:9000 --upstream 10.0.0.6:9000

  TLS in, TLS with an own client certificate out:
    sealgate tcp --listen 0.0.0.0:8443 --cert acme.pem --key acme.key \\
        --upstream backend.internal:9443 --upstream-tls --upstream-ca backend-ca.pem \\
        --upstream-cert gateway.pem --upstream-key gateway.key

  Only clients with a certificate of your CA:
    sealgate tcp --listen 0.0.0.0:8443 --cert acme.pem --key acme.key \\
        --upstream 127.0.0.1:9000 --client-ca clients.pem";

const HTTP_EXAMPLES: &str = "\
Examples:
  TLS in, HTTP out:
    sealgate http --listen 127.0.0.1:8443 --cert acme.pem --key acme.key \\
        --upstream http://127.0.0.1:9080

  The same, but the service only ever sees sealed bodies:
    sealgate keys new --tenant acme --out acme.keyring
    sealgate http --listen 127.0.0.1:8443 --cert acme.pem --key acme.key \\
        --upstream http://127.0.0.1:9080 \\
        --seal acme.keyring --tenant acme --readers mtls --client-ca clients.pem";

/// The `sealgate` program.
#[derive(Debug, Parser)]
#[command(
    name = "sealgate",
    version = VERSION,
    about = "An encryption gateway: TLS in, sealed per tenant out",
    after_help = EXAMPLES,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `sealgate` is asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway with a configuration file
    Run(RunArgs),
    /// Check a configuration file and everything it names, print a summary, and exit
    Check(CheckArgs),
    /// Run a layer 4 gateway without a file: one listener, one certificate, one service
    #[command(after_help = TCP_EXAMPLES)]
    Tcp(TcpFlags),
    /// Run a layer 7 gateway without a file: one listener, one certificate, one HTTP service
    #[command(after_help = HTTP_EXAMPLES)]
    Http(HttpFlags),
    /// Seal a file or a pipe for a tenant, a raw key or devices
    Seal(SealArgs),
    /// Open a sealed message, or a range of it
    Open(OpenArgs),
    /// Show what a sealed message says of itself, without any key
    Inspect(InspectArgs),
    /// Give a further recipient access to a message, which stays as it is
    Grant(GrantArgs),
    /// Seal messages anew, one or a directory of them: after a rotation, or to take a recipient away
    Reseal(ResealArgs),
    /// Make, rotate, disable, destroy and recover the keys that bodies are sealed with
    Keys(KeysArgs),
    /// Make a device's key pair, and compare keys by their fingerprints
    Device(DeviceArgs),
    /// Look whether this machine can run the gateway, how fast, and what to change if not
    Doctor(DoctorArgs),
}

/// Arguments of `sealgate run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// The configuration file (TOML); relative paths in it start at its directory
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
}

/// Arguments of `sealgate check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// The configuration file (TOML)
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_in_its_help() {
        use clap::CommandFactory;
        let mut cli = Cli::command();
        cli.build();
        for command in std::iter::once(&mut cli.clone()).chain(cli.get_subcommands_mut()) {
            let name = command.get_name().to_owned();
            if name == "help" {
                continue;
            }
            let help = command.render_help().to_string();
            assert!(help.contains("Examples:"), "{name} has no examples");
        }
    }

    #[test]
    fn the_documented_command_lines_parse() {
        let lines = [
            "sealgate run --config gateway.toml",
            "sealgate check --config gateway.toml",
            "sealgate tcp --listen 127.0.0.1:8443 --cert C.pem --key K.pem --upstream 127.0.0.1:9000",
            "sealgate tcp --listen 127.0.0.1:8443 --cert C.pem --key K.pem --upstream b:9000 \
             --upstream c:9000 --upstream-tls --upstream-ca F --upstream-name N --upstream-cert C \
             --upstream-key K --client-ca F --workers 2 --admin 127.0.0.1:9900 --log-format json \
             --log-level debug",
            "sealgate http --listen 127.0.0.1:8443 --cert C --key K --upstream http://127.0.0.1:9080",
            "sealgate http --listen 127.0.0.1:8443 --cert C --key K --upstream http://127.0.0.1:9080 \
             --seal R --tenant acme --readers anyone --client-ca F --workers 1 --admin 127.0.0.1:1",
            "sealgate seal IN -o OUT --keyring R --context path=/a --context b=c=d --required-context k=",
            "sealgate seal --raw-aes NAMESPACE NAME KEYFILE --frame-length 4096 IN -o OUT",
            "sealgate seal --raw-aes N A K --raw-aes N B L --recipient P --recipient Q --header-length 512 \
             --sign --threads 2 --json",
            "sealgate seal --raw-rsa N A P --oaep sha1 --force --quiet -",
            "sealgate open --raw-aes NAMESPACE NAME KEYFILE --context K=V IN -o OUT",
            "sealgate open --private-key K --range -5 IN",
            "sealgate open IN -o OUT --grant G --keyring R --partial --range 0-9 --json",
            "sealgate inspect IN --json --frames",
            "sealgate grant IN -o OUT --keyring R --context path=/a --recipient P --to-raw-rsa N A P",
            "sealgate reseal A B --keyring R --recipient P --dry-run --json",
            "sealgate reseal A --raw-aes N A K --to-raw-aes N B L --frame-length 4096 -o OUT --force",
            "sealgate keys new --tenant acme --out acme.keyring",
            "sealgate keys list acme.keyring bolt.keyring --json",
            "sealgate keys rotate acme.keyring --older-than-days 90",
            "sealgate keys rotate acme.keyring --kek",
            "sealgate keys disable acme.keyring --undo",
            "sealgate keys shred acme.keyring --confirm acme",
            "sealgate keys export-recovery acme.keyring --threshold 3 --shares 5",
            "sealgate keys recover acme.keyring.recovery --out acme.keyring",
            "sealgate device new --type xwing --out device.key --public device.pub --json",
            "sealgate device fingerprint device.key device.pub",
        ];
        for line in lines {
            if let Err(refusal) = Cli::try_parse_from(line.split_whitespace()) {
                panic!("{line}: {refusal}");
            }
        }
    }

    #[test]
    fn flags_that_need_each_other_are_refused_apart() {
        let base = "--listen 127.0.0.1:8443 --cert C --key K --upstream 127.0.0.1:1";
        for (command, extra) in [
            ("tcp", "--upstream-ca F"),
            ("tcp", "--upstream-tls"),
            ("tcp", "--upstream-tls --upstream-ca F --upstream-cert C"),
            ("http", "--seal R"),
            ("http", "--readers mtls"),
            ("http", "--tenant acme --readers mtls"),
        ] {
            let line = format!("sealgate {command} {base} {extra}");
            assert!(
                Cli::try_parse_from(line.split_whitespace()).is_err(),
                "{line}"
            );
        }
    }
}
