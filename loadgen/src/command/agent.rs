//! `loadgen agent`: certificates for agents, and the work that an agent does for a coordinator.

use std::{
    ffi::OsString,
    io::{self, Write},
};

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{CommandError, bulk, handshake, load, mix, request, search};
use crate::{
    agents::{
        AgentError, certificates,
        identity::Identity,
        protocol::Job,
        serve::{self, Event, Line, note},
    },
    cli::{AgentArgs, Cli, Command},
    exit::Exit,
    report::{agents, build},
    run::{RunError, Seen, Session},
};

/// Waits for work, or makes certificates.
///
/// # Errors
///
/// When files are of no use, or the address cannot be listened on.
pub fn agent(args: &AgentArgs) -> Result<Exit, CommandError> {
    if let Some(directory) = &args.new_certificates {
        let mut out = io::stdout().lock();
        for path in certificates::make(directory, &args.name)? {
            writeln!(out, "{}", path.display())?;
        }
        return Ok(Exit::Ok);
    }
    // clap asks for all of them together.
    let (Some(address), Some(cert), Some(key), Some(ca)) =
        (args.listen, &args.cert, &args.key, &args.ca)
    else {
        return Err(CommandError::NotALoad);
    };
    let identity = Identity { cert, key, ca };
    let acceptor = TlsAcceptor::from(identity.agent().map_err(AgentError::from)?);
    let authorities = identity.authorities().map_err(AgentError::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| AgentError::Listen { address, error })?;
        let mut out = io::stdout().lock();
        writeln!(out, "listening agent {}", listener.local_addr()?)?;
        out.flush()?;
        note(&format!(
            "takes work from whoever has a client certificate of {} ({})",
            authorities.join(", or "),
            ca.display()
        ));
        let served = serve::serve(listener, acceptor, work).await;
        Ok(served.map(|()| Exit::Ok).map_err(AgentError::Io)?)
    })
}

/// Does a job for a coordinator, and tells of it.
fn work(job: Job, line: &Line) {
    line.tell(match done(&job, line) {
        Ok(event) => event,
        Err(error) => Event::Failed(error.to_string()),
    });
}

fn done(job: &Job, line: &Line) -> Result<Event, CommandError> {
    let machine = job.machine().ok_or(CommandError::NotALoad)?;
    let words = job.words.iter().map(OsString::from).collect();
    let cli = Cli::read_share(words, machine, job.contents());
    match cli.map_err(CommandError::OwnCommand)?.command {
        Command::Handshake(args) => share(&handshake::job(&args)?, line),
        Command::Request(args) => share(&request::job(&args)?, line),
        Command::Bulk(args) => share(&bulk::job(&args)?, line),
        Command::Mix(args) => {
            let ready = mix::Ready::read(&args.scenario)?;
            share(&ready.job(&ready.scheduled()), line)
        }
        Command::Search(args) => {
            let asked = job.asked.ok_or(CommandError::NotALoad)?;
            search::with_operation(&args, |operation, flags| {
                let load = search::flags_for(operation, flags, asked);
                share(&operation.with(&load), line)
            })
        }
        _ => Err(CommandError::NotALoad),
    }
}

/// Does this machine's share of a load.
fn share(asked: &load::Job<'_>, line: &Line) -> Result<Event, CommandError> {
    let plan = load::plan(asked)?;
    let mut frame = load::frame(asked, &plan);
    // It is judged by its own part.
    let shares = (0..plan.threads).map(|thread| plan.share(thread));
    let part = |all| shares.map(|share| share.part(all)).sum();
    frame.configuration.count = frame.configuration.count.map(part);
    note(&format!(
        "{} {}, part {} of {}",
        asked.name,
        asked.target.to_string().escape_debug(),
        plan.machine.index + 1,
        plan.machine.of
    ));
    let threads = plan.threads as u64;
    let stoppable = |stopper| line.tell(Event::Stoppable(stopper));
    let mut session = Session::start_told(plan, None, stoppable)?;
    line.tell(Event::Ready(threads));
    let start = line.start().ok_or(RunError::Interrupted)?;
    let outcome = session.first_at(start, &mut |seen| {
        if let Seen::Interval(worker, interval) = seen {
            let interval = Box::new(interval.clone());
            line.tell(Event::Interval(worker as u64, interval));
        }
    })?;
    let counts = build::totals(&outcome).counts;
    let measured = load::judged(asked, outcome, frame);
    let said = agents::said(&measured.report, &measured.reasons, measured.exit, counts);
    Ok(Event::Done(Box::new(said)))
}
