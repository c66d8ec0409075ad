//! The part of a report that tells of held connections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    build::{self, Frame},
    model::{Distribution, ErrorClass, Part, State, Verdict},
};
use crate::{
    measure::memory,
    operation::conns::conductor::{Course, Moment, Point},
    run::Outcome,
};

/// Connections that were held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Connections that were asked for.
    pub asked: u64,
    /// Connections opened, those in another's place not included.
    pub opened: u64,
    /// Connections opened in another's place.
    pub reopened: u64,
    /// The most that stood at one time.
    pub held_most: u64,
    /// Connections that we ended.
    pub closed: u64,
    /// Connections that the target ended while they were idle; `errors` says why, under `hold`.
    pub dropped: u64,
    /// How long those had stood.
    pub held_before_drop: Distribution,
    /// Parts of the run: `before`, `opening`, `holding`, `closing`, `after`.
    pub phases: Vec<Span>,
    /// Looks at memory, each when nothing had happened for a while.
    pub memory: Vec<Look>,
    /// What a connection costs the target; absent without `--target-pid`.
    pub target: Option<Cost>,
    /// What a connection costs the generator.
    pub generator: Option<Cost>,
    /// Another operation meanwhile; absent without `--probe`.
    pub probe: Option<Probe>,
}

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Which.
    pub name: String,
    /// Its start.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
}

/// When memory was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the first connection.
    Empty,
    /// On the way to all connections.
    Opening,
    /// At the end of holding.
    Held,
    /// When all were closed.
    Closed,
}

/// One look at memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// At what point of the run.
    pub when: When,
    /// At what moment.
    pub at_s: f64,
    /// Connections that stood.
    pub connections: u64,
    /// Memory of the target; absent without `--target-pid`, or when it had ended.
    pub target: Option<Memory>,
    /// Memory of the generator.
    pub generator: Option<Memory>,
}

/// Memory of a process, without what the kernel holds for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// In RAM, shared pages included (RSS).
    pub resident_bytes: u64,
    /// Shared pages divided among those who share them (PSS); absent where the kernel does not let
    /// others look.
    pub proportional_bytes: Option<u64>,
    /// Heap and stacks.
    pub anonymous_bytes: u64,
}

/// What a connection costs: straight lines through the looks up to the last opened connection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Heap and stacks.
    pub anonymous: Line,
    /// Everything resident.
    pub resident: Line,
}

/// A straight line by least squares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Its slope.
    pub bytes_per_connection: f64,
    /// Where it begins.
    pub bytes_without: f64,
    /// How far the looks are from it: root of the mean square.
    pub residual_bytes: f64,
    /// Looks.
    pub looks: u64,
}

/// Another operation before, during and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// `handshake`, `request` or `echo`.
    pub operation: String,
    /// URL of its target.
    pub target: String,
    /// Planned per second.
    pub rate_per_s: f64,
    /// `before`, `during` and `after`, as far as they were reached.
    pub phases: Vec<Probed>,
}

/// What the probe found in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probed {
    /// Its operations and their times.
    pub part: Part,
    /// Its failures; moments are since the phase began.
    pub errors: Vec<ErrorClass>,
}

impl Held {
    /// From what was counted and seen.
    pub fn of(outcome: &Outcome, course: &Course, asked: u64) -> Self {
        let (tally, connections) = (&course.tally, &outcome.collected.totals.connections);
        let spans = course.spans.iter().map(|span| Span {
            name: span.name.to_owned(),
            from_s: span.from.as_secs_f64(),
            to_s: span.to.as_secs_f64(),
        });
        Self {
            asked,
            opened: tally.opened,
            reopened: tally.reopened,
            held_most: tally.held_most,
            closed: tally.closed,
            dropped: connections.dropped,
            held_before_drop: connections.held_before_drop.distribution(),
            phases: spans.collect(),
            memory: course.points.iter().map(Look::of).collect(),
            target: Cost::of(&course.points, |point| point.target),
            generator: Cost::of(&course.points, |point| point.generator),
            probe: None,
        }
    }

    /// How long opening took, settling included; none when it did not end.
    pub fn span(&self, name: &str) -> Option<f64> {
        let span = self.phases.iter().find(|span| span.name == name)?;
        Some(span.to_s - span.from_s)
    }
}

impl Look {
    fn of(point: &Point) -> Self {
        Self {
            when: match point.moment {
                Moment::Empty => When::Empty,
                Moment::Opening => When::Opening,
                Moment::Held => When::Held,
                Moment::Closed => When::Closed,
            },
            at_s: point.at.as_secs_f64(),
            connections: point.connections,
            target: point.target.map(Memory::from),
            generator: point.generator.map(Memory::from),
        }
    }
}

impl From<memory::Memory> for Memory {
    fn from(seen: memory::Memory) -> Self {
        Self {
            resident_bytes: seen.resident,
            proportional_bytes: seen.proportional,
            anonymous_bytes: seen.anonymous,
        }
    }
}

impl Cost {
    fn of(points: &[Point], whose: fn(&Point) -> Option<memory::Memory>) -> Option<Self> {
        let opening = |point: &&Point| matches!(point.moment, Moment::Empty | Moment::Opening);
        let looks = points.iter().filter(opening);
        let looks: Vec<_> = looks
            .filter_map(|point| Some((point.connections as f64, whose(point)?)))
            .collect();
        let line = |bytes: fn(&memory::Memory) -> u64| {
            let places = looks.iter().map(|(n, memory)| (*n, bytes(memory) as f64));
            Line::through(&places.collect::<Vec<_>>())
        };
        Some(Self {
            anonymous: line(|memory| memory.anonymous)?,
            resident: line(|memory| memory.resident)?,
        })
    }
}

impl Line {
    /// The line through `(connections, bytes)`; none when these are not at two places at least.
    fn through(looks: &[(f64, f64)]) -> Option<Self> {
        let n = looks.len() as f64;
        let mean_x = looks.iter().map(|(x, _)| x).sum::<f64>() / n;
        let mean_y = looks.iter().map(|(_, y)| y).sum::<f64>() / n;
        let square: f64 = looks.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let product: f64 = looks.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        // Without any look there is no number.
        if square.is_nan() || square == 0.0 {
            return None;
        }
        let slope = product / square;
        let without = mean_y - slope * mean_x;
        let off = |(x, y): &(f64, f64)| (y - without - slope * x).powi(2);
        Some(Self {
            bytes_per_connection: slope,
            bytes_without: without,
            residual_bytes: (looks.iter().map(off).sum::<f64>() / n).sqrt(),
            looks: looks.len() as u64,
        })
    }

    /// Its height at so many connections.
    pub fn at(&self, connections: u64) -> f64 {
        self.bytes_without + self.bytes_per_connection * connections as f64
    }
}

/// What the probe found in the phase `name`.
pub fn probed(name: &str, outcome: &Outcome, frame: &Frame) -> Probed {
    let elapsed_s = outcome.elapsed.as_secs_f64();
    Probed {
        part: build::part(name, &build::totals(outcome), elapsed_s),
        errors: build::errors(&outcome.collected.totals, frame.configuration.warmup_s),
    }
}

/// Adds the verdict on the probe in the phase `name`.
pub fn join(verdict: &mut Verdict, probe: Verdict, name: &str) {
    verdict.state = verdict.state.max(probe.state);
    verdict
        .reasons
        .extend(probe.reasons.into_iter().map(|mut reason| {
            reason.message = format!("probe {name}: {}", reason.message);
            reason
        }));
    verdict
        .reasons
        .sort_by_key(|reason| std::cmp::Reverse::<State>(reason.state));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_goes_through_what_is_straight_and_says_how_far_the_rest_is() {
        let straight = [(0.0, 5000.0), (10.0, 45_000.0), (20.0, 85_000.0)];
        let line = Line::through(&straight).unwrap();
        assert_eq!(
            (line.bytes_per_connection, line.bytes_without),
            (4000.0, 5000.0)
        );
        assert!(line.residual_bytes < 1e-6 && line.looks == 3);
        assert!((line.at(10) - 45_000.0).abs() < 1e-6);
        let bent = Line::through(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)]).unwrap();
        assert!((bent.residual_bytes - 2f64.sqrt()).abs() < 1e-9, "{bent:?}");
        assert_eq!(Line::through(&[(3.0, 1.0), (3.0, 2.0)]), None);
        assert_eq!(Line::through(&[]), None);
    }

    #[test]
    fn what_comes_behind_opening_is_not_in_the_line() {
        let point = |moment, connections, anonymous| Point {
            moment,
            at: Duration::ZERO,
            connections,
            target: None,
            generator: Some(memory::Memory {
                resident: 2 * anonymous,
                proportional: None,
                anonymous,
            }),
        };
        let points = [
            point(Moment::Empty, 0, 100),
            point(Moment::Opening, 10, 1100),
            point(Moment::Held, 10, 9000),
            point(Moment::Closed, 0, 9000),
        ];
        let cost = Cost::of(&points, |point| point.generator).unwrap();
        assert_eq!(cost.anonymous.bytes_per_connection, 100.0);
        assert_eq!(cost.resident.bytes_per_connection, 200.0);
        assert_eq!(Cost::of(&points, |point| point.target), None);
    }
}
