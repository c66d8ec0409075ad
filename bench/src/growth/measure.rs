//! One measurement: a fresh gateway of a size, and what it cost.
//!
//! ```text
//! loadgen (its cores) --TLS--> sealgate run (its cores) --TCP--> loadgen origin (loadgen's cores)
//! ```

use std::{fmt::Write as _, fs, net::SocketAddr, time::Duration};

use serde_json::Value;

use super::axis::{Amount, Axis, Cost};
use crate::{
    certificate::{Certificate, self_signed},
    cpu,
    error::BenchError,
    host::Split,
    loadgen::{
        Loadgen, Origin, Service,
        report::{RUN, Report, Unreadable},
    },
    process::{self, Server},
    room::{self, Behind, Limits, Wanted},
    workplace::Workplace,
};

/// A hundred thousand tenants are read and built before anything listens.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// What all measurements share. The fields end in this order: processes before their files.
pub struct Ground {
    origin: Origin,
    loadgen: Loadgen,
    /// The gateway.
    pub sealgate: String,
    certificate: Certificate,
    /// All cores, for workers.
    cores: Vec<usize>,
    split: Split,
    place: Workplace,
}

impl Ground {
    /// Starts the origin.
    ///
    /// # Errors
    ///
    /// [`BenchError`].
    pub fn open(cores: Vec<usize>) -> Result<Self, BenchError> {
        let sealgate = process::find(
            "sealgate",
            "build it: cargo build --release --package sealgate",
        )?;
        let place = Workplace::new()?;
        let split = Split::of(&cores);
        let loadgen = Loadgen::find(&split.load, place.path())?;
        Ok(Self {
            origin: loadgen.origin(&[Service::Echo, Service::Source], None)?,
            loadgen,
            sealgate,
            certificate: self_signed(place.path())?,
            cores,
            split,
            place,
        })
    }

    /// Who runs where.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// Each cost of an axis at a size.
    ///
    /// # Errors
    ///
    /// [`BenchError`]: it does not start, or the load fails.
    pub fn measure(
        &self,
        axis: Axis,
        size: u64,
        amount: Amount,
    ) -> Result<Vec<(Cost, f64)>, BenchError> {
        let listen = process::free_address()?;
        let service = match axis {
            Axis::Size => Service::Source,
            Axis::Connections | Axis::Tenants | Axis::Workers => Service::Echo,
        };
        let upstream = self.origin.address(service);
        let upstream = upstream.expect("the origin was started with both services");
        let text = self.config(axis.gateway(size), listen, upstream);
        let file = self.place.path().join("growth.toml");
        fs::write(&file, text).map_err(|source| BenchError::File {
            path: file.clone(),
            source,
        })?;
        let path = file.display().to_string();
        let words = [self.sealgate.as_str(), "run", "--config", &path].map(str::to_owned);
        let cores = match axis {
            Axis::Workers => &self.cores[..self.cores.len().min(size as usize)],
            Axis::Connections | Axis::Tenants | Axis::Size => &self.split.gateway[..],
        };
        let mut server = Server::start("the gateway", &words, cores, self.place.path())?;
        server.ready_within(&[listen], READY_WITHIN)?;
        let started = cpu::used_by(server.pid()).unwrap_or_default();
        let loaded = self.load(axis, size, amount, (listen, server.pid()))?;
        Ok(axis
            .costs()
            .iter()
            .map(|cost| match cost {
                Cost::StartByTenants => (*cost, started.as_secs_f64() * 1e6),
                _ => (*cost, loaded),
            })
            .collect())
    }

    /// CPU microseconds of the gateway per operation.
    fn load(
        &self,
        axis: Axis,
        size: u64,
        amount: Amount,
        (listen, pid): (SocketAddr, u32),
    ) -> Result<f64, BenchError> {
        let operations = axis.operations(size, amount);
        let mut words = axis.load(size, operations, self.loadgen.threads() as u64);
        words.extend(["--connect-to".into(), listen.to_string()]);
        words.extend(["--target-pid".into(), pid.to_string()]);
        let report = self.loadgen.report(words)?;
        read(&report, operations).map_err(|output| BenchError::Command {
            name: format!("the load at {size} {}", axis.name()),
            output,
        })
    }

    /// A tenant for each name that is asked for, all with one certificate.
    fn config(
        &self,
        (tenants, workers): (u64, u64),
        listen: SocketAddr,
        upstream: SocketAddr,
    ) -> String {
        let (chain, key) = (
            self.certificate.chain.display(),
            self.certificate.key.display(),
        );
        let mut text = format!(
            "workers = {workers}\n[log]\nlevel = \"warn\"\n[limits]\nmax_connections = 500000\n\
             [[listener]]\nname = \"public\"\nlisten = \"{listen}\"\n"
        );
        for n in 1..=tenants {
            let _ = write!(
                text,
                "[[tenant]]\nid = \"t{n}\"\nnames = [\"t{n}.example\"]\ncertificate = \"{chain}\"\nkey = \"{key}\"\n\
                 [[route]]\nname = \"t{n}\"\ntenant = \"t{n}\"\nprotocol = \"tcp\"\nclass = \"terminated\"\nupstream = \"{upstream}\"\n"
            );
        }
        text
    }
}

/// How far an axis can grow here, and what bounds it where that is less than `most`.
pub fn bounded(axis: Axis, most: u64, limits: Limits) -> (u64, Option<String>) {
    if axis != Axis::Connections {
        return (most, None);
    }
    let wanted = Wanted {
        asked: most,
        asked_by: "the range",
        max_connections: 500_000,
        workers: 1,
        behind: Behind::Connection,
    };
    let (fit, bound) = room::most(wanted, limits);
    (fit, (fit < most).then_some(bound))
}

/// CPU microseconds per operation, or what is wrong with the report.
fn read(report: &Value, operations: u64) -> Result<f64, String> {
    let wrong = |error: Unreadable| error.to_string();
    let report = Report::of(report, RUN).map_err(wrong)?;
    let succeeded = report.count("/totals/operations/succeeded");
    if succeeded != operations {
        let why = report.why();
        return Err(format!(
            "{succeeded} of {operations} operations succeeded: {why}"
        ));
    }
    let nanos = report.number("/target/cpu_ns_per_operation");
    nanos.map(|nanos| nanos / 1e3).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_read_or_refused_with_its_reason() {
        let report = |succeeded: u64| {
            json!({
                "format": RUN,
                "totals": {"operations": {"succeeded": succeeded}},
                "errors": [{"samples": ["refused"]}],
                "target": {"cpu_ns_per_operation": 2500.0},
            })
        };
        assert_eq!(read(&report(9), 9), Ok(2.5));
        let said = read(&report(8), 9).expect_err("one failed");
        assert_eq!(said, "8 of 9 operations succeeded: refused");
        let mut other = report(9);
        other["target"] = Value::Null;
        let said = read(&other, 9).expect_err("nothing");
        assert!(said.contains("cpu_ns_per_operation"), "{said}");
        other["format"] = json!("x");
        assert!(read(&other, 9).expect_err("another").contains(RUN));
    }

    #[test]
    fn only_connections_are_bounded_by_the_machine_and_that_is_told() {
        let limits = Limits {
            descriptors: 2000,
            ports: 28_232,
        };
        let (most, bound) = bounded(Axis::Connections, 10_000, limits);
        assert_eq!(most, 868);
        assert!(bound.expect("it is bounded").contains("2000 open files"));
        assert_eq!(bounded(Axis::Connections, 100, limits), (100, None));
        assert_eq!(bounded(Axis::Tenants, 100_000, limits), (100_000, None));
    }
}
