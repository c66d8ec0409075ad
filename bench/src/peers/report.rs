//! What was measured, as tables for people and as JSON for programs, and whether it is what was promised.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::load::Sample;
use super::proxy::{Proxy, Setup};
use super::work::{Amount, Work};
use crate::host;
use crate::promise::{self, Bound, Outcome, Promise};
use crate::statistics::median;
use crate::turns::Effort;

/// What the numbers do not show by themselves.
pub const NOTES: [&str; 8] = [
    "CPU of the proxy, all threads and workers, from /proc/PID/task/*/schedstat; ksoftirqd is outside it.",
    "Proxy on one core, load generator and origin on another, but for latency and flood, where the origin is on the proxy's; a fresh proxy process for each sample.",
    "Connecting is in it: 64 handshakes are some two percent of the echoes, 8 nothing of the transfers.",
    "TLS 1.3, TLS_AES_256_GCM_SHA384, ECDSA P-256 certificate but for full-rsa; plain TCP to the origin but for reencrypt; loopback.",
    "nginx and hitch end both directions when the client ends one, so that the answer to a whole upload does not come back: they do none.",
    "All but sealgate are Debian's, with Debian's OpenSSL; builds of haproxy and nginx with AWS-LC do better.",
    "\"sealgate, opening nothing\" relays the client's TLS to an origin that ends it: the same ring, no cryptography.",
    "Of a flood's rows, \"no budget\" has limits.handshakes_per_turn = 1024, as good as none; \"no flood\" is the same echo with nothing beside it.",
];

/// The samples of one proxy at one kind of work.
pub struct Series {
    /// The work.
    pub work: Work,
    /// Index into the proxies.
    pub proxy: usize,
    /// One a round.
    pub samples: Vec<Sample>,
}

impl Series {
    /// No samples yet.
    pub fn new(work: Work, proxy: usize) -> Self {
        Self {
            work,
            proxy,
            samples: Vec::new(),
        }
    }

    /// Sorted.
    fn values(&self, take: impl Fn(&Sample) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.samples.iter().map(take).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn cost(&self) -> f64 {
        median(&self.values(|sample| sample.cost))
    }

    /// Median, least and most.
    pub fn costs(&self) -> [f64; 3] {
        let costs = self.values(|sample| sample.cost);
        [median(&costs), costs[0], costs[costs.len() - 1]]
    }
}

/// A whole run.
pub struct Comparison {
    proxies: Vec<Proxy>,
    series: Vec<Series>,
    effort: Effort,
    amount: Amount,
    openssl: String,
}

/// What Sealgate's cost may be of another's, or in its unit.
fn promises(work: Work) -> Vec<(Option<Setup>, f64)> {
    use Setup::{Floor, HaproxyDefault, Nginx, NoBudget};
    match work {
        Work::Down8 | Work::Up8 => vec![(Some(Floor), 1.45), (Some(HaproxyDefault), 0.5)],
        Work::Reencrypt => vec![(Some(HaproxyDefault), 0.5)],
        Work::Echo100 | Work::Echo4k => vec![(Some(Floor), 1.4), (Some(HaproxyDefault), 0.7)],
        Work::Full => vec![(Some(HaproxyDefault), 0.45)],
        Work::Latency => vec![(Some(HaproxyDefault), 1.0), (Some(Nginx), 1.0)],
        Work::Flood => vec![
            (Some(NoBudget), 1.0),
            (Some(HaproxyDefault), 1.0),
            (Some(Nginx), 1.0),
        ],
        Work::Idle => vec![(None, 5.0 * 1024.0)],
        Work::IdleHttp => vec![(None, 3.0 * 1024.0)],
        _ => Vec::new(),
    }
}

impl Comparison {
    /// The first proxy is what the others are compared with; it does every kind of work. Work that not everybody has done
    /// is left out.
    pub fn new(
        proxies: Vec<Proxy>,
        mut series: Vec<Series>,
        effort: Effort,
        amount: Amount,
    ) -> Self {
        let undone = series.iter().filter(|series| series.samples.is_empty());
        let undone: Vec<Work> = undone.map(|series| series.work).collect();
        series.retain(|series| !undone.contains(&series.work));
        Self {
            proxies,
            series,
            effort,
            amount,
            openssl: host::version("openssl", "version", "OpenSSL"),
        }
    }

    /// Those that are compared.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// How many rounds, in words, and how much work.
    pub fn effort(&self) -> (String, Amount) {
        (self.effort.words(), self.amount)
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The kinds of work in the order in which they were done, each with its series.
    pub fn works(&self) -> impl Iterator<Item = (Work, Vec<&Series>)> {
        let mut works: Vec<Work> = self.series.iter().map(|series| series.work).collect();
        works.dedup();
        works.into_iter().map(|work| {
            let of = self.series.iter().filter(move |series| series.work == work);
            let mut of: Vec<&Series> = of.collect();
            of.sort_by_key(|series| series.proxy);
            (work, of)
        })
    }

    fn judged(&self) -> Vec<Promise> {
        let mut judged = Vec::new();
        for (work, series) in self.works() {
            let of = |setup| {
                let mut series = series.iter();
                series.find(|series| self.proxies[series.proxy].setup == setup)
            };
            let Some(own) = of(Setup::Sealgate).map(|series| series.cost()) else {
                continue;
            };
            for (other, at_most) in promises(work) {
                let (words, found) = match other {
                    None => (work.unit().to_owned(), own),
                    Some(other) => {
                        let Some(other) = of(other) else { continue };
                        let name = self.proxies[other.proxy].name;
                        (format!("× {name}"), own / other.cost())
                    }
                };
                judged.push(Promise {
                    words: format!("{}: {words}", work.name()),
                    found,
                    bound: Bound::AtMost(at_most),
                });
            }
        }
        judged
    }

    /// Whether each promise was held.
    pub fn outcome(&self) -> Outcome {
        promise::outcome(&self.judged())
    }

    /// Markdown, so that it can be pasted where it is read.
    pub fn table(&self) -> String {
        let mut text = format!("\n{}\n", host::describe());
        for proxy in &self.proxies {
            let _ = writeln!(text, "{}: {}", proxy.name, proxy.version);
        }
        let _ = writeln!(text, "OpenSSL of the system: {}", self.openssl);
        for (work, series) in self.works() {
            let digits = work.digits();
            let own = series[0].cost();
            let _ = writeln!(text, "\n{}: {}\n", work.name(), work.describe());
            let _ = writeln!(
                text,
                "| | {} | × sealgate | share of its core |",
                work.unit()
            );
            text.push_str("|---|---:|---:|---:|\n");
            for series in series {
                let [cost, low, high] = series.costs();
                let _ = writeln!(
                    text,
                    "| {} | {cost:.digits$} ({low:.digits$}–{high:.digits$}) | {:.2} | {:.0} % |",
                    self.proxies[series.proxy].name,
                    cost / own,
                    median(&series.values(|sample| sample.busy)) * 100.0,
                );
            }
        }
        let _ = writeln!(text, "\n{} (lowest–highest).", self.effort.words());
        for note in NOTES {
            let _ = writeln!(text, "{note}");
        }
        text.push('\n');
        text.extend(self.judged().iter().map(Promise::line));
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
                let samples: Vec<f64> = series.samples.iter().map(|sample| sample.cost).collect();
                let doubts: Vec<&[String]> = series
                    .samples
                    .iter()
                    .map(|sample| &sample.doubts[..])
                    .collect();
                json!({
                    "work": series.work.name(),
                    "describe": series.work.describe(),
                    "unit": series.work.unit(),
                    "proxy": self.proxies[series.proxy].name,
                    "median": series.cost(),
                    "samples": samples,
                    "median_share_of_core": median(&series.values(|sample| sample.busy)),
                    "doubts_of_loadgen": doubts,
                })
            })
            .collect();
        let proxies: Vec<Value> = self
            .proxies
            .iter()
            .map(|proxy| json!({ "name": proxy.name, "version": proxy.version }))
            .collect();
        let targets: Vec<Value> = self.judged().iter().map(Promise::json).collect();
        let (rounds, cut_short) = self.effort.json();
        json!({
            "measurement": "peers",
            "quick": self.amount == Amount::Quick,
            "rounds": rounds,
            "cut_short": cut_short,
            "host": host::describe(),
            "openssl": self.openssl,
            "notes": NOTES,
            "proxies": proxies,
            "series": series,
            "targets": targets,
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::error::BenchError;

    /// Two kinds of work; haproxy costs twice as much as we do.
    pub fn sample(own: f64) -> Comparison {
        let proxies = vec![
            Proxy::named("sealgate", "sealgate 1", Setup::Sealgate),
            Proxy::named("other", "other <2>", Setup::HaproxyDefault),
        ];
        let mut series = Vec::new();
        for work in [Work::Reencrypt, Work::Idle] {
            for (proxy, cost) in [(1, 2.0), (0, own)] {
                let mut one = Series::new(work, proxy);
                // The median is not moved by one that is far out.
                one.samples = [cost, cost * 3.0, cost]
                    .map(|cost| Sample {
                        cost,
                        busy: 0.5,
                        doubts: Vec::new(),
                    })
                    .to_vec();
                series.push(one);
            }
        }
        Comparison::new(proxies, series, Effort::of(3), Amount::Quick)
    }

    #[test]
    fn each_promise_can_be_missed() {
        let held = sample(1.0);
        assert_eq!(held.outcome(), Outcome::Held);
        let table = held.table();
        assert!(
            table.contains("| other | 2.000 (2.000–6.000) | 2.00 | 50 % |"),
            "{table}"
        );
        assert!(
            table.contains("reencrypt: × other: 0.50, at most 0.5: held"),
            "{table}"
        );
        let missed = sample(1.01);
        assert_eq!(missed.outcome(), Outcome::Missed);
        assert_eq!(missed.table().matches("MISSED").count(), 1);
        let json = missed.json();
        assert_eq!(json["targets"][0]["held"], false);
        assert_eq!(json["targets"][1]["held"], true);
        assert_eq!(json["series"][0]["median"], 2.0);
    }

    #[test]
    fn work_that_not_everybody_has_done_is_left_out() {
        let Comparison {
            proxies,
            mut series,
            ..
        } = sample(1.0);
        // Sealgate is the last one in the first round, so that it is missing where a run is cut short.
        series.push(Series::new(Work::Echo100, 0));
        let mut only_other = Series::new(Work::Echo100, 1);
        only_other.samples.clone_from(&series[0].samples);
        series.push(only_other);
        let mut effort = Effort::of(3);
        effort.cut_short(&BenchError::Interrupted);
        let cut = Comparison::new(proxies, series, effort, Amount::Full);
        let works: Vec<Work> = cut.works().map(|(work, _)| work).collect();
        assert_eq!(works, [Work::Reencrypt, Work::Idle]);
        assert!(cut.table().contains("CUT SHORT (interrupted)"));
        assert_eq!(cut.json()["cut_short"], "interrupted");
        let nothing = Comparison::new(
            Vec::new(),
            vec![Series::new(Work::Full, 0)],
            Effort::of(3),
            Amount::Full,
        );
        assert!(nothing.is_empty());
    }
}
