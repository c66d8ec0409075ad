//! What each subcommand does, from its flags to its exit code.

use std::io::{self, Write};

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    affinity,
    cli::OriginArgs,
    exit::Exit,
    origin::{
        self, Endpoint, OriginError, Service,
        tls::{Alpn, Identity},
    },
    pem::PemError,
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
    /// The origin could not start.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// Standard output, a file or a signal handler failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CommandError {
    /// The exit code that goes with the error.
    pub fn exit(&self) -> Exit {
        match self {
            CommandError::NothingToServe | CommandError::Pem(_) | CommandError::Io(_) => {
                Exit::Usage
            }
            CommandError::Origin(_) => Exit::Target,
        }
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// When a file is of no use or a listener cannot be opened.
pub fn origin(args: &OriginArgs) -> Result<Exit, CommandError> {
    let identity = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            Some(Identity { cert, key, client_ca: args.client_ca.as_deref() })
        }
        _ => None,
    };
    let wanted = [
        (Service::Http, args.http),
        (Service::Echo, args.echo),
        (Service::Sink, args.sink),
        (Service::Source, args.source),
    ];
    let mut endpoints = Vec::new();
    for (service, address) in wanted {
        let Some(address) = address else { continue };
        let alpn = if service == Service::Http { Alpn::Http1 } else { Alpn::None };
        let tls = match &identity {
            Some(identity) => Some(origin::tls::server_config(identity, alpn)?),
            None => None,
        };
        endpoints.push(Endpoint { service, address, tls });
    }
    if endpoints.is_empty() {
        return Err(CommandError::NothingToServe);
    }
    raise_descriptor_limit();
    // Before the first line of output: whoever has read it may send the signal.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let services: Vec<_> = endpoints.iter().map(|endpoint| endpoint.service).collect();
    let addresses = origin::start(origin::Settings {
        endpoints,
        threads: args.threads.map_or_else(affinity::cores, |threads| threads as usize),
        store_limit_bytes: usize::try_from(args.max_bytes).unwrap_or(usize::MAX),
    })?;
    let mut out = io::stdout().lock();
    for (service, address) in services.iter().zip(addresses) {
        writeln!(out, "listening {} {address}", service.name())?;
    }
    out.flush()?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    Ok(Exit::Ok)
}

/// Lets the process open as many descriptors as the system allows it.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A refusal leaves the limit as it was; running out of descriptors is reported when it happens.
    let _ = setrlimit(Resource::Nofile, limit);
}
