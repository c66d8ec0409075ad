//! What was measured, and whether it is what was promised.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Work;
use crate::host;
use crate::promise::Outcome;
use crate::statistics::median;
use crate::turns::Effort;

/// How much more than bare AES the sealing and opening itself may cost.
const AES_SHARE: f64 = 1.3;

/// The costs of all rounds.
pub struct Comparison {
    len_bytes: u64,
    /// How much was measured.
    pub effort: Effort,
    /// Seconds, in the order of [`Work::ALL`].
    costs: [Vec<f64>; Work::ALL.len()],
}

/// What a command cost, and what it may.
struct Judged {
    work: Work,
    /// What one takes of the rounds.
    of: &'static str,
    cost: f64,
    allowed: f64,
}

impl Comparison {
    /// Of a file of `len_bytes`, in so many rounds.
    pub fn new(len_bytes: u64, rounds: u32) -> Self {
        Self {
            len_bytes,
            effort: Effort::of(rounds),
            costs: Default::default(),
        }
    }

    /// One round's cost of `work`.
    pub fn add(&mut self, work: Work, cost: Duration) {
        let costs = &mut self.costs[work as usize];
        costs.push(cost.as_secs_f64());
        costs.sort_by(f64::total_cmp);
    }

    /// Whether there is work that was never done, and so nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.costs.iter().any(Vec::is_empty)
    }

    fn judged(&self) -> Vec<Judged> {
        let least: fn(&[f64]) -> f64 = |sorted| sorted[0];
        let takes = [("median", median as fn(&[f64]) -> f64), ("least", least)];
        let mut judged = Vec::new();
        for (work, copy) in [
            (Work::Seal, Work::CopyFile),
            (Work::Open, Work::CopyMessage),
        ] {
            for (of, take) in takes {
                let cost = |work: Work| take(&self.costs[work as usize]);
                judged.push(Judged {
                    work,
                    of,
                    cost: cost(work),
                    allowed: cost(copy) + AES_SHARE * cost(Work::Aes),
                });
            }
        }
        judged
    }

    /// Whether each cost is within what it may be.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(self.judged().iter().all(|one| one.cost <= one.allowed))
    }

    /// A Markdown table, and a line for each target.
    pub fn table(&self, directory: &Path) -> String {
        let mut text = format!("\n{}\n", host::describe());
        let (len, place) = (self.len_bytes, directory.display());
        let effort = self.effort.words();
        let _ = writeln!(text, "A file of {len} bytes in {place}. {effort}.\n");
        text.push_str("| | CPU-s: median | least | most |\n|---|---:|---:|---:|\n");
        for (work, costs) in Work::ALL.iter().zip(&self.costs) {
            let (least, most) = (costs[0], costs[costs.len() - 1]);
            let median = median(costs);
            let _ = writeln!(
                text,
                "| {} | {median:.3} | {least:.3} | {most:.3} |",
                work.name()
            );
        }
        text.push('\n');
        for judged in self.judged() {
            let verdict = match judged.cost <= judged.allowed {
                true => "held",
                false => "MISSED",
            };
            let _ = writeln!(
                text,
                "{} ({}): {:.3} of {:.3} allowed (cp + {AES_SHARE} × AES): {verdict}",
                judged.work.name(),
                judged.of,
                judged.cost,
                judged.allowed,
            );
        }
        text
    }

    /// The same, with every sample.
    pub fn json(&self) -> Value {
        let costs: serde_json::Map<String, Value> = Work::ALL
            .iter()
            .zip(&self.costs)
            .map(|(work, costs)| (work.name().to_owned(), costs.clone().into()))
            .collect();
        let targets: Vec<Value> = self
            .judged()
            .iter()
            .map(|judged| {
                json!({
                    "command": judged.work.name(),
                    "of": judged.of,
                    "cpu_s": judged.cost,
                    "allowed_cpu_s": judged.allowed,
                    "held": judged.cost <= judged.allowed,
                })
            })
            .collect();
        let (rounds, cut_short) = self.effort.json();
        json!({
            "measurement": "files",
            "rounds": rounds,
            "cut_short": cut_short,
            "host": host::describe(),
            "length_bytes": self.len_bytes,
            "cpu_s": costs,
            "targets": targets,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(seal_ms: [u64; 3]) -> Comparison {
        let mut comparison = Comparison::new(1, 3);
        for seal in seal_ms {
            for (work, ms) in [
                (Work::CopyFile, 300),
                (Work::Seal, seal),
                (Work::CopyMessage, 300),
                (Work::Open, 430),
                (Work::Aes, 100),
            ] {
                comparison.add(work, Duration::from_millis(ms));
            }
        }
        comparison
    }

    #[test]
    fn median_and_least_are_both_held_to_the_target() {
        assert_eq!(comparison([900, 430, 429]).outcome(), Outcome::Held);
        assert_eq!(comparison([431, 431, 200]).outcome(), Outcome::Missed);
        assert_eq!(comparison([431, 431, 431]).outcome(), Outcome::Missed);
        let table = comparison([431, 431, 200]).table(Path::new("here"));
        assert!(table.contains("sealgate seal FILE (median): 0.431 of 0.430 allowed"));
        assert_eq!(table.matches("MISSED").count(), 1);
    }
}
