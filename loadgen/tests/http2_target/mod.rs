//! Targets that speak HTTP/2, and what a run against one says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod frames;
pub mod server;

use serde_json::{Value, json};

use crate::program::result;

/// Runs requests over HTTP/2.
pub fn run(url: &str, flags: &[&str]) -> (i32, Value) {
    result(&[&["request", url, "--http", "2"], flags].concat())
}

/// Planned, sent, succeeded, failed.
pub fn counts(json: &Value) -> [u64; 4] {
    let operations = &json["totals"]["operations"];
    ["planned", "sent", "succeeded", "failed"].map(|name| operations[name].as_u64().unwrap())
}

/// All of `n` operations succeeded, and each was recorded three times.
pub fn assert_done((code, json): &(i32, Value), n: u64) {
    // On a busy machine a run may last long enough to be judged by its conditions.
    let judged = [0, 4].contains(code);
    assert!(judged && counts(json) == [n, n, n, 0], "{code}: {json:#}");
    assert_eq!(json["errors"], json!([]));
    for times in ["response", "service", "lag"] {
        assert_eq!(json["totals"]["latency"][times]["count"], n, "{times}");
    }
}
