//! What stands in tables.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Run, charts::MAX_TENANTS, plot};
use crate::{
    report::{
        facts::{self, Fact},
        model::{Distribution, Negotiated, Report},
        quantity,
        time::Time,
    },
    schedule::Loop,
};

/// Percentiles that have a column.
const PERCENTILES: [&str; 7] = ["p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99"];

/// The numbers that are asked for first.
pub fn figures(runs: &[Run<'_>]) -> Markup {
    html! {
        section.figures aria-label="Key figures" {
            @for (n, run) in runs.iter().enumerate() {
                @if runs.len() > 1 { h3 { (plot::swatch(&format!("line c{n}"))) (run.name) } }
                dl {
                    @for (name, value, detail) in figures_of(run.report) {
                        div { dt { (name) } dd { (value) } dd.detail { (detail) } }
                    }
                }
            }
        }
    }
}

fn figures_of(report: &Report) -> Vec<(&'static str, String, String)> {
    let achieved = &report.achieved;
    let planned = match achieved.planned_per_s {
        Some(planned) => format!("of {} planned", quantity::number(planned)),
        None => "closed loop".to_owned(),
    };
    let times = &report.totals.latency.response;
    let at = |name: &str| match times.percentiles_ns.get(name) {
        Some(ns) if times.count > 0 => quantity::time(*ns as f64),
        _ => "–".to_owned(),
    };
    let operations = &report.totals.operations;
    let lost = operations.failed.saturating_add(operations.unsent);
    let attempted = operations.succeeded.saturating_add(lost);
    let share = lost as f64 / attempted.max(1) as f64;
    let rates = &report.totals.rates;
    let mut figures = vec![
        (
            "operations per second",
            quantity::number(achieved.achieved_per_s),
            planned,
        ),
        ("median response", at("p50"), format!("p90 {}", at("p90"))),
        ("p99 response", at("p99"), format!("p99.9 {}", at("p99.9"))),
        (
            "failed or never sent",
            quantity::share(share),
            format!(
                "{} of {}",
                quantity::count(lost),
                quantity::count(attempted)
            ),
        ),
        (
            "received per second",
            quantity::bytes(rates.received_bytes_per_s),
            format!("{} sent", quantity::bytes(rates.sent_bytes_per_s)),
        ),
    ];
    if let Some(target) = &report.target
        && let Some(ns) = target.cpu_ns_per_operation
    {
        let memory = target
            .rss_max_bytes
            .map(|bytes| quantity::bytes(bytes as f64));
        let memory = memory.map_or(String::new(), |memory| format!("{memory} resident"));
        figures.push(("target CPU per operation", quantity::time(ns), memory));
    }
    figures
}

/// Mean, percentiles and maximum of each time.
pub fn latency(runs: &[Run<'_>]) -> Markup {
    html! {
        section aria-labelledby="latency" {
            h2 id="latency" { "Latency" }
            div.scroll { table {
                thead { tr {
                    @if runs.len() > 1 { th scope="col" { "run" } }
                    th scope="col" { "time" } th.n scope="col" { "count" } th.n scope="col" { "mean" }
                    @for name in PERCENTILES { th.n scope="col" { (name) } }
                    th.n scope="col" { "max" }
                } }
                @for run in runs {
                    tbody {
                        @for (name, times) in times_of(run.report) {
                            @if times.count > 0 { (latency_row(runs, run, name, times)) }
                        }
                    }
                }
            } }
        }
    }
}

fn times_of(report: &Report) -> Vec<(&'static str, &Distribution)> {
    let latency = &report.totals.latency;
    let mut times: Vec<_> = Time::ALL
        .map(|time| (time.meaning(), time.of(latency)))
        .into();
    times.push(("TCP connect", &report.connections.connect));
    times.push(("TLS handshake", &report.connections.handshake));
    times
}

fn latency_row(runs: &[Run<'_>], run: &Run<'_>, name: &str, times: &Distribution) -> Markup {
    let at = |name: &str| times.percentiles_ns.get(name).map(|ns| *ns as f64);
    html! {
        tr {
            @if runs.len() > 1 { td { (run.name) } }
            th scope="row" { (name) }
            td.n { (quantity::count(times.count)) }
            td.n { (quantity::time(times.mean_ns)) }
            @for name in PERCENTILES { td.n { (at(name).map_or("–".to_owned(), quantity::time)) } }
            td.n { (quantity::time(times.max_ns as f64)) }
        }
    }
}

/// Failures with what was said of them.
pub fn errors(runs: &[Run<'_>]) -> Markup {
    if runs.iter().all(|run| run.report.errors.is_empty()) {
        return html! {};
    }
    html! {
        section aria-labelledby="failures" {
            h2 id="failures" { "Failures" }
            div.scroll { table {
                thead { tr {
                    @if runs.len() > 1 { th scope="col" { "run" } }
                    th scope="col" { "phase" } th scope="col" { "class" } th.n scope="col" { "count" }
                    th.n scope="col" { "first" } th.n scope="col" { "last" } th scope="col" { "for example" }
                } }
                tbody {
                    @for run in runs { @for error in &run.report.errors { tr {
                        @if runs.len() > 1 { td { (run.name) } }
                        td { (error.phase) } td { (error.class) }
                        td.n { (quantity::count(error.count)) }
                        td.n { (format!("{:.1} s", error.first_s)) } td.n { (format!("{:.1} s", error.last_s)) }
                        td.text { @for sample in &error.samples { p { (sample) } } }
                    } } }
                }
            } }
        }
    }
}

/// Tenants in numbers.
pub fn tenants(runs: &[Run<'_>]) -> Markup {
    if runs.iter().all(|run| run.report.tenants.is_empty()) {
        return html! {};
    }
    html! {
        section aria-labelledby="tenant-table" {
            h2 id="tenant-table" { "Tenants" }
            div.scroll { table {
                thead { tr {
                    @if runs.len() > 1 { th scope="col" { "run" } }
                    th scope="col" { "tenant" } th.n scope="col" { "per second" } th.n scope="col" { "ok" }
                    th.n scope="col" { "failed" } th.n scope="col" { "p50" } th.n scope="col" { "p99" }
                    th.n scope="col" { "max" }
                } }
                tbody {
                    @for run in runs { @for tenant in &run.report.tenants {
                        @let times = &tenant.latency.response;
                        @let at = |name: &str| times.percentiles_ns.get(name).copied().unwrap_or_default() as f64;
                        tr {
                            @if runs.len() > 1 { td { (run.name) } }
                            th scope="row" { (tenant.name) }
                            td.n { (quantity::number(tenant.rates.operations_per_s)) }
                            td.n { (quantity::count(tenant.operations.succeeded)) }
                            td.n { (quantity::count(tenant.operations.failed)) }
                            td.n { (quantity::time(at("p50"))) } td.n { (quantity::time(at("p99"))) }
                            td.n { (quantity::time(times.max_ns as f64)) }
                        }
                    } }
                }
            } }
        }
    }
}

/// Names of tenants, with how much was planned for each.
pub fn tenant_names(runs: &[Run<'_>]) -> BTreeMap<String, u64> {
    let mut names = BTreeMap::new();
    for tenant in runs.iter().flat_map(|run| &run.report.tenants) {
        let planned: &mut u64 = names.entry(tenant.name.clone()).or_default();
        *planned = planned.saturating_add(tenant.operations.planned);
    }
    names
}

/// The tenants that have a plot.
pub fn largest_tenants(runs: &[Run<'_>]) -> Vec<String> {
    let mut names: Vec<_> = tenant_names(runs).into_iter().collect();
    names.sort_by_key(|(_, planned)| std::cmp::Reverse(*planned));
    let largest = names.into_iter().take(MAX_TENANTS);
    largest.map(|(name, _)| name).collect()
}

/// What handshakes negotiated.
pub fn tls(runs: &[Run<'_>]) -> Markup {
    let spoken = runs
        .iter()
        .filter_map(|run| Some((run, run.report.tls.as_ref()?)));
    let spoken: Vec<_> = spoken.collect();
    if spoken.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="tls" {
            h2 id="tls" { "Negotiated TLS" }
            p.note { "Counted per connection." }
            div.scroll { table {
                thead { tr {
                    @if runs.len() > 1 { th scope="col" { "run" } }
                    th scope="col" { "what" } th scope="col" { "value" } th.n scope="col" { "connections" }
                    th.n scope="col" { "share" }
                } }
                @for (run, tls) in spoken { tbody { @for (what, value, count, share) in negotiated(tls) { tr {
                    @if runs.len() > 1 { td { (run.name) } }
                    th scope="row" { (what) } td { code { (value) } }
                    td.n { (quantity::count(count)) } td.n { (quantity::share(share)) }
                } } } }
            } }
        }
    }
}

fn negotiated(tls: &Negotiated) -> Vec<(&'static str, &str, u64, f64)> {
    let groups = [
        ("version", &tls.version),
        ("cipher suite", &tls.suite),
        ("key exchange", &tls.group),
        ("handshake", &tls.kind),
        ("application protocol", &tls.alpn),
        ("server name", &tls.server_name),
        ("early data", &tls.early_data),
    ];
    let mut rows = Vec::new();
    for (what, names) in groups {
        let all: f64 = names.values().map(|count| *count as f64).sum();
        for (name, count) in names {
            rows.push((what, name.as_str(), *count, *count as f64 / all.max(1.0)));
        }
    }
    rows
}

/// Configuration and host; where runs differ is marked.
pub fn facts(runs: &[Run<'_>]) -> Markup {
    let configurations: Vec<_> = runs
        .iter()
        .map(|run| facts::configuration(run.report))
        .collect();
    let hosts: Vec<_> = runs.iter().map(|run| facts::host(run.report)).collect();
    html! {
        section.facts aria-label="Configuration and host" {
            (fact_table(runs, "Configuration", &configurations))
            (fact_table(runs, "Host", &hosts))
        }
    }
}

fn fact_table(runs: &[Run<'_>], title: &str, columns: &[Vec<Fact>]) -> Markup {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in columns.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let value = |column: &[Fact], name: &String| -> String {
        let of_name = column.iter().find(|(of, _)| of == name);
        of_name.map_or("–".to_owned(), |(_, value)| value.clone())
    };
    html! {
        div {
            h2 { (title) }
            div.scroll { table {
                @if runs.len() > 1 { thead { tr {
                    th scope="col" { "what" } @for run in runs { th scope="col" { (run.name) } }
                } } }
                tbody {
                    @for name in names {
                        @let values: Vec<_> = columns.iter().map(|column| value(column, name)).collect();
                        @let differs = values.iter().any(|value| *value != values[0]);
                        tr.differs[differs] {
                            th scope="row" { (name) }
                            @for value in &values { td.text { (value) } }
                        }
                    }
                }
            } }
        }
    }
}

/// How a run was made, in a line.
pub fn extent(report: &Report) -> String {
    let asked = &report.configuration;
    let load = match report.looped {
        Loop::Open => format!("open loop, {} arrivals", asked.arrival),
        Loop::Closed => "closed loop: a slow target is asked less".to_owned(),
    };
    let plural = |n: u64| if n == 1 { "" } else { "s" };
    format!(
        "{load} · {} connection{} on {} thread{} · {}",
        asked.connections,
        plural(asked.connections),
        asked.threads,
        plural(asked.threads),
        quantity::stretch(report.timing.elapsed_s)
    )
}

/// A day and a time in UTC, from seconds since 1970; the script shows it in the reader's own.
pub fn date(unix_s: f64) -> String {
    let seconds = unix_s.max(0.0) as i64;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, after Howard Hinnant's `civil_from_days`: years begin in March.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (of_day / 3600, of_day / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0.0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400.0), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_790_000_000.25), "2026-09-21 14:13 UTC");
    }
}
