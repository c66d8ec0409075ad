//! The result for people: a screenful, with the verdict last, where the eye ends up.

use std::fmt;

use super::{
    json::Report,
    verdict::{Reason, State},
};
use crate::measure::{histogram::TimesJson, tally::Names};

/// Prints a report for people.
#[derive(Debug)]
pub struct Summary<'a>(pub &'a Report);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let target = report.configuration["target"].as_str().unwrap_or_default();
        writeln!(f, "{} {target}, {}", report.operation, report.arrival)?;
        self.operations(f)?;
        self.latency(f)?;
        self.tls(f)?;
        self.cpu(f)?;
        for error in &report.errors {
            writeln!(
                f,
                "error       {} x {:?}/{:?}: {}",
                error.count, error.phase, error.class, error.example
            )?;
        }
        self.verdict(f)
    }
}

impl Summary<'_> {
    fn operations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operations, rates) = (&self.0.operations, &self.0.rates);
        writeln!(
            f,
            "operations  {} ok, {} failed in {:.2} s: {:.1}/s",
            operations.succeeded, operations.failed, self.0.elapsed_s, rates.operations_per_s
        )?;
        let gbit = |bytes_per_s: f64| bytes_per_s * 8.0 / 1e9;
        if self.0.bytes.sent + self.0.bytes.received > 0 {
            writeln!(
                f,
                "payload     {} B sent ({:.2} Gbit/s), {} B received ({:.2} Gbit/s)",
                self.0.bytes.sent,
                gbit(rates.sent_bytes_per_s),
                self.0.bytes.received,
                gbit(rates.received_bytes_per_s)
            )?;
        }
        Ok(())
    }

    fn latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.0.latency;
        writeln!(
            f,
            "latency us      mean       p50       p90       p99     p99.9       max"
        )?;
        for (name, times) in [
            ("response", &latency.response),
            ("service", &latency.service),
            ("lag", &latency.lag),
            ("connect", &latency.connect),
            ("handshake", &latency.handshake),
        ] {
            if times.count > 0 {
                line(f, name, times)?;
            }
        }
        Ok(())
    }

    fn tls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(tls) = &self.0.tls else {
            return Ok(());
        };
        write!(f, "tls        ")?;
        for names in [&tls.version, &tls.suite, &tls.group, &tls.kind] {
            write!(f, " {}", list(names))?;
        }
        writeln!(f, "; certificate checked: {}", tls.verification)
    }

    fn cpu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generator = &self.0.generator;
        writeln!(
            f,
            "generator   {:.2} CPU s on {} threads, the busiest {:.0} %, {:.1} us per operation",
            generator.cpu_s,
            generator.threads,
            generator.busiest_share * 100.0,
            generator.cpu_per_operation_us.unwrap_or_default()
        )?;
        let Some(target) = &self.0.target else {
            return Ok(());
        };
        write!(f, "target      pid {}", target.pid)?;
        if let Some(cpu_s) = target.cpu_s {
            write!(f, ": {cpu_s:.2} CPU s")?;
        }
        if let Some(us) = target.cpu_per_operation_us {
            write!(f, ", {us:.1} us per operation")?;
        }
        if let Some(s) = target.cpu_per_gigabyte_s {
            write!(f, ", {s:.3} s per GB")?;
        }
        writeln!(f)
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.0.verdict;
        let word = match verdict.state {
            State::Valid => "valid",
            State::Degraded => "DEGRADED",
            State::Invalid => "INVALID",
        };
        write!(f, "verdict     {word}")?;
        let reasons: Vec<String> = verdict
            .invalid
            .iter()
            .chain(&verdict.degraded)
            .map(Reason::to_string)
            .collect();
        match reasons.is_empty() {
            true => writeln!(f),
            false => writeln!(f, ": {}", reasons.join("; ")),
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, times: &TimesJson) -> fmt::Result {
    let at = |percentile: &str| {
        times.percentiles_us[percentile]
            .as_f64()
            .unwrap_or_default()
    };
    write!(f, "  {name:<9}")?;
    for us in [
        times.mean_us,
        at("p50"),
        at("p90"),
        at("p99"),
        at("p99.9"),
        times.max_us,
    ] {
        write!(f, " {us:>9.1}")?;
    }
    writeln!(f)
}

fn list(names: &Names) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|(name, count)| format!("{name} x {count}"))
        .collect();
    names.join(", ")
}
