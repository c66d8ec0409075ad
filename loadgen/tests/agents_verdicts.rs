//! What the ends of agents make of the whole, without machines.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod report_sample;

use loadgen::{
    exit::Exit,
    measure::interval::Part,
    report::{
        agents::{Clock, Said, Told, add},
        model::{Report, State, Verdict},
        reason::Reason,
    },
};
use report_sample::CALM;

/// An agent that did its part of a run, and holds its numbers valid.
fn told(report: &Report) -> Told {
    Told {
        name: "load1:7500".to_owned(),
        host: report.host.clone(),
        clock: Clock {
            offset_s: 0.0,
            uncertainty_s: 0.0,
            round_trip_s: 0.0,
        },
        counted: Part::default(),
        end: Ok(Box::new(Said {
            address: "127.0.0.1:1".to_owned(),
            generator: report.generator.clone(),
            verdict: report.verdict.clone(),
            grounds: Vec::new(),
            blames_target: false,
            seconds: Vec::new(),
            interrupted: false,
            counts: Part::default().counts,
        })),
    }
}

/// Exit code, state, and the codes of its reasons with the agent of each.
fn judged(told: Told) -> (Exit, State, Vec<(String, Option<String>)>) {
    let mut report = report_sample::report(CALM);
    assert_eq!(report.verdict.state, State::Valid);
    let exit = add(&mut report, Exit::Ok, vec![told]);
    let reasons = report.verdict.reasons.into_iter();
    let reasons = reasons.map(|reason| (reason.code, reason.agent));
    (exit, report.verdict.state, reasons.collect())
}

/// One reason, of the agent.
fn because(code: &str) -> Vec<(String, Option<String>)> {
    vec![(code.to_owned(), Some("load1:7500".to_owned()))]
}

#[test]
fn a_run_is_as_valid_as_the_worst_of_its_agents() {
    let report = report_sample::report(CALM);
    assert_eq!(judged(told(&report)), (Exit::Ok, State::Valid, vec![]));

    let lost = Told {
        end: Err("it was lost".to_owned()),
        ..told(&report)
    };
    let expected = (Exit::Invalid, State::Invalid, because("agent_lost"));
    assert_eq!(judged(lost), expected);

    let mut short = told(&report);
    short.counted.counts.sent = 1;
    let expected = (Exit::Invalid, State::Invalid, because("agent_incomplete"));
    assert_eq!(judged(short), expected, "something did not arrive");

    for (reason, blames_target, exit) in [
        (Reason::GeneratorBusy(0.9), false, Exit::Invalid),
        (Reason::NothingSucceeded, true, Exit::Target),
        (Reason::Waited(0.06), false, Exit::Ok),
    ] {
        let mut told = told(&report);
        let said = told.end.as_mut().unwrap();
        said.blames_target = blames_target;
        said.verdict = Verdict {
            state: reason.state(),
            reasons: vec![reason.to_model()],
        };
        let expected = (exit, reason.state(), because(reason.code()));
        assert_eq!(judged(told), expected);
    }
}
