//! How HTTP was spoken, as a table.

use maud::{Markup, html};

use super::Run;
use crate::report::{model::Http, quantity};

/// Versions, and what targets said by error codes.
pub fn http(runs: &[Run<'_>]) -> Markup {
    let spoken = runs
        .iter()
        .filter_map(|run| Some((run, run.report.http.as_ref()?)));
    let spoken: Vec<_> = spoken.collect();
    if spoken.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="http" {
            h2 id="http" { "HTTP" }
            p.note { "Versions and GOAWAY are counted per connection, RST_STREAM per stream." }
            div.scroll { table {
                thead { tr {
                    @if runs.len() > 1 { th scope="col" { "run" } }
                    th scope="col" { "what" } th scope="col" { "value" } th.n scope="col" { "count" }
                } }
                @for (run, http) in spoken { tbody { @for (what, value, count) in rows(http) { tr {
                    @if runs.len() > 1 { td { (run.name) } }
                    th scope="row" { (what) } td { code { (value) } } td.n { (quantity::count(count)) }
                } } } }
            } }
        }
    }
}

fn rows(http: &Http) -> Vec<(&'static str, &str, u64)> {
    let groups = [
        ("version", &http.version),
        ("RST_STREAM", &http.resets),
        ("GOAWAY", &http.go_aways),
    ];
    let rows = groups.into_iter().flat_map(|(what, names)| {
        let names = names.iter();
        names.map(move |(name, count)| (what, name.as_str(), *count))
    });
    rows.collect()
}
