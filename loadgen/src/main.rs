//! The `loadgen` program: reads the command line, runs the subcommand, ends with its exit code.

use std::{io::Write, process::ExitCode};

use loadgen::{cli::Cli, command, exit::Exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            // A closed pipe leaves nobody to tell.
            let _ = error.print();
            return exit.into();
        }
    };
    match command::execute(&cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // A closed pipe leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "loadgen: {error}");
            error.exit().into()
        }
    }
}
