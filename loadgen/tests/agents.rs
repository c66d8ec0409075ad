//! A load on several agents is one load: its counts are exact, and it ends as one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod agent;
mod program;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use agent::{Agent, Certificates, assert_ended, assert_whole, on_agents};
use program::{Origin, PROGRAM, TlsFiles, loadgen, result};
use serde_json::{Value, json};

#[test]
fn two_agents_do_exactly_what_one_machine_would() {
    let certificates = Certificates::new();
    let agents = [Agent::start(&certificates), Agent::start(&certificates)];
    let flags = certificates.flags(&agents);
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &[]);
    let url = origin.tls_url("/x");
    let put = [
        "request", &url, "--size", "100", "-n", "301", "-c", "5", "-t", "2",
    ];
    let run = result(&on_agents(&put, &flags));
    let json = assert_whole(&run, 301);
    assert_eq!(json["tls"]["kind"], json!({ "full": 5 }));
    for step in ["connect", "handshake"] {
        assert_eq!(json["connections"][step]["count"], 5, "{step}");
    }
    assert_eq!(json["statuses"], json!({ "201": 1, "204": 300 }));
    assert_eq!(json["configuration"]["threads"], 4);
    assert_eq!(json["generator"]["threads"], 4);
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(totals["requests"], 301);
    assert_eq!(totals["request_body_bytes"], 30_100);
    // Five of the load, and ours.
    assert_eq!(totals["connections"], 5 + 1);

    let open = [
        "request",
        &url,
        "-R",
        "500",
        "-n",
        "101",
        "--arrival",
        "poisson",
    ];
    assert_whole(&result(&on_agents(&open, &flags)), 101);
    assert_eq!(origin.totals(&origin.tls_url(""))["requests"], 301 + 101);

    let target = origin.address("echo").to_string();
    let before = origin.totals(&origin.tls_url(""))["handshakes_full"]
        .as_u64()
        .unwrap();
    let shakes = [
        "handshake",
        &target,
        "-n",
        "30",
        "-c",
        "2",
        "--close",
        "notify",
        "--resume",
        "50%",
    ];
    let run = result(&on_agents(&shakes, &flags));
    assert_eq!(
        assert_whole(&run, 30)["tls"]["kind"]
            .as_object()
            .unwrap()
            .len(),
        2
    );
    let full = run.1["tls"]["kind"]["full"].as_u64().unwrap();
    let priming = run.1["connections"]["priming"].as_u64().unwrap();
    let after = origin.totals(&origin.tls_url(""))["handshakes_full"]
        .as_u64()
        .unwrap();
    assert_eq!(after - before, full + priming + 1);

    let target = origin.tls("echo");
    let echo = ["request", "--echo", &target, "-n", "20", "-c", "2"];
    assert_whole(&result(&on_agents(&echo, &flags)), 20);
    let target = origin.tls("sink");
    let bulk = [
        "bulk", "--up", &target, "--bytes", "100001", "-n", "6", "-c", "2",
    ];
    let run = result(&on_agents(&bulk, &flags));
    assert_eq!(assert_whole(&run, 6)["totals"]["bytes"]["sent"], 600_006);
    let totals = origin.totals(&origin.tls_url(""));
    assert_eq!(
        (&totals["echo_bytes"], &totals["sink_bytes"]),
        (&json!(2_000), &json!(600_006))
    );
}

#[test]
fn certificates_of_the_load_are_sent_and_nothing_is_read_by_an_agent() {
    let certificates = Certificates::new();
    let agents = [Agent::start(&certificates), Agent::start(&certificates)];
    let flags = certificates.flags(&agents);
    let files = TlsFiles::new();
    let origin = Origin::start_tls(&files, &["--client-ca", &files.path("ca.pem")]);
    let target = format!("localhost:{}", origin.address("echo").port());
    // Names that mean something in the coordinator's directory only.
    let load = [
        "handshake",
        &target,
        "-n",
        "10",
        "-c",
        "2",
        "--close",
        "notify",
        "--cacert",
        "ca.pem",
        "--cert",
        "client.pem",
        "--key",
        "client.key",
        "--json",
        "-",
    ];
    let output = Command::new(PROGRAM)
        .args(on_agents(&load, &flags))
        .current_dir(files.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_whole(&(output.status.code().unwrap(), json), 10);
}

/// A load that lasts until it is ended, and is under way.
fn begin(load: &[&str], flags: &[String]) -> (Child, impl BufRead + use<>) {
    let mut child = Command::new(PROGRAM)
        .args(on_agents(load, flags))
        .args(["--json", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seconds = BufReader::new(child.stderr.take().unwrap());
    // Lines of seconds begin when agents have told of one.
    let mut line = String::new();
    seconds.read_line(&mut line).unwrap();
    assert!(line.contains("p99"), "{line}");
    (child, seconds)
}

/// The exit code and the report of a load that has ended.
fn end((mut child, mut seconds): (Child, impl BufRead)) -> (i32, Value) {
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let code = child.wait().unwrap().code().unwrap();
    let mut said = String::new();
    seconds.read_to_string(&mut said).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{said}"));
    program::schema::assert_valid(&json);
    (code, json)
}

#[test]
fn a_killed_agent_ends_the_run_and_is_named() {
    let certificates = Certificates::new();
    let [stays, mut dies] = [Agent::start(&certificates), Agent::start(&certificates)];
    let origin = Origin::start(&[]);
    let url = origin.url("/.origin/counts");
    let load = ["request", &url, "-R", "200", "-d", "600s"];
    let flags = certificates.flags(&[&stays, &dies]);
    let run = begin(&load, &flags);
    dies.kill();
    let (code, json) = end(run);
    assert_eq!(code, 4, "{json:#}");
    assert_eq!(json["verdict"]["state"], "invalid");
    let reasons = json["verdict"]["reasons"].as_array().unwrap();
    let lost = reasons
        .iter()
        .find(|reason| reason["code"] == "agent_lost")
        .unwrap();
    assert_eq!(lost["agent"], dies.address());
    assert_eq!(lost["state"], "invalid");
    let said = lost["message"].as_str().unwrap();
    assert!(
        said.contains(&dies.address()) && said.contains("was lost"),
        "{said}"
    );
    let whole = &json["totals"]["operations"]["succeeded"];
    assert!(whole.as_u64().unwrap() > 0, "what came until then is there");
    let ends = json["agents"].as_array().unwrap();
    assert_eq!(
        (&ends[0]["lost"], ends[1]["lost"].is_string()),
        (&Value::Null, true)
    );
    // The other one has stopped, and takes work again.
    let again = ["request", &url, "-n", "10"];
    let run = result(&on_agents(&again, &certificates.flags(&[&stays])));
    assert_eq!(run.1["totals"]["operations"]["succeeded"], 10);
    assert_eq!(run.1["agents"][0]["lost"], Value::Null);
}

#[test]
fn an_end_of_the_coordinator_ends_the_agents_and_has_a_report() {
    let certificates = Certificates::new();
    let agents = [Agent::start(&certificates), Agent::start(&certificates)];
    let flags = certificates.flags(&agents);
    let origin = Origin::start(&[]);
    let url = origin.url("/x");
    let load = ["request", &url, "--size", "10", "-c", "2", "-d", "600s"];
    let run = begin(&load, &flags);
    let other = loadgen(&on_agents(&["request", &url, "-n", "2"], &flags));
    assert_eq!(other.code, 4);
    assert!(
        other.stderr.contains("at work for another coordinator"),
        "{}",
        other.stderr
    );
    agent::signal("-INT", run.0.id());
    let (_, json) = end(run);
    assert_eq!(json["timing"]["interrupted"], true);
    let ends = json["agents"].as_array().unwrap();
    assert!(
        ends.iter().all(|agent| agent["lost"].is_null()),
        "{ends:#?}"
    );
    let sent = &json["totals"]["operations"]["sent"];
    assert_eq!(sent, &origin.totals(&origin.url(""))["requests"]);
    // So do those whose coordinator has no time for it.
    let mut run = begin(&load, &flags);
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    for agent in agents {
        assert_ended(agent);
    }
}

#[test]
fn an_agent_that_is_ended_on_its_machine_is_named() {
    let certificates = Certificates::new();
    let [stays, ended] = [Agent::start(&certificates), Agent::start(&certificates)];
    let origin = Origin::start(&[]);
    let url = origin.url("/.origin/counts");
    let flags = certificates.flags(&[&stays, &ended]);
    let run = begin(&["request", &url, "-R", "200", "-d", "600s"], &flags);
    let name = ended.address();
    assert_ended(ended);
    let (code, json) = end(run);
    assert_eq!(code, 4);
    let said = json["agents"][1]["lost"].as_str().unwrap();
    assert!(said.contains("somebody ended it on its machine"), "{said}");
    assert_eq!(json["agents"][1]["name"], name);
}

#[test]
fn what_cannot_be_done_by_agents_is_refused_before_anything_is_sent() {
    let certificates = Certificates::new();
    let agents = [Agent::start(&certificates), Agent::start(&certificates)];
    let flags = certificates.flags(&agents);
    let origin = Origin::start(&[]);
    let (url, secure) = (origin.url("/x"), origin.tls_url("/x"));
    let files = TlsFiles::new();
    let missing = files.path("missing.pem");
    let cases: [(&[&str], i32, &str); 7] = [
        (&["request", &url, "-c", "1"], 1, "raise -c to 2 or more"),
        (
            &["request", &secure, "--http", "auto"],
            1,
            "write --http 1.1 or --http 2",
        ),
        (
            &["request", &secure, "--cacert", &missing],
            1,
            "cannot read",
        ),
        (
            &["ab", "request", &url, &url],
            1,
            "put them side by side with `loadgen compare`",
        ),
        (
            &["conns", &url],
            1,
            "start `loadgen conns` on each machine by itself",
        ),
        (
            &[
                "search",
                "request",
                &url,
                "--slo",
                "p99<1s",
                "--calibration",
                "x",
            ],
            1,
            "drop --calibration",
        ),
        (
            &["request", &url, "-n", "2", "--source", "203.0.113.1"],
            4,
            "give addresses of this machine",
        ),
    ];
    for (load, code, said) in cases {
        let ran = loadgen(&on_agents(load, &flags));
        assert_eq!(ran.code, code, "{load:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{load:?}: {}", ran.stderr);
    }
    let mut exact = flags.clone();
    exact.retain(|flag| !flag.starts_with("--agents-skew"));
    let load = ["request", &url, "-n", "2", "--agents-skew", "1us"];
    let ran = loadgen(&on_agents(&load, &exact));
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let said = format!("agent {}: its clock is known to ", agents[0].address());
    let other = format!("agent {}: its clock is known to ", agents[1].address());
    assert!(
        ran.stderr.contains(&said) || ran.stderr.contains(&other),
        "{}",
        ran.stderr
    );
    assert_eq!(origin.totals(&origin.url(""))["requests"], 0);
    let named = loadgen(&["request", &url, "--agents", "a:1"]);
    assert!(named.stderr.contains("--agents-cert"), "{}", named.stderr);
}
