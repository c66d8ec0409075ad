//! `loadgen bulk`.

use std::time::Duration;

use serde_json::json;

use super::{
    CommandError,
    http::Version,
    load::{self, Job},
    request::{Wanted, stored_fields, template},
};
use crate::{
    cli::{BulkArgs, Place},
    exit::Exit,
    operation::{
        Operation,
        bulk::{self, Direction},
        http1::{check::Check, template::Template},
        reuse::Reuse,
        size::Size,
    },
    report::advice::advice,
    run,
    schedule::{Extent, mix::Mix},
    target::url::{Target, TargetError},
};

/// Bytes in a transfer, where nobody says.
const DEFAULT_LEN_BYTES: u64 = 100_000_000;

/// Loads a target with large bodies.
///
/// # Errors
///
/// When flags are of no use, the object cannot be stored, or the result cannot be written.
pub fn bulk(args: &BulkArgs) -> Result<Exit, CommandError> {
    load::execute(job(args)?)
}

/// The load that the flags ask for; with `--prepare`, the object is stored meanwhile.
///
/// # Errors
///
/// When flags are of no use, or the object cannot be stored.
pub fn job(args: &BulkArgs) -> Result<Job<'_>, CommandError> {
    let target = load::effective(&args.target, &args.load);
    let (direction, word) = match (args.up, args.duplex) {
        (_, true) => (Direction::Duplex, "duplex"),
        (true, false) => (Direction::Up, "up"),
        (false, false) => (Direction::Down, "down"),
    };
    let http = target.scheme.is_http();
    if !http && (args.http.version.is_some() || args.http.streams.is_some()) {
        return Err(TargetError::WrongScheme(target, "--http and -m need an http(s) URL").into());
    }
    let version = match http {
        true => Some(Version::choose(&args.http, &target, &args.load)?),
        false => None,
    };
    // Its coordinator has stored it.
    let obeys = matches!(args.load.agents.place, Place::Agent(_));
    if args.prepare && !obeys {
        prepare(&target, args, version.unwrap_or(Version::Http1))?;
    }
    let operation = match version {
        None => Operation::Bulk(bulk::Settings {
            direction,
            bytes: len_bytes(args),
        }),
        Some(version) => {
            version.operation(requests(&target, args, direction)?, &target, &args.load)?
        }
    };
    Ok(Job {
        name: "bulk",
        target,
        operation,
        mix: Mix::default(),
        load: &args.load,
        others: Vec::new(),
        particulars: json!({
            "direction": word,
            "bytes": (!takes_what_comes(args, http)).then_some(len_bytes(args)),
            "http_version": version.map(Version::name),
            "streams": version.and_then(Version::streams),
            "headers": stored_fields(&args.headers),
        }),
    })
}

fn len_bytes(args: &BulkArgs) -> u64 {
    args.bytes.unwrap_or(DEFAULT_LEN_BYTES)
}

/// Whether the target alone knows how long its object is.
fn takes_what_comes(args: &BulkArgs, http: bool) -> bool {
    http && args.bytes.is_none() && !args.up && !args.prepare
}

fn requests(
    target: &Target,
    args: &BulkArgs,
    direction: Direction,
) -> Result<Template, CommandError> {
    let wanted = match direction {
        Direction::Duplex => {
            let needs = "--duplex needs an echo service, as tls://host:port or tcp://host:port";
            return Err(TargetError::WrongScheme(target.clone(), needs).into());
        }
        Direction::Up => Wanted {
            method: "PUT",
            size: Some(Size::Fixed(len_bytes(args))),
            check: Check::Status,
            reuse: Reuse::default(),
        },
        Direction::Down => Wanted {
            method: "GET",
            size: None,
            check: match takes_what_comes(args, true) {
                true => Check::SameLength,
                false => Check::Length(len_bytes(args)),
            },
            reuse: Reuse::default(),
        },
    };
    template(target, &args.load, &args.headers, wanted)
}

/// Stores the object once, so that there is something to get.
fn prepare(target: &Target, args: &BulkArgs, version: Version) -> Result<(), CommandError> {
    let load = args.load.alone();
    let mut plan = load::plan(&Job {
        name: "prepare",
        target: target.clone(),
        operation: version.operation(requests(target, args, Direction::Up)?, target, &load)?,
        mix: Mix::default(),
        load: &load,
        others: Vec::new(),
        particulars: json!({}),
    })?;
    (plan.connections, plan.threads, plan.open) = (1, 1, None);
    plan.extent = Extent {
        duration: None,
        operations: Some(1),
        warmup: Duration::ZERO,
    };
    let sums = run::run(plan, None)?.collected.totals;
    let stored = sums.kinds.iter().any(|part| part.counts.succeeded > 0);
    match stored {
        true => Ok(()),
        false => Err(CommandError::Prepare(advice(&sums, &target.to_string()))),
    }
}
