//! Where connections come from, and what is said when nothing is left to come from.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use program::{Origin, PROGRAM, loadgen, result, schema, service};
use serde_json::{Value, json};

/// Runs `script` in a network namespace of its own, with loopback up and 16 local ports; none where
/// the system does not let us.
fn with_sixteen_ports(script: &str) -> Option<Output> {
    let script = format!(
        "ip link set lo up && echo 20000 20015 > /proc/sys/net/ipv4/ip_local_port_range || exit 77
         {script}"
    );
    let mut command = Command::new("unshare");
    // A user namespace too, so that it needs no privilege where such namespaces are allowed.
    command.args(["--map-root-user", "--net", "sh", "-c", &script]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("unshare failed") || output.status.code() == Some(77) {
        eprintln!("skipped: network namespaces are not permitted here: {text}");
        return None;
    }
    Some(output)
}

/// Starts an echo in the namespace, and a load with `flags` on it.
fn echo_load(flags: &str) -> Option<(i32, Value)> {
    let dir = tempfile::tempdir().unwrap();
    let listening = dir.path().join("listening");
    let listening = listening.to_str().unwrap();
    let output = with_sixteen_ports(&format!(
        "mkfifo {listening}
         {PROGRAM} origin --echo 127.0.0.1:9000 > {listening} & origin=$!
         head -n 1 < {listening} > /dev/null
         {PROGRAM} request --echo tcp://127.0.0.1:9000 --json - {flags}
         code=$?; kill $origin; exit $code"
    ))?;
    let text = String::from_utf8(output.stdout).unwrap();
    let json = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text} {:?}", output.stderr));
    schema::assert_valid(&json);
    Some((output.status.code().unwrap(), json))
}

fn codes(json: &Value) -> Vec<&str> {
    let reasons = json["verdict"]["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

#[test]
fn a_loopback_target_is_reached_from_more_addresses_when_ports_run_out() {
    // 50 connections at once, from 16 ports: four addresses.
    let Some((_, json)) = echo_load("-c 50 -n 200") else {
        return;
    };
    assert_eq!(json["connections"]["established"], 50, "{json:#}");
    assert_eq!(json["totals"]["operations"]["succeeded"], 200);
    assert_eq!(json["errors"], json!([]));
}

#[test]
fn out_of_ports_is_an_invalid_run_that_says_what_helps() {
    // One address, and no other to go to.
    let Some((code, json)) = echo_load("-c 50 -n 200 --source 127.0.0.1") else {
        return;
    };
    assert_eq!(code, 4, "{json:#}");
    assert!(codes(&json).contains(&"ports_exhausted"), "{json:#}");
    let reasons = json["verdict"]["reasons"].to_string();
    assert!(reasons.contains("--source"), "{reasons}");
    let errors = json["errors"].as_array().unwrap();
    assert!(
        errors
            .iter()
            .all(|error| error["class"] == "ports_exhausted"),
        "{json:#}"
    );
    // Two addresses have 32 ports.
    let Some((_, json)) = echo_load("-c 32 -n 64 --source 127.0.0.1,127.0.0.2") else {
        return;
    };
    assert_eq!(json["connections"]["established"], 32, "{json:#}");
    assert_eq!(json["errors"], json!([]));
}

#[test]
fn connections_come_from_the_listed_addresses_in_turn() {
    let seen: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
    let target = service({
        let seen = Arc::clone(&seen);
        move |mut stream: TcpStream| {
            seen.lock().unwrap().push(stream.peer_addr().unwrap().ip());
            let mut message = [0; 100];
            while stream.read_exact(&mut message).is_ok() {
                stream.write_all(&message).unwrap();
            }
        }
    });
    let url = format!("tcp://{target}");
    let (_, json) = result(&[
        "request",
        "--echo",
        &url,
        "-c",
        "6",
        "-n",
        "6",
        "--source",
        "127.1.0.0/30,127.2.0.9",
    ]);
    assert_eq!(json["totals"]["operations"]["succeeded"], 6, "{json:#}");
    assert_eq!(
        json["configuration"]["sources"],
        json!(["127.1.0.0/30", "127.2.0.9"])
    );
    let seen = seen.lock().unwrap();
    let addresses: BTreeSet<_> = seen.iter().map(ToString::to_string).collect();
    assert_eq!(
        addresses.into_iter().collect::<Vec<_>>(),
        ["127.1.0.1", "127.1.0.2", "127.2.0.9"]
    );
    assert!(
        seen.iter()
            .all(|ip| seen.iter().filter(|other| *other == ip).count() == 2),
        "{seen:?}"
    );
}

#[test]
fn sources_that_cannot_work_are_refused() {
    let origin = Origin::start(&[]);
    let target = format!("tcp://{}", origin.address("echo"));
    for (source, said) in [
        ("192.0.2.1", "give addresses of this machine"),
        ("::1", "target's family"),
        ("10.0.0.0/40", "such as 10.0.0.0/24"),
    ] {
        let ran = loadgen(&["request", "--echo", &target, "-n", "1", "--source", source]);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}

#[test]
fn connections_that_do_not_fit_are_refused_before_the_run() {
    let script =
        format!("ulimit -n 256; exec {PROGRAM} request --echo tcp://127.0.0.1:9 -n 1 -c 1000");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("may open 256 files")
            && said.contains("room for 204")
            && said.contains("LimitNOFILE="),
        "{said}"
    );
}

#[test]
fn a_mix_keeps_a_connection_for_each_of_its_echoes() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("mix.toml");
    let operation = |name: &str, kind: &str, port: u16| {
        format!(
            "[[operation]]\nname = \"{name}\"\nkind = \"{kind}\"\nshare = 1\n\
             target = \"tcp://127.0.0.1:{port}\"\n"
        )
    };
    let text = [
        "target = \"http://127.0.0.1:9\"\n[load]\ncount = 1\nconnections = 80\n".to_owned(),
        operation("a", "echo", 9),
        operation("b", "echo", 7),
        operation("c", "bulk", 9),
    ];
    std::fs::write(&scenario, text.concat()).unwrap();
    let script = format!("ulimit -n 256; exec {PROGRAM} mix {}", scenario.display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("240 connections do not fit"), "{said}");
}

#[test]
fn the_soft_limit_of_descriptors_is_no_limit() {
    let origin = Origin::start(&[]);
    let script = format!(
        "ulimit -Sn 64; exec {PROGRAM} request --echo tcp://{} -n 100 -c 100 --json -",
        origin.address("echo")
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["connections"]["established"], 100, "{json:#}");
}
