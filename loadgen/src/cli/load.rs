//! Flags of every kind of load.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{AgentsArgs, Place, Standing, TenantArgs};
use crate::{
    files::Files,
    report::objective::Objective,
    schedule::{
        arrivals::Process,
        curve::Rate,
        parse::{self, Stages},
    },
    target::{key_update::Every, sni::Sni, source::Network},
    units,
    worker::pace::Spin,
};

/// Flags of every kind of load.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Connections, spread over the threads [default: 64 with a rate, 1 without].
    #[arg(short = 'c', long, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: Option<u32>,
    /// Threads, each pinned to a core.
    #[arg(short = 't', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// How long to start operations [default: 10s, unless -n or --stages is given].
    #[arg(short = 'd', long, value_name = "TIME", value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// How many operations to start in all.
    #[arg(short = 'n', long, value_parser = units::count)]
    pub count: Option<u64>,
    /// When operations start.
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    /// An operation in which nothing moves for this long is broken off and counts as failed.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub timeout: Duration,
    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Measure CPU time and memory of this process too.
    #[arg(long, value_name = "PID")]
    pub target_pid: Option<u32>,
    /// Objective to hold: p99<5ms, p99.9<=20ms, mean<1ms, errors<0.1%, rate>=4.9k; may be repeated.
    /// Times are response times; service.p99 and lag.p99 name the others. A miss exits with 3.
    #[arg(long, value_name = "OBJECTIVE", value_delimiter = ',')]
    pub slo: Vec<Objective>,
    /// Write the result as JSON; `-` is standard output, instead of the summary.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Say nothing while it runs. Otherwise a line for each second goes to standard error.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// How to speak TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// For whom.
    #[command(flatten)]
    pub tenants: TenantArgs,
    /// From where.
    #[command(flatten)]
    pub agents: AgentsArgs,
}

/// How the target is reached.
#[derive(Debug, Clone, Args)]
pub struct ReachArgs {
    /// Connect to HOST:PORT instead, keeping the name in SNI and Host (also curl's four parts).
    #[arg(long, value_name = "HOST:PORT")]
    pub connect_to: Option<String>,
    /// Addresses of this machine to connect from, in turn: ADDR or a network such as 10.0.0.0/24
    /// [default: the kernel's choice; once that has no port left and the target is on loopback,
    /// 127.0.0.2 and so on].
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',')]
    pub source: Vec<Network>,
}

impl LoadArgs {
    /// Has these flags be of a command line with this standing.
    pub fn stand(&mut self, standing: &Standing) {
        let agents = self.agents.agents.len() as u64;
        match standing {
            Standing::Own { words, files } if agents > 0 => {
                self.agents.words.clone_from(words);
                self.agents.place = Place::Coordinator { agents };
                self.read_from(files.clone());
            }
            Standing::Unsaid | Standing::Own { .. } => {}
            Standing::Share { machine, files } => {
                self.agents.place = Place::Agent(*machine);
                self.read_from(files.clone());
            }
        }
    }

    /// The same load without agents, from this machine.
    pub fn alone(&self) -> Self {
        let mut load = self.clone();
        if let Place::Coordinator { .. } = self.agents.place {
            load.agents.agents.clear();
            load.agents.place = Place::Alone;
            // Those are addresses of the agents' machines.
            load.reach.source.clear();
        }
        load
    }

    fn read_from(&mut self, files: Files) {
        self.tenants.files = files.clone();
        self.tls.files = files;
    }
}

/// When operations start.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArgs {
    /// Operations per second, such as 500 or 5k: the loop is open, operations start when they are
    /// planned and wait for nothing. Without a rate it is closed: each connection starts its next
    /// operation when the one before is done, and a slow target is asked less.
    #[arg(short = 'R', long, value_name = "RATE", value_parser = parse::rate, conflicts_with = "stages")]
    pub rate: Option<Rate>,
    /// Rates one after the other: 1k:30s,5k:60s holds each; 1k..5k:60s ramps, ..5k:60s ramps from
    /// the rate before, 0:5s is a pause.
    #[arg(long, value_name = "RATE:TIME,...", conflicts_with = "duration")]
    pub stages: Option<Stages>,
    /// How operations are spaced: constant, poisson (as independent users ask), or burst:N/TIME (N
    /// at once, every TIME; it needs no -R) [default: constant].
    #[arg(long, value_name = "PROCESS")]
    pub arrival: Option<Process>,
    /// Where chance comes from: the same seed plans the same operations.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run this long before anything is counted, at the first rate.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::duration)]
    pub warmup: Duration,
    /// Wait this long behind the end of the schedule, or of -d, for what is under way.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub drain: Duration,
    /// Operations that may wait for a connection, all threads together. One that finds no room is
    /// never sent, and the run is invalid.
    #[arg(long, value_name = "N", default_value = "100k", value_parser = units::count)]
    pub backlog: u64,
    /// Whether to wait for planned starts without sleep.
    #[arg(long, value_enum, default_value = "auto")]
    pub spin: Spin,
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
    /// Server name to ask for [default: the host of the target]. Several in given shares, by a seeded
    /// draw: a,b,c or a,b,c:uniform alike, a,b,c:zipf(1.1) falling off in this order, a,b,c:5,3,2 by
    /// weights, or names.csv with lines NAME or NAME,WEIGHT. Each has connections and tickets of its
    /// own and, as a tenant, a row in the report; {tenant} stands for it, and Host has it too.
    #[arg(long, value_name = "NAME,...[:SHARES]")]
    pub sni: Option<Sni>,
    /// Key exchange groups in order of preference, separated by colons.
    #[arg(long, value_name = "GROUPS")]
    pub groups: Option<String>,
    /// Application protocols to offer, separated by commas, in order of preference (h2,http/1.1):
    /// the target has to choose one of them. For tls:// and handshakes; an https target negotiates
    /// the HTTP that is spoken.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "plain", value_parser = protocol)]
    pub alpn: Option<Vec<String>>,
    /// Only this protocol version.
    #[arg(long, value_name = "VERSION")]
    pub tls: Option<TlsVersion>,
    /// Ask the target for new keys, by a KeyUpdate of TLS 1.3, after this much payload on a
    /// connection, both ways together (64MiB), or after this many operations (1000req); not before
    /// it has answered the last one.
    #[arg(long, value_name = "SIZE|Nreq", conflicts_with = "plain")]
    pub key_update: Option<Every>,
    /// Tickets of another run: refused, with why and what to do.
    #[arg(long, hide = true, value_name = "FILE", value_parser = no_tickets)]
    pub tickets: Option<String>,
    /// Where files are read from.
    #[arg(skip)]
    pub files: Files,
}

/// What resumes a session is not to be had as bytes (gateway/docs/adr/0010).
fn no_tickets(_: &str) -> Result<String, &'static str> {
    Err(
        "rustls 0.23 gives nobody what resumes a session, and takes it from nobody, so tickets neither go into a \
         file nor come from one: drop it; --resume N% has every connection fetch tickets of its own, which are counted \
         as priming, and --warmup TIME does so before anything is counted",
    )
}

/// A name of ALPN: 1 to 255 bytes (RFC 7301 §3.1).
fn protocol(text: &str) -> Result<String, &'static str> {
    match text.len() {
        1..=255 => Ok(text.to_owned()),
        _ => Err("not a protocol: write names of 1 to 255 bytes, as in h2,http/1.1"),
    }
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
