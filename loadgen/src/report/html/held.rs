//! Held connections in the page: memory against connections, and what the probe found.

use maud::{Markup, html};

use super::{
    Run,
    axis::{Axis, Unit},
    plot::{Line, Plot, Size},
};
use crate::report::{
    conns::{Cost, Held, Look, Memory, When},
    quantity,
};

/// What is drawn: whose memory, and whether as it was seen or as the line says.
type Value<'a> = Box<dyn Fn(&Held, &Look) -> Option<f64> + 'a>;

/// Anonymous memory against connections; none where no run held any.
pub fn plot<'a>(runs: &[Run<'_>], names: &'a [String]) -> Option<Plot<'a>> {
    let anonymous = |memory: &Memory| memory.anonymous_bytes as f64;
    let on_line = |cost: &Option<Cost>, look: &Look| {
        let cost = cost.as_ref()?;
        Some(cost.anonymous.at(look.connections))
    };
    let series: Vec<(&str, Value<'_>)> = vec![
        (
            "target",
            Box::new(move |_, look| look.target.as_ref().map(anonymous)),
        ),
        (
            "target, line",
            Box::new(move |held, look| on_line(&held.target, look)),
        ),
        (
            "generator",
            Box::new(move |_, look| look.generator.as_ref().map(anonymous)),
        ),
    ];
    let held = runs.iter().map(|run| run.report.conns.as_ref());
    let held: Vec<Option<&Held>> = held.collect();
    let mut places: Vec<u64> = held
        .iter()
        .filter_map(|held| *held)
        .flat_map(opening)
        .map(|look| look.connections)
        .collect();
    places.sort_unstable();
    places.dedup();
    let most = *places.last()?;
    let mut lines = Vec::new();
    for (run, held) in held.iter().enumerate() {
        let Some(held) = held else { continue };
        for (n, (_, value)) in series.iter().enumerate() {
            let at = |place: &u64| {
                let looks = opening(held);
                let look = looks.iter().find(|look| look.connections == *place)?;
                value(held, look)
            };
            let values: Vec<_> = places.iter().map(at).collect();
            if values.iter().any(Option::is_some) {
                lines.push(Line {
                    run,
                    series: n,
                    values,
                });
            }
        }
    }
    let largest = lines.iter().flat_map(|line| &line.values).flatten();
    let largest = largest.copied().fold(0.0, f64::max);
    let place = |n: &u64| (*n as f64, format!("{} connections", quantity::count(*n)));
    Some(Plot {
        id: "held".to_owned(),
        title: "Memory against connections",
        note: "Heap and stacks, while connections are opened and nothing else happens. The line is by least squares; \
               its slope is what a connection costs.",
        size: Size::Large,
        places: places.iter().map(place).collect(),
        x: Axis::from_zero(most as f64, Unit::Number),
        y: Axis::from_zero(largest, Unit::Bytes),
        unit: Unit::Bytes,
        series: series.iter().map(|(name, _)| (*name).to_owned()).collect(),
        runs: names,
        lines,
    })
}

/// Looks on the way to all connections, the fewest first.
fn opening(held: &Held) -> Vec<&Look> {
    let on_the_way = |look: &&Look| matches!(look.when, When::Empty | When::Opening);
    held.memory.iter().filter(on_the_way).collect()
}

/// Connections and probes as tables; nothing where no run held any.
pub fn tables(runs: &[Run<'_>]) -> Markup {
    let held = runs.iter().enumerate();
    let held = held.filter_map(|(n, run)| Some((n, run, run.report.conns.as_ref()?)));
    html! {
        @for (n, run, held) in held {
            @let title = format!("held-{n}");
            section aria-labelledby=(title) {
                h2 id=(title) { "Held connections" @if runs.len() > 1 { ": " (run.name) } }
                table {
                    tbody {
                        @for (name, value) in facts(held) { tr { th scope="row" { (name) } td { (value) } } }
                    }
                }
                @if let Some(probe) = &held.probe { (probed(probe)) }
            }
        }
    }
}

/// What stands in the tables of pages and pull requests.
pub fn facts(held: &Held) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            "opened",
            format!(
                "{} of {}",
                quantity::count(held.opened),
                quantity::count(held.asked)
            ),
        ),
        ("held at most", quantity::count(held.held_most)),
        ("replaced", quantity::count(held.reopened)),
        ("dropped by the target", quantity::count(held.dropped)),
    ];
    let costs = [
        ("target, per connection", &held.target),
        ("generator, per connection", &held.generator),
    ];
    for (name, cost) in costs {
        if let Some(Cost {
            anonymous,
            resident,
        }) = cost
        {
            facts.push((
                name,
                format!(
                    "{:.0} B anonymous (± {} over {} looks), {:.0} B resident",
                    anonymous.bytes_per_connection,
                    quantity::bytes(anonymous.residual_bytes),
                    anonymous.looks,
                    resident.bytes_per_connection
                ),
            ));
        }
    }
    facts
}

fn probed(probe: &crate::report::conns::Probe) -> Markup {
    html! {
        h3 { "Probe: " (probe.operation) " " (probe.target) " at " (quantity::number(probe.rate_per_s)) "/s" }
        table {
            thead { tr { th { "phase" } th { "ok" } th { "failed" } th { "p50" } th { "p99" } th { "max" } } }
            tbody {
                @for phase in &probe.phases {
                    @let times = &phase.part.latency.response;
                    @let at = |name: &str| times.percentiles_ns.get(name).copied().unwrap_or(0) as f64;
                    tr {
                        th scope="row" { (phase.part.name) }
                        td { (quantity::count(phase.part.operations.succeeded)) }
                        td { (quantity::count(phase.part.operations.failed)) }
                        td { (quantity::time(at("p50"))) }
                        td { (quantity::time(at("p99"))) }
                        td { (quantity::time(times.max_ns as f64)) }
                    }
                }
            }
        }
    }
}
