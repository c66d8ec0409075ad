//! A run that is interrupted, or fails on the way, tells what it measured, and ends what it started. `bench growth` stands for all that
//! compare in turn.
#![allow(clippy::unwrap_used, missing_docs)]

mod stubs;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use stubs::{PERF, profilers, program, scenario};

const BENCH: &str = env!("CARGO_BIN_EXE_bench");
/// Far more than the rest of a measurement takes, far less than all rounds.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Builds nothing, and hands out the gateway that is there.
const CARGO: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" = --target-dir ] && folder=$2/debug
    shift
done
mkdir -p "$folder" && cp "$SEALGATE" "$folder/sealgate"
"#;

/// To the process alone, as a service manager does it.
const TERMINATE: fn(Pid) = |pid| kill_process(pid, Signal::TERM).unwrap();
/// To its group, as a terminal does it.
const CONTROL_C: fn(Pid) = |pid| kill_process_group(pid, Signal::INT).unwrap();

/// Where a run is, and where its files are meanwhile.
struct Place(tempfile::TempDir);

/// What came of a run.
struct End {
    status: Option<i32>,
    output: String,
    errors: String,
}

impl Place {
    fn new() -> Self {
        for program in ["sealgate", "loadgen"] {
            assert!(
                beside(program).exists(),
                "run `cargo build -p {program}` first"
            );
        }
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("temporary")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// The directory of a run's files, while it is there.
    fn files(&self) -> Option<PathBuf> {
        let mut all = fs::read_dir(self.path("temporary")).unwrap();
        let first = all.next()?.unwrap().path();
        assert!(all.next().is_none(), "it has more than one");
        Some(first)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(BENCH);
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("TMPDIR", self.path("temporary"))
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .env("CARGO", self.path("cargo"))
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("SEALGATE", beside("sealgate"))
            .env_remove("GIT_DIR")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    fn run(&self, arguments: &[&str]) -> End {
        let ended = self.command(arguments).output().unwrap();
        assert!(self.files().is_none(), "its files are left");
        End {
            status: ended.status.code(),
            output: String::from_utf8(ended.stdout).unwrap(),
            errors: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    /// Runs in a process group of its own, as a shell makes it, and interrupts once it has said `awaited`, and `ready` says so.
    fn interrupted(
        &self,
        arguments: &[&str],
        awaited: &str,
        ready: impl Fn(&Path) -> bool,
        interrupt: fn(Pid),
    ) -> End {
        let mut bench = self.command(arguments).process_group(0).spawn().unwrap();
        let pid = Pid::from_raw(bench.id().cast_signed()).unwrap();
        let mut errors = BufReader::new(bench.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(awaited) {
            assert!(errors.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        let files = self.files().expect("a run has files");
        let mode = fs::metadata(&files).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "others can read its keys");
        let said_at = Instant::now();
        let started = loop {
            match children(&bench) {
                // An origin, and a gateway or a load.
                two if two.len() >= 2 && ready(&files) => break two,
                _ => assert!(said_at.elapsed() < ENDS_WITHIN, "nothing runs: {said}"),
            }
            std::thread::yield_now();
        };
        interrupt(pid);
        let sent = Instant::now();
        let status = loop {
            if let Some(status) = bench.try_wait().unwrap() {
                break status;
            }
            if sent.elapsed() > ENDS_WITHIN {
                kill_process_group(pid, Signal::KILL).unwrap();
                // A command has a group of its own, a server is in the one that has ended.
                for child in started {
                    let child = Pid::from_raw(child.parse().unwrap()).unwrap();
                    let _ = kill_process_group(child, Signal::KILL);
                }
                panic!("it does not end: {said}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        errors.read_to_string(&mut said).unwrap();
        let mut output = String::new();
        let mut stdout = bench.stdout.take().unwrap();
        stdout.read_to_string(&mut output).unwrap();
        for child in started {
            assert!(!Path::new("/proc").join(&child).exists(), "{child} is left");
        }
        assert!(self.files().is_none(), "its files are left");
        assert!(said.ends_with("bench: interrupted\n"), "{said}");
        End {
            status: status.code(),
            output,
            errors: said,
        }
    }
}

fn beside(program: &str) -> PathBuf {
    Path::new(BENCH).with_file_name(program)
}

/// What it has started: the origin, and sometimes a gateway and a load.
fn children(bench: &Child) -> Vec<String> {
    let pid = bench.id();
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_was_measured_is_told_and_nothing_is_left_behind() {
    let many = "growth tenants --most 2 --quick --rounds 50 --json growth.json";
    let many: Vec<_> = many.split(' ').collect();
    for interrupt in [TERMINATE, CONTROL_C] {
        let place = Place::new();
        let end = place.interrupted(&many, "round 2: 2 tenants", |_| true, interrupt);
        assert_eq!(end.status, Some(4), "{}", end.errors);
        let cut = "CUT SHORT (interrupted): median of what there is of 50 rounds";
        assert!(end.output.contains(cut), "{}", end.output);
        let json = place.json("growth.json");
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

/// A repository of one commit, a `cargo` that takes no time, and scenarios. None on a single core, where `ab` has to refuse.
fn place_of_revisions() -> Option<Place> {
    let place = Place::new();
    program(place.0.path(), "cargo", CARGO);
    for name in ["first.toml", "second.toml"] {
        fs::write(place.path(name), scenario("")).unwrap();
    }
    for words in [
        "init -q",
        "add first.toml",
        "-c user.name=x -c user.email=x@x.example commit -q --no-gpg-sign -m one",
    ] {
        let mut git = Command::new("git");
        git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        let git = git.arg("-C").arg(place.0.path()).args(words.split(' '));
        assert!(git.status().unwrap().success(), "git {words}");
    }
    if std::thread::available_parallelism().unwrap().get() > 1 {
        return Some(place);
    }
    let end = place.run(&["ab", "HEAD", "HEAD", "first.toml", "--profile", "dev"]);
    assert_eq!(end.status, Some(1), "{}", end.errors);
    assert!(
        end.errors.contains("two cores are needed"),
        "{}",
        end.errors
    );
    None
}

#[test]
fn a_comparison_that_was_cut_short_concludes_nothing_and_is_not_appended_to_a_history() {
    let many = "ab HEAD HEAD first.toml second.toml --profile dev --rounds 50 --max-rounds 60 --round-time 1s \
                --json ab.json --markdown ab.md --junit ab.xml";
    let many: Vec<_> = many.split_whitespace().collect();
    for interrupt in [TERMINATE, CONTROL_C] {
        let Some(place) = place_of_revisions() else {
            return;
        };
        let end = place.interrupted(&many, "first: round 3", |_| true, interrupt);
        assert_eq!(end.status, Some(4), "{}", end.errors);
        assert!(
            end.output.contains("\nCUT SHORT (interrupted): "),
            "{}",
            end.output
        );
        assert!(
            end.output.contains("verdict: INCONCLUSIVE"),
            "{}",
            end.output
        );
        let json = place.json("ab.json");
        assert_eq!(
            (&json["verdict"], &json["cut_short"]),
            (&"inconclusive".into(), &"interrupted".into())
        );
        let scenarios = json["scenarios"].as_array().unwrap();
        for (scenario, rounds) in scenarios.iter().zip([2, 0]) {
            assert!(scenario["rounds"].as_u64() >= Some(rounds), "{scenario}");
            for metric in scenario["metrics"].as_array().unwrap() {
                assert_eq!(metric["verdict"], "inconclusive", "{scenario}");
            }
        }
        let (first, second) = (&scenarios[0], &scenarios[1]);
        let cpu = first["metrics"][0]["rounds"]["head"].as_array().unwrap();
        assert!(cpu.len() >= 2 && cpu.len() < 50, "{first}");
        assert_eq!(second["rounds"], 0);
        let text = |name: &str| fs::read_to_string(place.path(name)).unwrap();
        assert!(text("ab.md").contains("CUT SHORT"));
        assert!(text("ab.xml").contains("<error message=\"CUT SHORT"));
        let append = place.run(&["history", "append", "ab.json", "--file", "history.jsonl"]);
        assert_eq!(append.status, Some(1));
        let refused = "ab.json was cut short (interrupted)";
        assert!(append.errors.contains(refused), "{}", append.errors);
        assert!(!place.path("history.jsonl").exists());
    }
}

#[test]
fn what_fails_in_a_later_scenario_leaves_what_the_earlier_ones_came_to() {
    let Some(place) = place_of_revisions() else {
        return;
    };
    let refused = scenario("").replace("class = \"terminated\"", "class = \"determined\"");
    fs::write(place.path("second.toml"), refused).unwrap();
    let few = "ab HEAD HEAD first.toml second.toml --profile dev --rounds 2 --max-rounds 2 --round-time 1s --json ab.json";
    let end = place.run(&few.split(' ').collect::<Vec<_>>());
    let json = place.json("ab.json");
    // Two rounds on a busy machine may say anything, also that one copy is slower than another.
    let status = if json["verdict"] == "fail" { 3 } else { 2 };
    assert_eq!(end.status, Some(status), "{}", end.errors);
    assert!(end.errors.contains("determined"), "{}", end.errors);
    let why = json["cut_short"].as_str().unwrap();
    assert!(why.contains("takes no connections"), "{why}");
    assert_eq!(json["scenarios"][0]["rounds"], 2);
    let second = &json["scenarios"][1];
    assert_eq!(
        (&second["rounds"], &second["verdict"]),
        (&0.into(), &"inconclusive".into())
    );
}

#[test]
fn a_proof_that_was_cut_short_proves_nothing() {
    let Some(place) = place_of_revisions() else {
        return;
    };
    let many = "ab prove HEAD --scenario first.toml --profile dev --rounds 2 --max-rounds 2 --round-time 1s --json prove.json";
    let many: Vec<_> = many.split(' ').collect();
    let end = place.interrupted(&many, "1 of 20 with 0 %", |_| true, TERMINATE);
    assert_eq!(end.status, Some(4), "{}", end.errors);
    assert!(
        end.output
            .starts_with("CUT SHORT (interrupted), so nothing is proven"),
        "{}",
        end.output
    );
    let json = place.json("prove.json");
    assert_eq!(
        (&json["holds"], &json["cut_short"]),
        (&false.into(), &"interrupted".into())
    );
    assert!(json["noops"]["of"].as_u64() >= Some(1), "{json}");
}

#[test]
fn a_capacity_that_was_cut_short_has_what_was_loaded_and_nobody_is_held_to_it() {
    let place = Place::new();
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '))
        .args("-subj /CN=acme.example -keyout acme.key -out acme.pem".split(' '))
        .current_dir(place.0.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let config = "workers = 1\n[[listener]]\nname = \"public\"\nlisten = \"0.0.0.0:443\"\n\
                  [[tenant]]\nid = \"acme\"\nnames = [\"acme.example\"]\ncertificate = \"acme.pem\"\nkey = \"acme.key\"\n\
                  [[route]]\nname = \"feed\"\ntenant = \"acme\"\nprotocol = \"tcp\"\nclass = \"terminated\"\n\
                  upstream = \"192.0.2.9:9000\"\n";
    fs::write(place.path("gateway.toml"), config).unwrap();
    let many = "capacity --config gateway.toml --rounds 50 --count 12 --json capacity.json";
    let many: Vec<_> = many.split(' ').collect();
    let end = place.interrupted(&many, "round 2: bulk of feed", |_| true, TERMINATE);
    assert_eq!(end.status, Some(4), "{}", end.errors);
    assert!(
        end.output.contains("CUT SHORT (interrupted): "),
        "{}",
        end.output
    );
    assert!(end.output.contains("| handshakes | "), "{}", end.output);
    assert!(!end.output.contains("idle connections"), "{}", end.output);
    let json = place.json("capacity.json");
    assert_eq!(json["cut_short"], "interrupted");
    let route = &json["routes"][0];
    assert!(route["idle"].is_null(), "{route}");
    for (at, least) in [(0, 2), (1, 1), (2, 1)] {
        let rates = route["loads"][at]["rates"].as_array().unwrap().len();
        assert!((least..50).contains(&rates), "{route}");
    }
    let against = place.run(&[
        "capacity",
        "--config",
        "gateway.toml",
        "--against",
        "capacity.json",
    ]);
    assert_eq!(against.status, Some(1));
    let refused = "capacity.json: it was cut short (interrupted)";
    assert!(against.errors.contains(refused), "{}", against.errors);
}

#[test]
fn a_profile_that_was_cut_short_is_drawn_and_marked() {
    for interrupt in [TERMINATE, CONTROL_C] {
        let place = Place::new();
        profilers(place.0.path(), PERF);
        fs::write(place.path("echoes.toml"), scenario("")).unwrap();
        let long = ["profile", "echoes.toml", "--time", "10m"];
        let records = |files: &Path| files.join("perf.data").exists();
        let end = place.interrupted(&long, "echoes: echoes", records, interrupt);
        assert_eq!(end.status, Some(4), "{}", end.errors);
        let title = "under echoes, CUT SHORT (interrupted)";
        assert!(end.output.contains(title), "{}", end.output);
        assert!(end.output.contains("30 samples"), "{}", end.output);
        let svg = fs::read_to_string(place.path("profile-echoes.svg")).unwrap();
        assert!(svg.contains(title) && svg.contains("seal 30"), "{svg}");
    }
}
