//! One page with everything, in one file: no network, no foreign script, legible with scripts off.
//!
//! Text from reports goes through maud, which escapes it; the plots' numbers go through JSON. Behind
//! that stands a content security policy under which only the page's own script and style run.

pub mod agents;
pub mod axis;
pub mod charts;
pub mod held;
pub mod http;
pub mod plot;
pub mod sweep;
pub mod tables;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::plot::Plot;
use super::{
    model::{Report, State, Verdict},
    render::RenderError,
    time::Time,
};

const STYLE: &str = include_str!("../../../assets/report.css");
const SCRIPT: &str = include_str!("../../../assets/report.js");

/// Runs in one page: more could not be told apart by their colours.
pub const MAX_RUNS: usize = 6;

/// A run and what it is called in the page.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Its name.
    pub name: String,
    /// Its report.
    pub report: &'a Report,
}

impl<'a> Run<'a> {
    /// A run that stands alone.
    pub fn new(report: &'a Report) -> Self {
        Self {
            name: "this run".to_owned(),
            report,
        }
    }
}

/// Writes the page of at least one run.
///
/// # Errors
///
/// When a histogram in a report was damaged.
pub fn page(runs: &[Run<'_>]) -> Result<String, RenderError> {
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    let title = match runs {
        [run] => format!(
            "{} {}",
            run.report.operation, run.report.configuration.target
        ),
        _ => names.join(" · "),
    };
    let body = html! {
        (header(runs, &title))
        main {
            @for (n, run) in runs.iter().enumerate() { (verdict(runs, n, run)) }
            (tables::figures(runs))
            (plots(runs, &names)?)
            (held::tables(runs))
            (tables::latency(runs))
            (tables::errors(runs))
            (tables::tenants(runs))
            (agents::table(runs))
            (tables::tls(runs))
            (http::http(runs))
            (tables::facts(runs))
        }
    };
    Ok(document(&title, &body))
}

/// A page around a body, with the style, the script, and the policy under which only these run.
fn document(title: &str, body: &Markup) -> String {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "loadgen: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                footer {
                    "Written by loadgen " (env!("CARGO_PKG_VERSION")) ". Every operation has a planned start; response \
                     times count from there, so a target that stalls is not spared."
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string() + "\n"
}

/// What a policy says of an element's content.
fn hash(content: &str) -> String {
    let digest = digest(&SHA256, content.as_bytes());
    format!("sha256-{}", STANDARD.encode(digest.as_ref()))
}

fn header(runs: &[Run<'_>], title: &str) -> Markup {
    html! {
        header {
            p.brand { "loadgen" }
            h1 { (title) }
            @if runs.len() == 1 {
                @let report = runs[0].report;
                p.when {
                    time data-unix=(report.timing.began_unix_s) { (tables::date(report.timing.began_unix_s)) }
                    " · " (tables::extent(report))
                }
            } @else {
                div.legend.runs role="group" aria-label="Runs" {
                    @for (n, run) in runs.iter().enumerate() {
                        button type="button" aria-pressed="true" data-run=(n) {
                            (plot::swatch(&format!("line c{n}"))) (run.name)
                        }
                    }
                }
            }
        }
    }
}

fn verdict(runs: &[Run<'_>], n: usize, run: &Run<'_>) -> Markup {
    let Verdict { state, reasons } = &run.report.verdict;
    let (class, sign, word, meaning) = match state {
        State::Valid => (
            "valid",
            "✓",
            "Valid",
            "The generator kept to its schedule; the numbers hold.",
        ),
        State::Degraded => (
            "degraded",
            "!",
            "Degraded",
            "The numbers hold with a grain of salt.",
        ),
        State::Invalid => (
            "invalid",
            "✕",
            "Invalid",
            "These numbers do not describe the target. Do not use them.",
        ),
    };
    let title = format!("verdict-{n}");
    html! {
        section.verdict.(class) aria-labelledby=(title) {
            span.sign aria-hidden="true" { (sign) }
            div {
                h2 id=(title) {
                    @if runs.len() > 1 { (run.name) ": " }
                    (word)
                }
                p { (meaning) }
                @if !reasons.is_empty() {
                    ul {
                        @for reason in reasons {
                            li { code { (reason.code) } " " (reason.message) }
                        }
                    }
                }
                @if !run.report.objectives.is_empty() {
                    ul.objectives {
                        @for objective in &run.report.objectives {
                            @if objective.met { li.met { "✓ " code { (objective.text) } " met" } }
                            @else { li.missed { "✕ " code { (objective.text) } " missed" } }
                        }
                    }
                }
            }
        }
    }
}

fn plots(runs: &[Run<'_>], names: &[String]) -> Result<Markup, RenderError> {
    let has_seconds = runs.iter().any(|run| !run.report.series.is_empty());
    let tenants = tables::largest_tenants(runs);
    let left_out = tables::tenant_names(runs).len() - tenants.len();
    let tenants = charts::tenants(runs, names, &tenants)?
        .iter()
        .map(Plot::render)
        .collect::<Vec<_>>();
    Ok(html! {
        section aria-labelledby="plots" {
            h2 id="plots" { "Plots" }
            div.plots {
                @if let Some(plot) = charts::by_percentile(runs, names)? { (plot.render()) }
                @if let Some(plot) = held::plot(runs, names) { (plot.render()) }
                @if has_seconds {
                    (latency_over_time(runs, names))
                    (charts::rate(runs, names).render())
                    (charts::cpu(runs, names).render())
                    @if let Some(plot) = charts::errors(runs, names) { (plot.render()) }
                    @if let Some(plot) = charts::memory(runs, names) { (plot.render()) }
                }
            }
        }
        @if !tenants.is_empty() {
            section aria-labelledby="tenants" {
                h2 id="tenants" { "Response time by percentile, by tenant" }
                p.note {
                    "The axes are the same in all."
                    @if left_out > 0 { " " (left_out) " smaller tenants are left out." }
                }
                div.plots.many { @for tenant in &tenants { (tenant) } }
            }
        }
    })
}

/// The three times in one place, one of them at a time.
fn latency_over_time(runs: &[Run<'_>], names: &[String]) -> Markup {
    html! {
        div.tabbed {
            div.tabs role="group" aria-label="Time" {
                @for time in Time::ALL {
                    button type="button" aria-pressed=(time == Time::Response) data-tab=(time.name()) {
                        (time.name())
                    }
                }
            }
            @for time in Time::ALL {
                div.tab data-tab=(time.name()) hidden[time != Time::Response] {
                    (charts::latency(runs, names, time).render())
                }
            }
        }
    }
}
