//! The agents of a run, as a table.

use maud::{Markup, html};

use super::Run;
use crate::report::agent_table::{COLUMNS, Cell, row};

/// What each agent did, and what it says of its part.
pub fn table(runs: &[Run<'_>]) -> Markup {
    if runs.iter().all(|run| run.report.agents.is_empty()) {
        return html! {};
    }
    html! {
        section aria-labelledby="agents" {
            h2 id="agents" { "Agents" }
            p.note { "Their operations are in all other numbers; the verdict of each is on its own part." }
            div.scroll { table {
                thead { tr {
                    @if runs.len() > 1 { th scope="col" { "run" } }
                    @for (name, cell) in COLUMNS { th.n[cell == Cell::Number] scope="col" { (name) } }
                } }
                tbody {
                    @for run in runs { @for agent in &run.report.agents { tr {
                        @if runs.len() > 1 { td { (run.name) } }
                        @for (n, (text, (_, cell))) in row(agent).iter().zip(COLUMNS).enumerate() {
                            @if n == 0 { th scope="row" { (text) } }
                            @else { td.n[cell == Cell::Number].text[cell == Cell::Text] { (text) } }
                        }
                    } } }
                }
            } }
        }
    }
}
