//! `.hlog`: HdrHistogram's interval log, one interval for each second.
//!
//! Response times carry no tag, so tools that know of none take them; service times and send lags
//! are tagged `service` and `lag`. Values are nanoseconds, the maximum in a line is milliseconds.

use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag},
};

use super::{
    model::{Latency, Report},
    render::RenderError,
    time::Time,
};

/// The version of the format that is written. The crate leaves this line to us.
const VERSION: &str = "[Histogram log format version 1.3]";

/// Nanoseconds in a millisecond: the unit of the maximum.
const MAX_DIVISOR: f64 = 1e6;

type Writer<'a, 'b> = IntervalLogWriter<'a, 'b, Vec<u8>, V2DeflateSerializer>;

/// Writes the log of a run. A report without seconds gives one interval over all of it.
///
/// # Errors
///
/// When a histogram in the report was damaged.
pub fn write(report: &Report) -> Result<String, RenderError> {
    let began = Duration::try_from_secs_f64(report.timing.began_unix_s).unwrap_or_default();
    // A damaged report may name a moment that no clock has.
    let began = UNIX_EPOCH.checked_add(began).unwrap_or(UNIX_EPOCH);
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(VERSION)
        .add_comment(&written_by(report))
        .add_comment(
            "[Values are nanoseconds: response times, and by tag service times and send lags]",
        )
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(&mut out, &mut serializer)?;
    let elapsed_s = report.timing.elapsed_s;
    if report.series.is_empty() {
        intervals(&mut log, &report.totals.latency, 0.0, elapsed_s)?;
    }
    for second in &report.series {
        let start_s = second.start_s as f64;
        // The last one is rarely whole.
        let length_s = (elapsed_s - start_s).clamp(0.001, 1.0);
        intervals(&mut log, &second.latency, start_s, length_s)?;
    }
    Ok(String::from_utf8(out).expect("names, numbers and base64 are text"))
}

fn intervals(
    log: &mut Writer<'_, '_>,
    latency: &Latency,
    start_s: f64,
    length_s: f64,
) -> Result<(), RenderError> {
    let duration = |s: f64| Duration::try_from_secs_f64(s).unwrap_or_default();
    for time in Time::ALL {
        let tag = match time {
            Time::Response => None,
            Time::Service | Time::Lag => Tag::new(time.name()),
        };
        let histogram = time.of(latency).histogram()?;
        log.write_histogram(&histogram, duration(start_s), duration(length_s), tag)?;
    }
    Ok(())
}

/// A target's name is foreign: it must not begin a line that readers take for a start time.
fn written_by(report: &Report) -> String {
    let (tool, target) = (&report.tool, &report.configuration.target);
    let text = format!(
        "[Written by {} {}: {} {target}]",
        tool.name, tool.version, report.operation
    );
    text.replace(char::is_control, " ")
}
