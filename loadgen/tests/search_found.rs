//! A search that ends because the target is at its end, and not the generator.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::{
    io::{Read, Write},
    sync::Mutex,
    thread,
    time::Duration,
};

use program::{loadgen, schema::assert_valid_by, service};
use serde_json::{Value, json};

/// Bytes of an echoed message.
const MESSAGE: usize = 100;

/// How long the target takes for each message, whoever sent it: 500 per second are its end, which is
/// far below the generator's.
const SERVICE: Duration = Duration::from_millis(2);

#[test]
fn the_highest_rate_of_a_target_is_found_and_was_confirmed() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let target = service(|mut stream| {
        let mut message = [0; MESSAGE];
        while stream.read_exact(&mut message).is_ok() {
            {
                let _turn = ONE_AT_A_TIME.lock().unwrap();
                // No event is waited for: this is what a message takes.
                thread::sleep(SERVICE);
            }
            if stream.write_all(&message).is_err() {
                return;
            }
        }
    });
    let ran = loadgen(&[
        "search",
        "request",
        &format!("tcp://{target}"),
        "--echo",
        "--size",
        &MESSAGE.to_string(),
        // More than ever wait, so that they wait at the target.
        "-c",
        "100",
        "--slo",
        "p99<200ms",
        "--from",
        "300",
        "--to",
        "600",
        "--settle",
        "100ms",
        "-d",
        "2s",
        "--attempts",
        "1",
        "--json",
        "-",
    ]);
    let json: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", ran.stdout, ran.stderr));
    assert_valid_by(&json, "search-1.json");
    let steps = json["steps"].as_array().unwrap();
    let (result, finding) = (&json["result"], |step: &Value| {
        step["finding"]["is"].clone()
    });
    // 600 of 500 per second: that step misses, however busy the machine is, or proves nothing.
    let beyond = steps.iter().filter(|step| step["rate_per_s"] == 600.0);
    assert!(
        beyond.clone().all(|step| finding(step) != "held"),
        "{result:#}"
    );
    eprintln!("{}", result["message"]);
    // On a busy machine steps prove nothing, and a search that says so is right.
    let noisy = ["noisy", "limited"];
    let noisy = steps
        .iter()
        .any(|step| noisy.iter().any(|word| finding(step) == *word));
    match (ran.code, result["ending"].as_str().unwrap()) {
        (0, "found") => {
            let rate = &result["rate_per_s"];
            let confirmed = steps.iter().filter(|step| {
                step["phase"] == "confirmation"
                    && step["rate_per_s"] == *rate
                    && finding(step) == "held"
            });
            assert_eq!(confirmed.clone().count(), 3, "{}", ran.stderr);
            let last = steps.last().unwrap();
            assert_eq!((finding(last), &last["rate_per_s"]), (json!("held"), rate));
            let done = confirmed.map(|step| step["finding"]["achieved_per_s"].as_f64().unwrap());
            assert_eq!(result["achieved_per_s"].as_f64(), done.reduce(f64::min));
            assert_eq!(result["above"], "missed");
            let missed = |step: &&Value| {
                step["rate_per_s"].as_f64() > rate.as_f64() && finding(step) == "missed"
            };
            assert!(steps.iter().any(|step| missed(&step)), "{}", ran.stderr);
        }
        // The lowest rate of all may be beyond a target whose sleep is late, or not hold again.
        (3, "nothing") | (4, "unconfirmed") => {}
        (0, "at_least") | (4, "undecided") if noisy => {}
        other => panic!("{other:?}: {result:#}\n{}", ran.stderr),
    }
}
