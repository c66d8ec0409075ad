//! Handshakes of each kind are as many as the target counted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;
mod tls_server;

use std::collections::BTreeMap;

use program::{TlsFiles, result};
use serde_json::{Value, json};
use tls_server::nginx::Nginx;

fn assert_succeeded(json: &Value, n: u64) {
    let operations = &json["totals"]["operations"];
    assert_eq!(operations["succeeded"], json!(n), "{json:#}");
    assert_eq!(json["errors"], json!([]));
}

#[test]
fn nginx_logs_the_same_kinds() {
    for version in ["1.2", "1.3"] {
        let files = TlsFiles::new();
        let nginx = Nginx::start(&files);
        let target = format!("localhost:{}", nginx.address.port());
        let run = [
            "handshake",
            &target,
            "-n",
            "200",
            "-c",
            "4",
            "--resume",
            "50%",
            "--tls",
            version,
            "--close",
            "notify",
            "--connect-to",
            &nginx.address.to_string(),
        ];
        let (_, run) = result(&run);
        assert_succeeded(&run, 200);
        assert_eq!(run["tls"]["kind"], json!({ "full": 100, "resumed": 100 }));
        // Tickets for the resumed handshakes come from full ones, which are counted apart.
        let primers = run["connections"]["priming"].as_u64().unwrap();
        let logged = BTreeMap::from([
            (format!(". TLSv{version} localhost"), 100 + primers),
            (format!("r TLSv{version} localhost"), 100),
        ]);
        assert_eq!(nginx.lines(), logged);
    }
}
