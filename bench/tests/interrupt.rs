//! A run that is interrupted tells what it measured, and ends what it started. `bench growth` stands for all that measure in rounds.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_bench");
/// Far more than the rest of a measurement takes, far less than all rounds.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A run of many rounds, in a process group of its own, as a shell makes it.
fn start(place: &Path) -> Child {
    for program in ["sealgate", "loadgen"] {
        let path = Path::new(BENCH).with_file_name(program);
        assert!(path.exists(), "run `cargo build -p {program}` first");
    }
    Command::new(BENCH)
        .args(["growth", "tenants", "--most", "2", "--quick"])
        .args(["--rounds", "50", "--json", "growth.json"])
        .current_dir(place)
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it has started: the origin, and sometimes a gateway and a load.
fn children(bench: &Child) -> Vec<String> {
    let pid = bench.id();
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace().map(str::to_owned).collect()
}

/// Interrupts a run in its second round or later; gives its exit status, standard output and standard error.
fn interrupted(place: &Path, interrupt: fn(Pid)) -> (Option<i32>, String, String) {
    let mut bench = start(place);
    let pid = Pid::from_raw(bench.id().cast_signed()).unwrap();
    let files = std::env::temp_dir().join(format!("sealgate-bench-{}", bench.id()));
    let mut errors = BufReader::new(bench.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("round 2: 2 tenants") {
        assert!(errors.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    let started = loop {
        match children(&bench) {
            two if two.len() >= 2 => break two,
            _ => std::thread::yield_now(),
        }
    };
    assert!(files.exists());
    interrupt(pid);
    let sent = Instant::now();
    let status = loop {
        if let Some(status) = bench.try_wait().unwrap() {
            break status;
        }
        if sent.elapsed() > ENDS_WITHIN {
            kill_process_group(pid, Signal::KILL).unwrap();
            panic!("it does not end: {said}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    errors.read_to_string(&mut said).unwrap();
    let mut table = String::new();
    let mut output = bench.stdout.take().unwrap();
    output.read_to_string(&mut table).unwrap();
    for child in started {
        assert!(!Path::new("/proc").join(&child).exists(), "{child} is left");
    }
    assert!(!files.exists(), "its files are left");
    (status.code(), table, said)
}

#[test]
fn what_was_measured_is_told_and_nothing_is_left_behind() {
    let terminate: fn(Pid) = |pid| kill_process(pid, Signal::TERM).unwrap();
    // What a terminal does.
    let control_c: fn(Pid) = |pid| kill_process_group(pid, Signal::INT).unwrap();
    for interrupt in [terminate, control_c] {
        let place = tempfile::tempdir().unwrap();
        let (status, table, said) = interrupted(place.path(), interrupt);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.ends_with("bench: interrupted\n"), "{said}");
        let cut = "CUT SHORT (interrupted): median of what there is of 50 rounds";
        assert!(table.contains(cut), "{table}");
        let json = fs::read(place.path().join("growth.json")).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            (&json["rounds"], &json["cut_short"]),
            (&50.into(), &"interrupted".into())
        );
        let series = json["series"].as_array().unwrap();
        assert_eq!(series.len(), 2);
        for series in series {
            let costs = |at: usize| series["points"][at]["costs"].as_array().unwrap().len();
            // The second round had begun.
            assert!(costs(0) >= 2 && costs(1) >= 1, "{series}");
            assert!(costs(1) < 50, "{series}");
        }
    }
}
