//! What is seen of a run while it lasts: a line for each second, and below it, on a terminal, how far the run is.
//!
//! A line comes when all threads have told of its second, so a second or two later.

use std::{
    fmt,
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    model::{Distribution, Second},
    quantity,
};

/// More would only be work for the terminal, and the generator's CPU time.
const DRAWS_PER_SECOND: u8 = 4;

/// Shows seconds as they come.
#[derive(Debug)]
pub struct LiveView {
    /// None where standard error is no terminal.
    bar: Option<ProgressBar>,
    begun: bool,
}

impl LiveView {
    /// A view of a run of this length, where it is known.
    pub fn begin(length: Option<Duration>) -> Self {
        let bar = stderr().is_terminal().then(|| bar(length));
        Self { bar, begun: false }
    }

    /// Shows one second.
    pub fn second(&mut self, second: &Second) {
        if !self.begun {
            self.begun = true;
            self.say(&HEAD);
        }
        self.say(&Row(second));
        if let Some(bar) = &self.bar {
            bar.set_position(second.start_s + 1);
        }
    }

    fn say(&self, line: &impl fmt::Display) {
        match &self.bar {
            Some(bar) => bar.println(line.to_string()),
            // A closed pipe leaves nobody to tell.
            None => drop(writeln!(stderr(), "{line}")),
        }
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            // What comes next begins on a clean line.
            bar.finish_and_clear();
        }
    }
}

fn bar(length: Option<Duration>) -> ProgressBar {
    let seconds = length.map(|length| length.as_secs_f64().ceil() as u64);
    let template = match seconds {
        Some(_) => "{wide_bar} {pos} of {len} s; Ctrl-C ends it with a report",
        None => "{spinner} {elapsed}; Ctrl-C ends it with a report",
    };
    let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
    let bar = ProgressBar::with_draw_target(seconds, target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Names of the columns, as wide as [`Row`] writes them.
const HEAD: Head = Head;

struct Head;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        columns(
            f,
            ["second", "done/s", "failed", "p50", "p99", "max", "bytes/s"],
        )
    }
}

struct Row<'a>(&'a Second);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0;
        let times = &second.latency.response;
        let bytes = second.bytes.sent + second.bytes.received;
        columns(
            f,
            [
                &second.start_s.to_string(),
                &second.succeeded.to_string(),
                &second.failed.to_string(),
                &percentile(times, "p50"),
                &percentile(times, "p99"),
                &time(times, times.max_ns),
                &quantity::bytes(bytes as f64),
            ],
        )
    }
}

fn columns(f: &mut fmt::Formatter<'_>, [second, rest @ ..]: [&str; 7]) -> fmt::Result {
    write!(f, "{second:>6}")?;
    rest.iter()
        .try_for_each(|column| write!(f, " {column:>10}"))
}

fn percentile(times: &Distribution, name: &str) -> String {
    let found = times.percentiles_ns.get(name);
    found.map_or_else(|| "-".into(), |ns| time(times, *ns))
}

/// Of a second in which nothing was done there are no times.
fn time(times: &Distribution, ns: u64) -> String {
    match times.count {
        0 => "-".into(),
        _ => quantity::time(ns as f64),
    }
}
