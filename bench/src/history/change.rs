//! Change points: where a series is another one from. Pure, and the same for the same series.
//!
//! E-divisive (Matteson and James 2014) over whole segments: the split with the greatest energy distance
//! between what is before and what is behind it, if splits of a shuffled segment are seldom as good; then the
//! same in both parts. It asks for no distribution, so a changed spread is seen as well as a changed mean.

use crate::ab::chance::Chance;

/// Values on either side of a change point: fewer say nothing of a distribution.
pub const SHORTEST: usize = 4;
/// Shuffles that a split is compared with.
const SHUFFLES: u32 = 199;
/// A split that so large a share of the shuffles reaches is chance.
const SIGNIFICANCE: f64 = 0.05;
/// Only the last so many values are looked at: the work grows with their square.
pub const LONGEST: usize = 400;

/// The places at which something changed: each is the first value of the new kind.
pub fn points(values: &[f64]) -> Vec<usize> {
    let skipped = values.len().saturating_sub(LONGEST);
    let mut found = Vec::new();
    let mut chance = Chance::new(1);
    let mut open = vec![(skipped, values.len())];
    while let Some((from, to)) = open.pop() {
        let segment = &values[from..to];
        let Some(split) = best(segment) else {
            continue;
        };
        if split.energy > 0.0 && is_significant(segment, split.energy, &mut chance) {
            let at = from + split.at;
            found.push(at);
            open.extend([(from, at), (at, to)]);
        }
    }
    found.sort_unstable();
    found
}

/// A split of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    at: usize,
    energy: f64,
}

fn is_significant(segment: &[f64], energy: f64, chance: &mut Chance) -> bool {
    let mut shuffled = segment.to_vec();
    let mut as_good = 0;
    for _ in 0..SHUFFLES {
        chance.shuffle(&mut shuffled);
        as_good += u32::from(best(&shuffled).is_some_and(|split| split.energy >= energy));
    }
    f64::from(as_good + 1) / f64::from(SHUFFLES + 1) <= SIGNIFICANCE
}

/// The split with the greatest energy distance; none of a segment that is too short for one.
fn best(segment: &[f64]) -> Option<Split> {
    let n = segment.len();
    if n < 2 * SHORTEST {
        return None;
    }
    let distance = |one: usize, others: std::ops::Range<usize>| -> f64 {
        others
            .map(|other| (segment[one] - segment[other]).abs())
            .sum()
    };
    // Sums of distances within the left part, within the right part, and between them.
    let (mut left, mut between) = (0.0, 0.0);
    let mut right: f64 = (0..n).map(|one| distance(one, one + 1..n)).sum();
    let mut found: Option<Split> = None;
    for at in 1..=n - SHORTEST {
        let moved = at - 1;
        let (to_left, to_right) = (distance(moved, 0..moved), distance(moved, at..n));
        left += to_left;
        right -= to_right;
        between += to_right - to_left;
        if at < SHORTEST {
            continue;
        }
        let energy = energy(between, (left, at), (right, n - at));
        if found.is_none_or(|found| energy > found.energy) {
            found = Some(Split { at, energy });
        }
    }
    found
}

/// The energy distance of two parts, from sums of distances: scaled by their sizes.
fn energy(between: f64, (left, m): (f64, usize), (right, n): (f64, usize)) -> f64 {
    let pairs = |n: usize| (n * (n - 1)) as f64 / 2.0;
    let size = (m * n) as f64;
    let distance = 2.0 * between / size - left / pairs(m) - right / pairs(n);
    size / (m + n) as f64 * distance
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many values around a level, by a fixed noise of about 1 %.
    fn around(level: f64, count: usize, chance: &mut Chance) -> Vec<f64> {
        let uniform = |chance: &mut Chance| (chance.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        (0..count)
            .map(|_| level * (1.0 + 0.02 * (uniform(chance) + uniform(chance) - 1.0)))
            .collect()
    }

    #[test]
    fn steps_are_found_where_they_are_and_stillness_is_not_called_one() {
        let chance = &mut Chance::new(3);
        let one = [around(100.0, 20, chance), around(105.0, 20, chance)].concat();
        assert_eq!(points(&one), [20]);
        let two = [one, around(90.0, 15, chance)].concat();
        assert_eq!(points(&two), [20, 40]);
        assert_eq!(points(&[5.0; 30]), [0; 0]);
        assert_eq!(points(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0]), [0; 0], "too short");
        assert_eq!(points(&[]), [0; 0]);
    }

    #[test]
    fn chance_is_seldom_called_a_change() {
        let chance = &mut Chance::new(4);
        let called = (0..40).filter(|_| !points(&around(100.0, 24, chance)).is_empty());
        // Two of forty are expected; seven would come in less than one of two hundred.
        assert!(called.count() <= 6);
    }

    #[test]
    fn the_sums_are_those_of_the_definition() {
        let segment = [3.0, 1.0, 2.0, 4.0, 9.0, 7.0, 8.0, 8.5, 7.5];
        let mean = |a: &[f64], b: &[f64]| {
            let all = a.iter().flat_map(|a| b.iter().map(move |b| (a - b).abs()));
            all.sum::<f64>() / (a.len() * b.len()) as f64
        };
        let within = |a: &[f64]| mean(a, a) * a.len() as f64 / (a.len() - 1) as f64;
        let (a, b) = segment.split_at(4);
        let distance = 2.0 * mean(a, b) - within(a) - within(b);
        let found = best(&segment).expect("long enough");
        assert_eq!(found.at, 4);
        assert!(
            (found.energy - distance * 20.0 / 9.0).abs() < 1e-9,
            "{found:?}"
        );
    }

    #[test]
    fn long_histories_are_bounded() {
        let mut values = vec![1.0; 10];
        values.extend(vec![2.0; LONGEST]);
        assert_eq!(
            points(&values),
            [0; 0],
            "the step lies before what is looked at"
        );
    }
}
