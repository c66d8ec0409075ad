//! Running agents, and certificates for them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod impostor;

use std::{
    borrow::Borrow,
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use hdrhistogram::Histogram;
use loadgen::report::model::Distribution;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{PROGRAM, loadgen};

/// How long to wait for a word that has to come: it fails a test, and measures nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// The certificates that the program makes.
pub struct Certificates(TempDir);

impl Certificates {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("certs");
        let made = loadgen(&["agent", "--new-certificates", path.to_str().unwrap()]);
        assert_eq!(
            (made.code, made.stdout.lines().count()),
            (0, 5),
            "{}",
            made.stderr
        );
        Self(dir)
    }

    pub fn path(&self, name: &str) -> String {
        let path = self.0.path().join("certs").join(name);
        path.to_str().unwrap().to_owned()
    }

    /// The flags of a coordinator with these agents.
    pub fn flags<A: Borrow<Agent>>(&self, agents: &[A]) -> Vec<String> {
        let names: Vec<_> = agents
            .iter()
            .map(|agent| agent.borrow().address())
            .collect();
        self.flags_as("coordinator", &names.join(","))
    }

    /// The same with any certificate.
    pub fn flags_as(&self, who: &str, agents: &str) -> Vec<String> {
        let own = |suffix| self.path(&format!("{who}.{suffix}"));
        [
            ("--agents", agents.to_owned()),
            ("--agents-cert", own("pem")),
            ("--agents-key", own("key")),
            ("--agents-ca", self.path("ca.pem")),
            // How precise a clock is on a busy machine is not what is tested.
            ("--agents-skew", "5s".to_owned()),
        ]
        .map(|(flag, value)| format!("{flag}={value}"))
        .into()
    }
}

/// A running agent; killed on drop.
pub struct Agent {
    child: Child,
    address: String,
    notes: mpsc::Receiver<String>,
}

impl Agent {
    /// Starts one in a directory of its own, and waits until it listens.
    pub fn start(certificates: &Certificates) -> Self {
        let path = |name: &str| certificates.path(name);
        let mut child = Command::new(PROGRAM)
            .args([
                "agent",
                "--listen",
                "127.0.0.1:0",
                "--cert",
                &path("agent.pem"),
            ])
            .args(["--key", &path("agent.key"), "--ca", &path("ca.pem")])
            .current_dir("/")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening agent ").unwrap().trim_end();
        let mut agent = Self {
            address: address.to_owned(),
            notes: lines(child.stderr.take().unwrap()),
            child,
        };
        agent.await_note("takes work from whoever has a client certificate of CN=loadgen agents");
        agent
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Waits until the agent has told its operator this, and gives the line.
    pub fn await_note(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.notes.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("the agent did not say {text:?} but {seen:#?}"),
            }
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stderr: ChildStderr) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let all = BufReader::new(stderr).lines().map_while(Result::ok);
        // Nobody reads what comes behind the end of a test.
        all.for_each(|line| drop(sender.send(line)));
    });
    lines
}

/// Sends a signal to a process.
pub fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// An agent ends by itself when it is asked to, whatever it was doing.
pub fn assert_ended(mut agent: Agent) {
    signal("-TERM", agent.child.id());
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
}

/// The sum of stored times, and those that should be the sum.
fn sum_of<'a>(
    parts: impl Iterator<Item = &'a Value>,
    whole: &Value,
) -> (Histogram<u64>, Histogram<u64>) {
    let times = |times: &Value| -> Histogram<u64> {
        let stored: Distribution = serde_json::from_value(times.clone()).unwrap();
        stored.histogram().unwrap()
    };
    let whole = times(whole);
    let mut sum = whole.clone();
    sum.reset();
    for part in parts {
        sum.add(times(part)).unwrap();
    }
    (sum, whole)
}

/// The words of a load on agents.
pub fn on_agents<'a>(load: &[&'a str], flags: &'a [String]) -> Vec<&'a str> {
    let flags = flags.iter().map(String::as_str);
    load.iter().copied().chain(flags).collect()
}

/// All of `n` operations succeeded, in the totals and as the sum of what two agents did.
pub fn assert_whole(run: &(i32, Value), n: u64) -> &Value {
    let (code, json) = run;
    // On a busy machine a run may last long enough to be judged by its conditions.
    let long = json["timing"]["elapsed_s"].as_f64().unwrap() >= 1.0;
    assert!(*code == 0 || long && *code == 4, "{code}: {json:#}");
    let operations = &json["totals"]["operations"];
    assert_eq!(
        (&operations["planned"], &operations["succeeded"]),
        (&json!(n), &json!(n))
    );
    let agents = json["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 2);
    for agent in agents {
        assert_eq!(agent["lost"], Value::Null);
        let done = agent["totals"]["operations"]["succeeded"].as_u64().unwrap();
        assert!(done.abs_diff(n / 2) <= 1, "{done} of {n}: not shared alike");
    }
    for count in ["planned", "sent", "succeeded", "failed", "unsent"] {
        let of = |part: &Value| part["operations"][count].as_u64().unwrap();
        let sum: u64 = agents.iter().map(|agent| of(&agent["totals"])).sum();
        assert_eq!(sum, of(&json["totals"]), "{count}");
    }
    for times in ["response", "service", "lag"] {
        let parts = agents
            .iter()
            .map(|agent| &agent["totals"]["latency"][times]);
        let (sum, whole) = sum_of(parts, &json["totals"]["latency"][times]);
        assert_eq!(sum, whole, "{times}: not a count is lost");
        assert_eq!(whole.len(), n);
    }
    json
}
