//! What the generator can do on a machine.
//!
//! The schema in `loadgen/schema/calibration-1.json` is made from these types. Within one format
//! version fields are only added.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    compare::sameness::Difference,
    model::{Distribution, Host, Reason, State, Tool},
    quantity,
};

/// Name and version of the format.
pub const FORMAT: &str = "loadgen.calibration/1";

/// A calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Name and version of the format: `loadgen.calibration/1`.
    pub format: String,
    /// What wrote it.
    pub tool: Tool,
    /// Where.
    pub host: Host,
    /// Seconds since 1970 when it began.
    pub began_unix_s: f64,
    /// Generator threads.
    pub threads: u64,
    /// Threads of the server in the same process.
    pub server_threads: u64,
    /// Whether generator and server had to share cores: then only what counts CPU time holds.
    pub shares_cores: bool,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// How late planned starts are noticed, by the way of waiting.
    pub timer: Vec<TimerError>,
}

/// One thing that the generator does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// `requests`, `handshakes_full`, `handshakes_resumed`, `bulk_down` or `bulk_up`.
    pub name: String,
    /// Whether it was over TLS.
    pub tls: bool,
    /// What is counted.
    pub unit: Unit,
    /// The load, as a command line.
    pub command: Vec<String>,
    /// What was achieved against the server in this process: the median of the rounds.
    pub achieved_per_s: f64,
    /// For each CPU second of a generator thread, the median of the rounds: no thread does more.
    pub per_cpu_s: f64,
    /// The same of each round.
    pub per_cpu_s_rounds: Vec<f64>,
    /// Who was the bottleneck when it was measured.
    pub bottleneck: Bottleneck,
    /// Whether the machine was quiet, in the quietest round.
    pub state: State,
    /// What was found if not.
    pub reasons: Vec<Reason>,
}

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Operations.
    Operations,
    /// Bytes of payload.
    Bytes,
}

/// Who could not do more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// The generator: its threads had no time left.
    Generator,
    /// The server.
    Server,
}

/// How late planned starts are noticed by a thread that does nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimerError {
    /// `spin`, `sleep_then_spin` or `sleep`.
    pub mode: String,
    /// Noticed − planned.
    pub late: Distribution,
}

/// A calibration that cannot be used. The operator's fault.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// It is none.
    #[error("this is no calibration ({0}): make one with `loadgen calibrate --json FILE`")]
    NotOne(#[from] serde_json::Error),
    /// Another format.
    #[error("its format is {0}, and this loadgen reads {FORMAT}: calibrate anew")]
    Foreign(String),
    /// It was made elsewhere.
    #[error(
        "it was made elsewhere, or by another version (there / here):\n{}calibrate here, or use it all the same with --force",
        super::compare::sameness::Listed(.0)
    )]
    Elsewhere(Vec<Difference>),
    /// It does not have what is needed.
    #[error("it has no ceiling for {0}: calibrate anew, or search without it")]
    Missing(String),
}

impl Calibration {
    /// Reads a stored calibration.
    ///
    /// # Errors
    ///
    /// When it is none of this version.
    pub fn parse(text: &str) -> Result<Self, CalibrationError> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        // The version decides how the rest is read, so it is looked at first.
        let Header { format } = serde_json::from_str(text)?;
        match format == FORMAT {
            true => Ok(serde_json::from_str(text)?),
            false => Err(CalibrationError::Foreign(format)),
        }
    }

    /// Refuses a calibration of another host or of another version.
    ///
    /// # Errors
    ///
    /// With everything that differs. Memory may: its size says nothing about speed.
    pub fn check(&self, host: &Host, tool: &Tool) -> Result<(), CalibrationError> {
        let cores = (self.host.cores.to_string(), host.cores.to_string());
        let facts = [
            ("host.name", &self.host.name, &host.name),
            ("host.kernel", &self.host.kernel, &host.kernel),
            ("host.machine", &self.host.machine, &host.machine),
            ("host.cpu", &self.host.cpu, &host.cpu),
            ("host.cores", &cores.0, &cores.1),
            ("tool.version", &self.tool.version, &tool.version),
        ];
        let differing = facts.into_iter().filter(|(_, there, here)| there != here);
        let differences: Vec<_> = differing
            .map(|(key, there, here)| Difference {
                key: key.to_owned(),
                base: there.clone(),
                head: here.clone(),
            })
            .collect();
        match differences.is_empty() {
            true => Ok(()),
            false => Err(CalibrationError::Elsewhere(differences)),
        }
    }

    /// What each CPU second of a generator thread can do at most.
    ///
    /// # Errors
    ///
    /// When that was not measured.
    pub fn per_cpu_s(&self, name: &str, tls: bool) -> Result<f64, CalibrationError> {
        let all = self.measurements.iter();
        let mut of_name = all.filter(|one| one.name == name && one.tls == tls);
        let found = of_name.next().map(|one| one.per_cpu_s);
        found
            .filter(|per_cpu_s| per_cpu_s.is_finite() && *per_cpu_s > 0.0)
            .ok_or_else(|| CalibrationError::Missing(name.to_owned()))
    }

    /// The worst that is said of a measurement.
    pub fn state(&self) -> State {
        let states = self.measurements.iter().map(|one| one.state);
        states.max().unwrap_or(State::Invalid)
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = |n: u64| match n {
            1 => "1 thread".to_owned(),
            n => format!("{n} threads"),
        };
        writeln!(
            f,
            "calibrate {} ({}, {} cores): {} of the generator, {} of a server in this process",
            self.host.name,
            self.host.cpu,
            self.host.cores,
            threads(self.threads),
            threads(self.server_threads)
        )?;
        writeln!(
            f,
            "{:<20} {:<5} {:>13} {:>13} {:>15}",
            "", "", "achieved /s", "ceiling /s", "bottleneck"
        )?;
        for one in &self.measurements {
            let amount = |n: f64| match one.unit {
                Unit::Operations => quantity::number(n),
                Unit::Bytes => quantity::bytes(n),
            };
            writeln!(
                f,
                "{:<20} {:<5} {:>13} {:>13} {:>15}{}",
                one.name.replace('_', " "),
                if one.tls { "tls" } else { "plain" },
                amount(one.achieved_per_s),
                amount(one.per_cpu_s * self.threads as f64),
                match one.bottleneck {
                    Bottleneck::Generator => "generator",
                    Bottleneck::Server => "server",
                },
                match one.state {
                    State::Valid => "",
                    State::Degraded | State::Invalid => "  noisy",
                }
            )?;
        }
        writeln!(
            f,
            "{:<20} {:>19} {:>13} {:>15}",
            "timer, late by", "p50", "p99", "max"
        )?;
        for TimerError { mode, late } in &self.timer {
            let at = |name: &str| late.percentiles_ns.get(name).copied().unwrap_or(0) as f64;
            writeln!(
                f,
                "{:<20} {:>19} {:>13} {:>15}",
                mode.replace('_', " "),
                quantity::time(at("p50")),
                quantity::time(at("p99")),
                quantity::time(late.max_ns as f64)
            )?;
        }
        f.write_str(MEANING)?;
        if self.shares_cores {
            f.write_str("Server and generator shared cores: what was achieved is less than either can do.\n")?;
        }
        let noisy = self.measurements.iter().flat_map(|one| &one.reasons);
        let mut messages: Vec<_> = noisy.map(|reason| reason.message.as_str()).collect();
        messages.sort_unstable();
        messages.dedup();
        for message in messages {
            writeln!(f, "noisy       {message}")?;
        }
        Ok(())
    }
}

const MEANING: &str = "\
The ceiling is what the generator does with all the CPU time of its threads: a target that is to be
measured has to be slower than that, or to be asked by more threads. A timer that is late by more
than 10 % of the service time makes a run invalid: spinning needs a core of its own.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_types() {
        crate::report::schema::assert_stored::<Calibration>("calibration-1.json");
    }

    fn sample() -> Calibration {
        Calibration {
            format: FORMAT.to_owned(),
            tool: Tool {
                name: "loadgen".to_owned(),
                version: "1.2.3".to_owned(),
            },
            host: Host {
                name: "here".to_owned(),
                kernel: "6.1".to_owned(),
                machine: "x86_64".to_owned(),
                cpu: "a cpu".to_owned(),
                cores: 2,
                memory_bytes: 1,
            },
            began_unix_s: 0.0,
            threads: 1,
            server_threads: 1,
            shares_cores: false,
            measurements: vec![Measurement {
                name: "requests".to_owned(),
                tls: true,
                unit: Unit::Operations,
                command: vec!["request".to_owned()],
                achieved_per_s: 1000.0,
                per_cpu_s: 2000.0,
                per_cpu_s_rounds: vec![2000.0],
                bottleneck: Bottleneck::Server,
                state: State::Valid,
                reasons: Vec::new(),
            }],
            timer: Vec::new(),
        }
    }

    #[test]
    fn it_is_refused_elsewhere_with_all_that_differs() {
        let stored = sample();
        assert!(stored.check(&stored.host, &stored.tool).is_ok());
        let mut host = Host {
            memory_bytes: 5,
            ..stored.host.clone()
        };
        assert!(stored.check(&host, &stored.tool).is_ok());
        (host.name, host.cores) = ("there".to_owned(), 4);
        let error = stored.check(&host, &stored.tool).unwrap_err().to_string();
        for part in ["host.name: here / there", "host.cores: 2 / 4", "--force"] {
            assert!(error.contains(part), "{error}");
        }
        let tool = Tool {
            version: "2.0.0".to_owned(),
            ..stored.tool.clone()
        };
        let error = stored.check(&stored.host, &tool).unwrap_err().to_string();
        assert!(error.contains("tool.version: 1.2.3 / 2.0.0"), "{error}");
    }

    #[test]
    fn what_is_stored_is_read_and_other_files_are_refused() {
        let stored = sample();
        let text = serde_json::to_string(&stored).unwrap();
        assert_eq!(Calibration::parse(&text).unwrap(), stored);
        for (text, said) in [
            (
                r#"{"format":"loadgen.run/2"}"#,
                "its format is loadgen.run/2",
            ),
            (r#"{"format":"loadgen.calibration/1"}"#, "missing field"),
            ("hello", "no calibration"),
        ] {
            let error = Calibration::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert_eq!(stored.per_cpu_s("requests", true).unwrap(), 2000.0);
        let error = stored.per_cpu_s("requests", false).unwrap_err().to_string();
        assert!(error.contains("no ceiling for requests"), "{error}");
    }
}
