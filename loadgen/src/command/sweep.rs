//! `loadgen sweep`: a grid of runs.
//!
//! A cell is the command line of the operation with the varied flags behind it, so any flag can be
//! varied, and all are read before the first one is run.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{CommandError, bulk, handshake, load, report::write, request};
use crate::{
    cli::{Cli, Command, LoadArgs, SweepArgs},
    exit::Exit,
    host,
    report::{
        build, html,
        model::{Report, State},
        quantity,
        render::Format,
        sweep::{Cell, CellRun, FORMAT, SweepReport, summary::summary, table},
    },
    run::RunError,
    signals,
    sweep::{Dimension, Grid, GridError, order},
};

/// Flags of a sweep that do not fit together. The operator's fault.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The grid is none.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A cell's command line is wrong.
    #[error("with {cell}: {error}")]
    Cell {
        /// Its values.
        cell: String,
        /// Why.
        error: clap::Error,
    },
    /// An operation that cannot be swept.
    #[error("{0} is no load: a sweep runs request, handshake or bulk")]
    NotALoad(String),
    /// Runs do not store their reports themselves.
    #[error("--json behind the operation would be written over by every run: put it before")]
    RunJson,
    /// A file whose ending says nothing.
    #[error("{}: what form is that? end it in .html, .csv, .md, .json or .txt", .0.display())]
    Form(PathBuf),
}

/// A cell that can be run.
struct Ready {
    values: Vec<String>,
    command: Command,
    runs: Vec<CellRun>,
}

/// Runs a grid.
///
/// # Errors
///
/// When flags are of no use, a run cannot start, or the result cannot be written.
pub fn sweep(args: &SweepArgs) -> Result<Exit, CommandError> {
    let grid = Grid::new(args.vary.clone()).map_err(SweepError::from)?;
    let outputs = args.output.iter().map(|path| Ok((path, form(path)?)));
    let outputs = outputs.collect::<Result<Vec<_>, SweepError>>()?;
    let cells = grid.cells().into_iter();
    let cells = cells.map(|values| ready(args, grid.dimensions(), values));
    let mut cells = cells.collect::<Result<Vec<_>, SweepError>>()?;
    let mut exits = Vec::new();
    run_all(args, grid.dimensions(), &mut cells, &mut exits)?;
    let report = SweepReport {
        format: FORMAT.to_owned(),
        tool: build::tool(),
        host: host::describe(),
        command: args.operation.clone(),
        dimensions: grid.dimensions().to_vec(),
        rounds: args.rounds,
        order: args.order,
        seed: args.seed,
        interrupted: signals::interrupted(),
        cells: cells
            .into_iter()
            .map(|cell| Cell {
                values: cell.values,
                summary: summary(&cell.runs),
                runs: cell.runs,
            })
            .collect(),
    };
    for (path, form) in outputs {
        write(Some(path), &rendered(&report, form)?)?;
    }
    load::publish(&report, table::text(&report), args.json.as_deref())?;
    Ok(exit(&report, &exits))
}

/// The form that a file's ending asks for.
fn form(path: &Path) -> Result<Format, SweepError> {
    match Format::of_path(path) {
        Some(
            form @ (Format::Summary | Format::Csv | Format::Markdown | Format::Html | Format::Json),
        ) => Ok(form),
        _ => Err(SweepError::Form(path.to_owned())),
    }
}

fn rendered(report: &SweepReport, form: Format) -> Result<String, CommandError> {
    Ok(match form {
        Format::Csv => table::csv(report)?,
        Format::Markdown => table::markdown(report),
        Format::Html => html::sweep::page(report)?,
        Format::Json => serde_json::to_string_pretty(report).map_err(io::Error::from)? + "\n",
        _ => table::text(report),
    })
}

fn ready(
    args: &SweepArgs,
    dimensions: &[Dimension],
    values: Vec<String>,
) -> Result<Ready, SweepError> {
    let flags = dimensions.iter().zip(&values);
    let flags = flags.map(|(dimension, value)| format!("--{}={value}", dimension.name));
    let words = ["loadgen".to_owned()].into_iter();
    let words = words.chain(args.operation.iter().cloned()).chain(flags);
    let cli = Cli::read(words.map(OsString::from).collect()).map_err(|error| SweepError::Cell {
        cell: named(dimensions, &values),
        error,
    })?;
    let load: &LoadArgs = match &cli.command {
        Command::Request(args) => &args.load,
        Command::Handshake(args) => &args.load,
        Command::Bulk(args) => &args.load,
        _ => return Err(SweepError::NotALoad(args.operation[0].clone())),
    };
    match load.json.is_some() {
        true => Err(SweepError::RunJson),
        false => Ok(Ready {
            values,
            command: cli.command,
            runs: Vec::new(),
        }),
    }
}

fn named(dimensions: &[Dimension], values: &[String]) -> String {
    let pairs = dimensions.iter().zip(values);
    let pairs: Vec<_> = pairs
        .map(|(dimension, value)| format!("{} {value}", dimension.name))
        .collect();
    pairs.join(", ")
}

/// Runs every cell in every round, until all are run or somebody ends it.
fn run_all(
    args: &SweepArgs,
    dimensions: &[Dimension],
    cells: &mut [Ready],
    exits: &mut Vec<Exit>,
) -> Result<(), CommandError> {
    let all = cells.len() as u32 * args.rounds;
    let mut number = 0;
    for round in 1..=args.rounds {
        for at in order(cells.len(), args.order, args.seed, round) {
            number += 1;
            let cell = &mut cells[at];
            let name = named(dimensions, &cell.values);
            let measured = match measure(&cell.command) {
                // Between two runs, or while one connected.
                Err(CommandError::Run(RunError::Interrupted)) if number > 1 => return Ok(()),
                measured => measured?,
            };
            let mut err = io::stderr();
            writeln!(err, "{number}/{all} {name}: {}", brief(&measured.report))?;
            if measured.exit == Exit::Target {
                writeln!(err, "loadgen: {}", measured.advice)?;
            }
            // A run that was cut short says little of its cell.
            if !(signals::interrupted() && number > 1) {
                exits.push(measured.exit);
                cell.runs.push(CellRun {
                    round,
                    number,
                    report: measured.report,
                });
            }
            if signals::interrupted() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn measure(command: &Command) -> Result<load::Measured, CommandError> {
    match command {
        Command::Request(args) => load::measure(&request::job(args)?),
        Command::Handshake(args) => load::measure(&handshake::job(args)?),
        Command::Bulk(args) => load::measure(&bulk::job(args)?),
        _ => Err(CommandError::NotALoad),
    }
}

/// A run in half a line.
fn brief(report: &Report) -> String {
    let p99 = report.totals.latency.response.percentiles_ns.get("p99");
    let mut text = format!(
        "{}/s, p99 {}",
        quantity::number(report.achieved.achieved_per_s),
        quantity::time(p99.copied().unwrap_or(0) as f64)
    );
    if report.verdict.state != State::Valid {
        let codes = report.verdict.reasons.iter();
        let codes: Vec<_> = codes.map(|reason| reason.code.as_str()).collect();
        let state = match report.verdict.state {
            State::Invalid => "INVALID",
            _ => "degraded",
        };
        text.push_str(&format!(", {state} ({})", codes.join(", ")));
    }
    text
}

fn exit(report: &SweepReport, exits: &[Exit]) -> Exit {
    let unproven = report.cells.iter().any(|cell| cell.summary.holding == 0);
    let missed = report.cells.iter().any(|cell| cell.summary.missed > 0);
    if !exits.is_empty() && exits.iter().all(|exit| *exit == Exit::Target) {
        Exit::Target
    } else if unproven || report.interrupted {
        Exit::Invalid
    } else if missed {
        Exit::Missed
    } else {
        Exit::Ok
    }
}
