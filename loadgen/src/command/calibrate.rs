//! `loadgen calibrate`: what the generator can do on this machine, against a server of its own.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use rustls::ServerConfig;

use super::{
    CommandError, bulk, handshake,
    load::{self, Job},
    request,
};
use crate::{
    affinity,
    cli::{CalibrateArgs, Cli, Command},
    exit::Exit,
    host,
    operation::Operation,
    origin::{self, Endpoint, Service, self_signed, tls::Alpn},
    report::{
        build,
        calibration::{Bottleneck, Calibration, FORMAT, Measurement, TimerError, Unit},
        model::{Reason, State},
        verdict,
    },
    run::{self, Outcome, RunError},
    signals, text,
    worker::timer_error::{self, Waiting},
};

/// The largest calibration that is read. One has some 10 kB.
const MAX_CALIBRATION_BYTES: u64 = 1 << 20;
/// Starts whose lateness is measured, and how far they are apart.
const TIMER_STARTS: (u32, Duration) = (1000, Duration::from_millis(1));
/// A body that a request gets: as small as answers of services are.
const BODY_BYTES: &str = "100";
/// Bytes the server's store may hold.
const STORE_BYTES: usize = 1 << 20;

/// One thing to measure.
struct Subject {
    name: &'static str,
    tls: bool,
    unit: Unit,
    /// Subcommand and flags, but for what all have.
    command: Vec<String>,
}

/// One round of a subject.
struct Round {
    achieved_per_s: f64,
    per_cpu_s: f64,
    busy: f64,
    reasons: Vec<Reason>,
    state: State,
}

/// Calibrates.
///
/// # Errors
///
/// When the server or a run cannot start, or the result cannot be written.
pub fn calibrate(args: &CalibrateArgs) -> Result<Exit, CommandError> {
    let began = SystemTime::now().duration_since(UNIX_EPOCH);
    let cores = affinity::cores();
    let threads = args.threads as usize;
    let server_threads = cores.saturating_sub(threads).max(1);
    let subjects = subjects(&serve(threads, server_threads)?);
    store(&subjects)?;
    let mut rounds: Vec<Vec<Round>> = subjects.iter().map(|_| Vec::new()).collect();
    for round in 1..=args.rounds {
        for (subject, rounds) in subjects.iter().zip(&mut rounds) {
            let tls = if subject.tls { "tls" } else { "plain" };
            let (name, all) = (subject.name, args.rounds);
            writeln!(io::stderr(), "round {round} of {all}: {name} {tls}")?;
            rounds.push(measure(subject, args)?);
        }
    }
    let measurements = subjects.into_iter().zip(rounds);
    let calibration = Calibration {
        format: FORMAT.to_owned(),
        tool: build::tool(),
        host: host::describe(),
        began_unix_s: began.map_or(0.0, |since| since.as_secs_f64()),
        threads: threads as u64,
        server_threads: server_threads as u64,
        shares_cores: threads + server_threads > cores,
        measurements: measurements
            .map(|(subject, rounds)| sum(subject, rounds))
            .collect(),
        timer: timer()?,
    };
    load::publish(&calibration, &calibration, args.json.as_deref())?;
    Ok(match calibration.state() {
        State::Valid | State::Degraded => Exit::Ok,
        State::Invalid => Exit::Invalid,
    })
}

/// What a stored calibration says that the generator can do at most of what `job` asks for; none of
/// operations that are not calibrated.
///
/// # Errors
///
/// When the file cannot be read, is no calibration, or is one of another host and `force` is not
/// given.
pub fn ceiling(path: &Path, force: Force, job: &Job<'_>) -> Result<Option<f64>, CommandError> {
    let text =
        text::read_file(path, MAX_CALIBRATION_BYTES).map_err(|error| CommandError::Input {
            path: path.to_owned(),
            error,
        })?;
    let unusable = |error| CommandError::Calibration {
        path: path.to_owned(),
        error,
    };
    let stored = Calibration::parse(&text).map_err(unusable)?;
    if force == Force::No {
        let checked = stored.check(&host::describe(), &build::tool());
        checked.map_err(unusable)?;
    }
    let tls = job.target.scheme.encrypted();
    let per_cpu_s = |name| stored.per_cpu_s(name, tls).map_err(unusable);
    let per_cpu_s = match &job.operation {
        Operation::Request(_) => per_cpu_s("requests")?,
        Operation::Handshake(_) => {
            let percent = job.particulars["resume_percent"].as_f64();
            let resumed = percent.unwrap_or(0.0) / 100.0;
            // Times add up, and not rates.
            let full = (1.0 - resumed) / per_cpu_s("handshakes_full")?;
            1.0 / (full + resumed / per_cpu_s("handshakes_resumed")?)
        }
        // Other work, with ceilings of its own.
        Operation::Http2(_)
        | Operation::Echo(_)
        | Operation::Bulk(_)
        | Operation::Conns(_)
        | Operation::Mixed(_) => {
            return Ok(None);
        }
    };
    Ok(Some(per_cpu_s * f64::from(job.load.threads)))
}

/// Whether a calibration of another host is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It is refused.
    No,
    /// It is.
    Yes,
}

/// Starts the server, on the cores behind those of the generator; gives its addresses.
fn serve(
    first_core: usize,
    threads: usize,
) -> Result<Vec<(Service, bool, SocketAddr)>, CommandError> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut endpoints = Vec::new();
    for service in [Service::Http, Service::Source, Service::Sink] {
        let alpn = match service {
            Service::Http => Alpn::Http1,
            Service::Echo | Service::Source | Service::Sink => Alpn::None,
        };
        let config: Arc<ServerConfig> = self_signed::server_config(alpn)?;
        for tls in [Some(config), None] {
            endpoints.push(Endpoint {
                service,
                address: loopback,
                tls,
            });
        }
    }
    let kinds: Vec<_> = endpoints
        .iter()
        .map(|endpoint| (endpoint.service, endpoint.tls.is_some()))
        .collect();
    let addresses = origin::start(origin::Settings {
        endpoints,
        threads,
        first_core,
        store_limit_bytes: STORE_BYTES,
        delays: None,
    })?;
    let all = kinds.into_iter().zip(addresses);
    Ok(all
        .map(|((service, tls), address)| (service, tls, address))
        .collect())
}

fn subjects(listeners: &[(Service, bool, SocketAddr)]) -> Vec<Subject> {
    let address = |service, tls| {
        let mut all = listeners.iter();
        let found = all.find(|listener| (listener.0, listener.1) == (service, tls));
        found.map_or(String::new(), |listener| listener.2.to_string())
    };
    let mut subjects = Vec::new();
    let mut add = |name, tls, unit, command: &[&str]| {
        subjects.push(Subject {
            name,
            tls,
            unit,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
        });
    };
    for tls in [true, false] {
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{}/calibrate", address(Service::Http, tls));
        add(
            "requests",
            tls,
            Unit::Operations,
            &["request", &url, "-c", "64"],
        );
    }
    let target = address(Service::Source, true);
    for (name, resume) in [("handshakes_full", "0%"), ("handshakes_resumed", "100%")] {
        let command = ["handshake", &target, "-c", "16", "--resume", resume];
        add(name, true, Unit::Operations, &command);
    }
    for tls in [true, false] {
        let scheme = if tls { "tls" } else { "tcp" };
        for (name, service, way) in [
            ("bulk_down", Service::Source, "--down"),
            ("bulk_up", Service::Sink, "--up"),
        ] {
            let url = format!("{scheme}://{}", address(service, tls));
            let command = ["bulk", &url, way, "-c", "4", "--bytes", "16MB"];
            add(name, tls, Unit::Bytes, &command);
        }
    }
    subjects
}

/// Stores what requests get.
fn store(subjects: &[Subject]) -> Result<(), CommandError> {
    for subject in subjects {
        if let ("requests", [_, url, ..]) = (subject.name, &subject.command[..]) {
            let put = ["loadgen", "request", url, "--size", BODY_BYTES, "-n", "1"];
            let put: Vec<_> = put.map(str::to_owned).into();
            with_job(&put, |job| {
                let stored = load::measure(&job)?;
                match stored.report.totals.operations.succeeded {
                    0 => Err(CommandError::OwnServer(stored.advice)),
                    _ => Ok(()),
                }
            })?;
        }
    }
    Ok(())
}

/// The load of a command line that is ours, and therefore right.
fn with_job<T>(
    words: &[String],
    then: impl FnOnce(Job<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let command = Cli::try_parse_from(words)
        .map_err(CommandError::OwnCommand)?
        .command;
    match &command {
        Command::Request(args) => then(request::job(args)?),
        Command::Handshake(args) => then(handshake::job(args)?),
        Command::Bulk(args) => then(bulk::job(args)?),
        _ => Err(CommandError::NotALoad),
    }
}

fn measure(subject: &Subject, args: &CalibrateArgs) -> Result<Round, CommandError> {
    let time = format!("{}us", args.duration.as_micros());
    let threads = args.threads.to_string();
    // Sessions to resume are fetched before it counts.
    let common = ["-d", &time, "-t", &threads, "--warmup", "200ms"];
    let mut words = vec!["loadgen".to_owned()];
    words.extend(subject.command.iter().cloned());
    words.extend(common.map(str::to_owned));
    with_job(&words, |job| {
        let plan = load::plan(&job)?;
        let frame = load::frame(&job, &plan);
        let outcome = run::run(plan, None)?;
        let cpu_s = generator_cpu_s(&outcome);
        let measured = load::judged(&job, outcome, frame);
        if signals::interrupted() {
            return Err(RunError::Interrupted.into());
        }
        let report = measured.report;
        // In a moment on a busy machine, nothing may have been done; but nothing has to fail.
        if report.totals.operations.failed > 0 {
            return Err(CommandError::OwnServer(measured.advice));
        }
        let rates = &report.totals.rates;
        let achieved_per_s = match subject.unit {
            Unit::Operations => rates.operations_per_s,
            Unit::Bytes => rates.sent_bytes_per_s + rates.received_bytes_per_s,
        };
        // A generator that works all the time is what is looked for here.
        let noise = |reason: &Reason| {
            let codes = ["starved", "waited_for_core", "stolen", "nothing_succeeded"];
            codes.contains(&reason.code.as_str())
        };
        let reasons: Vec<_> = report.verdict.reasons.into_iter().filter(noise).collect();
        let states = reasons.iter().map(|reason| reason.state);
        Ok(Round {
            achieved_per_s,
            per_cpu_s: achieved_per_s * report.timing.elapsed_s / cpu_s.max(1e-9),
            busy: report.generator.busiest_share,
            state: states.max().unwrap_or(State::Valid),
            reasons,
        })
    })
}

/// CPU time of the generator's threads alone: the server's are in the same process.
fn generator_cpu_s(outcome: &Outcome) -> f64 {
    let (Some(first), Some(last)) = (outcome.moments.first(), outcome.moments.last()) else {
        return 0.0;
    };
    let threads = outcome.threads.iter();
    let ran = threads.map(|thread| last.generator.thread_since(&first.generator, *thread).ran);
    ran.sum::<Duration>().as_secs_f64()
}

fn sum(subject: Subject, rounds: Vec<Round>) -> Measurement {
    let median = |of: fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    };
    let bottleneck = match median(|round| round.busy) > verdict::BUSY {
        true => Bottleneck::Generator,
        false => Bottleneck::Server,
    };
    let quietest = rounds.iter().min_by_key(|round| round.state);
    Measurement {
        name: subject.name.to_owned(),
        tls: subject.tls,
        unit: subject.unit,
        command: subject.command,
        achieved_per_s: median(|round| round.achieved_per_s),
        per_cpu_s: median(|round| round.per_cpu_s),
        per_cpu_s_rounds: rounds.iter().map(|round| round.per_cpu_s).collect(),
        bottleneck,
        state: quietest.map_or(State::Invalid, |round| round.state),
        reasons: quietest.map_or(Vec::new(), |round| round.reasons.clone()),
    }
}

/// How late each way of waiting is, on a thread that is pinned as workers are.
fn timer() -> Result<Vec<TimerError>, CommandError> {
    let mut all = Vec::new();
    for (mode, waiting) in [
        ("spin", Waiting::Spin),
        ("sleep_then_spin", Waiting::SleepThenSpin),
        ("sleep", Waiting::Sleep),
    ] {
        writeln!(io::stderr(), "timer: {mode}")?;
        let measured = thread::Builder::new()
            .name("timer".to_owned())
            .spawn(move || {
                affinity::pin(0);
                timer_error::measure(waiting, TIMER_STARTS.0, TIMER_STARTS.1)
            })
            .map_err(RunError::Thread)?;
        let late = measured.join().map_err(|_| RunError::WorkerDied)??;
        all.push(TimerError {
            mode: mode.to_owned(),
            late: late.distribution(),
        });
    }
    Ok(all)
}
