//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::load::{Kind, Sample};
use super::proxy::Proxy;
use crate::host;
use crate::statistics::median;

/// What the numbers do not show by themselves.
const NOTES: [&str; 5] = [
    "CPU of the proxy process, all threads, from /proc/PID/task/*/schedstat; ksoftirqd is outside it.",
    "Proxy on one core, load generator and origin on another; a fresh proxy process for each sample.",
    "Connecting is in it: 64 handshakes are some two percent of the echoes, 8 nothing of the transfers.",
    "TLS 1.3, TLS_AES_256_GCM_SHA384, ECDSA P-256 certificate; plain TCP to the origin; loopback.",
    "haproxy and stunnel are Debian's, with Debian's OpenSSL; their builds with AWS-LC do better.",
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

    fn busy(&self) -> f64 {
        let mut busy: Vec<f64> = self.samples.iter().map(|sample| sample.busy).collect();
        busy.sort_by(f64::total_cmp);
        median(&busy)
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

    fn of(&self, proxy: usize, kind: Kind) -> &Series {
        self.series
            .iter()
            .find(|series| series.proxy == proxy && series.kind == kind)
            .expect("every proxy has a series for each kind of work")
    }

    fn cost(&self, proxy: usize, kind: Kind) -> f64 {
        median(&self.of(proxy, kind).costs())
    }

    /// How many times the CPU of the first proxy this one needs.
    fn ratio(&self, proxy: usize, kind: Kind) -> f64 {
        self.cost(proxy, kind) / self.cost(0, kind)
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
                let costs = self.of(index, kind).costs();
                let (low, high) = (costs[0], costs[costs.len() - 1]);
                let digits = if kind == Kind::Echo { 1 } else { 2 };
                let _ = write!(text, " {:.digits$}", median(&costs));
                let _ = write!(text, " ({low:.digits$}–{high:.digits$})");
                let _ = match index {
                    0 => write!(text, " |"),
                    _ => write!(text, ", {:.2}× |", self.ratio(index, kind)),
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
                    "median": self.cost(index, kind),
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
