//! The command line. Flags have the names that the field knows them by: `-c -t -d -n` from wrk,
//! `-H -X --cacert --cert --key -k --connect-to` from curl, `--sni --groups` from h2load.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::{operation::handshake::Close, target::url::Target, units};

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
    /// Connect, shake hands, close: full and resumed handshakes.
    Handshake(HandshakeArgs),
    /// Small requests on kept connections: HTTP/1.1, or a raw echo.
    Request(RequestArgs),
    /// Large bodies: through the origin's source and sink, or over HTTP.
    Bulk(BulkArgs),
    /// An in-memory upstream: object store, echo, sink and source.
    Origin(OriginArgs),
}

/// Flags of every kind of load.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Connections, spread over the threads.
    #[arg(short = 'c', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Threads, each pinned to a core.
    #[arg(short = 't', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// How long to start operations [default: 10s, unless -n is given].
    #[arg(short = 'd', long, value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// How many operations to start in all.
    #[arg(short = 'n', long, value_parser = units::count)]
    pub count: Option<u64>,
    /// Run this long before anything is counted.
    #[arg(long, default_value = "0s", value_parser = units::duration)]
    pub warmup: Duration,
    /// An operation in which nothing moves for this long is broken off and counts as failed.
    #[arg(long, default_value = "30s", value_parser = units::duration)]
    pub timeout: Duration,
    /// Connect to HOST:PORT instead, keeping the name in SNI and Host (also curl's four parts).
    #[arg(long, value_name = "HOST:PORT")]
    pub connect_to: Option<String>,
    /// Measure the CPU time of this process too.
    #[arg(long, value_name = "PID")]
    pub target_pid: Option<u32>,
    /// Write the result as JSON; `-` is standard output, instead of the summary.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// How to speak TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// TLS flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// TCP without TLS.
    #[arg(long)]
    pub plain: bool,
    /// Verify the target against these authorities (PEM).
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Verify the target against the system's authorities. Without this and --cacert nothing is
    /// verified, so that the generator stays cheap; the result says which.
    #[arg(long)]
    pub verify: bool,
    /// Verify nothing: the default, spelled out.
    #[arg(short = 'k', long, conflicts_with_all = ["cacert", "verify"])]
    pub insecure: bool,
    /// Client certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Key of the client certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Server name to ask for [default: the host of the target].
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// Key exchange groups in order of preference, separated by colons.
    #[arg(long, value_name = "GROUPS")]
    pub groups: Option<String>,
    /// Only this protocol version.
    #[arg(long, value_name = "VERSION")]
    pub tls: Option<TlsVersion>,
}

/// Protocol versions by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[value(name = "1.3")]
    Tls13,
}

/// `loadgen handshake`.
#[derive(Debug, Args)]
pub struct HandshakeArgs {
    /// `host:port`.
    pub target: Target,
    /// Share of the handshakes that resume a session.
    #[arg(long, value_name = "N%", default_value = "0%", value_parser = units::percent)]
    pub resume: f64,
    /// How connections end: `rst` leaves no port in TIME_WAIT, `notify` is polite and proves that
    /// the target finished the handshake too.
    #[arg(long, value_enum, default_value = "rst")]
    pub close: Close,
    /// Common flags.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// What an answer has to be for the operation to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckArg {
    /// Any complete answer.
    None,
    /// A status below 400.
    Status,
}

/// `loadgen request`.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// `https://host:port/path`, or `tls://host:port` with --echo.
    pub target: Target,
    /// Request method [default: GET, or PUT with --size].
    #[arg(short = 'X', long, value_name = "METHOD", conflicts_with = "echo")]
    pub request: Option<String>,
    /// Header field to send, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "FIELD", action = ArgAction::Append, conflicts_with = "echo")]
    pub headers: Vec<String>,
    /// Bytes in the body of a request, or in an echoed message.
    #[arg(long, value_parser = units::size)]
    pub size: Option<u64>,
    /// Send messages to a raw echo service and compare what comes back.
    #[arg(long)]
    pub echo: bool,
    /// What makes an answer count.
    #[arg(long, value_enum, default_value = "status", conflicts_with = "echo")]
    pub check: CheckArg,
    /// Common flags.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// `loadgen bulk`.
#[derive(Debug, Args)]
pub struct BulkArgs {
    /// `tls://host:port` of the origin's source or sink, or `https://host:port/path`.
    pub target: Target,
    /// From the target to us: source, or GET. The default.
    #[arg(long, conflicts_with = "up")]
    pub down: bool,
    /// From us to the target: sink, or PUT.
    #[arg(long)]
    pub up: bool,
    /// Bytes in one transfer.
    #[arg(long, default_value = "100MB", value_parser = units::size)]
    pub bytes: u64,
    /// GET or PUT over HTTP: implied by an http URL.
    #[arg(long)]
    pub http: bool,
    /// Header field to send, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "FIELD", action = ArgAction::Append)]
    pub headers: Vec<String>,
    /// PUT the object once before a --down over HTTP.
    #[arg(long, conflicts_with = "up")]
    pub prepare: bool,
    /// Common flags.
    #[command(flatten)]
    pub load: LoadArgs,
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
