//! Prints a made-up report, for looking at renderings without running load:
//!
//! ```text
//! cargo run -q -p loadgen --example sample_report -- stalled | cargo run -q -p loadgen -- report -
//! ```

#[path = "../tests/report_sample/mod.rs"]
mod report_sample;

use std::process::ExitCode;

use report_sample::{CALM, STALLED, Shape};

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
        _ => {
            eprintln!("usage: sample_report calm|stalled|slower|hostile");
            return ExitCode::FAILURE;
        }
    };
    match serde_json::to_writer_pretty(std::io::stdout().lock(), &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample_report: {error}");
            ExitCode::FAILURE
        }
    }
}
