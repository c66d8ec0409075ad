//! CSV: one table of seconds, one of percentiles, one of agents. Names of columns carry their unit.

use super::{
    agent_table::word,
    agents::Agent,
    levels::{STEPS_PER_HALF, levels},
    model::{Distribution, ErrorCount, Part, Report, Second},
    render::RenderError,
    time::Time,
};
use crate::operation::failure::{Class, Phase};

/// The percentiles of each time in the table of seconds.
const PERCENTILES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "p99.99"];

/// One line for each second. Classes of errors that occurred in the run have a column each.
///
/// # Errors
///
/// Never in practice: the table is written to memory.
pub fn seconds(report: &Report) -> Result<String, RenderError> {
    let errors = error_columns(report);
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> = [
        "second",
        "planned",
        "sent",
        "succeeded",
        "failed",
        "sent_bytes",
        "received_bytes",
    ]
    .map(str::to_owned)
    .into();
    for time in Time::ALL.map(Time::name) {
        head.extend(PERCENTILES.map(|percentile| format!("{time}_{percentile}_ns")));
        head.push(format!("{time}_max_ns"));
    }
    let conditions = [
        "generator_busy_share",
        "generator_cpu_s",
        "target_cpu_s",
        "target_rss_bytes",
        "stolen_share",
    ];
    head.extend(conditions.map(str::to_owned));
    let named = |(phase, class): &(Phase, Class)| format!("errors_{phase}_{class}");
    head.extend(errors.iter().map(named));
    out.write_record(head)?;
    for second in &report.series {
        out.write_record(row(second, &errors))?;
    }
    finish(out)
}

fn row(second: &Second, errors: &[(Phase, Class)]) -> Vec<String> {
    let counts = [
        second.start_s,
        second.planned,
        second.sent,
        second.succeeded,
        second.failed,
        second.bytes.sent,
        second.bytes.received,
    ];
    let mut row: Vec<String> = counts.iter().map(u64::to_string).collect();
    for time in Time::ALL {
        let times = time.of(&second.latency);
        // A second without operations has no times, which is not the same as times of zero.
        let cell = |ns: Option<u64>| match (times.count, ns) {
            (1.., Some(ns)) => ns.to_string(),
            _ => String::new(),
        };
        row.extend(PERCENTILES.map(|name| cell(times.percentiles_ns.get(name).copied())));
        row.push(cell(Some(times.max_ns)));
    }
    row.push(second.generator_busy_share.to_string());
    row.push(second.generator_cpu_s.to_string());
    row.push(optional(second.target_cpu_s));
    row.push(optional(second.target_rss_bytes));
    row.push(second.stolen_share.to_string());
    let counted = |(phase, class): &(Phase, Class)| -> u64 {
        let same = |error: &&ErrorCount| (error.phase, error.class) == (*phase, *class);
        let of_it = second.errors.iter().filter(same);
        of_it.fold(0, |sum, error| sum.saturating_add(error.count))
    };
    row.extend(errors.iter().map(|error| counted(error).to_string()));
    row
}

fn error_columns(report: &Report) -> Vec<(Phase, Class)> {
    let in_seconds = report.series.iter().flat_map(|second| &second.errors);
    let in_seconds = in_seconds.map(|error| (error.phase, error.class));
    let in_all = report.errors.iter().map(|error| (error.phase, error.class));
    let mut columns: Vec<_> = in_all.chain(in_seconds).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// One line for each percentile of each distribution: the rows of `.hgrm`, for all of them.
///
/// # Errors
///
/// When a histogram in the report was damaged.
pub fn percentiles(report: &Report) -> Result<String, RenderError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["of", "name", "time", "percentile", "value_ns", "count"])?;
    let connections = &report.connections;
    let parts = [("run", std::slice::from_ref(&report.totals))];
    for (of, parts) in parts
        .into_iter()
        .chain([("kind", &report.kinds[..]), ("tenant", &report.tenants[..])])
    {
        for Part { name, latency, .. } in parts {
            for time in Time::ALL {
                distribution(&mut out, [of, name, time.name()], time.of(latency))?;
            }
        }
    }
    for (time, times) in [
        ("connect", &connections.connect),
        ("handshake", &connections.handshake),
    ] {
        distribution(&mut out, ["connections", "all", time], times)?;
    }
    finish(out)
}

/// One line for each agent; none of a run without.
///
/// # Errors
///
/// Never in practice: the table is written to memory.
pub fn agents(report: &Report) -> Result<String, RenderError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "agent",
        "host",
        "cores",
        "address",
        "planned",
        "sent",
        "succeeded",
        "failed",
        "unsent",
        "response_p50_ns",
        "response_p99_ns",
        "response_max_ns",
        "generator_cpu_s",
        "generator_busiest_share",
        "clock_offset_s",
        "clock_uncertainty_s",
        "verdict",
        "reasons",
        "lost",
    ])?;
    for agent in &report.agents {
        out.write_record(agent_row(agent))?;
    }
    finish(out)
}

fn agent_row(agent: &Agent) -> [String; 19] {
    let operations = &agent.totals.operations;
    let times = &agent.totals.latency.response;
    let at = |name: &str| optional(times.percentiles_ns.get(name).filter(|_| times.count > 0));
    let generator = agent.generator.as_ref();
    let verdict = agent.verdict.as_ref();
    let codes = verdict.map_or(Vec::new(), |verdict| {
        let reasons = verdict.reasons.iter();
        reasons.map(|reason| reason.code.as_str()).collect()
    });
    [
        agent.name.clone(),
        agent.host.name.clone(),
        agent.host.cores.to_string(),
        optional(agent.address.as_ref()),
        operations.planned.to_string(),
        operations.sent.to_string(),
        operations.succeeded.to_string(),
        operations.failed.to_string(),
        operations.unsent.to_string(),
        at("p50"),
        at("p99"),
        optional((times.count > 0).then_some(times.max_ns)),
        optional(generator.map(|generator| generator.cpu_s)),
        optional(generator.map(|generator| generator.busiest_share)),
        agent.clock.offset_s.to_string(),
        agent.clock.uncertainty_s.to_string(),
        optional(verdict.map(|verdict| word(verdict.state))),
        codes.join(" "),
        optional(agent.lost.as_ref()),
    ]
}

fn distribution(
    out: &mut csv::Writer<Vec<u8>>,
    [of, name, time]: [&str; 3],
    times: &Distribution,
) -> Result<(), RenderError> {
    for level in levels(&times.histogram()?, STEPS_PER_HALF) {
        let percentile = level.percentile.to_string();
        let (value, count) = (level.value.to_string(), level.count.to_string());
        out.write_record([of, name, time, &percentile, &value, &count])?;
    }
    Ok(())
}

fn optional(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn finish(out: csv::Writer<Vec<u8>>) -> Result<String, RenderError> {
    let bytes = out.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8(bytes).expect("every cell is text"))
}
