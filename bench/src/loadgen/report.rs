//! What is read of loadgen's reports, whatever load they are of. Pure.

use serde_json::Value;
use thiserror::Error;

/// The report of a run.
pub const RUN: &str = "loadgen.run/2";
/// The report of two or three targets beside each other.
pub const SLICES: &str = "loadgen.ab/1";

/// What is wrong with a report.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It is of another version, or none at all.
    #[error("the report's format is {found}, and not {wanted}")]
    Format {
        /// What is read here.
        wanted: &'static str,
        /// What it says it is.
        found: String,
    },
    /// It has not got this number.
    #[error("loadgen's report has no {0}")]
    Lacks(&'static str),
}

/// A report of a version that is read here.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a>(&'a Value);

impl<'a> Report<'a> {
    /// Of this format.
    ///
    /// # Errors
    ///
    /// [`Unreadable::Format`].
    pub fn of(value: &'a Value, wanted: &'static str) -> Result<Self, Unreadable> {
        match &value["format"] {
            format if format == wanted => Ok(Self(value)),
            format => Err(Unreadable::Format {
                wanted,
                found: format.to_string(),
            }),
        }
    }

    /// A number that has to be there, by JSON pointer.
    ///
    /// # Errors
    ///
    /// [`Unreadable::Lacks`].
    pub fn number(self, pointer: &'static str) -> Result<f64, Unreadable> {
        let number = self.0.pointer(pointer).and_then(Value::as_f64);
        number.ok_or(Unreadable::Lacks(pointer))
    }

    /// A count, by JSON pointer; none is 0.
    pub fn count(self, pointer: &str) -> u64 {
        let count = self.0.pointer(pointer).and_then(Value::as_u64);
        count.unwrap_or(0)
    }

    /// What the first failure said.
    pub fn why(self) -> &'a str {
        let said = self.0["errors"][0]["samples"][0].as_str();
        said.unwrap_or("no reason was told")
    }

    /// Heap and stacks of the target for each held connection; none where they were too few to tell.
    pub fn bytes_per_connection(self) -> Option<f64> {
        let slope = &self.0["conns"]["target"]["anonymous"]["bytes_per_connection"];
        slope.as_f64().filter(|bytes| *bytes > 0.0)
    }

    /// What was negotiated: version, suite, group.
    pub fn negotiated(self) -> String {
        let only = |name: &str| {
            let names = self.0["tls"][name].as_object();
            let names = names.into_iter().flat_map(|names| names.keys());
            names.cloned().collect::<Vec<_>>().join("|")
        };
        ["version", "suite", "group"].map(only).join(" ")
    }

    /// Codes of the reasons in its verdict, each once.
    pub fn doubts(self) -> Vec<String> {
        let reasons = self.0["verdict"]["reasons"].as_array();
        let codes = reasons.into_iter().flatten();
        let codes = codes.filter_map(|reason| Some(reason["code"].as_str()?.to_owned()));
        let mut codes: Vec<_> = codes.collect();
        codes.sort();
        codes.dedup();
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_of_another_version_is_not_read() {
        for value in [json!({"format": "loadgen.run/3"}), json!({}), Value::Null] {
            let refused = Report::of(&value, RUN).map(drop);
            let found = value["format"].to_string();
            let wanted = RUN;
            assert_eq!(refused, Err(Unreadable::Format { wanted, found }));
        }
    }

    #[test]
    fn numbers_reasons_and_names_are_found_or_said_to_lack() {
        let value = json!({
            "format": RUN,
            "timing": {"elapsed_s": 2.5},
            "totals": {"operations": {"failed": 3}},
            "errors": [{"samples": ["refused", "closed"]}],
            "tls": {"version": {"TLSv1.3": 3}, "suite": {"S": 1}, "group": {"A": 1, "B": 1}},
            "conns": {"target": {"anonymous": {"bytes_per_connection": 3000.0}}},
            "verdict": {"reasons": [{"code": "stolen"}, {"code": "short"}, {"code": "stolen"}]},
        });
        let report = Report::of(&value, RUN).expect("this version");
        assert_eq!(report.number("/timing/elapsed_s"), Ok(2.5));
        assert_eq!(
            report.number("/timing/warmup_s"),
            Err(Unreadable::Lacks("/timing/warmup_s"))
        );
        assert_eq!(report.count("/totals/operations/failed"), 3);
        assert_eq!(report.count("/totals/operations/unsent"), 0);
        assert_eq!(report.why(), "refused");
        assert_eq!(report.negotiated(), "TLSv1.3 S A|B");
        assert_eq!(report.bytes_per_connection(), Some(3000.0));
        assert_eq!(report.doubts(), ["short", "stolen"], "each once");
        let shrank = json!({"format": RUN, "conns": {"target": {"anonymous": {"bytes_per_connection": -1.0}}}});
        let report = Report::of(&shrank, RUN).expect("this version");
        assert_eq!(report.bytes_per_connection(), None);
        assert_eq!(
            (report.why(), report.doubts().len()),
            ("no reason was told", 0)
        );
    }
}
