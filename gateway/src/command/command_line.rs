//! A command line that is none: said as every other error is, in JSON where that was asked for.

use std::env;
use std::io::{Write, stderr};
use std::process::ExitCode;

use serde_json::json;

use super::shown;

/// The status of every command for this.
const STATUS: u8 = 2;

/// Says what is wrong, or shows the help that was asked for; gives the exit status.
#[must_use]
pub fn refused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody is left to be helped where this fails.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // What was parsed is not told, so the words are looked at.
    if env::args_os().any(|argument| argument == "--json") {
        let words = error.to_string();
        let words = words.strip_prefix("error: ").unwrap_or(&words).trim_end();
        let said = json!({ "error": words, "exit_status": STATUS });
        let _ = writeln!(stderr(), "{}", shown::json(&said));
    } else {
        let _ = error.print();
    }
    ExitCode::from(STATUS)
}
