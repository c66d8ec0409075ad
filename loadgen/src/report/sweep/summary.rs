//! From the runs of a cell to medians and ranges.

use super::{CellRun, Range, Summary};
use crate::report::model::{Report, State};

/// What the runs of a cell come to.
pub fn summary(runs: &[CellRun]) -> Summary {
    let all: Vec<&Report> = runs.iter().map(|run| &run.report).collect();
    let holds = |report: &&&Report| report.verdict.state != State::Invalid;
    let holding: Vec<&Report> = all.iter().filter(holds).copied().collect();
    let shown = if holding.is_empty() { &all } else { &holding };
    let over = |of: &dyn Fn(&Report) -> Option<f64>| range(shown.iter().filter_map(|run| of(run)));
    let percentile = |name: &'static str| {
        over(&move |report| {
            let times = &report.totals.latency.response;
            let ns = times.percentiles_ns.get(name).filter(|_| times.count > 0)?;
            Some(*ns as f64)
        })
    };
    let missed = all
        .iter()
        .filter(|report| report.objectives.iter().any(|objective| !objective.met));
    Summary {
        holding: holding.len() as u32,
        runs: all.len() as u32,
        missed: missed.count() as u32,
        achieved_per_s: over(&|report| Some(report.achieved.achieved_per_s)),
        payload_bytes_per_s: over(&|report| {
            let rates = &report.totals.rates;
            Some(rates.sent_bytes_per_s + rates.received_bytes_per_s)
        }),
        p50_ns: percentile("p50"),
        p99_ns: percentile("p99"),
        p999_ns: percentile("p99.9"),
        errors: over(&errors),
        target_cpu_ns: over(&|report| report.target.as_ref()?.cpu_ns_per_operation),
    }
}

/// Share of the operations that failed or were never sent.
fn errors(report: &Report) -> Option<f64> {
    let operations = &report.totals.operations;
    let lost = operations.failed + operations.unsent;
    let ended = operations.succeeded + lost;
    (ended > 0).then(|| lost as f64 / ended as f64)
}

fn range(values: impl Iterator<Item = f64>) -> Option<Range> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    let (least, most) = (*all.first()?, *all.last()?);
    let half = all.len() / 2;
    let median = match all.len() % 2 {
        1 => all[half],
        _ => f64::midpoint(all[half - 1], all[half]),
    };
    Some(Range {
        median,
        least,
        most,
    })
}

/// The run whose rate, or in an open loop whose median response, is the middle one: to be shown for
/// the cell.
pub fn typical(runs: &[CellRun]) -> Option<&Report> {
    let key = |run: &&CellRun| {
        let p50 = run.report.totals.latency.response.percentiles_ns.get("p50");
        p50.copied().unwrap_or(u64::MAX)
    };
    let holds = |run: &&CellRun| run.report.verdict.state != State::Invalid;
    let mut holding: Vec<&CellRun> = runs.iter().filter(holds).collect();
    if holding.is_empty() {
        holding = runs.iter().collect();
    }
    holding.sort_by_key(key);
    holding.get(holding.len() / 2).map(|run| &run.report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges_are_those_of_the_values() {
        let of = |values: &[f64]| range(values.iter().copied());
        assert_eq!(of(&[]), None);
        let range = |median, least, most| {
            Some(Range {
                median,
                least,
                most,
            })
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), range(2.0, 1.0, 3.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), range(2.5, 1.0, 4.0));
    }
}
