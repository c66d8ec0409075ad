//! A made-up report in which every part of the model has something to show.
//!
//! The numbers come from a fixed sequence, so two calls give the same report.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod agents;
pub mod conns;
pub mod sweep;

use std::{collections::BTreeMap, time::Duration};

use loadgen::{
    measure::histogram::Times,
    operation::failure::{Class, Phase},
    report::{model::*, parse},
    schedule::Loop,
};

/// Seconds of the sampled run.
const SECONDS: u64 = 30;
/// Planned operations per second.
const RATE: u64 = 400;
/// Tenants, and how slow they are served.
const TENANTS: [(&str, f64); 3] = [("acme", 1.0), ("globex", 0.8), ("initech", 2.2)];

/// What is sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Factor on service times and on the target's CPU time.
    pub slowness: f64,
    /// Whether the middle of the run has a stall and its errors.
    pub stall: bool,
    /// Where chance comes from.
    pub seed: u64,
}

/// A run without trouble.
pub const CALM: Shape = Shape {
    slowness: 1.0,
    stall: false,
    seed: 1,
};

/// A run of which seconds 12 and 13 went badly.
pub const STALLED: Shape = Shape {
    slowness: 1.0,
    stall: true,
    seed: 2,
};

/// The latencies of one second, or of more.
#[derive(Default)]
struct Recorded {
    response: Times,
    service: Times,
    lag: Times,
}

impl Recorded {
    fn record(&mut self, service: Duration, lag: Duration) {
        self.response.record(service + lag);
        self.service.record(service);
        self.lag.record(lag);
    }

    fn merge(&mut self, other: &Recorded) {
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.lag.merge(&other.lag);
    }

    fn latency(&self) -> Latency {
        Latency {
            response: self.response.distribution(),
            service: self.service.distribution(),
            lag: self.lag.distribution(),
        }
    }
}

/// Numbers that look random (`SplitMix64`).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Log-normal with median 1.
    fn lognormal(&mut self, sigma: f64) -> f64 {
        let (u, v) = (self.next().max(1e-12), self.next());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        (sigma * normal).exp()
    }
}

/// The report of a run of this shape.
pub fn report(shape: Shape) -> Report {
    let mut chance = Sequence(shape.seed);
    let (mut all, mut series) = (Recorded::default(), Vec::new());
    let mut tenants = TENANTS.map(|_| Recorded::default());
    for second in 0..SECONDS {
        let bad = shape.stall && (12..14).contains(&second);
        let mut recorded = Recorded::default();
        let failed = if bad { 25 } else { 0 };
        for n in 0..RATE - failed {
            // One of ten is the first tenant's, three are the second's.
            let tenant = [0, 1, 1, 1, 2, 2, 2, 2, 2, 2][n as usize % 10];
            let slowness = shape.slowness * TENANTS[tenant].1;
            let base = 400e-6 * slowness * chance.lognormal(0.35);
            let stalled = if bad {
                0.2 * n as f64 / RATE as f64
            } else {
                0.0
            };
            let lag = 6e-6 * chance.lognormal(0.5);
            let service = Duration::from_secs_f64(base + stalled);
            let lag = Duration::from_secs_f64(lag);
            recorded.record(service, lag);
            tenants[tenant].record(service, lag);
        }
        all.merge(&recorded);
        series.push(one_second(shape, second, failed, &recorded, &mut chance));
    }
    let failed: u64 = series.iter().map(|second| second.failed).sum();
    let mut report = assemble(shape, &all, series, failed);
    for ((name, _), recorded) in TENANTS.iter().zip(&tenants) {
        let succeeded = recorded.service.count();
        report.tenants.push(part(name, recorded, succeeded, 0));
    }
    report
}

fn one_second(
    shape: Shape,
    start_s: u64,
    failed: u64,
    recorded: &Recorded,
    chance: &mut Sequence,
) -> Second {
    let wobble = 0.95 + 0.1 * chance.next();
    let error = |phase, class, count| ErrorCount {
        phase,
        class,
        count,
    };
    Second {
        start_s,
        planned: RATE,
        sent: RATE,
        succeeded: RATE - failed,
        failed,
        errors: match failed {
            0 => Vec::new(),
            _ => vec![
                error(Phase::Connect, Class::Refused, 5),
                error(Phase::Receive, Class::Timeout, 20),
            ],
        },
        bytes: Bytes {
            sent: (RATE - failed) * 1000,
            received: (RATE - failed) * 8000,
        },
        latency: recorded.latency(),
        generator_busy_share: 0.21 * wobble,
        generator_cpu_s: 0.9,
        target_cpu_s: Some(0.11 * shape.slowness * wobble),
        target_rss_bytes: Some(50_000_000 + start_s * 100_000),
        stolen_share: 0.004 * wobble,
    }
}

fn assemble(shape: Shape, all: &Recorded, series: Vec<Second>, failed: u64) -> Report {
    let planned = SECONDS * RATE;
    let totals = part("all", all, planned, failed);
    let cpu_s = 0.11 * shape.slowness * SECONDS as f64;
    Report {
        format: parse::format(),
        tool: Tool {
            name: "loadgen".into(),
            version: "0.1.0".into(),
        },
        operation: "request".into(),
        looped: Loop::Open,
        configuration: configuration(shape.seed),
        host: host(),
        timing: Timing {
            began_unix_s: 1_790_000_000.25,
            elapsed_s: SECONDS as f64 - 0.5,
            interrupted: false,
        },
        verdict: verdict(shape),
        objectives: vec![Objective {
            text: "p99<5ms".into(),
            measured: Some(totals.latency.response.percentiles_ns["p99"] as f64 / 1e9),
            met: !shape.stall,
        }],
        achieved: Achieved {
            planned,
            achieved: planned - failed,
            planned_per_s: Some(RATE as f64),
            achieved_per_s: totals.rates.operations_per_s,
            backlog_max: 3,
            backlog_overflowed: 0,
        },
        kinds: vec![Part {
            name: "request".into(),
            ..totals.clone()
        }],
        tenants: Vec::new(),
        connections: Connections {
            established: 32,
            priming: 0,
            died: 0,
            connect: all.lag.distribution(),
            handshake: all.service.distribution(),
        },
        errors: errors(shape, failed),
        statuses: BTreeMap::from([(200, planned - failed)]),
        tls: Some(negotiated()),
        key_updates: None,
        http: Some(Http {
            version: BTreeMap::from([("2".into(), 16)]),
            streams_allowed: None,
            resets: BTreeMap::new(),
            go_aways: BTreeMap::from([("NO_ERROR".into(), 2)]),
        }),
        series,
        generator: Generator {
            threads: 1,
            cpu_s: 0.9 * SECONDS as f64,
            spun_s: 0.69 * SECONDS as f64,
            busiest_share: 0.21,
            waited_s: 0.02,
            cpu_ns_per_operation: Some(52_000.0),
            lag: all.lag.distribution(),
        },
        conns: None,
        agents: Vec::new(),
        target: Some(Target {
            pid: 4711,
            name: "sealgate".into(),
            cpu_s: Some(cpu_s),
            cpu_ns_per_operation: Some(cpu_s * 1e9 / (planned - failed) as f64),
            cpu_s_per_gigabyte: Some(30.5),
            rss_max_bytes: Some(53_000_000),
        }),
        totals,
    }
}

fn part(name: &str, recorded: &Recorded, planned: u64, failed: u64) -> Part {
    let succeeded = planned - failed;
    let per_s = |n: u64| n as f64 / SECONDS as f64;
    Part {
        name: name.into(),
        operations: Operations {
            planned,
            sent: planned,
            succeeded,
            failed,
            ..Operations::default()
        },
        bytes: Bytes {
            sent: succeeded * 1000,
            received: succeeded * 8000,
        },
        rates: Rates {
            operations_per_s: per_s(succeeded),
            sent_bytes_per_s: per_s(succeeded * 1000),
            received_bytes_per_s: per_s(succeeded * 8000),
        },
        latency: recorded.latency(),
    }
}

fn configuration(seed: u64) -> Configuration {
    Configuration {
        target: "https://gateway.example:8443/objects/1".into(),
        address: "127.0.0.1:8443".into(),
        agents: Vec::new(),
        connections: 32,
        threads: 1,
        arrival: "poisson".into(),
        stages: vec![Stage {
            from_per_s: RATE as f64,
            to_per_s: RATE as f64,
            duration_s: Some(SECONDS as f64),
        }],
        duration_s: Some(SECONDS as f64),
        count: None,
        warmup_s: 2.0,
        drain_s: 5.0,
        timeout_s: 30.0,
        seed,
        spin: "auto".into(),
        backlog: Some(10_000),
        tls: Some(TlsConfiguration {
            server_name: "gateway.example".into(),
            versions: vec!["TLSv1_3".into()],
            groups: vec!["X25519MLKEM768".into(), "X25519".into()],
            client_certificate: false,
            verification: "none (neither chain nor signature)".into(),
            key_update: None,
            alpn: vec!["http/1.1".into()],
        }),
        tenants: Some(TenantConfiguration {
            count: 3,
            spread: "weights.csv".into(),
            name: None,
            noisy: vec!["globex=3x".into()],
        }),
        slo: vec!["p99<5ms".into()],
        sources: Vec::new(),
        particulars: BTreeMap::from([
            ("method".into(), "GET".into()),
            ("check".into(), "status".into()),
        ]),
    }
}

fn host() -> Host {
    Host {
        name: "bench-1".into(),
        kernel: "6.1.0".into(),
        machine: "x86_64".into(),
        cpu: "Example CPU at 3 GHz".into(),
        cores: 8,
        memory_bytes: 33_000_000_000,
    }
}

fn verdict(shape: Shape) -> Verdict {
    let reason = Reason {
        state: State::Degraded,
        agent: None,
        code: "failures".into(),
        message: "0.4 % of the operations failed: see the errors".into(),
        measured: Some(0.0042),
        limit: Some(0.0),
    };
    match shape.stall {
        true => Verdict {
            state: State::Degraded,
            reasons: vec![reason],
        },
        false => Verdict {
            state: State::Valid,
            reasons: Vec::new(),
        },
    }
}

fn errors(shape: Shape, failed: u64) -> Vec<ErrorClass> {
    if !shape.stall {
        return Vec::new();
    }
    let class = |phase, class, count, sample: &str| ErrorClass {
        phase,
        class,
        count,
        first_s: 12.01,
        last_s: 13.92,
        samples: vec![sample.to_owned()],
    };
    vec![
        class(
            Phase::Connect,
            Class::Refused,
            failed / 5,
            "Connection refused (os error 111)",
        ),
        class(
            Phase::Receive,
            Class::Timeout,
            failed * 4 / 5,
            "nothing moved for 30 s",
        ),
    ]
}

fn negotiated() -> Negotiated {
    let names = |name: &str, n| Names::from([(name.to_owned(), n)]);
    Negotiated {
        version: names("TLSv1_3", 32),
        suite: names("TLS13_AES_256_GCM_SHA384", 32),
        group: names("X25519MLKEM768", 32),
        kind: Names::from([("full".to_owned(), 28), ("resumed".to_owned(), 4)]),
        alpn: names("http/1.1", 32),
        server_name: names("gateway.example", 32),
        early_data: Names::new(),
    }
}

/// Text that does harm wherever it is not escaped.
pub const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>|`@all\n#[StartTime: 1]\n=1+1, </title></style></script>";

/// A calm run in which all foreign text is hostile.
pub fn hostile() -> Report {
    let mut report = agents::with_agents(report(STALLED));
    let text = || HOSTILE.to_owned();
    report.configuration.target = format!("https://h/{HOSTILE}");
    report.configuration.address = text();
    report.configuration.arrival = text();
    report
        .configuration
        .particulars
        .insert(text(), HOSTILE.into());
    report.configuration.tls.as_mut().unwrap().server_name = text();
    report.operation = text();
    report.tool.name = text();
    report.host.name = text();
    report.host.cpu = text();
    report.objectives[0].text = text();
    report.verdict.reasons[0].message = text();
    report.verdict.reasons[0].code = text();
    report.tenants[0].name = text();
    report.errors[0].samples = vec![text()];
    report.tls.as_mut().unwrap().server_name = Names::from([(text(), 1)]);
    report.target.as_mut().unwrap().name = text();
    report.agents[0].name = text();
    report.agents[0].host.name = text();
    report.agents[1].lost = Some(text());
    report
}
