//! Two ways of doing the same, in turn: A B B A, slice after slice.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Long against reading the clock, short against what else the machine does.
const SLICE: Duration = Duration::from_millis(2);
const ROUNDS: usize = 300;

/// What a measurement has to show.
#[derive(Clone, Copy)]
pub enum Target {
    /// Ours does at least this part of the other's work in the same time.
    SpeedAtLeast(f64),
    /// Ours takes at most this many times the other's time.
    CostAtMost(f64),
}

impl Target {
    pub fn is_met_by(self, measured: &Measured) -> bool {
        match self {
            Self::SpeedAtLeast(part) => 1.0 / measured.cost.median >= part,
            Self::CostAtMost(times) => measured.cost.median <= times,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpeedAtLeast(part) => write!(f, "speed at least {:.0} %", part * 100.0),
            Self::CostAtMost(times) => write!(f, "cost at most {times:.2}"),
        }
    }
}

/// Time of one call of each, and how many times the other's ours is.
pub struct Measured {
    pub what: &'static str,
    pub ours_ns: f64,
    pub by_hand_ns: f64,
    pub cost: Ratio,
}

/// Over rounds, each of which has both.
pub struct Ratio {
    pub lower_quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
}

/// Measures both, one call at a time in turn.
pub fn measure(what: &'static str, mut ours: impl FnMut(), mut by_hand: impl FnMut()) -> Measured {
    let calls = (calls_in_a_slice(&mut ours), calls_in_a_slice(&mut by_hand));
    let (mut all_ours, mut all_by_hand, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let first = time(calls.0, &mut ours);
        let others = (time(calls.1, &mut by_hand) + time(calls.1, &mut by_hand)) / 2.0;
        let round = (first + time(calls.0, &mut ours)) / 2.0;
        all_ours.push(round);
        all_by_hand.push(others);
        costs.push(round / others);
    }
    Measured {
        what,
        ours_ns: quantile(&mut all_ours, 0.5),
        by_hand_ns: quantile(&mut all_by_hand, 0.5),
        cost: Ratio {
            lower_quartile: quantile(&mut costs, 0.25),
            median: quantile(&mut costs, 0.5),
            upper_quartile: quantile(&mut costs, 0.75),
        },
    }
}

/// Also warms caches and the allocator.
fn calls_in_a_slice(call: &mut impl FnMut()) -> u32 {
    let mut calls = 1;
    loop {
        let taken = time(calls, call) * f64::from(calls);
        if taken >= SLICE.as_nanos() as f64 {
            return calls;
        }
        calls *= 2;
    }
}

/// Nanoseconds of this thread for each of `calls`.
fn time(calls: u32, call: &mut impl FnMut()) -> f64 {
    let before = cpu_time();
    for _ in 0..calls {
        call();
    }
    (cpu_time() - before).as_nanos() as f64 / f64::from(calls)
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
