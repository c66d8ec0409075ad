//! What the origin saw: the last requests, and counts. One [`Journal`] per thread, so that
//! writing it meets no other thread; only reading does.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{HeaderMap, Method, Uri};
use serde::Serialize;
use serde_json::{Value, json};

/// Requests kept per thread, and given out in all.
pub const ENTRIES: usize = 1000;

/// One request as it arrived.
#[derive(Debug)]
pub struct Entry {
    /// Since the origin started.
    pub at: Duration,
    /// Request method.
    pub method: Method,
    /// Request target.
    pub target: Uri,
    /// Header fields, in order of arrival; names are lower case.
    pub headers: HeaderMap,
    /// Bytes of the body that were received.
    pub body_len: u64,
    /// Status of the answer.
    pub status: u16,
    /// Server name the client asked for, when the connection is TLS.
    pub server_name: Option<Box<str>>,
}

impl Entry {
    /// The entry as one JSON object.
    pub fn to_json(&self) -> Value {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
            .collect();
        json!({
            "at_us": self.at.as_micros() as u64,
            "method": self.method.as_str(),
            "target": self.target.to_string(),
            "headers": headers,
            "body_len": self.body_len,
            "status": self.status,
            "server_name": self.server_name,
        })
    }
}

/// Totals since the start, summed over the threads.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Connections accepted on all listeners.
    pub connections: u64,
    /// Full TLS handshakes that were completed.
    pub handshakes_full: u64,
    /// Resumed TLS handshakes that were completed.
    pub handshakes_resumed: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// HTTP requests answered, the test hooks not counted.
    pub requests: u64,
    /// Bytes of HTTP request bodies.
    pub request_body_bytes: u64,
    /// Bytes sent back by echo.
    pub echo_bytes: u64,
    /// Bytes swallowed by sink.
    pub sink_bytes: u64,
    /// Bytes sent by source.
    pub source_bytes: u64,
}

/// One counter, written by one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters behind [`Totals`]; see there.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each field is documented in Totals")]
pub struct Counters {
    pub connections: Counter,
    pub handshakes_full: Counter,
    pub handshakes_resumed: Counter,
    pub handshakes_failed: Counter,
    pub requests: Counter,
    pub request_body_bytes: Counter,
    pub echo_bytes: Counter,
    pub sink_bytes: Counter,
    pub source_bytes: Counter,
}

/// What one thread saw. Aligned so that two threads' counters never share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Journal {
    /// Counts of this thread.
    pub counters: Counters,
    entries: Mutex<VecDeque<Entry>>,
}

impl Journal {
    /// Keeps `entry` and forgets the oldest when there are too many.
    pub fn record(&self, entry: Entry) {
        let mut entries = self.entries();
        if entries.len() == ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The last requests of all threads, oldest first, as JSON lines.
pub fn lines(journals: &[Journal]) -> String {
    let mut all: Vec<(Duration, String)> = Vec::new();
    for journal in journals {
        all.extend(
            journal
                .entries()
                .iter()
                .map(|entry| (entry.at, entry.to_json().to_string())),
        );
    }
    all.sort_by_key(|(at, _)| *at);
    let skipped = all.len().saturating_sub(ENTRIES);
    let mut lines = String::new();
    for (_, line) in &all[skipped..] {
        lines.push_str(line);
        lines.push('\n');
    }
    lines
}

/// The sum over the threads. Exact once nothing is in flight.
pub fn totals(journals: &[Journal]) -> Totals {
    let mut totals = Totals::default();
    for Journal { counters, .. } in journals {
        totals.connections += counters.connections.value();
        totals.handshakes_full += counters.handshakes_full.value();
        totals.handshakes_resumed += counters.handshakes_resumed.value();
        totals.handshakes_failed += counters.handshakes_failed.value();
        totals.requests += counters.requests.value();
        totals.request_body_bytes += counters.request_body_bytes.value();
        totals.echo_bytes += counters.echo_bytes.value();
        totals.sink_bytes += counters.sink_bytes.value();
        totals.source_bytes += counters.source_bytes.value();
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: u64) -> Entry {
        Entry {
            at: Duration::from_micros(at),
            method: Method::GET,
            target: Uri::from_static("/a"),
            headers: HeaderMap::new(),
            body_len: at,
            status: 200,
            server_name: None,
        }
    }

    #[test]
    fn the_log_merges_threads_in_order_and_is_bounded() {
        let journals = [Journal::default(), Journal::default()];
        for at in 0..ENTRIES as u64 + 10 {
            journals[(at % 2) as usize].record(entry(at));
        }
        let lines: Vec<Value> = lines(&journals)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), ENTRIES);
        assert_eq!(lines[0]["at_us"], 10);
        assert_eq!(lines[ENTRIES - 1]["at_us"], ENTRIES as u64 + 9);
    }
}
