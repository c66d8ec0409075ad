//! Which plots a page has, and their numbers.

use hdrhistogram::Histogram;

use super::{
    Run,
    axis::{Axis, Unit, clock},
    plot::{Line, Plot, Size},
};
use crate::{
    measure::histogram::EncodingError,
    operation::failure::{Class, Phase},
    report::{
        model::{Part, Report, Second},
        time::Time,
    },
};

/// Columns of a plot over time; longer runs have several seconds in a column.
const MAX_COLUMNS: usize = 600;
/// Steps for each factor of ten in the distance to 100 %.
const STEPS_PER_NINE: f64 = 20.0;
/// Tenants that have a plot of their own.
pub const MAX_TENANTS: usize = 24;

/// Latency by percentile: of all times, all runs.
///
/// # Errors
///
/// When a histogram was damaged.
pub fn by_percentile<'a>(
    runs: &[Run<'_>],
    names: &'a [String],
) -> Result<Option<Plot<'a>>, EncodingError> {
    let mut curves = Vec::new();
    for (run, Run { report, .. }) in runs.iter().enumerate() {
        for (series, time) in Time::ALL.into_iter().enumerate() {
            let histogram = time.of(&report.totals.latency).histogram()?;
            curves.push((run, series, histogram));
        }
    }
    let names_of_times = Time::ALL.map(|time| time.meaning().to_owned()).into();
    let Some(mut plot) = percentile_plot(&curves, names_of_times, names) else {
        return Ok(None);
    };
    plot.id = "percentiles".to_owned();
    plot.title = "Latency by percentile";
    plot.note = "Both axes stretch: each step to the right is ten times rarer. Where response leaves \
                 service, operations waited before they were sent.";
    Ok(Some(plot))
}

/// One small plot for each tenant, on common axes: response times.
///
/// # Errors
///
/// When a histogram was damaged.
pub fn tenants<'a>(
    runs: &[Run<'_>],
    names: &'a [String],
    shown: &'a [String],
) -> Result<Vec<Plot<'a>>, EncodingError> {
    let mut curves = Vec::new();
    for (at, tenant) in shown.iter().enumerate() {
        for (run, Run { report, .. }) in runs.iter().enumerate() {
            let of_name = |part: &&Part| part.name == *tenant;
            if let Some(part) = report.tenants.iter().find(of_name) {
                curves.push((at, run, part.latency.response.histogram()?));
            }
        }
    }
    // All in one plot give the common axes.
    let Some(common) = percentile_plot(&curves, Vec::new(), names) else {
        return Ok(Vec::new());
    };
    let mut plots = Vec::new();
    for (at, tenant) in shown.iter().enumerate() {
        let of_tenant = curves.iter().filter(|(of, ..)| *of == at);
        let lines = of_tenant.map(|(_, run, histogram)| Line {
            run: *run,
            series: 0,
            values: curve(histogram, common.places.len()),
        });
        plots.push(Plot {
            id: format!("tenant-{at}"),
            title: tenant,
            note: "",
            size: Size::Small,
            places: common.places.clone(),
            x: common.x.clone(),
            y: common.y.clone(),
            unit: Unit::Time,
            series: vec!["response".to_owned()],
            runs: names,
            lines: lines.collect(),
        });
    }
    Ok(plots)
}

fn percentile_plot<'a>(
    curves: &[(usize, usize, Histogram<u64>)],
    series: Vec<String>,
    runs: &'a [String],
) -> Option<Plot<'a>> {
    let filled = curves.iter().map(|(.., histogram)| histogram);
    let filled: Vec<_> = filled.filter(|histogram| !histogram.is_empty()).collect();
    let count = filled.iter().map(|histogram| histogram.len()).max()?;
    let nines = (count as f64).log10().max(1.0);
    let steps = (nines * STEPS_PER_NINE).ceil() as usize;
    let place = |step: usize| {
        let nines = step as f64 / STEPS_PER_NINE;
        (nines, format!("{} %", percentile_name(nines)))
    };
    // Lags of less than 100 ns are no news, and would press all else together.
    let least = filled
        .iter()
        .map(|histogram| histogram.min())
        .min()?
        .max(100);
    let largest = filled.iter().map(|histogram| histogram.max()).max()?;
    let lines = curves.iter().map(|(run, series, histogram)| Line {
        run: *run,
        series: *series,
        values: curve(histogram, steps + 1),
    });
    Some(Plot {
        id: String::new(),
        title: "",
        note: "",
        size: Size::Large,
        places: (0..=steps).map(place).collect(),
        x: Axis::of_nines(nines),
        y: Axis::log(least as f64, largest as f64, Unit::Time),
        unit: Unit::Time,
        series,
        runs,
        lines: lines.collect(),
    })
}

/// Values at so many steps. A line ends where less than one operation is left.
fn curve(histogram: &Histogram<u64>, steps: usize) -> Vec<Option<f64>> {
    let last = (histogram.len().max(1) as f64).log10() * STEPS_PER_NINE;
    let at = |step: usize| {
        let quantile = 1.0 - 10f64.powf(-(step as f64) / STEPS_PER_NINE);
        let within = !histogram.is_empty() && step as f64 <= last.ceil();
        within.then(|| histogram.value_at_quantile(quantile) as f64)
    };
    (0..steps).map(at).collect()
}

fn percentile_name(nines: f64) -> String {
    let percentile = 100.0 * (1.0 - 10f64.powf(-nines));
    let decimals = (nines.floor() as usize).max(1);
    format!("{percentile:.decimals$}")
}

/// A value of a second that a plot over time shows.
type Value<'a> = Box<dyn Fn(&Second) -> Option<f64> + 'a>;

/// What of several seconds in one column is shown.
#[derive(Clone, Copy)]
enum Of {
    /// The mean of whole seconds: a run rarely ends with one, and a part of it looks like a fall.
    Mean,
    /// The worst of all seconds.
    Worst,
}

/// Operations planned, sent and done.
pub fn rate<'a>(runs: &[Run<'_>], names: &'a [String]) -> Plot<'a> {
    let series: Vec<(&str, Value<'_>)> = vec![
        ("planned", Box::new(|second| Some(second.planned as f64))),
        ("sent", Box::new(|second| Some(second.sent as f64))),
        ("done", Box::new(|second| Some(second.succeeded as f64))),
    ];
    let mut plot = over_time(runs, names, &series, (Unit::Number, Of::Mean));
    plot.id = "rate".to_owned();
    plot.title = "Operations per second";
    plot.note = "A target that keeps up has three lines on one another.";
    plot
}

/// Percentiles of one of the times, second by second.
pub fn latency<'a>(runs: &[Run<'_>], names: &'a [String], time: Time) -> Plot<'a> {
    let at = |name: &'static str| -> Value<'_> {
        Box::new(move |second| {
            let times = time.of(&second.latency);
            let ns = times.percentiles_ns.get(name).filter(|_| times.count > 0)?;
            Some(*ns as f64)
        })
    };
    let longest: Value<'_> = Box::new(|second| {
        let times = time.of(&second.latency);
        (times.count > 0).then_some(times.max_ns as f64)
    });
    let mut series = Vec::from(["p50", "p90", "p99", "p99.9"].map(|name| (name, at(name))));
    series.push(("max", longest));
    let mut plot = over_time(runs, names, &series, (Unit::Time, Of::Worst));
    let values = || plot.lines.iter().flat_map(|line| &line.values).flatten();
    let least = values().copied().fold(f64::INFINITY, f64::min);
    let largest = values().copied().fold(0.0, f64::max);
    if least.is_finite() {
        plot.y = Axis::log(least.max(100.0), largest, Unit::Time);
    }
    plot.id = format!("latency-{}", time.name());
    plot.title = match time {
        Time::Response => "Response time (done − planned)",
        Time::Service => "Service time (done − sent)",
        Time::Lag => "Send lag (sent − planned)",
    };
    plot
}

/// Failures by class.
pub fn errors<'a>(runs: &[Run<'_>], names: &'a [String]) -> Option<Plot<'a>> {
    let seconds = runs.iter().flat_map(|run| &run.report.series);
    let classes = seconds.flat_map(|second| &second.errors);
    let mut classes: Vec<(Phase, Class)> =
        classes.map(|error| (error.phase, error.class)).collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.is_empty() {
        return None;
    }
    let named = classes
        .iter()
        .map(|(phase, class)| format!("{phase}/{class}"));
    let labels: Vec<String> = named.collect();
    let of = |(phase, class): (Phase, Class)| -> Value<'_> {
        Box::new(move |second| {
            let same = second.errors.iter();
            let same = same.filter(|error| (error.phase, error.class) == (phase, class));
            Some(same.map(|error| error.count as f64).sum())
        })
    };
    let series = labels
        .iter()
        .map(String::as_str)
        .zip(classes.into_iter().map(of));
    let series: Vec<_> = series.collect();
    let mut plot = over_time(runs, names, &series, (Unit::Number, Of::Worst));
    plot.id = "errors".to_owned();
    plot.title = "Failures per second";
    plot.note = "By phase and class, of operations and of connections.";
    Some(plot)
}

/// CPU of generator, target and host.
pub fn cpu<'a>(runs: &[Run<'_>], names: &'a [String]) -> Plot<'a> {
    let series: Vec<(&str, Value<'_>)> = vec![
        (
            "busiest generator thread",
            Box::new(|second| Some(second.generator_busy_share)),
        ),
        ("target", Box::new(|second| second.target_cpu_s)),
        (
            "taken by the hypervisor",
            Box::new(|second| Some(second.stolen_share)),
        ),
    ];
    let mut plot = over_time(runs, names, &series, (Unit::Share, Of::Mean));
    plot.id = "cpu".to_owned();
    plot.title = "CPU";
    plot.note = "100 % is one core; of the hypervisor's share, all cores. A generator above 85 % measures \
                 itself.";
    plot
}

/// Memory of the target, where it was measured.
pub fn memory<'a>(runs: &[Run<'_>], names: &'a [String]) -> Option<Plot<'a>> {
    let series: Vec<(&str, Value<'_>)> = vec![(
        "resident",
        Box::new(|second| Some(second.target_rss_bytes? as f64)),
    )];
    let mut plot = over_time(runs, names, &series, (Unit::Bytes, Of::Worst));
    plot.id = "memory".to_owned();
    plot.title = "Resident memory of the target";
    plot.note = "At the end of each second.";
    let measured = plot.lines.iter().flat_map(|line| &line.values).flatten();
    (measured.count() > 0).then_some(plot)
}

fn over_time<'a>(
    runs: &[Run<'_>],
    names: &'a [String],
    series: &[(&str, Value<'_>)],
    (unit, of): (Unit, Of),
) -> Plot<'a> {
    let longest = runs.iter().map(|run| run.report.series.len()).max();
    let longest = longest.unwrap_or(0);
    let width = longest.div_ceil(MAX_COLUMNS).max(1);
    let columns = longest.div_ceil(width);
    let mut lines = Vec::new();
    for (run, Run { report, .. }) in runs.iter().enumerate() {
        for (n, (_, value)) in series.iter().enumerate() {
            let column = |seconds: &[Second]| joined(seconds.iter().filter_map(value), of);
            let seconds = match of {
                Of::Mean => whole_seconds(report),
                Of::Worst => &report.series,
            };
            let mut values: Vec<_> = seconds.chunks(width).map(column).collect();
            values.resize(columns, None);
            // What nobody measured has no line.
            if values.iter().any(Option::is_some) {
                lines.push(Line {
                    run,
                    series: n,
                    values,
                });
            }
        }
    }
    let values = lines.iter().flat_map(|line| &line.values).flatten();
    let largest = values.copied().fold(0.0, f64::max);
    let place = |column: usize| {
        let (from, to) = (column * width, (column + 1) * width);
        let name = match width {
            1 => clock(from as f64),
            _ => format!("{} to {}", clock(from as f64), clock(to as f64)),
        };
        (from as f64, name)
    };
    Plot {
        id: String::new(),
        title: "",
        note: "",
        size: Size::Large,
        places: (0..columns).map(place).collect(),
        x: Axis::of_time(longest.saturating_sub(1) as f64),
        y: Axis::from_zero(largest, unit),
        unit,
        series: series.iter().map(|(name, _)| (*name).to_owned()).collect(),
        runs: names,
        lines,
    }
}

fn whole_seconds(report: &Report) -> &[Second] {
    match &report.series[..] {
        // Hundredths are what the clock and the last answers take.
        [before @ .., last] if report.timing.elapsed_s < last.start_s as f64 + 0.99 => before,
        all => all,
    }
}

fn joined(values: impl Iterator<Item = f64> + Clone, of: Of) -> Option<f64> {
    let count = values.clone().count();
    match of {
        _ if count == 0 => None,
        Of::Mean => Some(values.sum::<f64>() / count as f64),
        Of::Worst => values.reduce(f64::max),
    }
}
