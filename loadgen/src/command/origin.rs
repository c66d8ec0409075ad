//! `loadgen origin`.

use std::io::{self, Write};

use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;
use crate::{
    affinity,
    cli::OriginArgs,
    exit::Exit,
    origin::{
        self, Endpoint, Service,
        delay::Delays,
        tls::{Alpn, Identity},
    },
};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// When a file is of no use or a listener cannot be opened.
pub fn origin(args: &OriginArgs) -> Result<Exit, CommandError> {
    let identity = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(Identity {
            cert,
            key,
            client_ca: args.client_ca.as_deref(),
        }),
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
        let alpn = if service == Service::Http {
            Alpn::Http1
        } else {
            Alpn::None
        };
        let tls = match &identity {
            Some(identity) => Some(origin::tls::server_config(identity, alpn)?),
            None => None,
        };
        endpoints.push(Endpoint {
            service,
            address,
            tls,
        });
    }
    if endpoints.is_empty() {
        return Err(CommandError::NothingToServe);
    }
    // Before the first line of output: whoever has read it may send the signal.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    let services: Vec<_> = endpoints.iter().map(|endpoint| endpoint.service).collect();
    let addresses = origin::start(origin::Settings {
        endpoints,
        threads: args
            .threads
            .map_or_else(affinity::cores, |threads| threads as usize),
        first_core: 0,
        store_limit_bytes: usize::try_from(args.max_bytes).unwrap_or(usize::MAX),
        delays: args
            .delay
            .clone()
            .map(|delay| Delays::new(delay, args.seed)),
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
