//! The agents of a run as a table, for people.

use super::{
    agents::Agent,
    model::{State, Verdict},
    quantity,
};

/// What stands in its columns, and whether that is a number.
pub const COLUMNS: [(&str, Cell); 10] = [
    ("agent", Cell::Text),
    ("machine", Cell::Text),
    ("cores", Cell::Number),
    ("planned", Cell::Number),
    ("sent", Cell::Number),
    ("ok", Cell::Number),
    ("failed", Cell::Number),
    ("never sent", Cell::Number),
    ("p99 response", Cell::Number),
    ("verdict", Cell::Text),
];

/// How a cell is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// To the left.
    Text,
    /// To the right.
    Number,
}

/// The cells of an agent's row.
pub fn row(agent: &Agent) -> [String; COLUMNS.len()] {
    let operations = &agent.totals.operations;
    let response = &agent.totals.latency.response;
    let p99_ns = response.percentiles_ns.get("p99");
    let p99 = match p99_ns {
        Some(ns) if response.count > 0 => quantity::time(*ns as f64),
        _ => "–".to_owned(),
    };
    [
        agent.name.clone(),
        agent.host.name.clone(),
        agent.host.cores.to_string(),
        quantity::count(operations.planned),
        quantity::count(operations.sent),
        quantity::count(operations.succeeded),
        quantity::count(operations.failed),
        quantity::count(operations.unsent),
        p99,
        verdict(agent),
    ]
}

/// What an agent says of its own part, or why it says nothing.
fn verdict(agent: &Agent) -> String {
    match (&agent.lost, &agent.verdict) {
        (Some(why), _) => format!("lost: {why}"),
        (None, Some(verdict)) => with_grounds(verdict),
        (None, None) => "–".to_owned(),
    }
}

fn with_grounds(verdict: &Verdict) -> String {
    let word = word(verdict.state);
    let codes = verdict.reasons.iter().map(|reason| reason.code.as_str());
    let codes: Vec<_> = codes.collect();
    match codes.is_empty() {
        true => word.to_owned(),
        false => format!("{word}: {}", codes.join(", ")),
    }
}

/// A state in a word.
pub fn word(state: State) -> &'static str {
    match state {
        State::Valid => "valid",
        State::Degraded => "degraded",
        State::Invalid => "invalid",
    }
}
