//! What is done to a route, as words for `loadgen`. Pure.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::config::{Protocol, Route};
use crate::loadgen::{Service, words};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
