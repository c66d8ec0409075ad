//! What this machine carries with an operator's own configuration and certificates, beside what it
//! carried before.
//!
//! ```text
//! FILE -> config: a copy that can run here -> site: origin, fresh gateways -> load: handshakes, bulk,
//!   requests or echoes, in rounds; idle connections -> report -> verdict beside a stored one
//! ```

mod config;
mod error;
mod load;
mod reading;
mod report;
mod site;
mod verdict;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use clap::Args;
use toml_edit::DocumentMut;

pub use self::error::CapacityError;
use self::{
    config::Route,
    load::{Client, Effort, Kind},
    reading::{Idle, Sample},
    report::{Capacity, Config, FORMAT, Load, RouteReport, Settings},
    site::Site,
    verdict::Tolerance,
};
use crate::{
    error::{BenchError, in_one_line},
    host::{self, Split},
    output, process,
    room::{self, Behind, Limits, Wanted},
    units,
};

/// As much as the gateway reads of a configuration.
const MAX_FILE_BYTES: u64 = 64 << 20;

const EXAMPLES: &str = "\
The file is not run as it is, but as a copy: listeners go to free ports of loopback, upstreams to
`loadgen origin`, which is trusted in their place, and keyrings to new ones, so that nothing is
sent to your services and nothing is sealed under your keys. Certificates, limits, time limits, log
and classes are yours. What was replaced is printed.

Examples:
  scripts/bench capacity --config /etc/sealgate/gateway.toml --json capacity.json
      the first route, three rounds of three seconds of each load
  scripts/bench capacity --config gateway.toml --route acme-objects --cert me.pem --key me.key
      a route for clients with certificates
  scripts/bench capacity --config gateway.toml --against capacity.json
      a job that fails when the machine carries less than it did

Ctrl-C and SIGTERM end a run with what there is, and so does anything that fails on the way. Such a
result is never held to: --against refuses it.

Exit codes: 0 done, and no worse than stored, or that cannot be told; 3 worse, also in what was
measured before a run was cut short; 1 a flag, a file or the configuration is of no use;
2 something does not start, or fails under load; 4 the run was interrupted.";

/// Arguments of `bench capacity`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CapacityArgs {
    /// The gateway's configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// A route to load, by name; may be repeated [default: the first one]
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Client certificate chain (PEM), for tenants that want one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Loads of each kind, each through a fresh gateway
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// How long each load takes
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = units::time)]
    time: String,
    /// So many operations instead
    #[arg(long, value_name = "N", conflicts_with = "time", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    count: Option<u64>,
    /// Idle connections to hold at most; fewer where a limit bounds them
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    idle: u64,
    /// Write the result as JSON too; `-` is standard output, instead of the text
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    json: Option<PathBuf>,
    /// Hold the result to a stored one, of the same host and configuration
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The share by which CPU time, memory and rates may be worse than stored
    #[arg(long, value_name = "N%", default_value = "25%", value_parser = units::percent)]
    margin: f64,
    /// By how much two runs of the same program differ on this machine, as root mean square
    /// [default: that of a noisy virtual machine, 10 % of CPU time and 20 % of rates]
    #[arg(long, value_name = "N%", value_parser = units::percent)]
    noise: Option<f64>,
    /// Compare although host or configuration differ
    #[arg(long, requires = "against")]
    force: bool,
}

impl CapacityArgs {
    fn effort(&self) -> Effort {
        match self.count {
            Some(count) => Effort::Count(count),
            None => Effort::Time(self.time.clone()),
        }
    }

    fn identity(&self) -> Option<(String, String)> {
        let path = |path: &PathBuf| path.display().to_string();
        let both = self.cert.as_ref().zip(self.key.as_ref());
        both.map(|(cert, key)| (path(cert), path(key)))
    }
}

/// Measures, and holds the result to a stored one, also what there is when something comes between: the exit code.
///
/// # Errors
///
/// [`CapacityError`]: there is no result.
pub fn run(args: &CapacityArgs) -> Result<u8, CapacityError> {
    let stored = args.against.as_deref().map(read_stored).transpose()?;
    let (document, sha256) = read_config(&args.config)?;
    let routes = chosen(config::routes(&document), &args.route)?;
    let without = |route: &&Route| route.wants_certificate && args.cert.is_none();
    if let Some(route) = routes.iter().find(without) {
        return Err(CapacityError::NoCertificate {
            route: route.name.clone(),
            tenant: route.tenant.clone(),
        });
    }
    let mut capacity = blank(args, sha256, &routes);
    if let Some((path, stored)) = args.against.as_ref().zip(stored.as_ref()) {
        let differences = verdict::differences(stored, &capacity);
        if !differences.is_empty() && !args.force {
            return Err(CapacityError::NotComparable {
                path: path.clone(),
                differences,
            });
        }
    }
    let limits = wanted(args, &document, &capacity.cores);
    let site = Site::open(&args.config, document, capacity.cores.clone())?;
    let loaded = measure(args, &site, &routes, &mut capacity);
    let ended = loaded.and_then(|()| hold(args, &site, &routes, limits, &mut capacity.routes));
    capacity.routes.retain(|route| !route.loads.is_empty());
    if capacity.routes.is_empty() {
        return ended.map(|()| 0);
    }
    capacity.cut_short = ended.as_ref().err().map(in_one_line);
    if let Some((path, stored)) = args.against.as_ref().zip(stored.as_ref()) {
        let tolerance = Tolerance::new(args.margin / 100.0, args.noise.map(|share| share / 100.0));
        let path = path.display().to_string();
        capacity.against = Some(verdict::judge(&path, stored, &capacity, tolerance));
    }
    output::publish(args.json.as_deref(), &report::text(&capacity), &capacity)?;
    match (
        ended,
        capacity.against.map_or(0, |judged| judged.exit_code()),
    ) {
        (Ok(()), status) => Ok(status),
        (Err(error), 0) => Err(error),
        // What was found before stands.
        (Err(error), status) => {
            eprintln!("bench: {error}");
            Ok(status)
        }
    }
}

fn read_stored(path: &Path) -> Result<Capacity, CapacityError> {
    let stored = |why: String| CapacityError::Stored {
        path: path.to_owned(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|error| stored(error.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| stored(format!("is no JSON: {error}")))?;
    if value["format"] != FORMAT {
        return Err(stored(format!(
            "its format is {}, and not {FORMAT}",
            value["format"]
        )));
    }
    if let Some(why) = value["cut_short"].as_str() {
        return Err(stored(format!(
            "it was cut short ({why}), so not all of it was measured"
        )));
    }
    serde_json::from_value(value).map_err(|error| stored(error.to_string()))
}

/// The configuration, and the digest of its bytes.
fn read_config(path: &Path) -> Result<(DocumentMut, String), CapacityError> {
    let wrong = |source| BenchError::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(wrong)?;
    // What is longer than the gateway reads is cut off here, and refused there.
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(wrong)?;
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let document = config::parse(&text).map_err(|error| CapacityError::Toml {
        path: path.to_owned(),
        error,
    })?;
    Ok((document, hex.collect()))
}

/// The routes of these names, or else the first one. A configuration without any is refused later, by
/// the gateway and with its words.
fn chosen(all: Vec<Route>, names: &[String]) -> Result<Vec<Route>, CapacityError> {
    if names.is_empty() {
        return Ok(all.into_iter().take(1).collect());
    }
    let find = |name: &String| {
        let found = all.iter().find(|route| route.name == *name);
        found.cloned().ok_or_else(|| CapacityError::NoRoute {
            asked: name.clone(),
            known: all.iter().map(|route| route.name.clone()).collect(),
        })
    };
    names.iter().map(find).collect()
}

/// The result before anything was measured.
fn blank(args: &CapacityArgs, sha256: String, routes: &[Route]) -> Capacity {
    let gateway = process::find("sealgate", "").unwrap_or_default();
    let routes = routes.iter().map(|route| RouteReport {
        name: route.name.clone(),
        tenant: route.tenant.clone(),
        protocol: route.protocol,
        class: route.class.clone(),
        server_name: route.server_name.clone(),
        tls: String::new(),
        loads: Vec::new(),
        idle: None,
    });
    Capacity {
        format: FORMAT.to_owned(),
        host: host::describe(),
        done_unix_s: crate::ab::now(),
        gateway: host::version(&gateway, "--version", "sealgate"),
        config: Config {
            path: args.config.display().to_string(),
            sha256,
        },
        cores: Split::of(&host::cores()),
        settings: Settings::new(args.rounds, args.effort()),
        rewritten: Vec::new(),
        cut_short: None,
        routes: routes.collect(),
        against: None,
    }
}

fn wanted(args: &CapacityArgs, document: &DocumentMut, cores: &Split) -> Wanted {
    let workers = config::workers(document).unwrap_or(cores.gateway.len());
    Wanted {
        asked: args.idle,
        asked_by: "--idle",
        max_connections: config::max_connections(document),
        workers: workers as u64,
        behind: Behind::Connection,
    }
}

/// All rounds of all loads, in turn. What was loaded before something came between is in `capacity`.
fn measure(
    args: &CapacityArgs,
    site: &Site,
    routes: &[Route],
    capacity: &mut Capacity,
) -> Result<(), CapacityError> {
    let kinds = |route: &Route| Kind::of(route.protocol);
    let mut samples: Vec<(usize, Kind, Vec<Sample>)> = routes
        .iter()
        .enumerate()
        .flat_map(|(at, route)| kinds(route).map(|kind| (at, kind, Vec::new())))
        .collect();
    let mut rounds = || {
        for round in 1..=args.rounds {
            for (at, kind, samples) in &mut samples {
                let route = &routes[*at];
                eprintln!("round {round}: {} of {}", kind.name(), route.name);
                let (sample, rewritten) = sample(args, site, route, *kind)?;
                if capacity.rewritten.is_empty() {
                    tell(&rewritten);
                    capacity.rewritten = rewritten;
                }
                samples.push(sample);
            }
        }
        Ok(())
    };
    let ended = rounds();
    for (at, kind, samples) in samples {
        if let Some(first) = samples.first() {
            let report = &mut capacity.routes[at];
            report.tls.clone_from(&first.tls);
            report.loads.push(Load::of(kind, &samples));
        }
    }
    ended
}

fn tell(rewritten: &[config::Rewritten]) {
    for config::Rewritten { key, from, to } in rewritten {
        eprintln!("  in the copy, {key} = {from:?} is {to:?}");
    }
}

/// One load through one fresh gateway.
fn sample(
    args: &CapacityArgs,
    site: &Site,
    route: &Route,
    kind: Kind,
) -> Result<(Sample, Vec<config::Rewritten>), CapacityError> {
    let gateway = site.start(kind.service())?;
    let client = client(args, site, route, &gateway);
    if kind == Kind::Requests {
        site.loadgen.run(&client.prepare())?;
    }
    let effort = args.effort();
    let report = site.loadgen.report(client.load(kind, &effort))?;
    let void = |found| CapacityError::Void {
        what: format!("{} of route {}", kind.name(), route.name),
        found,
    };
    let sample = reading::read(&report, kind, site.gateway_cores()).map_err(void)?;
    match effort {
        Effort::Count(count) if sample.operations != count => Err(void(format!(
            "{} of {count} operations were done",
            sample.operations
        ))),
        _ => Ok((sample, gateway.rewritten)),
    }
}

/// Idle connections of each route.
fn hold(
    args: &CapacityArgs,
    site: &Site,
    routes: &[Route],
    limits: Wanted,
    reports: &mut [RouteReport],
) -> Result<(), CapacityError> {
    for (route, report) in routes.iter().zip(reports) {
        let wanted = Wanted {
            behind: match route.protocol {
                config::Protocol::Http => Behind::Nothing,
                config::Protocol::Tcp => Behind::Connection,
            },
            ..limits
        };
        report.idle = Some(idle(args, site, route, wanted)?);
    }
    Ok(())
}

fn idle(
    args: &CapacityArgs,
    site: &Site,
    route: &Route,
    wanted: Wanted,
) -> Result<Idle, CapacityError> {
    let (connections, bound) = room::most(wanted, Limits::here());
    eprintln!("{connections} idle connections of {}", route.name);
    let gateway = site.start(Kind::Echoes.service())?;
    let client = client(args, site, route, &gateway);
    let report = site.loadgen.report(client.idle(connections))?;
    reading::read_idle(&report, connections, &bound).map_err(|found| CapacityError::Void {
        what: format!("idle connections of route {}", route.name),
        found,
    })
}

fn client<'a>(
    args: &CapacityArgs,
    site: &Site,
    route: &'a Route,
    gateway: &site::Gateway,
) -> Client<'a> {
    Client {
        route,
        // A configuration that the gateway took has an address for each listener.
        address: gateway.listeners[route.listener],
        pid: gateway.pid(),
        identity: args.identity(),
        threads: site.loadgen.threads(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_chosen_by_name_and_those_that_there_are_are_told() {
        let text = "[[route]]\nname = 'a'\n[[route]]\nname = 'b'\n";
        let routes = || config::routes(&config::parse(text).expect("it is TOML"));
        let names = |asked: &[&str]| {
            let asked: Vec<_> = asked.iter().map(|&name| name.to_owned()).collect();
            let chosen = chosen(routes(), &asked)?;
            Ok::<_, CapacityError>(chosen.into_iter().map(|one| one.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).expect("the first"), ["a"]);
        assert_eq!(names(&["b", "a"]).expect("both"), ["b", "a"]);
        let said = names(&["c"]).expect_err("no such route").to_string();
        assert!(
            said.contains("--route c") && said.ends_with("it has a, b"),
            "{said}"
        );
        assert!(
            chosen(Vec::new(), &[])
                .expect("the gateway refuses it")
                .is_empty()
        );
    }

    #[test]
    fn a_stored_file_of_something_else_is_refused_with_its_name() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("stored.json");
        for (text, why) in [
            ("{", "is no JSON"),
            ("{\"format\": \"bench.ab/1\"}", "bench.ab/1"),
            ("{\"format\": \"bench.capacity/1\"}", "missing field"),
            (
                "{\"format\": \"bench.capacity/1\", \"cut_short\": \"interrupted\"}",
                "cut short (interrupted)",
            ),
        ] {
            std::fs::write(&path, text).expect("written");
            let said = read_stored(&path).expect_err(why).to_string();
            assert!(said.contains("stored.json") && said.contains(why), "{said}");
        }
        let said = read_stored(Path::new("/nonexistent")).expect_err("no file");
        assert_eq!(said.exit_code(), 1);
    }
}
