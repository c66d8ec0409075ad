//! What work cost a proxy, as the load generator or the kernel says it.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::flood::{Flood, record_hello};
use super::proxy::{Proxy, Setup};
use super::work::{Amount, Service, Wire, Work};
use crate::certificate::Certificate;
use crate::cpu::{Meter, Used};
use crate::error::BenchError;
use crate::loadgen::report::RUN;
use crate::{interrupt, process};

/// What every proxy has to negotiate; anything else is another measurement.
const VERSION: &str = "TLSv1.3";
const SUITE: &str = "TLS13_AES_256_GCM_SHA384";
/// The load generator's exit status for a run whose rates do not hold.
const LOADGEN_INVALID: i32 = 4;

/// One load through one proxy.
#[derive(Clone, Debug)]
pub struct Sample {
    /// In [`Work::unit`].
    pub cost: f64,
    /// The share of the time in which the proxy was on its core, from the load's start to its end: connecting is in it.
    /// Near 1, it was the bottleneck.
    pub busy: f64,
    /// What the load generator holds against its own rates, such as a full core. CPU per unit stands without them; a
    /// reader may want to know.
    pub doubts: Vec<String>,
}

/// The raw services over one kind of wire, on the load's core.
struct Origin {
    source: SocketAddr,
    sink: SocketAddr,
    echo: SocketAddr,
    http: SocketAddr,
    _server: process::Server,
}

impl Origin {
    fn start(
        loadgen: &str,
        core: usize,
        directory: &Path,
        tls: Option<&Certificate>,
    ) -> Result<Self, BenchError> {
        let [source, sink, echo, http] = [
            process::free_address()?,
            process::free_address()?,
            process::free_address()?,
            process::free_address()?,
        ];
        let mut command: Vec<String> = vec![loadgen.into(), "origin".into()];
        command.extend(["--threads".into(), "1".into()]);
        for (flag, address) in [
            ("--source", source),
            ("--sink", sink),
            ("--echo", echo),
            ("--http", http),
        ] {
            command.extend([flag.to_owned(), address.to_string()]);
        }
        let name = if tls.is_some() {
            "origin-tls"
        } else {
            "origin"
        };
        if let Some(certificate) = tls {
            let path = |path: &Path| path.display().to_string();
            command.extend(["--tls-cert".into(), path(&certificate.chain)]);
            command.extend(["--tls-key".into(), path(&certificate.key)]);
        }
        let mut server = process::Server::start(name, &command, &[core], directory)?;
        server.ready(&[source, sink, echo, http])?;
        Ok(Self {
            source,
            sink,
            echo,
            http,
            _server: server,
        })
    }

    fn address(&self, service: Service) -> SocketAddr {
        match service {
            Service::Source => self.source,
            Service::Sink => self.sink,
            Service::Echo => self.echo,
            Service::Http => self.http,
        }
    }
}

/// Of the rate of full handshakes that a proxy can do, what a flood offers.
const FLOOD: f64 = 2.0;

/// What stands on both sides of the proxies, on the load's core.
pub struct Backend {
    loadgen: String,
    hello: Vec<u8>,
    core: usize,
    plain: Origin,
    tls: Origin,
    /// Beside the proxy, where the load's time is measured: what else ran on the load's core would be in it.
    beside: Origin,
}

impl Backend {
    /// Starts the origins.
    ///
    /// # Errors
    /// [`BenchError`]
    pub fn start(
        (proxy_core, core): (usize, usize),
        directory: &Path,
        certificate: &Certificate,
    ) -> Result<Self, BenchError> {
        let loadgen = process::find("loadgen", "build it: cargo build --release")?;
        let openssl = process::find("openssl", "install it: apt-get install openssl")?;
        let hello = record_hello(&openssl).map_err(|source| BenchError::Start {
            name: "openssl s_client".into(),
            source,
        })?;
        Ok(Self {
            hello,
            plain: Origin::start(&loadgen, core, directory, None)?,
            tls: Origin::start(&loadgen, core, directory, Some(certificate))?,
            beside: Origin::start(&loadgen, proxy_core, directory, None)?,
            loadgen,
            core,
        })
    }

    /// Where the service for this kind of work is.
    pub fn address(&self, work: Work, wire: Wire) -> SocketAddr {
        if matches!(work, Work::Latency | Work::Flood) {
            return self.beside.address(work.service());
        }
        match wire {
            Wire::Plain => self.plain.address(work.service()),
            Wire::Tls => self.tls.address(work.service()),
        }
    }

    /// Puts one load through the proxy at `listen`, of process `pid`.
    ///
    /// # Errors
    /// [`BenchError::Load`], or [`BenchError::Result`] where it was another load than was asked for.
    pub fn load(
        &self,
        proxy: &Proxy,
        (work, amount): (Work, Amount),
        listen: SocketAddr,
        pid: u32,
    ) -> Result<Sample, BenchError> {
        let place = Place { proxy, listen, pid };
        if work != Work::Flood || proxy.setup == Setup::NoFlood {
            return self.load_alone(&place, (work, amount));
        }
        let handshake = self.load_alone(&place, (Work::Full, amount))?;
        let capacity = 1e6 / handshake.cost;
        let flood = Flood::start(listen, FLOOD * capacity, self.core, self.hello.clone());
        let sample = self.load_alone(&place, (work, amount));
        let offered = flood.stop() / capacity;
        let mut sample = sample?;
        let offered = format!("ClientHellos came at {offered:.1} times the proxy's capacity");
        sample.doubts.push(offered);
        Ok(sample)
    }

    fn load_alone(
        &self,
        place: &Place<'_>,
        (work, amount): (Work, Amount),
    ) -> Result<Sample, BenchError> {
        let failed = |output| BenchError::Load {
            proxy: place.proxy.name,
            what: work.name(),
            output,
        };
        let mut words = vec![self.loadgen.clone()];
        words.extend(work.arguments(amount));
        words.insert(2, format!("tls://{}", place.listen));
        if !work.is_cpu() {
            words.extend(["--target-pid".into(), place.pid.to_string()]);
        }
        let gone = || failed(String::from("the proxy has ended"));
        let meter = Meter::start(place.pid).ok_or_else(gone)?;
        let output = process::pinned(&words, &[self.core])
            .output()
            .map_err(|error| failed(error.to_string()))?;
        interrupt::check()?;
        let used = meter.read().ok_or_else(gone)?;
        // A void rate (exit status 4) is no void run: here only the count has to be right.
        if !matches!(output.status.code(), Some(0 | LOADGEN_INVALID)) {
            let text = [output.stderr, output.stdout].concat();
            return Err(failed(String::from_utf8_lossy(&text).into_owned()));
        }
        let result: Value =
            serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        let report = Report {
            proxy: place.proxy.name,
            result: &result,
        };
        report.sample((work, amount), used)
    }
}

/// A proxy that runs.
struct Place<'a> {
    proxy: &'a Proxy,
    listen: SocketAddr,
    pid: u32,
}

/// What the load generator wrote of a load through `proxy`.
struct Report<'a> {
    proxy: &'static str,
    result: &'a Value,
}

impl Report<'_> {
    fn void(&self, field: &'static str) -> BenchError {
        BenchError::Result {
            proxy: self.proxy,
            field,
            found: self
                .result
                .pointer(field)
                .unwrap_or(&Value::Null)
                .to_string(),
        }
    }

    fn number(&self, field: &'static str) -> Result<f64, BenchError> {
        let found = self.result.pointer(field).and_then(Value::as_f64);
        found.ok_or_else(|| self.void(field))
    }

    /// That it was the load that was asked for, to the last operation.
    fn verify(&self, work: Work, amount: Amount) -> Result<(), BenchError> {
        let is = |field, wanted: Value| match self.result.pointer(field) == Some(&wanted) {
            true => Ok(()),
            false => Err(self.void(field)),
        };
        is("/format", RUN.into())?;
        for (field, wanted) in [
            ("/tls/version", VERSION),
            ("/tls/suite", SUITE),
            ("/tls/group", work.group()),
            ("/tls/kind", work.kind()),
        ] {
            let found = self.result.pointer(field).and_then(Value::as_object);
            if !found.is_some_and(|seen| seen.keys().eq([wanted])) {
                return Err(self.void(field));
            }
        }
        let operations = work.operations(amount);
        match work {
            Work::Idle | Work::IdleHttp => {
                is("/conns/held_most", operations.into())?;
                is("/conns/dropped", 0.into())
            }
            Work::Latency | Work::Flood => {
                is("/totals/operations/failed", 0.into())?;
                is("/totals/operations/unsent", 0.into())
            }
            _ => is("/totals/operations/succeeded", operations.into()),
        }
    }

    /// What `work` cost the proxy, which used so much meanwhile.
    fn sample(&self, (work, amount): (Work, Amount), used: Used) -> Result<Sample, BenchError> {
        self.verify(work, amount)?;
        let cost = match work {
            Work::Latency | Work::Flood => {
                self.number("/totals/latency/response/percentiles_ns/p99")? / 1e3
            }
            Work::Idle | Work::IdleHttp => {
                self.number("/conns/target/anonymous/bytes_per_connection")?
            }
            _ => used.cpu.as_secs_f64() / (work.operations(amount) as f64 * work.units()),
        };
        Ok(Sample {
            cost,
            busy: used.share(),
            doubts: self.doubts(),
        })
    }

    fn doubts(&self) -> Vec<String> {
        let reasons = self.result["verdict"]["reasons"].as_array();
        reasons
            .into_iter()
            .flatten()
            .filter(|reason| reason["state"] == "invalid")
            .filter_map(|reason| Some(reason["message"].as_str()?.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "format": RUN,
            "tls": {
                "version": { "TLSv1.3": 8 }, "suite": { SUITE: 8 },
                "group": { "X25519": 8 }, "kind": { "full": 8 },
            },
            "totals": { "operations": { "succeeded": 16 } },
            "verdict": { "reasons": [
                { "state": "invalid", "message": "its core was full" },
                { "state": "degraded", "message": "a little" },
            ] },
        })
    }

    fn verify(result: &Value, work: Work) -> Result<(), BenchError> {
        let report = Report {
            proxy: "one",
            result,
        };
        report.verify(work, Amount::Full)
    }

    #[test]
    fn only_the_load_that_was_asked_for_counts() {
        verify(&report(), Work::Down8).expect("that is it");
        for (field, other) in [
            ("/totals/operations/succeeded", json!(15)),
            ("/tls/kind", json!({ "full": 7, "resumed": 1 })),
            ("/tls/group", json!({ "P-256": 8 })),
            ("/format", json!("loadgen.run/1")),
        ] {
            let mut result = report();
            *result.pointer_mut(field).expect("it is there") = other;
            let refused = verify(&result, Work::Down8);
            assert!(
                matches!(refused, Err(BenchError::Result { field: found, .. }) if found == field),
                "{field}"
            );
        }
        assert!(verify(&report(), Work::Resumed).is_err());
        assert!(verify(&report(), Work::Idle).is_err());
    }

    #[test]
    fn a_proxy_that_a_load_had_to_wait_for_had_no_more_than_its_core() {
        // Behind a flood, connecting takes longer than the second that the report is about.
        let mut result = report();
        result["timing"] = json!({ "elapsed_s": 1.0 });
        result["totals"] = json!({
            "operations": { "failed": 0, "unsent": 0 },
            "latency": { "response": { "percentiles_ns": { "p99": 7000.0 } } },
        });
        let report = Report {
            proxy: "one",
            result: &result,
        };
        let used = Used {
            cpu: Duration::from_secs(9),
            within: Duration::from_secs(10),
        };
        let sample = report.sample((Work::Flood, Amount::Quick), used);
        let sample = sample.expect("that is it");
        assert!((sample.busy - 0.9).abs() < 1e-9, "{}", sample.busy);
        assert!((sample.cost - 7.0).abs() < 1e-9, "{}", sample.cost);
    }

    #[test]
    fn what_makes_rates_void_is_passed_on() {
        let result = report();
        let report = Report {
            proxy: "one",
            result: &result,
        };
        assert_eq!(report.doubts(), ["its core was full"]);
    }
}
