//! `loadgen handshake`, `request` and `bulk`: from flags to a plan, from an outcome to a report.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use hyper::{
    HeaderMap, Method, Uri,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::CommandError;
use crate::{
    cli::{BulkArgs, CheckArg, HandshakeArgs, LoadArgs, RequestArgs},
    exit::Exit,
    host,
    operation::{
        Operation,
        bulk::{self, Direction},
        echo, handshake,
        http::{Check, Template},
    },
    report::{
        advice::advice,
        build::{self, Frame},
        model::{Configuration, Report},
        summary::Summary,
        verdict::{self, Objectives},
    },
    run::{self, Outcome},
    schedule::Extent,
    target::{
        tls::Configs,
        url::{Target, TargetError},
    },
    worker::Plan,
};

/// How long a run takes when nothing else bounds it.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Largest echoed message: it is kept whole, per connection.
const MAX_ECHO_BYTES: u64 = 1_000_000_000;

/// What a subcommand asks for, before it is bound to a plan.
struct Job<'a> {
    name: &'static str,
    target: Target,
    operation: Operation,
    load: &'a LoadArgs,
    /// What is particular to the subcommand in the reported configuration.
    particulars: Value,
}

/// `loadgen handshake`.
///
/// # Errors
///
/// When flags are of no use, or the result cannot be written.
pub fn handshake(args: &HandshakeArgs) -> Result<Exit, CommandError> {
    let target = effective(&args.target, &args.load);
    if !target.scheme.encrypted() {
        return Err(TargetError::WrongScheme(target, "handshakes need TLS").into());
    }
    let settings = handshake::Settings {
        resume_percent: args.resume,
        close: args.close,
    };
    let close = match args.close {
        handshake::Close::Rst => "rst",
        handshake::Close::Notify => "notify",
    };
    execute(Job {
        name: "handshake",
        target,
        operation: Operation::Handshake(settings),
        load: &args.load,
        particulars: json!({ "resume_percent": args.resume, "close": close }),
    })
}

/// `loadgen request`.
///
/// # Errors
///
/// When flags are of no use, or the result cannot be written.
pub fn request(args: &RequestArgs) -> Result<Exit, CommandError> {
    let target = effective(&args.target, &args.load);
    if args.echo {
        let size = args.size.unwrap_or(100);
        if target.scheme.is_http() {
            return Err(TargetError::WrongScheme(target, "an echo is tls:// or tcp://").into());
        }
        if size == 0 || size > MAX_ECHO_BYTES {
            return Err(CommandError::EchoSize);
        }
        return execute(Job {
            name: "echo",
            target,
            operation: Operation::Echo(echo::Settings {
                size: size as usize,
            }),
            load: &args.load,
            particulars: json!({ "size": size, "check": "echo" }),
        });
    }
    let method = match (&args.request, args.size) {
        (Some(name), _) => {
            Method::from_bytes(name.as_bytes()).map_err(|_| CommandError::Method(name.clone()))?
        }
        (None, Some(_)) => Method::PUT,
        (None, None) => Method::GET,
    };
    let (check, check_name) = match args.check {
        CheckArg::None => (Check::Complete, "none"),
        CheckArg::Status => (Check::Status, "status"),
    };
    let size = args.size.unwrap_or(0);
    let template = template(&target, &args.load, &args.headers, (method, size, check))?;
    let particulars = json!({
        "method": template.method().as_str(),
        "size": size,
        "headers": args.headers,
        "check": check_name,
    });
    let operation = Operation::Request(Box::new(template));
    execute(Job {
        name: "request",
        target,
        operation,
        load: &args.load,
        particulars,
    })
}

/// `loadgen bulk`.
///
/// # Errors
///
/// When flags are of no use, the object cannot be stored, or the result cannot be written.
pub fn bulk(args: &BulkArgs) -> Result<Exit, CommandError> {
    let target = effective(&args.target, &args.load);
    let direction = if args.up {
        Direction::Up
    } else {
        Direction::Down
    };
    let word = if args.up { "up" } else { "down" };
    if args.http && !target.scheme.is_http() {
        return Err(TargetError::WrongScheme(target, "--http needs an http(s) URL").into());
    }
    let particulars =
        json!({ "direction": word, "bytes": args.bytes, "http": target.scheme.is_http() });
    if !target.scheme.is_http() {
        let operation = Operation::Bulk(bulk::Settings {
            direction,
            bytes: args.bytes,
        });
        return execute(Job {
            name: "bulk",
            target,
            operation,
            load: &args.load,
            particulars,
        });
    }
    let up = (Method::PUT, args.bytes, Check::Status);
    if args.prepare {
        prepare(
            &target,
            args,
            template(&target, &args.load, &args.headers, up.clone())?,
        )?;
    }
    let exchange = match direction {
        Direction::Up => up,
        Direction::Down => (Method::GET, 0, Check::Length(args.bytes)),
    };
    let operation = Operation::Request(Box::new(template(
        &target,
        &args.load,
        &args.headers,
        exchange,
    )?));
    execute(Job {
        name: "bulk",
        target,
        operation,
        load: &args.load,
        particulars,
    })
}

/// Stores the object once, so that there is something to get.
fn prepare(target: &Target, args: &BulkArgs, put: Template) -> Result<(), CommandError> {
    let extent = Extent {
        duration: None,
        operations: Some(1),
        warmup: Duration::ZERO,
    };
    let mut plan = plan(
        target,
        Operation::Request(Box::new(put)),
        &args.load,
        extent,
    )?;
    (plan.connections, plan.threads) = (1, 1);
    let outcome = run::run(plan, None)?;
    match outcome.tally.counts.succeeded {
        0 => Err(CommandError::Prepare(advice(
            &outcome.tally,
            &target.to_string(),
        ))),
        _ => Ok(()),
    }
}

fn effective(target: &Target, load: &LoadArgs) -> Target {
    let mut target = target.clone();
    if load.tls.plain {
        target.scheme = target.scheme.plain();
    }
    target
}

fn template(
    target: &Target,
    load: &LoadArgs,
    fields: &[String],
    (method, size, check): (Method, u64, Check),
) -> Result<Template, CommandError> {
    let path: Uri = target
        .path
        .parse()
        .map_err(|_| CommandError::Path(target.path.clone()))?;
    let mut headers = HeaderMap::new();
    for field in fields {
        let wrong = || CommandError::Header(field.clone());
        let (name, value) = field.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
        headers.append(name, value);
    }
    if !headers.contains_key(header::HOST) {
        // The name in Host is the name in SNI: a gateway may refuse anything else (421).
        let mut named = target.clone();
        if let Some(sni) = &load.tls.sni {
            named.host.clone_from(sni);
        }
        let host = named.host_field();
        let host = host
            .parse()
            .map_err(|_| CommandError::Header(format!("Host: {host}")))?;
        headers.insert(header::HOST, host);
    }
    Ok(Template::new(method, path, headers, size, check))
}

fn plan(
    target: &Target,
    operation: Operation,
    load: &LoadArgs,
    extent: Extent,
) -> Result<Plan, CommandError> {
    let alpn: &[&[u8]] = if target.scheme.is_http() {
        &[b"http/1.1"]
    } else {
        &[]
    };
    let tls = match target.scheme.encrypted() {
        true => Some(Configs::new(&load.tls, &target.host, alpn)?),
        false => None,
    };
    Ok(Plan {
        operation,
        address: target.resolve(load.connect_to.as_deref())?,
        tls,
        connections: load.connections as usize,
        // A thread without a connection would only blur the numbers.
        threads: load.threads.min(load.connections) as usize,
        extent,
        timeout: load.timeout,
    })
}

fn execute(job: Job<'_>) -> Result<Exit, CommandError> {
    let load = job.load;
    let extent = Extent {
        duration: match (load.duration, load.count) {
            (None, None) => Some(DEFAULT_DURATION),
            (duration, _) => duration,
        },
        operations: load.count,
        warmup: load.warmup,
    };
    let plan = plan(&job.target, job.operation, load, extent)?;
    let frame = Frame {
        operation: job.name,
        configuration: configuration(&job.target, &plan, job.particulars),
        host: host::describe(),
        target_pid: load.target_pid,
    };
    let outcome = run::run(plan, load.target_pid)?;
    let evidence = build::evidence(&outcome, &frame);
    let judgement = verdict::judge(&evidence, Objectives::Met);
    let exit = judgement.exit;
    let report = build::report(&outcome, judgement, frame);
    publish(&report, load.json.as_deref())?;
    if exit == Exit::Target {
        complain(&outcome, &job.target)?;
    }
    Ok(exit)
}

fn configuration(target: &Target, plan: &Plan, particulars: Value) -> Configuration {
    let particulars = match particulars {
        Value::Object(all) => all.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    Configuration {
        target: target.to_string(),
        address: plan.address.to_string(),
        connections: plan.connections as u64,
        threads: plan.threads as u64,
        arrival: "closed".to_owned(),
        stages: Vec::new(),
        duration_s: plan.extent.duration.map(|duration| duration.as_secs_f64()),
        count: plan.extent.operations,
        warmup_s: plan.extent.warmup.as_secs_f64(),
        drain_s: plan.timeout.as_secs_f64(),
        timeout_s: plan.timeout.as_secs_f64(),
        seed: 0,
        spin: "off".to_owned(),
        backlog: None,
        tls: plan.tls.as_ref().map(Configs::describe),
        slo: Vec::new(),
        particulars,
    }
}

fn publish(report: &Report, json: Option<&Path>) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    let text = || serde_json::to_string_pretty(report).map_err(io::Error::from);
    match json {
        Some(path) if path == Path::new("-") => writeln!(out, "{}", text()?)?,
        Some(path) => {
            let error = |error| CommandError::Output {
                path: path.to_owned(),
                error,
            };
            fs::write(path, text()? + "\n").map_err(error)?;
            write!(out, "{}", Summary(report))?;
        }
        None => write!(out, "{}", Summary(report))?,
    }
    Ok(out.flush()?)
}

/// Says on standard error what is wrong with the target and what to do.
fn complain(outcome: &Outcome, target: &Target) -> io::Result<()> {
    writeln!(
        io::stderr(),
        "loadgen: {}",
        advice(&outcome.tally, &target.to_string())
    )
}
