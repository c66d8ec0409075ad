//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::load::{Kind, Sample};
use super::proxy::Proxy;
use crate::host;
use crate::statistics::median;

/// What the numbers do not show by themselves.
pub const NOTES: [&str; 6] = [
    "CPU of the proxy, all threads and workers, from /proc/PID/task/*/schedstat; ksoftirqd is outside it.",
    "Proxy on one core, load generator and origin on another; a fresh proxy process for each sample.",
    "Connecting is in it: 64 handshakes are some two percent of the echoes, 8 nothing of the transfers.",
    "TLS 1.3, TLS_AES_256_GCM_SHA384, ECDSA P-256 certificate; plain TCP to the origin; loopback.",
    "–: nginx and hitch end both directions when the client ends one, so that the answer to a whole upload does not come back.",
    "All but sealgate are Debian's, with Debian's OpenSSL; builds of haproxy and nginx with AWS-LC do better.",
];

/// The samples of one proxy at one kind of work.
pub struct Series {
    /// The work.
    pub kind: Kind,
    /// Index into the proxies.
    pub proxy: usize,
    /// One a round.
    pub samples: Vec<Sample>,
}

impl Series {
    /// No samples yet.
    pub fn new(kind: Kind, proxy: usize) -> Self {
        Self {
            kind,
            proxy,
            samples: Vec::new(),
        }
    }

    fn costs(&self) -> Vec<f64> {
        let mut costs: Vec<f64> = self.samples.iter().map(|sample| sample.cost).collect();
        costs.sort_by(f64::total_cmp);
        costs
    }

    fn busy(&self) -> Option<f64> {
        let mut busy: Vec<f64> = self.samples.iter().map(|sample| sample.busy).collect();
        busy.sort_by(f64::total_cmp);
        (!busy.is_empty()).then(|| median(&busy))
    }
}

/// A whole run.
pub struct Comparison {
    proxies: Vec<Proxy>,
    series: Vec<Series>,
    rounds: u32,
    quick: bool,
    openssl: String,
}

impl Comparison {
    /// Every proxy has one series for each kind of work; the first proxy is what the others are
    /// compared with.
    pub fn new(proxies: Vec<Proxy>, series: Vec<Series>, rounds: u32, quick: bool) -> Self {
        Self {
            proxies,
            series,
            rounds,
            quick,
            openssl: host::version("openssl", "version", "OpenSSL"),
        }
    }

    /// Those that are compared.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// How many rounds, in words, and whether they were short ones.
    pub fn effort(&self) -> (String, bool) {
        (format!("Median of {} rounds", self.rounds), self.quick)
    }

    /// Median, least and most; none of what the proxy does not carry.
    pub fn costs(&self, proxy: usize, kind: Kind) -> Option<[f64; 3]> {
        let costs = self.of(proxy, kind).costs();
        let (low, high) = (*costs.first()?, *costs.last()?);
        Some([median(&costs), low, high])
    }

    fn of(&self, proxy: usize, kind: Kind) -> &Series {
        self.series
            .iter()
            .find(|series| series.proxy == proxy && series.kind == kind)
            .expect("every proxy has a series for each kind of work")
    }

    /// How many times the CPU of the first proxy this one needs.
    pub fn ratio(&self, proxy: usize, kind: Kind) -> Option<f64> {
        let [cost, ..] = self.costs(proxy, kind)?;
        let [first, ..] = self.costs(0, kind)?;
        Some(cost / first)
    }

    /// A Markdown table, so that it can be pasted where it is read.
    pub fn table(&self) -> String {
        let mut text = format!("\n{}\n", host::describe());
        for proxy in &self.proxies {
            let _ = writeln!(text, "{}: {}", proxy.name, proxy.version);
        }
        let _ = writeln!(text, "OpenSSL of the system: {}\n", self.openssl);

        let mut head = String::from("| CPU of the proxy |");
        let mut rule = String::from("|---|");
        for kind in Kind::ALL {
            let _ = write!(
                head,
                " {} ({}), {} |",
                kind.name(),
                kind.describe(),
                kind.unit()
            );
            rule.push_str("---:|");
        }
        let _ = writeln!(text, "{head}\n{rule}");
        for (index, proxy) in self.proxies.iter().enumerate() {
            let _ = write!(text, "| {} |", proxy.name);
            for kind in Kind::ALL {
                let Some([cost, low, high]) = self.costs(index, kind) else {
                    text.push_str(" – |");
                    continue;
                };
                let digits = if kind == Kind::Echo { 1 } else { 2 };
                let _ = write!(text, " {cost:.digits$} ({low:.digits$}–{high:.digits$})");
                let _ = match self.ratio(index, kind) {
                    Some(ratio) if index > 0 => write!(text, ", {ratio:.2}× |"),
                    _ => write!(text, " |"),
                };
            }
            text.push('\n');
        }

        let first = self.proxies[0].name;
        let rounds = self.rounds;
        let _ = writeln!(
            text,
            "\nMedian of {rounds} rounds (lowest–highest), and how many times the CPU of {first}."
        );
        for note in NOTES {
            let _ = writeln!(text, "{note}");
        }
        if self.quick {
            text.push_str("A --quick run: too little work for numbers to be quoted.\n");
        }
        text
    }

    /// The same, with every sample.
    pub fn json(&self) -> Value {
        let kinds = |index: usize| {
            let kinds = Kind::ALL.map(|kind| {
                let series = self.of(index, kind);
                let samples: Vec<f64> = series.samples.iter().map(|sample| sample.cost).collect();
                let doubts: Vec<&[String]> = series
                    .samples
                    .iter()
                    .map(|sample| &sample.doubts[..])
                    .collect();
                let value = json!({
                    "unit": kind.unit(),
                    "work": kind.describe(),
                    "median": self.costs(index, kind).map(|[median, ..]| median),
                    "ratio": self.ratio(index, kind),
                    "samples": samples,
                    "median_share_of_core": series.busy(),
                    "doubts_of_loadgen": doubts,
                });
                (kind.name().to_owned(), value)
            });
            Value::Object(kinds.into_iter().collect())
        };
        let proxies: Vec<Value> = self
            .proxies
            .iter()
            .enumerate()
            .map(|(index, proxy)| {
                json!({ "name": proxy.name, "version": proxy.version, "cost": kinds(index) })
            })
            .collect();
        json!({
            "measurement": "peers",
            "quick": self.quick,
            "rounds": self.rounds,
            "host": host::describe(),
            "openssl": self.openssl,
            "notes": NOTES,
            "proxies": proxies,
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Two proxies, of which the second costs twice as much, and carries no uploads.
    pub fn sample() -> Comparison {
        let proxies = vec![
            Proxy::named("sealgate", "sealgate 1"),
            Proxy::named("other", "other <2>"),
        ];
        let mut series = Vec::new();
        for kind in Kind::ALL {
            for proxy in [1, 0] {
                let mut one = Series::new(kind, proxy);
                if (proxy, kind) == (1, Kind::Upload) {
                    series.push(one);
                    continue;
                }
                one.samples = [1.0, 1.5, 3.0]
                    .map(|cost| Sample {
                        cost: cost * (proxy + 1) as f64,
                        busy: 0.5,
                        doubts: Vec::new(),
                    })
                    .to_vec();
                series.push(one);
            }
        }
        Comparison::new(proxies, series, 3, true)
    }

    #[test]
    fn the_table_compares_medians_with_the_first() {
        let comparison = sample();
        assert_eq!(comparison.costs(1, Kind::Echo), Some([3.0, 2.0, 6.0]));
        assert_eq!(comparison.ratio(1, Kind::Download), Some(2.0));
        assert_eq!(comparison.ratio(1, Kind::Upload), None);
        let table = comparison.table();
        assert!(
            table.contains("| other | 3.00 (2.00–6.00), 2.00× | – | 3.0 (2.0–6.0), 2.00× |"),
            "{table}"
        );
        let json = comparison.json();
        assert_eq!(json["proxies"][1]["cost"]["echo"]["ratio"], 2.0);
    }
}
