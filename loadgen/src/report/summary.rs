//! The result for people: a screenful, with the verdict last, where the eye ends up.

use std::fmt;

use super::{
    model::{Distribution, Names, Part, Report, State},
    summary_conns,
};
use crate::schedule::Loop;

/// Rows of operations, and of tenants: what fits on a screen.
const MAX_PARTS: usize = 8;

/// Prints a report for people.
#[derive(Debug)]
pub struct Summary<'a>(pub &'a Report);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let target = &report.configuration.target;
        write!(f, "{} {target}, ", report.operation)?;
        match report.looped {
            Loop::Closed => writeln!(f, "closed loop: a slow target is asked less")?,
            Loop::Open => writeln!(f, "open loop, {} arrivals", report.configuration.arrival)?,
        }
        self.operations(f)?;
        self.latency(f)?;
        self.parts(f)?;
        if let Some(held) = &report.conns {
            summary_conns::write(f, held)?;
        }
        self.tls(f)?;
        self.http(f)?;
        self.cpu(f)?;
        self.agents(f)?;
        for error in &report.errors {
            writeln!(
                f,
                "error       {} x {}/{} from {:.1} s to {:.1} s: {}",
                error.count,
                error.phase,
                error.class,
                error.first_s,
                error.last_s,
                error.samples.join("; ")
            )?;
        }
        for objective in &report.objectives {
            let met = if objective.met { "met" } else { "MISSED" };
            writeln!(f, "objective   {}: {met}", objective.text)?;
        }
        self.verdict(f)
    }
}

impl Summary<'_> {
    fn operations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (totals, achieved) = (&self.0.totals, &self.0.achieved);
        let operations = &totals.operations;
        write!(
            f,
            "operations  {} ok, {} failed",
            operations.succeeded, operations.failed
        )?;
        if operations.unsent > 0 {
            write!(f, ", {} never sent", operations.unsent)?;
        }
        write!(
            f,
            " in {:.2} s: {:.1}/s",
            self.0.timing.elapsed_s, achieved.achieved_per_s
        )?;
        match achieved.planned_per_s {
            Some(planned) => writeln!(f, " of {planned:.1}/s planned")?,
            None => writeln!(f)?,
        }
        let gbit = |bytes_per_s: f64| bytes_per_s * 8.0 / 1e9;
        if totals.bytes.sent + totals.bytes.received > 0 {
            writeln!(
                f,
                "payload     {} B sent ({:.2} Gbit/s), {} B received ({:.2} Gbit/s)",
                totals.bytes.sent,
                gbit(totals.rates.sent_bytes_per_s),
                totals.bytes.received,
                gbit(totals.rates.received_bytes_per_s)
            )?;
        }
        Ok(())
    }

    fn latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (latency, connections) = (&self.0.totals.latency, &self.0.connections);
        writeln!(
            f,
            "latency us      mean       p50       p90       p99     p99.9       max"
        )?;
        for (name, times) in [
            ("response", &latency.response),
            ("service", &latency.service),
            ("lag", &latency.lag),
            ("connect", &connections.connect),
            ("handshake", &connections.handshake),
        ] {
            if times.count > 0 {
                line(f, name, times)?;
            }
        }
        Ok(())
    }

    /// Operations and tenants by themselves, where there are several.
    fn parts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, parts) in [("operation", &self.0.kinds), ("tenant", &self.0.tenants)] {
            if parts.len() < 2 {
                continue;
            }
            for Part {
                name,
                operations,
                latency,
                ..
            } in parts.iter().take(MAX_PARTS)
            {
                let at = |name| {
                    latency
                        .response
                        .percentiles_ns
                        .get(name)
                        .copied()
                        .unwrap_or(0)
                };
                writeln!(
                    f,
                    "{what:<11} {name}: {} ok, {} failed, response p50 {:.1} us, p99 {:.1} us",
                    operations.succeeded,
                    operations.failed + operations.unsent,
                    at("p50") as f64 / 1e3,
                    at("p99") as f64 / 1e3
                )?;
            }
            if let Some(more @ 1..) = parts.len().checked_sub(MAX_PARTS) {
                writeln!(f, "{what:<11} and {more} more rows in the report (--json)")?;
            }
        }
        Ok(())
    }

    fn tls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(tls), Some(asked)) = (&self.0.tls, &self.0.configuration.tls) else {
            return Ok(());
        };
        write!(f, "tls        ")?;
        for names in [&tls.version, &tls.suite, &tls.group, &tls.kind] {
            write!(f, " {}", list(names))?;
        }
        writeln!(f, "; certificate checked: {}", asked.verification)?;
        if !tls.early_data.is_empty() {
            writeln!(f, "early data  {}", list(&tls.early_data))?;
        }
        if let Some(updates) = &self.0.key_updates {
            writeln!(
                f,
                "key updates {} sent, {} received",
                updates.sent, updates.received
            )?;
        }
        Ok(())
    }

    fn http(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(http) = &self.0.http else {
            return Ok(());
        };
        let versions = http.version.iter();
        let versions: Vec<_> = versions
            .map(|(name, n)| format!("HTTP/{name} x {n}"))
            .collect();
        write!(f, "http        {}", versions.join(", "))?;
        for (what, codes) in [("RST_STREAM", &http.resets), ("GOAWAY", &http.go_aways)] {
            if !codes.is_empty() {
                write!(f, "; {what} {}", list(codes))?;
            }
        }
        writeln!(f)
    }

    fn cpu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generator = &self.0.generator;
        writeln!(
            f,
            "generator   {:.2} CPU s ({:.2} spinning) on {} threads, the busiest {:.0} %, {:.1} us per operation",
            generator.cpu_s,
            generator.spun_s,
            generator.threads,
            generator.busiest_share * 100.0,
            generator.cpu_ns_per_operation.unwrap_or_default() / 1e3
        )?;
        let Some(target) = &self.0.target else {
            return Ok(());
        };
        write!(f, "target      pid {} {}", target.pid, target.name)?;
        if let Some(cpu_s) = target.cpu_s {
            write!(f, ": {cpu_s:.2} CPU s")?;
        }
        if let Some(ns) = target.cpu_ns_per_operation {
            write!(f, ", {:.1} us per operation", ns / 1e3)?;
        }
        if let Some(s) = target.cpu_s_per_gigabyte {
            write!(f, ", {s:.3} s per GB")?;
        }
        if let Some(bytes) = target.rss_max_bytes {
            write!(f, ", {:.1} MiB resident", bytes as f64 / f64::from(1 << 20))?;
        }
        writeln!(f)
    }

    fn agents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for agent in &self.0.agents {
            let (operations, response) = (&agent.totals.operations, &agent.totals.latency.response);
            let p99_ns = response.percentiles_ns.get("p99").copied().unwrap_or(0);
            write!(
                f,
                "agent       {}: {} ok, {} failed, response p99 {:.1} us, start within {:.3} ms",
                agent.name,
                operations.succeeded,
                operations.failed + operations.unsent,
                p99_ns as f64 / 1e3,
                agent.clock.uncertainty_s * 1e3
            )?;
            match &agent.generator {
                Some(cpu) => writeln!(
                    f,
                    ", {:.2} CPU s, the busiest thread {:.0} %",
                    cpu.cpu_s,
                    cpu.busiest_share * 100.0
                )?,
                None => writeln!(f, ", LOST")?,
            }
        }
        Ok(())
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.0.verdict;
        let word = match verdict.state {
            State::Valid => "valid",
            State::Degraded => "DEGRADED",
            State::Invalid => "INVALID",
        };
        writeln!(f, "verdict     {word}")?;
        for reason in &verdict.reasons {
            writeln!(f, "            {}", reason.message)?;
        }
        Ok(())
    }
}

/// Times in a line, in microseconds.
pub fn line(f: &mut fmt::Formatter<'_>, name: &str, times: &Distribution) -> fmt::Result {
    let at = |percentile: &str| times.percentiles_ns.get(percentile).copied().unwrap_or(0) as f64;
    write!(f, "  {name:<9}")?;
    for ns in [
        times.mean_ns,
        at("p50"),
        at("p90"),
        at("p99"),
        at("p99.9"),
        times.max_ns as f64,
    ] {
        write!(f, " {:>9.1}", ns / 1e3)?;
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
