//! What was measured, and whether it is what was promised.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::tool::{Reading, Tool};
use super::work::{Amount, Work};
use crate::host;
use crate::promise::{self, Bound, Outcome, Promise};
use crate::statistics::median;
use crate::turns::Effort;

/// What the numbers do not show by themselves.
const NOTES: [&str; 7] = [
    "CPU of the generator, user and kernel, from its start to its end; generator and nginx on a core each.",
    "Nobody verifies the certificate but \"loadgen, verifying\": chain, name and signature.",
    "ab, hey and h2load send a request on each connection, loadgen and openssl s_time none.",
    "h2load opens all its connections at once; it has no other way to make many.",
    "wrk has no rate; a script has each connection wait before each request, which comes to the rate.",
    "\"loadgen, without TLS\" does the same over plain HTTP: nearly all of that is the kernel's TCP, which every generator pays.",
    "All but loadgen use Debian's OpenSSL, hey Go's TLS.",
];

/// What an idle TLS connection may cost the generator.
const IDLE_BYTES_MOST: f64 = 4096.0;
/// How late the generator may be at the 99th percentile, where nothing else runs on its core.
const LATE_MICROS_MOST: f64 = 20.0;

struct Series {
    work: Work,
    tool: Tool,
    readings: Vec<Reading>,
}

/// A whole run.
pub struct Comparison {
    /// How much was measured.
    pub effort: Effort,
    amount: Amount,
    series: Vec<Series>,
}

impl Comparison {
    /// Nothing measured yet.
    pub fn new(rounds: u32, amount: Amount) -> Self {
        Self {
            effort: Effort::of(rounds),
            amount,
            series: Vec::new(),
        }
    }

    /// What `tool` found in one round.
    pub fn add(&mut self, work: Work, tool: Tool, reading: Reading) {
        let known = |series: &&mut Series| series.work == work && series.tool == tool;
        match self.series.iter_mut().find(known) {
            Some(series) => series.readings.push(reading),
            None => self.series.push(Series {
                work,
                tool,
                readings: vec![reading],
            }),
        }
    }

    /// Sorted.
    fn values(&self, work: Work, tool: Tool, take: fn(&Reading) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self
            .series
            .iter()
            .filter(|series| series.work == work && series.tool == tool)
            .flat_map(|series| series.readings.iter().map(take))
            .collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn cost(&self, work: Work, tool: Tool) -> f64 {
        median(&self.values(work, tool, |reading| reading.cost))
    }

    /// Whether everybody has done it: before that there is nothing to compare.
    fn is_measured(&self, work: Work) -> bool {
        let has_done = |tool: &Tool| {
            let mut series = self.series.iter();
            series.any(|series| series.work == work && series.tool == *tool)
        };
        Tool::of(work).iter().all(has_done)
    }

    fn measured(&self) -> impl Iterator<Item = Work> {
        let all = Work::ALL.into_iter();
        all.filter(|work| self.is_measured(*work))
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.measured().next().is_none()
    }

    fn judged(&self) -> Vec<Promise> {
        let mut judged = Vec::new();
        for work in self.measured() {
            let beside = |own: Tool, other: Tool| self.cost(work, other) / self.cost(work, own);
            let mut hold = |words: &str, found: f64, wanted: f64| {
                judged.push(Promise {
                    words: format!("{}: {words}", work.name()),
                    found,
                    bound: Bound::AtLeast(wanted),
                });
            };
            match work {
                Work::Requests => {
                    let rate = |tool| median(&self.values(work, tool, |reading| reading.rate));
                    hold(
                        "per core-second, × wrk",
                        beside(Tool::Loadgen, Tool::Wrk),
                        1.3,
                    );
                    hold(
                        "per core-second, × h2load",
                        beside(Tool::Loadgen, Tool::H2load),
                        2.0,
                    );
                    hold(
                        "out of the target, × wrk",
                        rate(Tool::Loadgen) / rate(Tool::Wrk),
                        0.9,
                    );
                }
                Work::Handshakes => {
                    let others = [Tool::Openssl, Tool::Ab, Tool::Hey, Tool::H2load];
                    let best = |own: Tool| {
                        let ratios = others.into_iter().map(|other| beside(own, other));
                        ratios.fold(f64::INFINITY, f64::min)
                    };
                    hold(
                        "per core-second, × the best other",
                        best(Tool::Loadgen),
                        2.0,
                    );
                    let words = "per core-second, verifying, × the best other";
                    hold(words, best(Tool::LoadgenVerifying), 1.5);
                }
                Work::Bulk => hold(
                    "GB per CPU-second, × curl",
                    beside(Tool::Loadgen, Tool::Curl),
                    2.0,
                ),
                Work::Idle => {
                    let bytes = self.cost(work, Tool::Loadgen);
                    hold("4096 bytes, × a connection's", IDLE_BYTES_MOST / bytes, 1.0);
                }
                Work::Timer => {
                    let micros = self.cost(work, Tool::Loadgen);
                    hold(
                        "20 µs, × what is late at p99",
                        LATE_MICROS_MOST / micros,
                        1.0,
                    );
                }
                Work::Latency => hold(
                    "wrk's median, × loadgen's",
                    beside(Tool::Loadgen, Tool::Wrk),
                    1.0,
                ),
            }
        }
        judged
    }

    /// How far ahead a generator could be that pays for TCP and nothing for TLS: what is wanted beyond it cannot be had
    /// on this machine. Says, beside it, whom.
    fn ceilings(&self) -> Vec<(String, f64)> {
        let pairs = [
            (Work::Requests, Tool::Wrk),
            (Work::Requests, Tool::H2load),
            (Work::Bulk, Tool::Curl),
        ];
        let measured = pairs
            .into_iter()
            .filter(|(work, _)| self.is_measured(*work));
        measured
            .map(|(work, other)| {
                let words = format!("{}: × {}", work.name(), other.name());
                let ceiling = self.cost(work, other) / self.cost(work, Tool::LoadgenPlain);
                (words, ceiling)
            })
            .collect()
    }

    /// Whether each promise was held.
    pub fn outcome(&self) -> Outcome {
        promise::outcome(&self.judged())
    }

    /// Markdown tables, and a line for each promise.
    pub fn table(&self) -> String {
        let mut text = format!("\n{}\n", host::describe());
        for work in self.measured() {
            let _ = writeln!(text, "\n{}: {}\n", work.name(), work.describe());
            let _ = writeln!(text, "| | {} | × loadgen | per second |", work.unit());
            text.push_str("|---|---:|---:|---:|\n");
            for tool in Tool::of(work) {
                let costs = self.values(work, *tool, |reading| reading.cost);
                let rate = median(&self.values(work, *tool, |reading| reading.rate));
                let (low, high) = (costs[0], costs[costs.len() - 1]);
                let digits = if work == Work::Bulk { 3 } else { 1 };
                let _ = writeln!(
                    text,
                    "| {} | {:.digits$} ({low:.digits$}–{high:.digits$}) | {:.2} | {rate:.0} |",
                    tool.name(),
                    median(&costs),
                    self.cost(work, *tool) / self.cost(work, Tool::Loadgen),
                );
            }
        }
        let _ = writeln!(text, "\n{} (lowest–highest).", self.effort.words());
        for note in NOTES {
            let _ = writeln!(text, "{note}");
        }
        text.push('\n');
        text.extend(self.judged().iter().map(Promise::line));
        for (words, ceiling) in self.ceilings() {
            let _ = writeln!(
                text,
                "{words}: {ceiling:.2} is what TLS for nothing would give"
            );
        }
        if self.amount == Amount::Quick {
            text.push_str("A --quick run: too little work for numbers to be quoted.\n");
        }
        text
    }

    /// The same, with every sample.
    pub fn json(&self) -> Value {
        let series: Vec<Value> = self
            .series
            .iter()
            .map(|series| {
                let (work, tool) = (series.work, series.tool);
                json!({
                    "work": work.name(),
                    "describe": work.describe(),
                    "tool": tool.name(),
                    "unit": work.unit(),
                    "median": self.cost(work, tool),
                    "samples": series.readings.iter().map(|one| one.cost).collect::<Vec<_>>(),
                    "per_second": series.readings.iter().map(|one| one.rate).collect::<Vec<_>>(),
                })
            })
            .collect();
        let targets: Vec<Value> = self.judged().iter().map(Promise::json).collect();
        let (rounds, cut_short) = self.effort.json();
        json!({
            "measurement": "loadgen",
            "quick": self.amount == Amount::Quick,
            "rounds": rounds,
            "cut_short": cut_short,
            "host": host::describe(),
            "notes": NOTES,
            "series": series,
            "targets": targets,
            "ceilings": self.ceilings().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BenchError;

    fn comparison(wrk: f64, h2load: f64, rate: f64) -> Comparison {
        let mut comparison = Comparison::new(3, Amount::Full);
        for (tool, cost, rate) in [
            (Tool::Loadgen, 10.0, rate),
            (Tool::Wrk, wrk, 100.0),
            (Tool::H2load, h2load, 1.0),
            (Tool::LoadgenPlain, 8.0, 1.0),
        ] {
            // The median is not moved by one that is far out.
            for cost in [cost, 1000.0, cost] {
                comparison.add(Work::Requests, tool, Reading { cost, rate });
            }
        }
        comparison
    }

    #[test]
    fn each_promise_can_be_missed() {
        assert_eq!(comparison(13.0, 20.0, 90.0).outcome(), Outcome::Held);
        assert_eq!(comparison(12.9, 20.0, 90.0).outcome(), Outcome::Missed);
        assert_eq!(comparison(13.0, 19.9, 90.0).outcome(), Outcome::Missed);
        assert_eq!(comparison(13.0, 20.0, 89.9).outcome(), Outcome::Missed);
        let table = comparison(12.9, 20.0, 90.0).table();
        assert!(table.contains("requests: per core-second, × wrk: 1.29, at least 1.3: MISSED"));
        assert_eq!(table.matches("MISSED").count(), 1);
        assert!(table.contains("requests: × h2load: 2.50 is what TLS for nothing would give"));
    }

    #[test]
    fn work_that_not_everybody_has_done_is_not_compared() {
        let mut cut = comparison(13.0, 20.0, 90.0);
        let reading = || Reading {
            cost: 0.4,
            rate: 1.0,
        };
        cut.add(Work::Bulk, Tool::Curl, reading());
        cut.effort.cut_short(&BenchError::Interrupted);
        let table = cut.table();
        assert!(
            table.contains("\nrequests: ") && !table.contains("\nbulk: "),
            "{table}"
        );
        assert!(table.contains("CUT SHORT (interrupted)"), "{table}");
        let json = cut.json();
        assert_eq!(json["cut_short"], "interrupted");
        assert_eq!(json["series"][4]["samples"], json!([0.4]), "it is stored");
        let mut none = Comparison::new(3, Amount::Full);
        none.add(Work::Bulk, Tool::Curl, reading());
        assert!(none.is_empty() && !cut.is_empty());
    }

    #[test]
    fn the_best_of_the_others_is_what_handshakes_are_held_to() {
        let mut comparison = Comparison::new(3, Amount::Full);
        for (tool, cost) in [
            (Tool::Loadgen, 10.0),
            (Tool::LoadgenVerifying, 15.0),
            (Tool::Openssl, 40.0),
            (Tool::Ab, 21.0),
            (Tool::Hey, 30.0),
            (Tool::H2load, 50.0),
        ] {
            comparison.add(Work::Handshakes, tool, Reading { cost, rate: 1.0 });
        }
        let found: Vec<_> = comparison.judged().iter().map(|one| one.found).collect();
        assert_eq!(found, [2.1, 1.4]);
        assert_eq!(comparison.outcome(), Outcome::Missed);
    }
}
