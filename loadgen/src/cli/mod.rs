//! The command line. Flags have the names that the field knows them by: `-c -t -d -n` from wrk, `-R`
//! from wrk2, `-H -X --cacert --cert --key -k --connect-to` from curl, `--sni --groups` from h2load,
//! `--stages --slo` from k6.

pub mod ab;
pub mod agents;
pub mod calibrate;
pub mod conns;
pub mod envelope;
pub mod http;
pub mod load;
pub mod mix;
pub mod report;
pub mod search;
pub mod sweep;
pub mod shell;
pub mod tenants;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use self::ab::{AbArgs, AbFlags, AbOperation};
pub use self::agents::{AgentArgs, AgentsArgs, Place, Standing};
pub use self::calibrate::CalibrateArgs;
pub use self::conns::{ConnsArgs, Probe};
pub use self::envelope::EnvelopeArgs;
pub use self::http::{HttpArgs, HttpVersion};
pub use self::load::{LoadArgs, ReachArgs, ScheduleArgs, TlsArgs, TlsVersion};
pub use self::mix::{MixArgs, MixFlags, ScenarioArgs};
pub use self::report::{CompareArgs, ReportArgs};
pub use self::search::{SearchArgs, SearchFlags, SearchOperation};
pub use self::shell::{CompletionsArgs, ManArgs};
pub use self::sweep::SweepArgs;
pub use self::tenants::TenantArgs;
use crate::{
    files::Contents,
    operation::{handshake::Close, reuse::Reuse, size::Size},
    origin::delay::Delay,
    schedule::Machine,
    target::url::Target,
    units,
};

/// A load generator for TLS services that says how far its numbers can be trusted.
///
/// Exit codes: 0 ok, 1 usage, 2 target unreachable or integrity failure, 3 objective missed,
/// 4 invalid or inconclusive. Ctrl-C ends a run with its report, a second one at once.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  loadgen request https://127.0.0.1:8443/ -R 5k -d 30s    5000 requests per second, open loop
  loadgen handshake 127.0.0.1:8443 -c 8 -d 10s            as many handshakes as 8 clients make
  loadgen bulk tls://127.0.0.1:9000 --down -c 4 -n 16     16 downloads of 100 MB
  loadgen conns 127.0.0.1:8443 -c 9000 --target-pid PID   memory of the target per idle connection
  loadgen origin --http 127.0.0.1:8080                    something to load
  loadgen ab request https://127.0.0.1:8443/ https://127.0.0.1:9443/ --target-pids 71,72
                                                          two targets beside each other
  loadgen search request https://127.0.0.1:8443/ --slo 'p99<5ms'
                                                          the highest rate that holds
  loadgen agent --help                                    one load from several machines

`loadgen SUBCOMMAND --help` has more.";

const HANDSHAKE_EXAMPLES: &str = "\
Examples:
  loadgen handshake 127.0.0.1:8443 -c 8 -d 10s
      as many full handshakes as 8 clients make one after the other (closed loop)
  loadgen handshake 127.0.0.1:8443 -R 500 -d 30s --resume 80%
      500 per second, planned, four of five of them resumed
  loadgen handshake 127.0.0.1:8443 -R 500 -d 30s --resume 80% --early-data 25%
      the same, a quarter of the resumed ones with early data; accepted and rejected are told apart
  loadgen handshake 127.0.0.1:8443 -c 8 --mtls 30% --cert me.pem --key me.key --alpn h2,http/1.1
      three of ten with a client certificate, and all with one of two protocols
  loadgen handshake app.example:443 --connect-to 127.0.0.1:8443 --groups X25519MLKEM768 --tls 1.3
      another address, one key exchange group
  loadgen handshake 127.0.0.1:8443 -R 500 -d 30s --resume 50% --sni 'a.example,b.example:zipf(1.1)'
      two server names, one more often than the other, each with tickets of its own
  loadgen handshake '{tenant}.example:443' --connect-to 127.0.0.1:8443 -R 500 --tenants 3:weights.csv
      for tenants with the names and shares of a file";

const REQUEST_EXAMPLES: &str = "\
Examples:
  loadgen request https://127.0.0.1:8443/path -R 5k -d 30s
      5000 requests per second, open loop, 64 connections
  loadgen request https://127.0.0.1:8443/path -R 5k -d 30s --slo 'p99<5ms,errors<0.1%'
      the same, and exit with 3 when the objective is missed
  loadgen request https://127.0.0.1:8443/path --stages 1k:10s,..8k:60s,8k:30s --arrival poisson
      a step, a ramp, a step, spaced like independent users
  loadgen request https://127.0.0.1:8443/path -c 64 -d 10s --target-pid $(pidof nginx)
      as fast as 64 connections go (closed loop), with the target's CPU time per request
  loadgen request https://127.0.0.1:8443/o -X PUT --size lognorm:8k,1.2 --check hash -n 10k -c 8
      10000 uploads of various sizes
  loadgen request https://127.0.0.1:8443/path --http 2 -c 4 -m 32 -R 20k -d 30s
      over HTTP/2, up to 32 requests at once on each of 4 connections
  loadgen request http://127.0.0.1:8080/path --http 2 -m 100 -d 10s
      HTTP/2 without TLS, by prior knowledge, as fast as 100 streams go
  loadgen request https://127.0.0.1:8443/o --size 64k -n 1k --check hash --check-upstream http://127.0.0.1:8080
      through a gateway that seals: what the origin behind it holds has to be sealed
  loadgen request https://127.0.0.1:8443/o -X PUT --envelope 16 --size 8k --keyring acme.keyring -R 1k
      ready sealed messages, 16 different ones, for an end-to-end route
  loadgen request https://127.0.0.1:8443/o -X PUT --envelope 4 --size 8k --tenants 50 --keyring 'keys/{tenant}.keyring'
      4 messages of each of 50 tenants, under keyrings of their own
  loadgen request https://127.0.0.1:8443/o --check open --raw-aes example key-1 key-1.bin -R 1k
      every answer has to be a sealed message that this key opens
  loadgen request tls://127.0.0.1:9000 --echo --size 100 -R 2k
      messages to a raw echo service, compared byte for byte
  loadgen request https://127.0.0.1:8443/path -R 5k -d 30s --key-update 1000req
      new keys on each connection every 1000 requests; KeyUpdates are counted both ways
  loadgen request https://127.0.0.1:8443/path -R 500 -d 30s --reuse 1:5 --early-data 50%
      1 to 5 requests on a connection, half of the connections begin with one as early data
  loadgen request 'https://{tenant}.example/o' --connect-to 127.0.0.1:8443 -R 5k \
      --tenants '100:zipf(1.1)' --noisy-tenant t7=10x --cert 'certs/{tenant}.pem' --key 'certs/{tenant}.key'
      t1.example to t100.example with their own certificates, one of them ten times as loud";

const BULK_EXAMPLES: &str = "\
Examples:
  loadgen bulk tls://127.0.0.1:9000 --down -c 8 -n 16
      16 downloads of 100 MB from the origin's source, over TLS
  loadgen bulk https://127.0.0.1:8443/big --down --prepare --bytes 1GB -c 4 -d 30s
      store an object of 1 GB, then get it over and over
  loadgen bulk https://127.0.0.1:8443/big --up --http 2 -m 4 --bytes 1GB -n 8
      8 uploads, four at once on one HTTP/2 connection
  loadgen bulk tls://127.0.0.1:9001 --up --target-pid $(pidof nginx)
      uploads to the origin's sink, with the target's CPU seconds per GB
  loadgen bulk tls://127.0.0.1:9002 --duplex -c 4 -d 10s
      to the origin's echo and back, both at once, every byte compared";

const ORIGIN_EXAMPLES: &str = "\
Examples:
  loadgen origin --http 127.0.0.1:8080
      an object store: PUT, GET, HEAD, DELETE; POST answers with the request's body
  loadgen origin --echo 127.0.0.1:9000 --source 127.0.0.1:9001 --sink 127.0.0.1:9002
      the raw services
  loadgen origin --http 127.0.0.1:8443 --tls-cert chain.pem --tls-key key.pem
      the store over TLS
  loadgen origin --http 127.0.0.1:8080 --delay steps:0s=1ms,10s=200ms,10.2s=1ms
      a target that stalls, ten seconds after it began";

impl Cli {
    /// Reads a command line, whose first word is the program. What loads a target keeps the words,
    /// since agents are told the same.
    ///
    /// # Errors
    ///
    /// When it is wrong, or asks for help.
    pub fn read(words: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut cli = Self::try_parse_from(&words)?;
        cli.command.stand(&Standing::own(words));
        Ok(cli)
    }

    /// Reads a coordinator's command line, for one of its agents.
    ///
    /// # Errors
    ///
    /// When it is wrong.
    pub fn read_share(
        words: Vec<OsString>,
        machine: Machine,
        sent: Contents,
    ) -> Result<Self, clap::Error> {
        let mut cli = Self::try_parse_from(words)?;
        cli.command.stand(&Standing::share(machine, sent));
        Ok(cli)
    }
}

impl Command {
    /// Tells the flags of what agents can do on whose behalf they are read.
    fn stand(&mut self, standing: &Standing) {
        match self {
            Command::Handshake(args) => args.load.stand(standing),
            Command::Request(args) => args.load.stand(standing),
            Command::Bulk(args) => args.load.stand(standing),
            // Flags of its load are in the scenario too.
            Command::Mix(args) => args.scenario.standing = standing.clone(),
            Command::Search(args) => args.operation.stand(standing),
            // A sweep reads a command line for each of its cells.
            Command::Sweep(_)
            | Command::Ab(_)
            | Command::Calibrate(_)
            | Command::Conns(_)
            | Command::Origin(_)
            | Command::Agent(_)
            | Command::Report(_)
            | Command::Compare(_)
            | Command::Completions(_)
            | Command::Man(_) => {}
        }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Connect, shake hands, close: full and resumed handshakes.
    Handshake(HandshakeArgs),
    /// Small requests on kept connections: HTTP/1.1, HTTP/2, or a raw echo.
    Request(RequestArgs),
    /// Large bodies: through the origin's source and sink, or over HTTP.
    Bulk(BulkArgs),
    /// The highest rate at which objectives hold.
    Search(SearchArgs),
    /// A grid of runs: tables and plots over flags that are varied.
    Sweep(SweepArgs),
    /// Two targets beside each other, in slices, and perhaps a control: ratios that noise spares.
    Ab(AbArgs),
    /// What the generator can do on this machine.
    Calibrate(CalibrateArgs),
    /// Hold many connections: memory of the target for each, latency of others meanwhile.
    Conns(Box<ConnsArgs>),
    /// Several operations in given shares, from a scenario.
    Mix(MixArgs),
    /// An in-memory upstream: object store, echo, sink and source.
    Origin(OriginArgs),
    /// Wait for a coordinator's work, and do its share of a load.
    Agent(AgentArgs),
    /// Show a stored report in another form: text, tables, HdrHistogram files, a page with plots.
    Report(ReportArgs),
    /// Put two stored reports side by side, and say what may be concluded.
    Compare(CompareArgs),
    /// Write a shell's completions to standard output.
    Completions(CompletionsArgs),
    /// Write manual pages, one for each subcommand.
    Man(ManArgs),
}

/// `loadgen handshake`.
#[derive(Debug, Clone, Args)]
#[command(after_help = HANDSHAKE_EXAMPLES)]
pub struct HandshakeArgs {
    /// `host:port`.
    pub target: Target,
    /// Share of the handshakes that resume a session.
    #[arg(long, value_name = "N%", default_value = "0%", value_parser = units::percent)]
    pub resume: f64,
    /// Share of the resumed handshakes that send early data (0-RTT): an empty line, which HTTP
    /// servers skip. One that the target does not take is of the wrong kind and does not count.
    #[arg(long, value_name = "N%", default_value = "0%", value_parser = units::percent)]
    pub early_data: f64,
    /// Share of the handshakes that are full and show the certificate of --cert, while the others
    /// show none [default: all show it where --cert is given].
    #[arg(long, value_name = "N%", value_parser = units::percent, requires = "cert")]
    pub mtls: Option<f64>,
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
    /// The same, and the body has the SHA-256 that Content-Digest or Repr-Digest names, or else
    /// that of the first answer to the same tenant; requests carry a Content-Digest of their own.
    Hash,
    /// The same, and the body is that of the request, byte for byte.
    Echo,
    /// The same, and the body is a sealed message that opens, to its last byte, with the key of
    /// --keyring or --raw-aes.
    Open,
}

/// `loadgen request`.
#[derive(Debug, Clone, Args)]
#[command(after_help = REQUEST_EXAMPLES)]
pub struct RequestArgs {
    /// `https://host:port/path`, or `tls://host:port` with --echo.
    pub target: Target,
    /// Request method [default: GET, or PUT with --size].
    #[arg(short = 'X', long, value_name = "METHOD", conflicts_with = "echo")]
    pub request: Option<String>,
    /// Header field to send, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "FIELD", action = ArgAction::Append, conflicts_with = "echo")]
    pub headers: Vec<String>,
    /// Bytes in the body of a request, or in an echoed message: 8k, uniform:1k,64KiB, or
    /// lognorm:8k,1.2 (median, sigma).
    #[arg(long)]
    pub size: Option<Size>,
    /// Requests on one connection: 1 for a new connection each time, 10:30 for 10 to 30 [default:
    /// as many as the target takes].
    #[arg(long, value_name = "N|MIN:MAX", conflicts_with = "echo")]
    pub reuse: Option<Reuse>,
    /// Share of the new connections that send their first request as early data (0-RTT), which
    /// resumes a session: GET, HEAD or OPTIONS over HTTP/1.1. What became of it is counted: accepted,
    /// rejected, not_allowed (by the ticket), too_early (425). A request that was not taken is sent
    /// again behind the handshake. See --reuse: connections that are kept are not new.
    #[arg(long, value_name = "N%", default_value = "0%", value_parser = units::percent, conflicts_with = "echo")]
    pub early_data: f64,
    /// Send messages to a raw echo service and compare what comes back.
    #[arg(long, conflicts_with_all = ["version", "streams"])]
    pub echo: bool,
    /// What makes an answer count.
    #[arg(long, value_enum, default_value = "status", conflicts_with = "echo")]
    pub check: CheckArg,
    /// Statuses that count, and no other: 403,404 asserts that requests are refused.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', conflicts_with = "echo", value_parser = clap::value_parser!(u16).range(200..600))]
    pub expect_status: Vec<u16>,
    /// Behind the run, ask the origin behind a gateway (`http://` of `loadgen origin`): it has to
    /// hold sealed messages without plaintext, and to have answered as many requests as were sent.
    #[arg(long, value_name = "URL", conflicts_with = "echo")]
    pub check_upstream: Option<Target>,
    /// Sealed messages.
    #[command(flatten)]
    pub sealed: EnvelopeArgs,
    /// How to speak HTTP.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Common flags.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// `loadgen bulk`.
#[derive(Debug, Clone, Args)]
#[command(after_help = BULK_EXAMPLES)]
pub struct BulkArgs {
    /// `tls://host:port` of the origin's source, sink or echo, or `https://host:port/path`.
    pub target: Target,
    /// From the target to us: source, or GET. The default.
    #[arg(long, conflicts_with = "up")]
    pub down: bool,
    /// From us to the target: sink, or PUT.
    #[arg(long)]
    pub up: bool,
    /// Both ways at once, by way of an echo service: what comes back has to be what was sent.
    #[arg(long, conflicts_with_all = ["down", "up", "prepare"])]
    pub duplex: bool,
    /// Bytes in one transfer [default: 100MB; of a GET without --prepare, as many as the first
    /// answer has].
    #[arg(long, value_parser = units::size)]
    pub bytes: Option<u64>,
    /// Header field to send, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "FIELD", action = ArgAction::Append)]
    pub headers: Vec<String>,
    /// PUT the object once before a --down over HTTP.
    #[arg(long, conflicts_with = "up")]
    pub prepare: bool,
    /// How to speak HTTP; for a http(s) URL.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Common flags.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// `loadgen origin`.
#[derive(Debug, Args)]
#[command(after_help = ORIGIN_EXAMPLES)]
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
    /// Let each answer wait: 5ms, lognorm:5ms,0.8 (median, sigma), or
    /// steps:0s=1ms,10s=200ms,10.2s=1ms (from each moment on, since the origin began). An echo waits
    /// with each piece that it reads.
    #[arg(long)]
    pub delay: Option<Delay>,
    /// Where the chance of --delay comes from.
    #[arg(long, default_value_t = 1, requires = "delay")]
    pub seed: u64,
}
