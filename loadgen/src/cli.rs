//! The command line. Flags have the names that the field knows them by: `-c -t -d -n` from wrk,
//! `-H -X --cacert --cert --key -k --connect-to` from curl, `--sni --groups` from h2load.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::units;

/// A load generator for TLS services that says how far its numbers can be trusted.
///
/// Exit codes: 0 ok, 1 usage, 2 target unreachable or integrity failure, 3 objective missed,
/// 4 invalid or inconclusive.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// An in-memory upstream: object store, echo, sink and source.
    Origin(OriginArgs),
}

/// `loadgen origin`.
#[derive(Debug, Args)]
pub struct OriginArgs {
    /// Serve the object store over HTTP/1.1 here; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Send back what comes in.
    #[arg(long, value_name = "ADDR")]
    pub echo: Option<SocketAddr>,
    /// Swallow what comes in and answer its end with the count, 8 bytes big endian.
    #[arg(long, value_name = "ADDR")]
    pub sink: Option<SocketAddr>,
    /// Read a length, 8 bytes big endian, and send that many bytes.
    #[arg(long, value_name = "ADDR")]
    pub source: Option<SocketAddr>,
    /// Speak TLS with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Demand a client certificate from one of these authorities (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub client_ca: Option<PathBuf>,
    /// Threads, each pinned to a core [default: one per core].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Bytes of bodies the store may hold.
    #[arg(long, default_value = "4GiB", value_parser = units::size)]
    pub max_bytes: u64,
}
