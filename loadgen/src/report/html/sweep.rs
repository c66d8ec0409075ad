//! The page of a sweep: its numbers over the first dimension, one line for each combination of the
//! others.

use maud::{Markup, html};

use super::{
    MAX_RUNS, Run,
    axis::{Axis, Unit},
    charts, document,
    plot::{Line, Plot, Size, swatch},
};
use crate::report::{
    render::RenderError,
    sweep::{Cell, Range, SweepReport, summary::typical, table},
};

/// Writes the page of a sweep.
///
/// # Errors
///
/// When a histogram in a report was damaged.
pub fn page(sweep: &SweepReport) -> Result<String, RenderError> {
    let title = format!("sweep {}", sweep.command.join(" "));
    let groups = groups(sweep);
    let body = html! {
        header {
            p.brand { "loadgen" }
            h1 { (title) }
            p.when {
                (sweep.rounds) " rounds, medians; the range of the runs stands in the table"
                @if sweep.interrupted { "; interrupted" }
            }
        }
        main {
            @for (n, group) in groups.iter().enumerate() { (plots(sweep, n, group)) }
            (percentiles(sweep)?)
            (numbers(sweep))
        }
    };
    Ok(document(&title, &body))
}

/// Combinations of all dimensions but the first, as many as colours can tell apart.
struct Group {
    names: Vec<String>,
    /// For each name the cells along the first dimension.
    lines: Vec<Vec<usize>>,
}

fn groups(sweep: &SweepReport) -> Vec<Group> {
    let along = sweep.dimensions.first().map_or(0, |of| of.values.len());
    // A single value makes no line.
    if along < 2 {
        return Vec::new();
    }
    let others = sweep.cells.len() / along;
    let names = sweep.dimensions.iter().skip(1).map(|of| of.name.as_str());
    let names: Vec<&str> = names.collect();
    let combinations: Vec<_> = (0..others)
        .map(|other| {
            let cells: Vec<usize> = (0..along).map(|at| at * others + other).collect();
            let values = sweep.cells[other].values.iter().skip(1);
            let pairs = names.iter().zip(values);
            let named: Vec<_> = pairs
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            let name = if named.is_empty() {
                "all".to_owned()
            } else {
                named.join(", ")
            };
            (name, cells)
        })
        .collect();
    combinations
        .chunks(MAX_RUNS)
        .map(|some| {
            let (names, lines) = some.iter().cloned().unzip();
            Group { names, lines }
        })
        .collect()
}

/// What a plot shows of a cell.
type Value = fn(&Cell) -> Option<Range>;

fn plots(sweep: &SweepReport, n: usize, group: &Group) -> Markup {
    let title = format!("group-{n}");
    let name = sweep.dimensions.first().map_or("", |of| of.name.as_str());
    let rate = plot(
        sweep,
        group,
        &[("median", |cell| cell.summary.achieved_per_s)],
        Unit::Number,
    );
    let latency = plot(
        sweep,
        group,
        &[
            ("p50", |cell| cell.summary.p50_ns),
            ("p99", |cell| cell.summary.p99_ns),
            ("p99.9", |cell| cell.summary.p999_ns),
        ],
        Unit::Time,
    );
    html! {
        section aria-labelledby=(title) {
            h2 id=(title) { "Over " (name) }
            @if group.names.len() > 1 {
                div.legend.runs role="group" aria-label="Combinations" {
                    @for (n, name) in group.names.iter().enumerate() {
                        button type="button" aria-pressed="true" data-run=(n) {
                            (swatch(&format!("line c{n}"))) (name)
                        }
                    }
                }
            }
            div.plots {
                @if let Some(plot) = rate {
                    (Plot { id: format!("rate-{n}"), title: "Operations per second", ..plot }.render())
                }
                @if let Some(plot) = latency {
                    (Plot { id: format!("latency-{n}"), title: "Response time (done − planned)", ..plot }.render())
                }
            }
        }
    }
}

fn plot<'a>(
    sweep: &SweepReport,
    group: &'a Group,
    series: &[(&str, Value)],
    unit: Unit,
) -> Option<Plot<'a>> {
    let values = &sweep.dimensions.first()?.values;
    let mut lines = Vec::new();
    for (run, cells) in group.lines.iter().enumerate() {
        for (series, (_, of)) in series.iter().enumerate() {
            let at = |cell: &usize| Some(of(&sweep.cells[*cell])?.median);
            lines.push(Line {
                run,
                series,
                values: cells.iter().map(at).collect(),
            });
        }
    }
    let all = || {
        lines
            .iter()
            .flat_map(|line| &line.values)
            .flatten()
            .copied()
    };
    let (least, most) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
    Some(Plot {
        id: String::new(),
        title: "",
        note: "",
        size: Size::Large,
        places: values
            .iter()
            .enumerate()
            .map(|(n, name)| (n as f64, name.clone()))
            .collect(),
        x: Axis::of_names(values),
        y: match unit {
            Unit::Time => Axis::log(least.max(100.0), most, unit),
            Unit::Number | Unit::Share | Unit::Bytes => Axis::from_zero(most, unit),
        },
        unit,
        series: series.iter().map(|(name, _)| (*name).to_owned()).collect(),
        runs: &group.names,
        lines,
    })
}

/// Latency by percentile of a typical run of each cell, where colours can tell them apart.
fn percentiles(sweep: &SweepReport) -> Result<Markup, RenderError> {
    let shown = sweep.cells.iter().filter_map(|cell| {
        let name = cell.values.join(", ");
        Some(Run {
            name,
            report: typical(&cell.runs)?,
        })
    });
    let runs: Vec<_> = shown.collect();
    let names: Vec<_> = runs.iter().map(|run| run.name.clone()).collect();
    let plot = match runs.len() {
        1..=MAX_RUNS => charts::by_percentile(&runs, &names)?,
        _ => None,
    };
    Ok(html! {
        @if let Some(plot) = plot {
            section aria-labelledby="by-percentile" {
                h2 id="by-percentile" { "A typical run of each cell" }
                p.note {
                    @for (n, name) in names.iter().enumerate() {
                        (swatch(&format!("line c{n}"))) " " (name) " "
                    }
                }
                div.plots { (plot.render()) }
            }
        }
    })
}

fn numbers(sweep: &SweepReport) -> Markup {
    let (head, rows) = table::rows(sweep);
    html! {
        section aria-labelledby="cells" {
            h2 id="cells" { "Cells" }
            div.scroll { table {
                thead { tr { @for name in &head { th scope="col" { (name) } } } }
                tbody { @for row in &rows { tr { @for cell in row { td { (cell) } } } } }
            } }
        }
    }
}
