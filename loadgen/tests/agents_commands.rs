//! Commands that make several loads, or read them from a scenario, by agents.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod agent;
mod program;

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use agent::{
    Agent, Certificates, assert_whole,
    impostor::{impostor, tells},
    on_agents,
};
use loadgen::{
    agents::protocol::FromAgent,
    measure::{histogram::Times, interval::Interval},
    report::{
        agents::Said,
        model::{Generator, State, Verdict},
        reason::Reason,
    },
};
use program::{
    Origin, PROGRAM, TlsFiles, ended, loadgen,
    schema::assert_valid_by,
    search::{AT_ONE_RATE, assert_held_to_the_end, whole_steps},
    start_in,
};
use serde_json::{Value, json};

#[test]
fn every_run_of_a_sweep_is_done_by_all_agents() {
    let certificates = Certificates::new();
    let agents = [Agent::start(&certificates), Agent::start(&certificates)];
    let origin = Origin::start(&[]);
    let url = origin.url("/x");
    let sweep = [
        "sweep",
        "--vary",
        "connections=2,5",
        "--vary",
        "size=10,2k",
        "--rounds",
        "1",
        "--json",
        "-",
        "request",
        &url,
        "-n",
        "11",
    ];
    let flags = certificates.flags(&agents);
    let (code, json) = ended(start_in("/", &on_agents(&sweep, &flags)));
    assert!(matches!(code, 0 | 4), "{json:#}");
    assert_valid_by(&json, "sweep-1.json");
    let cells = json["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    for cell in cells {
        let report = &cell["runs"][0]["report"];
        assert_whole(&(0, report.clone()), 11);
        let connections = report["configuration"]["connections"].to_string();
        assert_eq!(connections, cell["values"][0].as_str().unwrap());
    }
    assert_eq!(origin.totals(&origin.url(""))["requests"], 4 * 11);
    // A cell that agents cannot do is refused as it is without them.
    let sweep = ["sweep", "--vary", "connections=1,2", "request", &url];
    let ran = loadgen(&on_agents(&sweep, &flags));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("raise -c to 2"), "{}", ran.stderr);
}

/// A scenario whose files lie beside it.
fn scenario(dir: &TlsFiles, origin: &Origin, load: &str) -> String {
    let text = format!(
        r#"
target = "https://localhost:{http}"
[load]
cacert = "ca.pem"
tenants = "3:weights.csv"
{load}
[[operation]]
name = "read"
share = 3
path = "/{{tenant}}/{{n}}"
objects = 4
size = "300"
check = "hash"
prepare = true
[[operation]]
name = "echo"
share = 1
kind = "echo"
target = "tls://localhost:{echo}"
size = "50"
"#,
        http = origin.address("http").port(),
        echo = origin.address("echo").port(),
    );
    fs::write(dir.path("weights.csv"), "a,1\nb,2\nc,1\n").unwrap();
    fs::write(dir.path("s.toml"), text).unwrap();
    dir.path("")
}

/// How often each operation succeeded.
fn succeeded(report: &Value) -> BTreeMap<String, u64> {
    let kinds = report["kinds"].as_array().unwrap().iter();
    kinds
        .map(|kind| {
            let succeeded = kind["operations"]["succeeded"].as_u64().unwrap();
            (kind["name"].as_str().unwrap().to_owned(), succeeded)
        })
        .collect()
}

#[test]
fn agents_do_a_scenario_that_they_are_sent_and_its_objects_are_stored_once() {
    let certificates = Certificates::new();
    let agents = [Agent::start(&certificates), Agent::start(&certificates)];
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let dir = scenario(&files, &origin, "connections = 4\ncount = 101");
    let flags = certificates.flags(&agents);
    let mix = on_agents(&["mix", "s.toml", "--json", "-"], &flags);
    let run = ended(start_in(&dir, &mix));
    let json = assert_whole(&run, 101);
    assert_eq!(json["errors"], json!([]));
    // As it is planned for one machine with as many threads.
    let check = Command::new(PROGRAM)
        .args(on_agents(&["mix", "--check", "s.toml"], &flags))
        .current_dir(&dir)
        .output()
        .unwrap();
    let planned = String::from_utf8(check.stdout).unwrap();
    let counted = succeeded(json);
    assert_eq!(counted.values().sum::<u64>(), 101);
    for (name, count) in &counted {
        let line = format!("operation {name} {count}\n");
        assert!(planned.contains(&line), "{line}{planned}");
    }
    let tenants = json["tenants"].as_array().unwrap().iter();
    let names: Vec<_> = tenants.map(|tenant| &tenant["name"]).collect();
    assert_eq!(names, ["b", "a", "c"], "by weight");
    // Four objects of each of three tenants, by the coordinator.
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(totals["requests"], 3 * 4 + counted["read"]);
    assert_eq!(totals["echo_bytes"], 50 * counted["echo"]);
}

#[test]
fn the_steps_of_a_search_are_done_by_all_agents() {
    let certificates = Certificates::new();
    let agents = [Agent::start(&certificates), Agent::start(&certificates)];
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let load = "connections = 2\nduration = \"2s\"\nslo = [\"p99<60s\", \"errors<1%\"]";
    let dir = scenario(&files, &origin, load);
    let flags = certificates.flags(&agents);
    let search = [
        &["search", "mix"],
        &AT_ONE_RATE[..],
        &["s.toml", "--json", "-"],
    ]
    .concat();
    let run = ended(start_in(&dir, &on_agents(&search, &flags)));
    let json = &run.1;
    assert_valid_by(json, "search-1.json");
    let mut reads = 0;
    for (n, step) in whole_steps(json).iter().enumerate() {
        let report = &step["report"];
        let asked = &report["configuration"];
        assert_eq!(asked["stages"][0]["from_per_s"], 20.0);
        assert_eq!(
            (&asked["arrival"], &asked["seed"], &asked["warmup_s"]),
            (&json!("poisson"), &json!(n + 2), &json!(0.1))
        );
        let all = &report["totals"]["operations"];
        let agents = report["agents"].as_array().unwrap();
        let parts = agents.iter().map(|agent| &agent["totals"]["operations"]);
        let sum: u64 = parts.map(|part| part["succeeded"].as_u64().unwrap()).sum();
        assert_eq!(Some(sum), all["succeeded"].as_u64());
        assert_eq!(agents.len(), 2);
        reads += succeeded(report)["read"];
    }
    // Warm-up is in no count but the origin's.
    let requests = origin.totals(&origin.tls_url(""))["requests"].as_u64();
    assert!(requests.unwrap() >= 3 * 4 + reads);
    assert_held_to_the_end(&run);
}

#[test]
fn an_agent_that_is_lost_ends_a_search_with_what_there_is() {
    let certificates = Certificates::new();
    let [stays, mut dies] = [Agent::start(&certificates), Agent::start(&certificates)];
    let origin = Origin::start(&[]);
    let url = origin.url("/none");
    let search = [
        "search", "request", &url, "--check", "none", "--slo", "p99<60s", "--from", "40", "-d",
        "60s", "--json", "-",
    ];
    let flags = certificates.flags(&[&stays, &dies]);
    let mut child = start_in("/", &on_agents(&search, &flags));
    // It has begun when the target was asked.
    origin.await_requests(10, &mut child);
    dies.kill();
    let (code, json) = ended(child);
    assert_eq!(code, 4);
    assert_valid_by(&json, "search-1.json");
    assert_eq!(json["result"]["ending"], "agent_lost");
    let agents = &json["steps"][0]["report"]["agents"];
    assert!(agents[1]["lost"].is_string() && agents[0]["lost"].is_null());
}

#[test]
fn a_step_that_missed_with_an_agent_too_busy_says_nothing_of_the_target() {
    let certificates = Certificates::new();
    let mut interval = Interval::new(1, 0);
    (interval.second, interval.planned) = (Some(0), vec![(0, 2)]);
    let part = &mut interval.kinds[0];
    (part.counts.planned, part.counts.sent, part.counts.succeeded) = (2, 2, 2);
    for _ in 0..2 {
        part.latency.response.record(Duration::from_micros(50));
        part.latency.service.record(Duration::from_micros(50));
        part.latency.lag.record(Duration::ZERO);
    }
    interval.last_done = Some(Duration::from_secs(2));
    let counts = part.counts;
    let busy = Reason::GeneratorBusy(0.97);
    let done = Said {
        address: "127.0.0.1:9".to_owned(),
        generator: Generator {
            threads: 1,
            cpu_s: 1.0,
            spun_s: 0.0,
            busiest_share: 0.97,
            waited_s: 0.0,
            cpu_ns_per_operation: None,
            lag: Times::new().distribution(),
        },
        verdict: Verdict {
            state: State::Invalid,
            reasons: vec![busy.to_model()],
        },
        grounds: vec![busy],
        blames_target: false,
        seconds: Vec::new(),
        interrupted: false,
        counts,
    };
    let words = vec![
        FromAgent::Interval(0, Box::new(interval)),
        FromAgent::Done(Box::new(done)),
    ];
    let (address, agent) = impostor(&certificates, |link| tells(link, words));
    let flags = certificates.flags_as("coordinator", &address);
    let search = [
        "search",
        "request",
        "http://127.0.0.1:9/",
        "--slo",
        "p99<10us",
        "--from",
        "1",
        "-d",
        "2s",
        "-c",
        "1",
        "--attempts",
        "1",
        "--json",
        "-",
    ];
    let (code, json) = ended(start_in("/", &on_agents(&search, &flags)));
    agent.join().unwrap();
    assert_eq!(code, 4, "{json:#}");
    assert_eq!(json["steps"][0]["finding"]["is"], "limited", "{json:#}");
    assert_eq!(json["result"]["ending"], "undecided");
    let reasons = &json["steps"][0]["report"]["verdict"]["reasons"];
    assert_eq!(reasons[0]["agent"], address, "{reasons:#}");
    assert_eq!(reasons[0]["code"], "generator_busy", "{reasons:#}");
}
