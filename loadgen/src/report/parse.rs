//! Reading a stored report.

use serde::Deserialize;
use thiserror::Error;

use super::model::Report;

/// The family of formats.
const FAMILY: &str = "loadgen.run";

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 2;

/// The name and version of the format.
pub fn format() -> String {
    format!("{FAMILY}/{VERSION}")
}

/// The schema of a run within another report: that of the runs, which has a file of its own.
pub fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "$ref": format!("run-{VERSION}.json") })
}

/// A stored report that cannot be used. The operator's fault.
#[derive(Debug, Error)]
pub enum ParseError {
    /// It is no JSON, or no report of ours.
    #[error("this is no report of loadgen: {0}; give a file that `loadgen ... --json FILE` wrote")]
    NotAReport(serde_json::Error),
    /// It is a JSON file of something else.
    #[error(
        "this is no report of loadgen: its format is {0}; give a file that `loadgen ... --json FILE` wrote"
    )]
    Foreign(String),
    /// It was written by a newer loadgen.
    #[error(
        "the report has format {FAMILY}/{0} and this loadgen reads {FAMILY}/{VERSION}: use the loadgen that wrote it, or a newer one"
    )]
    TooNew(u32),
    /// It was written by an older loadgen.
    #[error(
        "the report has format {FAMILY}/{0} and this loadgen reads {FAMILY}/{VERSION}: repeat the run, or use an older loadgen"
    )]
    TooOld(u32),
    /// Its version is right and its content is not.
    #[error("the report is damaged: {0}")]
    Damaged(serde_json::Error),
}

/// Reads a stored report.
///
/// # Errors
///
/// When it is none, damaged, or of another version.
pub fn parse(text: &str) -> Result<Report, ParseError> {
    #[derive(Deserialize)]
    struct Header {
        format: String,
    }
    // The version decides how the rest is read, so it is looked at first.
    let Header { format } = serde_json::from_str(text).map_err(ParseError::NotAReport)?;
    let version = match format.split_once('/') {
        Some((FAMILY, version)) => version.parse().ok(),
        _ => None,
    };
    match version {
        Some(VERSION) => serde_json::from_str(text).map_err(ParseError::Damaged),
        Some(newer) if newer > VERSION => Err(ParseError::TooNew(newer)),
        Some(older) => Err(ParseError::TooOld(older)),
        None => Err(ParseError::Foreign(format)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_and_other_files_are_refused_with_what_to_do() {
        for (text, said) in [
            (
                r#"{"format":"loadgen.run/3"}"#,
                "use the loadgen that wrote it, or a newer one",
            ),
            (r#"{"format":"loadgen.run/1"}"#, "repeat the run"),
            (r#"{"format":"loadgen.run/x"}"#, "its format is"),
            (r#"{"format":"bench.peers/2"}"#, "its format is bench"),
            (r#"{"format":"loadgen.run/2"}"#, "damaged: missing field"),
            ("{}", "no report of loadgen"),
            ("hello", "no report of loadgen"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_types() {
        crate::report::schema::assert_stored::<Report>("run-2.json");
    }
}
