//! Searches as tests look at them, whoever made their steps.

use serde_json::{Value, json};

use super::{ended, schema::assert_valid_by, start_in};

/// Flags of a search at one rate. On a busy machine a step may not be sent whole in time; another
/// attempt is made then.
pub const AT_ONE_RATE: [&str; 8] = [
    "--from",
    "20",
    "--to",
    "20",
    "--settle",
    "100ms",
    "--attempts",
    "10",
];

/// Runs a search to its end; gives its exit code and report.
pub fn searched(args: &[&str]) -> (i32, Value) {
    let run = ended(start_in(
        "/",
        &[&["search"], args, &["--json", "-"]].concat(),
    ));
    assert_valid_by(&run.1, "search-1.json");
    run
}

/// The steps of a search, each without an error, and with all done that was planned.
pub fn whole_steps(search: &Value) -> &[Value] {
    let steps = search["steps"].as_array().unwrap();
    for step in steps {
        let report = &step["report"];
        assert_eq!(report["errors"], json!([]), "{report:#}");
        let counts = &report["totals"]["operations"];
        assert!(counts["planned"].as_u64() > Some(0), "{counts}");
        assert_eq!(counts["planned"], counts["succeeded"], "{report:#}");
    }
    steps
}

/// Asserts that the rate held that was the highest to be tried, and that it was confirmed.
pub fn assert_held_to_the_end((code, search): &(i32, Value)) {
    let result = &search["result"];
    let ended = (*code, result["ending"].as_str().unwrap());
    assert_eq!(ended, (0, "at_least"), "{result:#}");
    assert_eq!(result["above"], "unasked");
    assert_eq!(result["rate_per_s"], search["settings"]["highest_per_s"]);
    assert_confirmed(search);
}

/// Asserts that the rate of the result held three times more.
pub fn assert_confirmed(search: &Value) {
    let result = &search["result"];
    let steps = search["steps"].as_array().unwrap();
    let confirmed = steps.iter().filter(|step| {
        step["phase"] == "confirmation"
            && step["rate_per_s"] == result["rate_per_s"]
            && step["finding"]["is"] == "held"
    });
    assert_eq!(confirmed.clone().count(), 3, "{result:#}");
    assert_eq!(steps.last(), confirmed.clone().next_back());
    let done = confirmed.map(|step| step["finding"]["achieved_per_s"].as_f64().unwrap());
    assert_eq!(result["achieved_per_s"].as_f64(), done.reduce(f64::min));
}
