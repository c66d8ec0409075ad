//! The `sealgate` program.

use std::process::ExitCode;

use clap::Parser;
use sealgate::cli::{Cli, Command};
use sealgate::command;
use sealgate::control::config::{self, ConfigErrors, from_flags};
use sealgate::control::{self, log};
use sealgate::settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any key is read.
    let unprotected = sealgate_keys::process::harden();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return command::command_line::refused(&error),
    };
    match cli.command {
        Command::Run(args) => {
            let settings = config::load(&args.config);
            serve(settings, Some(args.config), &unprotected)
        }
        Command::Tcp(flags) => serve(from_flags::tcp(flags), None, &unprotected),
        Command::Http(flags) => serve(from_flags::http(flags), None, &unprotected),
        Command::Check(args) => config::check(&args.config),
        Command::Seal(args) => command::seal::run(&args),
        Command::Open(args) => command::open::run(&args),
        Command::Inspect(args) => command::inspect::run(&args),
        Command::Grant(args) => command::grant::run(&args),
        Command::Reseal(args) => command::reseal::run(&args),
        Command::Keys(args) => command::keys::run(&args),
        Command::Device(args) => command::device::run(&args),
        Command::Doctor(args) => command::doctor::run(&args, &unprotected),
    }
}

fn serve(
    settings: Result<Settings, ConfigErrors>,
    file: Option<std::path::PathBuf>,
    unprotected: &[sealgate_keys::process::Unprotected],
) -> ExitCode {
    let settings = match settings {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    let _writer = log::start(&settings.log);
    for protection in unprotected {
        tracing::warn!("{protection}");
    }
    control::run(settings, file)
}
