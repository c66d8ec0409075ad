//! Prints a made-up report, for looking at renderings without running load:
//!
//! ```text
//! cargo run -q -p loadgen --example sample_report -- stalled | cargo run -q -p loadgen -- report -
//! ```
//!
//! A sweep has no other form once it is over, so `sweep` prints its page.

#[path = "../tests/report_sample/mod.rs"]
mod report_sample;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use loadgen::report::html;

use report_sample::{CALM, STALLED, Shape, agents::with_agents, conns::conns, sweep::sweep};

fn main() -> ExitCode {
    let report = match std::env::args().nth(1).as_deref() {
        Some("calm") => report_sample::report(CALM),
        Some("stalled") => report_sample::report(STALLED),
        Some("slower") => report_sample::report(Shape {
            slowness: 1.5,
            seed: 3,
            ..CALM
        }),
        Some("hostile") => report_sample::hostile(),
        Some("agents") => with_agents(report_sample::report(CALM)),
        Some("conns") => conns(),
        Some("sweep") => return print(&html::sweep::page(&sweep()).unwrap_or_default()),
        _ => {
            eprintln!("usage: sample_report calm|stalled|slower|hostile|agents|conns|sweep");
            return ExitCode::FAILURE;
        }
    };
    print(&serde_json::to_string_pretty(&report).unwrap_or_default())
}

fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample_report: {error}");
            ExitCode::FAILURE
        }
    }
}
