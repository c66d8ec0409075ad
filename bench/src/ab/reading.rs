//! What loadgen's reports of one round say of the arms. Pure.

use serde_json::Value;

use super::{metric::Metric, stage::Arm};
use crate::loadgen::report::{RUN, Report, SLICES};

/// One round.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Of each metric that could be measured.
    pub metrics: Vec<Measured>,
    /// What loadgen holds against its numbers, each once.
    pub doubts: Vec<String>,
}

/// A metric in one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Which.
    pub metric: Metric,
    /// How much worse head is than base, as a logarithm.
    pub head: f64,
    /// How much worse the copy of base is.
    pub control: f64,
    /// Base itself: nanoseconds, operations per second or bytes.
    pub base: f64,
}

/// Reads a report of slices, whose targets are the arms of `order`. Gives what is wrong with it.
pub fn of_slices(report: &Value, order: &[Arm]) -> Result<Reading, String> {
    let read = Report::of(report, SLICES).map_err(|error| error.to_string())?;
    let metrics = Metric::SLICES.into_iter().filter_map(|metric| {
        let head = median(&ratios(report, order, metric, Arm::Head))?;
        let control = median(&ratios(report, order, metric, Arm::Control))?;
        Some(Measured {
            metric,
            head: metric.worse(head),
            control: metric.worse(control),
            base: absolute(report, order, metric)?,
        })
    });
    let metrics: Vec<_> = metrics.collect();
    match metrics
        .iter()
        .any(|found| found.metric == Metric::CpuPerOperation)
    {
        true => Ok(Reading {
            metrics,
            doubts: read.doubts(),
        }),
        false => Err("loadgen's report has no CPU time per operation".to_owned()),
    }
}

/// ln(arm / base) of every block that has the number. The report compares with its first target,
/// which is whichever arm was the first.
fn ratios(report: &Value, order: &[Arm], metric: Metric, arm: Arm) -> Vec<f64> {
    let blocks = report["settings"]["blocks"].as_u64().unwrap_or(0);
    let key = key(metric);
    let of = |arm: Arm, block: u64| match order.iter().position(|one| *one == arm)? {
        0 => Some(0.0),
        place => report["comparisons"][place - 1]["pairs"][block as usize][key].as_f64(),
    };
    (0..blocks)
        .filter_map(|block| {
            // Also the first target has no number where another one has none.
            let measured = order.iter().skip(1).all(|arm| of(*arm, block).is_some());
            let both = of(arm, block).zip(of(Arm::Base, block));
            both.filter(|_| measured).map(|(arm, base)| arm - base)
        })
        .collect()
}

fn key(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuPerOperation => "cpu_per_operation",
        Metric::Throughput => "throughput",
        Metric::ServiceP50 => "service_p50",
        Metric::ServiceP99 => "service_p99",
        Metric::MemoryPerConnection => "",
    }
}

/// The number of base itself.
fn absolute(report: &Value, order: &[Arm], metric: Metric) -> Option<f64> {
    let base = order.iter().position(|arm| *arm == Arm::Base)?;
    let target = &report["targets"][base];
    let percentiles = &target["totals"]["latency"]["service"]["percentiles_ns"];
    match metric {
        Metric::CpuPerOperation => &target["cpu_ns_per_operation"],
        Metric::Throughput => &target["totals"]["rates"]["operations_per_s"],
        Metric::ServiceP50 => &percentiles["p50"],
        Metric::ServiceP99 => &percentiles["p99"],
        Metric::MemoryPerConnection => &Value::Null,
    }
    .as_f64()
}

/// Reads the reports of held connections, one for each arm. Gives what is wrong with them.
pub fn of_held(reports: &[(Arm, Value)]) -> Result<Reading, String> {
    let mut found = Vec::new();
    let mut of = |arm: Arm| {
        let report = reports.iter().find(|(one, _)| *one == arm);
        let report = report.map_or(&Value::Null, |(_, report)| report);
        let report = Report::of(report, RUN).map_err(|error| error.to_string())?;
        found.extend(report.doubts());
        let lacks = || {
            format!(
                "loadgen's report has no memory per connection of {}",
                arm.name()
            )
        };
        report.bytes_per_connection().ok_or_else(lacks)
    };
    let (base, head, control) = (of(Arm::Base)?, of(Arm::Head)?, of(Arm::Control)?);
    found.sort();
    found.dedup();
    Ok(Reading {
        metrics: vec![Measured {
            metric: Metric::MemoryPerConnection,
            head: (head / base).ln(),
            control: (control / base).ln(),
            base,
        }],
        doubts: found,
    })
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| crate::statistics::median(&sorted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pair(cpu: f64, throughput: f64, p99: Option<f64>) -> Value {
        json!({"cpu_per_operation": cpu, "throughput": throughput, "service_p50": null, "service_p99": p99})
    }

    /// Targets b and c beside a, in three blocks.
    fn report() -> Value {
        let target = |cpu: f64| {
            json!({
                "cpu_ns_per_operation": cpu,
                "totals": {
                    "rates": {"operations_per_s": 1e4},
                    "latency": {"service": {"percentiles_ns": {"p50": 5e4, "p99": 9e4}}},
                },
            })
        };
        json!({
            "format": SLICES,
            "settings": {"blocks": 3},
            "verdict": {"reasons": [{"code": "stolen"}, {"code": "short"}, {"code": "stolen"}]},
            "targets": [target(1.0), target(2.0), target(3.0)],
            "comparisons": [
                {"pairs": [pair(0.1, 0.3, Some(0.5)), pair(0.2, 0.1, None), pair(0.4, 0.2, None)]},
                {"pairs": [pair(0.3, 0.0, Some(0.1)), pair(0.3, 0.0, Some(0.1)), pair(0.3, 0.0, None)]},
            ],
        })
    }

    #[test]
    fn whichever_arm_is_the_first_base_is_what_is_compared_with() {
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
        let orders = [
            // b / a and c / a.
            ([Arm::Base, Arm::Head, Arm::Control], 0.2, 0.3, 1.0),
            // a / b: the median of -0.1, -0.2, -0.4; c / b: of 0.2, 0.1, -0.1.
            ([Arm::Head, Arm::Base, Arm::Control], -0.2, 0.1, 2.0),
            // a / c; b / c.
            ([Arm::Control, Arm::Head, Arm::Base], -0.1, -0.3, 3.0),
        ];
        for (order, head, control, base) in orders {
            let reading = of_slices(&report(), &order).expect("it is whole");
            let cpu = reading.metrics[0];
            assert_eq!((cpu.metric, cpu.base), (Metric::CpuPerOperation, base));
            near(cpu.head, head);
            near(cpu.control, control);
            assert_eq!(reading.doubts, ["short", "stolen"]);
        }
        let order = [Arm::Base, Arm::Head, Arm::Control];
        let reading = of_slices(&report(), &order).expect("it is whole");
        let names: Vec<_> = reading.metrics.iter().map(|found| found.metric).collect();
        let measured = [
            Metric::CpuPerOperation,
            Metric::Throughput,
            Metric::ServiceP99,
        ];
        assert_eq!(names, measured, "no block has a p50");
        near(reading.metrics[1].head, -0.2);
        // One block has it of all three.
        near(reading.metrics[2].head, 0.5);
    }

    #[test]
    fn a_report_without_cpu_time_or_of_another_format_is_refused() {
        let order = [Arm::Base, Arm::Head, Arm::Control];
        let mut without = report();
        without["targets"][0]["cpu_ns_per_operation"] = Value::Null;
        assert!(of_slices(&without, &order).is_err());
        let mut other = report();
        other["format"] = json!("loadgen.ab/2");
        let lack = of_slices(&other, &order).expect_err("another format");
        assert!(lack.contains("loadgen.ab/2"), "{lack}");
    }

    #[test]
    fn memory_is_compared_by_what_a_connection_adds() {
        let of = |bytes: f64| {
            json!({
                "format": RUN,
                "verdict": {"reasons": [{"code": "short"}]},
                "conns": {"target": {"anonymous": {"bytes_per_connection": bytes}}},
            })
        };
        let reports = [
            (Arm::Head, of(3300.0)),
            (Arm::Control, of(3000.0)),
            (Arm::Base, of(3000.0)),
        ];
        let reading = of_held(&reports).expect("it is whole");
        let found = reading.metrics[0];
        assert!((found.head - 1.1_f64.ln()).abs() < 1e-12);
        assert_eq!((found.control, found.base), (0.0, 3000.0));
        assert_eq!(reading.doubts, ["short"]);
        let nothing = [
            (Arm::Head, of(3300.0)),
            (Arm::Control, of(3000.0)),
            (Arm::Base, of(-1.0)),
        ];
        assert!(of_held(&nothing).expect_err("no slope").contains("base"));
    }
}
