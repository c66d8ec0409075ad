//! Flags of `loadgen agent`, and those with which a load is run by agents.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::{ArgGroup, Args};

use crate::{
    files::{Contents, Files},
    schedule::Machine,
    search::Asked,
    units,
};

const EXAMPLES: &str = "\
Examples:
  loadgen agent --new-certificates certs --name load1.example --name load2.example
      once, anywhere: an authority, and certificates for agents on these machines and for a coordinator
  loadgen agent --listen 0.0.0.0:7500 --cert certs/agent.pem --key certs/agent.key --ca certs/ca.pem
      on load1 and on load2, with the files of that directory
  loadgen request https://app.example/path -R 50k -d 60s --agents load1.example:7500,load2.example:7500 \\
      --agents-cert certs/coordinator.pem --agents-key certs/coordinator.key --agents-ca certs/ca.pem
      on any machine: one load of 50000 requests per second from both, and one report
  loadgen search request https://app.example/path --slo 'p99<5ms' --agents load1.example:7500,load2.example:7500 \\
      --agents-cert certs/coordinator.pem --agents-key certs/coordinator.key --agents-ca certs/ca.pem
      the highest rate that both together can make and the target holds; each step connects anew

An agent does what `loadgen handshake`, `request`, `bulk` and `mix` do, and the steps of `search`, for one
coordinator at a time, and nothing else. It reads and writes no file for a coordinator: scenarios,
certificates and lists that the flags name are sent along. Ctrl-C ends its part of a load, and the
agent.";

/// `loadgen agent`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("does").required(true).args(["listen", "new_certificates"])))]
pub struct AgentArgs {
    /// Wait for a coordinator here; port 0 takes a free one.
    #[arg(
        long,
        value_name = "ADDR",
        requires = "cert",
        requires = "key",
        requires = "ca"
    )]
    pub listen: Option<SocketAddr>,
    /// Certificate chain of the agent (PEM), with the names that coordinators know this machine by.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub cert: Option<PathBuf>,
    /// Key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub key: Option<PathBuf>,
    /// Take work from whoever has a client certificate of these authorities (PEM), and from nobody
    /// else: they may load any target from this machine.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub ca: Option<PathBuf>,
    /// Make an authority and certificates for agents and a coordinator in this directory, which must
    /// not have any yet. They hold for a year; the authority's key is not kept.
    #[arg(long, value_name = "DIR")]
    pub new_certificates: Option<PathBuf>,
    /// Name or address of a machine with an agent, besides localhost, 127.0.0.1 and ::1; may be
    /// repeated.
    #[arg(long, value_name = "HOST", requires = "new_certificates")]
    pub name: Vec<String>,
}

/// With which flags a load is run by agents.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Agents")]
pub struct AgentsArgs {
    /// Run the load on these agents (`loadgen agent`) instead of here. Connections, rate and count
    /// are those of all together; -t is the threads of each.
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', requires_all = ["agents_cert", "agents_key", "agents_ca"])]
    pub agents: Vec<String>,
    /// Certificate chain to show to agents (PEM).
    #[arg(long, value_name = "FILE", requires = "agents")]
    pub agents_cert: Option<PathBuf>,
    /// Key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "agents")]
    pub agents_key: Option<PathBuf>,
    /// Authorities of the agents' certificates (PEM).
    #[arg(long, value_name = "FILE", requires = "agents")]
    pub agents_ca: Option<PathBuf>,
    /// How far from the moment that was agreed on an agent may begin: one whose clock cannot be read
    /// as precisely over its control connection is an error.
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = units::duration)]
    pub agents_skew: Duration,
    /// The command line that these flags are of; empty for one that agents are not told.
    #[arg(skip)]
    pub words: Vec<OsString>,
    /// Which machine this is.
    #[arg(skip)]
    pub place: Place,
    /// Which load of a search this is.
    #[arg(skip)]
    pub asked: Option<Asked>,
}

/// On whose behalf a command line is read.
#[derive(Debug, Clone, Default)]
pub enum Standing {
    /// Its own, and nobody else is told of it.
    #[default]
    Unsaid,
    /// Its own. If it names agents, they are told its words, and get the files that were noted.
    Own {
        /// The command line.
        words: Vec<OsString>,
        /// Where its files are read from.
        files: Files,
    },
    /// A coordinator's, for one of its agents.
    Share {
        /// Which one.
        machine: Machine,
        /// Where its files are read from.
        files: Files,
    },
}

impl Standing {
    /// A command line of one's own.
    pub fn own(words: Vec<OsString>) -> Self {
        let files = Files::Noted(Arc::default());
        Self::Own { words, files }
    }

    /// That of an agent, which sees no other files than those that were sent.
    pub fn share(machine: Machine, sent: Contents) -> Self {
        let files = Files::Sent(Arc::new(sent));
        Self::Share { machine, files }
    }

    /// Where files are read from before it is known whether there are agents.
    pub fn files(&self) -> Files {
        match self {
            Standing::Unsaid => Files::Disk,
            Standing::Own { files, .. } | Standing::Share { files, .. } => files.clone(),
        }
    }
}

/// Which machine of a load this is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// The only one.
    #[default]
    Alone,
    /// The one that tells this many others, and sends nothing to the target itself.
    Coordinator {
        /// Agents.
        agents: u64,
    },
    /// One of those that load the target.
    Agent(Machine),
}

impl Place {
    /// Machines that load the target.
    pub fn machines(self) -> u64 {
        match self {
            Place::Alone => 1,
            Place::Coordinator { agents } => agents,
            Place::Agent(machine) => machine.of,
        }
    }

    /// The machine whose share is planned here: a coordinator plans as the first agent does.
    pub fn machine(self) -> Machine {
        match self {
            Place::Agent(machine) => machine,
            Place::Alone | Place::Coordinator { .. } => Machine {
                index: 0,
                of: self.machines(),
            },
        }
    }
}
