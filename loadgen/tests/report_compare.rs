//! Two stored runs side by side: what is refused, what is concluded, and what is not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod report_sample;

use std::{fs, process::Command};

use loadgen::report::{
    compare::{Finding, Noise, compare},
    model::{Report, State},
};
use report_sample::{CALM, Shape};

/// Runs `loadgen compare`; gives exit code, standard output and standard error.
fn run(base: &Report, head: &Report, flags: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let store = |name: &str, report: &Report| {
        let path = dir.path().join(name);
        fs::write(&path, serde_json::to_string(report).unwrap()).unwrap();
        path
    };
    let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .arg("compare")
        .args([store("base.json", base), store("head.json", head)])
        .args(flags)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A run whose service times and CPU are so many times those of a calm one.
fn slower(slowness: f64) -> Report {
    report_sample::report(Shape {
        slowness,
        seed: 7,
        ..CALM
    })
}

fn calm() -> Report {
    report_sample::report(CALM)
}

#[test]
fn runs_that_asked_something_else_are_refused_with_the_keys_that_differ() {
    let base = calm();
    let mut head = calm();
    head.configuration.connections = 64;
    head.configuration.tls.as_mut().unwrap().groups = vec!["X25519".into()];
    head.host.kernel = "6.2.0".into();
    let (code, out, said) = run(&base, &head, &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    for line in [
        "configuration.connections: 32 / 64",
        "configuration.tls.groups: X25519MLKEM768, X25519 / X25519",
        "host.kernel: 6.1.0 / 6.2.0",
        "--force",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let (code, out, _) = run(&base, &head, &["--force"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("not the same  host.kernel: 6.1.0 / 6.2.0"),
        "{out}"
    );
}

#[test]
fn another_seed_or_another_port_is_the_same_configuration() {
    let mut head = calm();
    head.configuration.seed = 99;
    head.configuration.address = "127.0.0.1:40001".into();
    assert_eq!(run(&calm(), &head, &[]).0, 0);
    head.tool.version = "0.2.0".into();
    let (code, _, said) = run(&calm(), &head, &[]);
    assert_eq!(code, 1);
    assert!(said.contains("tool.version: 0.1.0 / 0.2.0"), "{said}");
}

#[test]
fn a_small_difference_of_two_runs_is_not_called_one() {
    // 5 % is a fourth of what runs differ by themselves.
    let (code, out, _) = run(&calm(), &slower(1.05), &[]);
    assert_eq!(code, 0);
    assert!(
        out.ends_with("verdict     no difference is shown\n"),
        "{out}"
    );
    assert!(out.contains("differ without any cause"), "{out}");
    let (code, out, _) = run(&calm(), &slower(1.05), &["--margin", "2%"]);
    assert_eq!(code, 4);
    assert!(out.contains("INCONCLUSIVE"), "{out}");
    // Even equal runs do not prove that nothing is worse by 2 %.
    assert_eq!(run(&calm(), &calm(), &["--margin", "2%"]).0, 4);
}

#[test]
fn a_large_difference_is() {
    let (code, out, _) = run(&calm(), &slower(3.0), &[]);
    assert_eq!(code, 0, "without a margin nothing is asked");
    assert!(
        out.contains("verdict     worse: target CPU per operation, response p50, response p99"),
        "{out}"
    );
    let (code, out, _) = run(&calm(), &slower(3.0), &["--margin", "10%"]);
    assert_eq!(code, 3);
    assert!(out.contains("REGRESSION by more than 10 %"), "{out}");
    let (code, out, _) = run(&slower(3.0), &calm(), &["--margin", "10%"]);
    assert_eq!(code, 0, "better is not worse");
    assert!(out.contains("not worse by 10 %"), "{out}");
}

#[test]
fn on_a_machine_known_to_be_quiet_less_is_enough() {
    let flags = ["--noise", "0.5%", "--margin", "2%"];
    let (code, out, _) = run(&calm(), &slower(1.10), &flags);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("what --noise says: 0.5 %"), "{out}");
}

#[test]
fn numbers_that_do_not_hold_show_nothing() {
    let mut head = slower(3.0);
    head.verdict.state = State::Invalid;
    for flags in [&[][..], &["--margin", "10%"]] {
        let (code, out, _) = run(&calm(), &head, flags);
        assert_eq!(code, 4);
        assert!(out.contains("verdict     INVALID"), "{out}");
    }
}

#[test]
fn the_planned_rate_of_an_open_loop_is_no_result() {
    let (base, mut head) = (calm(), calm());
    head.achieved.achieved_per_s /= 4.0;
    let finding = |base: &Report, head: &Report| {
        let comparison = compare(base, head, Noise::OF_A_NOISY_MACHINE, None);
        let of_rate =
            |row: &&loadgen::report::compare::Row| row.quantity.name == "operations per second";
        comparison.rows.iter().find(of_rate).unwrap().finding
    };
    assert_eq!(finding(&base, &head), Finding::NotJudged);
    let closed = |report: &Report| Report {
        looped: loadgen::schedule::Loop::Closed,
        ..report.clone()
    };
    assert_eq!(
        finding(&closed(&base), &closed(&head)),
        Finding::Worse,
        "less is worse"
    );
    assert_eq!(finding(&closed(&head), &closed(&base)), Finding::Better);
}

#[test]
fn more_that_is_judged_at_once_widens_every_interval() {
    let (base, head) = (calm(), calm());
    let width = |base: &Report, head: &Report| {
        let comparison = compare(base, head, Noise::OF_A_NOISY_MACHINE, None);
        let of = |row: &&loadgen::report::compare::Row| row.quantity.name == "response p50";
        let interval = comparison.rows.iter().find(of).unwrap().interval;
        interval.high - interval.low
    };
    let mut alone = base.clone();
    alone.target = None;
    assert!(width(&base, &head) > width(&alone, &head));
}
