//! Two agents behind a made-up run: one did its part, the other was lost.

use loadgen::report::{
    agents::{Agent, Clock},
    model::{Host, Operations, Reason, Report, State, Verdict},
};

/// The same run, done by two agents.
pub fn with_agents(mut report: Report) -> Report {
    let one = Agent {
        name: "load1.example:7500".into(),
        host: host("load1", 8),
        clock: Clock {
            offset_s: 0.25,
            uncertainty_s: 0.000_1,
            round_trip_s: 0.000_2,
        },
        totals: report.kinds[0].clone(),
        address: Some("127.0.0.1:8443".into()),
        generator: Some(report.generator.clone()),
        verdict: Some(Verdict {
            state: State::Degraded,
            reasons: vec![Reason {
                state: State::Degraded,
                agent: None,
                code: "waited_for_core".into(),
                message: "a thread of the generator waited for its core 6.0 % of the time".into(),
                measured: Some(0.06),
                limit: Some(0.05),
            }],
        }),
        lost: None,
    };
    let mut other = Agent {
        name: "load2.example:7500".into(),
        host: host("load2", 4),
        address: None,
        generator: None,
        verdict: None,
        lost: Some("it was lost: the control connection was closed".into()),
        ..one.clone()
    };
    other.totals.operations = Operations {
        planned: 1234,
        sent: 1233,
        succeeded: 1230,
        failed: 3,
        unsent: 1,
        ..other.totals.operations
    };
    report.configuration.agents = vec![one.name.clone(), other.name.clone()];
    report.agents = vec![one, other];
    report
}

fn host(name: &str, cores: u64) -> Host {
    Host {
        name: name.into(),
        cores,
        ..super::host()
    }
}
