//! `loadgen completions` and `loadgen man`: made of the same description of the command line that parses it.

use std::{
    fs,
    io::{self, Write},
};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::CommandError;
use crate::{
    cli::{Cli, CompletionsArgs, ManArgs},
    exit::Exit,
};

/// Writes a shell's completions.
///
/// # Errors
///
/// When they cannot be written.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "loadgen", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Ok)
}

/// Writes manual pages.
///
/// # Errors
///
/// When they cannot be written, or there is no page of that name.
pub fn man(args: &ManArgs) -> Result<Exit, CommandError> {
    let pages = pages();
    if let Some(name) = &args.page {
        let names = || pages.iter().map(Command::get_name).collect::<Vec<_>>();
        let page = pages.iter().find(|page| page.get_name() == name);
        let page = page.ok_or_else(|| CommandError::NoPage(name.clone(), names().join(", ")))?;
        io::stdout().write_all(&rendered(page)?)?;
        return Ok(Exit::Ok);
    }
    let Some(directory) = &args.directory else {
        return Ok(Exit::Ok);
    };
    for page in &pages {
        let path = directory.join(format!("{}.1", page.get_name()));
        let error = |error| CommandError::Output {
            path: path.clone(),
            error,
        };
        fs::write(&path, rendered(page)?).map_err(error)?;
    }
    Ok(Exit::Ok)
}

/// The program and its subcommands, named as their pages are.
fn pages() -> Vec<Command> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let subcommands: Vec<_> = program.get_subcommands().cloned().collect();
    let named = subcommands.into_iter().map(|subcommand| {
        let name = format!("loadgen-{}", subcommand.get_name());
        let spoken = format!("loadgen {}", subcommand.get_name());
        subcommand.name(name).bin_name(spoken)
    });
    std::iter::once(program.clone()).chain(named).collect()
}

fn rendered(page: &Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(page.clone()).render(&mut text)?;
    Ok(text)
}
