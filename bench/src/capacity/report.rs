//! The result: the model that is stored and read back, and its text.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{
    config::{Protocol, Rewritten},
    load::{BULK_BYTES, Effort, Kind, SMALL_BYTES},
    reading::{Idle, Sample},
    verdict::Judgement,
};
use crate::{host::Split, statistics::median_of, units::significant};

/// Name and version of the format. Within one version fields are only added.
pub const FORMAT: &str = "bench.capacity/1";
/// Below this share of its cores' time the gateway was not what bounded the rate.
const BUSY: f64 = 0.85;

/// What a machine carries with a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// `bench.capacity/1`.
    pub format: String,
    /// The machine, in words.
    pub host: String,
    /// Seconds since 1970 when it was done.
    pub done_unix_s: u64,
    /// The gateway's version.
    pub gateway: String,
    /// The configuration.
    pub config: Config,
    /// Who ran where.
    pub cores: Split,
    /// How it was measured.
    pub settings: Settings,
    /// What the copy that ran has instead of the operator's values.
    pub rewritten: Vec<Rewritten>,
    /// Why something was not measured; absent where all of it was.
    pub cut_short: Option<String>,
    /// Each route that was loaded.
    pub routes: Vec<RouteReport>,
    /// Beside a stored one; absent without `--against`.
    pub against: Option<Judgement>,
}

/// Which configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Its path, as it was written.
    pub path: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// How it was measured, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Loads of each kind.
    pub rounds: u32,
    /// How long, or how many operations.
    pub effort: Effort,
    /// Bytes of a transfer.
    pub bulk_bytes: u64,
    /// Bytes of a request's body, and of an echo.
    pub small_bytes: u64,
}

impl Settings {
    /// With the sizes of this program.
    pub fn new(rounds: u32, effort: Effort) -> Self {
        Self {
            rounds,
            effort,
            bulk_bytes: BULK_BYTES,
            small_bytes: SMALL_BYTES,
        }
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteReport {
    /// Its name.
    pub name: String,
    /// Its tenant.
    pub tenant: String,
    /// How it was spoken to.
    pub protocol: Protocol,
    /// Its class.
    pub class: String,
    /// The name that was asked for.
    pub server_name: String,
    /// What was negotiated: version, suite, group.
    pub tls: String,
    /// Each kind of load.
    pub loads: Vec<Load>,
    /// Idle connections; absent where the run was cut short before.
    pub idle: Option<Idle>,
}

/// A kind of load, all its rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Which.
    pub kind: Kind,
    /// What the rate is counted in.
    pub rate_unit: String,
    /// The rate: the median.
    pub rate: f64,
    /// All rounds.
    pub rates: Vec<f64>,
    /// What the gateway's CPU time is counted in.
    pub cpu_unit: String,
    /// CPU time of the gateway per unit: the median.
    pub cpu: f64,
    /// All rounds.
    pub cpus: Vec<f64>,
    /// The share of its cores' time in which the gateway ran: the median.
    pub busy: f64,
    /// Whether the gateway's cores bounded the rate. Where they did not, it could do more.
    pub is_gateway_limited: bool,
    /// Operations of all rounds.
    pub operations: u64,
    /// What loadgen holds against its rates, in any round.
    pub doubts: Vec<String>,
}

impl Load {
    /// Of at least one sample.
    pub fn of(kind: Kind, samples: &[Sample]) -> Self {
        let all = |take: fn(&Sample) -> f64| samples.iter().map(take).collect::<Vec<_>>();
        let (rates, cpus) = (all(|one| one.rate), all(|one| one.cpu));
        let busy = median_of(&all(|one| one.busy));
        let mut doubts: Vec<_> = samples.iter().flat_map(|one| one.doubts.clone()).collect();
        doubts.sort();
        doubts.dedup();
        Self {
            kind,
            rate_unit: kind.rate_unit().to_owned(),
            rate: median_of(&rates),
            rates,
            cpu_unit: kind.cpu_unit().to_owned(),
            cpu: median_of(&cpus),
            cpus,
            busy,
            is_gateway_limited: busy >= BUSY,
            operations: samples.iter().map(|one| one.operations).sum(),
            doubts,
        }
    }
}

/// All of it, for people: Markdown tables, so that it can be pasted where it is read.
pub fn text(capacity: &Capacity) -> String {
    let mut text = String::new();
    let Split { gateway, load } = &capacity.cores;
    let _ = writeln!(text, "{} on {}", capacity.config.path, capacity.host);
    let shared = match capacity.cores.is_shared() {
        true => "; they share it, so the rates are what both get done together",
        false => "",
    };
    let _ = writeln!(
        text,
        "{}; gateway on {} of these cores, load generator and origin on {}{shared}\n",
        capacity.gateway,
        gateway.len(),
        load.len()
    );
    if let Some(why) = &capacity.cut_short {
        let _ = writeln!(
            text,
            "CUT SHORT ({why}): this is what was measured before.\n"
        );
    }
    for route in &capacity.routes {
        text += &table(route);
    }
    text += "≥: the gateway had time left; load generator, origin or their cores were the bound.\n\
             Per core-second: what a core that does nothing else carries, from CPU per unit; computed.\n";
    if let Some(against) = &capacity.against {
        text.push('\n');
        text += &against.text();
    }
    text
}

fn table(route: &RouteReport) -> String {
    let mut text = String::new();
    let protocol = match route.protocol {
        Protocol::Http => "HTTP",
        Protocol::Tcp => "TCP",
    };
    let _ = writeln!(
        text,
        "{} of {} ({} over {protocol}, {}):\n",
        route.name, route.tenant, route.class, route.tls
    );
    text += "| | rate | CPU of the gateway | per core-second | gateway busy | loadgen doubts |\n|---|---:|---:|---:|---:|---|\n";
    for load in &route.loads {
        let least = if load.is_gateway_limited { "" } else { "≥ " };
        let _ = writeln!(
            text,
            "| {} | {least}{} {} | {} {} | {} | {:.0} % | {} |",
            load.kind.name(),
            significant(load.rate),
            load.rate_unit,
            significant(load.cpu),
            load.cpu_unit,
            significant(load.kind.per_core_second(load.cpu)),
            load.busy * 100.0,
            load.doubts.join(", "),
        );
    }
    let Some(Idle {
        connections,
        bound,
        bytes_per_connection,
    }) = &route.idle
    else {
        return text + "\n";
    };
    let each = bytes_per_connection.map_or_else(
        || "too few to tell bytes for each".to_owned(),
        |bytes| format!("{bytes:.0} B each"),
    );
    let _ = writeln!(
        text,
        "\n{connections} idle connections, {each}; so many for {bound}\n"
    );
    text
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A result with one route, whose echoes came at these rates and costs.
    pub fn sample(rates: &[f64], cpus: &[f64]) -> Capacity {
        let samples = rates.iter().zip(cpus).map(|(rate, cpu)| Sample {
            rate: *rate,
            cpu: *cpu,
            busy: 0.9,
            operations: 10,
            tls: String::new(),
            doubts: vec!["stolen".into()],
        });
        let samples = samples.collect::<Vec<_>>();
        Capacity {
            format: FORMAT.into(),
            host: "a machine".into(),
            done_unix_s: 1,
            gateway: "sealgate 0.1.0".into(),
            config: Config {
                path: "gateway.toml".into(),
                sha256: "00".into(),
            },
            cores: Split {
                gateway: vec![0],
                load: vec![1],
            },
            settings: Settings::new(3, Effort::Time("3s".into())),
            rewritten: Vec::new(),
            cut_short: None,
            routes: vec![RouteReport {
                name: "feed".into(),
                tenant: "acme".into(),
                protocol: Protocol::Tcp,
                class: "terminated".into(),
                server_name: "acme.example".into(),
                tls: "TLSv1.3 S G".into(),
                loads: vec![Load::of(Kind::Echoes, &samples)],
                idle: Some(Idle {
                    connections: 9000,
                    bound: "limits.max_connections".into(),
                    bytes_per_connection: Some(2900.0),
                }),
            }],
            against: None,
        }
    }

    #[test]
    fn a_result_is_stored_and_read_back() {
        let capacity = sample(&[50_000.0, 52_000.0, 51_000.0], &[19.5, 19.6, 19.7]);
        let json = serde_json::to_string(&capacity).expect("plain data");
        let back: Capacity = serde_json::from_str(&json).expect("it was written so");
        assert_eq!(back, capacity);
    }

    #[test]
    fn the_table_has_medians_and_marks_what_the_gateway_did_not_bound() {
        let mut capacity = sample(&[50_000.0, 52_000.0, 51_000.0], &[19.5, 19.6, 25.0]);
        let said = text(&capacity);
        let row = "| echoes | 51000 echoes/s | 19.6 CPU-µs/echo | 51020 | 90 % | stolen |";
        assert!(said.contains(row), "{said}");
        let idle = "9000 idle connections, 2900 B each; so many for limits.max_connections";
        assert!(said.contains(idle), "{said}");
        capacity.routes[0].loads[0].is_gateway_limited = false;
        assert!(text(&capacity).contains("≥ 51000 echoes/s"));
        capacity.cores.gateway = vec![1];
        assert!(text(&capacity).contains("they share it"));
        capacity.cut_short = Some("interrupted".into());
        capacity.routes[0].idle = None;
        let said = text(&capacity);
        assert!(said.contains("CUT SHORT (interrupted): "), "{said}");
        assert!(!said.contains("idle connections"), "{said}");
    }

    #[test]
    fn what_was_stored_before_runs_could_be_cut_short_is_read() {
        let capacity = sample(&[1.0], &[1.0]);
        let mut json = serde_json::to_value(&capacity).expect("plain data");
        json.as_object_mut().expect("an object").remove("cut_short");
        let back: Capacity = serde_json::from_value(json).expect("nothing else is missing");
        assert_eq!(back, capacity);
    }
}
