//! The real program, its log, its end.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;

use super::watch::Watch;

pub const SEALGATE: &str = env!("CARGO_BIN_EXE_sealgate");

/// An address that nobody else uses: the process id chooses it in 127.64.0.0/10, a count the port.
///
/// Asking the kernel for a free port would not do: listeners with SO_REUSEPORT share one silently.
pub fn free_address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 64 | (high & 63), middle, low);
    SocketAddr::from((ip, PORT.fetch_add(1, Ordering::Relaxed)))
}

/// One line of the log.
#[derive(Clone)]
pub struct Entry {
    pub line: String,
    json: Value,
}

impl Entry {
    fn parse(line: String) -> Self {
        let json = serde_json::from_str(&line).unwrap_or(Value::Null);
        Self { line, json }
    }

    /// A field, as text; empty where it is absent or `-`.
    pub fn text(&self, field: &str) -> String {
        match self.value(field) {
            Value::Null => String::new(),
            Value::String(text) if text == "-" => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    pub fn number(&self, field: &str) -> u64 {
        let text = self.text(field);
        text.parse()
            .unwrap_or_else(|_| panic!("`{field}` is no number in {self:?}"))
    }

    pub fn has(&self, field: &str, value: &str) -> bool {
        self.text(field) == value
    }

    fn value(&self, field: &str) -> &Value {
        match &self.json[field] {
            Value::Null => &self.json["fields"][field],
            value => value,
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    /// The program closed its standard error: it has ended.
    ended: bool,
}

/// A running gateway. It is killed when this is dropped.
pub struct Gateway {
    child: Child,
    log: Watch<Log>,
    reader: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts the program and waits until it says that it listens on these addresses.
    pub fn start(args: &[&str], listens: &[SocketAddr]) -> Self {
        Self::launch(Command::new(SEALGATE).args(args), listens)
    }

    /// As [`Gateway::start`], for a command that was made elsewhere.
    pub fn launch(command: &mut Command, listens: &[SocketAddr]) -> Self {
        let mut child = command
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Watch::new(Log::default());
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reader = thread::spawn({
            let log = log.clone();
            move || {
                for line in lines.map_while(Result::ok) {
                    log.change(|log| log.entries.push(Entry::parse(line)));
                }
                log.change(|log| log.ended = true);
            }
        });
        let gateway = Self {
            child,
            log,
            reader: Some(reader),
        };
        gateway.wait_listening(listens);
        gateway
    }

    fn wait_listening(&self, listens: &[SocketAddr]) {
        let listening = |log: &mut Log| {
            let said = |address: &SocketAddr| {
                log.entries.iter().any(|entry| {
                    entry.line.contains("listening") && entry.line.contains(&address.to_string())
                })
            };
            (log.ended || listens.iter().all(said)).then_some(log.ended)
        };
        let ended = self.log.try_wait(listening).unwrap_or(true);
        assert!(!ended, "the gateway does not listen:\n{}", self.all_lines());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Holds the program still, and returns when all its threads are. What comes until [`go_on`](Self::go_on) it finds at once.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(&self.child);
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "it has ended instead: {status:?}");
    }

    /// Lets it run again.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks for a reload and waits for the word that says how it went.
    pub fn reload(&self) -> Entry {
        let before = self.mark();
        self.signal(Signal::HUP);
        self.entry_after(before, "the outcome of a reload", |entry| {
            entry.line.to_lowercase().contains("reload") && !entry.has("level", "DEBUG")
        })
    }

    /// How many lines there are, to look at later ones only.
    pub fn mark(&self) -> usize {
        self.log.read(|log| log.entries.len())
    }

    /// Waits for a line.
    pub fn entry(&self, what: &str, wanted: impl Fn(&Entry) -> bool) -> Entry {
        self.entry_after(0, what, wanted)
    }

    /// Waits for a line after `mark`.
    pub fn entry_after(&self, mark: usize, what: &str, wanted: impl Fn(&Entry) -> bool) -> Entry {
        let found = self.log.try_wait(|log| {
            let found = log.entries[mark..]
                .iter()
                .find(|entry| wanted(entry))
                .cloned();
            (found.is_some() || log.ended).then_some(found)
        });
        match found.flatten() {
            Some(entry) => entry,
            None => panic!("no log line for {what} in:\n{}", self.all_lines()),
        }
    }

    /// Waits until there are `count` such lines.
    pub fn entries_like(&self, count: usize, what: &str, wanted: impl Fn(&Entry) -> bool) {
        let found = |log: &mut Log| log.entries.iter().filter(|entry| wanted(entry)).count();
        let all = self.log.try_wait(|log| (found(log) >= count).then_some(()));
        let found = self
            .log
            .read(|log| log.entries.iter().filter(|entry| wanted(entry)).count());
        assert!(
            all.is_some() && found == count,
            "{found} instead of {count} lines for {what}"
        );
    }

    /// Waits for the line of a finished connection or request.
    pub fn finished(&self, outcome: &str) -> Entry {
        self.entry(&format!("outcome={outcome}"), |entry| {
            entry.has("outcome", outcome)
        })
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.log.read(|log| log.entries.clone())
    }

    pub fn all_lines(&self) -> String {
        self.entries()
            .iter()
            .map(|entry| format!("  {entry:?}\n"))
            .collect()
    }

    /// Waits until the program has ended by itself.
    pub fn wait_exit(&mut self) -> ExitStatus {
        if self.log.try_wait(|log| log.ended.then_some(())).is_none() {
            panic!("the gateway does not end:\n{}", self.all_lines());
        }
        self.child.wait().unwrap()
    }

    /// The most memory that was ever resident, in bytes.
    pub fn peak_rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let panicked = self
            .entries()
            .iter()
            .any(|entry| entry.line.contains("panicked at"));
        if thread::panicking() || panicked {
            eprintln!("log of the gateway:\n{}", self.all_lines());
        }
        // A panic of one connection's task leaves the others alive: nothing else would tell.
        assert!(thread::panicking() || !panicked, "the gateway panicked");
    }
}

/// Runs the program to its end; for commands that are about to fail, or that do not serve.
pub fn sealgate(args: &[&str]) -> Output {
    let child = Command::new(SEALGATE)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    super::tools::output_of(child)
}
