//! A made-up report of held connections.

use loadgen::{
    measure::histogram::Times,
    report::{
        conns::{Cost, Held, Line, Look, Memory, Probe, Probed, Span, When},
        model::Report,
    },
};

use super::{CALM, report};

/// Bytes of the target for each connection, and without any.
const SLOPE: (f64, f64) = (3_072.0, 6_000_000.0);

/// What ten thousand connections came to.
pub fn conns() -> Report {
    let run = report(CALM);
    let phases = ["before", "during", "after"];
    let probed = phases.map(|name| {
        let mut part = run.kinds[0].clone();
        part.name = name.to_owned();
        Probed {
            part,
            errors: Vec::new(),
        }
    });
    let looks = [
        (When::Empty, 0.0, 0),
        (When::Opening, 5.0, 2_500),
        (When::Opening, 10.0, 5_000),
        (When::Opening, 15.0, 7_500),
        (When::Opening, 20.0, 10_000),
        (When::Held, 25.0, 10_000),
        (When::Closed, 30.0, 0),
    ];
    let spans = [
        ("before", 0.0, 1.0),
        ("opening", 1.0, 20.0),
        ("holding", 20.0, 25.0),
        ("closing", 25.0, 29.0),
        ("after", 29.0, 30.0),
    ];
    Report {
        operation: "conns".to_owned(),
        conns: Some(Held {
            asked: 10_000,
            opened: 10_000,
            reopened: 0,
            held_most: 10_000,
            closed: 10_000,
            dropped: 0,
            held_before_drop: Times::default().distribution(),
            phases: spans.map(span).into(),
            memory: looks.map(look).into(),
            target: Some(cost(SLOPE)),
            generator: Some(cost((SLOPE.0 / 2.0, SLOPE.1))),
            probe: Some(Probe {
                operation: "handshake".to_owned(),
                target: "tls://127.0.0.1:8443".to_owned(),
                rate_per_s: 10.0,
                phases: probed.into(),
            }),
        }),
        ..run
    }
}

fn span((name, from_s, to_s): (&str, f64, f64)) -> Span {
    Span {
        name: name.to_owned(),
        from_s,
        to_s,
    }
}

fn look((when, at_s, connections): (When, f64, u64)) -> Look {
    let memory = |part: f64| {
        let anonymous = (SLOPE.1 + part * SLOPE.0 * connections as f64) as u64;
        Some(Memory {
            resident_bytes: anonymous + 4_000_000,
            proportional_bytes: Some(anonymous + 3_000_000),
            anonymous_bytes: anonymous,
        })
    };
    Look {
        when,
        at_s,
        connections,
        target: memory(1.0),
        generator: memory(0.5),
    }
}

fn cost((slope, without): (f64, f64)) -> Cost {
    let line = |without| Line {
        bytes_per_connection: slope,
        bytes_without: without,
        residual_bytes: 1_500.0,
        looks: 5,
    };
    Cost {
        anonymous: line(without),
        resident: line(without + 4_000_000.0),
    }
}
