//! The decision procedure on simulated rounds, with the noise that was measured: how often it cries
//! wolf, and how often it sees what is there.

use super::{
    chance::Chance,
    decide::{Bounds, Next, Rounds, Verdict, next},
    metric::Metric,
    statistics::share_bounds,
};

const BOUNDS: Bounds = Bounds { least: 5, most: 15 };
const RUNS: u32 = 2000;

/// Root mean square of a round's error, where nothing differs: of the ratio in slices on a noisy
/// machine of two cores.
fn noise(metric: Metric) -> f64 {
    match metric {
        Metric::CpuPerOperation => 0.008,
        Metric::Throughput => 0.022,
        // Measured with both servers at once; in slices it is taken for as bad as throughput.
        Metric::ServiceP50 => 0.022,
        Metric::ServiceP99 => 0.027,
        Metric::MemoryPerConnection => 0.005,
    }
}

/// One machine.
struct Machine {
    chance: Chance,
    /// Times the measured noise.
    factor: f64,
}

impl Machine {
    fn new(seed: u64, factor: f64) -> Self {
        Self {
            chance: Chance::new(seed),
            factor,
        }
    }

    fn uniform(&mut self) -> f64 {
        // In (0, 1]: its logarithm is finite.
        ((self.chance.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// An error of a round: normal, but one of ten is three times as wide. The root mean square is
    /// that of `metric`.
    fn error(&mut self, metric: Metric) -> f64 {
        let normal =
            (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos();
        let width = if self.uniform() < 0.1 { 3.0 } else { 1.0 };
        // 0.9 + 0.1 * 9.
        normal * width / 1.8_f64.sqrt() * noise(metric) * self.factor
    }

    /// The verdict where head is worse by these shares, and the control by that.
    fn judge(&mut self, worse: f64, control: f64) -> Verdict {
        let mut all = Metric::SLICES.map(Rounds::of);
        for round in 1.. {
            for rounds in &mut all {
                let (head, copy) = (self.error(rounds.metric), self.error(rounds.metric));
                rounds.head.push(head + worse.ln_1p());
                rounds.control.push(copy + control.ln_1p());
            }
            let findings = all.each_ref().map(|rounds| rounds.finding(BOUNDS.least));
            if let Next::Done(verdict) = next(&findings, round, BOUNDS) {
                return verdict;
            }
            assert!(round < BOUNDS.most, "it ends");
        }
        unreachable!("rounds are bounded")
    }

    /// How many of the runs end with each verdict: pass, fail, inconclusive, unproven.
    fn count(&mut self, worse: f64, control: f64) -> [u32; 4] {
        let mut counts = [0; 4];
        for _ in 0..RUNS {
            let place = match self.judge(worse, control) {
                Verdict::Pass => 0,
                Verdict::Fail => 1,
                Verdict::Inconclusive => 2,
                Verdict::Unproven => 3,
            };
            counts[place] += 1;
        }
        counts
    }
}

#[test]
fn what_does_nothing_is_not_called_a_regression() {
    let [pass, fail, inconclusive, unproven] = Machine::new(1, 1.0).count(0.0, 0.0);
    // One of twenty would be 5 %; this is far from it, with all metrics and all looks together.
    let (_, at_most) = share_bounds(fail, RUNS);
    assert!(at_most < 0.005, "{fail} of {RUNS} fail");
    assert!(
        pass > RUNS * 95 / 100,
        "{pass} pass, {inconclusive} inconclusive, {unproven} unproven"
    );
}

#[test]
fn five_percent_are_seen() {
    let [pass, fail, ..] = Machine::new(2, 1.0).count(0.05, 0.0);
    let (at_least, _) = share_bounds(fail, RUNS);
    // Eighteen of twenty.
    assert!(at_least > 0.9, "{fail} of {RUNS} fail");
    let (_, missed) = share_bounds(pass, RUNS);
    assert!(missed < 0.005, "{pass} of {RUNS} pass");
}

#[test]
fn three_times_the_noise_costs_certainty_and_not_truth() {
    let [.., unproven] = {
        let counts @ [_, fail, ..] = Machine::new(3, 3.0).count(0.0, 0.0);
        let (_, at_most) = share_bounds(fail, RUNS);
        assert!(at_most < 0.01, "{fail} of {RUNS} fail");
        counts
    };
    assert!(unproven < RUNS / 2, "{unproven} of {RUNS} are unproven");
    let [pass, ..] = Machine::new(4, 3.0).count(0.05, 0.0);
    let (_, missed) = share_bounds(pass, RUNS);
    assert!(missed < 0.05, "{pass} of {RUNS} pass");
}

#[test]
fn a_machine_whose_control_differs_proves_nothing() {
    let [pass, fail, inconclusive, unproven] = Machine::new(5, 1.0).count(0.0, 0.05);
    let said =
        format!("{pass} pass, {fail} fail, {inconclusive} inconclusive, {unproven} unproven");
    assert!(unproven > RUNS * 95 / 100, "{said}");
    let [pass, fail, _, unproven] = Machine::new(6, 1.0).count(0.05, 0.05);
    assert!(
        fail < RUNS / 50 && unproven > RUNS * 95 / 100,
        "{pass} pass, {fail} fail"
    );
}

#[test]
fn the_same_seed_gives_the_same_verdicts() {
    let first = Machine::new(7, 2.0).count(0.01, 0.0);
    assert_eq!(first, Machine::new(7, 2.0).count(0.01, 0.0));
}
