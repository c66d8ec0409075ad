//! The cells of a sweep as tables: text, Markdown, CSV.

use std::fmt::Write;

use super::{Cell, Range, SweepReport};
use crate::report::{quantity, render::RenderError};

/// A column of numbers.
struct Column {
    name: &'static str,
    /// In CSV, with its unit.
    csv: &'static str,
    of: fn(&Cell) -> Option<Range>,
    text: fn(f64) -> String,
}

const COLUMNS: [Column; 7] = [
    Column {
        name: "done/s",
        csv: "achieved_per_s",
        of: |cell| cell.summary.achieved_per_s,
        text: quantity::number,
    },
    Column {
        name: "payload/s",
        csv: "payload_bytes_per_s",
        of: |cell| cell.summary.payload_bytes_per_s,
        text: quantity::bytes,
    },
    Column {
        name: "p50",
        csv: "response_p50_ns",
        of: |cell| cell.summary.p50_ns,
        text: quantity::time,
    },
    Column {
        name: "p99",
        csv: "response_p99_ns",
        of: |cell| cell.summary.p99_ns,
        text: quantity::time,
    },
    Column {
        name: "p99.9",
        csv: "response_p99.9_ns",
        of: |cell| cell.summary.p999_ns,
        text: quantity::time,
    },
    Column {
        name: "errors",
        csv: "errors_share",
        of: |cell| cell.summary.errors,
        text: quantity::share,
    },
    Column {
        name: "target CPU",
        csv: "target_cpu_ns_per_operation",
        of: |cell| cell.summary.target_cpu_ns,
        text: quantity::time,
    },
];

/// Heads and rows: dimensions, numbers as `median (least–most)`, and how many runs hold. Columns that
/// nobody measured are left out.
pub fn rows(sweep: &SweepReport) -> (Vec<String>, Vec<Vec<String>>) {
    let measured = |column: &&Column| sweep.cells.iter().any(|cell| (column.of)(cell).is_some());
    let columns: Vec<&Column> = COLUMNS.iter().filter(measured).collect();
    let mut head: Vec<String> = sweep.dimensions.iter().map(|of| of.name.clone()).collect();
    head.extend(columns.iter().map(|column| column.name.to_owned()));
    head.push("runs".to_owned());
    let row = |cell: &Cell| {
        let mut row = cell.values.clone();
        let numbers = columns.iter().map(|column| match (column.of)(cell) {
            Some(range) => ranged(range, column.text),
            None => "–".to_owned(),
        });
        row.extend(numbers);
        row.push(runs(cell));
        row
    };
    (head, sweep.cells.iter().map(row).collect())
}

fn ranged(range: Range, text: fn(f64) -> String) -> String {
    let (median, least, most) = (text(range.median), text(range.least), text(range.most));
    match least == most {
        true => median,
        false => format!("{median} ({least}–{most})"),
    }
}

fn runs(cell: &Cell) -> String {
    let summary = &cell.summary;
    let mut text = match (summary.holding, summary.runs) {
        (_, 0) => "not run".to_owned(),
        (0, runs) => format!("INVALID {runs}"),
        (holding, runs) if holding < runs => format!("{holding} of {runs} valid"),
        (_, runs) => runs.to_string(),
    };
    if summary.missed > 0 {
        let _ = write!(text, ", {} missed", summary.missed);
    }
    text
}

/// The table as text, its columns aligned.
pub fn text(sweep: &SweepReport) -> String {
    let (head, rows) = rows(sweep);
    let mut out = format!("sweep {}", sweep.command.join(" "));
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, ", {} rounds", sweep.rounds);
    let wide = |n: usize| {
        let cells = rows.iter().map(|row| row[n].chars().count());
        cells.max().unwrap_or(0).max(head[n].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(wide).collect();
    for row in std::iter::once(&head).chain(&rows) {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells.map(|(cell, wide)| format!("{cell:>wide$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    if sweep.interrupted {
        out.push_str("The sweep was interrupted: cells have fewer runs than asked for.\n");
    }
    out
}

/// The table for a pull request.
pub fn markdown(sweep: &SweepReport) -> String {
    let (head, rows) = rows(sweep);
    let escape = |text: &String| text.replace('|', "\\|").replace(['\n', '\r'], " ");
    let line = |row: &[String]| {
        let cells: Vec<_> = row.iter().map(escape).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let command = sweep.command.join(" ").replace('`', "'");
    let mut out = format!(
        "### loadgen sweep\n\n`{}`, {} rounds, medians (ranges)\n\n",
        command.replace(['\n', '\r'], " "),
        sweep.rounds
    );
    out.push_str(&line(&head));
    let aligned = |n: usize| {
        if n < sweep.dimensions.len() {
            ":--"
        } else {
            "--:"
        }
    };
    let rule: Vec<_> = (0..head.len()).map(aligned).collect();
    let _ = writeln!(out, "|{}|", rule.join("|"));
    for row in &rows {
        out.push_str(&line(row));
    }
    out
}

/// One line for each cell, every number with its median, least and most.
///
/// # Errors
///
/// Never in practice: the table is written to memory.
pub fn csv(sweep: &SweepReport) -> Result<String, RenderError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> = sweep.dimensions.iter().map(|of| of.name.clone()).collect();
    for column in &COLUMNS {
        head.extend(["", "_least", "_most"].map(|end| format!("{}{end}", column.csv)));
    }
    head.extend(["runs", "runs_holding", "runs_missed"].map(str::to_owned));
    out.write_record(head)?;
    for cell in &sweep.cells {
        let mut row = cell.values.clone();
        for column in &COLUMNS {
            row.extend(match (column.of)(cell) {
                Some(range) => [range.median, range.least, range.most].map(|n| n.to_string()),
                None => Default::default(),
            });
        }
        let summary = &cell.summary;
        row.extend([summary.runs, summary.holding, summary.missed].map(|n| n.to_string()));
        out.write_record(row)?;
    }
    let bytes = out.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
