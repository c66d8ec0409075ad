//! Markdown for pull requests: the verdict first, then tables, the configuration folded away.

use std::fmt::Write;

use super::{
    agent_table::{COLUMNS, Cell, row},
    html,
    model::{Distribution, Report, State},
    quantity,
    time::Time,
};

/// Percentiles that stand in the table.
const PERCENTILES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "p99.99"];

/// Writes the report of a run.
pub fn write(report: &Report) -> String {
    let mut out = String::new();
    let target = escape(&report.configuration.target);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "### loadgen {} {target}\n", escape(&report.operation));
    verdict(&mut out, report);
    figures(&mut out, report);
    held(&mut out, report);
    latency(&mut out, report);
    errors(&mut out, report);
    tenants(&mut out, report);
    agents(&mut out, report);
    settings(&mut out, report);
    out
}

fn verdict(out: &mut String, report: &Report) {
    let word = match report.verdict.state {
        State::Valid => "✅ **valid**",
        State::Degraded => "⚠️ **degraded**",
        State::Invalid => "❌ **invalid: these numbers do not hold**",
    };
    let _ = writeln!(out, "{word}\n");
    for reason in &report.verdict.reasons {
        let _ = writeln!(
            out,
            "- `{}`: {}",
            code(&reason.code),
            escape(&reason.message)
        );
    }
    for objective in &report.objectives {
        let met = if objective.met { "met" } else { "**missed**" };
        let _ = writeln!(out, "- objective {}: {met}", escape(&objective.text));
    }
    if !report.verdict.reasons.is_empty() || !report.objectives.is_empty() {
        out.push('\n');
    }
}

fn figures(out: &mut String, report: &Report) {
    let operations = &report.totals.operations;
    let achieved = &report.achieved;
    let rate = match achieved.planned_per_s {
        Some(planned) => format!(
            "{}/s of {}/s planned",
            quantity::number(achieved.achieved_per_s),
            quantity::number(planned)
        ),
        None => format!(
            "{}/s, closed loop",
            quantity::number(achieved.achieved_per_s)
        ),
    };
    let ended = format!(
        "{} ok, {} failed, {} never sent",
        quantity::count(operations.succeeded),
        quantity::count(operations.failed),
        quantity::count(operations.unsent)
    );
    let rates = &report.totals.rates;
    let payload = format!(
        "{}/s sent, {}/s received",
        quantity::bytes(rates.sent_bytes_per_s),
        quantity::bytes(rates.received_bytes_per_s)
    );
    let mut rows = vec![("rate", rate), ("operations", ended), ("payload", payload)];
    if let Some(target) = &report.target
        && let Some(ns) = target.cpu_ns_per_operation
    {
        rows.push(("target CPU per operation", quantity::time(ns)));
    }
    rows.push((
        "busiest generator thread",
        quantity::share(report.generator.busiest_share),
    ));
    out.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(out, "| {name} | {value} |");
    }
    out.push('\n');
}

fn held(out: &mut String, report: &Report) {
    let Some(held) = &report.conns else {
        return;
    };
    out.push_str("| held connections | |\n|---|---|\n");
    for (name, value) in html::held::facts(held) {
        let _ = writeln!(out, "| {name} | {value} |");
    }
    out.push('\n');
    if let Some(probe) = &held.probe {
        let (operation, target) = (escape(&probe.operation), escape(&probe.target));
        let rate = quantity::number(probe.rate_per_s);
        let _ = writeln!(
            out,
            "| probe: {operation} {target} at {rate}/s | mean | {} | max |",
            PERCENTILES.join(" | ")
        );
        out.push_str("|---|---:|---:|---:|---:|---:|---:|---:|\n");
        for phase in &probe.phases {
            let row = times_row(&phase.part.latency.response);
            let _ = writeln!(out, "| {} | {row} |", escape(&phase.part.name));
        }
        out.push('\n');
    }
}

fn latency(out: &mut String, report: &Report) {
    let _ = writeln!(
        out,
        "| latency | mean | {} | max |",
        PERCENTILES.join(" | ")
    );
    out.push_str("|---|---:|---:|---:|---:|---:|---:|---:|\n");
    let latency = &report.totals.latency;
    let operations = Time::ALL.map(|time| (time.meaning(), time.of(latency)));
    let connections = [
        ("TCP connect", &report.connections.connect),
        ("TLS handshake", &report.connections.handshake),
    ];
    for (name, times) in operations.into_iter().chain(connections) {
        if times.count > 0 {
            let _ = writeln!(out, "| {name} | {} |", times_row(times));
        }
    }
    out.push('\n');
}

fn times_row(times: &Distribution) -> String {
    let at = PERCENTILES.map(|name| times.percentiles_ns.get(name).copied());
    let at = at.map(|ns| ns.map_or("–".to_owned(), |ns| quantity::time(ns as f64)));
    let (mean, max) = (times.mean_ns, times.max_ns as f64);
    let (mean, max) = (quantity::time(mean), quantity::time(max));
    format!("{mean} | {} | {max}", at.join(" | "))
}

fn errors(out: &mut String, report: &Report) {
    if report.errors.is_empty() {
        return;
    }
    out.push_str("| errors | count | from | to | for example |\n|---|---:|---:|---:|---|\n");
    for error in &report.errors {
        let sample = error.samples.first().map_or("", String::as_str);
        let _ = writeln!(
            out,
            "| {}/{} | {} | {:.1} s | {:.1} s | {} |",
            error.phase,
            error.class,
            quantity::count(error.count),
            error.first_s,
            error.last_s,
            escape(sample)
        );
    }
    out.push('\n');
}

fn tenants(out: &mut String, report: &Report) {
    if report.tenants.is_empty() {
        return;
    }
    out.push_str("| tenant | rate | failed | p50 | p99 | max |\n|---|---:|---:|---:|---:|---:|\n");
    for tenant in &report.tenants {
        let times = &tenant.latency.response;
        let at = |name: &str| times.percentiles_ns.get(name).copied().unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {}/s | {} | {} | {} | {} |",
            escape(&tenant.name),
            quantity::number(tenant.rates.operations_per_s),
            quantity::count(tenant.operations.failed),
            quantity::time(at("p50") as f64),
            quantity::time(at("p99") as f64),
            quantity::time(times.max_ns as f64)
        );
    }
    out.push('\n');
}

fn agents(out: &mut String, report: &Report) {
    if report.agents.is_empty() {
        return;
    }
    let names = COLUMNS.map(|(name, _)| name);
    let rules = COLUMNS.map(|(_, cell)| match cell {
        Cell::Text => "---",
        Cell::Number => "---:",
    });
    let _ = writeln!(out, "| {} |", names.join(" | "));
    let _ = writeln!(out, "|{}|", rules.join("|"));
    for agent in &report.agents {
        let cells = row(agent).map(|cell| escape(&cell));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

fn settings(out: &mut String, report: &Report) {
    let (host, asked) = (&report.host, &report.configuration);
    let _ = writeln!(
        out,
        "<details><summary>{} connections on {} threads, {} arrivals; {}, {} cores, Linux {}</summary>\n",
        asked.connections,
        asked.threads,
        escape(&asked.arrival),
        escape(&host.cpu),
        host.cores,
        escape(&host.kernel)
    );
    // A fence that is longer than any run of backticks within.
    let json = serde_json::to_string_pretty(asked).unwrap_or_default();
    let fence = "`".repeat(3 + longest_run(&json));
    let _ = writeln!(out, "{fence}json\n{json}\n{fence}\n\n</details>");
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

/// Foreign text as text: neither markup, nor a cell's or a line's end, nor a mention of somebody.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Foreign text between backticks.
fn code(text: &str) -> String {
    text.replace(|c: char| c == '`' || c == '|' || c.is_control(), " ")
}
