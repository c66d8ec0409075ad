//! The generators: how each is told to do the work, and how what it says is read.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::target::Target;
use super::work::{Amount, CONNECTIONS, LARGE_LEN_BYTES, RATE, Work};
use crate::command::Ended;
use crate::error::BenchError;
use crate::process;

/// A way to run a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Without checking the certificate, as the others do.
    Loadgen,
    /// Chain, name and signature.
    LoadgenVerifying,
    /// Without TLS: what the same work costs without any cryptography.
    LoadgenPlain,
    Wrk,
    H2load,
    Ab,
    Hey,
    Openssl,
    Curl,
}

/// What a generator found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// In [`Work::unit`].
    pub cost: f64,
    /// Operations per second of wall time.
    pub rate: f64,
}

/// The load generator's exit status for a run whose rates do not hold; here its CPU time counts, and the reader sees the rest.
const LOADGEN_INVALID: i32 = 4;
/// Connections at once, where a handshake is the operation.
const HANDSHAKES_AT_ONCE: u32 = 8;
/// h2load opens every connection at its start, and has no other way to make many.
const H2LOAD_CONNECTIONS: u64 = 1000;

impl Tool {
    /// Who does this kind of work; loadgen is the first.
    pub fn of(work: Work) -> &'static [Self] {
        match work {
            Work::Requests => &[Self::Loadgen, Self::Wrk, Self::H2load, Self::LoadgenPlain],
            Work::Handshakes => &[
                Self::Loadgen,
                Self::LoadgenVerifying,
                Self::Openssl,
                Self::Ab,
                Self::Hey,
                Self::H2load,
            ],
            Work::Bulk => &[Self::Loadgen, Self::Curl, Self::LoadgenPlain],
            Work::Latency => &[Self::Loadgen, Self::Wrk],
            Work::Idle | Work::Timer => &[Self::Loadgen],
        }
    }

    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loadgen => "loadgen",
            Self::LoadgenVerifying => "loadgen, verifying",
            Self::LoadgenPlain => "loadgen, without TLS",
            Self::Wrk => "wrk",
            Self::H2load => "h2load",
            Self::Ab => "ab",
            Self::Hey => "hey",
            Self::Openssl => "openssl s_time",
            Self::Curl => "curl",
        }
    }

    /// Exit statuses that are no failure, beside 0.
    pub fn statuses(self) -> &'static [i32] {
        match self {
            Self::Loadgen | Self::LoadgenVerifying | Self::LoadgenPlain => &[LOADGEN_INVALID],
            // It ends with 1 however it went.
            Self::Openssl => &[1],
            _ => &[],
        }
    }

    fn program(self) -> Result<String, BenchError> {
        match self {
            Self::Loadgen | Self::LoadgenVerifying | Self::LoadgenPlain => {
                process::find("loadgen", "build it: cargo build --release")
            }
            Self::Wrk => process::find("wrk", "install it: apt-get install wrk"),
            Self::H2load => process::find("h2load", "install it: apt-get install nghttp2-client"),
            Self::Ab => process::find("ab", "install it: apt-get install apache2-utils"),
            Self::Hey => process::find("hey", "install it: apt-get install hey"),
            Self::Openssl => process::find("openssl", "install it: apt-get install openssl"),
            Self::Curl => process::find("curl", "install it: apt-get install curl"),
        }
    }

    /// The command line that does `work` against `target`.
    ///
    /// # Errors
    /// [`BenchError::NoProgram`], or [`BenchError::File`] for wrk's script.
    pub fn command(
        self,
        work: Work,
        amount: Amount,
        target: &Target,
    ) -> Result<Vec<String>, BenchError> {
        let mut words = vec![self.program()?];
        let mut say = |text: String| words.extend(text.split_whitespace().map(str::to_owned));
        let (n, c) = (work.operations(amount), CONNECTIONS);
        let (seconds, at_once) = (work.seconds(amount), HANDSHAKES_AT_ONCE);
        let url = |file| match self {
            Self::LoadgenPlain => target.plain_url(file),
            _ => target.url(file),
        };
        let (small, large) = (url("small"), url("large"));
        let port = target.address().port();
        match self {
            Self::Loadgen | Self::LoadgenVerifying | Self::LoadgenPlain => {
                match work {
                    Work::Requests => say(format!("request {small} -c {c} -n {n}")),
                    Work::Handshakes => {
                        say(format!("handshake localhost:{port} -c {at_once} -n {n}"));
                    }
                    Work::Bulk => say(format!(
                        "bulk {large} --down --bytes {LARGE_LEN_BYTES} -c 1 -n {n}"
                    )),
                    Work::Latency => say(format!(
                        "request {small} -c {c} -R {RATE} -d {seconds}s --warmup 1s"
                    )),
                    Work::Idle => say(format!("conns localhost:{port} -c {n} --hold 0s")),
                    Work::Timer => say("calibrate -d 500ms --rounds 1 --json -".into()),
                }
                if work == Work::Timer {
                    return Ok(words);
                }
                if work != Work::Idle {
                    say("--quiet".into());
                }
                if self != Self::LoadgenPlain {
                    say("--tls 1.3 --groups X25519".into());
                }
                say("--json -".into());
                if self == Self::LoadgenVerifying {
                    say(format!("--cacert {}", target.authority().display()));
                }
            }
            Self::Wrk => {
                say(format!("-t 1 -c {c} -d {seconds}s --latency"));
                if work == Work::Latency {
                    say(format!("-s {}", wrk_script(target.directory())?.display()));
                }
                say(small);
            }
            Self::H2load if work == Work::Handshakes => {
                let n = n.min(H2LOAD_CONNECTIONS);
                say(format!("--h1 -t 1 -c {n} -n {n} {small}"));
            }
            Self::H2load => say(format!("--h1 -t 1 -c {c} -n {n} {small}")),
            Self::Ab => say(format!("-q -f TLS1.3 -n {n} -c {at_once} {small}")),
            Self::Hey => say(format!("-n {n} -c {at_once} -disable-keepalive {small}")),
            Self::Openssl => say(format!(
                "s_time -new -tls1_3 -connect localhost:{port} -time {seconds}"
            )),
            Self::Curl => {
                say("--silent --fail --insecure --http1.1 --curves X25519".into());
                for _ in 0..n {
                    say(format!("--output /dev/null {large}"));
                }
            }
        }
        Ok(words)
    }

    /// What a generator that has ended found.
    ///
    /// # Errors
    /// [`BenchError::Command`] where it did not do the work, or says so in words that are not known.
    pub fn read(self, work: Work, amount: Amount, ended: &Ended) -> Result<Reading, BenchError> {
        let reading = match self {
            Self::Loadgen | Self::LoadgenVerifying | Self::LoadgenPlain => {
                read_loadgen(work, ended)
            }
            _ => self.read_words(work, amount, ended),
        };
        reading.ok_or_else(|| BenchError::Command {
            name: self.name().into(),
            output: format!("it did not do what it was told:\n{}", ended.said),
        })
    }

    fn read_words(self, work: Work, amount: Amount, ended: &Ended) -> Option<Reading> {
        let said = &ended.said;
        let (operations, rate) = match self {
            Self::Wrk => {
                // It says these where there were any.
                if said.contains("Socket errors") || said.contains("Non-2xx") {
                    return None;
                }
                (
                    before(said, " requests in ")?,
                    after(said, "Requests/sec:")?,
                )
            }
            Self::H2load => (before(said, " succeeded")?, before(said, " req/s")?),
            Self::Ab => {
                if after(said, "Failed requests:")? > 0.0 {
                    return None;
                }
                (
                    after(said, "Complete requests:")?,
                    after(said, "Requests per second:")?,
                )
            }
            Self::Hey => (after(said, "[200]")?, after(said, "Requests/sec:")?),
            Self::Openssl => {
                let operations = before(said, " connections in ")?;
                (operations, before(said, " connections/user sec")?)
            }
            // It ends with an error where one transfer fails, and says nothing else.
            Self::Curl => (
                said.is_empty().then(|| work.operations(amount) as f64)?,
                0.0,
            ),
            Self::Loadgen | Self::LoadgenVerifying | Self::LoadgenPlain => return None,
        };
        let cost = match work {
            Work::Latency => micros(after_word(said, " 50% ")?)?,
            _ => per_operation(work, ended, operations)?,
        };
        Some(Reading { cost, rate })
    }
}

/// CPU time per operation, or per GB.
fn per_operation(work: Work, ended: &Ended, operations: f64) -> Option<f64> {
    let scale = match work {
        Work::Bulk => 1e9 / LARGE_LEN_BYTES as f64,
        _ => 1e6,
    };
    (operations > 0.0).then(|| ended.cpu.as_secs_f64() / operations * scale)
}

fn read_loadgen(work: Work, ended: &Ended) -> Option<Reading> {
    // What it says beside the report comes in lines of its own, before it and behind it.
    let start = match ended.said.starts_with('{') {
        true => 0,
        false => ended.said.find("\n{")? + 1,
    };
    let mut reports = serde_json::Deserializer::from_str(&ended.said[start..]).into_iter::<Value>();
    let report = reports.next()?.ok()?;
    match work {
        Work::Idle => return read_idle(&report),
        Work::Timer => return read_timer(&report),
        _ => {}
    }
    let operations = &report["totals"]["operations"];
    if operations["failed"] != 0 || operations["wrong_kind"] != 0 || operations["unsent"] != 0 {
        return None;
    }
    let rate = report["totals"]["rates"]["operations_per_s"].as_f64()?;
    let cost = match work {
        Work::Latency => {
            let service = &report["totals"]["latency"]["service"];
            service["percentiles_ns"]["p50"].as_f64()? / 1e3
        }
        _ => per_operation(work, ended, operations["succeeded"].as_f64()?)?,
    };
    Some(Reading { cost, rate })
}

fn read_idle(report: &Value) -> Option<Reading> {
    let held = &report["conns"];
    if held["held_most"] != held["asked"] || held["dropped"] != 0 {
        return None;
    }
    let cost = held["generator"]["anonymous"]["bytes_per_connection"].as_f64()?;
    Some(Reading { cost, rate: 0.0 })
}

fn read_timer(report: &Value) -> Option<Reading> {
    let mut modes = report["timer"].as_array()?.iter();
    let spinning = modes.find(|mode| mode["mode"] == "spin")?;
    let p99_ns = spinning["late"]["percentiles_ns"]["p99"].as_f64()?;
    Some(Reading {
        cost: p99_ns / 1e3,
        rate: 0.0,
    })
}

/// wrk knows no rate, but asks a script how long to wait before each request. It goes where the run's files are, and with them.
fn wrk_script(directory: &Path) -> Result<PathBuf, BenchError> {
    let path = directory.join("delay.lua");
    let wait_ms = 1000 * CONNECTIONS / RATE;
    let text = format!("function delay() return {wait_ms} end\n");
    match std::fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(BenchError::File { path, source }),
    }
}

/// The number that stands before `words`.
fn before(said: &str, words: &str) -> Option<f64> {
    let text = &said[..said.find(words)?];
    let start = text.rfind(|letter: char| !letter.is_ascii_digit() && letter != '.');
    text[start.map_or(0, |at| at + 1)..].parse().ok()
}

/// The number that stands behind `words`.
fn after(said: &str, words: &str) -> Option<f64> {
    after_word(said, words)?.parse().ok()
}

/// What stands behind `words`, up to the next space.
fn after_word<'a>(said: &'a str, words: &str) -> Option<&'a str> {
    let (_, behind) = said.split_once(words)?;
    behind.split_whitespace().next()
}

/// A time as wrk writes it.
fn micros(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reading(tool: Tool, work: Work, said: &str) -> Option<Reading> {
        let ended = Ended {
            cpu: Duration::from_secs(2),
            said: said.into(),
        };
        tool.read(work, Amount::Full, &ended).ok()
    }

    #[test]
    fn what_each_generator_says_is_read() {
        let wrk = "    Req/Sec     1.92k   108.64     2.13k    92.50%\n  Latency Distribution\n     50%    1.25ms\n     75%    4.29ms\n  \
                   1000 requests in 4.02s, 9.86MB read\nRequests/sec:   7597.66\n";
        let read = reading(Tool::Wrk, Work::Requests, wrk).expect("it went well");
        assert_eq!((read.cost, read.rate), (2000.0, 7597.66));
        let read = reading(Tool::Wrk, Work::Latency, wrk).expect("it went well");
        assert_eq!(read.cost, 1250.0);
        let errors = format!("{wrk}  Socket errors: connect 0, read 3, write 0, timeout 0\n");
        assert_eq!(reading(Tool::Wrk, Work::Requests, &errors), None);

        let h2load = "finished in 12.68s, 7885.70 req/s, 2.54MB/s\nrequests: 100 total, 100 started, \
                      100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout\n";
        let read = reading(Tool::H2load, Work::Requests, h2load).expect("it went well");
        assert_eq!((read.cost, read.rate), (20_000.0, 7885.7));

        let ab = "Complete requests:      1000\nFailed requests:        0\nRequests per second:    \
                  812.01 [#/sec] (mean)\n";
        let read = reading(Tool::Ab, Work::Handshakes, ab).expect("it went well");
        assert_eq!((read.cost, read.rate), (2000.0, 812.01));
        let failed = ab.replace("Failed requests:        0", "Failed requests:        7");
        assert_eq!(reading(Tool::Ab, Work::Handshakes, &failed), None);

        let openssl = "\n\n2000 connections in 1.53s; 1307.19 connections/user sec, bytes read 0\n\
                       2000 connections in 6 real seconds, 0 bytes read per connection\n";
        let read = reading(Tool::Openssl, Work::Handshakes, openssl).expect("it went well");
        assert_eq!((read.cost, read.rate), (1000.0, 1307.19));

        let hey = "  Requests/sec:\t1234.5\nStatus code distribution:\n  [200]\t2000 responses\n";
        let read = reading(Tool::Hey, Work::Handshakes, hey).expect("it went well");
        assert_eq!((read.cost, read.rate), (1000.0, 1234.5));
        assert_eq!(
            reading(Tool::Hey, Work::Handshakes, "[200]\t0 responses"),
            None
        );
    }

    #[test]
    fn the_script_is_among_the_files_of_the_run() {
        let place = tempfile::tempdir().expect("a directory");
        let script = wrk_script(place.path()).expect("a file");
        assert_eq!(script.parent(), Some(place.path()));
        let text = std::fs::read_to_string(&script).expect("it is there");
        // 64 connections, 2000 requests per second.
        assert_eq!(text, "function delay() return 32 end\n");
    }

    #[test]
    fn memory_and_timers_are_read() {
        let said = |held: u32| {
            serde_json::json!({ "conns": {
                "asked": 100, "held_most": held, "dropped": 0,
                "generator": { "anonymous": { "bytes_per_connection": 3000.5 } },
            } })
        };
        let read = reading(Tool::Loadgen, Work::Idle, &said(100).to_string());
        assert_eq!(read.expect("all were held").cost, 3000.5);
        let read = reading(Tool::Loadgen, Work::Idle, &said(99).to_string());
        assert_eq!(read, None);
        let said = serde_json::json!({ "timer": [
            { "mode": "sleep_then_spin", "late": { "percentiles_ns": { "p99": 1 } } },
            { "mode": "spin", "late": { "percentiles_ns": { "p99": 2500 } } },
        ] });
        let said = format!("round 1 of 1\n{said}");
        let read = reading(Tool::Loadgen, Work::Timer, &said);
        assert_eq!(read.expect("it is there").cost, 2.5);
    }

    #[test]
    fn a_report_with_failures_is_void() {
        let report = |failed: u32| {
            serde_json::json!({ "totals": {
                "operations": { "failed": failed, "wrong_kind": 0, "unsent": 0, "succeeded": 1000 },
                "rates": { "operations_per_s": 500.5 },
                "latency": { "service": { "percentiles_ns": { "p50": 1500 } } },
            } })
        };
        let said = format!("{}\nloadgen: a word beside it\n", report(0));
        let read = reading(Tool::Loadgen, Work::Requests, &said).expect("it went well");
        assert_eq!((read.cost, read.rate), (2000.0, 500.5));
        let read = reading(Tool::Loadgen, Work::Latency, &said).expect("it went well");
        assert_eq!(read.cost, 1.5);
        assert_eq!(
            reading(Tool::Loadgen, Work::Requests, &report(1).to_string()),
            None
        );
    }
}
