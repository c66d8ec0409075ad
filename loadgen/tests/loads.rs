//! Loads behind one another on the same connections, each counted by itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{io::Read, time::Duration};

use clap::Parser;
use loadgen::{
    cli::{self, Cli},
    command::{handshake, load, request},
    run::{Outcome, Session},
    schedule::{Extent, arrivals::Process, curve::Rate, curve::Stage, timeline::OpenLoad},
    worker::{Load, Loads, Plan},
};
use program::{Nowhere, Origin, TlsFiles, service};

/// The plan of a command line, for many loads.
fn plan(args: &[&str]) -> Plan {
    let cli = Cli::parse_from([&["loadgen"], args].concat());
    let plan = match &cli.command {
        cli::Command::Request(args) => load::plan(&request::job(args).unwrap()),
        cli::Command::Handshake(args) => load::plan(&handshake::job(args).unwrap()),
        _ => panic!("not a load of these tests"),
    };
    Plan {
        loads: Loads::Many,
        ..plan.unwrap()
    }
}

/// So many operations in a tenth of a second.
fn again(operations: u64) -> Load {
    let length = Duration::from_millis(100);
    Load {
        extent: Extent {
            duration: Some(length),
            operations: None,
            warmup: Duration::from_millis(20),
        },
        open: Some(OpenLoad {
            process: Process::Constant,
            stages: vec![Stage::hold(Rate(operations * 10_000), length)],
            seed: 1,
        }),
    }
}

/// Planned, succeeded, failed, never sent; connections.
fn counts(outcome: &Outcome) -> ([u64; 4], u64) {
    let totals = &outcome.collected.totals;
    let mut all = [0; 4];
    for part in &totals.kinds {
        let counts = &part.counts;
        let of = [
            counts.planned,
            counts.succeeded,
            counts.failed,
            counts.unsent,
        ];
        all.iter_mut().zip(of).for_each(|(sum, n)| *sum += n);
    }
    (all, totals.connections.established)
}

#[test]
fn connections_carry_several_loads_and_each_is_counted_by_itself() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/none");
    let first = [
        "request", &url, "--check", "none", "-R", "300", "-d", "100ms", "-c", "5", "-t", "2",
    ];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert_eq!(counts(&session.first().unwrap()), ([30, 30, 0, 0], 5));
    for operations in [40, 1, 250] {
        let outcome = session.again(again(operations)).unwrap();
        let all = [operations, operations, 0, 0];
        assert_eq!(counts(&outcome), (all, 0), "no new connection");
        let response = outcome.collected.totals.kinds[0].latency.response.count();
        assert_eq!(response, operations);
        let rows = outcome.collected.series.iter();
        assert_eq!(rows.map(|row| row.succeeded).sum::<u64>(), operations);
        assert!(!outcome.interrupted);
    }
    // Five of the session, and one that asks.
    assert_eq!(origin.totals(&origin.tls_url(""))["connections"], 6);
}

#[test]
fn handshakes_of_each_load_are_counted_in_it() {
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let target = origin.address("echo").to_string();
    let first = ["handshake", &target, "-R", "100", "-d", "100ms", "-c", "3"];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert_eq!(counts(&session.first().unwrap()), ([10, 10, 0, 0], 10));
    let outcome = session.again(again(20)).unwrap();
    assert_eq!(counts(&outcome), ([20, 20, 0, 0], 20));
}

#[test]
fn a_load_on_a_target_that_is_gone_ends_too() {
    let nowhere = Nowhere::new();
    let gone = nowhere.address;
    let target = format!("tcp://{gone}");
    let first = [
        "request", &target, "--echo", "-R", "100", "-d", "100ms", "-c", "2", "--drain", "100ms",
    ];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert!(session.again(again(1)).is_err(), "there was no first one");
    for outcome in [session.first(), session.again(again(10))] {
        let (all, connections) = counts(&outcome.unwrap());
        assert_eq!((all[0], all[1], connections), (10, 0, 0));
        assert_eq!(all[2] + all[3], 10, "failed or never sent");
    }
}

#[test]
fn an_operation_that_never_ends_is_given_up_before_the_next_load() {
    let silent = service(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let target = format!("tcp://{silent}");
    let first = [
        "request", &target, "--echo", "-R", "100", "-d", "50ms", "-c", "2", "--drain", "100ms",
    ];
    let mut session = Session::start(plan(&first), None).unwrap();
    assert_eq!(counts(&session.first().unwrap()).0, [5, 0, 2, 3]);
    // Two of its warm-up keep both connections until the time to drain is over.
    assert_eq!(counts(&session.again(again(10)).unwrap()).0, [10, 0, 0, 10]);
}
