//! What loadgen's reports say of a route. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::load::Kind;
use crate::loadgen::report::{RUN, Report, Unreadable};

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
    let report = Report::of(report, RUN).map_err(said)?;
    let count = |name: &str| report.count(&format!("/totals/operations/{name}"));
    if count("failed") > 0 || count("succeeded") == 0 {
        let (failed, planned) = (count("failed"), count("planned"));
        let why = report.why();
        return Err(format!("{failed} of {planned} operations failed: {why}"));
    }
    let number = |pointer| report.number(pointer).map_err(said);
    let (rate, cpu) = match kind {
        Kind::Bulk => (
            number("/totals/rates/received_bytes_per_s")? * 8.0 / 1e9,
            number("/target/cpu_s_per_gigabyte")?,
        ),
        Kind::Handshakes | Kind::Requests | Kind::Echoes => (
            number("/totals/rates/operations_per_s")?,
            number("/target/cpu_ns_per_operation")? / 1e3,
        ),
    };
    Ok(Sample {
        rate,
        cpu,
        busy: number("/target/cpu_s")? / (number("/timing/elapsed_s")? * cores as f64),
        operations: count("succeeded"),
        tls: report.negotiated(),
        doubts: report.doubts(),
    })
}

fn said(wrong: Unreadable) -> String {
    wrong.to_string()
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
    let report = Report::of(report, RUN).map_err(said)?;
    let (held, dropped) = (
        report.count("/conns/held_most"),
        report.count("/conns/dropped"),
    );
    if held != asked || dropped > 0 {
        let why = report.why();
        return Err(format!(
            "of {asked} idle connections {held} stood and {dropped} were dropped: {why}"
        ));
    }
    Ok(Idle {
        connections: asked,
        bound: bound.to_owned(),
        bytes_per_connection: report.bytes_per_connection(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(failed: u64) -> Value {
        json!({
            "format": RUN,
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
            json!({"format": RUN, "conns": {
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
