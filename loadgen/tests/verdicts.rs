//! What is wrong is found, named, and in the exit code.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use loadgen::affinity;
use program::{Nowhere, Origin, TlsFiles, loadgen, result, service};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::ProducesTickets,
};
use serde_json::{Value, json};

fn classes(json: &Value) -> Vec<(&str, &str)> {
    let errors = json["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            (
                error["phase"].as_str().unwrap(),
                error["class"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_wrong_command_line_is_usage() {
    for args in [
        &["nonsense"][..],
        &["request"],
        &["request", "ftp://x:1"],
        &["request", "http://x:1", "-c", "0"],
        &["request", "http://127.0.0.1:1", "-d", "soon"],
        &["request", "http://127.0.0.1:1", "-H", "no colon"],
        &["request", "http://127.0.0.1:1", "--echo"],
        &["request", "http://127.0.0.1:1", "-H", "Content-Length: 5"],
        &["request", "http://127.0.0.1:1", "-X", "GET /"],
        &["request", "http://127.0.0.1:1", "-R", "0"],
        &[
            "request",
            "http://127.0.0.1:1",
            "-R",
            "5k",
            "--stages",
            "1k:1s",
        ],
        &[
            "request",
            "http://127.0.0.1:1",
            "-d",
            "1s",
            "--stages",
            "1k:1s",
        ],
        &["request", "http://127.0.0.1:1", "--stages", "1k"],
        &["request", "http://127.0.0.1:1", "--arrival", "poisson"],
        &[
            "request",
            "http://127.0.0.1:1",
            "--arrival",
            "burst:5/10ms",
            "-R",
            "5k",
        ],
        &["request", "http://127.0.0.1:1", "--slo", "p99=5ms"],
        &["request", "http://127.0.0.1:1", "--reuse", "0"],
        &["request", "http://127.0.0.1:1", "--size", "many"],
        &["request", "http://127.0.0.1:1", "--check", "echo"],
        &["handshake", "tcp://127.0.0.1:1"],
        &["handshake", "127.0.0.1:1", "--groups", "X448"],
        &["handshake", "127.0.0.1:1", "--cacert", "/nonexistent.pem"],
        &["handshake", "127.0.0.1:1", "-k", "--verify"],
        &["handshake", "127.0.0.1:1", "--target-pid", "4294967294"],
        &["origin"],
        &["origin", "--http", "127.0.0.1:0", "--tls-cert", "only.pem"],
    ] {
        let ran = loadgen(args);
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty(), "{args:?} says nothing");
    }
    assert_eq!(loadgen(&["--help"]).code, 0);
    assert_eq!(loadgen(&["--version"]).code, 0);
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    let nowhere = Nowhere::new();
    let free = nowhere.address.to_string();
    let raw = format!("tls://{free}");
    for args in [
        vec!["handshake", &free],
        vec!["request", &raw, "--echo", "-c", "3", "-t", "2"],
        vec!["bulk", &raw],
    ] {
        let ran = loadgen(&args);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("start the target"), "{}", ran.stderr);
        assert!(ran.stderr.contains(&free), "{}", ran.stderr);
    }
}

#[test]
fn two_origins_do_not_share_a_port() {
    let origin = Origin::start(&[]);
    let ran = loadgen(&["origin", "--http", &origin.address("http").to_string()]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("choose another"), "{}", ran.stderr);
}

#[test]
fn a_corrupt_echo_is_caught() {
    let address = service(|mut stream| {
        let mut message = [0; 100];
        for number in 0.. {
            if stream.read_exact(&mut message).is_err() {
                return;
            }
            message[99] ^= u8::from(number == 3);
            if stream.write_all(&message).is_err() {
                return;
            }
        }
    });
    let target = format!("tcp://{address}");
    let (code, json) = result(&["request", &target, "--echo", "-n", "20"]);
    assert_eq!(code, 2, "{json:#}");
    // The connection is replaced, so every fourth message is hit.
    assert_eq!(json["totals"]["operations"]["succeeded"], 15);
    assert_eq!(json["totals"]["operations"]["corrupt"], 5);
    assert_eq!(classes(&json), [("check", "mismatch")]);
    assert!(
        json["errors"][0]["samples"][0]
            .as_str()
            .unwrap()
            .contains("byte 99")
    );
    assert_eq!(json["verdict"]["state"], "invalid");
}

#[test]
fn an_old_echo_is_caught() {
    let address = service(|mut stream| {
        let mut first = [0; 100];
        stream.read_exact(&mut first).unwrap();
        let mut message = [0; 100];
        while stream.write_all(&first).is_ok() && stream.read_exact(&mut message).is_ok() {}
    });
    let target = format!("tcp://{address}");
    let (code, json) = result(&["request", &target, "--echo", "-n", "2"]);
    assert_eq!(
        (code, &json["totals"]["operations"]["corrupt"]),
        (2, &json!(1)),
        "{json:#}"
    );
}

#[test]
fn a_short_transfer_is_caught() {
    let address = service(|mut stream| {
        let mut length = [0; 8];
        stream.read_exact(&mut length).unwrap();
        let length = u64::from_be_bytes(length) as usize;
        stream.write_all(&vec![0; length - 1]).unwrap();
    });
    let target = format!("tcp://{address}");
    let (code, json) = result(&["bulk", &target, "--bytes", "1000", "-n", "1"]);
    assert_eq!(code, 2, "{json:#}");
    assert_eq!(classes(&json), [("check", "wrong_length")]);
}

#[test]
fn a_truncated_tls_stream_is_an_error_and_no_end() {
    let files = TlsFiles::new();
    let config = server_config(&files, None);
    let address = service(move |stream| {
        let mut tls = tls_accept(&config, stream);
        let mut length = [0; 8];
        tls.read_exact(&mut length).unwrap();
        tls.write_all(&vec![0; u64::from_be_bytes(length) as usize])
            .unwrap();
        // All the bytes, but no close_notify.
    });
    let target = format!("tls://{address}");
    let (code, json) = result(&["bulk", &target, "--bytes", "1000", "-n", "1"]);
    assert_eq!(code, 2, "{json:#}");
    assert_eq!(classes(&json), [("receive", "truncated")]);
}

#[test]
fn a_silent_target_is_a_timeout() {
    let address = service(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let target = format!("tcp://{address}");
    let run = [
        "request",
        &target,
        "--echo",
        "-n",
        "2",
        "--timeout",
        "100ms",
    ];
    let (code, json) = result(&run);
    assert_eq!(code, 2, "{json:#}");
    assert_eq!(classes(&json), [("receive", "timeout")]);
    let (_, json) = result(&[
        "handshake",
        &address.to_string(),
        "--timeout",
        "100ms",
        "-n",
        "1",
    ]);
    assert_eq!(classes(&json), [("handshake", "timeout")]);
}

#[test]
fn a_missing_object_is_named() {
    let origin = Origin::start(&[]);
    let ran = loadgen(&["request", &origin.url("/none"), "-n", "5"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("404"), "{}", ran.stderr);
    let run = [
        "request",
        &origin.url("/none"),
        "-n",
        "5",
        "--check",
        "none",
    ];
    assert_eq!(result(&run).0, 0);
}

fn server_config(files: &TlsFiles, tickets: Option<Arc<dyn ProducesTickets>>) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(files.path("server.pem")).unwrap();
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(files.path("server.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.send_tls13_tickets = usize::from(tickets.is_some());
    if let Some(tickets) = tickets {
        config.ticketer = tickets;
    }
    Arc::new(config)
}

fn tls_accept(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}

/// Gives tickets and takes none.
#[derive(Debug)]
struct Forgetful;

impl ProducesTickets for Forgetful {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        Some(vec![7; plain.len()])
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[test]
fn a_handshake_of_the_wrong_kind_does_not_count_and_fails_the_run() {
    let files = TlsFiles::new();
    let handshakes = |config: Arc<ServerConfig>| {
        service(move |stream| {
            // Reads until the client ends the connection.
            let _ = tls_accept(&config, stream).read_to_end(&mut Vec::new());
        })
        .to_string()
    };
    let forgetful = handshakes(server_config(&files, Some(Arc::new(Forgetful))));
    let (code, json) = result(&["handshake", &forgetful, "--resume", "50%", "-n", "20"]);
    assert_eq!(code, 2, "{json:#}");
    assert_eq!(json["totals"]["operations"]["wrong_kind"], 10);
    assert_eq!(
        json["tls"]["kind"],
        json!({ "full": 10 }),
        "only those that count"
    );
    assert_eq!(json["totals"]["latency"]["service"]["count"], 10);
    assert_eq!(classes(&json), [("handshake", "wrong_kind")]);

    let ticketless = handshakes(server_config(&files, None));
    let ran = loadgen(&["handshake", &ticketless, "--resume", "100", "-n", "1"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("turn tickets on"), "{}", ran.stderr);
    let (code, json) = result(&["handshake", &ticketless, "--resume", "50%", "-n", "1000"]);
    assert_eq!(
        (code, &json["totals"]["operations"]["wrong_kind"]),
        (2, &json!(3)),
        "it gives up: {json:#}"
    );
}

/// Takes the core of the generator's first thread, together with it, until this is dropped or the
/// time is over.
struct Spinners {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Spinners {
    fn start(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Instant::now() + Duration::from_secs(60);
        let spin = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                affinity::pin(0);
                while !stop.load(Ordering::Relaxed) && Instant::now() < until {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..threads).map(spin).collect();
        Self { stop, threads }
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_starved_generator_marks_its_run_invalid_and_says_why() {
    let address = service(|mut stream| {
        let mut message = [0; 100];
        while stream.read_exact(&mut message).is_ok() && stream.write_all(&message).is_ok() {}
    });
    let target = format!("tcp://{address}");
    // Longer than the second below which conditions are not judged. It spins, so it wants a core.
    let run = [
        "request", &target, "--echo", "-R", "100", "-d", "1500ms", "-c", "4", "--spin", "on",
    ];
    let spinners = Spinners::start(3);
    let (code, json) = result(&run);
    drop(spinners);
    assert_eq!(json["verdict"]["state"], "invalid", "{json:#}");
    assert_eq!(code, 4, "{:#}", json["verdict"]);
    let reasons = json["verdict"]["reasons"].as_array().unwrap();
    let starved = reasons.iter().find(|reason| reason["code"] == "starved");
    let starved = starved.unwrap_or_else(|| panic!("{reasons:#?}"));
    assert_eq!(starved["state"], "invalid");
    assert!(starved["measured"].as_f64() > starved["limit"].as_f64());
    let message = starved["message"].as_str().unwrap();
    assert!(message.contains("waited for its core"), "{message}");
    // It was slow, and lost nothing.
    let operations = &json["totals"]["operations"];
    assert_eq!(
        (&operations["planned"], &operations["succeeded"]),
        (&json!(150), &json!(150))
    );
}
