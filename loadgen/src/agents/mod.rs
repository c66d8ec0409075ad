//! One load on several machines: a coordinator, which sends nothing to the target, and agents.
//!
//! ```text
//! coordinator                              agent
//!   Hello -------------------------------->  (mutual TLS, one coordinator at a time)
//!     <------------------------- Hello | Refused
//!   Job: command line, files, which share ->  builds the plan, connects to the target
//!     <------------------------- Ready | Failed
//!   Clock  <-----------------------> Clock    some times: where its clock is, and how surely
//!   Start, in the agent's time ------------>  waits until then
//!     <------------------------- Interval     of each worker, once a second
//!   Stop ---------------------------------->  (when somebody ends the run, or an agent is lost)
//!     <------------------------- Done | Failed
//! ```
//!
//! Frames are JSON behind their length. An agent is told a command line, which it reads as the
//! program does, and its number: planned operations, connections and seeds of chance follow from that
//! as those of threads do, so all agents together do what one machine with as many threads would.
//! Whoever is silent for too long is lost; a beat keeps quiet connections alive.

pub mod certificates;
pub mod clock;
pub mod coordinator;
pub mod identity;
pub mod link;
pub mod protocol;
pub mod serve;
pub mod tally;

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use thiserror::Error;

use self::{clock::Vague, identity::IdentityError, link::LinkError, protocol::Refusal};
use crate::exit::Exit;

/// Agents of one run.
pub const MAX_AGENTS: usize = 64;

/// Longest frame. The largest is the last one of a worker with histograms of many tenants.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Frames that wait at one end of a connection.
const QUEUE: usize = 16;

/// How long connecting and shaking hands may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A side that has said nothing for this long is lost.
const SILENCE: Duration = Duration::from_secs(10);

/// A side that has nothing to say says so this often.
const BEAT: Duration = Duration::from_secs(1);

/// How long a coordinator waits for an agent that works for another one, before it is refused.
const LETTING_GO: Duration = Duration::from_secs(1);

/// From the moment at which the start is agreed on to the start: enough for the word to arrive.
const LEAD: Duration = Duration::from_secs(1);

/// The start of a run on agents did not come about.
#[derive(Debug, Error)]
pub enum AgentsError {
    /// Not a host and a port.
    #[error("{0} is no agent: write HOST:PORT, as in load1.example:7500")]
    Name(String),
    /// The same one twice.
    #[error("agent {0} is named twice: an agent does one share of a load at a time")]
    Twice(String),
    /// Too many.
    #[error("{0} agents are too many: {MAX_AGENTS} are possible")]
    Many(usize),
    /// The command line cannot be sent.
    #[error("agents are told the command line as text, and it is no UTF-8: rename the file")]
    NotUtf8,
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The system refused what waiting takes.
    #[error("cannot wait for agents: {0}")]
    Io(#[from] io::Error),
    /// One of them cannot take part.
    #[error("agent {name}: {why}")]
    Agent {
        /// Which.
        name: String,
        /// Why.
        why: Absent,
    },
}

impl AgentsError {
    /// The exit code: nothing was measured, so nothing is proven.
    pub fn exit(&self) -> Exit {
        match self {
            AgentsError::Agent { .. } | AgentsError::Io(_) => Exit::Invalid,
            AgentsError::Name(_)
            | AgentsError::Twice(_)
            | AgentsError::Many(_)
            | AgentsError::NotUtf8
            | AgentsError::Identity(_) => Exit::Usage,
        }
    }
}

/// Why an agent cannot take part.
#[derive(Debug, Error)]
pub enum Absent {
    /// Nobody is there.
    #[error("cannot connect: {0}; is `loadgen agent --listen` running there?")]
    Unreachable(io::Error),
    /// It is slow.
    #[error("no connection within {} s", CONNECT_LIMIT.as_secs())]
    Slow,
    /// TLS did not come about.
    #[error(
        "{0}; its certificate has to be of --agents-ca and to name this host, and ours of its --ca"
    )]
    Handshake(io::Error),
    /// It does not want us.
    #[error(transparent)]
    Refused(Refusal),
    /// It is another version.
    #[error("it is loadgen {theirs} and this is {}: use the same on all machines", env!("CARGO_PKG_VERSION"))]
    Version {
        /// Its version.
        theirs: String,
    },
    /// It cannot do its share.
    #[error("{0}")]
    Failed(String),
    /// It ended before the others, at the wish of somebody there.
    #[error("somebody ended it on its machine")]
    Interrupted,
    /// It was told to stop, and did not.
    #[error("it did not stop within {} s", .0.as_secs())]
    Endless(Duration),
    /// It said what does not belong there.
    #[error("it does not keep to the protocol")]
    Unexpected,
    /// It counts what nobody can have done.
    #[error("what it counted is more than can be added up: its numbers are not those of a load")]
    Uncountable,
    /// Its clock cannot be read.
    #[error(transparent)]
    Clock(#[from] Vague),
    /// The connection broke.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl Absent {
    /// Why an agent said nothing: TLS 1.3 tells a client that it is refused when it listens.
    fn before_hello(error: LinkError) -> Self {
        match error {
            LinkError::Broke(error) => Absent::Handshake(error),
            LinkError::Closed | LinkError::Silent | LinkError::Malformed(_) => Absent::Link(error),
        }
    }
}

/// The agent cannot work, or certificates cannot be made. The operator's fault.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Certificate, key or authorities cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The system refused what waiting takes.
    #[error("cannot wait for work: {0}")]
    Io(#[from] io::Error),
    /// A name that no certificate can have.
    #[error("{0} is no name of a machine: write a host name or an address")]
    Name(String),
    /// A certificate cannot be made. The system has no randomness.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file cannot be written.
    #[error("cannot write {}: {error}; certificates that are there are never replaced", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}
