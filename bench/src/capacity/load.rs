//! What is done to a route, as words for `loadgen`, and what its report says. Pure.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Protocol, Route};
use crate::loadgen::{Service, doubts, words};

/// The version of loadgen's report that is read here.
const FORMAT: &str = "loadgen.run/2";
/// Bytes of a transfer: long beside what surrounds it, short beside the time of a load.
pub const BULK_BYTES: u64 = 10_000_000;
/// Bytes of a small request's body, and of an echo.
pub const SMALL_BYTES: u64 = 100;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Full handshakes, one connection each.
    Handshakes,
    /// Downloads of [`BULK_BYTES`].
    Bulk,
    /// GETs of [`SMALL_BYTES`] on kept connections.
    Requests,
    /// As many bytes there and back, on kept connections.
    Echoes,
}

impl Kind {
    /// What is done to a route.
    pub fn of(protocol: Protocol) -> [Self; 3] {
        let small = match protocol {
            Protocol::Http => Self::Requests,
            Protocol::Tcp => Self::Echoes,
        };
        [Self::Handshakes, Self::Bulk, small]
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshakes => "handshakes",
            Self::Bulk => "bulk",
            Self::Requests => "requests",
            Self::Echoes => "echoes",
        }
    }

    /// What the rate is counted in.
    pub fn rate_unit(self) -> &'static str {
        match self {
            Self::Handshakes => "handshakes/s",
            Self::Bulk => "Gbit/s",
            Self::Requests => "requests/s",
            Self::Echoes => "echoes/s",
        }
    }

    /// What the gateway's CPU time is counted in.
    pub fn cpu_unit(self) -> &'static str {
        match self {
            Self::Handshakes => "CPU-µs/handshake",
            Self::Bulk => "CPU-s/GB",
            Self::Requests => "CPU-µs/request",
            Self::Echoes => "CPU-µs/echo",
        }
    }

    /// How many units of the rate a CPU-second of the gateway carries.
    pub fn per_core_second(self, cpu: f64) -> f64 {
        match self {
            Self::Bulk => 8.0 / cpu,
            Self::Handshakes | Self::Requests | Self::Echoes => 1e6 / cpu,
        }
    }

    /// Connections at once.
    pub fn connections(self) -> u64 {
        match self {
            Self::Handshakes => 16,
            Self::Bulk => 8,
            Self::Requests | Self::Echoes => 64,
        }
    }

    /// What has to be behind a TCP route.
    pub fn service(self) -> Service {
        match self {
            Self::Bulk => Service::Source,
            Self::Handshakes | Self::Requests | Self::Echoes => Service::Echo,
        }
    }
}

/// How much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// For so long, as loadgen reads it.
    Time(String),
    /// So many operations.
    Count(u64),
}

/// A client's way to a route.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    /// The route.
    pub route: &'a Route,
    /// Where the gateway listens for it.
    pub address: SocketAddr,
    /// The gateway's process.
    pub pid: u32,
    /// Certificate and key, where there are some.
    pub identity: Option<(String, String)>,
    /// Threads of the generator.
    pub threads: usize,
}

impl Client<'_> {
    /// The words of a load.
    pub fn load(&self, kind: Kind, effort: &Effort) -> Vec<String> {
        let mut all = match kind {
            Kind::Handshakes => words(&format!("handshake {}:443", self.route.server_name)),
            Kind::Echoes => words(&format!(
                "request tls://{}:443 --echo --size {SMALL_BYTES}",
                self.route.server_name
            )),
            Kind::Requests => words(&format!("request {}", self.object("small"))),
            Kind::Bulk => {
                let (target, more) = match self.route.protocol {
                    Protocol::Http => (self.object("large"), " --prepare"),
                    Protocol::Tcp => (format!("tls://{}:443", self.route.server_name), ""),
                };
                words(&format!("bulk {target} --down --bytes {BULK_BYTES}{more}"))
            }
        };
        let most = match effort {
            Effort::Time(_) => kind.connections(),
            Effort::Count(count) => kind.connections().min(*count),
        };
        let threads = most.min(self.threads as u64);
        all.extend(words(&format!("-c {most} -t {threads} --quiet")));
        all.extend(match effort {
            Effort::Time(time) => ["-d".to_owned(), time.clone()],
            Effort::Count(count) => ["-n".to_owned(), count.to_string()],
        });
        self.reach(&mut all);
        all.extend(["--target-pid".to_owned(), self.pid.to_string()]);
        all
    }

    /// What has to be stored before: the object that small requests ask for.
    pub fn prepare(&self) -> Vec<String> {
        let url = self.object("small");
        let mut all = words(&format!(
            "request {url} -X PUT --size {SMALL_BYTES} -n 1 -c 1 --quiet"
        ));
        self.reach(&mut all);
        all
    }

    /// So many idle connections.
    pub fn idle(&self, connections: u64) -> Vec<String> {
        let name = &self.route.server_name;
        let mut all = words(&format!(
            "conns {name}:443 -c {connections} --hold 0s --settle 200ms"
        ));
        self.reach(&mut all);
        all.extend(["--target-pid".to_owned(), self.pid.to_string()]);
        all
    }

    fn object(&self, name: &str) -> String {
        let Route {
            server_name, path, ..
        } = self.route;
        let slash = if path.ends_with('/') { "" } else { "/" };
        format!("https://{server_name}{path}{slash}sealgate-bench-{name}")
    }

    fn reach(&self, all: &mut Vec<String>) {
        all.extend(["--connect-to".to_owned(), self.address.to_string()]);
        if let Some((certificate, key)) = &self.identity {
            let flags = ["--cert", certificate, "--key", key];
            all.extend(flags.map(str::to_owned));
        }
    }
}

/// What one load came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// In [`Kind::rate_unit`].
    pub rate: f64,
    /// In [`Kind::cpu_unit`].
    pub cpu: f64,
    /// The share of its cores' time in which the gateway ran.
    pub busy: f64,
    /// Operations.
    pub operations: u64,
    /// What was negotiated: version, suite, group.
    pub tls: String,
    /// What loadgen holds against its rates.
    pub doubts: Vec<String>,
}

/// Reads a report; gives what is wrong with it.
pub fn read(report: &Value, kind: Kind, cores: usize) -> Result<Sample, String> {
    versioned(report)?;
    let totals = &report["totals"];
    let counts = &totals["operations"];
    let count = |name: &str| counts[name].as_u64().unwrap_or(0);
    if count("failed") > 0 || count("succeeded") == 0 {
        let sample = &report["errors"][0]["samples"][0];
        let (failed, planned) = (count("failed"), count("planned"));
        let why = sample.as_str().unwrap_or("no reason was told");
        return Err(format!("{failed} of {planned} operations failed: {why}"));
    }
    let number = |value: &Value, name: &str| {
        let number = value.as_f64();
        number.ok_or_else(|| format!("loadgen's report has no {name}"))
    };
    let (rates, target) = (&totals["rates"], &report["target"]);
    let (rate, cpu) = match kind {
        Kind::Bulk => (
            number(&rates["received_bytes_per_s"], "received_bytes_per_s")? * 8.0 / 1e9,
            number(&target["cpu_s_per_gigabyte"], "cpu_s_per_gigabyte")?,
        ),
        Kind::Handshakes | Kind::Requests | Kind::Echoes => (
            number(&rates["operations_per_s"], "operations_per_s")?,
            number(&target["cpu_ns_per_operation"], "cpu_ns_per_operation")? / 1e3,
        ),
    };
    let elapsed = number(&report["timing"]["elapsed_s"], "elapsed_s")?;
    let used = number(&target["cpu_s"], "cpu_s")?;
    Ok(Sample {
        rate,
        cpu,
        busy: used / (elapsed * cores as f64),
        operations: count("succeeded"),
        tls: negotiated(report),
        doubts: doubts(report),
    })
}

fn negotiated(report: &Value) -> String {
    let only = |name: &str| {
        let names = report["tls"][name].as_object();
        let names = names.into_iter().flat_map(|names| names.keys());
        names.cloned().collect::<Vec<_>>().join("|")
    };
    ["version", "suite", "group"].map(only).join(" ")
}

/// Idle connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Idle {
    /// How many stood.
    pub connections: u64,
    /// What bounded them.
    pub bound: String,
    /// Heap and stacks of the gateway for each; absent where they were too few to tell.
    pub bytes_per_connection: Option<f64>,
}

/// Reads a report of held connections; gives what is wrong with it.
pub fn read_idle(report: &Value, asked: u64, bound: &str) -> Result<Idle, String> {
    versioned(report)?;
    let held = &report["conns"];
    let count = |name: &str| held[name].as_u64().unwrap_or(0);
    if count("held_most") != asked || count("dropped") > 0 {
        let why = report["errors"][0]["samples"][0].as_str();
        return Err(format!(
            "of {asked} idle connections {} stood and {} were dropped: {}",
            count("held_most"),
            count("dropped"),
            why.unwrap_or("no reason was told")
        ));
    }
    let slope = held["target"]["anonymous"]["bytes_per_connection"].as_f64();
    Ok(Idle {
        connections: asked,
        bound: bound.to_owned(),
        bytes_per_connection: slope.filter(|bytes| *bytes > 0.0),
    })
}

fn versioned(report: &Value) -> Result<(), String> {
    match report["format"] == FORMAT {
        true => Ok(()),
        false => Err(format!(
            "the report's format is {}, and not {FORMAT}",
            report["format"]
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn route(protocol: Protocol) -> Route {
        Route {
            name: "r".into(),
            tenant: "t".into(),
            protocol,
            class: "terminated".into(),
            server_name: "t.example".into(),
            listener: 0,
            path: "/a".into(),
            wants_certificate: true,
        }
    }

    fn client(route: &Route) -> Client<'_> {
        Client {
            route,
            address: SocketAddr::from(([127, 0, 0, 1], 9)),
            pid: 7,
            identity: Some(("c.pem".into(), "c.key".into())),
            threads: 2,
        }
    }

    #[test]
    fn a_load_is_said_in_words_of_loadgen() {
        let (http, tcp) = (route(Protocol::Http), route(Protocol::Tcp));
        let end = "--connect-to 127.0.0.1:9 --cert c.pem --key c.key --target-pid 7";
        let time = Effort::Time("3s".into());
        for (route, kind, effort, begin) in [
            (
                &tcp,
                Kind::Handshakes,
                &time,
                "handshake t.example:443 -c 16 -t 2 --quiet -d 3s",
            ),
            (
                &tcp,
                Kind::Echoes,
                &Effort::Count(1),
                "request tls://t.example:443 --echo --size 100 -c 1 -t 1 --quiet -n 1",
            ),
            (
                &tcp,
                Kind::Bulk,
                &time,
                "bulk tls://t.example:443 --down --bytes 10000000 -c 8 -t 2 --quiet -d 3s",
            ),
            (
                &http,
                Kind::Bulk,
                &time,
                "bulk https://t.example/a/sealgate-bench-large --down --bytes 10000000 --prepare -c 8 -t 2 --quiet -d 3s",
            ),
            (
                &http,
                Kind::Requests,
                &time,
                "request https://t.example/a/sealgate-bench-small -c 64 -t 2 --quiet -d 3s",
            ),
        ] {
            let said = client(route).load(kind, effort).join(" ");
            assert_eq!(said, format!("{begin} {end}"));
        }
        let stored = client(&http).prepare().join(" ");
        assert!(
            stored.starts_with("request https://t.example/a/sealgate-bench-small -X PUT"),
            "{stored}"
        );
        assert!(
            client(&tcp)
                .idle(9)
                .join(" ")
                .starts_with("conns t.example:443 -c 9 ")
        );
    }

    fn report(failed: u64) -> Value {
        json!({
            "format": FORMAT,
            "verdict": {"reasons": [{"code": "short"}]},
            "timing": {"elapsed_s": 2.0},
            "totals": {
                "operations": {"planned": 10, "succeeded": 10 - failed, "failed": failed},
                "rates": {"operations_per_s": 5.0, "received_bytes_per_s": 125e6},
            },
            "target": {"cpu_s": 1.0, "cpu_ns_per_operation": 30_000.0, "cpu_s_per_gigabyte": 0.5},
            "tls": {"version": {"TLSv1.3": 3}, "suite": {"S": 1}, "group": {"A": 1, "B": 1}},
            "errors": [{"samples": ["the answer is 404"]}],
        })
    }

    #[test]
    fn rates_and_cpu_come_in_the_units_of_the_kind() {
        let echoes = read(&report(0), Kind::Echoes, 2).expect("it is whole");
        assert_eq!((echoes.rate, echoes.cpu, echoes.busy), (5.0, 30.0, 0.25));
        assert_eq!(
            (echoes.operations, echoes.tls.as_str()),
            (10, "TLSv1.3 S A|B")
        );
        let bulk = read(&report(0), Kind::Bulk, 1).expect("it is whole");
        assert_eq!((bulk.rate, bulk.cpu, bulk.busy), (1.0, 0.5, 0.5));
        assert_eq!(Kind::Bulk.per_core_second(bulk.cpu), 16.0);
        assert_eq!(Kind::Echoes.per_core_second(echoes.cpu), 1e6 / 30.0);
    }

    #[test]
    fn a_load_with_failures_is_void_and_says_why() {
        let said = read(&report(2), Kind::Requests, 1).expect_err("two failed");
        assert_eq!(said, "2 of 10 operations failed: the answer is 404");
        let mut without = report(0);
        without["target"] = Value::Null;
        let said = read(&without, Kind::Requests, 1).expect_err("no CPU time");
        assert!(said.contains("cpu_ns_per_operation"), "{said}");
        without["format"] = json!("loadgen.run/3");
        let said = read(&without, Kind::Requests, 1).expect_err("another version");
        assert!(said.contains("loadgen.run/3"), "{said}");
    }

    #[test]
    fn all_idle_connections_have_to_stand() {
        let report = |held: u64, slope: f64| {
            json!({"format": FORMAT, "conns": {
                "held_most": held, "dropped": 0,
                "target": {"anonymous": {"bytes_per_connection": slope}},
            }})
        };
        let idle = read_idle(&report(9, 3000.0), 9, "--idle").expect("all stood");
        assert_eq!(
            (idle.connections, idle.bytes_per_connection),
            (9, Some(3000.0))
        );
        let few = read_idle(&report(9, -1.0), 9, "--idle").expect("all stood");
        assert_eq!(few.bytes_per_connection, None);
        assert!(
            read_idle(&report(8, 1.0), 9, "--idle")
                .expect_err("one is missing")
                .contains("8 stood")
        );
    }
}
