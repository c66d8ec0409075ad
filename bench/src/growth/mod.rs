//! How the gateway's costs grow: with connections, tenants, bytes and workers.
//!
//! ```text
//! axis: sizes -> measure: a fresh gateway and a load at each, in rounds -> fit: exponents
//!   -> report: what grows faster than its size -> table, JSON, page
//! ```

mod axis;
mod fit;
mod measure;
mod page;
mod report;

use std::path::PathBuf;

use clap::Args;

use self::{
    axis::{Amount, Axis, Cost},
    measure::Ground,
    report::{Growth, Point, Series},
};
use crate::{error::BenchError, host, output, room::Limits, turns::Effort};

const EXAMPLES: &str = "\
Examples:
  scripts/bench growth --html growth.html
      all four, as far as the machine's limits allow; some ten minutes
  scripts/bench growth tenants --most 10000 --json tenants.json
      one of them, up to a size of yours
  scripts/bench growth --quick
      a short range of each and little work: to see that it runs

Ctrl-C and SIGTERM end a run with what there is.

Exit codes: 0 nothing grows faster than its size; 3 something does; 1 usage; 2 something does not
start, or fails under load; 4 the run was interrupted.";

/// Arguments of `bench growth`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GrowthArgs {
    /// What grows [default: all, one after the other]
    #[arg(value_enum)]
    axis: Vec<Axis>,
    /// The largest size, of the one that is named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    most: Option<u64>,
    /// Measurements of each size
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=50))]
    rounds: u32,
    /// Short ranges and little work: to see that it runs, not for numbers
    #[arg(long)]
    quick: bool,
    /// Write the result as JSON too; `-` is standard output, instead of the text
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    json: Option<PathBuf>,
    /// Write a page with plots too
    #[arg(long, value_name = "FILE", value_parser = output::file())]
    html: Option<PathBuf>,
}

/// Why there is no growth to report.
#[derive(Debug, thiserror::Error)]
pub enum GrowthError {
    /// A program, a port or a file of the measurement is missing, or a load failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A size of nothing, or of several.
    #[error(
        "--most {0} is a size of one thing: name one of connections, tenants, size and workers"
    )]
    Most(u64),
    /// More workers than cores measure something else.
    #[error(
        "--most {asked} workers, but this process may use {cores} cores: write at most {cores}"
    )]
    Workers {
        /// As it was written.
        asked: u64,
        /// How many there are.
        cores: u64,
    },
}

impl GrowthError {
    /// 1 usage, 2 something does not start, or fails under load, 4 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Most(_) | Self::Workers { .. } => 1,
            Self::Bench(error) => error.exit_code(),
        }
    }
}

impl GrowthArgs {
    fn amount(&self) -> Amount {
        match self.quick {
            true => Amount::Quick,
            false => Amount::Full,
        }
    }

    fn axes(&self) -> &[Axis] {
        match self.axis.is_empty() {
            true => &Axis::ALL,
            false => &self.axis,
        }
    }

    /// The largest size of an axis.
    fn most(&self, axis: Axis, cores: u64) -> Result<u64, GrowthError> {
        match (self.most, self.axes()) {
            (None, _) => Ok(axis.most(self.amount(), cores)),
            (Some(asked), [Axis::Workers]) if asked > cores => {
                Err(GrowthError::Workers { asked, cores })
            }
            (Some(asked), [_]) => Ok(asked),
            (Some(asked), _) => Err(GrowthError::Most(asked)),
        }
    }
}

/// Measures, and prints what was found, also what there is when something comes between: the exit code.
///
/// # Errors
///
/// [`GrowthError`]: nothing was measured, or not all.
pub fn run(args: &GrowthArgs) -> Result<u8, GrowthError> {
    let cores = host::cores();
    let mut ranges = Vec::new();
    for axis in args.axes() {
        let most = args.most(*axis, cores.len() as u64)?;
        let (most, bound) = measure::bounded(*axis, most, Limits::here());
        ranges.push((*axis, axis.ladder(most), bound));
    }
    let ground = Ground::open(cores)?;
    let mut series = Vec::new();
    let mut effort = Effort::of(args.rounds);
    let mut ended = Ok(());
    for (axis, sizes, bound) in ranges {
        let mut measured = unmeasured(axis, &sizes);
        ended = measure(args, &ground, axis, &mut measured);
        for (cost, mut points) in measured {
            points.retain(|point| !point.costs.is_empty());
            if !points.is_empty() {
                series.push(Series::new(cost, axis, points, bound.clone()));
            }
        }
        if let Err(error) = &ended {
            effort.cut_short(error);
            break;
        }
    }
    if series.is_empty() {
        // Every ladder has a first step, so something came before it.
        return ended.map(|()| 0).map_err(GrowthError::from);
    }
    let gateway = host::version(&ground.sealgate, "--version", "sealgate");
    let split = ground.split().clone();
    let mut growth = Growth::new(host::describe(), gateway, split, effort, series);
    growth.is_quick = args.quick;
    output::publish(args.json.as_deref(), &growth.text(), &growth)?;
    if let Some(path) = &args.html {
        output::write(path, page::page(&growth))?;
    }
    ended?;
    Ok(if growth.is_super_linear { 3 } else { 0 })
}

/// Every cost of an axis at every size, before anything was measured.
fn unmeasured(axis: Axis, sizes: &[u64]) -> Vec<(Cost, Vec<Point>)> {
    let point = |size: &u64| Point {
        size: *size,
        costs: Vec::new(),
    };
    let blank: Vec<_> = sizes.iter().map(point).collect();
    let costs = axis.costs().iter();
    costs.map(|cost| (*cost, blank.clone())).collect()
}

/// All rounds of all sizes, in turn: what the machine does meanwhile falls on all of them.
fn measure(
    args: &GrowthArgs,
    ground: &Ground,
    axis: Axis,
    measured: &mut [(Cost, Vec<Point>)],
) -> Result<(), BenchError> {
    let sizes: Vec<u64> = measured[0].1.iter().map(|point| point.size).collect();
    for round in 1..=args.rounds {
        for (at, size) in sizes.iter().enumerate() {
            eprintln!("round {round}: {size} {}", axis.name());
            let costs = ground.measure(axis, *size, args.amount())?;
            for ((_, points), (_, cost)) in measured.iter_mut().zip(costs) {
                points[at].costs.push(cost);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(axis: &[Axis], most: Option<u64>) -> GrowthArgs {
        GrowthArgs {
            axis: axis.to_vec(),
            most,
            rounds: 3,
            quick: false,
            json: None,
            html: None,
        }
    }

    #[test]
    fn a_size_belongs_to_one_axis_and_workers_have_cores() {
        assert_eq!(
            args(&[], None).most(Axis::Workers, 4).expect("a default"),
            4
        );
        let tenants = args(&[Axis::Tenants], Some(9));
        assert_eq!(tenants.most(Axis::Tenants, 4).expect("as asked"), 9);
        let all = args(&[], Some(9)).most(Axis::Size, 4).expect_err("of four");
        assert!(all.to_string().contains("connections, tenants"), "{all}");
        let workers = args(&[Axis::Workers], Some(9)).most(Axis::Workers, 4);
        let said = workers.expect_err("too many").to_string();
        assert!(said.contains("at most 4"), "{said}");
    }
}
