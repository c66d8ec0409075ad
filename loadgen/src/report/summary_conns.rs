//! The lines of the summary that tell of held connections.

use std::fmt;

use super::{
    conns::{Cost, Held, Line, Probe, When},
    quantity,
    summary::line,
};

/// Writes them.
pub fn write(f: &mut fmt::Formatter<'_>, held: &Held) -> fmt::Result {
    write!(f, "held        {} of {} opened", held.opened, held.asked)?;
    if let Some(opening_s) = held.span("opening") {
        write!(f, " in {opening_s:.1} s")?;
    }
    writeln!(
        f,
        ", {} at most; {} replaced, {} dropped by the target, {} closed",
        held.held_most, held.reopened, held.dropped, held.closed
    )?;
    if held.dropped > 0 {
        let at = |name| {
            held.held_before_drop
                .percentiles_ns
                .get(name)
                .copied()
                .unwrap_or(0)
        };
        writeln!(
            f,
            "            dropped when they had stood for {} to {}, half of them for less than {}",
            quantity::time(held.held_before_drop.min_ns as f64),
            quantity::time(held.held_before_drop.max_ns as f64),
            quantity::time(at("p50") as f64)
        )?;
    }
    memory(f, held)?;
    match &held.probe {
        Some(found) => probe(f, found),
        None => Ok(()),
    }
}

fn memory(f: &mut fmt::Formatter<'_>, held: &Held) -> fmt::Result {
    writeln!(
        f,
        "memory          conns     target anonymous (rss)  generator anonymous (rss)"
    )?;
    for look in &held.memory {
        let name = match look.when {
            When::Empty => "empty",
            When::Opening => "opening",
            When::Held => "held",
            When::Closed => "closed",
        };
        let of = |memory: &Option<super::conns::Memory>| match memory {
            Some(memory) => format!(
                "{} ({})",
                quantity::bytes(memory.anonymous_bytes as f64),
                quantity::bytes(memory.resident_bytes as f64)
            ),
            None => "–".to_owned(),
        };
        let (target, generator) = (of(&look.target), of(&look.generator));
        writeln!(
            f,
            "  {name:<9} {:>9} {target:>26} {generator:>26}",
            look.connections
        )?;
    }
    for (name, cost) in [("target", &held.target), ("generator", &held.generator)] {
        if let Some(Cost {
            anonymous,
            resident,
        }) = cost
        {
            let text = |line: &Line| {
                format!(
                    "{:.0} B per connection ± {} over {} looks",
                    line.bytes_per_connection,
                    quantity::bytes(line.residual_bytes),
                    line.looks
                )
            };
            let resident = format!("rss {:.0} B", resident.bytes_per_connection);
            writeln!(f, "  {name:<9} {} ({resident})", text(anonymous))?;
        }
    }
    Ok(())
}

fn probe(f: &mut fmt::Formatter<'_>, probe: &Probe) -> fmt::Result {
    writeln!(
        f,
        "probe us        mean       p50       p90       p99     p99.9       max  {} {} at {}/s, response",
        probe.operation,
        probe.target,
        quantity::number(probe.rate_per_s)
    )?;
    for phase in &probe.phases {
        if phase.part.latency.response.count > 0 {
            line(f, &phase.part.name, &phase.part.latency.response)?;
        }
        let operations = &phase.part.operations;
        if operations.failed + operations.unsent > 0 {
            let sample = phase.errors.first().and_then(|error| error.samples.first());
            writeln!(
                f,
                "            {} of {} failed, {} never sent: {}",
                operations.failed,
                operations.planned,
                operations.unsent,
                sample.map_or("", String::as_str)
            )?;
        }
    }
    Ok(())
}
