//! A line of the history: what one commit came to on one machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name and version of the format. Within one version fields are only added.
pub const FORMAT: &str = "bench.history/1";
/// The format of layer B's results.
const AB: &str = "bench.ab/1";

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// `bench.history/1`.
    pub format: String,
    /// The commit, in full.
    pub commit: String,
    /// Seconds since 1970 when it was measured.
    pub at_unix_s: u64,
    /// The machine, in words: numbers of different ones are different series.
    pub host: String,
    /// By name, such as `ab/echo/cpu_per_operation` or `instructions/relay.direct_16_kib`.
    pub values: BTreeMap<String, f64>,
}

/// What a file lacks to be a result. The operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Another format.
    #[error("is not a result of `bench ab --json` ({AB}) but {0}")]
    Format(String),
    /// Not all of it was measured.
    #[error(
        "was cut short ({0}), so it says less than it seems to: append one that ran to its end"
    )]
    CutShort(String),
    /// Something is missing.
    #[error("has no {0}")]
    Missing(&'static str),
}

impl Entry {
    /// The line of a result of layer B: what head came to.
    ///
    /// # Errors
    ///
    /// [`EntryError`].
    pub fn of_ab(report: &Value) -> Result<Self, EntryError> {
        if report["format"] != AB {
            return Err(EntryError::Format(report["format"].to_string()));
        }
        if let Some(why) = report["cut_short"].as_str() {
            return Err(EntryError::CutShort(why.to_owned()));
        }
        let missing = EntryError::Missing;
        let text = |value: &Value, name| value.as_str().map(str::to_owned).ok_or(missing(name));
        let mut values = BTreeMap::new();
        for scenario in report["scenarios"].as_array().ok_or(missing("scenarios"))? {
            let name = text(&scenario["name"], "name of a scenario")?;
            for metric in scenario["metrics"].as_array().into_iter().flatten() {
                let of = text(&metric["metric"], "name of a metric")?;
                let base = metric["base"].as_f64();
                // What was not measured is no point.
                if let Some((base, change)) = base.zip(metric["head"]["mean"].as_f64()) {
                    values.insert(format!("ab/{name}/{of}"), base * (1.0 + change));
                }
            }
        }
        Ok(Self {
            format: FORMAT.to_owned(),
            commit: text(&report["head"]["commit"], "commit of head")?,
            at_unix_s: report["done_unix_s"]
                .as_u64()
                .ok_or(missing("done_unix_s"))?,
            host: text(&report["host"], "host")?,
            values,
        })
    }

    /// Adds the counts of layer A, in the form of `bench/baseline.json`: of each path the median over
    /// the rounds.
    ///
    /// # Errors
    ///
    /// [`EntryError`].
    pub fn add_instructions(&mut self, baseline: &Value) -> Result<(), EntryError> {
        let scenarios = baseline["scenarios"].as_object();
        for (name, scenario) in scenarios.ok_or(EntryError::Missing("scenarios"))? {
            let counts = scenario["total"].as_array().into_iter().flatten();
            let mut counts: Vec<_> = counts.filter_map(Value::as_f64).collect();
            counts.sort_by(f64::total_cmp);
            if !counts.is_empty() {
                let median = crate::statistics::median(&counts);
                self.values.insert(format!("instructions/{name}"), median);
            }
        }
        Ok(())
    }
}

/// Values of one name on one machine, in the order of the lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Of what.
    pub name: String,
    /// Where.
    pub host: String,
    /// Commit and value.
    pub points: Vec<(String, f64)>,
}

/// The series of some lines, by machine and name.
pub fn series(entries: &[Entry]) -> Vec<Series> {
    let mut all: BTreeMap<(&str, &str), Vec<(String, f64)>> = BTreeMap::new();
    for entry in entries {
        for (name, value) in &entry.values {
            let of = all.entry((&entry.host, name)).or_default();
            of.push((entry.commit.clone(), *value));
        }
    }
    let series = all.into_iter().map(|((host, name), points)| Series {
        name: name.to_owned(),
        host: host.to_owned(),
        points,
    });
    series.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "format": AB,
            "host": "a machine",
            "done_unix_s": 7,
            "head": {"commit": "c0ffee"},
            "scenarios": [{"name": "echo", "metrics": [
                {"metric": "cpu_per_operation", "base": 1000.0, "head": {"mean": 0.05}},
                {"metric": "service_p99", "base": null, "head": null},
            ]}],
        })
    }

    #[test]
    fn a_line_has_what_head_came_to_and_is_read_back() {
        let mut entry = Entry::of_ab(&report()).expect("it is whole");
        let counts = json!({"scenarios": {"relay": {"total": [3, 1, 2]}, "none": {"total": []}}});
        entry.add_instructions(&counts).expect("it is whole");
        let values: Vec<_> = entry.values.clone().into_iter().collect();
        let expected = [
            ("ab/echo/cpu_per_operation", 1050.0),
            ("instructions/relay", 2.0),
        ];
        assert_eq!(
            values,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
        let line = serde_json::to_string(&entry).expect("plain data");
        assert_eq!(
            serde_json::from_str::<Entry>(&line).expect("it was written so"),
            entry
        );
    }

    #[test]
    fn what_is_no_result_is_refused() {
        let refused = Entry::of_ab(&json!({"format": "loadgen.run/2"}));
        assert!(matches!(refused, Err(EntryError::Format(format)) if format.contains("loadgen")));
        let mut without = report();
        without["head"] = Value::Null;
        assert_eq!(
            Entry::of_ab(&without),
            Err(EntryError::Missing("commit of head"))
        );
        let mut cut = report();
        cut["cut_short"] = json!("interrupted");
        let refused = Entry::of_ab(&cut);
        assert_eq!(refused, Err(EntryError::CutShort("interrupted".to_owned())));
        cut["cut_short"] = Value::Null;
        assert!(Entry::of_ab(&cut).is_ok());
        let mut entry = Entry::of_ab(&report()).expect("it is whole");
        assert!(entry.add_instructions(&json!({})).is_err());
    }

    #[test]
    fn machines_are_different_series() {
        let one = Entry::of_ab(&report()).expect("it is whole");
        let other = Entry {
            host: "b machine".into(),
            ..one.clone()
        };
        let all = series(&[one.clone(), other, one]);
        let lengths: Vec<_> = all
            .iter()
            .map(|series| (series.host.as_str(), series.points.len()))
            .collect();
        assert_eq!(lengths, [("a machine", 2), ("b machine", 1)]);
    }
}
