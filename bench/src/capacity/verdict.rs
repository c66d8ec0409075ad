//! A result beside a stored one: what may be concluded. Pure.
//!
//! The two were measured one after the other, perhaps on different days, so they differ without a
//! cause, by more than their rounds show: as much as two runs of the same program were seen to differ.
//! That noise is a part of every interval here, and what remains is held to the margin.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use super::{
    error::Difference,
    report::{Capacity, Load, RouteReport, Settings},
};
use crate::{ab::decide::Verdict, units::significant};

/// What a normal quantity exceeds in one of twenty cases: the one-sided 95 % of every interval.
const Z: f64 = 1.645;

/// How much worse may be, and how much runs differ by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// The share by which a number may be worse.
    pub margin: f64,
    /// The root mean square of ln(second/first) of rates, the same program measured twice.
    pub rate_noise: f64,
    /// The same of CPU time and memory.
    pub cpu_noise: f64,
}

impl Tolerance {
    /// As measured with runs of 8 s one after the other on a noisy virtual machine of two cores; or the
    /// same noise of everything.
    pub fn new(margin: f64, noise: Option<f64>) -> Self {
        Self {
            margin,
            rate_noise: noise.map_or(0.20, f64::ln_1p),
            cpu_noise: noise.map_or(0.097, f64::ln_1p),
        }
    }
}

/// What was found of all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The stored file.
    pub path: String,
    /// What was found.
    pub verdict: Verdict,
    /// With what.
    pub tolerance: Tolerance,
    /// In what the two differ though they should not; empty without `--force`.
    pub forced: Vec<String>,
    /// Each number that both have.
    pub quantities: Vec<Quantity>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// `ROUTE: WHAT`.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The stored one.
    pub stored: f64,
    /// This one.
    pub now: f64,
    /// The share by which this one is more: the middle, and where it lies with 95 % to each side.
    pub change: [f64; 3],
    /// What was found.
    pub verdict: Verdict,
}

/// The least rounds of both that say something of a quantity, and where more is better.
struct Pair<'a> {
    name: String,
    unit: &'a str,
    stored: &'a [f64],
    now: &'a [f64],
    noise: f64,
    better: Better,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
}

/// In what two runs differ that should be the same: host, configuration, cores, and how it was measured.
/// Rounds may differ.
pub fn differences(stored: &Capacity, now: &Capacity) -> Vec<Difference> {
    let of = |one: &Capacity| {
        let settings = Settings {
            rounds: 0,
            ..one.settings.clone()
        };
        let routes: Vec<_> = one.routes.iter().map(|route| route.name.as_str()).collect();
        BTreeMap::from([
            ("host", one.host.clone()),
            ("configuration (SHA-256)", one.config.sha256.clone()),
            ("cores", format!("{:?}", one.cores)),
            ("settings", format!("{settings:?}")),
            ("routes", routes.join(", ")),
        ])
    };
    let (stored, mut now) = (of(stored), of(now));
    let pairs = stored.into_iter().filter_map(|(key, stored)| {
        let now = now.remove(key)?;
        (stored != now).then_some(Difference { key, stored, now })
    });
    pairs.collect()
}

/// Holds `now` to what was stored.
pub fn judge(path: &str, stored: &Capacity, now: &Capacity, tolerance: Tolerance) -> Judgement {
    let mut quantities = Vec::new();
    for route in &now.routes {
        let same = stored.routes.iter().find(|one| one.name == route.name);
        let Some(same) = same else { continue };
        for load in &route.loads {
            if let Some(of) = same.loads.iter().find(|one| one.kind == load.kind) {
                quantities.extend(of_load(&route.name, of, load, tolerance));
            }
        }
        let bytes = |of: &RouteReport| of.idle.as_ref()?.bytes_per_connection;
        if let Some((stored, now)) = bytes(same).zip(bytes(route)) {
            let pair = Pair {
                name: format!("{}: idle connection", route.name),
                unit: "B",
                stored: &[stored],
                now: &[now],
                noise: tolerance.cpu_noise,
                better: Better::Less,
            };
            quantities.push(quantity(&pair, tolerance.margin));
        }
    }
    let differences = differences(stored, now).into_iter();
    Judgement {
        path: path.to_owned(),
        verdict: match (whole(&quantities), &now.cut_short) {
            // What was not measured may be worse.
            (Verdict::Pass, Some(_)) => Verdict::Inconclusive,
            (verdict, _) => verdict,
        },
        tolerance,
        forced: differences.map(|one| one.key.to_owned()).collect(),
        quantities,
    }
}

/// Rate and CPU time of a load.
fn of_load(route: &str, stored: &Load, now: &Load, tolerance: Tolerance) -> [Quantity; 2] {
    let name = format!("{route}: {}", now.kind.name());
    let rate = Pair {
        name: name.clone(),
        unit: &now.rate_unit,
        stored: &stored.rates,
        now: &now.rates,
        noise: tolerance.rate_noise,
        better: Better::More,
    };
    let cpu = Pair {
        name,
        unit: &now.cpu_unit,
        stored: &stored.cpus,
        now: &now.cpus,
        noise: tolerance.cpu_noise,
        better: Better::Less,
    };
    let (mut rate, cpu) = (
        quantity(&rate, tolerance.margin),
        quantity(&cpu, tolerance.margin),
    );
    // What something else bounded is not the gateway's doing.
    if !now.is_gateway_limited && rate.verdict == Verdict::Fail {
        rate.verdict = Verdict::Inconclusive;
    }
    [rate, cpu]
}

fn quantity(pair: &Pair<'_>, margin: f64) -> Quantity {
    let (stored, stored_error) = mean(pair.stored);
    let (now, now_error) = mean(pair.now);
    let change = now - stored;
    let half = Z * (pair.noise.powi(2) + stored_error.powi(2) + now_error.powi(2)).sqrt();
    let (least, most) = (change - half, change + half);
    // From here on more is worse.
    let (least_worse, most_worse, limit) = match pair.better {
        Better::Less => (least, most, margin.ln_1p()),
        Better::More => (-most, -least, -(-margin).ln_1p()),
    };
    let verdict = match () {
        () if least_worse > limit => Verdict::Fail,
        () if most_worse < limit => Verdict::Pass,
        () => Verdict::Inconclusive,
    };
    Quantity {
        name: pair.name.clone(),
        unit: pair.unit.to_owned(),
        stored: stored.exp(),
        now: now.exp(),
        change: [change, least, most].map(f64::exp_m1),
        verdict,
    }
}

/// The mean of the logarithms, and its standard error: 0 of one value, whose spread the noise has to cover.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let logarithms: Vec<_> = values.iter().map(|value| value.ln()).collect();
    let mean = logarithms.iter().sum::<f64>() / n;
    let squares = logarithms.iter().map(|one| (one - mean).powi(2));
    match values.len() {
        0 | 1 => (mean, 0.0),
        _ => (mean, (squares.sum::<f64>() / (n - 1.0) / n).sqrt()),
    }
}

/// One that fails is enough. It passes when all CPU times and memory do: rates follow from those, and
/// vary too much by themselves to be held to a margin one by one.
fn whole(quantities: &[Quantity]) -> Verdict {
    let any = |verdict| quantities.iter().any(|one| one.verdict == verdict);
    let mut steady = quantities.iter().filter(|one| !one.unit.ends_with("/s"));
    match quantities.is_empty() {
        _ if any(Verdict::Fail) => Verdict::Fail,
        false if steady.all(|one| one.verdict == Verdict::Pass) => Verdict::Pass,
        _ => Verdict::Inconclusive,
    }
}

impl Judgement {
    /// What a CI job sees.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Fail => 3,
            Verdict::Pass | Verdict::Inconclusive | Verdict::Unproven => 0,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("Beside {}:\n\n", self.path);
        for key in &self.forced {
            let _ = writeln!(text, "Not comparable, and forced: {key} differs.");
        }
        text += "| | stored | now | change, each bound 95 % | |\n|---|---:|---:|---|---|\n";
        for one in &self.quantities {
            let [middle, least, most] = one.change.map(|share| share * 100.0);
            let _ = writeln!(
                text,
                "| {} ({}) | {} | {} | {middle:+.1} % ({least:+.1} % to {most:+.1} %) | {} |",
                one.name,
                one.unit,
                significant(one.stored),
                significant(one.now),
                one.verdict.name(),
            );
        }
        let margin = self.tolerance.margin * 100.0;
        let words = match self.verdict {
            Verdict::Pass => {
                format!("PASS: CPU time and memory are worse by less than {margin:.0} %")
            }
            Verdict::Fail => {
                format!("FAIL: something is worse by more than {margin:.0} %, marked FAIL")
            }
            Verdict::Inconclusive | Verdict::Unproven => format!(
                "INCONCLUSIVE: it cannot be told whether something is worse by more than {margin:.0} %; more --rounds, a wider --margin, or on a quiet machine a lesser --noise help"
            ),
        };
        let _ = writeln!(text, "\nverdict: {words}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::sample, *};

    fn verdicts(rates: &[f64], cpus: &[f64], tolerance: Tolerance) -> (Verdict, Vec<Verdict>) {
        let stored = sample(&[100.0, 100.0, 100.0], &[20.0, 20.0, 20.0]);
        let judged = judge("s.json", &stored, &sample(rates, cpus), tolerance);
        let each = judged.quantities.iter().map(|one| one.verdict).collect();
        (judged.verdict, each)
    }

    #[test]
    fn the_same_passes_and_what_is_worse_beyond_noise_and_margin_fails() {
        use Verdict::{Fail, Inconclusive, Pass};
        let noisy = Tolerance::new(0.25, None);
        let quiet = Tolerance::new(0.05, Some(0.01));
        for (rate, cpu, tolerance, whole, each) in [
            // Rates of a noisy machine stay open, and do not decide.
            (100.0, 20.0, noisy, Pass, [Inconclusive, Pass, Pass]),
            (100.0, 20.0, quiet, Pass, [Pass, Pass, Pass]),
            // ln(1.25) + 1.645 * 0.097 = ln(1.466).
            (
                100.0,
                29.0,
                noisy,
                Inconclusive,
                [Inconclusive, Inconclusive, Pass],
            ),
            (100.0, 29.6, noisy, Fail, [Inconclusive, Fail, Pass]),
            (100.0, 21.5, quiet, Fail, [Pass, Fail, Pass]),
            // -ln(0.75) + 1.645 * 0.2 = -ln(0.5397).
            (54.5, 20.0, noisy, Pass, [Inconclusive, Pass, Pass]),
            (53.5, 20.0, noisy, Fail, [Fail, Pass, Pass]),
            (300.0, 5.0, quiet, Pass, [Pass, Pass, Pass]),
        ] {
            let found = verdicts(&[rate; 3], &[cpu; 3], tolerance);
            assert_eq!(found, (whole, each.to_vec()), "{rate} {cpu} {tolerance:?}");
        }
    }

    #[test]
    fn rounds_that_differ_widen_the_interval() {
        let quiet = Tolerance::new(0.05, Some(0.01));
        assert_eq!(
            verdicts(&[100.0; 3], &[22.0, 22.0, 22.0], quiet).0,
            Verdict::Fail
        );
        let spread = [14.0, 22.0, 34.0];
        assert_eq!(
            verdicts(&[100.0; 3], &spread, quiet).0,
            Verdict::Inconclusive
        );
    }

    #[test]
    fn a_rate_that_the_gateway_did_not_bound_is_no_regression() {
        let stored = sample(&[100.0; 3], &[20.0; 3]);
        let mut now = sample(&[10.0; 3], &[20.0; 3]);
        now.routes[0].loads[0].is_gateway_limited = false;
        let judged = judge("s.json", &stored, &now, Tolerance::new(0.25, None));
        assert_eq!(judged.quantities[0].verdict, Verdict::Inconclusive);
        assert_eq!((judged.verdict, judged.exit_code()), (Verdict::Pass, 0));
    }

    #[test]
    fn a_run_that_was_cut_short_may_fail_and_never_passes() {
        let stored = sample(&[100.0; 3], &[20.0; 3]);
        let tolerance = Tolerance::new(0.25, None);
        for (cpu, verdict) in [(20.0, Verdict::Inconclusive), (40.0, Verdict::Fail)] {
            let mut now = sample(&[100.0; 3], &[cpu; 3]);
            now.cut_short = Some("interrupted".into());
            now.routes[0].idle = None;
            let judged = judge("s.json", &stored, &now, tolerance);
            assert_eq!(judged.verdict, verdict);
            assert_eq!(judged.quantities.len(), 2, "no idle connections");
        }
    }

    #[test]
    fn host_configuration_cores_settings_and_routes_have_to_be_the_same() {
        let stored = sample(&[1.0], &[1.0]);
        assert_eq!(differences(&stored, &stored), []);
        let mut now = stored.clone();
        now.settings.rounds = 9;
        assert_eq!(differences(&stored, &now), [], "rounds may differ");
        now.host = "another".into();
        now.config.sha256 = "11".into();
        now.cores.gateway.push(2);
        now.settings.bulk_bytes = 1;
        now.routes.clear();
        let keys: Vec<_> = differences(&stored, &now)
            .iter()
            .map(|one| one.key)
            .collect();
        assert_eq!(
            keys,
            [
                "configuration (SHA-256)",
                "cores",
                "host",
                "routes",
                "settings"
            ]
        );
        let nothing = judge("s.json", &stored, &now, Tolerance::new(0.25, None));
        assert_eq!(
            nothing.verdict,
            Verdict::Inconclusive,
            "nothing was compared"
        );
        assert!(nothing.text().contains("forced: host differs"));
    }

    #[test]
    fn a_regression_is_said_with_its_interval() {
        let stored = sample(&[100.0; 3], &[20.0; 3]);
        let now = sample(&[100.0; 3], &[40.0; 3]);
        let judged = judge("s.json", &stored, &now, Tolerance::new(0.25, None));
        assert_eq!(judged.exit_code(), 3);
        let said = judged.text();
        let row =
            "| feed: echoes (CPU-µs/echo) | 20.0 | 40.0 | +100.0 % (+70.5 % to +134.6 %) | FAIL |";
        assert!(said.contains(row), "{said}");
        assert!(said.contains("verdict: FAIL"), "{said}");
    }
}
