//! What each subcommand does, from its flags to its exit code.

pub mod ab;
pub mod agent;
pub mod bulk;
pub mod calibrate;
pub mod conns;
pub mod coordinate;
pub mod early_data;
pub mod envelope;
pub mod handshake;
pub mod http;
pub mod load;
pub mod report;
pub mod compare;
pub mod mix;
pub mod origin;
pub mod request;
pub mod search;
pub mod sweep;
pub mod shell;
pub mod tenants;

use std::{io, path::PathBuf};

use thiserror::Error;

use self::{early_data::EarlyDataError, handshake::ShareError, http::HttpError};
use crate::{
    agents::{AgentError, AgentsError},
    cli::Command,
    descriptors::{self, TooManyConnections},
    envelope::keys::EnvelopeError,
    exit::Exit,
    operation::http2::head::HeadError,
    origin::OriginError,
    pem::PemError,
    placeholder::UnknownPlaceholder,
    report::{
        calibration::CalibrationError,
        compare::sameness::{Difference, Listed},
        parse::ParseError,
        render::RenderError,
    },
    run::RunError,
    scenario::ScenarioError,
    schedule::{arrivals::Process, curve::Rate},
    target::{
        source::SourceError,
        tls::TlsError,
        url::{Target, TargetError},
    },
    tenants::TenantsError,
    upstream::UpstreamError,
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
    /// Connections cannot come from where they should.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// More connections than file descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooManyConnections),
    /// A header field is none.
    #[error("{0} is no header field: write -H 'Name: value'")]
    Header(String),
    /// A method is none.
    #[error("{0} is no HTTP method")]
    Method(String),
    /// There is no such manual page.
    #[error("there is no page {0}; there are {1}")]
    NoPage(String, String),
    /// A path is none.
    #[error("{0} is no path: percent-encode what is not ASCII")]
    Path(String),
    /// A header field is not the caller's to set.
    #[error("loadgen sets {0} itself: drop it, and give the size of a body with --size")]
    OwnHeader(String),
    /// A message has to have a byte and to fit into memory.
    #[error("an echoed message takes one fixed size of 1 B to 1 GB: correct --size")]
    EchoSize,
    /// There is nothing that could come back.
    #[error("--check echo compares the answer with the request's body: add --size")]
    EchoWithoutBody,
    /// A placeholder is none.
    #[error(transparent)]
    Placeholder(#[from] UnknownPlaceholder),
    /// Objects by number, without a number of objects.
    #[error("{0}: {{n}} is the number of an object, which only `loadgen mix` has: name one object")]
    NoObjects(String),
    /// The tenants are of no use.
    #[error(transparent)]
    Tenants(#[from] TenantsError),
    /// A tenant's name is to be filled in, and there are no tenants.
    #[error(
        "{0}: {{tenant}} is replaced by a tenant's name, and there are no tenants: add --tenants N"
    )]
    NoTenants(String),
    /// Names from two sides.
    #[error(
        "several names in --sni are tenants already: drop --tenants, or write --sni '{{tenant}}.example'"
    )]
    NamesAndTenants,
    /// Connections that are held have one name.
    #[error("connections that are only held ask for one server name: name one in --sni")]
    NamesOfConns,
    /// A host that differs between tenants has no address.
    #[error("{0} has a host for each tenant: say where they all are with --connect-to HOST:PORT")]
    TenantAddress(Target),
    /// Shares of handshakes do not fit together.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Sealed messages cannot be had.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Requests cannot go as early data.
    #[error(transparent)]
    EarlyData(#[from] EarlyDataError),
    /// HTTP is not negotiated by hand.
    #[error("an https target negotiates the HTTP that is spoken: drop --alpn, or load tls://")]
    AlpnOfHttp,
    /// What the origin holds is not what it should be.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The scenario is of no use.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Flags that did not come from the command line are of no use.
    #[error(transparent)]
    Flags(#[from] clap::Error),
    /// The schedule's flags do not fit together.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Flags of HTTP do not fit, or the target cannot be asked for its version.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// HTTP/2 cannot carry the request.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A run could not start.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The object could not be stored before the run.
    #[error("cannot store the object: {0}")]
    Prepare(String),
    /// The server that a calibration starts failed. A defect of ours, or of the machine.
    #[error("the server in this process failed: {0}")]
    OwnServer(String),
    /// The origin could not start.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// A stored report cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Input {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A stored report is none.
    #[error("{}: {error}", path.display())]
    Report {
        /// Where.
        path: PathBuf,
        /// Why.
        error: ParseError,
    },
    /// A stored report cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Several reports in a form that takes one.
    #[error("only a page takes several reports: add -f html, or give one file")]
    OneReport,
    /// Two reports that do not compare.
    #[error(
        "these runs are not comparable (first / second):\n{}repeat one of them alike, or compare them all the same with --force",
        Listed(.0)
    )]
    NotComparable(Vec<Difference>),
    /// A result could not be written.
    #[error("cannot write {}: {error}", path.display())]
    Output {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The flags of a comparison do not fit together.
    #[error(transparent)]
    Ab(#[from] ab::AbError),
    /// The flags of a search do not fit together.
    #[error(transparent)]
    Search(#[from] search::SearchError),
    /// The flags of a sweep do not fit together.
    #[error(transparent)]
    Sweep(#[from] sweep::SweepError),
    /// A stored calibration is of no use.
    #[error("{}: {error}", path.display())]
    Calibration {
        /// Where.
        path: PathBuf,
        /// Why.
        error: CalibrationError,
    },
    /// A command line that is made from another one is wrong.
    #[error(transparent)]
    OwnCommand(clap::Error),
    /// A subcommand that does not load a target.
    #[error("this does not load a target: use handshake, request, bulk, mix or a step of search")]
    NotALoad,
    /// A subcommand that agents do not do.
    #[error(
        "agents are not told of this {0}: --agents is for handshake, request, bulk, mix, search and sweep"
    )]
    NotForAgents(&'static str),
    /// Agents without a connection.
    #[error(
        "{connections} connections are not enough for {machines} agents: raise -c to {machines} or more"
    )]
    FewConnections {
        /// Of all agents.
        connections: u64,
        /// Agents.
        machines: u64,
    },
    /// The agents did not begin.
    #[error(transparent)]
    Agents(#[from] AgentsError),
    /// The agent cannot listen, or its certificates cannot be made.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Standard output or a signal handler failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Flags of the schedule that do not fit together. The operator's fault.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// An arrival process without a rate.
    #[error("--arrival {0} spaces the operations of an open loop, which needs a rate: add -R 1k")]
    NoRate(Process),
    /// A burst with another rate.
    #[error("a burst has a rate of its own, here {}/s: drop -R and --stages", .0.per_s())]
    BurstHasRate(Rate),
}

impl CommandError {
    /// The exit code that goes with the error.
    pub fn exit(&self) -> Exit {
        match self {
            // Nothing was measured, so nothing is proven.
            CommandError::Run(RunError::Interrupted) => Exit::Invalid,
            CommandError::Agents(error) => error.exit(),
            CommandError::Prepare(_)
            | CommandError::Upstream(_)
            | CommandError::Http(HttpError::Probe(_))
            | CommandError::Target(TargetError::Unresolved { .. }) => Exit::Target,
            CommandError::NothingToServe
            | CommandError::Pem(_)
            | CommandError::Tls(_)
            | CommandError::Target(_)
            | CommandError::Source(_)
            | CommandError::Descriptors(_)
            | CommandError::Header(_)
            | CommandError::Method(_)
            | CommandError::Path(_)
            | CommandError::OwnHeader(_)
            | CommandError::EchoSize
            | CommandError::EchoWithoutBody
            | CommandError::Scenario(_)
            | CommandError::Flags(_)
            | CommandError::Placeholder(_)
            | CommandError::NoObjects(_)
            | CommandError::Tenants(_)
            | CommandError::NoTenants(_)
            | CommandError::NamesAndTenants
            | CommandError::NamesOfConns
            | CommandError::TenantAddress(_)
            | CommandError::Share(_)
            | CommandError::EarlyData(_)
            | CommandError::Envelope(_)
            | CommandError::AlpnOfHttp
            | CommandError::Schedule(_)
            | CommandError::Http(_)
            | CommandError::Head(_)
            | CommandError::Run(_)
            | CommandError::Origin(_)
            | CommandError::Input { .. }
            | CommandError::Report { .. }
            | CommandError::Render(_)
            | CommandError::OneReport
            | CommandError::NoPage(..)
            | CommandError::NotComparable(_)
            | CommandError::Output { .. }
            | CommandError::Ab(_)
            | CommandError::Search(_)
            | CommandError::Sweep(_)
            | CommandError::Calibration { .. }
            | CommandError::OwnCommand(_)
            | CommandError::NotALoad
            | CommandError::NotForAgents(_)
            | CommandError::FewConnections { .. }
            | CommandError::Agent(_)
            | CommandError::OwnServer(_)
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
    descriptors::raise_limit();
    // Else the first handshake pays for it.
    sealgate_tls::warm_up().map_err(TlsError::from)?;
    match command {
        Command::Handshake(args) => handshake::handshake(args),
        Command::Request(args) => request::request(args),
        Command::Bulk(args) => bulk::bulk(args),
        Command::Ab(args) => ab::ab(args),
        Command::Search(args) => search::search(args),
        Command::Sweep(args) => sweep::sweep(args),
        Command::Calibrate(args) => calibrate::calibrate(args),
        Command::Conns(args) => conns::conns(args),
        Command::Mix(args) => mix::mix(args),
        Command::Origin(args) => origin::origin(args),
        Command::Agent(args) => agent::agent(args),
        Command::Report(args) => report::report(args),
        Command::Compare(args) => compare::compare(args),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
    }
}
