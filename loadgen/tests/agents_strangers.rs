//! Agents and coordinators refuse whoever is not theirs, and say why.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod agent;
mod program;

use std::{path::Path, process::Command, time::Duration};

use agent::{
    Agent, Certificates,
    impostor::{block_on, impostor, tells},
    on_agents,
};
use loadgen::{
    agents::{
        identity::Identity,
        link::Link,
        protocol::{FromAgent, Job, Refusal, ToAgent, Version},
    },
    measure::interval::Interval,
};
use program::{Origin, loadgen, result};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Another version than ours.
fn newer() -> Version {
    Version {
        program: "9.9.9".to_owned(),
        ..Version::own()
    }
}

/// A coordinator of the test.
async fn call(certificates: &Certificates, agent: &str) -> Link<ToAgent, FromAgent> {
    let path = |name: &str| certificates.path(name);
    let [cert, key, ca] = ["coordinator.pem", "coordinator.key", "ca.pem"].map(path);
    let identity = Identity {
        cert: Path::new(&cert),
        key: Path::new(&key),
        ca: Path::new(&ca),
    };
    let stream = TcpStream::connect(agent).await.unwrap();
    let connector = TlsConnector::from(identity.coordinator().unwrap());
    let name = ServerName::try_from("127.0.0.1").unwrap();
    Link::over(connector.connect(name, stream).await.unwrap())
}

/// What an agent answers to an order behind a greeting.
fn answer(certificates: &Certificates, agent: &str, words: &[&str]) -> FromAgent {
    block_on(async {
        let mut link = call(certificates, agent).await;
        link.say(ToAgent::Hello(Version::own())).await.unwrap();
        let hello = link.hear().await.unwrap().message;
        assert!(matches!(hello, FromAgent::Hello(version, _) if version == Version::own()));
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let job = Job::new(words, &Default::default(), None);
        link.say(ToAgent::Job(job)).await.unwrap();
        link.hear().await.unwrap().message
    })
}

#[test]
fn nobody_without_a_certificate_of_the_authority_gives_work() {
    let certificates = Certificates::new();
    let mut agent = Agent::start(&certificates);
    let origin = Origin::start(&[]);
    let url = origin.url("/.origin/counts");
    let load = |flags: &[String]| {
        let flags = flags.iter().map(String::as_str);
        let words: Vec<_> = ["request", &url, "-n", "5"]
            .into_iter()
            .chain(flags)
            .collect();
        loadgen(&words)
    };
    let curl = Command::new("curl")
        .args(["-sk", "--no-alpn", &format!("https://{}/", agent.address())])
        .output();
    assert!(!curl.unwrap().status.success());
    agent.await_note("no certificates");
    // Of another authority, whose agents it would trust.
    let others = Certificates::new();
    let mut flags = others.flags_as("coordinator", &agent.address());
    flags[3] = format!("--agents-ca={}", certificates.path("ca.pem"));
    let ran = load(&flags);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let said = format!("agent {}: ", agent.address());
    assert!(
        ran.stderr.contains(&said) && ran.stderr.contains("ours of its --ca"),
        "{}",
        ran.stderr
    );
    agent.await_note("refused");
    // An agent's own certificate gives no work.
    let ran = load(&certificates.flags_as("agent", &agent.address()));
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    agent.await_note("refused");
    // Nor is an agent trusted that is of another authority.
    let mut flags = certificates.flags_as("coordinator", &agent.address());
    flags[3] = format!("--agents-ca={}", others.path("ca.pem"));
    let ran = load(&flags);
    assert_eq!(ran.code, 4);
    assert!(
        ran.stderr.contains("has to be of --agents-ca"),
        "{}",
        ran.stderr
    );
    // Nor one that is called by a name that it has not.
    let elsewhere = agent.address().replace("127.0.0.1", "127.0.0.2");
    let ran = load(&certificates.flags_as("coordinator", &elsewhere));
    assert_eq!(ran.code, 4);
    assert_eq!(origin.totals(&origin.url(""))["requests"], 0);
    // And it still works for its own.
    let flags = certificates.flags_as("coordinator", &agent.address());
    let flags = flags.iter().map(String::as_str);
    let words: Vec<_> = ["request", &url, "-n", "5"]
        .into_iter()
        .chain(flags)
        .collect();
    assert_eq!(result(&words).1["totals"]["operations"]["succeeded"], 5);
}

#[test]
fn other_versions_are_refused_by_both_sides() {
    let certificates = Certificates::new();
    let mut agent = Agent::start(&certificates);
    let refused = block_on(async {
        let mut link = call(&certificates, &agent.address()).await;
        link.say(ToAgent::Hello(newer())).await.unwrap();
        link.hear().await.unwrap().message
    });
    let FromAgent::Refused(refusal @ Refusal::Version { .. }) = refused else {
        panic!("{refused:?}");
    };
    let own = env!("CARGO_PKG_VERSION");
    let said = refusal.to_string();
    assert!(said.contains(&format!("it is loadgen {own} ")), "{said}");
    assert!(said.contains("this is 9.9.9 "), "{said}");
    agent.await_note("use the same version on all machines");

    let (address, other) = impostor(&certificates, |mut link| async move {
        link.hear().await.unwrap();
        let hello = FromAgent::Hello(newer(), loadgen::host::describe());
        link.say(hello).await.unwrap();
        link.finish().await;
    });
    let flags = certificates.flags_as("coordinator", &address);
    let ran = loadgen(&on_agents(&["request", "http://127.0.0.1:9/"], &flags));
    assert_eq!(ran.code, 4);
    let said = format!("agent {address}: it is loadgen 9.9.9 ");
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    other.join().unwrap();
}

#[test]
fn numbers_that_nobody_can_have_counted_are_refused_and_their_agent_is_named() {
    let certificates = Certificates::new();
    // Seconds that no run has are borne, and are no rows.
    let mut far = Interval::new(1, 0);
    far.second = Some(u64::MAX);
    far.planned = vec![(0, 1), (u64::MAX, 1)];
    far.kinds[0].counts.succeeded = 7;
    let mut all = Interval::new(1, 0);
    all.second = Some(0);
    all.kinds[0].counts.received_bytes = u64::MAX;
    let mut never = Interval::new(1, 0);
    never.second = Some(0);
    never.last_done = Some(Duration::MAX);
    for hostile in [all, never] {
        let counted = [far.clone(), hostile].map(Box::new);
        let said = counted.map(|interval| FromAgent::Interval(0, interval));
        // If that were taken, it would end all the same.
        let end = FromAgent::Failed("all was taken".to_owned());
        let said: Vec<_> = said.into_iter().chain([end]).collect();
        let (address, agent) = impostor(&certificates, |link| tells(link, said));
        let flags = certificates.flags_as("coordinator", &address);
        let load = ["request", "http://127.0.0.1:9/", "-c", "1"];
        let (code, json) = result(&on_agents(&load, &flags));
        assert_eq!(code, 4, "{json:#}");
        let lost = json["agents"][0]["lost"].as_str().unwrap();
        assert!(lost.contains("more than can be added up"), "{lost}");
        assert_eq!(json["agents"][0]["name"], address);
        let reasons = json["verdict"]["reasons"].as_array().unwrap();
        let named = reasons.iter().find(|reason| reason["agent"] == address);
        assert_eq!(named.unwrap()["code"], "agent_lost");
        // What came before is there, and nothing of what was refused.
        assert_eq!(json["totals"]["operations"]["succeeded"], 7);
        assert_eq!(json["totals"]["bytes"]["received"], 0);
        assert_eq!(json["series"].as_array().unwrap().len(), 1);
        agent.join().unwrap();
    }
}

#[test]
fn a_file_of_no_use_is_told_with_the_flag_that_names_it() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name);
    let (missing, key) = (path("missing.pem"), path("agent.key"));
    for (flag, file, said) in [
        ("--cert", &missing, "cannot read"),
        ("--key", &missing, "cannot read"),
        ("--ca", &missing, "cannot read"),
        ("--ca", &key, "holds no certificate"),
    ] {
        let mut files = [
            ("--cert", path("agent.pem")),
            ("--key", path("agent.key")),
            ("--ca", path("ca.pem")),
        ];
        for (name, named) in &mut files {
            if *name == flag {
                named.clone_from(file);
            }
        }
        let mut words = vec!["agent", "--listen", "127.0.0.1:0"];
        words.extend(files.iter().flat_map(|(name, file)| [*name, file.as_str()]));
        let ran = loadgen(&words);
        assert_eq!(ran.code, 1, "{words:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!(" {flag}: ")) && ran.stderr.contains(said),
            "{words:?}: {}",
            ran.stderr
        );
    }
    let flags = certificates.flags_as("coordinator", "127.0.0.1:9");
    for (at, flag) in [
        (1, "--agents-cert"),
        (2, "--agents-key"),
        (3, "--agents-ca"),
    ] {
        let mut flags = flags.clone();
        flags[at] = format!("{flag}={missing}");
        let load = ["request", "http://127.0.0.1:9/", "-n", "1"];
        let ran = loadgen(&on_agents(&load, &flags));
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let said = format!(" {flag}: cannot read {missing}");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    }
}

#[test]
fn an_agent_does_loads_and_nothing_else() {
    let certificates = Certificates::new();
    let agent = Agent::start(&certificates);
    let dir = tempfile::tempdir().unwrap();
    let written = dir.path().join("written.json");
    let written = written.to_str().unwrap();
    // There is such a file, and the agent may read it.
    let readable = certificates.path("agent.pem");
    let cases: [(&[&str], &str); 9] = [
        (&["mix", &readable], "did not send it"),
        (
            &[
                "search",
                "request",
                "http://127.0.0.1:9/",
                "--slo",
                "p99<1s",
            ],
            "a step of search",
        ),
        (
            &["request", "https://127.0.0.1:9/", "--cacert", &readable],
            "did not send it",
        ),
        (
            &[
                "request",
                "http://127.0.0.1:9/",
                "--tenants",
                "1:/etc/x.csv",
            ],
            "did not send it",
        ),
        (&["man", written], "does not load a target"),
        (
            &[
                "request",
                "http://127.0.0.1:9/",
                "--check",
                "open",
                "--raw-aes",
                "a",
                "b",
                &readable,
            ],
            "read no files",
        ),
        (
            &["origin", "--http", "127.0.0.1:0"],
            "does not load a target",
        ),
        (&["bulk"], "required arguments"),
        (
            &["request", "http://127.0.0.1:9/", "-c", "999999999"],
            "connections do not fit",
        ),
    ];
    for (words, said) in cases {
        let words = [&["loadgen"], words].concat();
        let answer = answer(&certificates, &agent.address(), &words);
        let FromAgent::Failed(why) = answer else {
            panic!("{words:?}: {answer:?}");
        };
        assert!(why.contains(said), "{words:?}: {why}");
    }
    // A report is the coordinator's to write.
    let load = [
        "loadgen",
        "request",
        "http://127.0.0.1:9/",
        "-n",
        "1",
        "--json",
        written,
    ];
    let answer = answer(&certificates, &agent.address(), &load);
    assert!(matches!(answer, FromAgent::Ready(1)), "{answer:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
