//! A stored report in each of its forms.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod report_sample;

use std::{fs, path::Path, process::Command};

use clap::ValueEnum;
use loadgen::report::{
    model::Report,
    parse,
    render::{Format, render},
};
use report_sample::{CALM, HOSTILE, STALLED, agents::with_agents};

/// Runs `loadgen report`; gives exit code, standard output and standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let program = env!("CARGO_BIN_EXE_loadgen");
    let output = Command::new(program).arg("report").args(args).output();
    let output = output.unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn store(dir: &Path, report: &Report) -> String {
    let path = dir.join("run.json");
    fs::write(&path, serde_json::to_string(report).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The same report with every number as large as it can be.
fn largest(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            *number = match number.is_f64() {
                true => serde_json::Number::from_f64(f64::MAX).unwrap(),
                false => u64::MAX.into(),
            };
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(largest),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(largest),
        _ => {}
    }
}

#[test]
fn numbers_that_no_run_has_are_no_panic() {
    let report = with_agents(report_sample::report(STALLED));
    let mut value = serde_json::to_value(report).unwrap();
    let target = value["target"].take();
    let statuses = value["statuses"].take();
    largest(&mut value);
    // Process numbers and statuses are smaller types.
    value["target"] = target;
    value["statuses"] = statuses;
    let report: Report = serde_json::from_value(value).unwrap();
    for format in Format::value_variants() {
        if *format != Format::Summary {
            render(&report, *format).unwrap();
        }
    }
}

/// Rows of a table by the names of its columns.
fn table(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().unwrap().iter().map(str::to_owned);
    let head = head.collect();
    let rows = reader.records().map(Result::unwrap);
    let cells = rows.map(|row| row.iter().map(str::to_owned).collect());
    (head, cells.collect())
}

#[test]
fn the_program_takes_the_form_from_the_flag_or_from_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let report = report_sample::report(CALM);
    let stored = store(dir.path(), &report);
    let (code, summary, _) = run(&[&stored]);
    assert_eq!(code, 0);
    assert!(summary.ends_with("verdict     valid\n"), "{summary}");
    let (_, json, _) = run(&[&stored, "--format", "json"]);
    assert!(parse::parse(&json).unwrap() == report, "nothing is lost");
    for (name, format) in [
        ("a.csv", Format::Csv),
        ("a.md", Format::Markdown),
        ("a.html", Format::Html),
        ("a.hlog", Format::Hlog),
        ("a.hgrm", Format::Hgrm),
        ("a.json", Format::Json),
        ("a.txt", Format::Summary),
    ] {
        let path = dir.path().join(name);
        let (code, printed, _) = run(&[&stored, "-o", path.to_str().unwrap()]);
        assert_eq!((code, printed.as_str()), (0, ""), "{name}");
        let written = fs::read_to_string(path).unwrap();
        assert_eq!(written, render(&report, format).unwrap(), "{name}");
        assert!(written.ends_with('\n'), "{name}");
    }
    // A name that says nothing does not decide; a flag decides against the name.
    let path = dir.path().join("a.csv");
    run(&[&stored, "-f", "markdown", "-o", path.to_str().unwrap()]);
    assert!(fs::read_to_string(path).unwrap().starts_with("### loadgen"));
}

#[test]
fn a_file_that_is_no_report_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, said) = run(&["/nonexistent/run.json"]);
    assert_eq!(code, 1);
    assert!(said.contains("cannot read /nonexistent/run.json"), "{said}");
    // It has no end, and none is awaited.
    let (code, _, said) = run(&["/dev/zero"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("/dev/zero: this is no report of loadgen"),
        "{said}"
    );
    let path = dir.path().join("other.json");
    fs::write(&path, r#"{"format":"loadgen.run/1"}"#).unwrap();
    let (code, _, said) = run(&[path.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        said.contains("other.json") && said.contains("repeat the run"),
        "{said}"
    );
    let mut damaged = report_sample::report(CALM);
    damaged.series[3].latency.service.hdr_v2_deflate = "SElTVEZBQUFBAAAA".into();
    let (code, _, said) = run(&[&store(dir.path(), &damaged), "-f", "hlog"]);
    assert_eq!(code, 1);
    assert!(said.contains("the report is damaged"), "{said}");
}

#[test]
fn only_a_page_takes_several_reports_and_names_them_by_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path(), &report_sample::report(CALM));
    let second = dir.path().join("other").join("run.json");
    fs::create_dir(second.parent().unwrap()).unwrap();
    fs::copy(&first, &second).unwrap();
    let second = second.to_str().unwrap();
    let (code, _, said) = run(&[&first, second]);
    assert_eq!(code, 1);
    assert!(said.contains("add -f html"), "{said}");
    let (code, page, _) = run(&[&first, second, "-f", "html"]);
    assert_eq!(code, 0);
    // Both are called run.json, so the paths tell them apart.
    assert!(page.contains(&first) && page.contains(second));
    let seven: Vec<_> = std::iter::repeat_n(first.as_str(), 7).collect();
    assert_eq!(run(&seven).0, 1, "more have no colour");
}

#[test]
fn a_page_refers_to_nothing_outside_and_lets_no_text_be_markup() {
    let page = render(&report_sample::report(STALLED), Format::Html).unwrap();
    for mark in [
        "src=",
        "href=",
        "url(",
        "@import",
        " style=",
        "http-equiv=\"refresh",
    ] {
        assert!(!page.contains(mark), "{mark}");
    }
    let policy = "default-src 'none'; style-src 'sha256-";
    assert!(page.contains(policy), "what got through could not run");
    let hostile = render(&report_sample::hostile(), Format::Html).unwrap();
    assert!(!hostile.contains("<script>alert") && !hostile.contains("<img"));
    for tag in [
        "<script", "</script", "</style", "</title", "<button", "<svg",
    ] {
        assert_eq!(
            hostile.matches(tag).count(),
            page.matches(tag).count(),
            "{tag}"
        );
    }
}

#[test]
fn the_seconds_of_the_table_add_up_to_the_run() {
    let report = report_sample::report(STALLED);
    let (head, rows) = table(&render(&report, Format::Csv).unwrap());
    let column = |name: &str| head.iter().position(|cell| cell == name).unwrap();
    let sum = |name: &str| -> u64 {
        let at = column(name);
        rows.iter().map(|row| row[at].parse::<u64>().unwrap()).sum()
    };
    assert_eq!(rows.len(), report.series.len());
    assert_eq!(sum("succeeded"), report.totals.operations.succeeded);
    assert_eq!(sum("failed"), report.totals.operations.failed);
    assert_eq!(sum("received_bytes"), report.totals.bytes.received);
    assert_eq!(sum("errors_connect_refused"), 10);
    assert_eq!(sum("errors_receive_timeout"), 40);
    let p99 = &rows[12][column("response_p99_ns")];
    let expected = report.series[12].latency.response.percentiles_ns["p99"];
    assert_eq!(*p99, expected.to_string());
}

#[test]
fn a_second_without_operations_has_no_times() {
    let mut report = report_sample::report(CALM);
    let empty = loadgen::measure::histogram::Times::new().distribution();
    report.series[0].latency.response = empty;
    report.series[0].target_cpu_s = None;
    let (head, rows) = table(&render(&report, Format::Csv).unwrap());
    for name in ["response_p50_ns", "response_max_ns", "target_cpu_s"] {
        let at = head.iter().position(|cell| cell == name).unwrap();
        assert_eq!(rows[0][at], "", "{name}");
        assert_ne!(rows[1][at], "", "{name}");
    }
}

#[test]
fn agents_have_a_table_in_every_form_and_others_have_none() {
    let alone = report_sample::report(CALM);
    let report = with_agents(alone.clone());
    let (head, rows) = table(&render(&report, Format::CsvAgents).unwrap());
    let cells = |name: &str| -> Vec<&str> {
        let at = head.iter().position(|cell| cell == name).unwrap();
        rows.iter().map(|row| row[at].as_str()).collect()
    };
    assert_eq!(cells("agent"), ["load1.example:7500", "load2.example:7500"]);
    assert_eq!(cells("cores"), ["8", "4"]);
    assert_eq!(cells("planned"), ["12000", "1234"]);
    assert_eq!(cells("sent"), ["12000", "1233"]);
    assert_eq!(cells("succeeded"), ["12000", "1230"]);
    assert_eq!(cells("failed"), ["0", "3"]);
    assert_eq!(cells("unsent"), ["0", "1"]);
    assert_eq!(cells("verdict"), ["degraded", ""]);
    assert_eq!(cells("reasons"), ["waited_for_core", ""]);
    assert!(cells("lost")[1].contains("was closed"), "{rows:?}");
    let (_, rows) = table(&render(&alone, Format::CsvAgents).unwrap());
    assert!(rows.is_empty());

    let markdown = render(&report, Format::Markdown).unwrap();
    let lines = markdown
        .lines()
        .filter(|line| line.contains(".example:7500 |"));
    let lines: Vec<_> = lines.collect();
    assert!(
        lines[0].starts_with("| load1.example:7500 | load1 | 8 |")
            && lines[0].ends_with("| degraded: waited\\_for\\_core |"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("| load2.example:7500 | load2 | 4 |")
            && lines[1].ends_with("| lost: it was lost: the control connection was closed |"),
        "{lines:?}"
    );
    let widths = lines.iter().map(|line| line.matches('|').count());
    assert_eq!(widths.collect::<Vec<_>>(), [11, 11]);
    assert!(
        !render(&alone, Format::Markdown)
            .unwrap()
            .contains("| agent |")
    );

    let page = render(&report, Format::Html).unwrap();
    assert!(page.contains("id=\"agents\"") && page.contains("load2.example:7500"));
    assert!(
        !render(&alone, Format::Html)
            .unwrap()
            .contains("id=\"agents\"")
    );
}

#[test]
fn the_table_of_percentiles_ends_each_distribution_with_all_of_it() {
    let report = report_sample::report(STALLED);
    let (head, rows) = table(&render(&report, Format::CsvPercentiles).unwrap());
    assert_eq!(
        head,
        ["of", "name", "time", "percentile", "value_ns", "count"]
    );
    // The run, one kind and three tenants with three times each, and connections with two.
    let all: Vec<_> = rows.iter().filter(|row| row[3] == "100").collect();
    assert_eq!(all.len(), 5 * 3 + 2);
    for tenant in &report.tenants {
        let service = &tenant.latency.service;
        let last = all
            .iter()
            .find(|row| row[1] == tenant.name && row[2] == "service");
        let expected = [service.max_ns.to_string(), service.count.to_string()];
        assert_eq!(last.unwrap()[4..], expected, "{}", tenant.name);
    }
}

#[test]
fn hostile_text_is_text_in_tables_and_markdown_and_logs() {
    let report = report_sample::hostile();
    let (_, rows) = table(&render(&report, Format::CsvPercentiles).unwrap());
    assert!(rows.iter().any(|row| row[1] == HOSTILE), "kept as it is");
    let markdown = render(&report, Format::Markdown).unwrap();
    // Only the fenced configuration, code between backticks and our own fold may have brackets.
    let (before, _) = markdown
        .split_once("````json")
        .expect("a fence longer than any within");
    for line in before.lines().filter(|line| !line.starts_with("- `")) {
        let ours = ["<details><summary>", "</summary>"];
        let foreign = ours
            .iter()
            .fold(line.to_owned(), |line, tag| line.replacen(tag, "", 1));
        assert!(
            !foreign.contains('<') && !foreign.contains("@all"),
            "{line}"
        );
    }
    let tenants = markdown.lines().filter(|line| line.ends_with(" ms |"));
    for line in tenants.filter(|line| line.contains("/s |")) {
        let bars = line.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 7, "a name ends no cell: {line}");
    }
    let log = render(&report, Format::Hlog).unwrap();
    let starts = log.lines().filter(|line| line.starts_with("#[StartTime"));
    assert_eq!(starts.count(), 1, "a name begins no line");
}
