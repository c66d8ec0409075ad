//! What each subcommand does, from its flags to its exit code.

pub mod load;
pub mod origin;

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{
    cli::Command,
    exit::Exit,
    origin::OriginError,
    pem::PemError,
    run::RunError,
    target::{tls::TlsError, url::TargetError},
};

/// A subcommand could not do its work. The operator's fault, and the message says what to change.
#[derive(Debug, Error)]
pub enum CommandError {
    /// No listener was asked for.
    #[error("nothing to serve: give at least one of --http, --echo, --sink, --source")]
    NothingToServe,
    /// A certificate or key is of no use.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// TLS flags are of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The target is none.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A header field is none.
    #[error("{0} is no header field: write -H 'Name: value'")]
    Header(String),
    /// A method is none.
    #[error("{0} is no HTTP method")]
    Method(String),
    /// A path is none.
    #[error("{0} is no path: percent-encode what is not ASCII")]
    Path(String),
    /// A message has to have a byte and to fit into memory.
    #[error("an echoed message takes 1 B to 1 GB: correct --size")]
    EchoSize,
    /// A run could not start.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The object could not be stored before the run.
    #[error("cannot store the object: {0}")]
    Prepare(String),
    /// The origin could not start.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// A result could not be written.
    #[error("cannot write {}: {error}", path.display())]
    Output {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Standard output or a signal handler failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CommandError {
    /// The exit code that goes with the error.
    pub fn exit(&self) -> Exit {
        match self {
            CommandError::Prepare(_) | CommandError::Target(TargetError::Unresolved { .. }) => {
                Exit::Target
            }
            CommandError::NothingToServe
            | CommandError::Pem(_)
            | CommandError::Tls(_)
            | CommandError::Target(_)
            | CommandError::Header(_)
            | CommandError::Method(_)
            | CommandError::Path(_)
            | CommandError::EchoSize
            | CommandError::Run(_)
            | CommandError::Origin(_)
            | CommandError::Output { .. }
            | CommandError::Io(_) => Exit::Usage,
        }
    }
}

/// Does what the command line says.
///
/// # Errors
///
/// When it cannot begin, or its result cannot be written.
pub fn execute(command: &Command) -> Result<Exit, CommandError> {
    raise_descriptor_limit();
    // Else the first handshake pays for it.
    sealgate_tls::warm_up().map_err(TlsError::from)?;
    match command {
        Command::Handshake(args) => load::handshake(args),
        Command::Request(args) => load::request(args),
        Command::Bulk(args) => load::bulk(args),
        Command::Origin(args) => origin::origin(args),
    }
}

/// Lets the process open as many descriptors as the system allows it.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A refusal leaves the limit as it was; running out of descriptors is reported when it happens.
    let _ = setrlimit(Resource::Nofile, limit);
}
