//! A made-up sweep: six cells of two runs each.

use loadgen::{
    report::sweep::{Cell, CellRun, FORMAT, SweepReport, summary::summary},
    sweep::{Dimension, Order},
};

use super::{CALM, Shape, report};

/// Latency over three rates, for two sizes.
pub fn sweep() -> SweepReport {
    let rates = ["1k", "2k", "4k"];
    let sizes = ["100", "16k"];
    let mut cells = Vec::new();
    for (r, rate) in rates.iter().enumerate() {
        for (s, size) in sizes.iter().enumerate() {
            let run = |round: u32| CellRun {
                round,
                number: cells.len() as u32 * 2 + round,
                report: report(Shape {
                    slowness: (1 + r + s) as f64,
                    seed: u64::from(round),
                    ..CALM
                }),
            };
            let runs = Vec::from([run(1), run(2)]);
            cells.push(Cell {
                values: [rate, size].map(ToString::to_string).into(),
                summary: summary(&runs),
                runs,
            });
        }
    }
    let dimension = |name: &str, values: &[&str]| Dimension {
        name: name.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
    };
    let run = report(CALM);
    SweepReport {
        format: FORMAT.to_owned(),
        tool: run.tool,
        host: run.host,
        command: ["request", "https://gateway.example/"]
            .map(str::to_owned)
            .into(),
        dimensions: Vec::from([dimension("rate", &rates), dimension("size", &sizes)]),
        rounds: 2,
        order: Order::Random,
        seed: 1,
        interrupted: false,
        cells,
    }
}
